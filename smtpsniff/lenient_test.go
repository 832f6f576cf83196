package smtpsniff

import (
	"strings"
	"testing"
)

// A chunk with an odd size may be longer than the held bytes.
func TestLongLenientChunk(t *testing.T) {
	h := play("S: 220 mx", "C: EHLO a", "S: 250 mx", "C: MAIL FROM:<a@a.example>", "S: 250 ok",
		"C: RCPT TO:<b@b.example>", "S: 250 ok", "C: BDAT +20000 LAST")
	body := strings.Repeat("MAIL FROM:<x@evil.example>\r\n", 1000)[:20000]
	h.feed(Client, []byte(body[:9000]))
	h.feed(Client, []byte(body[9000:]+"NOOP\r\n"))
	h.feed(Server, []byte("250 taken\r\n250 ok\r\n"))
	if h.s.Messages != 1 || h.s.Mails != 1 || h.s.Commands != 5 ||
		h.s.Flags&(GapClient|ExtraReply) != 0 {
		t.Errorf("%d messages, %d MAIL, %d commands, flags %b", h.s.Messages, h.s.Mails,
			h.s.Commands, h.s.Flags)
	}
}

// Bytes behind a gap after such a BDAT are not joined to the bytes before the gap.
func TestHeldChunkIsNotJoined(t *testing.T) {
	h := play("S: 220 mx", "C: EHLO a", "S: 250 mx", "C: BDAT +3 LAST")
	h.feed(Client, []byte("MAIL FROM:<a@a"))
	h.gap(Client, 9)
	h.feed(Client, []byte("b.example>\r\n"))
	h.feed(Server, []byte("501 no\r\n"))
	h.s.Senders(func(a []byte) { t.Errorf("nobody sent from %q", a) })
}

// In a one-sided session such a BDAT is no chunk.
func TestLenientChunkAlone(t *testing.T) {
	h := &recorder{}
	h.s = h.l.New(false, true)
	h.feed(Client, []byte("EHLO a\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nBDAT +6 LAST\r\nNOOP\r\n"))
	h.l.Finish(h.s)
	if h.s.Messages != 0 || h.s.Commands != 5 || h.s.Flags&BadBDAT == 0 {
		t.Errorf("%d messages, %d commands, flags %b", h.s.Messages, h.s.Commands, h.s.Flags)
	}
}

// MAIL resets the number of LMTP recipients.
func TestLMTPCountsAnew(t *testing.T) {
	h := play("S: 220 mx", "C: LHLO a", "S: 250 mx")
	for _, recipients := range []int{3, 1} {
		h.feed(Client, []byte("MAIL FROM:<a@a.example>\r\n"+strings.Repeat("RCPT TO:<b@b.example>\r\n", recipients)+"DATA\r\n"))
		h.feed(Server, []byte(strings.Repeat("250 ok\r\n", 1+recipients)+"354 go\r\n"))
		h.feed(Client, []byte("x\r\n.\r\n"))
		h.feed(Server, []byte(strings.Repeat("250 taken\r\n", recipients)))
	}
	if h.s.Messages != 2 || h.s.client.pending.total != 0 {
		t.Errorf("%d messages, %d commands wait", h.s.Messages, h.s.client.pending.total)
	}
}

// A refusal of DATA and bytes of the client were lost: a line that looks like a command is one.
func TestCommandsBehindLostRefusal(t *testing.T) {
	h := play("S: 220 mx", "C: EHLO a", "S: 250 mx", "C: DATA")
	h.gap(Client, 6)
	h.feed(Client, []byte("MAIL FROM:<a@a.example>\r\n"))
	h.gap(Server, 40)
	h.feed(Server, []byte("250 ok\r\n"))
	if h.s.Messages != 0 || h.s.Mails != 1 {
		t.Errorf("%d messages, %d MAIL", h.s.Messages, h.s.Mails)
	}
}

// A client does not wait, and its DATA is refused after more bytes of its message than can be held:
// the line with the dot ends no message.
func TestLongMessageRefusedAhead(t *testing.T) {
	h := play("S: 220 mx", "C: EHLO a", "S: 250 mx", "C: DATA")
	// to the byte
	h.feed(Client, []byte(strings.Repeat("a line of the message here, 32 \r\n",
		maxHeld/32+1)[:maxHeld]))
	h.feed(Client, []byte("\r\n"))
	h.feed(Server, []byte("503 no\r\n"))
	h.feed(Client, []byte(".\r\nNOOP\r\n"))
	h.feed(Server, []byte("250 ok\r\n"))
	if h.s.Messages != 0 || h.s.Flags&DataRefused == 0 {
		t.Errorf("%d messages, flags %b", h.s.Messages, h.s.Flags)
	}
}
