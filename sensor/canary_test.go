package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// canaries are secrets, with all traces by which they are recognized.
type canaries struct {
	rng    *rand.Rand
	traces map[string]string // six bytes, and the secret that they belong to
	n      int
}

func newCanaries(seed uint64) *canaries {
	return &canaries{rng: rand.New(rand.NewPCG(seed, seed)), traces: map[string]string{}}
}

// secret makes a secret of letters that do not occur in the text around the events.
func (c *canaries) secret() string {
	b := make([]byte, 14)
	for i := range b {
		b[i] = "QXZJKVWGHB"[c.rng.IntN(10)]
	}
	c.watch(string(b))
	c.n++
	return string(b)
}

// watch notes every six bytes of a text.
func (c *canaries) watch(text string) string {
	for i := 0; i+6 <= len(text); i++ {
		c.traces[text[i:i+6]] = text
	}
	return text
}

// encoded is the base64 form of a text, and watches it.
func (c *canaries) encoded(text string) string {
	return c.watch(strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(text)), "=")) + strings.Repeat("=", (3-len(text)%3)%3)
}

// hashes matches fields that hold hashes of addresses and ports: any six letters occur in so many
// of them.
var hashes = regexp.MustCompile(`"community_id":"[^"]*"`)

// find reports the traces of secrets in a text.
func (c *canaries) find(t *testing.T, text string) {
	t.Helper()
	text = hashes.ReplaceAllString(text, "")
	found := 0
	for i := 0; i+6 <= len(text); i++ {
		if secret, ok := c.traces[text[i:i+6]]; ok {
			if found++; found < 5 {
				t.Errorf("%q of the secret %q is in the output: %q", text[i:i+6], secret, text[max(0, i-200):min(len(text), i+60)])
			}
		}
	}
}

// logins are the ways to send a user and a password.
var logins = []struct {
	name  string
	lines func(c *canaries, user, pass string) []string
}{
	{"PLAIN at once", func(c *canaries, u, p string) []string {
		return []string{"C: AUTH PLAIN " + c.encoded("\x00"+u+"\x00"+p), "S: 235 2.7.0 welcome " + u}
	}},
	{"PLAIN when asked", func(c *canaries, u, p string) []string {
		return []string{"C: AUTH PLAIN", "S: 334 ", "C: " + c.encoded("\x00"+u+"\x00"+p), "S: 235 ok"}
	}},
	{"PLAIN with another identity, blanks and small letters", func(c *canaries, u, p string) []string {
		return []string{"C:  auth\tplain  " + c.encoded(u+"\x00"+u+"\x00"+p), "S: 535 5.7.8 bad password " + p}
	}},
	{"LOGIN", func(c *canaries, u, p string) []string {
		return []string{"C: AUTH LOGIN", "S: 334 VXNlcm5hbWU6", "C: " + c.encoded(u), "S: 334 UGFzc3dvcmQ6", "C: " + c.encoded(p), "S: 235 ok"}
	}},
	{"LOGIN with the user at once, refused, and again", func(c *canaries, u, p string) []string {
		return []string{"C: AUTH LOGIN " + c.encoded(u), "S: 334 UGFzc3dvcmQ6", "C: " + c.encoded(p), "S: 535 5.7.8 no, " + u,
			"C: AUTH LOGIN " + c.encoded(u), "S: 334 UGFzc3dvcmQ6", "C: " + c.encoded(p+p), "S: 421 4.7.0 too many errors"}
	}},
	{"CRAM-MD5", func(c *canaries, u, p string) []string {
		return []string{"C: AUTH CRAM-MD5", "S: 334 PDEyMzRAbXg+", "C: " + c.encoded(u+" "+fmt.Sprintf("%x", p)), "S: 235 ok"}
	}},
	{"XOAUTH2", func(c *canaries, u, p string) []string {
		return []string{"C: AUTH XOAUTH2 " + c.encoded("user="+u+"\x01auth=Bearer "+p+"\x01\x01"), "S: 334 eyJzdGF0dXMiOiI0MDEifQ==", "C: ", "S: 535 5.7.8 no"}
	}},
	{"a long OAUTHBEARER", func(c *canaries, u, p string) []string {
		return []string{"C: AUTH OAUTHBEARER " + c.encoded("n,a="+u+",\x01auth=Bearer "+strings.Repeat(p, 150)+"\x01\x01"), "S: 235 ok"}
	}},
	{"NTLM", func(c *canaries, u, p string) []string {
		return []string{"C: AUTH NTLM", "S: 334 ntlm", "C: TlRMTVNTUAABAAAAB4IIog==", "S: 334 TlRMTVNTUAACAAAA",
			"C: TlRMTVNTUAADAAAA" + c.encoded(strings.Join(strings.Split(u, ""), "\x00")+p), "S: 235 ok"}
	}},
	{"refused, and sent all the same", func(c *canaries, u, p string) []string {
		return []string{"C: AUTH LOGIN", "S: 503 5.5.1 AUTH not enabled", "C: " + c.encoded(u), "S: 500 5.5.2 Error: bad syntax",
			"C: " + c.encoded(p), `S: 500 5.5.1 Command unrecognized: "` + c.encoded(p) + `"`}
	}},
	{"refused, and sent without waiting", func(c *canaries, u, p string) []string {
		return []string{"C: AUTH LOGIN\r\n" + c.encoded(u) + "\r\n" + c.encoded(p), "S: 503 5.5.1 no\r\n502 5.5.2 no\r\n502 5.5.2 not implemented: " + p}
	}},
	{"typed as commands", func(c *canaries, u, p string) []string {
		return []string{"C: USER " + u, `S: 500 5.5.1 unrecognized: "USER ` + u + `"`, "C: PASS " + p, "S: 502 5.5.2 PASS " + p + "?", "C: " + p, "S: 500 what is " + p + "?"}
	}},
	{"typed as commands to a server that hangs up", func(c *canaries, u, p string) []string {
		return []string{"C: PASS " + p, `S: 554 5.7.1 not allowed: "PASS ` + p + `"`, "C: " + u, `S: 421 4.7.0 too many errors, "` + u + `" was one too many`}
	}},
	{"the AUTH is lost", func(c *canaries, u, p string) []string {
		return []string{"C~ AUTH LOGIN", "S: 334 VXNlcm5hbWU6", "C: " + c.encoded(u), "S: 334 UGFzc3dvcmQ6", "C: " + c.encoded(p), "S: 235 ok"}
	}},
	{"the questions are lost", func(c *canaries, u, p string) []string {
		return []string{"C: AUTH LOGIN", "S~ 334 VXNlcm5hbWU6", "C: " + c.encoded(u), "S~ 334 UGFzc3dvcmQ6", "C: " + c.encoded(p), "S: 535 5.7.8 not " + p}
	}},
	{"all but the secrets is lost", func(c *canaries, u, p string) []string {
		return []string{"C~ AUTH LOGIN", "S~ 334 VXNlcm5hbWU6", "C: " + c.encoded(u), "S~ 334 UGFzc3dvcmQ6", "C: " + c.encoded(p), "S~ 235 ok"}
	}},
	{"in TLS's place", func(c *canaries, u, p string) []string {
		return []string{"C: STARTTLS", "S: 220 go ahead", "C: AUTH PLAIN " + c.encoded("\x00"+u+"\x00"+p), "S: 500 5.5.1 " + p}
	}},
	{"with bare line feeds", func(c *canaries, u, p string) []string {
		return []string{"C: AUTH LOGIN\n" + c.encoded(u) + "\n" + c.encoded(p) + "\nNOOP", "S: 334 u\r\n334 p\r\n235 ok\r\n250 ok"}
	}},
}

