package smtpsniff

import (
	"encoding/base64"
	"hash/crc32"
	"strings"
	"testing"
)

// TestAccount: the listener finds the account's name in each form of AUTH, and no other text.
func TestAccount(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	plain := b64("\x00Bob@corp.example\x00secret")
	for name, row := range map[string]struct{ text, want string }{
		"PLAIN at once":        {"C: AUTH PLAIN " + plain + "\nS: 235 ok", "bob@corp.example"},
		"PLAIN when asked":     {"C: AUTH PLAIN\nS: 334 \nC: " + plain + "\nS: 235 ok", "bob@corp.example"},
		"another identity":     {"C: auth plain " + b64("eve\x00bob\x00secret") + "\nS: 235 ok", "bob"},
		"LOGIN":                {"C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: " + b64("Bob") + "\nS: 334 UGFzc3dvcmQ6\nC: " + b64("secret") + "\nS: 235 ok", "bob"},
		"LOGIN at once":        {"C: AUTH LOGIN " + b64("bob") + "\nS: 334 UGFzc3dvcmQ6\nC: " + b64("secret") + "\nS: 235 ok", "bob"},
		"the second try":       {"C: AUTH LOGIN " + b64("bob") + "\nS: 535 no\nC: AUTH PLAIN " + b64("\x00eve\x00x") + "\nS: 235 ok", "eve"},
		"no base64":            {"C: AUTH PLAIN bob:secret\nS: 501 what\n", ""},
		"cut short":            {"C: AUTH PLAIN " + b64("bob") + "\nS: 501 what\n", ""},
		"another mechanism":    {"C: AUTH CRAM-MD5\nS: 334 PDE+\nC: " + b64("bob 0123") + "\nS: 235 ok", ""},
		"it gave up":           {"C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: *\nS: 501 cancelled\nC: NOOP\nS: 250 ok", ""},
		"a long one":           {"C: AUTH PLAIN " + b64("\x00"+strings.Repeat("b", 600)+"\x00x") + "\nS: 235 ok", ""},
		"AUTH that is refused": {"C: AUTH LOGIN\nS: 503 no\nC: " + b64("secret") + "\nS: 500 what", ""},
	} {
		got := ""
		l := Listener{Account: func(name []byte) uint32 { got = string(name); return crc32.ChecksumIEEE(name) }}
		s := l.New(false, false)
		l.Feed(s, Server, []byte("220 mx ESMTP\r\n"))
		for line := range strings.Lines("C: EHLO c\nS: 250 mx\n" + row.text + "\n") {
			who, what, _ := strings.Cut(strings.TrimRight(line, "\n"), ": ")
			side := Client
			if who == "S" {
				side = Server
			}
			if len(what) > 0 || who == "S" {
				l.Feed(s, side, []byte(what+"\r\n"))
			}
		}
		want := uint32(0)
		if row.want != "" {
			want = crc32.ChecksumIEEE([]byte(row.want))
		}
		if got != row.want || s.Account != want {
			t.Errorf("%s: %q, %d; want %q", name, got, s.Account, row.want)
		}
	}
}
