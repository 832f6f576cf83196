package traffic

import (
	"fmt"
	"strings"
	"time"
)

// Encryption is how a session is encrypted.
type Encryption uint8

// The ways of encryption.
const (
	Clear    Encryption = iota
	StartTLS            // RFC 3207, if the server offers it
	Implicit            // RFC 8314
)

// Server is how a mail server speaks. In texts, %n is its name, %c the client's name, %a the
// client's address, %r a queue id, %m the recipient and %d the recipient's domain.
type Server struct {
	Banner   string
	Ehlo     []string // lines after the code; the first is the greeting
	NoTLS    bool     // it does not offer STARTTLS
	MailOK   string
	RcptOK   string
	DataOK   string
	EndOK    string
	Bye      string
	NoRcpt   string // DATA without a recipient
	NoMail   string // RCPT without a sender
	AuthOK   string
	AuthFail string
	Think    [2]time.Duration
}

// Client is how a program sends mail.
type Client struct {
	Helo       string // EHLO, or HELO for old programs
	Pipelining bool
	Chunking   bool // BDAT instead of DATA where offered
	Size       bool // MAIL with SIZE and BODY
	NoQuit     bool
	Think      [2]time.Duration
}

// Session is one dialogue. A reply that is set replaces the server's usual one.
type Session struct {
	Client  *Client
	Server  *Server
	Name    string // the server's name
	As      string // the client's name, in EHLO
	TLS     Encryption
	SNI     string
	Auth    string // "": none, "ok", "fail", "none": tries without AUTH offered
	Login   string
	Banner  string
	EhloNo  string // refuses EHLO
	Mails   []Mail
	Early   bool // the client speaks before the banner
	Silence bool // the server never greets
	Gone    time.Duration
	// Cut ends the session by RST after the last reply.
	Cut bool
	// Verify ends each transaction before DATA, as callouts do.
	Verify bool
	// Pause between mails.
	Pause time.Duration
}

// Mail is one transaction.
type Mail struct {
	From    string // "" is the null sender
	To      []Rcpt
	Bytes   int
	MailNo  string // refuses MAIL
	EndNo   string // refuses the message
	Subject string
}

// Rcpt is a recipient; No refuses it.
type Rcpt struct{ To, No string }

// withoutTLS is the same server with STARTTLS not configured.
func (s *Server) withoutTLS() *Server {
	plain := *s
	plain.NoTLS = true
	return &plain
}

// To makes recipients that are accepted.
func To(list ...string) (r []Rcpt) {
	for _, t := range list {
		r = append(r, Rcpt{To: t})
	}
	return r
}

// talk is a session that is being drawn.
type talk struct {
	*Session
	k *Conn
}

// SMTP draws a session on an open connection, with its end.
func (k *Conn) SMTP(s *Session) {
	t := &talk{Session: s, k: k}
	if s.TLS == Implicit {
		k.TLS(s.SNI)
	}
	if t.Silence {
		k.turn(false, 0) // the ACK has arrived
		k.Close(true, t.Gone)
		return
	}
	if t.greet() {
		for i := range s.Mails {
			if i > 0 {
				k.T += s.Pause
			}
			t.mail(&s.Mails[i])
		}
	}
	t.quit()
}

// text fills in the names of a reply.
func (t *talk) text(s, to string) string {
	_, domain, _ := strings.Cut(to, "@")
	id := fmt.Sprintf("%X", t.k.w.R.Uint64()>>16)
	return strings.NewReplacer("%n", t.Name, "%c", t.As, "%a", t.k.w.shown(t.k), "%r", id,
		"%m", to, "%d", domain).Replace(s) + "\r\n"
}

// shown is the client's address as the server sees it.
func (w *World) shown(k *Conn) string {
	if k.C.Inside && !k.S.Inside && k.ca.Addr().IsPrivate() && w.Truth.PublicIP != "" {
		return w.Truth.PublicIP
	}
	return k.ca.Addr().String()
}

func (t *talk) ask(line string) {
	c := t.Client.Think
	t.k.Say(true, line+"\r\n", t.k.w.Between(c[0], c[1]))
}

func (t *talk) reply(s, to string) {
	c := t.Server.Think
	t.k.Say(false, t.text(s, to), t.k.w.Between(c[0], c[1]))
}

// or is the first of two texts that is not empty.
func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// multiline makes lines a reply of several lines.
func multiline(code string, lines []string) string {
	var b strings.Builder
	for i, l := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		b.WriteString(code + sep + l)
		if i < len(lines)-1 {
			b.WriteString("\r\n")
		}
	}
	return b.String()
}

// greet draws the session up to the first mail, and reports whether there will be one.
func (t *talk) greet() bool {
	if t.Early {
		t.ask(t.Client.Helo + " " + t.As)
	}
	t.reply(or(t.Banner, t.Server.Banner), "")
	if t.Banner != "" && t.Banner[0] != '2' {
		return false
	}
	if !t.Early {
		t.ask(t.Client.Helo + " " + t.As)
	}
	if t.EhloNo != "" {
		t.reply(t.EhloNo, "")
		return false
	}
	t.capabilities()
	if t.TLS == StartTLS && !t.Server.NoTLS {
		t.ask("STARTTLS")
		t.reply("220 2.0.0 Ready to start TLS", "")
		t.k.TLS(t.SNI)
		t.ask(t.Client.Helo + " " + t.As)
		t.capabilities()
	}
	switch t.Auth {
	case "ok":
		t.ask("AUTH PLAIN " + strings.Repeat("QUFB", 4+len(t.Login)/3))
		t.reply(t.Server.AuthOK, "")
	case "fail":
		t.ask("AUTH LOGIN")
		t.reply("334 VXNlcm5hbWU6", "")
		t.ask(strings.Repeat("QUFB", 2+len(t.Login)/3))
		t.reply("334 UGFzc3dvcmQ6", "")
		t.ask("c2VjcmV0MTIz")
		t.reply(t.Server.AuthFail, "")
		return false
	}
	return true
}

