package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
	. "spamsensor/sensor/wire/wiretest"
)

// said is the dialogue of a forger with a spoofed source, as of a spam program.
func said(i uint16) string {
	return fmt.Sprintf("EHLO host%d\r\nMAIL FROM:<a@d%d.example>\r\nRCPT TO:<b@e%d.example>\r\nDATA\r\nbuy\r\n.\r\nQUIT\r\n", i, i, i)
}

// goes is the rest of a dialogue without answers.
func goes(c *conn) *conn { return c.send(0, ACK, "").clientSends(said(c.cport)).send(0, FIN|ACK, "") }

// framing has the packets that a third party can send with the source of a host from anywhere,
// without the answers of the server.
var framing = map[string]func(c *conn){
	"SYNs":             func(c *conn) { c.syn() },
	"SYNs, copied":     func(c *conn) { c.syn(); c.frames = append(c.frames, c.frames[0]) },
	"SYNs, refused":    func(c *conn) { c.syn().send(1, RST|ACK, "") },
	"SYNs, answered":   func(c *conn) { c.syn().send(1, SYN|ACK, "") },
	"SYNs, prohibited": func(c *conn) { c.syn().prohibited() },
	"errors about SYNs that nobody sent": func(c *conn) {
		c.prohibited()
	},
	"SYNs with data": func(c *conn) { c.send(0, SYN, said(c.cport)) },
	"SYNs with data, acknowledged as SYNs": func(c *conn) {
		c.send(0, SYN, said(c.cport))
		c.seq[0] = 1 + uint32(c.cport-10000)*7919
		c.send(1, SYN|ACK, "")
	},
	"SYNs with data, refused": func(c *conn) { c.send(0, SYN, said(c.cport)).send(1, RST|ACK, "") },
	"SYNs with data, acknowledged, and reset": func(c *conn) {
		c.send(0, SYN, said(c.cport)).send(1, SYN|ACK, "").send(0, RST, "")
	},
	"SYNs with data in fragments":        func(c *conn) { c.send(0, SYN, said(c.cport)).fragment() },
	"SYN and handshake of a dead server": func(c *conn) { goes(c.syn()) },
	"the same in fragments":              func(c *conn) { goes(c.syn()).fragment() },
	"the same, every frame twice":        func(c *conn) { goes(c.syn()); c.frames = doubled(c.frames) },
	"SYN with data and the rest":         func(c *conn) { goes(c.send(0, SYN, said(c.cport))) },
	"SYN and data, no acknowledgment":    func(c *conn) { c.syn().send(0, PSH, said(c.cport)) },
	"handshake of a closed port": func(c *conn) {
		c.syn().send(0, ACK, "").send(1, RST|ACK, "").clientSends(said(c.cport))
	},
	"handshake before the answer": func(c *conn) {
		c.syn()
		answer := c.seq[1]
		c.seq[1] += 77_000_000
		c.send(0, ACK, "").clientSends("EHLO a\r\n")
		rest := c.seq[1]
		c.seq[1] = answer
		c.send(1, SYN|ACK, "")
		c.seq[1] = rest
		c.clientSends(said(c.cport))
	},
	"handshake with a wrong number, far":  func(c *conn) { c.blind(77_000_000) },
	"handshake with a wrong number, near": func(c *conn) { c.blind(100_000) },
	"handshake with the next number":      func(c *conn) { c.blind(1) },
	"and every frame twice":               func(c *conn) { c.blind(100_000); c.frames = doubled(c.frames) },
	"and reset by the server": func(c *conn) {
		c.syn().send(1, SYN|ACK, "")
		c.seq[1] += 100_000
		c.clientSends(said(c.cport))
		c.seq[1] -= 100_000
		c.send(1, RST, "")
	},
	"and reset by the innocent": func(c *conn) {
		c.syn().send(1, SYN|ACK, "").send(0, RST, "")
		c.clientSends(said(c.cport))
	},
	"a word in the middle":          func(c *conn) { c.clientSends(said(c.cport)).send(1, RST, "") },
	"a server's word in the middle": func(c *conn) { c.serverSends("554 5.7.1 blocked using zen.spamhaus.org\r\n").send(0, RST, "") },
	"the answer alone": func(c *conn) {
		c.seq[0]++
		c.send(1, SYN|ACK, "").serverSends("220 mx\r\n").serverSends("554 5.7.1 blocked using zen.spamhaus.org\r\n")
	},
	"the answer alone, and a reset": func(c *conn) {
		c.seq[0]++
		c.send(1, SYN|ACK, "").send(0, RST, "").serverSends("554 5.7.1 blocked using zen.spamhaus.org\r\n")
	},
	"an answer to a SYN, and no word": func(c *conn) { c.syn().send(1, SYN|ACK, "").send(0, RST, "") },
	"resets and ends":                 func(c *conn) { c.syn().send(0, RST, "").send(0, FIN|ACK, "") },
}

