package smtpsniff

import (
	"strings"
	"testing"
)

// play feeds lines "C: " and "S: " to a listener.
func play(lines ...string) *recorder {
	h := &recorder{}
	h.s = h.l.New(false, false)
	for _, line := range lines {
		h.feed(sideOf(line[0]), []byte(line[3:]+"\r\n"))
	}
	return h
}

// The largest size of BDAT has 18 digits; 19 may not fit in 63 bits.
func TestBDATDigits(t *testing.T) {
	for digits, bad := range map[int]bool{3: false, 18: false, 19: true, 20: true, 400: true} {
		h := play("S: 220 mx", "C: EHLO a", "S: 250 mx",
			"C: BDAT "+strings.Repeat("1", digits)+" LAST", "C: NOOP")
		if got := h.s.Flags&BadBDAT != 0; got != bad || (h.s.Commands == 3) != bad {
			t.Errorf("%d digits: bad %v, %d commands", digits, got, h.s.Commands)
		}
	}
}

// Sixteen lines after AUTH are credentials, even where they look like commands; the line behind
// them is not.
func TestAuthEnds(t *testing.T) {
	for _, line := range []string{"NOOP", "QUIT", "RSET", "STARTTLS", "U0VDUkVU"} {
		for lines, commands := range map[int]uint32{maxAuth - 1: 2, maxAuth: 2, maxAuth + 1: 3} {
			h := play("S: 220 mx", "C: EHLO a", "S: 250 mx", "C: AUTH LOGIN")
			for range lines {
				h.feed(Client, []byte(line+"\r\n"))
			}
			if h.s.Commands != commands {
				t.Errorf("%s, %d lines: %d commands, want %d", line, lines, h.s.Commands, commands)
			}
		}
	}
}

// Counters saturate: they never wrap around.
func TestCountersStop(t *testing.T) {
	h := play("S: 220 mx")
	h.feed(Server, []byte(strings.Repeat("250 ok\r\n", 255)))
	if h.s.server.lines != 255 {
		t.Errorf("%d lines of the server were counted", h.s.server.lines)
	}
	h.feed(Server, []byte(strings.Repeat("250 ok\r\n", 1<<16)))
	h.s.Codes(func(c CodeCount) {
		if c.Code == 250 && c.Count != 1<<16-1 {
			t.Errorf("250 came %d times", c.Count)
		}
	})
	q := pendingQueue{total: 1<<32 - 1}
	n := uint32(1<<32 - 1)
	if inc(&n); q.push(MAIL) || n != 1<<32-1 {
		t.Error("it went on behind the largest number")
	}
}

// Only a 220 starts TLS after STARTTLS.
func TestOnly220IsTLS(t *testing.T) {
	h := play("S: 220 mx", "C: EHLO a", "S: 250 mx", "C: STARTTLS", "S: 250 what",
		"C: MAIL FROM:<a@example.org>", "S: 250 ok")
	if h.s.Encryption != Plain || h.s.Flags&STARTTLSRefused == 0 || h.s.Mails != 1 {
		t.Errorf("%s, flags %b, %d mails", h.s.Encryption, h.s.Flags, h.s.Mails)
	}
}

// The verb of a line without its end counts where it is whole, and where it oneSided decides how to
// read the bytes behind it.
func TestCutCommands(t *testing.T) {
	for text, commands := range map[string]uint32{"MAIL FROM:<a": 2, "MAIL ": 2, "RCPT\tTO": 2,
		"NOOP:x": 2, "AUTH PLAIN AA": 2, "RSET x": 2,
		"MAIL": 1, "MAI": 1, "MAILS x": 1, "DATA x": 1, "BDAT 10": 1, "STARTTLS ": 1, "hello x": 1} {
		h := play("S: 220 mx", "C: EHLO a", "S: 250 mx")
		h.feed(Client, []byte(text))
		h.gap(Client, 10)
		if h.s.Commands != commands {
			t.Errorf("%q: %d commands, want %d", text, h.s.Commands, commands)
		}
	}
	h := recorder{}
	h.s = h.l.New(false, true) // no reply will confirm it
	h.gap(Client, 10)
	h.feed(Client, []byte("MAIL FROM:<a"))
	h.gap(Client, 10)
	if h.s.Mails != 1 || h.s.Flags&Ambiguous == 0 {
		t.Errorf("%d mails, flags %b", h.s.Mails, h.s.Flags)
	}
}

// Behind STARTTLS a server's reply in the clear is read where TLS records can be skipped; behind
// bytes that are no record its beginning is not known.
func TestRecordsOfTLS(t *testing.T) {
	for typ, read := range map[byte]bool{0x00: false, 0x13: false, 0x14: true, 0x17: true,
		0x18: true, 0x19: false, 0xff: false} {
		h := play("S: 220 mx", "C: EHLO a", "S: 250 mx", "C: STARTTLS", "S: 220 go")
		h.feed(Client, []byte("\x16\x03\x01\x00\x05hello"))
		before := h.s.Replies
		h.feed(Server, []byte{typ, 3, 3, 0, 2, 'x', 'y'})
		h.feed(Server, []byte("421 bye\r\n"))
		if got := h.s.Replies > before; got != read {
			t.Errorf("type %#x: read %v", typ, got)
		}
	}
}

// LMTP has a reply for each of a thousand recipients, and the next command has its own.
func TestLMTPAnswersForEach(t *testing.T) {
	const recipients = 1000
	h := play("S: 220 mx", "C: LHLO a", "S: 250 mx", "C: MAIL FROM:<a@a.example>", "S: 250 ok")
	for range recipients {
		h.feed(Client, []byte("RCPT TO:<b@b.example>\r\n"))
		h.feed(Server, []byte("250 ok\r\n"))
	}
	h.feed(Client, []byte("DATA\r\n"))
	h.feed(Server, []byte("354 go\r\n"))
	h.feed(Client, []byte("x\r\n.\r\nMAIL FROM:<c@c.example>\r\n"))
	for range recipients {
		h.feed(Server, []byte("452 full\r\n"))
	}
	if h.s.Messages != 0 || h.s.Deferred != recipients || h.s.Flags&ExtraReply != 0 {
		t.Errorf("%d messages, %d deferred, flags %b", h.s.Messages, h.s.Deferred, h.s.Flags)
	}
	h.feed(Server, []byte("550 not you\r\n"))
	if h.s.Rejected != 1 || h.s.refusals[0].Phase != EndOfData || h.s.Flags&ExtraReply != 0 ||
		h.s.client.pending.total != 0 {
		t.Errorf("%d rejected, flags %b, %d wait", h.s.Rejected, h.s.Flags,
			h.s.client.pending.total)
	}
}
