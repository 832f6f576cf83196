package campaign

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// phase is where a server says no.
type phase int

const (
	never phase = iota
	atBanner
	atHelo
	atMail
	atRcpt
	atData
)

// talk is what will be said in a session. The zero value is a message that is taken.
type talk struct {
	port   uint16
	to     dest
	helo   string
	old    bool // HELO
	loose  bool // MAIL FROM: <a>, as Emotet writes [M]
	from   string
	rcpts  []string
	size   int // of the message
	refuse phase
	reply  string // the refusal, with its code
	some   int    // refused at RCPT: how many of the recipients, zero means all
	tls    bool   // uses STARTTLS where it is offered
	auth   bool
	abrupt bool  // no QUIT
	early  bool  // talks before the banner
	verify bool  // QUIT after RCPT
	look   bool  // QUIT after the banner
	messy  bool  // goes on after a refusal
	think  int64 // of the client, before each line
	relay  bool
	listed bool
}

// software is how servers talk: banner, answer to MAIL, to RCPT, to the end of data.
var software = []struct {
	banner, mail, rcpt, queued string
	pipelining                 bool
}{
	{"220 %s ESMTP Postfix", "250 2.1.0 Ok", "250 2.1.5 Ok", "250 2.0.0 Ok: queued as 4TkX2b1",
		true},
	{"220 %s ESMTP Exim 4.96", "250 OK", "250 Accepted", "250 OK id=1rAbCd-0001", true},
	{"220 %s Microsoft ESMTP MAIL Service ready", "250 2.1.0 Sender OK", "250 2.1.5 Recipient OK",
		"250 2.6.0 Queued mail for delivery", true},
	{"220 %s ESMTP", "250 ok", "250 ok", "250 ok 1507651043 qp 4711", false},
	{"220 %s ESMTP Sendmail 8.15.2/8.15.2", "250 2.1.0 Sender ok", "250 2.1.5 Recipient ok",
		"250 2.0.0 Message accepted for delivery", true},
}

// script collects the steps of a session.
type script struct {
	steps []step
	rng   *rand.Rand
	rtt   int64
	think int64
}

func (s *script) add(server bool, wait int64, flags uint8, data []byte) *step {
	s.steps = append(s.steps, step{server: server, wait: wait, flags: flags, data: data})
	return &s.steps[len(s.steps)-1]
}

// client is a line that the client says, reply one of the server. A side answers as soon as it
// has heard the other.
func (s *script) client(text string) *step {
	st := s.add(false, s.think+between(s.rng, 200*microsecond, 3*millisecond), PSH|ACK,
		[]byte(text+"\r\n"))
	st.clear = true
	return st
}

func (s *script) reply(text string) *step {
	return s.add(true, s.rtt+between(s.rng, millisecond, 30*millisecond), PSH|ACK,
		[]byte(text+"\r\n"))
}

func (s *script) handshake() {
	s.add(false, 0, SYN, nil)
	s.add(true, s.rtt, SYN|ACK, nil)
	s.add(false, 100*microsecond, ACK, nil)
}

func (s *script) hangup(server bool) {
	s.add(server, millisecond, FIN|ACK, nil)
	s.add(!server, s.rtt/2+millisecond, FIN|ACK, nil)
	s.add(server, s.rtt/2, ACK, nil)
}

