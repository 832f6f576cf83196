package campaign

import (
	"math/rand/v2"
	"net/netip"
)

// step is one segment of a connection. wait is the pause after the segment before it.
type step struct {
	wait           int64
	server         bool
	flags          uint8
	data           []byte
	readable       bool // a command of the client in clear
	namesBlocklist bool // a reply that names a blocklist
	relayed        bool // accepts an external message for external recipients
	retransmit     bool // repeats the segment before it
	icmp           bool // an ICMP error about the SYN instead of a segment
}

// conn is a connection that sends its segments step by step. One end is a host of the site.
type conn struct {
	h              *Host // the host that caused it
	client, server netip.AddrPort
	inbound        bool // the client is outside
	bad            bool
	answered       bool // the server sent a SYN-ACK
	readable       bool // a readable command has been marked
	seq            [2]uint32
	steps          []step
	next           int
	ttl            uint8
	v6             bool // IPv6, of a host that uses both families
	onClose        func()
}

// open begins a connection of a host now. bad means that its acts are marked.
func (h *Host) open(to netip.AddrPort, bad bool, steps []step) *conn {
	return h.start(netip.AddrPortFrom(h.Addr, h.nextPort()), to, bad, steps)
}

// nextPort is the next port of a client.
func (h *Host) nextPort() uint16 {
	h.lastPort++
	return 32768 + h.lastPort%28000
}

// start begins a connection between any two addresses.
func (h *Host) start(from, to netip.AddrPort, bad bool, steps []step) *conn {
	c := &conn{h: h, client: from, server: to, bad: bad, steps: steps, ttl: h.ttl,
		seq: [2]uint32{h.rng.Uint32(), h.rng.Uint32()}}
	c.inbound = h.site.outside(from.Addr())
	if h.families != nil {
		c.v6 = h.families(to)
	}
	h.site.begin(h.site.now+steps[0].wait, c)
	return c
}

// outside reports whether an address is on the Internet.
func (s *Site) outside(a netip.Addr) bool { return a.As4()[0] != 10 }

// step sends the next segment.
func (c *conn) step() int64 {
	s := &c.steps[c.next]
	c.next++
	c.mark(s)
	c.send(s)
	if c.next == len(c.steps) {
		if c.onClose != nil {
			c.onClose()
		}
		return 0
	}
	return c.h.site.now + c.steps[c.next].wait
}

// mark notes the act of a step in the marks of the host.
func (c *conn) mark(s *step) {
	h, now := c.h, c.h.site.now
	if s.relayed {
		mark(&h.Marks.Relayed, now)
		h.markBad(now)
	}
	if s.flags == SYN && !s.retransmit && !c.inbound {
		h.Attempts++
	}
	if !c.bad {
		return
	}
	switch {
	case s.flags == SYN && !s.retransmit:
		h.markBad(now)
		mark(&h.Marks.Attempts, now)
		if to := c.server.Addr(); !h.badServers[to] {
			h.badServers[to] = true
			mark(&h.Marks.Servers, now)
		}
		b := c.server.Addr().As4()
		if n := [3]byte(b[:3]); !h.badNets[n] {
			h.badNets[n] = true
			mark(&h.Marks.Nets, now)
		}
	case s.flags == SYN|ACK:
		mark(&h.Marks.Sessions, now)
	case s.readable && !c.readable:
		c.readable = true
		mark(&h.Marks.Readable, now)
	case s.namesBlocklist:
		mark(&h.Marks.Listed, now)
	}
}

// markBad notes the time of the first bad act.
func (h *Host) markBad(now int64) {
	if h.Bad == 0 && h.Infected() {
		h.Bad = now
	}
}

