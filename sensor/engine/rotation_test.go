package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// visitor is the connection of machine number i of a network in round number round.
func visitor(i, round int) (*conn, script) {
	c := baseConn(i, minute)
	c.at += int64(round) * hour
	c.cport += uint16(round) * 100
	c.client = fmt.Sprintf("10.0.2.%d", 1+i)
	return c, baseScript(i)
}

// machinesDo makes n machines of a network, each with its own link-layer address, act in turn.
func machinesDo(n, rounds int, do func(c *conn, d script)) []timedFrame {
	var lists [][]timedFrame
	for round := range rounds {
		for i := range n {
			c, d := visitor(i, round)
			do(c, d)
			lists = append(lists, withMAC(c, [6]byte{2, 0, 0, 0, byte(i), 1}).frames)
		}
	}
	return together(lists...)
}

// inTLS is a session with STARTTLS.
func inTLS(c *conn) {
	c.open().serverSends("220 mx ESMTP\r\n").clientSends("EHLO pc\r\n").serverSends("250-mx\r\n250 STARTTLS\r\n").clientSends("STARTTLS\r\n").serverSends("220 go\r\n").
		clientSends("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00").serverSends("\x16\x03\x03\x00\x05\x02\x00\x00\x01\x00").close()
}

func isRotation(f finding.Finding) bool {
	return f.RotationNetwork.IsValid() && slices.ContainsFunc(f.Reasons, func(r finding.ReasonText) bool { return r.Server == "new_addresses" })
}

// TestRotation checks that a bot with another IP address and another link-layer address for each
// mail has one finding, and that the findings about its single addresses close and do not return,
// however long its sessions last.
func TestRotation(t *testing.T) {
	var others []timedFrame // a PC that reads its mail, so that batches are long enough for helpers
	for i := range 900 {
		c := newConn("10.0.9.9", "192.0.2.25", uint16(20000+i), 587)
		c.at += int64(i-600) * 6 * second
		inTLS(c)
		others = append(others, c.frames...)
	}
	for name, pause := range map[string]int64{"short sessions": 0, "long ones": 3 * second} {
		frames := machinesDo(30, 1, func(c *conn, d script) {
			c.open().serverSends("220 mx ESMTP\r\n")
			d.play(c, func(line string) { c.wait(pause).clientSends(line + "\r\n") })
			c.close()
		})
		frames = together(others, frames)
		var told []string
		for _, helpers := range []int{1, 2, 8} {
			for _, row := range []int{1, 40000} {
				list := analyseRows(Config{Helpers: helpers, Seed: []byte("a seed of 32 bytes, for all alike")}, frames, row).findings
				open, ids := map[string]int{}, map[string]bool{}
				direct, best := 0, verdict.NoLevel
				for _, f := range list {
					if seq := open[f.ID]; f.Seq != seq+1 {
						t.Errorf("%s: event %d of %s has number %d", name, seq+1, f.ID, f.Seq)
					}
					open[f.ID] = f.Seq
					switch f.Class {
					case verdict.Spambot:
						ids[f.ID], best = true, max(best, f.Level)
						if !isRotation(f) || len(f.Also) == 0 || f.RotationNetwork.String() != "10.0.2.0/24" || !strings.Contains(f.SameMachine(), "new addresses") || !strings.Contains(f.Advice, "switch port") {
							t.Errorf("%s: %s %v %v: %s", name, f.ID, f.Reasons, f.Also, f.Advice)
						}
					case verdict.DirectSMTP:
						if f.Action == "opened" {
							direct++
						}
					}
					if f.Action == "closed" {
						open[f.ID] = 0
						delete(open, f.ID)
					}
				}
				if len(ids) != 1 || best < verdict.Likely || direct > 8 || len(open) > 0 {
					t.Errorf("%s, %d helpers, rows of %d: %d findings of a spambot, %s, and %d about an address; left open %v", name, helpers, row, len(ids), best, direct, open)
				}
				if row == 40000 {
					told = append(told, fmt.Sprintf("%+v", list))
				}
			}
		}
		for _, x := range told[1:] {
			if x != told[0] {
				t.Errorf("%s: the findings depend on how many work", name)
			}
		}
	}
}

// TestRotationAtTheEnd checks a capture that ends before any of the sessions.
func TestRotationAtTheEnd(t *testing.T) {
	frames := machinesDo(30, 1, func(c *conn, d script) {
		c.at -= int64(d.i) * 59 * second
		c.open().serverSends("220 mx ESMTP\r\n")
		d.play(c, plainly(c))
	})
	for _, row := range []int{1, 40000} {
		found := false
		for _, f := range analyseRows(Config{}, frames, row).findings {
			found = found || f.Class == verdict.Spambot && isRotation(f)
		}
		if !found {
			t.Errorf("rows of %d: the machine was not found", row)
		}
	}
}