// dialogue is the whole session of a talk, from the SYN to the end.
func dialogue(r *rand.Rand, t *talk) []step {
	s := &script{rng: r, rtt: max(t.to.slow, 5*millisecond), think: t.think,
		steps: make([]step, 0, 32)}
	s.handshake()
	if t.port == 465 {
		s.secret(t.to.name, len(t.rcpts)*40+t.size)
		s.hangup(false)
		return s.steps
	}
	soft := &software[t.to.soft]
	if t.early { // postscreen calls it PREGREET [V]
		s.client(hello(t))
	}
	if t.refuse == atBanner {
		s.reply(t.reply).listed = t.listed
		s.hangup(true)
		return s.steps
	}
	s.reply(fmt.Sprintf(soft.banner, t.to.name))
	if t.look {
		return s.quit(t)
	}
	if !t.early {
		s.client(hello(t))
	}
	if t.refuse == atHelo {
		s.reply(t.reply).listed = t.listed
		return s.quit(t)
	}
	offered := t.to.tls && !t.old
	s.reply(welcome(t, soft.pipelining, offered))
	if t.tls && offered {
		s.client("STARTTLS")
		s.reply("220 2.0.0 Ready to start TLS")
		s.secret(t.to.name, len(t.rcpts)*40+t.size)
		s.hangup(false)
		return s.steps
	}
	if t.auth {
		s.client("AUTH PLAIN AGFAYgBwYXNzd29yZA==")
		s.reply("235 2.7.0 Authentication successful")
	}
	if soft.pipelining && !t.old && !t.messy && len(t.rcpts) > 1 {
		s.batch(t)
	} else {
		s.envelope(t)
	}
	return s.quit(t)
}

func hello(t *talk) string {
	if t.old {
		return "HELO " + t.helo
	}
	return "EHLO " + t.helo
}

func welcome(t *talk, pipelining, tls bool) string {
	if t.old {
		return "250 " + t.to.name
	}
	text := "250-" + t.to.name + "\r\n"
	if pipelining {
		text += "250-PIPELINING\r\n"
	}
	if tls {
		text += "250-STARTTLS\r\n"
	}
	if t.port != 25 {
		text += "250-AUTH PLAIN LOGIN\r\n"
	}
	return text + "250-SIZE 52428800\r\n250 8BITMIME"
}

// envelope is MAIL, RCPT and DATA one after the other.
func (s *script) envelope(t *talk) {
	soft := &software[t.to.soft]
	space := ""
	if t.loose {
		space = " "
	}
	s.client("MAIL FROM:" + space + "<" + t.from + ">")
	if t.refuse == atMail {
		s.reply(t.reply).listed = t.listed
		if !t.messy {
			return
		}
	} else {
		s.reply(soft.mail)
	}
	taken := 0
	for i, rcpt := range t.rcpts {
		s.client("RCPT TO:" + space + "<" + rcpt + ">")
		if t.refuse == atRcpt && (t.some == 0 || i < t.some) || t.refuse == atMail {
			s.reply(refusal(t, rcpt)).listed = t.listed
		} else {
			s.reply(soft.rcpt)
			taken++
		}
	}
	if t.verify || taken == 0 && !t.messy {
		return
	}
	s.client("DATA")
	if taken == 0 {
		s.reply("503 5.5.1 RCPT first")
		return
	}
	s.reply("354 End data with <CR><LF>.<CR><LF>")
	s.message(t)
}

// batch is the same in one go (RFC 2920).
func (s *script) batch(t *talk) {
	soft := &software[t.to.soft]
	ask, answers, taken := "MAIL FROM:<"+t.from+">", soft.mail, 0
	if t.refuse == atMail {
		answers = t.reply
	}
	for i, rcpt := range t.rcpts {
		ask += "\r\nRCPT TO:<" + rcpt + ">"
		switch {
		case t.refuse == atMail, t.refuse == atRcpt && (t.some == 0 || i < t.some):
			answers += "\r\n" + refusal(t, rcpt)
		default:
			answers += "\r\n" + soft.rcpt
			taken++
		}
	}
	if !t.verify {
		ask += "\r\nDATA"
		if taken > 0 {
			answers += "\r\n354 End data with <CR><LF>.<CR><LF>"
		} else {
			answers += "\r\n554 5.5.1 Error: no valid recipients"
		}
	}
	for len(ask) > 1400 {
		i := strings.LastIndex(ask[:1400], "\r\n")
		s.client(ask[:i])
		ask = ask[i+2:]
	}
	s.client(ask)
	for len(answers) > 1400 {
		i := strings.LastIndex(answers[:1400], "\r\n")
		s.reply(answers[:i])
		answers = answers[i+2:]
	}
	s.reply(answers).listed = t.listed
	if !t.verify && taken > 0 {
		s.message(t)
	}
}

