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

// oneWay leaves out the frames of one side.
func oneWay(frames []timedFrame, side byte) []timedFrame {
	return slices.DeleteFunc(slices.Clone(frames), func(f timedFrame) bool { return f.data[11] == side+1 })
}

// verify is a dialogue that asks for a recipient and delivers nothing.
func verify(c *conn, sender string) {
	c.open().serverSends("220 mx ESMTP\r\n").clientSends("EHLO probe.example.org\r\n").serverSends("250 mx\r\n").clientSends("MAIL FROM:<" + sender + ">\r\n").serverSends("250 ok\r\n").
		clientSends("RCPT TO:<b@example.net>\r\n").serverSends("250 ok\r\n").clientSends("QUIT\r\n").serverSends("221 bye\r\n").close()
}

// TestScannerHasNothingToDeliver checks that a client that delivers mail is no scanner, also if
// only the server's side is seen, and that a client that sends EHLO and QUIT alone is one.
func TestScannerHasNothingToDeliver(t *testing.T) {
	mails := bot(30, func(c *conn) { c.open().mail().close() })
	greets := func(c *conn) {
		c.open().serverSends("220 mx ESMTP\r\n").clientSends("EHLO probe.example.org\r\n").serverSends("250 mx\r\n").clientSends("QUIT\r\n").serverSends("221 bye\r\n").close()
	}
	for _, c := range []struct {
		name   string
		frames []timedFrame
		want   bool
	}{
		{"mail", mails, false},
		{"mail, of which the server's side is captured", oneWay(mails, 0), false},
		{"mail, of which the client's side is captured", oneWay(mails, 1), false},
		{"hello and goodbye", bot(30, greets), true},
		{"hello and goodbye, of which the client's side is captured", oneWay(bot(30, greets), 1), false},
		{"refused at the greeting", bot(30, func(c *conn) {
			c.open().serverSends("554 no\r\n").clientSends("QUIT\r\n").serverSends("221 bye\r\n").close()
		}), false},
		{"refused at the hello", bot(30, func(c *conn) {
			c.open().serverSends("220 mx\r\n").clientSends("EHLO a.example.org\r\n").serverSends("550 5.7.1 no\r\n").clientSends("QUIT\r\n").serverSends("221 bye\r\n").close()
		}), false},
		{"is greeted, and leaves", bot(30, func(c *conn) { c.open().serverSends("220 mx ESMTP\r\n").close() }), true},
		{"is greeted, and cut off", bot(30, func(c *conn) { c.open().serverSends("220 mx ESMTP\r\n").send(1, RST, "") }), false},
		{"is greeted, and the capture ends", bot(30, func(c *conn) { c.open().serverSends("220 mx ESMTP\r\n") }), false},
		{"leaves at once", bot(30, func(c *conn) { c.open().send(0, RST, "") }), true},
		{"waits for a greeting in vain", bot(30, func(c *conn) { c.open().wait(30 * second).close() }), false},
		{"waits until a firewall cuts it off", bot(30, func(c *conn) { c.open().wait(30*second).send(1, RST, "") }), false},
		{"is reset by a firewall behind the answer", bot(30, func(c *conn) { c.syn().send(1, SYN|ACK, "").send(1, RST, "") }), false},
		{"tries who is let through, in many names", bot(30, func(c *conn) { verify(c, fmt.Sprintf("a@x%d.example.org", c.cport)) }), true},
		{"tries who exists, in one name", bot(30, func(c *conn) { verify(c, "") }), false},
	} {
		r := analyse(Config{}, c.frames)
		if s := r.sources["10.0.0.5"]; (s.Role == "scanner") != c.want {
			t.Errorf("%s: %s, %s", c.name, s.Role, story(r.findings, "10.0.0.5"))
		}
	}
}

// TestVerifierIsRefused checks that a client that only verifies addresses gets that verdict, also
// if every third address does not exist, and never the verdict of a bot.
func TestVerifierIsRefused(t *testing.T) {
	asks := func(name string) []timedFrame {
		return bot(60, func(c *conn) {
			if c.cport%3 > 0 {
				verify(c, "")
				return
			}
			c.open().serverSends("220 mx ESMTP\r\n").clientSends("EHLO " + name + "\r\n").serverSends("250 mx\r\n").clientSends("MAIL FROM:<>\r\n").serverSends("250 ok\r\n").
				clientSends("RCPT TO:<c@example.net>\r\n").serverSends("550 5.1.1 User unknown\r\n").clientSends("QUIT\r\n").serverSends("221 bye\r\n").close()
		})
	}
	r := analyse(Config{}, asks("probe.example.org"))
	if s := r.sources["10.0.0.5"]; s.Role != "verifier" || s.Level > verdict.Suspect {
		t.Errorf("%s, %s", s.Role, story(r.findings, "10.0.0.5"))
	}
	if f := r.findings[len(r.findings)-1]; !strings.Contains(f.Advice, "whether addresses exist") {
		t.Error(f.Advice)
	}
	if r = analyse(Config{}, asks("ANNAS-PC")); r.sources["10.0.0.5"].Level > verdict.Suspect || r.sources["10.0.0.5"].Role != "scanner" {
		t.Errorf("with two names: %s, %s", r.sources["10.0.0.5"].Role, story(r.findings, "10.0.0.5"))
	}
}