// send sends the segment of a step.
func (c *conn) send(s *step) {
	site := c.h.site
	p := &site.packet
	d := 0
	p.Src, p.Dst = c.client, c.server
	if s.server {
		d = 1
		p.Src, p.Dst = c.server, c.client
	}
	if s.retransmit {
		c.seq[d] = c.seq[d] - 1 // only SYNs are retransmitted
	}
	p.Proto, p.Flags, p.Seq, p.Ack, p.Payload = TCP, s.flags, c.seq[d], c.seq[1-d], s.data
	if s.flags&ACK == 0 {
		p.Ack = 0
	}
	c.answered = c.answered || s.server && s.flags&SYN != 0
	if s.server && s.flags&RST != 0 && !c.answered {
		p.Seq = 0 // there is no connection (RFC 9293, 3.10.7.1)
	}
	if s.icmp {
		p.Proto, p.Payload = ICMP, nil
		p.Src = netip.AddrPortFrom(gateway(site.lan), 0)
		p.Quoted.To, p.Quoted.FromPort, p.Quoted.Seq = c.server, c.client.Port(), c.seq[0]-1
	} else {
		c.seq[d] += uint32(len(s.data))
		if s.flags&(SYN|FIN) != 0 {
			c.seq[d]++
		}
	}
	c.h.emit(p, s.server == c.inbound, c.ttl, c.v6)
}

// gateway is the router's internal address.
func gateway(lan netip.Addr) netip.Addr {
	b := lan.As4()
	b[2], b[3] = 1, 1
	return netip.AddrFrom4(b)
}

// emit completes a packet of the host's and passes it to the site. inside means that the host sends
// it, v6 that a host with both families uses IPv6 for it.
func (h *Host) emit(p *Packet, inside bool, ttl uint8, v6 bool) {
	s := h.site
	p.Time, p.Host, p.Inside = s.now, h, inside
	p.ID = uint16(s.rng.Uint32())
	p.MAC, p.TTL = router, 52
	if inside {
		p.MAC, p.TTL = h.MAC, ttl
	}
	if s.cfg.V6 || h.ipv6 || v6 {
		p.Src, p.Dst = h.mappedPort(p.Src), h.mappedPort(p.Dst)
		if p.Proto == ICMP {
			p.Quoted.To = h.mappedPort(p.Quoted.To)
		}
	}
	h.Frames++
	s.emit(p)
}

func (h *Host) mappedPort(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(h.mapped(a.Addr()), a.Port())
}

// mapped is an address as a host that uses IPv6 sees it.
func (h *Host) mapped(a netip.Addr) netip.Addr {
	if !h.nat64.IsValid() || !h.site.outside(a) {
		return mapped(a)
	}
	b, v4 := h.nat64.Addr().As16(), a.As4() // RFC 6052, section 2.2, for a prefix of 96 bits
	copy(b[12:], v4[:])
	return netip.AddrFrom16(b)
}

// attemptResult is the result of a connection attempt.
type attemptResult int

const (
	answered   attemptResult = iota
	unanswered               // no answer
	// lateReset is a reset after the client has given up: 72.6 s after the last SYN (median) in
	// Emotet's trace [M].
	lateReset
	refused    // a reset at once
	prohibited // ICMP, administratively prohibited
)

// failedAttempt returns the steps of an attempt without a session. Each attempt has two SYNs, 3 s
// apart: 3,045 SYNs for 1,560 attempts [M].
func failedAttempt(r *rand.Rand, f attemptResult) []step {
	syn, retransmit := step{flags: SYN}, step{flags: SYN, retransmit: true, wait: 3 * second}
	switch f {
	case unanswered:
		return []step{syn, retransmit}
	case lateReset:
		return []step{syn, retransmit, {wait: between(r, 60*second, 80*second), server: true,
			flags: RST | ACK}}
	case refused:
		rtt := between(r, 5*millisecond, 150*millisecond)
		return []step{syn, {wait: rtt, server: true, flags: RST | ACK},
			{flags: SYN, retransmit: true, wait: 500 * millisecond},
			{wait: rtt, server: true, flags: RST | ACK}}
	}
	return []step{syn, {wait: millisecond, server: true, icmp: true}, retransmit,
		{wait: millisecond, server: true, icmp: true}}
}

// blocked is the result of an attempt that the site's firewall blocks.
func (e Egress) blocked() attemptResult {
	switch e {
	case Drop:
		return unanswered
	case Reset:
		return refused
	}
	return prohibited
}
