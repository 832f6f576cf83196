package engine

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/dns"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
)

// portDNS is the port of DNS servers.
const portDNS = 53

// enqueueDNS puts a DNS message about mail into the queue of its client's shard. A query to an
// internal resolver also goes to the resolver's shard: its own queries are made for other hosts.
// All other DNS messages are dropped here, before they cost anything.
func (b *decodeBatch) enqueueDNS(w *wire.Packet, f *frame.Frame) {
	if w.Flags != 0 { // over TCP
		w.Payload = dns.TCP(w.Payload)
	}
	kind := dns.Interesting(w.Payload)
	if kind == dns.Other {
		return
	}
	toServer := w.DstPort == portDNS
	if toServer == (w.Payload[2]&0x80 != 0) {
		return // a query from the server, or an answer to it
	}
	b.enqueue(w, f, toServer)
	if toServer && b.e.peers.Home.Has(w.Dst, w.V6) {
		b.enqueue(w, f, false).resolver = true // as if the resolver were the client
	}
}

// dnsLookups holds the mail lookups of hosts: MX records, addresses of mail servers, and
// blocklists. A bot looks up the servers of many domains by itself; a workstation leaves that to
// its mail server.
type dnsLookups struct {
	known     map[flowtable.HostKey]*detect.Lookups
	forgotten uint64 // hosts
}

// maxLookupHosts bounds the hosts of a shard whose lookups are kept, of about a kilobyte each.
const maxLookupHosts = 512

// of returns the lookups of a host, nil if it had none.
func (n *dnsLookups) of(k flowtable.HostKey) *detect.Lookups { return n.known[k] }

// add adds a host. At the limit the host with the oldest lookup is dropped.
func (n *dnsLookups) add(k flowtable.HostKey) *detect.Lookups {
	if n.known == nil {
		n.known = map[flowtable.HostKey]*detect.Lookups{}
	}
	if len(n.known) >= maxLookupHosts {
		// Ties are broken by address, so that the result does not depend on the order of a map.
		var oldest flowtable.HostKey
		var at int64
		for h, l := range n.known { // at most maxLookupHosts
			if at == 0 || l.LastUsed < at || l.LastUsed == at &&
				string(h.Addr[:]) < string(oldest.Addr[:]) {
				oldest, at = h, l.LastUsed
			}
		}
		delete(n.known, oldest)
		n.forgotten++
	}
	l := &detect.Lookups{}
	n.known[k] = l
	return l
}

// questions are the lookups that count.
var questions = [...]detect.Question{dns.MX: detect.AsksMX, dns.Host: detect.AsksHost,
	dns.List: detect.AsksList}

// observeDNS observes a DNS message: a query of the client, a reply to it, or a query to the client
// as a resolver.
func (s *shard) observeDNS(p *packet, payload []byte) {
	k := p.Key.ClientKey()
	l := s.dnsLookups.of(k)
	var m dns.Message
	switch {
	case p.resolver:
		if l == nil {
			l = s.dnsLookups.add(k)
		}
		l.ServesOthers()
		l.LastUsed = p.Time
	case !dns.Parse(payload, &m):
		return
	// A reply to a host without lookups is ignored.
	case m.Response:
		if l == nil {
			return
		}
		for i := range m.NAddrs {
			l.Answered(m.Name, m.Addrs[i], p.Time)
		}
		s.servers.ObserveDNSAnswer(&m, p.Time)
		return
	default:
		if l == nil {
			l = s.dnsLookups.add(k)
		}
		l.Asked(questions[m.Kind], uint32(s.e.table.Secret.HashBytes([]byte(m.Domain))), m.Name,
			uint32(m.ID)<<16|uint32(p.Key.ClientPort), p.Time)
	}
	if r := s.t.Sources.Find(p.ClientHash, &k); r != 0 {
		src := s.t.Sources.At(r)
		src.flags |= changed
		if prof := s.sources.profiles.At(src.profile); prof != nil {
			prof.Observe(&s.e.cfg.Detect, nil, detect.Observation{
				Kind: detect.KindLookups, Time: p.Time,
				Lookups: l})
			s.sources.judge(src, prof, p.Time)
		}
	}
}
