package smtpsniff

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// A family is traffic that grows with n: about 64 bytes for each unit of n, unless bytes is set.
var families = []struct {
	name  string
	play  func(l *Listener, s *Session, n int)
	bytes int
}{
	{"a client's line without an end", repeatedly(Client, strings.Repeat("x", 64)), 0},
	{"a server's line without an end", repeatedly(Server, strings.Repeat("x", 64)), 0},
	{"empty lines", repeatedly(Client, strings.Repeat("\r\n", 32)), 0},
	{"empty lines of the server", repeatedly(Server, strings.Repeat("\r\n", 32)), 0},
	{"RSET, never answered", repeatedly(Client, strings.Repeat("RSET\r\n", 10)), 0},
	{"NOOP and RSET, never answered", repeatedly(Client, strings.Repeat("NOOP\r\nRSET\r\n", 5)), 0},
	{"RCPT in one transaction", repeatedly(Client, "RCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\n"), 0},
	{"EHLO again and again", repeatedly(Client, strings.Repeat("EHLO a.example.org\r\n", 3)), 0},
	{"a reply that never ends", repeatedly(Server, strings.Repeat("250-x\r\n", 9)), 0},
	{"replies to nothing", repeatedly(Server, strings.Repeat("250 ok\r\n", 8)), 0},
	{"BDAT 1", repeatedly(Client, strings.Repeat("BDAT 1\r\nx", 7)), 0},
	{"AUTH again and again", repeatedly(Client, strings.Repeat("AUTH LOGIN\r\nAAAA\r\n", 3)), 0},
	{"a message of dots", withinMessage(strings.Repeat("\r\n..\n.x\r", 8)), 0},
	{"a message of lenient ends", withinMessage(strings.Repeat("\n.\r\nxx", 10)), 0},
	{"a message of line feeds", withinMessage(strings.Repeat("\n", 64)), 0},
	{"a message held back behind DATA", func(l *Listener, s *Session, n int) {
		l.Feed(s, Server, []byte("220 mx\r\n"))
		l.Feed(s, Client, []byte("DATA\r\n"))
		repeatedly(Client, strings.Repeat("MAIL FROM:<>\r\n.\r\n", 4))(l, s, n)
	}, 0},
	{"lenient ends, each answered", func(l *Listener, s *Session, n int) {
		withinMessage("x")(l, s, 1)
		for range n {
			l.Feed(s, Client, lenientThenMail)
			l.Feed(s, Server, fiveReplies)
		}
	}, len(lenientThenMail) + len(fiveReplies)},
	{"gaps between commands", func(l *Listener, s *Session, n int) {
		for range n {
			l.Feed(s, Client, lenientThenMail)
			l.Gap(s, Client, 10)
			l.Gap(s, Server, 10)
			l.Feed(s, Server, fiveReplies)
		}
	}, len(lenientThenMail) + len(fiveReplies)},
}

