package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/verdict"
	. "spamsensor/sensor/wire/wiretest"
)

// The base bot has 30 sessions to 30 networks, 28 sender domains, 40 % refusals, and a random HELO
// name for each session. M has one session a minute, S one in 20 minutes. An evasion defines the
// session number i.
const (
	baseSessions = 30
	paceM, paceS = minute, 20 * minute
)

// baseConn is the connection of session number i.
func baseConn(i int, pace int64) *conn {
	c := newConn("10.0.0.5", fmt.Sprintf("198.51.%d.25", i), uint16(40000+i), 25)
	c.at += int64(i) * pace
	c.seq = [2]uint32{uint32(i)*7919 + 1000, uint32(i)*104729 + 5000}
	return c
}

// baseName is its HELO name.
func baseName(i int) string {
	n := (i*7919 + 33432) % 100000
	return []string{fmt.Sprintf("pc%d", n), fmt.Sprintf("host%d.local", n), fmt.Sprintf("mail%d", n), fmt.Sprintf("win%d", n), fmt.Sprintf("ip%d.local", n)}[i%5]
}

// script is the content of a session.
type script struct {
	helo, from, rcpt string
	i                int
}

func baseScript(i int) script {
	return script{"EHLO " + baseName(i), fmt.Sprintf("MAIL FROM:<u%d@d%d.example>", i, i%28), fmt.Sprintf("RCPT TO:<v%d@e%d.example>", i, i), i}
}

// refused is the reply of the server to the recipient in 40 % of the sessions.
func (d *script) refused() string {
	switch d.i % 5 {
	case 1:
		return "550 5.1.1 no such user here"
	case 3:
		if d.i%10 == 3 {
			return "554 5.7.1 Client host [203.0.113.9] blocked using zen.spamhaus.org"
		}
		return "550 5.7.1 spam"
	}
	return ""
}

// play sends the lines of a script by both sides; say sends a line of the client.
func (d *script) play(c *conn, say func(line string)) {
	if d.helo != "" {
		say(d.helo)
		c.serverSends("250-mx\r\n250 SIZE 1000000\r\n")
	}
	d.mail(c, say)
	say("QUIT")
	c.serverSends("221 bye\r\n")
}

func (d *script) mail(c *conn, say func(line string)) {
	say(d.from)
	c.serverSends("250 ok\r\n")
	say(d.rcpt)
	if text := d.refused(); text != "" {
		c.serverSends(text + "\r\n")
		return
	}
	c.serverSends("250 ok\r\n")
	say("DATA")
	c.serverSends("354 go\r\n")
	say("Subject: offer\r\n\r\nbuy\r\n.")
	c.serverSends("250 2.0.0 taken\r\n")
}

func plainly(c *conn) func(line string) { return func(line string) { c.clientSends(line + "\r\n") } }

// wholeSession is a session without an evasion.
func wholeSession(c *conn, d script) *conn {
	c.open().serverSends("220 mx ESMTP\r\n")
	d.play(c, plainly(c))
	return c.close()
}

// withMAC sets another link-layer address in the frames of the client.
func withMAC(c *conn, mac [6]byte) *conn {
	for i := range c.frames {
		if d := c.frames[i].data; d[11] == 1 {
			copy(d[6:12], mac[:])
		}
	}
	return c
}

// spoil repeats the latest frame with a wrong TCP checksum, or with a hop limit that is too small.
func (c *conn) spoil(sum bool) {
	d := c.frames[len(c.frames)-1].data
	if sum {
		d[14+20+16] ^= 0x55
	} else {
		hop(c.frames[len(c.frames)-1:], 3)
	}
}

// decoy sends a segment at the place of the next one, which the server does not accept.
func (c *conn) decoy(dir int, text string, sum bool) *conn {
	c.send(dir, ACK|PSH, text)
	c.seq[dir] -= uint32(len(text))
	c.spoil(sum)
	return c
}

// padded is a decoy of this length.
func padded(text string, n int) string {
	for len(text) < n {
		text += "NOOP\r\n"
	}
	return text[:n-2] + "\r\n"
}

// evasion is a way to evade detection.
type evasion struct {
	name string
	make func(pace int64) []timedFrame
	goal [2]verdict.Level // with M and S
}

// each makes the sessions of an evasion one by one.
func each(session func(c *conn, d script)) func(pace int64) []timedFrame {
	return func(pace int64) []timedFrame {
		var lists [][]timedFrame
		for i := range baseSessions {
			c := baseConn(i, pace)
			session(c, baseScript(i))
			lists = append(lists, c.frames)
		}
		return together(lists...)
	}
}

var (
	likelyBoth  = [2]verdict.Level{verdict.Likely, verdict.Likely}
	suspectBoth = [2]verdict.Level{verdict.Suspect, verdict.Suspect}
)

