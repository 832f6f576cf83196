package smtpsniff

import (
	"fmt"
	"strings"
	"testing"
)

// decoys are first lines, or lines before MAIL, that may make a listener misread the bytes behind
// them, while the server refuses them and reads on.
var decoys = []struct {
	line    string
	replies []string
}{
	{"\x16\x03\x01\x02\x00\x01\x00", []string{"500 5.5.2 what", "502 5.5.2 what", "554 5.5.1 what", "250 whatever"}},
	{"\x16\x03\x03\x00\x05hello", []string{"500-5.5.2 what\r\n500 what", "501 what"}},
	{"\x80\x2e\x01\x03\x01", []string{"500 what", "503 what"}},
	{"STARTTLS", []string{"454 4.7.0 no", "501 no", "502 no", "503 no", "220 go ahead"}},
	{"BDAT 4000000000", []string{"500 no", "501 no", "502 no", "503 no", "504 no", "550 no", "554 no", "421 4.3.0 no", "452 no", "250 whatever"}},
	{"BDAT 28", []string{"500 no", "502 no", "503 no", "554 no", "250 whatever"}},
	{"BDAT 1 LAST", []string{"500 no", "502 no", "503 no", "554 no"}},
	{"BDAT +28 LAST", []string{"500 no", "503 no", "554 no"}},
	{"BDAT", []string{"501 no"}},
	{"DATA", []string{"503 no", "554 no", "451 no"}},
	{"AUTH LOGIN", []string{"503 no", "535 no", "504 no"}},
}

// Commands behind a decoy are read, whether or not the client waits for the replies, at each
// segmentation.
func TestDecoys(t *testing.T) {
	sent := "MAIL FROM:<anna@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n"
	for _, d := range decoys {
		for _, reply := range d.replies {
			for _, waits := range []bool{true, false} {
				if !waits && (strings.HasPrefix(d.line, "BDAT") &&
					strings.HasPrefix(reply, "250") || d.line == "AUTH LOGIN") {
					continue // then it is a chunk, or credentials may follow
				}
				for _, cut := range []int{1, 3, 17, 1000} {
					var h recorder
					h.s = h.l.New(false, false)
					feed := func(side Side, text string) {
						for text != "" {
							n := min(cut, len(text))
							h.feed(side, []byte(text[:n]))
							text = text[n:]
						}
					}
					feed(Server, "220 mx\r\n")
					if first := d.line[0] < ' ' || d.line[0] >= 0x80; !first {
						feed(Client, "EHLO a.example.org\r\n")
						feed(Server, "250 mx\r\n")
					}
					replies := "250 ok\r\n250 ok\r\n354 go\r\n"
					if waits {
						feed(Client, d.line+"\r\n")
						feed(Server, reply+"\r\n")
						for i, line := range strings.SplitAfter(sent, "\r\n")[:3] {
							feed(Client, line)
							feed(Server, strings.SplitAfter(replies, "\r\n")[i])
						}
					} else {
						feed(Client, d.line+"\r\n"+sent)
						feed(Server, reply+"\r\n"+replies)
					}
					feed(Client, "Subject: x\r\n\r\nx\r\n.\r\n")
					feed(Server, "250 taken\r\n")
					feed(Client, "QUIT\r\n")
					feed(Server, "221 bye\r\n")
					h.l.Finish(h.s)
					what := fmt.Sprintf("%q, %q, waits %v, pieces of %d", d.line, reply, waits, cut)
					from := ""
					h.s.Senders(func(a []byte) { from += string(a) + " " })
					if from != "anna@x.example " || h.s.Mails != 1 || h.s.Rcpts != 1 ||
						h.s.Messages != 1 || h.s.Encryption != Plain || h.s.Proto != SMTP {
						t.Errorf("%s: %d messages from %q, %s %s\n%s", what, h.s.Messages, from,
							h.s.Proto, h.s.Encryption, summary(&h.l, h.s))
					}
				}
			}
		}
	}
}

// TLS that the server speaks too stays TLS, whatever the server sends in the clear after its end.
func TestTLSStays(t *testing.T) {
	record := func(typ byte, n int) string {
		return string([]byte{typ, 3, 3, byte(n >> 8),
			byte(n)}) + strings.Repeat("\nMAIL FROM:<a@b.example>\r\n", n)[:n]
	}
	for _, starttls := range []bool{false, true} {
		for _, end := range []string{"", record(0x15, 2), record(0x15, 2) + "421 4.4.2 timeout\r\n",
			"454 4.3.0 handshake failed\r\n"} {
			h := play("S: 220 mx", "C: EHLO a", "S: 250 mx")
			if starttls {
				h.feed(Client, []byte("STARTTLS\r\n"))
				h.feed(Server, []byte("220 go\r\n"))
			} else {
				h = &recorder{}
				h.s = h.l.New(false, false)
			}
			h.feed(Client, []byte(record(0x16, 300)))
			h.feed(Server, []byte(record(0x16, 900)))
			if held := h.s.client.held.bytes; held != nil || h.s.client.mode != encrypted ||
				!strings.Contains(h.log.String(), "encrypted\n") {
				t.Errorf("starttls %v: %d bytes are held when the server speaks TLS, mode %d, %s",
					starttls, len(held), h.s.client.mode, h.log.String())
			}
			h.feed(Client, []byte(record(0x17, 700)))
			h.feed(Server, []byte(record(0x17, 200)+end))
			h.feed(Client, []byte(record(0x15, 2)))
			h.l.Finish(h.s)
			if h.s.Mails != 0 || h.s.Encryption == Plain {
				t.Errorf("starttls %v, %q: %d mails, %s", starttls, end, h.s.Mails, h.s.Encryption)
			}
		}
	}
}
