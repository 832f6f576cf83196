package reference

import (
	"net/netip"

	"spamsensor/bench/campaign"
)

// Suite tracks connections and passes observations to the detectors.
type Suite struct {
	Detectors []Detector
	// for each detector, the time of its first alarm about a host
	Alarms       []map[netip.Addr]int64
	Declared     map[netip.Addr]bool // hosts whose observations are left out
	conns        map[key]*conn
	contacted    map[pair]bool // pairs with a result
	failTimers   []timer       // of half-open connections, by time
	giveUpTimers []timer
	lastSweep    int64
}

type key struct{ client, server netip.AddrPort }

type pair struct{ src, dst netip.Addr }

type conn struct {
	key              key
	seq              uint32
	last             int64
	answered, closed bool
	failed           bool
	data, decided    bool // a 354 was seen; a refusal or a delivery was seen
}

type timer struct {
	at int64
	c  *conn
}

// NewSuite makes a suite of detectors. declared are hosts that are left out.
func NewSuite(list []Detector, declared []netip.Addr) *Suite {
	s := &Suite{Detectors: list, Declared: map[netip.Addr]bool{}, conns: map[key]*conn{},
		contacted: map[pair]bool{}}
	for range list {
		s.Alarms = append(s.Alarms, map[netip.Addr]int64{})
	}
	for _, a := range declared {
		s.Declared[a] = true
	}
	return s
}

// Home reports whether an address is internal.
func Home(a netip.Addr) bool { return a.IsPrivate() }

func mailPort(p uint16) bool { return p == 25 || p == 465 || p == 587 || p == 2525 }

// Packet takes in a packet; payload is the captured part of its payload, which is not kept.
func (s *Suite) Packet(p *campaign.Packet, payload []byte) {
	s.expire(p.Time)
	switch p.Proto {
	case campaign.UDP:
		if p.Dst.Port() == 53 && mxQuery(payload) {
			s.observe(MXQuery, p.Time, key{p.Src, p.Dst})
		}
		return
	case campaign.ICMP:
		c := s.conns[key{netip.AddrPortFrom(p.Dst.Addr(), p.Quoted.FromPort), p.Quoted.To}]
		if c != nil && !c.answered {
			s.fail(c, p.Time)
		}
		return
	}
	k, up := key{p.Src, p.Dst}, true
	if !mailPort(p.Dst.Port()) {
		k, up = key{p.Dst, p.Src}, false
	}
	if !mailPort(k.server.Port()) || !Home(k.client.Addr()) || Home(k.server.Addr()) {
		return
	}
	c := s.conns[k]
	if up && p.Flags&(campaign.SYN|campaign.ACK) == campaign.SYN {
		if c != nil && c.seq == p.Seq {
			return // a retransmission
		}
		if c != nil {
			s.close(c, p.Time)
		}
		c = &conn{key: k, seq: p.Seq, last: p.Time}
		s.conns[k] = c
		s.failTimers, s.giveUpTimers = append(s.failTimers, timer{p.Time + 5*second, c}),
			append(s.giveUpTimers, timer{p.Time + 21*second, c})
		s.observe(Attempt, p.Time, k)
		return
	}
	if c == nil || c.closed {
		return
	}
	c.last = p.Time
	switch {
	case p.Flags&campaign.RST != 0 && !c.answered && !up:
		s.fail(c, p.Time)
	case p.Flags&(campaign.FIN|campaign.RST) != 0:
		s.close(c, p.Time)
	case !up && p.Flags&campaign.SYN != 0:
		if !c.answered && !c.failed {
			s.contact(Opened, c, p.Time)
		}
		c.answered = true
	case up && hasMailFrom(payload):
		s.observe(MailFrom, p.Time, k)
	case !up && !c.decided:
		s.reply(c, p.Time, payload)
	}
}