// blind is a handshake and a dialogue with a guessed sequence number of the server, which is wrong
// by so much.
func (c *conn) blind(by uint32) {
	c.syn().send(1, SYN|ACK, "")
	c.seq[1] += by
	goes(c)
}

// prohibited is an ICMP error about the SYN.
func (c *conn) prohibited() {
	syn := TCP{SrcPort: c.cport, DstPort: c.sport, Seq: uint32(c.cport-10000) * 7919, Flags: SYN}
	quoted := Bytes(Frame(IP{Src: c.client, Dst: c.server}, syn))
	from, icmp := "10.0.0.1", ICMP{Type: 3, Code: 13}
	if strings.Contains(c.client, ":") {
		from, icmp = "fd00::1", ICMP{V6: true, Type: 1, Code: 1}
	}
	c.frames = append(c.frames, timedFrame{c.at, Frame(Ethernet{Src: [6]byte{2, 0, 0, 0, 0, 7}}, IP{Src: from, Dst: c.client}, icmp, quoted)})
	c.at += 1e6
}

// fragment divides the latest frame with more than 24 bytes after its IPv4 header into two
// fragments.
func (c *conn) fragment() {
	for i := len(c.frames) - 1; i >= 0; i-- {
		d, at := c.frames[i].data, c.frames[i].at
		if d[12] != 8 || len(d) < 14+20+32 {
			continue
		}
		head, body := d[:14], d[34:]
		ip := IP{Src: c.client, Dst: c.server, Protocol: 6, ID: uint16(9000 + i)}
		first, second := ip, ip
		first.Frag, second.Frag = 0x2000, 3
		c.frames[i].data = append(append([]byte{}, head...), Frame(first, Bytes(body[:24]))...)
		c.frames = slices.Insert(c.frames, i+1, timedFrame{at, append(append([]byte{}, head...), Frame(second, Bytes(body[24:]))...)})
		return
	}
}

// others are honest sessions of other hosts, seen from both sides.
func others(n int) (frames []timedFrame) {
	for i := range n {
		c := newConn(fmt.Sprintf("10.0.1.%d", 1+i), "192.0.2.25", uint16(20000+i), 587)
		c.at += int64(i) * second
		frames = append(frames, c.open().mail().close().frames...)
	}
	return frames
}

// forgery is 12 connections with the source of an innocent host, within 12 seconds.
func forgery(client string, way func(c *conn)) (frames []timedFrame) {
	for i := range 12 {
		c := newConn(client, fmt.Sprintf("198.51.%d.7", i), uint16(10000+i), 25)
		if strings.Contains(client, ":") {
			c.server = fmt.Sprintf("2001:db8:%x::7", 1000+i)
		}
		c.at += int64(i) * second
		c.seq = [2]uint32{uint32(i) * 7919, uint32(i)*104729 + 5000}
		way(c)
		frames = append(frames, from(c.frames, 9)...)
	}
	return frames
}

