package reference

import (
	"net/netip"

	"spamsensor/bench/campaign"
)

// Suite tracks connections and tells the detectors.
type Suite struct {
	Detectors []Detector
	Alarms    []map[netip.Addr]int64 // of each detector: when it first named a host
	Declared  map[netip.Addr]bool    // hosts that are left out
	conns     map[key]*conn
	known     map[pair]bool // who had an outcome with whom
	soon      []wait        // half-open ones, by time
	later     []wait
	swept     int64
}

type key struct{ client, server netip.AddrPort }

type pair struct{ src, dst netip.Addr }

type conn struct {
	key            key
	seq            uint32
	last           int64
	answered, over bool
	failed         bool
	data, decided  bool // after 354; a refusal or a delivery was seen
}

type wait struct {
	at int64
	c  *conn
}

// NewSuite makes a suite of detectors.
func NewSuite(list []Detector, declared []netip.Addr) *Suite {
	s := &Suite{Detectors: list, Declared: map[netip.Addr]bool{}, conns: map[key]*conn{},
		known: map[pair]bool{}}
	for range list {
		s.Alarms = append(s.Alarms, map[netip.Addr]int64{})
	}
	for _, a := range declared {
		s.Declared[a] = true
	}
	return s
}

// Home reports whether an address is a host of the site.
func Home(a netip.Addr) bool { return a.IsPrivate() }

func mailPort(p uint16) bool { return p == 25 || p == 465 || p == 587 || p == 2525 }

// See takes in a packet; payload is what was captured of it.
func (s *Suite) See(p *campaign.Packet, payload []byte) {
	s.expire(p.Time)
	switch p.Proto {
	case campaign.UDP:
		if p.Dst.Port() == 53 && mxQuery(payload) {
			s.tell(MXQuery, p.Time, key{p.Src, p.Dst})
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
			return // the same attempt
		}
		if c != nil {
			s.close(c, p.Time)
		}
		c = &conn{key: k, seq: p.Seq, last: p.Time}
		s.conns[k] = c
		s.soon, s.later = append(s.soon, wait{p.Time + 5*second, c}),
			append(s.later, wait{p.Time + 21*second, c})
		s.tell(Attempt, p.Time, k)
		return
	}
	if c == nil || c.over {
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
			s.outcome(Opened, c, p.Time)
		}
		c.answered = true
	case up && says(payload):
		s.tell(MailFrom, p.Time, k)
	case !up && !c.decided:
		s.reply(c, p.Time, payload)
	}
}

// reply looks for the first decision of a session: a refusal, or 250 at the end of data.
func (s *Suite) reply(c *conn, now int64, b []byte) {
	if len(b) < 4 || b[0] < '2' || b[0] > '5' || b[1] < '0' || b[1] > '9' {
		return
	}
	switch {
	case b[0] >= '4':
		c.decided = true
		s.tell(Rejected, now, c.key)
	case c.data && b[0] == '2':
		c.decided = true
		s.tell(Delivered, now, c.key)
	}
	c.data = c.data || b[0] == '3'
	// the last line of a batch of replies may be the 354, and one of them a refusal
	for i := range b {
		if i+3 < len(b) && b[i] == '\n' && !c.decided {
			c.data = c.data || b[i+1] == '3'
			if b[i+1] == '4' || b[i+1] == '5' {
				c.decided = true
				s.tell(Rejected, now, c.key)
			}
		}
	}
}

func (s *Suite) fail(c *conn, now int64) {
	if !c.failed {
		c.failed = true
		s.outcome(Failed, c, now)
	}
	if !c.over {
		c.over = true
		s.tell(GivenUp, now, c.key)
	}
}

// close ends a connection; a half-open one was never in anybody's table for long.
func (s *Suite) close(c *conn, now int64) {
	if c.over {
		return
	}
	if !c.answered {
		s.fail(c, now)
		return
	}
	c.over = true
	s.tell(Closed, now, c.key)
}

func (s *Suite) outcome(k Kind, c *conn, now int64) {
	p := pair{c.key.client.Addr(), c.key.server.Addr()}
	f := Fact{Kind: k, Time: now, Src: p.src, Dst: p.dst, Port: c.key.server.Port(),
		New: !s.known[p]}
	s.known[p] = true
	s.give(&f)
}

func (s *Suite) tell(k Kind, now int64, of key) {
	s.give(&Fact{Kind: k, Time: now, Src: of.client.Addr(), Dst: of.server.Addr(),
		Port: of.server.Port()})
}

func (s *Suite) give(f *Fact) {
	if s.Declared[f.Src] {
		return
	}
	for i, d := range s.Detectors {
		if d.See(f) {
			if _, known := s.Alarms[i][f.Src]; !known {
				s.Alarms[i][f.Src] = f.Time
			}
		}
	}
}

// expire does what time does to half-open connections, and forgets those that are over.
func (s *Suite) expire(now int64) {
	for len(s.soon) > 0 && s.soon[0].at <= now {
		w := s.soon[0]
		s.soon = s.soon[1:]
		if c := w.c; !c.answered && !c.failed {
			c.failed = true
			s.outcome(Failed, c, w.at)
		}
	}
	for len(s.later) > 0 && s.later[0].at <= now {
		w := s.later[0]
		s.later = s.later[1:]
		if c := w.c; !c.answered && !c.over {
			c.over = true
			s.tell(GivenUp, w.at, c.key)
		}
	}
	if now-s.swept < 10*minute {
		return
	}
	s.swept = now
	for k, c := range s.conns {
		if c.over && now-c.last > minute || now-c.last > 60*minute {
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
