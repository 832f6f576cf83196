package engine

import (
	"fmt"
	"slices"
	"testing"

	"spamsensor/sensor/detect"
	. "spamsensor/sensor/wire/wiretest"
)

// said is what a forger says in somebody's name, as a spam program would.
func said(i uint16) string {
	return fmt.Sprintf("EHLO host%d\r\nMAIL FROM:<a@d%d.example>\r\nRCPT TO:<b@e%d.example>\r\nDATA\r\nbuy\r\n.\r\nQUIT\r\n", i, i, i)
}

// goes is the rest of a dialogue that nobody answers.
func goes(c *conn) *conn { return c.send(0, ACK, "").says(said(c.cport)).send(0, FIN|ACK, "") }

// framing is what somebody can send in the name of a host from anywhere, without the server's answers.
var framing = map[string]func(c *conn){
	"SYNs with data": func(c *conn) { c.send(0, SYN, said(c.cport)) },
	"SYNs with data, acknowledged as SYNs": func(c *conn) {
		c.send(0, SYN, said(c.cport))
		c.seq[0] = 1 + uint32(c.cport-10000)*7919
		c.send(1, SYN|ACK, "")
	},
	"SYNs with data, refused":            func(c *conn) { c.send(0, SYN, said(c.cport)).send(1, RST|ACK, "") },
	"SYN and handshake of a dead server": func(c *conn) { goes(c.syn()) },
	"SYN with data and the rest":         func(c *conn) { goes(c.send(0, SYN, said(c.cport))) },
	"handshake of a closed port": func(c *conn) {
		c.syn().send(0, ACK, "").send(1, RST|ACK, "").says(said(c.cport))
	},
	"handshake before the answer": func(c *conn) {
		c.syn()
		answer := c.seq[1]
		c.seq[1] += 77_000_000
		c.send(0, ACK, "").says("EHLO a\r\n")
		rest := c.seq[1]
		c.seq[1] = answer
		c.send(1, SYN|ACK, "")
		c.seq[1] = rest
		c.says(said(c.cport))
	},
	"the answer alone": func(c *conn) {
		c.seq[0]++
		c.send(1, SYN|ACK, "").told("220 mx\r\n").told("554 5.7.1 blocked using zen.spamhaus.org\r\n")
	},
	"an answer to a SYN, and a word": func(c *conn) { c.syn().send(1, SYN|ACK, "").send(0, RST, "") },
}

// others are honest sessions of other hosts, seen from both sides.
func others(n int) (frames []frame) {
	for i := range n {
		c := newConn(fmt.Sprintf("10.0.1.%d", 1+i), "192.0.2.25", uint16(20000+i), 587)
		c.at += int64(i) * second
		frames = append(frames, c.open().mail().close().frames...)
	}
	return frames
}

// Where both sides of connections are seen, one side alone opens no session, and nobody is accused for it, whenever in the capture
// it comes. Where it is all that there is, it is believed.
func TestOneSideOpensNoSession(t *testing.T) {
	for name, way := range framing {
		for _, before := range []bool{true, false} {
			forged, real := bot(12, way), at(others(12), 5*second)
			if before {
				real = at(others(12), -60*second)
			}
			r := analyse(Config{}, together(forged, real))
			for _, f := range r.findings {
				if f.Level > detect.Suspect {
					t.Errorf("%s, others before %v: %s %s", name, before, f.Class, f.Level)
				}
			}
			if n := r.sources["10.0.0.5"].Facts.Sessions; n > 0 && before {
				t.Errorf("%s: %d sessions", name, n)
			}
			if n := r.stats.Sessions; before && n != 12 {
				t.Errorf("%s: %d sessions in all", name, n)
			}
		}
	}
	for side, seen := range []string{"client", "server"} {
		r := analyse(Config{}, only(bot(30, refusing), byte(side)))
		if n := r.sources["10.0.0.5"].Facts.Sessions; n != 30 || r.sessions[0].Seen != seen {
			t.Errorf("%s only: %d sessions, the first seen from %s", seen, n, r.sessions[0].Seen)
		}
		if !slices.ContainsFunc(r.findings, func(f detect.Finding) bool { return f.Class == detect.Spambot && f.Level >= detect.Likely }) {
			t.Errorf("%s only: %s", seen, story(r.findings, "10.0.0.5"))
		}
	}
}

// A client that goes on without ever acknowledging a word of its server has none, also where nobody else is seen.
func TestSilentServerIsNone(t *testing.T) {
	for name, way := range framing {
		if name == "the answer alone" { // as a capture of servers alone has it
			continue
		}
		for _, f := range analyse(Config{}, bot(12, way)).findings {
			if f.Level > detect.Suspect {
				t.Errorf("%s: %s %s", name, f.Class, f.Level)
			}
		}
	}
}