// inbound is a mail that an external host brings to the bot; mac is the link-layer source of the
// external frames.
func inbound(i int, mac byte) []timedFrame {
	c := newConn(fmt.Sprintf("203.0.113.%d", 10+i), "10.0.0.5", uint16(30000+i), 25)
	c.at -= int64(1+i) * second
	c.open().mail().close()
	for _, f := range c.frames {
		if d := f.data; d[11] == 1 { // from outside
			d[11] = mac
		} else { // from the bot
			d[11] = 1
		}
	}
	return c.frames
}

var evasions = []evasion{
	{"none", each(func(c *conn, d script) { wholeSession(c, d) }), [2]verdict.Level{verdict.Confirmed, verdict.Confirmed}},
	{"1-byte segments", each(func(c *conn, d script) {
		c.open().serverSends("220 mx ESMTP\r\n")
		d.play(c, func(line string) {
			for _, b := range []byte(line + "\r\n") {
				c.clientSends(string(b))
			}
		})
		c.close()
	}), likelyBoth},
	{"SYN with data", each(func(c *conn, d script) {
		c.send(0, SYN, d.helo+"\r\n").send(1, SYN|ACK, "").send(0, ACK, "").serverSends("220 mx ESMTP\r\n").serverSends("250 mx\r\n")
		d.helo = ""
		d.play(c, plainly(c))
		c.close()
	}), likelyBoth},
	{"data in the third segment", each(func(c *conn, d script) {
		c.syn().send(1, SYN|ACK, "").clientSends(d.helo + "\r\n").serverSends("220 mx ESMTP\r\n").serverSends("250 mx\r\n")
		d.helo = ""
		d.play(c, plainly(c))
		c.close()
	}), likelyBoth},
	{"sequence numbers that wrap", each(func(c *conn, d script) { c.seq = [2]uint32{0xfffffff0, 0xfffffffe}; wholeSession(c, d) }), likelyBoth},
	{"port 25 as its own", each(func(c *conn, d script) { c.cport = 25; wholeSession(c, d) }), likelyBoth},
	{"the same port each time", each(func(c *conn, d script) { c.cport = 4000; wholeSession(c, d) }), likelyBoth},
	{"HELO before the greeting", each(func(c *conn, d script) {
		c.open().clientSends(d.helo + "\r\n").serverSends("220 mx ESMTP\r\n").serverSends("250 mx\r\n")
		d.helo = ""
		d.play(c, plainly(c))
		c.close()
	}), likelyBoth},
	{"forged resets, low hop limit", each(func(c *conn, d script) {
		c.open().serverSends("220 mx ESMTP\r\n")
		c.send(0, RST, "").spoil(false)
		d.play(c, plainly(c))
		c.close()
	}), likelyBoth},
	{"forged ends, wrong checksum", each(func(c *conn, d script) {
		c.open().serverSends("220 mx ESMTP\r\n").send(0, FIN|ACK, "").spoil(true)
		c.seq[0]--
		d.play(c, plainly(c))
		c.close()
	}), likelyBoth},
	{"a VLAN each", each(func(c *conn, d script) {
		c.tags = [2][]Layer{{VLAN{ID: uint16(100 + d.i)}}, {VLAN{ID: uint16(200 + d.i)}}}
		wholeSession(c, d)
	}), likelyBoth},
	{"GRE", each(func(c *conn, d script) {
		tunnel := []Layer{IP{Src: "10.0.0.5", Dst: "192.0.2.1"}, GRE{}}
		c.tags = [2][]Layer{tunnel, tunnel}
		wholeSession(c, d)
	}), likelyBoth},
	{"IP in IP", each(func(c *conn, d script) {
		tunnel := []Layer{IP{Src: "10.0.0.5", Dst: "192.0.2.1"}}
		c.tags = [2][]Layer{tunnel, tunnel}
		wholeSession(c, d)
	}), likelyBoth},
	{"IPv6", each(func(c *conn, d script) {
		c.client, c.server = "fd00::5", fmt.Sprintf("2001:db8:%x::25", 1000+d.i)
		wholeSession(c, d)
	}), likelyBoth},
	{"a handshake of 75 s", each(func(c *conn, d script) {
		c.syn().send(1, SYN|ACK, "").wait(70*second).send(0, ACK, "").serverSends("220 mx ESMTP\r\n")
		d.play(c, plainly(c))
		c.close()
	}), likelyBoth},
	{"port 587", each(func(c *conn, d script) { c.sport = 587; wholeSession(c, d) }), likelyBoth},
	{"port 2525", each(func(c *conn, d script) { c.sport = 2525; wholeSession(c, d) }), likelyBoth},
	{"the null sender", each(func(c *conn, d script) { d.from = "MAIL FROM:<>"; wholeSession(c, d) }), likelyBoth},
	{"HELO of 10,000 bytes", each(func(c *conn, d script) { d.helo += strings.Repeat("x", 10000); wholeSession(c, d) }), likelyBoth},
	{"no HELO", each(func(c *conn, d script) { d.helo = ""; wholeSession(c, d) }), likelyBoth},
	{"AUTH first", each(func(c *conn, d script) {
		c.open().serverSends("220 mx ESMTP\r\n").clientSends("AUTH LOGIN\r\n").serverSends("503 no\r\n")
		d.play(c, plainly(c))
		c.close()
	}), likelyBoth},
	{"DATA first", each(func(c *conn, d script) {
		c.open().serverSends("220 mx ESMTP\r\n").clientSends("DATA\r\n").serverSends("503 no\r\n")
		d.play(c, plainly(c))
		c.close()
	}), likelyBoth},
	{"BDAT, rejected", each(func(c *conn, d script) {
		c.open().serverSends("220 mx ESMTP\r\n").clientSends("BDAT 4000000000\r\n").serverSends("503 no\r\n")
		d.play(c, plainly(c))
		c.close()
	}), likelyBoth},
	{"16 minutes between lines", func(pace int64) []timedFrame {
		return each(func(c *conn, d script) {
			c.open().serverSends("220 mx ESMTP\r\n")
			d.play(c, func(line string) { c.wait(16 * minute).clientSends(line + "\r\n") })
			c.close()
		})(pace)
	}, likelyBoth},
	{"decoys with good words, wrong checksum", decoys(true, func(line string) string { return padded("EHLO mail.example.org\r\n", len(line)) }), likelyBoth},
	{"decoys of NOOP, wrong checksum", decoys(true, func(line string) string { return padded("", len(line)) }), likelyBoth},
	{"decoys of NOOP, low hop limit", decoys(false, func(line string) string { return padded("", len(line)) }), likelyBoth},
	{"STARTTLS and a reply to it, low hop limit", each(func(c *conn, d script) {
		c.open().serverSends("220 mx ESMTP\r\n").decoy(0, "STARTTLS\r\n", false)
		c.decoy(1, "220 2.0.0 Ready to start TLS\r\n", false)
		d.play(c, plainly(c))
		c.close()
	}), likelyBoth},
	{"a first line like TLS", each(func(c *conn, d script) {
		c.open().serverSends("220 mx ESMTP\r\n").clientSends("\x16\x03\x01\x00\x05\x01\x00\x00\x01\r\n").serverSends("500 what?\r\n")
		d.play(c, plainly(c))
		c.close()
	}), likelyBoth},
	{"two link-layer addresses", each(func(c *conn, d script) {
		withMAC(wholeSession(c, d), [6]byte{2, 0, 0, 0, byte(d.i % 2), 1})
	}), likelyBoth},
	{"a link-layer address each", each(func(c *conn, d script) { withMAC(wholeSession(c, d), [6]byte{2, 0, 0, 0, byte(d.i), 1}) }), likelyBoth},
	{"an IPv4 address each", each(func(c *conn, d script) { c.client = fmt.Sprintf("10.0.2.%d", 1+d.i); wholeSession(c, d) }), likelyBoth},
	{"an IPv6 address each", each(func(c *conn, d script) {
		c.client, c.server = fmt.Sprintf("fd00::2:%x", 1+d.i), fmt.Sprintf("2001:db8:%x::25", 1000+d.i)
		wholeSession(c, d)
	}), likelyBoth},
	{"one session for all", oneSession("EHLO pc1"), likelyBoth},
	{"one session for all, a full name", oneSession("EHLO mail.example.org"), likelyBoth},
	{"two mails come in, one name", func(pace int64) []timedFrame {
		return together(inbound(0, 8), inbound(1, 8), each(func(c *conn, d script) { d.helo = "EHLO pc33432"; wholeSession(c, d) })(pace))
	}, likelyBoth},
	{"25 forged good sessions, two forged mails come in", selfPraise(0), likelyBoth},
	{"the same, before all others", selfPraise(-2000 * second), likelyBoth},
	{"a verifier with one name and the null sender", each(func(c *conn, d script) {
		c.open().serverSends("220 mx ESMTP\r\n").clientSends("EHLO mail.example.org\r\n").serverSends("250 mx\r\n").clientSends("MAIL FROM:<>\r\n").serverSends("250 ok\r\n").clientSends(d.rcpt + "\r\n")
		if d.refused() != "" {
			c.serverSends("550 5.1.1 no such user here\r\n")
		} else {
			c.serverSends("250 ok\r\n")
		}
		c.clientSends("QUIT\r\n").serverSends("221 bye\r\n").close()
	}), likelyBoth},
	{"IPv4 and link-layer address each", each(func(c *conn, d script) {
		c.client = fmt.Sprintf("10.0.2.%d", 1+d.i)
		withMAC(wholeSession(c, d), [6]byte{2, 0, 0, 0, byte(d.i), 1})
	}), likelyBoth},
	{"IPv6 and link-layer address each", each(func(c *conn, d script) {
		c.client, c.server = fmt.Sprintf("fd00::2:%x", 1+d.i), fmt.Sprintf("2001:db8:%x::25", 1000+d.i)
		withMAC(wholeSession(c, d), [6]byte{2, 0, 0, 0, byte(d.i), 1})
	}), likelyBoth},
	{"IPv4 and link-layer address each two mails", each(func(c *conn, d script) {
		c.client = fmt.Sprintf("10.0.2.%d", 1+d.i/2)
		withMAC(wholeSession(c, d), [6]byte{2, 0, 0, 0, byte(d.i / 2), 1})
	}), likelyBoth},
	{"an IPv4 address each, a link-layer address for two", each(func(c *conn, d script) {
		c.client = fmt.Sprintf("10.0.2.%d", 1+d.i)
		withMAC(wholeSession(c, d), [6]byte{2, 0, 0, 0, byte(d.i / 2), 1})
	}), likelyBoth},
	{"IPv4 and link-layer address each, lines 5 s apart", each(func(c *conn, d script) {
		c.client = fmt.Sprintf("10.0.2.%d", 1+d.i)
		c.open().serverSends("220 mx ESMTP\r\n")
		d.play(c, func(line string) { c.wait(5 * second).clientSends(line + "\r\n") })
		withMAC(c.close(), [6]byte{2, 0, 0, 0, byte(d.i), 1})
	}), likelyBoth},
	{"one SYN each, dropped", each(func(c *conn, _ script) { c.syn() }), suspectBoth},
}