// TestFraming checks that one side alone opens no session in a capture that shows both sides of
// connections, and that no host is accused for it, at any time of the capture, and with or without
// sessions of its own. In a capture of one side only it counts as a session.
func TestFraming(t *testing.T) {
	tried := 0
	for name, way := range framing {
		for _, client := range []string{"10.0.0.5", "fd00::5"} {
			for _, before := range []bool{true, false} {
				for _, own := range []int{0, 12} {
					real := at(others(12), 5*second)
					if before {
						real = at(others(12), -60*second)
					}
					for i := range own {
						c := newConn(client, "192.0.2.25", uint16(30000+i), 587)
						if strings.Contains(client, ":") {
							c.server = "2001:db8:1::25"
						}
						c.at += int64(i)*second*10 - 60*second
						real = append(real, c.open().mail().close().frames...)
					}
					r := analyse(Config{}, together(forgery(client, way), real))
					tried++
					for _, f := range r.findings {
						if f.Level > verdict.Suspect {
							t.Errorf("%s, %s, others before %v, %d sessions of its own: %s %s", name, client, before, own, f.Class, f.Level)
						}
					}
					if n := int(r.sources[client].Counters.Sessions); n != own && before {
						t.Errorf("%s, %s: %d sessions, want %d", name, client, n, own)
					}
				}
			}
		}
	}
	t.Logf("R23: %d ways to send one side of connections in somebody's name, %d times: never more than suspect (goal never likely)", len(framing), tried)
	for side, seen := range []string{"client", "server"} {
		r := analyse(Config{}, only(bot(30, refusing), byte(side)))
		if n := r.sources["10.0.0.5"].Counters.Sessions; n != 30 || r.sessions[0].Seen != seen {
			t.Errorf("%s only: %d sessions, the first seen from %s", seen, n, r.sessions[0].Seen)
		}
		if !slices.ContainsFunc(r.findings, func(f finding.Finding) bool { return f.Class == verdict.Spambot && f.Level >= verdict.Likely }) {
			t.Errorf("%s only: %s", seen, story(r.findings, "10.0.0.5"))
		}
	}
}

// TestSilentServerIsNone checks that a client that never acknowledges a byte of its server has no
// session, also in a capture without other hosts.
func TestSilentServerIsNone(t *testing.T) {
	for name, way := range framing {
		if strings.HasPrefix(name, "the answer alone") { // as in a capture of servers alone
			continue
		}
		for _, f := range analyse(Config{}, forgery("10.0.0.5", way)).findings {
			if f.Level > verdict.Suspect {
				t.Errorf("%s: %s %s", name, f.Class, f.Level)
			}
		}
	}
}

// TestBothSidesForged checks that a forger of both sides of connections can cause a finding about
// any host. If the frames come from an internal machine, either both sides have its link-layer
// address and do not count, or the finding says that the frames of the host came from an unusual
// address.
func TestBothSidesForged(t *testing.T) {
	usual := at(others(1), -100*second)
	c := newConn("10.0.0.5", "192.0.2.25", 30000, 587)
	c.at -= 90 * second
	usual = append(usual, c.open().mail().close().frames...)
	both := forgery("10.0.0.5", refusing)
	for _, f := range both {
		f.data[6], f.data[10], f.data[11] = 2, 9, 1 // either side
	}
	for _, f := range analyse(Config{}, together(usual, both)).findings {
		if f.Level > verdict.Suspect {
			t.Errorf("from one machine: %s %s", f.Class, f.Level)
		}
	}
	said := false
	for _, f := range analyse(Config{}, together(usual, forgery("10.0.0.5", refusing))).findings {
		if f.Level > verdict.Suspect && f.Class == verdict.Spambot {
			said = true
			if !slices.ContainsFunc(f.Blind, func(s string) bool { return strings.Contains(s, "the link-layer address") }) || f.Source.MAC[4] != 9 {
				t.Errorf("from a router and a machine: %s at %v, %q", f.Level, f.Source.MAC, f.Blind)
			}
		}
	}
	if !said {
		t.Error("a bot that has got an address is not found")
	}
}
