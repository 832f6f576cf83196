package engine

import (
	"slices"
	"testing"

	"spamsensor/sensor/detect"
)

// A link to the server's own help names no blocklist, a link to somebody else's does.
func TestLinkToOwnHelp(t *testing.T) {
	for _, c := range []struct {
		name, greeting string
		want           bool
	}{
		{"its own help", "mx.mail.example.org ESMTP", false},
		{"a list's page", "mx.example.com ESMTP", true},
		{"a server without a name", "ready", true},
	} {
		r := analyse(Config{}, bot(3, func(k *conn) {
			k.open().told("220 " + c.greeting + "\r\n").says("EHLO a.example.com\r\n").told("250 mx\r\n").says("MAIL FROM:<a@example.com>\r\n").
				told("550 5.7.1 this message has been blocked. See https://support.example.org/?p=7\r\n").says("QUIT\r\n").told("221 bye\r\n").close()
		}))
		listed := slices.ContainsFunc(r.findings, func(f detect.Finding) bool { return f.Class == detect.OnBlocklist })
		session := slices.ContainsFunc(r.sessions, func(s detect.Session) bool { return s.Blocklist != "" })
		if listed != c.want || session != c.want {
			t.Errorf("%s: finding %v, session %v", c.name, listed, session)
		}
	}
}