// TestEgressFromSYNs checks that a capture of first SYNs alone does not show missing answers,
// because there are no retransmissions.
func TestEgressFromSYNs(t *testing.T) {
	for _, c := range []struct {
		name   string
		frames []timedFrame
		want   string
	}{
		{"sent once", bot(30, func(c *conn) { c.syn() }), "unknown"},
		{"sent again", bot(30, insisting), "drop"},
	} {
		r := analyse(Config{}, c.frames)
		if n := len(r.findings); n == 0 || r.findings[n-1].Egress != c.want {
			t.Errorf("%s: %+v", c.name, r.findings)
		}
	}
}

// TestSentencesAgree checks that the sentences of a finding agree with each other: number of
// attempts, certainty, and advice.
func TestSentencesAgree(t *testing.T) {
	last := func(frames []timedFrame) string {
		r := analyse(Config{}, frames)
		f := r.findings[len(r.findings)-1]
		text := f.Level.String() + ": "
		for _, x := range f.Reasons {
			text += x.Text + " "
		}
		return text + f.Advice
	}
	submits := func(c *conn) {
		c.sport = 587
		c.open().serverSends("220 mx ESMTP\r\n").clientSends("EHLO pc\r\n").serverSends("250 mx\r\n").clientSends("AUTH PLAIN AGEAYg==\r\n").serverSends("535 5.7.8 no\r\n").clientSends("QUIT\r\n").serverSends("221 bye\r\n").close()
	}
	for _, c := range []struct {
		name        string
		frames      []timedFrame
		says, never string
	}{
		{"dropped", bot(20, insisting), "none of its 20 attempts", ""},
		{"dropped, and that is enough", bot(20, insisting), "likely: ", "Ask what runs"},
		{"reset once", bot(20, func(c *conn) { c.syn().send(1, RST|ACK, "") }), "suspect: ", "infected"},
		{"on the port for submission", bot(30, submits), "ports 465, 587 and 2525", ""},
		{"on port 25", bot(30, refusing), "Block outgoing port 25", "587"},
	} {
		got := last(c.frames)
		if !strings.Contains(got, c.says) || c.never != "" && strings.Contains(got, c.never) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

// TestDecidedOnce checks that the time of a decision does not change with updates of the finding.
func TestDecidedOnce(t *testing.T) {
	noise := newConn("10.0.0.5", "192.0.2.25", 39000, 25).open().serverSends("220 mx\r\n").clientSends("\x01\x02\x03 join #channel\r\n").serverSends("500 what?\r\n").close()
	r := analyse(Config{}, append(slices.Clone(noise.frames), at(bot(3, func(c *conn) { c.open().mail().close() }), minute)...))
	n := 0
	for _, f := range r.findings {
		if f.Class == verdict.NotSMTP {
			if n++; f.Decided.Attempts != 1 || f.DecidedIn > second {
				t.Errorf("%s: after %d attempts, %d s", f.Action, f.Decided.Attempts, f.DecidedIn/second)
			}
		}
	}
	if n != 2 {
		t.Errorf("told %d times", n)
	}
}

// TestManyTTLs checks that random TTLs, as nmap draws for each SYN, count as one machine and not as
// several behind a gateway.
func TestManyTTLs(t *testing.T) {
	for _, c := range []struct {
		name string
		ttls []uint8
		want bool
	}{
		{"one machine", []uint8{64}, false},
		{"two kinds of machines", []uint8{63, 127}, true},
		{"three", []uint8{63, 127, 254}, true},
		{"drawn", []uint8{37, 41, 44, 48, 50, 53, 55, 57}, false},
	} {
		frames := bot(48, func(c *conn) { c.syn().send(1, SYN|ACK, "").send(0, RST, "") })
		i := 0
		for j := range frames {
			if f := &frames[j]; f.data[14+20+13] == SYN {
				f.data[14+8] = c.ttls[i%len(c.ttls)]
				i++
			}
		}
		s := analyse(Config{}, frames).sources["10.0.0.5"]
		if s.GivenUp != 48 || s.Silent != 48 {
			t.Errorf("%s: %d given up when answered, %d silent, want all 48", c.name, s.GivenUp, s.Silent)
		}
		if (s.Role == "nat") != c.want {
			t.Errorf("%s: %s", c.name, s.Role)
		}
	}
}

// TestLateSYN checks a mirror port that swaps frames and delivers the SYN after the handshake:
// segments that repeat bytes later are no second session.
func TestLateSYN(t *testing.T) {
	c := newConn("10.0.0.5", "192.0.2.25", 40000, 25).open()
	f := c.frames
	c.frames = []timedFrame{f[1], f[2], f[0]}
	c.mail().close()
	again := f[2]
	again.at = c.at - 10e6
	c.frames = slices.Insert(c.frames, len(c.frames)-6, again)
	r := analyse(Config{}, c.frames)
	if got := r.brief("10.0.0.5"); !strings.Contains(got, "attempts 1 retransmits 0 sessions 1") || !strings.Contains(got, "messages 1") || len(r.sessions) != 1 {
		t.Errorf("%s, %d told", got, len(r.sessions))
	}
}

// TestSYNAfterItsAnswer checks that a SYN that is retransmitted because the answer was late belongs
// to the session.
func TestSYNAfterItsAnswer(t *testing.T) {
	c := newConn("10.0.0.5", "192.0.2.25", 40000, 25).syn().send(1, SYN|ACK, "")
	again := c.frames[0]
	again.at = c.at + 900e6
	c.frames = append(c.frames, again)
	c.wait(1e9).send(0, ACK, "").mail().close()
	r := analyse(Config{}, c.frames)
	if len(r.sessions) != 1 || r.sessions[0].SYNs != 2 || r.sessions[0].PktsToServer != 11 {
		t.Errorf("%+v", r.sessions)
	}
	if got := r.brief("10.0.0.5"); !strings.Contains(got, "attempts 1 retransmits 1 sessions 1") {
		t.Error(got)
	}
}

// TestFindingNamesHopLimits checks that a finding about an address with many machines behind it
// names the hop limits, by which the sending machine can be found behind the gateway.
func TestFindingNamesHopLimits(t *testing.T) {
	frames := bot(48, func(c *conn) { c.open().mail().close() })
	n := 0
	for i := range frames {
		if f := &frames[i]; f.data[14+20+13] == SYN {
			f.data[14+8] = 127
			if n%8 == 0 {
				f.data[14+8] = 63
			}
			n++
		}
	}
	r := analyse(Config{}, frames)
	last := r.findings[len(r.findings)-1]
	if blind := strings.Join(last.Blind, "\n"); !strings.Contains(blind, "(127 in 42 attempts, 63 in ") {
		t.Errorf("%s", blind)
	}
}

// TestBurstToOneProvider checks that a host that sends a burst to one provider in TLS, with a
// proper name, is suspect at the twentieth attempt within five minutes (BotFlex), and that a host
// that receives mail is a server with a queue.
func TestBurstToOneProvider(t *testing.T) {
	hammer := func(servers, n int, step int64) (frames []timedFrame) {
		for i := range n {
			c := newConn("10.0.0.5", fmt.Sprintf("192.0.2.%d", 25+i%servers), uint16(20000+i), 25)
			c.at += hour + int64(i)*step + int64(i*i%7)*second // a probe has a constant interval
			c.seq = [2]uint32{uint32(i) * 7919, uint32(i) * 104729}
			c.dialogue("S: 220 mx.provider.example ESMTP\nC: EHLO pc.example.org\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n")
			frames = append(frames, c.frames...)
		}
		return frames
	}
	var comesIn []timedFrame
	for i := range 3 {
		c := newConn(fmt.Sprintf("203.0.%d.9", 113+i), "10.0.0.5", uint16(30000+i), 25)
		c.at += int64(i) * minute
		c.dialogue(message("a@example.net", "b@example.org", "250 ok", "250 taken"))
		comesIn = append(comesIn, c.frames...)
	}
	for _, c := range []struct {
		name   string
		frames []timedFrame
		want   string
	}{
		{"a burst", hammer(14, 30, 10*second), "suspect after 20"},
		{"twenty in more than five minutes", hammer(14, 30, 17*second), ""},
		{"reports by way of a provider", hammer(4, 30, 10*second), ""},
		{"a server with a queue", together(comesIn, hammer(14, 30, 10*second)), ""},
	} {
		got := ""
		e := New(Config{Limits: Limits{Attempts: 4096, Flows: 4096, Sources: 4096, Sessions: 1024, Hosts: 1024}}, Output{Finding: func(f *finding.Finding) {
			if f.Class == verdict.Spambot && got == "" {
				got = fmt.Sprintf("%s after %d", f.Level, f.Decided.Attempts)
			}
		}})
		w := feeder{w: e.Worker(), size: 20} // shards exchange notes after each batch
		for _, f := range c.frames {
			w.take(f)
		}
		e.Finish("end_of_input")
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