// TestNoRotation checks that many machines do not count as one.
func TestNoRotation(t *testing.T) {
	sends := func(c *conn, d script) {
		c.open().serverSends("220 mx ESMTP\r\n")
		d.play(c, plainly(c))
		c.close()
	}
	auth := func(c *conn, d script) {
		c.open().serverSends("220 mx ESMTP\r\n").clientSends(d.helo + "\r\n").serverSends("250-mx\r\n250 AUTH PLAIN\r\n").clientSends("AUTH PLAIN AGEAYg==\r\n").serverSends("235 ok\r\n")
		d.helo = ""
		d.play(c, plainly(c))
		c.close()
	}
	taken := func(d script) script { d.i = 0; return d } // it is not refused
	for _, c := range []struct {
		name   string
		frames []timedFrame
		bots   bool // each of them is a bot
	}{
		{"guests who submit a mail each with AUTH", machinesDo(40, 1, func(c *conn, d script) { c.sport = 587; auth(c, d) }), false},
		{"guests who submit with AUTH on port 25", machinesDo(40, 1, auth), false},
		{"guests who submit with TLS", machinesDo(40, 1, func(c *conn, d script) { c.sport = 587; inTLS(c) }), false},
		{"guests who use TLS on port 25", machinesDo(40, 1, func(c *conn, d script) { inTLS(c) }), false},
		{"office PCs with a mail each to one server", machinesDo(40, 1, func(c *conn, d script) { c.server = "198.51.9.25"; sends(c, d) }), false},
		{"PCs whose mail is taken", machinesDo(40, 1, func(c *conn, d script) { sends(c, taken(d)) }), false},
		{"servers that give the name of their sender", machinesDo(40, 1, func(c *conn, d script) {
			d.helo, d.from = fmt.Sprintf("EHLO www.shop%d.example", d.i), fmt.Sprintf("MAIL FROM:<root@www.shop%d.example>", d.i)
			sends(c, d)
		}), false},
		{"servers of one operator", machinesDo(40, 1, func(c *conn, d script) {
			d.helo, d.from = fmt.Sprintf("EHLO web%d.operator.example", d.i), "MAIL FROM:<root@operator.example>"
			sends(c, d)
		}), false},
		{"PCs that mail at the same time", machinesDo(40, 1, func(c *conn, d script) { c.at = epoch + int64(d.i)*1e6; sends(c, d) }), false},
		{"PCs that read their mail, too", together(machinesDo(40, 1, func(c *conn, d script) { c.sport, c.at = 587, c.at-hour; inTLS(c) }), machinesDo(40, 1, sends)), false},
		{"infected PCs that live on", machinesDo(6, 10, func(c *conn, d script) {
			c.at -= 50 * minute * ((c.at - epoch) / hour)
			d.i += int(c.cport-40000) / 100
			c.server = fmt.Sprintf("198.%d.%d.25", 18+d.i, int(c.cport)%250)
			sends(c, d)
		}), true},
	} {
		for _, row := range []int{1, 4000} {
			for _, f := range analyseRows(Config{}, c.frames, row).findings {
				if f.RotationNetwork.IsValid() || f.Class == verdict.Spambot && !c.bots {
					t.Errorf("%s: %s %s %s %s, %v", c.name, f.Source.Addr, f.Action, f.Class, f.Level, f.Reasons)
					break
				}
			}
		}
	}
}

// TestRotationThatReturns checks that members that return after a swarm counted as one machine show
// that it is none, and that later traffic is judged separately.
func TestRotationThatReturns(t *testing.T) {
	frames := machinesDo(12, 3, func(c *conn, d script) { wholeSession(c, d) })
	list := analyse(Config{}, frames).findings
	last := list[len(list)-1]
	if !slices.ContainsFunc(list, isRotation) || isRotation(last) {
		t.Errorf("%s %s %v", last.Action, last.Class, last.RotationNetwork)
	}
}

// TestRotationNeighbour checks that another machine of the network that sends mail directly to the
// Internet has a finding within minutes.
func TestRotationNeighbour(t *testing.T) {
	c := newConn("10.0.2.200", "198.51.200.25", 41000, 25)
	c.at += 12*minute + 30*second
	c.open().serverSends("220 mx ESMTP\r\n").clientSends("EHLO www.shop.example\r\n").serverSends("250 mx\r\n").clientSends("MAIL FROM:<root@www.shop.example>\r\n").serverSends("250 ok\r\n").
		clientSends("RCPT TO:<b@example.net>\r\n").serverSends("250 ok\r\n").clientSends("DATA\r\n").serverSends("354 go\r\n").clientSends("hello\r\n.\r\n").serverSends("250 taken\r\n").clientSends("QUIT\r\n").serverSends("221 bye\r\n").close()
	frames := together(withMAC(c, [6]byte{2, 0, 0, 0, 99, 1}).frames, machinesDo(30, 1, func(c *conn, d script) { wholeSession(c, d) }))
	if got := story(analyse(Config{}, frames).findings, "10.0.2.200"); got != "opened direct_smtp suspect, closed direct_smtp suspect (end_of_input)" {
		t.Error(got)
	}
}
