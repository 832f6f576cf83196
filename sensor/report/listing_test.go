package report

import (
	"net/netip"
	"slices"
	"testing"

	"spamsensor/sensor/timeline"
)

// TestDelisting checks that the advice names the lists and the address, and that a reply which
// quotes the sentence about the address cannot set it.
func TestDelisting(t *testing.T) {
	const advice = "Look. When the cause is stopped, ask the blocklist to remove your address."
	reason := func(text string) []Reason {
		return []Reason{{Code: "blocklisted", Text: "A receiving server refused it and named the blocklist" + text}}
	}
	for _, c := range []struct{ text, lists, address, want string }{
		{`s a.example, b.example: "no". Your public address seems to be 192.0.2.1 (2 servers quoted it).`, "b.example", "192.0.2.1",
			"Look. When the cause is stopped, ask to have 192.0.2.1 removed from a.example, b.example."},
		{`b.example: "no"`, "b.example", "", "Look. When the cause is stopped, ask to have your address removed from b.example."},
		{`b.example: "x". Your public address seems to be 6.6.6.6 (9". Your public address seems to be 192.0.2.1 (2 servers quoted it).`,
			"b.example", "192.0.2.1", "Look. When the cause is stopped, ask to have 192.0.2.1 removed from b.example."},
		{`b.example: "x". Your public address seems to be 6.6.6.6 (9 servers quoted it).".`, "b.example", "",
			"Look. When the cause is stopped, ask to have your address removed from b.example."},
		{`b.example: "x". Your public address seems to be 6.6.6.6 (9".`, "b.example", "",
			"Look. When the cause is stopped, ask to have your address removed from b.example."},
		{`b.example: "x". Your public address seems to be nobody (9 servers quoted it).`, "b.example", "",
			"Look. When the cause is stopped, ask to have your address removed from b.example."},
	} {
		text := c.text
		if text[1] != ' ' {
			text = " " + text
		}
		lists, address := listing(reason(text))
		if !slices.Contains(lists, c.lists) || address != c.address {
			t.Errorf("%s: lists %q, address %q", c.text, lists, address)
		}
		if got := delisting(advice, reason(text)); got != c.want {
			t.Errorf("%s: %s", c.text, got)
		}
	}
	if got := delisting(advice, nil); got != advice {
		t.Errorf("no list is known: %s", got)
	}
}

// TestWell checks when a report says of a mail server that nothing was wrong.
func TestWell(t *testing.T) {
	usual := 4.0
	well := func() *Server {
		return &Server{Sessions: 100, Encrypted: 50, Counted: 60, Failed: 6, Usual: &usual,
			Hours: []ServerHour{{N: 5, Known: true, Usual: 4, Z: 0.5}, {N: 900, Z: 9}}}
	}
	if !well().Well() {
		t.Error("a server without a fault is not told as well")
	}
	for name, spoil := range map[string]func(*Server){
		"encrypted": func(s *Server) { s.Encrypted = 51 }, "finding": func(s *Server) { s.Finding = "x" },
		"not learned": func(s *Server) { s.Usual = nil }, "refused": func(s *Server) { s.Deferred = 1 },
		"unusual": func(s *Server) { s.Hours[0].Z = -3.1 }, "relay": func(s *Server) { s.Relay.Relayed = 1 },
		"listed": func(s *Server) { s.Queue.Listed = 1 }, "outage": func(s *Server) { s.Outage = &Outage{From: 1} },
		"backscatter": func(s *Server) { s.Backscatter = true },
	} {
		s := well()
		if spoil(s); s.Well() {
			t.Errorf("%s: told as well", name)
		}
	}
}

// TestOrdered checks that an advice tells first what keeps the spam in, and how to find the machine.
func TestOrdered(t *testing.T) {
	const rest, block = " If it is a PC, clean it.", " Block outgoing port 25 for all but your mail servers."
	const mac = " Look its MAC up in the DHCP leases, and at the switch for its port."
	for _, c := range []struct {
		advice, want string
		mac          bool
	}{
		{"Find out what 10.0.0.1 is." + rest + block + " Then go.", block[1:] + " Find out what 10.0.0.1 is." + mac + rest + " Then go.", true},
		{"Find out what 10.0.0.1 is." + rest, "Find out what 10.0.0.1 is." + rest, false},
		{"Several machines use 10.0.0.1." + block, "Several machines use 10.0.0.1." + block, true},
	} {
		if got := ordered(c.advice, c.mac); got != c.want {
			t.Errorf("%s\n%s\nwant %s", c.advice, got, c.want)
		}
	}
}

// TestSingle checks that the only attempt of a host that is listed counts for its kind, and that of another one does not.
func TestSingle(t *testing.T) {
	r := New(func(uint16) string { return "x" }, func(s string) string { return s }, false)
	r.Times(func(_ func(netip.Addr, *timeline.Series), rest func(*timeline.Series)) {
		rest(&timeline.Series{Minutes: []timeline.Bin{{At: 100, N: 2}, {At: 102, N: 1}}})
	})
	host := func(last byte, at Time, attempts uint32, role string) Host {
		return Host{IP: netip.AddrFrom4([4]byte{10, 0, 0, last}), Role: role, First: at, Last: at, Counts: Counts{Attempts: attempts}}
	}
	m := &Model{Hosts: []Host{host(1, 100*60e9+1, 1, "internal"), host(2, 102*60e9, 1, "mailserver"), host(3, 100*60e9, 2, "internal"),
		host(4, 101*60e9, 1, "internal"), host(5, 99*60e9, 1, "internal"), host(6, 200*60e9, 1, "internal")}}
	r.addTimes(m)
	s := m.Activity.Minutes
	if !slices.Equal(s.Rest, []uint32{1, 0, 0}) || !slices.Equal(s.Others, []uint32{1, 0, 0}) || !slices.Equal(s.Servers, []uint32{0, 0, 1}) {
		t.Errorf("%+v", s)
	}
}

// TestOutside checks that the attempts of hosts of other networks are told apart from those of our
// own, to which a judged host with an address outside the configured networks belongs.
func TestOutside(t *testing.T) {
	home, other, judged := netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8::7")
	r := New(func(uint16) string { return "x" }, func(s string) string { return s }, false)
	r.Times(func(all func(netip.Addr, *timeline.Series), _ func(*timeline.Series)) {
		for i, a := range []netip.Addr{home, other, judged} {
			all(a, &timeline.Series{Minutes: []timeline.Bin{{At: 100, N: uint32(1 + i)}}})
		}
	})
	for _, seen := range []bool{true, false} { // without an address of ours all are judged
		m := &Model{Hosts: []Host{{IP: judged}}, Input: Input{HomeSeen: seen, Home: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
		r.addTimes(m)
		others, outside := uint32(4), []uint32{2}
		if !seen {
			others, outside = 6, nil
		}
		if s := m.Activity.Minutes; s.Others[0] != others || !slices.Equal(s.Outside, outside) {
			t.Errorf("home seen %t: %+v", seen, s)
		}
	}
}
