package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// private is one SYN of a host in the default home networks, with a link-layer address of its own.
func private(mac byte) []timedFrame {
	return gateway(from(at(newConn("192.168.1.50", "198.51.100.99", 51000, 25).syn().frames, -second), mac))
}

// gateway has the frames of the client go to the link-layer address of the server's frames.
func gateway(frames []timedFrame) []timedFrame {
	for _, f := range frames {
		copy(f.data[:6], []byte{2, 0, 0, 0, 0, 2})
	}
	return frames
}

// publicBot is a bot at an address that no configuration names: refused in each session, or without
// an answer.
func publicBot(client string, mac byte, answered bool) (frames []timedFrame) {
	for i := range 30 {
		server := fmt.Sprintf("198.51.%d.25", i)
		if netip.MustParseAddr(client).Is6() {
			server = fmt.Sprintf("2001:db8:%x::25", 1000+i)
		}
		c := newConn(client, server, uint16(40000+i), 25)
		c.at += int64(i) * 3 * second
		c.seq[0] = uint32(i) * 7919
		if answered {
			refusing(c)
		} else {
			insisting(c)
		}
		frames = append(frames, c.frames...)
	}
	return gateway(from(frames, mac))
}

// highest is the highest level of a host's verdict as a spambot.
func highest(r *results, host string) (l verdict.Level) {
	for _, f := range r.findings {
		if f.Class == verdict.Spambot && f.Source.Addr.String() == host {
			l = max(l, f.Level)
		}
	}
	return l
}

// TestLearnedNetworks checks which addresses outside the home networks are judged beside a private
// one, and that others are named if they would have a level.
func TestLearnedNetworks(t *testing.T) {
	v4only := []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")}
	for _, c := range []struct {
		name, bot string
		frames    []timedFrame
		home      []netip.Prefix
		judged    bool
	}{
		{"global IPv6", "2001:db8:1:1::66", publicBot("2001:db8:1:1::66", 6, true), nil, true},
		{"public IPv4", "203.0.113.66", publicBot("203.0.113.66", 6, true), nil, true},
		{"without an answer, the same next hop", "2001:db8:1:1::66", publicBot("2001:db8:1:1::66", 6, false), nil, true},
		{"IPv4 alone is configured", "2001:db8:1:1::66", publicBot("2001:db8:1:1::66", 6, true), v4only, true},
		{"the family is configured", "203.0.113.66", publicBot("203.0.113.66", 6, true), v4only, false},
		{"the family is configured, a home machine", "203.0.113.66", publicBot("203.0.113.66", 50, true), v4only, true},
		{"behind a router", "203.0.113.66", hop(publicBot("203.0.113.66", 6, true), 63), nil, false},
	} {
		for _, live := range []bool{false, true} {
			cfg := Config{Home: c.home, HomeStated: c.home != nil, Live: live}
			e := New(cfg, Output{})
			r := analyse(cfg, together(private(50), c.frames))
			if got := highest(r, c.bot); got >= verdict.Likely != c.judged {
				t.Errorf("%s, live %v: %s", c.name, live, got)
			}
			w := feeder{w: e.Worker(), size: 100}
			for _, f := range together(private(50), c.frames) {
				w.take(f)
			}
			if len(w.list) > 0 {
				w.flush()
			}
			e.Finish("end_of_input")
			st := e.Stats()
			if named := slices.ContainsFunc(st.Unjudged, func(u finding.Unjudged) bool { return u.Addr.String() == c.bot }); named == c.judged {
				t.Errorf("%s, live %v: named %v of %d", c.name, live, named, st.UnjudgedCount)
			}
		}
	}
}

// TestUnjudgedOfFiles checks that each host of a file that is not judged is known, so that a report
// about one of them cannot call it clean, and that only the first are live.
func TestUnjudgedOfFiles(t *testing.T) {
	lists := [][]timedFrame{private(50)}
	const hosts = 12
	for i := range hosts {
		lists = append(lists, publicBot(fmt.Sprintf("203.0.113.%d", 60+i), byte(60+i), true))
	}
	for _, live := range []bool{false, true} {
		cfg := Config{Home: []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")}, HomeStated: true, Live: live}
		e := New(cfg, Output{})
		w := feeder{w: e.Worker(), size: 100}
		for _, f := range together(lists...) {
			w.take(f)
		}
		if len(w.list) > 0 {
			w.flush()
		}
		e.Finish("end_of_input")
		st, want := e.Stats(), hosts
		if live {
			want = 8
		}
		if len(st.Unjudged) != want || st.UnjudgedCount != hosts || !slices.IsSortedFunc(st.Unjudged, finding.Unjudged.Compare) {
			t.Errorf("live %v: %d of %d named, want %d: %v", live, len(st.Unjudged), st.UnjudgedCount, want, st.Unjudged)
		}
	}
}

// TestOutsideClientsStayOutside checks that clients from the Internet are neither judged nor named:
// they come in through a router, or a load balancer shows them with a full hop limit.
func TestOutsideClientsStayOutside(t *testing.T) {
	for name, ttl := range map[string]byte{"a router": 49, "a load balancer": 64} {
		for _, server := range []string{"192.168.1.25", "203.0.113.25"} {
			var frames []timedFrame
			for i := range 30 {
				c := newConn(fmt.Sprintf("198.51.%d.9", i/6), server, uint16(40000+i), 25)
				c.at += int64(i) * 3 * second
				refusing(c)
				frames = append(frames, c.frames...)
			}
			for _, live := range []bool{false, true} {
				cfg := Config{Live: live}
				r := analyse(cfg, together(private(50), hop(from(frames, 7), ttl)))
				for i := range 5 {
					if got := highest(r, fmt.Sprintf("198.51.%d.9", i)); got > verdict.NoLevel {
						t.Errorf("%s to %s, live %v: %s", name, server, live, got)
					}
				}
			}
		}
	}
}
