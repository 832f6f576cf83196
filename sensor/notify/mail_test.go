package notify

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// smtpServer is a small mail server. Its replies are by the beginning of the command; those of the
// greeting and of the end of data are at "greeting" and ".".
type smtpServer struct {
	net.Listener
	replies map[string]string
	tls     *tls.Config // nil: no TLS; offered by STARTTLS unless implicit
	auth    bool

	mu    sync.Mutex
	mails []string
	lines []string
	inTLS bool
}

func newSMTP(t *testing.T, replies map[string]string) *smtpServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &smtpServer{Listener: l, replies: replies}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

// hang is a reply that never comes; drop closes the connection.
const hang, drop = "hang", "drop"

func (s *smtpServer) serve(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	say := func(command, otherwise string) bool {
		reply := otherwise
		for begin, x := range s.replies {
			if strings.HasPrefix(command, begin) {
				reply = x
			}
		}
		switch reply {
		case hang:
			r.ReadString('\n')
			return false
		case drop:
			return false
		}
		fmt.Fprintf(c, "%s\r\n", strings.ReplaceAll(reply, "\n", "\r\n"))
		return true
	}
	if !say("greeting", "220 test") {
		return
	}
	inTLS := false
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.mu.Lock()
		s.lines, s.inTLS = append(s.lines, line), inTLS
		s.mu.Unlock()
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch verb {
		case "EHLO":
			features := "250-test\n250-8BITMIME\n"
			if s.tls != nil && !inTLS {
				features += "250-STARTTLS\n"
			}
			if s.auth {
				features += "250-AUTH PLAIN\n"
			}
			if !say(line, features+"250 SMTPUTF8") {
				return
			}
		case "STARTTLS":
			fmt.Fprint(c, "220 go\r\n")
			c = tls.Server(c, s.tls)
			r, inTLS = bufio.NewReader(c), true
		case "AUTH":
			if !say(line, "235 ok") {
				return
			}
		case "DATA":
			if !say(line, "354 go") {
				return
			}
			if s.replies["DATA"] != "" {
				continue
			}
			var b strings.Builder
			for {
				l, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				b.WriteString(strings.TrimPrefix(l, "."))
			}
			s.mu.Lock()
			s.mails = append(s.mails, b.String())
			s.mu.Unlock()
			if !say(".", "250 queued") {
				return
			}
		case "QUIT":
			say(line, "221 bye")
			return
		default:
			if !say(line, "250 ok") {
				return
			}
		}
	}
}

func (s *smtpServer) got() (mails []string, dialogue string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mails, strings.Join(s.lines, "\n")
}

// certificate makes a certificate of localhost, and who trusts it.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}
}

// sample is a message about one finding.
func sample() *Message {
	return &Message{ID: "18ecced3362223cd0002", Channel: "mail", Sensor: "sensor1", Created: monday, Items: []Item{{
		Kind: itemFinding, ID: "spambot-10.0.0.1-1", Host: "10.0.0.1", MAC: "02:00:00:00:77:66", Class: "spambot", Level: "confirmed",
		Severity: "critical", Since: monday, Headline: "10.0.0.1 sends spam", Reasons: []string{"It tried much."}, Advice: "Look."}}}
}

// sendTo sends the sample through a channel, and returns the failure.
func sendTo(t *testing.T, c *Channel, timeout time.Duration) *failure {
	t.Helper()
	s, err := newSender(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	if err := s.send(ctx, sample(), monday); err != nil {
		return asFailure(err)
	}
	return nil
}

// TestMailFailures checks what each answer of a mail server means.
func TestMailFailures(t *testing.T) {
	for name, c := range map[string]struct {
		replies   map[string]string
		reason    string // empty: delivered
		permanent bool
		text      string
	}{
		"delivered":              {nil, "", false, ""},
		"greeting 554":           {map[string]string{"greeting": "554 5.7.1 blocked by zen.example"}, reasonRefused, true, "5.7.1 blocked by zen.example"},
		"greeting 421":           {map[string]string{"greeting": "421 busy"}, reasonTemporary, false, "busy"},
		"sender refused":         {map[string]string{"MAIL": "550 5.7.1 no"}, reasonRefused, true, `550 "5.7.1 no"`},
		"recipient refused":      {map[string]string{"RCPT": "550 5.1.1 unknown"}, reasonRefused, true, "5.1.1 unknown"},
		"greylisted":             {map[string]string{"RCPT": "450 4.2.0 later"}, reasonTemporary, false, "4.2.0 later"},
		"no data":                {map[string]string{"DATA": "554 no"}, reasonRefused, true, `554 "no"`},
		"content refused":        {map[string]string{".": "550 5.7.1 spam"}, reasonRefused, true, "5.7.1 spam"},
		"content later":          {map[string]string{".": "451 4.3.0 later"}, reasonTemporary, false, "4.3.0 later"},
		"hangs at the greeting":  {map[string]string{"greeting": hang}, reasonTimeout, false, ""},
		"hangs after the data":   {map[string]string{".": hang}, reasonTimeout, false, ""},
		"closes after the data":  {map[string]string{".": drop}, reasonOther, false, "EOF"},
		"closes at once":         {map[string]string{"greeting": drop}, reasonOther, false, "EOF"},
		"hangs at the end":       {map[string]string{"QUIT": hang}, "", false, ""},
		"refuses the end":        {map[string]string{"QUIT": "500 what", "RSET": "500 what"}, "", false, ""},
		"speaks something else":  {map[string]string{"greeting": "SSH-2.0-OpenSSH"}, reasonTimeout, false, ""},
		"a reply that is a bomb": {map[string]string{"MAIL": "550-" + strings.Repeat("\x1b[2J\n550-", 2000) + "\n550 no"}, reasonRefused, true, `\x1b[2J`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSMTP(t, c.replies)
			f := sendTo(t, &Channel{Kind: "mail", To: []string{"admin@example.org"}, Server: s.Addr().String()}, 700*time.Millisecond)
			mails, dialogue := s.got()
			if c.reason == "" {
				if f != nil || len(mails) != 1 {
					t.Errorf("%+v, %d mails", f, len(mails))
				}
				return
			}
			if f == nil || f.reason != c.reason || f.permanent != c.permanent || !strings.Contains(f.text, c.text) || len(f.text) > maxText ||
				strings.ContainsAny(f.text, "\r\n\x1b") {
				t.Errorf("%#v, want %s %v %s\n%s", f, c.reason, c.permanent, c.text, dialogue)
			}
		})
	}
}