// capabilities answers HELO or EHLO.
func (t *talk) capabilities() {
	if strings.EqualFold(t.Client.Helo, "HELO") {
		t.reply("250 "+t.Server.Ehlo[0], "")
		return
	}
	var lines []string
	for _, l := range t.Server.Ehlo {
		if l == "STARTTLS" && (t.Server.NoTLS || t.k.encrypted) {
			continue
		}
		if strings.HasPrefix(l, "AUTH") && t.Auth == "" && t.k.sa.Port() == 25 {
			continue
		}
		lines = append(lines, l)
	}
	t.reply(multiline("250", lines), "")
}

// offers reports whether the server offers an extension.
func (t *talk) offers(name string) bool {
	for _, l := range t.Server.Ehlo {
		if l == name {
			return strings.EqualFold(t.Client.Helo, "EHLO")
		}
	}
	return false
}

// envelope is the MAIL command.
func (t *talk) envelope(m *Mail) string {
	s := "MAIL FROM:<" + m.From + ">"
	if t.Client.Size {
		s += fmt.Sprintf(" SIZE=%d", m.Bytes)
		if t.offers("8BITMIME") && t.k.w.Chance(0.4) {
			s += " BODY=8BITMIME"
		}
	}
	return s
}

// answers are the server's replies to the commands of a transaction, and how many recipients it
// took.
func (t *talk) answers(m *Mail) (mail string, rcpt []string, taken int) {
	mail = t.text(or(m.MailNo, t.Server.MailOK), m.From)
	for _, r := range m.To {
		switch {
		case m.MailNo != "":
			rcpt = append(rcpt, t.text(t.Server.NoMail, r.To))
		case r.No != "":
			rcpt = append(rcpt, t.text(r.No, r.To))
		default:
			rcpt = append(rcpt, t.text(t.Server.RcptOK, r.To))
			taken++
		}
	}
	return mail, rcpt, taken
}

// mail draws a transaction.
func (t *talk) mail(m *Mail) {
	chunking := t.Client.Chunking && t.offers("CHUNKING")
	mail, rcpt, taken := t.answers(m)
	if t.Client.Pipelining && t.offers("PIPELINING") && !t.Verify {
		ask := t.envelope(m) + "\r\n"
		all := mail
		for i, r := range m.To {
			ask += "RCPT TO:<" + r.To + ">\r\n"
			all += rcpt[i]
		}
		if !chunking {
			ask += "DATA\r\n"
			if taken == 0 {
				all += t.text(t.Server.NoRcpt, "")
			} else {
				all += t.text(t.Server.DataOK, "")
			}
		}
		t.k.Say(true, ask, t.k.w.Between(t.Client.Think[0], t.Client.Think[1]))
		t.k.Say(false, all, t.k.w.Between(t.Server.Think[0], t.Server.Think[1]))
	} else {
		t.ask(t.envelope(m))
		t.k.Say(false, mail, t.k.w.Between(t.Server.Think[0], t.Server.Think[1]))
		if m.MailNo != "" {
			return
		}
		for i, r := range m.To {
			t.ask("RCPT TO:<" + r.To + ">")
			t.k.Say(false, rcpt[i], t.k.w.Between(t.Server.Think[0], t.Server.Think[1]))
		}
		if taken > 0 && !chunking && !t.Verify {
			t.ask("DATA")
			t.reply(t.Server.DataOK, "")
		}
	}
	if taken == 0 || t.Verify {
		if len(t.Mails) > 1 {
			t.ask("RSET")
			t.reply("250 2.0.0 Ok", "")
		}
		return
	}
	t.body(m, chunking)
}

// body sends the message and the reply to it.
func (t *talk) body(m *Mail, chunking bool) {
	b := t.message(m)
	if chunking {
		t.k.Say(true, fmt.Sprintf("BDAT %d LAST\r\n%s", len(b), b),
			t.k.w.Between(t.Client.Think[0], t.Client.Think[1]))
	} else {
		t.k.Say(true, b+".\r\n", t.k.w.Between(t.Client.Think[0], t.Client.Think[1]))
	}
	if !t.k.encrypted && m.EndNo == "" {
		t.k.count(CountMessage)
	}
	t.k.Say(false, t.text(or(m.EndNo, t.Server.EndOK), m.To[0].To),
		t.k.w.Between(2*t.Server.Think[0], 4*t.Server.Think[1]))
}

// message is a message of the length that was asked for, or a little more.
func (t *talk) message(m *Mail) string {
	var b strings.Builder
	fmt.Fprintf(&b, "From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: text/plain; charset=utf-8\r\nMessage-ID: <%x@%s>\r\n\r\n", m.From,
		m.To[0].To, or(m.Subject, "Re: note"), t.k.w.R.Uint64(), t.As)
	for b.Len() < m.Bytes {
		b.WriteString("The figures of this week are attached, as we agreed on Monday.\r\n")
	}
	return b.String()
}

// quit ends the session.
func (t *talk) quit() {
	if t.Cut {
		t.k.Reset(true, 5*time.Millisecond)
		return
	}
	if t.Client.NoQuit {
		t.k.Close(true, t.k.w.Between(time.Millisecond, 30*time.Millisecond))
		return
	}
	t.ask("QUIT")
	t.reply(t.Server.Bye, "")
	t.k.Close(t.k.w.Chance(0.3), 0)
}