func refusal(t *talk, rcpt string) string { return strings.ReplaceAll(t.reply, "RCPT", rcpt) }

var filler = []byte(strings.Repeat("Pellentesque habitant morbi tristique senectus et netus et "+
	"malesuada.\r\n", 20))

// message is what follows DATA.
func (s *script) message(t *talk) {
	s.client("From: <" + t.from + ">\r\nTo: <" + t.rcpts[0] + ">\r\nSubject: " + word(s.rng, 3) +
		"\r\n")
	for n := t.size; n > 0; n -= 1400 {
		s.add(false, 200*microsecond, ACK, filler[:min(n, 1400)])
	}
	s.add(true, s.rtt, ACK, nil)
	s.client("\r\n.")
	if t.refuse == atData {
		s.reply(t.reply).listed = t.listed
		return
	}
	s.reply(software[t.to.soft].queued).relay = t.relay
}

func (s *script) quit(t *talk) []step {
	if t.abrupt {
		s.add(false, 50*millisecond, RST|ACK, nil)
		return s.steps
	}
	s.client("QUIT")
	s.reply("221 2.0.0 Bye")
	s.hangup(true)
	return s.steps
}

// secret is a TLS session that carries about size bytes.
func (s *script) secret(name string, size int) {
	s.add(false, millisecond, PSH|ACK, clientHello(name))
	s.add(true, s.rtt, ACK, serverHello[:1400])
	s.add(true, 200*microsecond, PSH|ACK, serverHello[1400:])
	s.add(false, 2*millisecond, PSH|ACK, sealed(74))
	s.add(true, s.rtt, PSH|ACK, sealed(255))
	for range 4 { // EHLO or AUTH, MAIL, RCPT, DATA
		s.add(false, millisecond, PSH|ACK, sealed(60+s.rng.IntN(60)))
		s.add(true, s.rtt, PSH|ACK, sealed(60+s.rng.IntN(80)))
	}
	for n := size; n > 0; n -= 1400 {
		s.add(false, 200*microsecond, ACK, sealed(min(n, 1400)))
	}
	s.add(true, s.rtt, PSH|ACK, sealed(80))
	s.add(false, millisecond, PSH|ACK, sealed(31))
}

// clientHello asks for a server by name (RFC 8446, 4.1.2; RFC 6066, 3).
func clientHello(name string) []byte {
	sni := be.AppendUint16(nil, uint16(len(name)+3))
	sni = append(be.AppendUint16(append(sni, 0), uint16(len(name))), name...)
	ext := append(be.AppendUint16([]byte{0, 0}, uint16(len(sni))), sni...)
	ext = append(ext, 0, 43, 0, 3, 2, 3, 4) // supported versions: 1.3
	body := append([]byte{3, 3}, cipher[:32]...)
	body = append(body, 0, 0, 4, 0x13, 1, 0x13, 2, 1, 0)
	body = append(be.AppendUint16(body, uint16(len(ext))), ext...)
	hand := append([]byte{1, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	return append(be.AppendUint16([]byte{22, 3, 1}, uint16(len(hand))), hand...)
}

// cipher are bytes that mean nothing.
var cipher = func() []byte {
	b := make([]byte, 4096)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}()

var serverHello = func() []byte {
	b := append([]byte{22, 3, 3, 0, 90, 2, 0, 0, 86, 3, 3}, cipher[:84]...)
	b = append(b, 20, 3, 3, 0, 1, 1)
	return append(b, sealed(2400)...)
}()

// sealed is a record of application data with n bytes.
func sealed(n int) []byte {
	return append([]byte{23, 3, 3, byte(n >> 8), byte(n)}, cipher[n%512:n%512+n]...)
}