// reply finds the first decision of a session: a refusal, or 250 at the end of data.
func (s *Suite) reply(c *conn, now int64, b []byte) {
	if len(b) < 4 || b[0] < '2' || b[0] > '5' || b[1] < '0' || b[1] > '9' {
		return
	}
	switch {
	case b[0] >= '4':
		c.decided = true
		s.observe(Rejected, now, c.key)
	case c.data && b[0] == '2':
		c.decided = true
		s.observe(Delivered, now, c.key)
	}
	c.data = c.data || b[0] == '3'
	// One segment may hold several replies: the last may be the 354, and one of them a refusal.
	for i := range b {
		if i+3 < len(b) && b[i] == '\n' && !c.decided {
			c.data = c.data || b[i+1] == '3'
			if b[i+1] == '4' || b[i+1] == '5' {
				c.decided = true
				s.observe(Rejected, now, c.key)
			}
		}
	}
}

// fail ends an attempt that was refused.
func (s *Suite) fail(c *conn, now int64) {
	if !c.failed {
		c.failed = true
		s.contact(Failed, c, now)
	}
	if !c.closed {
		c.closed = true
		s.observe(GivenUp, now, c.key)
	}
}

// close ends a connection. A half-open connection has failed.
func (s *Suite) close(c *conn, now int64) {
	if c.closed {
		return
	}
	if !c.answered {
		s.fail(c, now)
		return
	}
	c.closed = true
	s.observe(Closed, now, c.key)
}

// contact observes the result of an attempt.
func (s *Suite) contact(k Kind, c *conn, now int64) {
	p := pair{c.key.client.Addr(), c.key.server.Addr()}
	f := Observation{Kind: k, Time: now, Src: p.src, Dst: p.dst, Port: c.key.server.Port(),
		FirstContact: !s.contacted[p]}
	s.contacted[p] = true
	s.dispatch(&f)
}

// observe makes an observation about a connection.
func (s *Suite) observe(k Kind, now int64, of key) {
	s.dispatch(&Observation{Kind: k, Time: now, Src: of.client.Addr(), Dst: of.server.Addr(),
		Port: of.server.Port()})
}

// dispatch passes an observation to all detectors and notes their first alarms.
func (s *Suite) dispatch(f *Observation) {
	if s.Declared[f.Src] {
		return
	}
	for i, d := range s.Detectors {
		if d.Observe(f) {
			if _, known := s.Alarms[i][f.Src]; !known {
				s.Alarms[i][f.Src] = f.Time
			}
		}
	}
}

// expire runs the timers of half-open connections, and removes closed connections.
func (s *Suite) expire(now int64) {
	for len(s.failTimers) > 0 && s.failTimers[0].at <= now {
		w := s.failTimers[0]
		s.failTimers = s.failTimers[1:]
		if c := w.c; !c.answered && !c.failed {
			c.failed = true
			s.contact(Failed, c, w.at)
		}
	}
	for len(s.giveUpTimers) > 0 && s.giveUpTimers[0].at <= now {
		w := s.giveUpTimers[0]
		s.giveUpTimers = s.giveUpTimers[1:]
		if c := w.c; !c.answered && !c.closed {
			c.closed = true
			s.observe(GivenUp, w.at, c.key)
		}
	}
	if now-s.lastSweep < 10*minute {
		return
	}
	s.lastSweep = now
	for k, c := range s.conns {
		if c.closed && now-c.last > minute || now-c.last > 60*minute {
			s.close(c, now)
			delete(s.conns, k)
		}
	}
}

// mxQuery reports whether a DNS message asks for an MX (RFC 1035, section 4.1).
func mxQuery(b []byte) bool {
	if len(b) < 12 || b[2]&0x80 != 0 || b[5] == 0 {
		return false
	}
	i := 12
	for i < len(b) && b[i] != 0 {
		i += 1 + int(b[i])
	}
	return i+2 < len(b) && b[i+1] == 0 && b[i+2] == 15
}
