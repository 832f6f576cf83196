package lookups

import "testing"

const begin = int64(1.7e18)

// TestAsked: a query counts once however often the capture shows it, and domains for an hour.
func TestAsked(t *testing.T) {
	var l Log
	for i := range uint32(3) {
		for range 2 { // twice on the mirror port
			l.Asked(MX, 100+i, "", 1+i, begin+int64(i)*1000*second)
		}
	}
	l.Asked(Host, 7, "mail.example.org", 10, begin)
	l.Asked(List, 0, "2.0.0.127.zen.example", 11, begin)
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"queries for mail servers", int(l.MX), 3},
		{"domains within an hour", l.MXDomains(begin + 2000*second), 3},
		{"domains of which one is too old", l.MXDomains(begin + 4000*second), 2},
		{"mail hosts", l.Hosts.Count(begin+5*second, NamesWindow), 1},
		{"mail hosts that are too old", l.Hosts.Count(begin+700*second, NamesWindow), 0},
		{"queries to blocklists", int(l.Lists), 1},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.what, c.got, c.want)
		}
	}
}

// TestConnected: an attempt belongs to an answer of the last minute, and the first stays as the
// example.
func TestConnected(t *testing.T) {
	var l Log
	a, b := [16]byte{15: 1}, [16]byte{15: 2}
	l.Answered("mx1.example.org", a, begin)
	l.Answered("mx2.example.org", b, begin)
	for _, c := range []struct {
		addr  [16]byte
		after int64
		want  bool
	}{{[16]byte{15: 3}, second, false}, {a, -second, false}, {a, 61 * second, false},
		{a, 60 * second, true}, {b, second, true}} {
		if got := l.Connected(&c.addr, begin+c.after); got != c.want {
			t.Errorf("%d after %d s: %v", c.addr[15], c.after/second, got)
		}
	}
	if l.Linked != "mx1.example.org" || l.LinkedAfter != 60*second {
		t.Errorf("the example is %s after %d", l.Linked, l.LinkedAfter)
	}
}
