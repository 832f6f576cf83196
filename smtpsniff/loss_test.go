package smtpsniff

import (
	"strings"
	"testing"
)

// A message that was counted by a guess is not counted again by its reply.
func TestMessageIsCountedOnce(t *testing.T) {
	dialogue := "EHLO a\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n"
	replies := "250 mx\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n"
	for _, c := range []struct {
		name     string
		oneSided bool // at first no byte of the server is captured
		steps    []step
		messages uint32
	}{
		{"the server is captured after the whole dialogue", true, []step{{Client, dialogue + "QUIT\r\n", 0}, {Server, "", 50}, {Server, replies, 0}}, 1},
		{"and it answers two", true, []step{{Client, dialogue + dialogue[8:] + "QUIT\r\n", 0}, {Server, replies + replies[8:], 0}}, 2},
		{"the server is captured, and another message follows", true, []step{{Client, dialogue, 0}, {Server, "250 queued\r\n", 0},
			{Client, dialogue[8:36] + "RCPT TO:<b@b.example>\r\nDATA\r\n", 0}, {Server, replies[8:36], 0}, {Client, "x\r\n.\r\n", 0}, {Server, "250 queued\r\n", 0}}, 2},
		{"commands that were taken for a message", false, []step{{Server, "220 mx\r\n", 0}, {Client, "EHLO a\r\n", 0}, {Server, "250 mx\r\n", 0},
			{Client, "MAIL FROM:<a@a.example>\r\nRCPT TO:<nobody@b.example>\r\nDATA\r\n", 0}, {Server, "", 60},
			{Client, "RSET\r\n" + dialogue[8:], 0}, {Server, replies, 0}}, 1},
	} {
		h := recorder{}
		h.s = h.l.New(false, c.oneSided)
		for _, st := range c.steps {
			if st.gap > 0 {
				h.gap(st.side, st.gap)
			} else {
				h.feed(st.side, []byte(st.data))
			}
		}
		h.l.Finish(h.s)
		if h.s.Messages != c.messages {
			t.Errorf("%s: %d messages, want %d", c.name, h.s.Messages, c.messages)
		}
	}
}

// Bytes behind a gap are not joined to the bytes before it.
func TestHeldBytesAreNotJoined(t *testing.T) {
	h := recorder{}
	h.s = h.l.New(false, false)
	h.feed(Server, []byte("220 mx\r\n"))
	h.feed(Client, []byte("EHLO a\r\n"))
	h.feed(Server, []byte("250 mx\r\n"))
	h.feed(Client, []byte("DATA\r\nMAIL FROM:<a@a"))
	h.gap(Client, 9)
	h.feed(Client, []byte("b.example>\r\n"))
	h.feed(Server, []byte("503 no\r\n"))
	h.s.Senders(func(a []byte) { t.Errorf("nobody sent from %q", a) })
}

// A client does not wait for the reply to DATA, and its message is longer than the held bytes.
func TestLongMessageAhead(t *testing.T) {
	h := recorder{}
	h.s = h.l.New(false, false)
	h.feed(Server, []byte("220 mx\r\n"))
	h.feed(Client, []byte("EHLO a\r\n"))
	h.feed(Server, []byte("250 mx\r\n"))
	h.feed(Client, []byte("MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n"))
	for range 20 {
		h.feed(Client, []byte(strings.Repeat("a line of the message\r\n", 100)))
	}
	h.feed(Client, []byte(".\r\nNOOP\r\nQUIT\r\n"))
	h.feed(Server, []byte("250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n250 ok\r\n221 bye\r\n"))
	h.l.Finish(h.s)
	if h.s.Messages != 1 || h.s.Flags&(GapClient|ExtraReply|UnknownCommand) != 0 ||
		h.s.Commands != 6 {
		t.Errorf("%d messages, %d commands, flags %b", h.s.Messages, h.s.Commands, h.s.Flags)
	}
}