// TestMailLetter checks the mail itself.
func TestMailLetter(t *testing.T) {
	s := newSMTP(t, nil)
	if f := sendTo(t, &Channel{Kind: "mail", To: []string{"admin@example.org", "b@example.org"}, From: "sensor@example.org",
		Server: s.Addr().String()}, time.Second); f != nil {
		t.Fatal(f)
	}
	mails, dialogue := s.got()
	head, body, _ := strings.Cut(mails[0], "\r\n\r\n")
	head = strings.ReplaceAll(head, "\r\n ", " ")
	for _, want := range []string{"Subject: [spamsensor sensor1] confirmed spambot 10.0.0.1 since 2026-11-30 12:00 UTC",
		"Date: Mon, 30 Nov 2026 12:00:00 +0000", "Message-ID: <18ecced3362223cd0002.mail@", "Auto-Submitted: auto-generated",
		"From: <sensor@example.org>", "To: <admin@example.org>, <b@example.org>"} {
		if !strings.Contains(head, want) {
			t.Errorf("%s\nlacks %s", head, want)
		}
	}
	for _, want := range []string{"10.0.0.1 sends spam\r\n", "- It tried much.\r\n", "Do: Look.\r\n", "Finding: spambot-10.0.0.1-1\r\n"} {
		if !strings.Contains(body, want) {
			t.Errorf("%s\nlacks %s", body, want)
		}
	}
	if !strings.Contains(dialogue, "MAIL FROM:<sensor@example.org>") || !strings.Contains(dialogue, "RCPT TO:<b@example.org>") {
		t.Error(dialogue)
	}
}

// TestMailSubmission checks TLS and login: no password goes to a server without a good certificate.
func TestMailSubmission(t *testing.T) {
	server, client := certificate(t)
	for name, c := range map[string]struct {
		tls, trust     *tls.Config
		auth           bool
		replies        map[string]string
		reason         string
		permanent      bool
		mustNotContain string
	}{
		"good":              {tls: server, trust: client, auth: true},
		"not trusted":       {tls: server, trust: nil, auth: true, reason: reasonTLS, mustNotContain: "AUTH"},
		"no TLS":            {trust: client, auth: true, reason: reasonTLS, mustNotContain: "AUTH"},
		"wrong password":    {tls: server, trust: client, auth: true, replies: map[string]string{"AUTH": "535 5.7.8 no"}, reason: reasonAuth, permanent: true},
		"no login possible": {tls: server, trust: client, reason: reasonAuth, mustNotContain: "MAIL"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSMTP(t, c.replies)
			s.tls, s.auth = c.tls, c.auth
			f := sendTo(t, &Channel{Kind: "mail", To: []string{"admin@example.org"}, Credential: "user:pass:word",
				Server: s.Addr().String(), tls: c.trust}, 2*time.Second)
			mails, dialogue := s.got()
			if c.mustNotContain != "" && strings.Contains(dialogue, c.mustNotContain) {
				t.Error(dialogue)
			}
			if c.reason == "" {
				login := base64.StdEncoding.EncodeToString([]byte("\x00user\x00pass:word"))
				if f != nil || len(mails) != 1 || !s.inTLS || !strings.Contains(dialogue, "AUTH PLAIN "+login) {
					t.Errorf("%+v\n%s", f, dialogue)
				}
			} else if f == nil || f.reason != c.reason || f.permanent != c.permanent {
				t.Errorf("%#v, want %s\n%s", f, c.reason, dialogue)
			}
			if f != nil && (strings.Contains(f.text, "pass:word") || f.hint == "") {
				t.Errorf("%+v", f)
			}
		})
	}
}