// selfPraise adds two spoofed incoming mails and 25 spoofed successful sessions, from a time on;
// the frames of both sides come from the bot.
func selfPraise(from int64) func(pace int64) []timedFrame {
	return func(pace int64) []timedFrame {
		lists := [][]timedFrame{at(inbound(0, 1), from), at(inbound(1, 1), from)}
		for i := range 25 {
			c := newConn("10.0.0.5", fmt.Sprintf("192.0.%d.25", i), uint16(50000+i), 25)
			c.at += int64(i)*minute + from
			c.open().mail().close()
			for _, f := range c.frames {
				f.data[11] = 1
			}
			lists = append(lists, c.frames)
		}
		return together(append(lists, each(func(c *conn, d script) { d.helo = "EHLO a.example.org"; wholeSession(c, d) })(pace))...)
	}
}

// oneSession has 40 mails in one session, of which 16 are refused.
func oneSession(helo string) func(pace int64) []timedFrame {
	return func(pace int64) []timedFrame {
		c := baseConn(0, pace).open().serverSends("220 mx ESMTP\r\n").clientSends(helo + "\r\n").serverSends("250 mx\r\n")
		for i := range 40 {
			d := baseScript(i)
			c.at = max(c.at, epoch+int64(i)*pace)
			d.mail(c, plainly(c))
		}
		return c.clientSends("QUIT\r\n").serverSends("221 bye\r\n").close().frames
	}
}

