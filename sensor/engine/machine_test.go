package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// mails is n connections of a client, each to another network, from the i-th on.
func mails(client string, i, n int, every int64, session func(c *conn)) (frames []timedFrame) {
	for k := range n {
		server := fmt.Sprintf("198.51.%d.25", i+k)
		if strings.Contains(client, ":") {
			server = fmt.Sprintf("2001:db8:%x::25", 1000+i+k)
		}
		c := newConn(client, server, uint16(40000+i+k), 25)
		c.at += int64(k) * every
		c.seq = [2]uint32{uint32(i+k) * 7919, uint32(i+k) * 104729}
		session(c)
		frames = append(frames, c.frames...)
	}
	return frames
}

// accepted is a session of an honest mail server.
func accepted(c *conn) { c.open().mail().close() }

// summary is the highest level of a host as a spambot, and the addresses that findings name.
func summary(list []finding.Finding) (levels map[string]verdict.Level, ids map[string]bool) {
	levels, ids = map[string]verdict.Level{}, map[string]bool{}
	for _, f := range list {
		if f.Class == verdict.Spambot {
			levels[f.Source.Addr.String()] = max(levels[f.Source.Addr.String()], f.Level)
			ids[f.ID] = true
		}
	}
	return levels, ids
}

// TestMachineWithTwoFamilies checks that IPv4 and IPv6 of one link-layer address are judged
// together, with one finding that names both, whatever the length of the rounds.
func TestMachineWithTwoFamilies(t *testing.T) {
	few := together(mails("10.0.0.5", 0, 3, minute, refusing), at(mails("fd00::5", 10, 3, minute, refusing), 30*second))
	for _, row := range []int{1, 100, 1000} {
		r := analyseRows(Config{}, few, row)
		levels, ids := summary(r.findings)
		if len(ids) != 1 || levels["10.0.0.5"] < verdict.Likely || levels["fd00::5"] > verdict.Suspect {
			t.Errorf("rows of %d: %v, %v", row, levels, ids)
		}
		last := r.findings[len(r.findings)-1]
		if got := fmt.Sprint(last.Also); got != "[fd00::5]" || last.Source.Counters.Attempts != 6 || r.sources["fd00::5"].Counters.Attempts != 3 {
			t.Errorf("rows of %d: also %s, %d attempts", row, got, last.Source.Counters.Attempts)
		}
		// The same from two link-layer addresses: neither half is enough.
		r = analyseRows(Config{}, together(mails("10.0.0.5", 0, 3, minute, refusing), from(at(mails("fd00::5", 10, 3, minute, refusing), 30*second), 9)), row)
		if levels, _ = summary(r.findings); levels["10.0.0.5"] > verdict.Suspect || levels["fd00::5"] > verdict.Suspect {
			t.Errorf("rows of %d, two machines: %v", row, levels)
		}
	}
}

// TestBrokenIPv6 checks that a mail server whose IPv6 has no route is not accused for what it tries
// there first, and that a bot whose IPv4 is blocked is found although its user's IPv6 works.
func TestBrokenIPv6(t *testing.T) {
	server := together(mails("fd00::5", 0, 30, minute, insisting), at(mails("10.0.0.5", 0, 30, minute, accepted), 300e6))
	levels, _ := summary(analyse(Config{}, server).findings)
	if levels["10.0.0.5"] > verdict.NoLevel || levels["fd00::5"] > verdict.Suspect {
		t.Errorf("a server: %v", levels)
	}
	blocked := together(mails("10.0.0.5", 0, 30, second, insisting), mails("fd00::5", 0, 1, second, accepted))
	if levels, _ = summary(analyse(Config{}, blocked).findings); levels["10.0.0.5"] < verdict.Likely {
		t.Errorf("a bot: %v", levels)
	}
}

// TestAddressChange checks that a machine that gets another IPv4 address has one finding, which
// follows it, with refusals and without, and that it is judged by what it did at both.
func TestAddressChange(t *testing.T) {
	for name, session := range map[string]func(c *conn){"refused": refusing, "listwise": func(c *conn) { spam(c, int(c.cport)) }} {
		for _, row := range []int{1, 1000} {
			frames := together(mails("10.0.0.5", 0, 10, minute, session), at(mails("10.0.0.6", 10, 10, minute, session), 20*minute))
			r := analyseRows(Config{}, frames, row)
			levels, ids := summary(r.findings)
			last := r.findings[len(r.findings)-1]
			open := slices.DeleteFunc(r.findings, func(f finding.Finding) bool { return f.CloseReason != "end_of_input" || f.Class != verdict.Spambot })
			if len(open) != 1 || row == 1 && len(ids) != 1 || levels["10.0.0.6"] < verdict.Likely || last.Source.Addr.String() != "10.0.0.6" || len(last.Also) != 1 || last.Source.Counters.Attempts != 20 {
				t.Errorf("%s, rows of %d: %v %v, at last %s also %v, %d attempts", name, row, levels, ids, last.Source.Addr, last.Also, last.Source.Counters.Attempts)
			}
		}
	}
	three := together(mails("10.0.0.5", 0, 3, minute, refusing), at(mails("10.0.0.6", 3, 3, minute, refusing), 20*minute))
	if levels, _ := summary(analyse(Config{}, three).findings); levels["10.0.0.6"] < verdict.Likely {
		t.Errorf("three mails from each address: %v", levels)
	}
}

// TestSharedLinkLayerAddress checks that addresses that are in use side by side are not one
// machine: a bridge with a bot among other machines, a pair of machines, a router.
func TestSharedLinkLayerAddress(t *testing.T) {
	bad := mails("10.0.0.66", 0, 40, minute, refusing)
	var others, nat []timedFrame
	for i := range 20 {
		a := fmt.Sprintf("10.0.0.%d", 100+i)
		others = append(others, at(mails(a, 100+i, 2, 7*minute, accepted), int64(i)*100*second)...)
	}
	nat = append(nat, at(mails("10.0.0.7", 200, 20, minute, accepted), 30*second)...)
	for name, frames := range map[string][]timedFrame{
		"a bridge":         together(bad, others),
		"two in turn":      together(bad, nat),
		"two hop limits":   together(bad, at(hop(mails("10.0.0.7", 200, 5, minute, accepted), 128), 50*minute)),
		"VRRP, afterwards": together(vrrp(bad), vrrp(at(mails("10.0.0.7", 200, 5, minute, accepted), 50*minute))),
	} {
		levels, _ := summary(analyse(Config{}, frames).findings)
		if levels["10.0.0.66"] < verdict.Likely {
			t.Errorf("%s: the bot is %s", name, levels["10.0.0.66"])
		}
		for a, l := range levels {
			if a != "10.0.0.66" && l > verdict.Suspect {
				t.Errorf("%s: %s is %s", name, a, l)
			}
		}
	}
}

// vrrp has the client's frames come from a virtual router's link-layer address.
func vrrp(frames []timedFrame) []timedFrame {
	frames = slices.Clone(frames)
	for i := range frames {
		if d := slices.Clone(frames[i].data); d[11] == 1 {
			copy(d[6:12], []byte{0, 0, 0x5e, 0, 1, 1})
			frames[i].data = d
		}
	}
	return frames
}
