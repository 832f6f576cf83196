package engine

import (
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/detect"
)

// TestOddities checks each deviation of a client beside its correct twin: the finding names the
// deviation.
func TestOddities(t *testing.T) {
	const begin, rest = "S: 220 mx ESMTP\n", "C: MAIL FROM:<a@example.org>\nS: 250 ok\nC: RCPT TO:<b@example.net>\nS: 250 ok\nC: DATA\nS: 354 go\nC: hello\nC: .\nS: 250 taken\n"
	const bye = "C: QUIT\nS: 221 bye\n"
	plain := begin + "C: EHLO a.example.org\nS: 250 mx\n" + rest + bye
	offers := func(what string) string {
		return strings.Replace(plain, "S: 250 mx\n", "S: 250-mx\nS: 250-SIZE 1000\nS: 250-"+what+"\nS: 250 HELP\n", 1)
	}
	ahead := func(s string) string {
		return strings.Replace(s, "C: MAIL FROM:<a@example.org>\nS: 250 ok\nC: RCPT TO:<b@example.net>\nS: 250 ok\n", "C: MAIL FROM:<a@example.org>\nC: RCPT TO:<b@example.net>\nS: 250 ok\nS: 250 ok\n", 1)
	}
	for _, c := range []struct{ name, text, want string }{
		{"correct", plain, ""},
		{"HELO to ESMTP", strings.Replace(plain, "EHLO", "HELO", 1), "HELO where EHLO was offered"},
		{"HELO to SMTP", strings.Replace(strings.Replace(plain, "EHLO", "HELO", 1), "mx ESMTP", "mx", 1), ""},
		{"no QUIT", begin + "C: EHLO a.example.org\nS: 250 mx\n" + rest, "disconnects without " +
			"QUIT"},
		{"no HELO", begin + rest + bye, "sends neither EHLO nor HELO"},
		{"a blank behind the colon", strings.Replace(plain, "FROM:<", "FROM: <", 1), "does not write MAIL FROM:<...>"},
		{"does not wait", ahead(plain), "does not wait for replies"},
		{"does not wait, and need not", ahead(offers("PIPELINING")), ""},
		{"does not wait for the offer", strings.Replace(offers("pipelining"), "S: 250-mx\nS: 250-SIZE 1000\nS: 250-pipelining\nS: 250 HELP\nC: MAIL FROM:<a@example.org>\n",
			"C: MAIL FROM:<a@example.org>\nS: 250-mx\nS: 250-SIZE 1000\nS: 250-pipelining\nS: 250 HELP\n", 1), "does not wait for replies"},
		{"STARTTLS unused", offers("STARTTLS"), "does not use STARTTLS"},
		{"STARTTLS refused", strings.Replace(offers("STARTTLS"), "C: MAIL", "C: STARTTLS\nS: 454 not now\nC: MAIL", 1), ""},
		{"STARTTLS used", begin + "C: EHLO a.example.org\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n", ""},
	} {
		r := analyse(Config{}, bot(30, func(conn *conn) { conn.dialogue(c.text) }))
		var emitted []string
		for _, f := range r.findings {
			for _, reason := range f.Reasons {
				if reason.Code == detect.Oddities {
					emitted = append(emitted, reason.Text)
				}
			}
		}
		if len(r.findings) == 0 {
			t.Errorf("%s: no finding", c.name)
		} else if c.want == "" && len(emitted) > 0 || c.want != "" && !slices.ContainsFunc(emitted, func(s string) bool { return strings.Contains(s, c.want) }) {
			t.Errorf("%s: %q, want %q", c.name, emitted, c.want)
		}
	}
}
