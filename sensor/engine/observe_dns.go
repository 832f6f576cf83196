package engine

import (
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

// observeDNS observes a DNS message: a query of the client, a reply to it, or a query to the client
// as a resolver.
func (s *shard) observeDNS(p *packet, payload []byte) {
	var m dns.Message
	if !p.resolver && !dns.Parse(payload, &m) {
		return
	}
	if s.sources.ObserveDNS(&p.Packet, p.resolver, &m) {
		s.servers.ObserveDNSAnswer(&m, p.Time)
	}
}