// views are the parts of a connection that the sensor sees, and their segmentation.
var views = []struct {
	name string
	make func(n int, rng *rand.Rand, lines []string) *mailConn
}{
	{"whole", func(n int, _ *rand.Rand, lines []string) *mailConn { return newMailConn(n).greet().lines(lines...) }},
	{"byte by byte", func(n int, _ *rand.Rand, lines []string) *mailConn {
		k := newMailConn(n)
		k.cut = func(text string) []string { return strings.Split(text, "") }
		return k.greet().lines(lines...)
	}},
	{"cut at random", func(n int, rng *rand.Rand, lines []string) *mailConn {
		k := newMailConn(n)
		k.cut = randomCuts(rng, 9)
		return k.greet().lines(lines...)
	}},
	{"client only", func(n int, _ *rand.Rand, lines []string) *mailConn {
		return newMailConn(n).greet().lines(lines...).only(0)
	}},
	{"server only", func(n int, _ *rand.Rand, lines []string) *mailConn {
		return newMailConn(n).greet().lines(lines...).only(1)
	}},
	{"from the middle", func(n int, rng *rand.Rand, lines []string) *mailConn {
		return newMailConn(n).greet().lines(lines...).from(6 + rng.IntN(len(lines)))
	}},
	{"from the middle of a line", func(n int, rng *rand.Rand, lines []string) *mailConn {
		k := newMailConn(n).greet()
		begin := len(k.sent)
		k.cut = randomCuts(rng, 20)
		k.lines(lines...)
		return k.from(begin + rng.IntN(len(k.sent)-begin))
	}},
	{"from the middle, client only", func(n int, rng *rand.Rand, lines []string) *mailConn {
		return newMailConn(n).greet().lines(lines...).from(6 + rng.IntN(len(lines))).only(0)
	}},
}

// afterwards is the dialogue after the login.
var afterwards = []string{"C: MAIL FROM:<anna@example.org>", "S: 250 ok", "C: RCPT TO:<x@example.net>", "S: 550 5.1.1 unknown", "C: QUIT", "S: 221 bye"}

