package campaign

import (
	"math/rand/v2"
	"net/netip"
)

// step is one segment of a connection, wait after the one before it.
type step struct {
	wait   int64
	server bool
	flags  uint8
	data   []byte
	clear  bool // the client says something that can be read
	listed bool // a reply that names a blocklist
	relay  bool // a stranger's message for strangers was taken
	again  bool // the segment before it once more
	admin  bool // not a segment but an ICMP error about the SYN
}

// conn plays a connection. One end is a host of the site.
type conn struct {
	h              *Host // whose doing it is
	client, server netip.AddrPort
	inbound        bool // the client is outside
	bad            bool
	answered       bool // by the server, with a SYN-ACK
	said           bool // something that can be read
	seq            [2]uint32
	steps          []step
	at             int
	ttl            uint8
	over           func()
}

// open begins a connection of a host now and plays it.
func (h *Host) open(to netip.AddrPort, bad bool, steps []step) *conn {
	return h.start(netip.AddrPortFrom(h.Addr, h.port()), to, bad, steps)
}

func (h *Host) port() uint16 {
	h.ports++
	return 32768 + h.ports%28000
}

// start begins a connection between any two addresses.
func (h *Host) start(from, to netip.AddrPort, bad bool, steps []step) *conn {
	c := &conn{h: h, client: from, server: to, bad: bad, steps: steps, ttl: h.ttl,
		seq: [2]uint32{h.rng.Uint32(), h.rng.Uint32()}}
	c.inbound = h.site.outside(from.Addr())
	h.site.begin(h.site.now+steps[0].wait, c)
	return c
}

func (s *Site) outside(a netip.Addr) bool { return a.As4()[0] != 10 }

func (c *conn) step() int64 {
	s := &c.steps[c.at]
	c.at++
	c.mark(s)
	c.send(s)
	if c.at == len(c.steps) {
		if c.over != nil {
			c.over()
		}
		return 0
	}
	return c.h.site.now + c.steps[c.at].wait
}

// mark notes what the host did.
func (c *conn) mark(s *step) {
	h, now := c.h, c.h.site.now
	if s.relay {
		mark(&h.Marks.Relayed, now)
		h.turn(now)
	}
	if s.flags == SYN && !s.again && !c.inbound {
		h.Attempts++
	}
	if !c.bad {
		return
	}
	switch {
	case s.flags == SYN && !s.again:
		h.turn(now)
		mark(&h.Marks.Attempts, now)
		if to := c.server.Addr(); !h.servers[to] {
			h.servers[to] = true
			mark(&h.Marks.Servers, now)
		}
		b := c.server.Addr().As4()
		if n := [3]byte(b[:3]); !h.nets[n] {
			h.nets[n] = true
			mark(&h.Marks.Nets, now)
		}
	case s.flags == SYN|ACK:
		mark(&h.Marks.Sessions, now)
	case s.clear && !c.said:
		c.said = true
		mark(&h.Marks.Readable, now)
	case s.listed:
		mark(&h.Marks.Listed, now)
	}
}

// turn notes the first moment at which a host is what it should be found for.
func (h *Host) turn(now int64) {
	if h.Bad == 0 && h.Infected() {
		h.Bad = now
	}
}

func (c *conn) send(s *step) {
	site := c.h.site
	p := &site.packet
	d := 0
	p.Src, p.Dst = c.client, c.server
	if s.server {
		d = 1
		p.Src, p.Dst = c.server, c.client
	}
	if s.again {
		c.seq[d] = c.seq[d] - 1 // only SYNs are repeated
	}
	p.Proto, p.Flags, p.Seq, p.Ack, p.Payload = TCP, s.flags, c.seq[d], c.seq[1-d], s.data
	if s.flags&ACK == 0 {
		p.Ack = 0
	}
	c.answered = c.answered || s.server && s.flags&SYN != 0
	if s.server && s.flags&RST != 0 && !c.answered {
		p.Seq = 0 // nothing was agreed on (RFC 9293, 3.10.7.1)
	}
	if s.admin {
		p.Proto, p.Payload = ICMP, nil
		p.Src = netip.AddrPortFrom(gateway(site.lan), 0)
		p.Quoted.To, p.Quoted.FromPort, p.Quoted.Seq = c.server, c.client.Port(), c.seq[0]-1
	} else {
		c.seq[d] += uint32(len(s.data))
		if s.flags&(SYN|FIN) != 0 {
			c.seq[d]++
		}
	}
	c.h.give(p, s.server == c.inbound, c.ttl)
}

func gateway(lan netip.Addr) netip.Addr {
	b := lan.As4()
	b[2], b[3] = 1, 1
	return netip.AddrFrom4(b)
}

// give puts a packet on the wire.
func (h *Host) give(p *Packet, inside bool, ttl uint8) {
	s := h.site
	p.Time, p.Host, p.Inside = s.now, h, inside
	p.ID = uint16(s.rng.Uint32())
	p.MAC, p.TTL = router, 52
	if inside {
		p.MAC, p.TTL = h.MAC, ttl
	}
	if s.cfg.V6 || h.six {
		p.Src, p.Dst = mappedPort(p.Src), mappedPort(p.Dst)
		if p.Proto == ICMP {
			p.Quoted.To = mappedPort(p.Quoted.To)
		}
	}
	h.Frames++
	s.emit(p)
}

func mappedPort(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(mapped(a.Addr()), a.Port())
}

// fate is what becomes of an attempt.
type fate int

const (
	answered fate = iota
	silent        // nothing comes back
	// a reset when the client has long given up: 72.6 s after the last SYN (median) in Emotet's
	// trace [M]
	late
	refused // a reset at once
	admin   // ICMP, administratively prohibited
)

// knock is an attempt that does not become a session. Every attempt is two SYNs, 3 s apart: 3,045
// SYNs for 1,560 attempts [M].
func knock(r *rand.Rand, f fate) []step {
	syn, again := step{flags: SYN}, step{flags: SYN, again: true, wait: 3 * second}
	switch f {
	case silent:
		return []step{syn, again}
	case late:
		return []step{syn, again, {wait: between(r, 60*second, 80*second), server: true,
			flags: RST | ACK}}
	case refused:
		rtt := between(r, 5*millisecond, 150*millisecond)
		return []step{syn, {wait: rtt, server: true, flags: RST | ACK},
			{flags: SYN, again: true, wait: 500 * millisecond},
			{wait: rtt, server: true, flags: RST | ACK}}
	}
	return []step{syn, {wait: millisecond, server: true, admin: true}, again,
		{wait: millisecond, server: true, admin: true}}
}

// blocked is what the site's firewall makes of an attempt.
func (e Egress) blocked() fate {
	switch e {
	case Drop:
		return silent
	case Reset:
		return refused
	}
	return admin
}