var (
	lenientThenMail = []byte("a\n.\nRSET\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
	fiveReplies     = []byte("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
)

func repeatedly(side Side, text string) func(*Listener, *Session, int) {
	b := []byte(text)
	return func(l *Listener, s *Session, n int) {
		for range n {
			l.Feed(s, side, b)
		}
	}
}

// withinMessage feeds text within a message that the server has asked for.
func withinMessage(text string) func(*Listener, *Session, int) {
	return func(l *Listener, s *Session, n int) {
		l.Feed(s, Server, []byte("220 mx\r\n"))
		l.Feed(s, Client, []byte("DATA\r\n"))
		l.Feed(s, Server, []byte("354 go\r\n"))
		repeatedly(Client, text)(l, s, n)
	}
}

// ordinary is the dialogue of a small mail.
func ordinary(l *Listener, s *Session, n int) {
	for range n {
		for _, x := range []struct {
			side Side
			text string
		}{{Server, "220 mx.example.net ESMTP\r\n"}, {Client, "EHLO pc.example.org\r\n"},
			{Server, "250-mx.example.net\r\n250-PIPELINING\r\n250 SIZE\r\n"},
			{Client, "MAIL FROM:<a@example.org>\r\n"}, {Server, "250 2.1.0 Ok\r\n"}, {Client, "RCPT TO:<b@example.net>\r\n"}, {Server, "250 2.1.5 Ok\r\n"}, {Client, "DATA\r\n"},
			{Server, "354 End data with <CR><LF>.<CR><LF>\r\n"}, {Client, "Subject: hello\r\n\r\nA line of a message.\r\n.\r\n"}, {Server, "250 2.0.0 Ok: queued\r\n"}} {
			l.Feed(s, x.side, []byte(x.text))
		}
	}
}

// took is how long a family takes once.
func took(play func(*Listener, *Session, int), n int) time.Duration {
	var l Listener
	s := l.New(false, false)
	began := time.Now()
	play(&l, s, n)
	return time.Since(began)
}

// Twice as many bytes of any family take about twice as long, and no byte much longer than one of
// an ordinary dialogue. A time is the shortest of several, a ratio that of the shortest times or
// the median of the pairs; more are measured where they do not fit, because other programs
// interfere. The goals apply where figures are asked for (SPAMSENSOR_FIGURES, make reliability); in
// any other run, on a busy machine or with the race detector, only clearly superlinear families
// fail.
func TestLinearTime(t *testing.T) {
	const n = 2000 // short enough to be over before another program gets its turn
	worstRatio, worstCost, worstByte := 0.0, 0.0, 0.0
	// a dialogue's times for 64 bytes: twenty times as much for each byte
	mostRatio, mostCost := 3.0, 20*64/280.
	if os.Getenv("SPAMSENSOR_FIGURES") != "" {
		mostRatio, mostCost = 2.2, 3*64/280.
	}
	for _, f := range families {
		size := cmp.Or(f.bytes, 64)
		least, leastTwice, dialogue := time.Hour, time.Hour, time.Hour
		var ratio, cost float64
		var ratios []float64
		for i := range 500 {
			once, twice := took(f.play, n), took(f.play, 2*n)
			// in turns: the machine's speed varies
			least, leastTwice, dialogue = min(least, once), min(leastTwice, twice),
				min(dialogue, took(ordinary, 1000))
			ratios = append(ratios, float64(twice)/float64(once))
			slices.Sort(ratios)
			// of 11 calls
			ratio, cost = min(ratios[len(ratios)/2], float64(leastTwice)/float64(least)),
				float64(least)/n*64/float64(size)*1000/float64(dialogue)
			if i >= 4 && ratio <= mostRatio && cost <= mostCost {
				break
			}
		}
		t.Logf("%-36s %4.0f ns for 64 bytes, x%.2f when doubled", f.name,
			float64(least)/n*64/float64(size), ratio)
		worstRatio = max(worstRatio, ratio)
		if cost > worstCost {
			worstCost, worstByte = cost, float64(least)/n/float64(size)
		}
		if ratio > mostRatio {
			t.Errorf("%s: twice as much takes %.2f times as long", f.name, ratio)
		}
		if cost > mostCost {
			t.Errorf("%s: %.1f dialogues' time for 64 bytes", f.name, cost)
		}
	}
	t.Logf("R7: %d families of payloads: twice as much takes at most %.2f times as long (goal 14, 2.2), 64 bytes at most %.2f of an ordinary dialogue of 280 bytes, %.0f ns a byte against %.0f (goal 3 times)",
		len(families), worstRatio, worstCost, worstByte, worstByte*64/worstCost/280)
}

// Nor do more bytes take more memory: after the first ones nothing is allocated.
func TestConstantMemory(t *testing.T) {
	for _, f := range families {
		var l Listener
		s := l.New(false, false)
		f.play(&l, s, 2000)
		text := cap(s.text)
		if per := testing.AllocsPerRun(3, func() { f.play(&l, s, 2000) }); per > 20 {
			t.Errorf("%s: %.0f allocations for 2000 calls", f.name, per)
		}
		if cap(s.text) > maxText || cap(s.text) > 2*max(text, 512) ||
			l.Bytes() > sessionBytes+4*maxHeld || l.blocks.spare > leastSpare {
			t.Errorf("%s: %d bytes of text, %d of blocks, %d free", f.name, cap(s.text),
				l.blocks.bytes, l.blocks.spare)
		}
	}
}