func TestNoCredentialIsTold(t *testing.T) {
	c := newCanaries(12)
	var conns []*mailConn
	for n := range 4 {
		for _, view := range views {
			for _, login := range logins {
				lines := login.lines(c, c.secret(), c.secret())
				if n%2 == 0 { // otherwise the last reply answers a secret
					lines = append(lines, afterwards...)
				}
				conns = append(conns, view.make(len(conns), c.rng, lines).close())
			}
		}
	}
	file := captured(t, conns...)
	for _, mode := range []string{"full", "domain"} {
		said := everythingSaid(t, file, "evidence.mail_from="+mode)
		if n := strings.Count(said, `"event_type":"session"`); n < len(conns)*3/4 {
			t.Fatalf("%d sessions of %d connections were told", n, len(conns))
		}
		if n := strings.Count(said, "example.org"); n < len(conns)/2 {
			t.Errorf("only %d senders and names were told", n)
		}
		c.find(t, said)
	}
	if c.n < 500 {
		t.Errorf("only %d secrets", c.n)
	}
	t.Logf("%d secrets, %d traces of them, %d connections", c.n, len(c.traces), len(conns))
}

// bodies are the ways to send a message.
var bodies = []struct {
	name  string
	lines func(body string) []string
}{
	{"DATA", func(b string) []string { return []string{"C: DATA", "S: 354 go", "C: " + b, "C: .", "S: 250 taken"} }},
	{"DATA with commands in it", func(b string) []string {
		return []string{"C: DATA", "S: 354 go", "C: EHLO " + b, "C: MAIL FROM:<" + b + "@example.com>", "C: RCPT TO:<" + b + ">", "C: DATA", "C: ..", "C: " + b, "C: .", "S: 250 taken"}
	}},
	{"DATA refused, and sent all the same", func(b string) []string {
		return []string{"C: DATA", "S: 554 5.5.1 no", "C: Subject: " + b, "S: 502 5.5.2 unknown: Subject: " + b, "C: " + b, "S: 500 " + b + "?", "C: .", "S: 500 .?"}
	}},
	{"BDAT", func(b string) []string {
		text := "MAIL FROM:<" + b + ">\r\n" + b + "\r\nEHLO " + b
		return []string{fmt.Sprintf("C: BDAT %d\r\n%s", len(text)+2, text), "S: 250 ok", "C: BDAT 0 LAST", "S: 250 taken"}
	}},
	{"BDAT refused", func(b string) []string {
		text := "MAIL FROM:<" + b + ">\r\n" + b
		return []string{fmt.Sprintf("C: BDAT %d LAST\r\n%s", len(text)+2, text), "S: 552 5.3.4 too big"}
	}},
	{"smuggled", func(b string) []string {
		return []string{"C: DATA", "S: 354 go", "C: " + b + "\n.\nMAIL FROM:<mallory@example.com>\r\nRCPT TO:<y@example.net>\r\nDATA\r\n" + b + "\r\n.",
			"S: 250 taken\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken"}
	}},
	{"not smuggled", func(b string) []string {
		return []string{"C: DATA", "S: 354 go", "C: " + b + "\n.\nMAIL FROM:<" + b + "@example.com>\r\nRCPT TO:<" + b + ">\r\nDATA\r\n" + b + "\r\n.", "S: 250 taken"}
	}},
	{"the 354 is lost", func(b string) []string {
		return []string{"C: DATA", "S~ 354 go", "C: " + b, "C: MAIL FROM:<" + b + ">", "C: .", "S: 250 taken"}
	}},
	{"the DATA is lost", func(b string) []string {
		return []string{"C~ DATA", "S: 354 go", "C: " + b, "C: MAIL FROM:<" + b + ">", "C: .", "S: 250 taken"}
	}},
	{"the end is lost", func(b string) []string {
		return []string{"C: DATA", "S: 354 go", "C: " + b, "C: MAIL FROM:<" + b + ">", "C~ .", "S: 250 taken"}
	}},
}

func TestNoBodyIsTold(t *testing.T) {
	c := newCanaries(13)
	var conns []*mailConn
	for range 12 {
		for _, view := range views {
			for _, body := range bodies {
				if view.name == "client only" && body.name == "the DATA is lost" {
					continue // a command in a message cannot be distinguished from one outside; it is flagged
				}
				lines := []string{"C: MAIL FROM:<anna@example.org>", "S: 250 ok", "C: RCPT TO:<x@example.net>", "S: 250 ok"}
				lines = append(append(lines, body.lines(c.secret())...), "C: QUIT", "S: 221 bye")
				conns = append(conns, view.make(len(conns), c.rng, lines).close())
			}
		}
	}
	file := captured(t, conns...)
	for _, mode := range []string{"full", "domain"} {
		said := everythingSaid(t, file, "evidence.mail_from="+mode)
		if n := strings.Count(said, `"messages":1`); n < len(conns)/3 {
			t.Errorf("%d messages of %d connections were told", n, len(conns))
		}
		c.find(t, said)
	}
	if c.n < 200 {
		t.Errorf("only %d secrets", c.n)
	}
	t.Logf("%d secrets in %d connections", c.n, len(conns))
}