// decoys has a decoy before each line.
func decoys(sum bool, text func(line string) string) func(pace int64) []timedFrame {
	return each(func(c *conn, d script) {
		c.open().serverSends("220 mx ESMTP\r\n")
		d.play(c, func(line string) {
			line += "\r\n"
			c.decoy(0, text(line), sum).clientSends(line)
		})
		c.close()
	})
}

// TestEvasion checks that a bot is found in spite of each evasion.
func TestEvasion(t *testing.T) {
	for _, e := range evasions {
		var got [2]string
		for j, pace := range []int64{paceM, paceS} {
			level, after := verdict.NoLevel, uint32(0)
			var classes []string
			for _, f := range analyse(Config{}, e.make(pace)).findings {
				if c := f.Class.String(); !slices.Contains(classes, c) {
					classes = append(classes, c)
				}
				if f.Class == verdict.Spambot && f.Level > level {
					level, after = f.Level, f.Decided.Attempts
				}
			}
			if got[j] = fmt.Sprintf("%s after %d", level, after); level < e.goal[j] {
				t.Errorf("%s: %s, want %s; %v", e.name, level, e.goal[j], classes)
			}
		}
		t.Logf("R30: %s: M %s, S %s (goal %s, %s)", e.name, got[0], got[1], e.goal[0], e.goal[1])
	}
}
