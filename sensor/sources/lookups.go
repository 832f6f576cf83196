package sources

import (
	"net/netip"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/dns"
	"spamsensor/sensor/lookups"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
)

// dnsLookups holds the mail lookups of hosts: MX records, addresses of mail servers, and
// blocklists. A bot looks up the servers of many domains by itself; a workstation leaves that to
// its mail server.
type dnsLookups struct {
	known     map[flowtable.HostKey]*lookups.Log
	forgotten uint64 // hosts
}

// maxLookupHosts bounds the hosts of a shard whose lookups are kept, of about two kilobytes each.
const maxLookupHosts = 512

// of returns the lookups of a host, nil if it had none.
func (n *dnsLookups) of(k flowtable.HostKey) *lookups.Log { return n.known[k] }

// add adds a host. At the limit the host with the oldest lookup is dropped.
func (n *dnsLookups) add(k flowtable.HostKey) *lookups.Log {
	if n.known == nil {
		n.known = map[flowtable.HostKey]*lookups.Log{}
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
	l := &lookups.Log{}
	n.known[k] = l
	return l
}

// questions are the lookups that count.
var questions = [...]lookups.Question{dns.MX: lookups.MX, dns.Host: lookups.Host,
	dns.List: lookups.List}

// ObserveDNS observes a DNS message: a query of the client, a reply to it, or, without a message, a
// query to the client as a resolver. It reports whether the message answers a host with lookups.
func (s *Observer) ObserveDNS(p *track.Packet, resolver bool, m *dns.Message) bool {
	k := p.Key.ClientKey()
	l := s.dnsLookups.of(k)
	if !resolver && m.Response {
		return s.observeAnswer(k, l, m, p.Time)
	}
	if l == nil {
		l = s.dnsLookups.add(k)
	}
	if resolver {
		l.Resolver = true
		l.LastUsed = p.Time
	} else {
		l.Asked(questions[m.Kind], uint32(s.all.cfg.Peers.HashName([]byte(m.Domain))),
			m.Name, uint32(m.ID)<<16|uint32(p.Key.ClientPort), p.Time)
	}
	if r := s.Table.Sources.Find(p.ClientHash, &k); r != 0 {
		src := s.Table.Sources.At(r)
		src.flags |= changed
		if prof := s.profiles.At(src.profile); prof != nil {
			prof.Observe(&s.all.cfg.Detect, nil, &detect.Observation{Kind: detect.KindLookups,
				Time: p.Time, Lookups: l})
			s.judge(src, prof, p.Time)
		}
	}
	return false
}

// observeAnswer observes an answer with addresses to a host, whose lookups are l, nil if it had
// none. It reports whether the answer names mail servers to a host with lookups.
func (s *Observer) observeAnswer(k flowtable.HostKey, l *lookups.Log, m *dns.Message,
	now int64) bool {
	peers := s.all.cfg.Peers
	if m.Kind == dns.NAT64 {
		for _, a := range m.Addrs[:m.NAddrs] {
			if p, ok := peer.PrefixOf(a); ok && len(s.prefixes) < maxPrefixes {
				s.prefixes = append(s.prefixes, p)
			}
		}
		return false
	}
	// The question for such a name is not looked at, so its answer may be the first that is seen
	// of a host.
	if l == nil && m.Kind == dns.Address && peers.Home.Has(k.Addr, k.Scope.V6()) {
		l = s.dnsLookups.add(k)
	}
	if l == nil {
		return false
	}
	domain := peers.DomainHash(m.Provider)
	for i := range m.NAddrs {
		l.Named(peers.Destination(&m.Addrs[i]), domain, now)
		if m.Kind == dns.Host {
			l.Answered(m.Name, m.Addrs[i], now)
		}
	}
	return m.Kind == dns.Host
}

// maxPrefixes bounds the prefixes of NAT64 that a shard shows in a round. A dropped one comes
// again.
const maxPrefixes = 16

// LearnNAT64 has the prefixes that answers showed take effect. It runs at the end of a round, so
// that the result does not depend on the order in which helpers process the shards.
func (all *Set) LearnNAT64() {
	if list := drainShards(all, nil, func(s *Observer) *[]netip.Prefix {
		return &s.prefixes
	}); len(list) > 0 {
		all.cfg.Peers.LearnNAT64(list)
	}
}
