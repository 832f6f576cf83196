package detect

import (
	"testing"

	"spamsensor/sensor/verdict"
)

// again is n further attempts as tries makes them, each with its SYN sent again after a second.
func (s *scene) again(n int, interval float64) *scene {
	for range n {
		s.tries(1, 25, 1, true)
		s.h.SYNRetransmitted(&s.cfg, mix(s.dest), mix(s.dest+1<<20), mix(s.dest+1<<21), second, s.now)
		s.judge()
		s.wait(interval - 1)
		s.h.ExpireContacts(&s.cfg, s.now)
		s.judge()
	}
	return s
}

// ways has the SYNs of a scene come from machines behind it, by their TTL in turn.
func (s *scene) ways(ttl ...uint8) *scene {
	for i, t := range ttl {
		s.h.behaviour.ttl[i] = ttlCount{t, 1000}
	}
	return s
}

// What SYNs alone say.
func TestSYNsAlone(t *testing.T) {
	for _, r := range []struct {
		name string
		s    *scene
		want verdict.Level
		has  []Code
		not  []Code
	}{
		{"a flood in somebody's name", newScene().tries(10_000, 25, 0.1, true), verdict.Suspect, []Code{Flood}, []Code{Failures}},
		{"a flood from a TCP that waits for some of its answers", newScene().again(4, 20).tries(150, 25, 1, true), verdict.Likely, []Code{Flood}, []Code{Failures}},
		{"the same from many machines", newScene().ways(64, 128).again(4, 20).tries(150, 25, 1, true), verdict.Suspect, []Code{Flood}, []Code{Failures}},
		{"twenty new servers in five minutes, for a quarter of an hour", newScene().again(4, 20).tries(70, 25, 15, true), verdict.Likely, []Code{Flood}, []Code{Failures}},
		{"twenty in five minutes, once", newScene().again(4, 20).tries(20, 25, 15, true), verdict.Suspect, nil, []Code{Flood, Failures}},
		{"a busy server, 60 an hour", newScene().again(4, 60).tries(300, 25, 60, true), verdict.Suspect, nil, []Code{Flood, Failures}},
		{"a queue of 500 to one server", newScene().again(3, 20).tries(500, 25, 0.5, false), verdict.NoLevel, []Code{Burst}, []Code{Flood, Failures}},
		{"none of ten answers", newScene().again(10, 20), verdict.Likely, []Code{Failures}, []Code{Flood}},
		{"a line that is down for a while", newScene().tries(40, 25, 60, true).again(20, 60), verdict.Suspect, nil, []Code{Failures, Flood}},
	} {
		if r.s.won != r.want {
			v := r.s.h.Judge(&r.s.f, r.s.now)
			t.Errorf("%s: %s (score %.1f), want %s", r.name, r.s.won, v.Score, r.want)
		}
		for _, c := range r.has {
			if !r.s.h.has(c) {
				t.Errorf("%s: no %s", r.name, c)
			}
		}
		for _, c := range r.not {
			if r.s.h.has(c) {
				t.Errorf("%s: %s", r.name, r.s.h.Text(c, &r.s.f))
			}
		}
	}
}

// That nothing comes back is known to be the firewall's doing only where an answer would be seen,
// or where a TCP goes on asking.
func TestEgressUnseen(t *testing.T) {
	answered := newScene().tries(1, 587, 0, true)
	answered.h.Answered(&answered.cfg, mix(answered.dest), 587, answered.now)
	for name, c := range map[string]struct {
		s    *scene
		want Egress
	}{
		"SYNs alone":               {newScene().tries(40, 25, 1, true), UnknownEgress},
		"SYNs that are repeated":   {newScene().again(40, 10), DropEgress},
		"answers on another port":  {answered.tries(40, 25, 1, true), DropEgress},
		"a few that are repeated":  {newScene().again(4, 10).tries(40, 25, 1, true), UnknownEgress},
		"few attempts, no verdict": {newScene().again(8, 10), UnknownEgress},
	} {
		if got := c.s.h.Egress(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Where one direction is seen, silence says nothing: a client that goes on with its handshake was
// answered.
func TestOneDirection(t *testing.T) {
	s := newScene()
	for range 20 {
		s.tries(1, 587, 0, true)
		s.h.Opened(&s.cfg, mix(s.dest), mix(s.dest+1<<20), 587, false, s.now)
		s.wait(30)
		s.h.ExpireContacts(&s.cfg, s.now)
		s.judge()
	}
	if s.h.has(Failures) || s.h.contacts.worked != 20 {
		t.Errorf("%d failed, %d worked", s.h.contacts.failed, s.h.contacts.worked)
	}
	if s.won != verdict.Suspect {
		t.Errorf("%s", s.won)
	}
}

// Three kinds of machines behind one address are several, whichever of them was seen first.
func TestSeveral(t *testing.T) {
	for _, c := range []struct {
		ttl  []uint8
		want bool
	}{
		{[]uint8{64, 64, 64, 64, 64, 64}, false},
		{[]uint8{64, 64, 64, 128, 128}, false},
		{[]uint8{64, 64, 64, 128, 128, 128}, true},
		{[]uint8{255, 64, 64, 64, 128, 128, 128}, true},
	} {
		var h Profile
		for _, ttl := range c.ttl {
			h.behaviour.attempted(&Observation{Time: begin, TTL: ttl}, false)
		}
		if h.BehindNAT() != c.want {
			t.Errorf("%v: several %v", c.ttl, !c.want)
		}
	}
	for _, c := range []struct {
		ttl  []uint8
		near bool
	}{{[]uint8{64, 64}, true}, {[]uint8{128}, true}, {[]uint8{255}, true}, {[]uint8{63}, false}, {[]uint8{127, 127}, false}, {[]uint8{64, 63}, false}, {nil, false}} {
		var h Profile
		for _, ttl := range c.ttl {
			h.behaviour.attempted(&Observation{Time: begin, TTL: ttl}, false)
		}
		if h.OnLink() != c.near {
			t.Errorf("%v: near %v", c.ttl, !c.near)
		}
	}
}
