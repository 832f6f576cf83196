package detect

import (
	"testing"

	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff/refusal"
)

// A scene is a row of observations about one host, in seconds from its beginning.
type scene struct {
	n    Counters
	p    Profile
	cfg  Config
	now  int64
	dest uint32
	// server is the number of the latest server that decided about a mail.
	server uint32
	won    verdict.Level
	at     float64 // seconds at which won was reached
	class  verdict.Class
}

const begin = int64(1.7e18)

func newScene() *scene { return &scene{cfg: DefaultConfig(), now: begin} }

// see gives an observation to the counters and the profile; without a time it is made now.
func (s *scene) see(o Observation) {
	if o.Time == 0 {
		o.Time = s.now
	}
	s.n.Observe(&o)
	s.p.Observe(&s.cfg, &s.n, &o)
}

func (s *scene) wait(seconds float64) *scene { s.now += int64(seconds * 1e9); return s }

func (s *scene) judge() {
	if v := s.p.Judge(&s.n, s.now); v.Level > s.won {
		s.won, s.at, s.class = v.Level, float64(s.now-begin)/1e9, v.Class
	}
}

// tries is n attempts, one every interval, each to another network, or all to one.
func (s *scene) tries(n int, port uint16, interval float64, spread bool) *scene {
	for range n {
		if spread {
			s.dest++
		}
		a := Observation{Kind: KindSYN, Time: s.now, Addr: mix(s.dest), Net: mix(s.dest + 1<<20), Port: port, External: true}
		if s.n.Attempts == 0 {
			s.p.Adopt(&s.cfg, &s.n)
		}
		s.see(a)
		s.judge()
		s.wait(interval)
		s.p.ExpireContacts(&s.cfg, s.now)
		s.judge()
		s.n.Closed()
	}
	return s
}

func (s *scene) helo(name string) *scene {
	h := uint32(1)
	for _, c := range name {
		h = h*31 + uint32(c)
	}
	s.see(Observation{Kind: KindEstablished, Addr: 0, Net: mix(s.dest + 1<<20), Port: 25})
	s.see(Observation{Kind: KindAttested})
	s.see(Observation{Kind: KindHelo, Text: []byte(name), Hash: h, Port: 25, External: true})
	s.judge()
	return s
}

// sessions is n mails that as many servers refuse or accept.
func (s *scene) sessions(n int, refused bool) *scene {
	for range n {
		s.server++
		s.see(Observation{Kind: KindDecided, Refused: refused, Listed: false, Net: mix(s.server + 1<<22)})
		s.judge()
		s.wait(1)
	}
	return s
}

func (s *scene) listed() *scene {
	s.see(Observation{Kind: KindListed, Listing: &Listing{"zen.spamhaus.org", "blocked using zen.spamhaus.org", refusal.Blocklisted}})
	s.judge()
	return s
}

func relayed(n int) *scene {
	s := newScene()
	for range n {
		a := Observation{Kind: KindSYN, Time: s.now, Addr: 1, Net: 1, Port: 25}
		s.see(a)
		s.judge()
		s.wait(0.05)
	}
	return s
}

// from is a mail in the name of a domain, in a session that is refused or not.
func (s *scene) from(domain uint32, refused bool) *scene {
	s.see(Observation{Kind: KindSender, Hash: mix(domain), External: true})
	s.see(Observation{Kind: KindDecided, Refused: refused, Listed: false, NewFrom: true})
	s.judge()
	return s.wait(2)
}

// decided is n mails that one server decides about.
func (s *scene) decided(n int, o Observation) *scene {
	o.Kind, o.Net = KindDecided, 1
	for range n {
		s.see(o)
		s.judge()
		s.wait(1)
	}
	return s
}

// odd is two sessions that are spoken so.
func (s *scene) odd(o Oddity) *scene {
	s.see(Observation{Kind: KindDialect, Oddities: o})
	s.see(Observation{Kind: KindDialect, Oddities: o})
	return s
}

// mine is n sessions with n providers.
func (s *scene) mine(n int) *scene {
	for range n {
		s.tries(1, 587, 0, true)
		s.see(Observation{Kind: KindSYNACK, Addr: mix(s.dest), Port: 587})
		s.see(Observation{Kind: KindEstablished, Addr: mix(s.dest), Net: mix(s.dest + 1<<20), Port: 587})
		s.see(Observation{Kind: KindClientSpoke})
		s.judge()
		s.wait(600)
	}
	return s
}

// opens is n attempts, one every interval, each to another network and with a complete handshake.
func (s *scene) opens(n int, interval float64, greeted bool) *scene {
	for range n {
		s.tries(1, 25, 0, true)
		s.see(Observation{Kind: KindSYNACK, Addr: mix(s.dest), Port: 25})
		s.see(Observation{Kind: KindEstablished, Addr: mix(s.dest), Net: mix(s.dest + 1<<20), Port: 25})
		if greeted {
			s.see(Observation{Kind: KindGreeted})
		}
		s.judge()
		s.wait(interval)
	}
	return s
}

// again is n further attempts as tries makes them, each with its SYN sent again after a second.
func (s *scene) again(n int, interval float64) *scene {
	for range n {
		s.tries(1, 25, 1, true)
		s.see(Observation{Kind: KindRetransmit, Addr: mix(s.dest), Net: mix(s.dest + 1<<20), Hash: mix(s.dest + 1<<21), After: second})
		s.judge()
		s.wait(interval - 1)
		s.p.ExpireContacts(&s.cfg, s.now)
		s.judge()
	}
	return s
}

func mix(i uint32) uint32 { // splitmix64
	z := uint64(i) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return uint32(z ^ z>>31)
}

// row is a scene, and whether it must raise a reason.
type row struct {
	name string
	s    *scene
	want bool
}

// check looks for a reason in each row.
func check(t *testing.T, code Code, rows ...row) {
	t.Helper()
	for _, r := range rows {
		r.s.judge()
		if r.s.p.has(code) != r.want {
			t.Errorf("%s of %s: %v, want %v", code, r.name, !r.want, r.want)
		}
	}
}

// sees gives n observations, one every interval, that f makes of their number.
func (s *scene) sees(n int, interval float64, f func(i uint32) Observation) *scene {
	for i := range n {
		s.see(f(uint32(i)))
		s.wait(interval)
	}
	return s
}
