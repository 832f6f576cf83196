package smtpsniff

import (
	"bytes"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"
)

// The beginning of a line takes the memory that it needs, and all of it is counted.
func TestBytesOfManySessions(t *testing.T) {
	for _, c := range []struct {
		what           string
		client, server string
		most           int // of a session, beside itself
	}{
		{"nothing unfinished", "EHLO a\r\n", "220 mx.example.net ESMTP\r\n", 128},
		{"a byte each way", "E", "2", 128},
		{"a long line each way", "EHLO " + strings.Repeat("x", 5000), "250-" + strings.Repeat("x", 5000), 2048},
		{"a message ahead of the reply to DATA", "DATA\r\n" + strings.Repeat("x", 7000), "", 8192},
	} {
		var l Listener
		var list []*Session
		const n = 500
		for range n {
			s := l.New(false, false)
			l.Feed(s, Server, []byte(c.server))
			l.Feed(s, Client, []byte(c.client))
			list = append(list, s)
		}
		sum := n * sessionBytes
		for _, s := range list {
			for _, b := range [][]byte{s.text, s.client.line.buf, s.server.line.buf,
				s.client.held.bytes, s.client.alt.bytes} {
				sum += cap(b)
			}
		}
		if l.Bytes() != sum+cap(l.lentLine) || l.Bytes() > n*(sessionBytes+c.most)+maxLine {
			t.Errorf("%s: %d bytes are counted, %d in use; a session takes %d (at most %d)", c.what,
				l.Bytes(), sum, sum/n-sessionBytes, c.most)
		}
		for _, s := range list {
			l.Free(s)
		}
		if l.Bytes() != cap(l.lentLine) || l.blocks.spare > leastSpare ||
			len(l.sessions)*sessionBytes > leastSpare {
			t.Errorf("%s: %d bytes in use at the end, %d free and %d sessions", c.what, l.Bytes(),
				l.blocks.spare, len(l.sessions))
		}
	}
}

// The session that has been silent longest is dropped first, once; it continues behind the gap.
func TestGiveUpOrder(t *testing.T) {
	var l Listener
	var list []*Session
	for range 5 {
		s := l.New(false, false)
		l.Feed(s, Server, []byte("220 mx.example.net ESMTP\r\n250"))
		l.Feed(s, Client, []byte("EHLO unfini"))
		list = append(list, s)
	}
	l.Feed(list[0], Client, []byte("s")) // not silent any more
	l.Feed(list[3], Client, []byte("shed\r\n"))
	l.Feed(list[3], Server, []byte("-mx\r\n250 ok\r\n")) // holds nothing
	for _, want := range []int{1, 2, 4, 0} {
		before := l.Bytes()
		if !l.DropOldest() || list[want].Flags&CutShort == 0 || l.Bytes() >= before {
			t.Fatalf("session %d should have made room: %d bytes, %d before", want, l.Bytes(),
				before)
		}
		if len(l.Events) > 0 && l.Events[0].Kind != Reply { // of the Feed before
			t.Errorf("events: %v", l.Events)
		}
	}
	if l.DropOldest() || list[3].Flags&CutShort != 0 ||
		l.Weird[bits.TrailingZeros(uint(CutShort))] != 4 ||
		FlagNames[bits.TrailingZeros(uint(CutShort))] != "cut_short" {
		t.Errorf("somebody else made room: %v", l.Weird)
	}
	s := list[1]
	l.Feed(s, Client, []byte("shed\r\nMAIL FROM:<a@example.org>\r\n"))
	l.Feed(s, Server, []byte("-mx\r\n250 ok\r\n250 ok\r\n"))
	l.Feed(s, Client, []byte("RCPT TO:<b@example.org>\r\n"))
	l.Feed(s, Server, []byte("250 ok\r\n"))
	l.Feed(s, Client, []byte("DATA\r\n"))
	l.Feed(s, Server, []byte("354 go on\r\n"))
	l.Feed(s, Client, []byte("text\r\n.\r\n"))
	l.Feed(s, Server, []byte("250 taken\r\n"))
	if s.Rcpts != 1 || s.Messages != 1 { // the MAIL does not count, as behind any gap
		t.Errorf("%d MAIL, %d RCPT, %d messages", s.Mails, s.Rcpts, s.Messages)
	}
}

// A dialogue whose held bytes are dropped at any place emits nothing of a message or a credential,
// invents no message without a flag, and loses no block.
func TestDialoguesCutShort(t *testing.T) {
	cuts := 0
	for _, d := range allDialogues(t) {
		var s *Session
		listenSession(d.midstream, d.steps, &s)
		messages := s.Messages
		var pieces []step // lines in two halves, so that there are bytes to drop
		for _, one := range lines(d.steps) {
			if one.gap > 0 || len(one.data) < 4 {
				pieces = append(pieces, one)
				continue
			}
			half := len(one.data) / 2
			pieces = append(pieces, step{side: one.side, data: one.data[:half]},
				step{side: one.side, data: one.data[half:]})
		}
		for i := 0; i < len(pieces); i += 1 + len(pieces)/200 {
			cuts++
			var l Listener
			for j := range 3 { // other sessions are not affected
				other := l.New(false, false)
				if j < 2 {
					l.Feed(other, Client, []byte("E"))
				}
			}
			var gave bool
			got := listenWith(d.midstream, false, &s, func(h *recorder) {
				for j, one := range pieces {
					if one.gap > 0 {
						h.gap(one.side, one.gap)
					} else {
						h.feed(one.side, []byte(one.data))
					}
					if j == i {
						sent := len(h.l.Events)
						gave = h.l.DropOldest()
						if len(h.l.Events) != sent {
							t.Errorf("%s, cut behind %q: an event", d.name, one.data)
						}
					}
				}
			})
			doubtful := s.Flags&(Ambiguous|CutShort) != 0
			if gave != (s.Flags&CutShort != 0) {
				t.Errorf("%s, cut behind %q: flags %b", d.name, pieces[i].data, s.Flags)
			}
			if s.Messages > messages && !doubtful || strings.Contains(got, "SECRET") &&
				s.Flags&Ambiguous == 0 {
				t.Errorf("%s, cut behind %q: %d messages, there are %d\n%s", d.name, pieces[i].data,
					s.Messages, messages, got)
			}
		}
	}
	t.Logf("cut short in %d places", cuts)
}

// The memory of many sessions is counted, whatever they send and whenever bytes are dropped.
func TestGiveUpAtRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	words := []string{"EHLO a\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<a@b>\r\n", "DATA\r\n", "x",
		"\r\n", "\n.\n", "\r\n.\r\n", "BDAT 70\r\n", "BDAT +9 x\r\n", "STARTTLS\r\n",
		"AUTH LOGIN\r\n",
		"\x16\x03\x01\x02\x00\x01", "220 a\r\n", "250 ok\r\n", "250-ok\r\n", "354 go\r\n", "500 no\r\n", "503 no\r\n", "334 \r\n", "235 ok\r\n", strings.Repeat("y", 600), "QUIT\r\n", "221 bye\r\n", "25"}
	for range 30 {
		var l Listener
		var list []*Session
		for range 20 {
			list = append(list, l.New(rng.IntN(4) == 0, rng.IntN(4) == 0))
		}
		for range 2000 {
			s, side := list[rng.IntN(len(list))], Side(rng.IntN(2))
			switch rng.IntN(12) {
			case 0:
				l.Gap(s, side, 1+rng.IntN(300))
			case 1, 2:
				l.DropOldest()
			default:
				var b bytes.Buffer
				for range 1 + rng.IntN(4) {
					b.WriteString(words[rng.IntN(len(words))])
				}
				l.Feed(s, side, b.Bytes())
			}
			sum := len(list)*sessionBytes + cap(l.lentLine)
			for _, s := range list {
				for _, b := range [][]byte{s.text, s.client.line.buf, s.server.line.buf,
					s.client.held.bytes, s.client.alt.bytes} {
					sum += cap(b)
				}
			}
			if l.Bytes() != sum {
				t.Fatalf("%d bytes are counted, %d in use", l.Bytes(), sum)
			}
		}
		for l.DropOldest() {
		}
		for _, s := range list {
			if s.client.line.buf != nil || s.server.line.buf != nil || s.client.held.bytes != nil ||
				s.client.alt.bytes != nil {
				t.Fatal("a session that nobody knew of holds something")
			}
			l.Finish(s)
			l.Free(s)
		}
		if l.Bytes() != cap(l.lentLine) || l.holders != (holders{}) {
			t.Fatalf("%d bytes in use at the end", l.Bytes())
		}
	}
}
