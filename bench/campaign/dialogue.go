package campaign

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// phase is the part of a session in which a server refuses.
type phase int

const (
	noRefusal phase = iota
	atBanner
	atHelo
	atMail
	atRcpt
	atData
)

// session is the plan of an SMTP session: the acts of the client, and the replies of the server.
// With the zero value of the other fields the server accepts the message.
type session struct {
	port           uint16
	to             destination
	helo           string
	heloOnly       bool // HELO instead of EHLO
	spaceInPath    bool // MAIL FROM: <a>, as Emotet writes [M]
	from           string
	rcpts          []string
	size           int // of the message, in bytes
	refusePhase    phase
	reply          string // the refusing reply, with its code
	refusedRcpts   int    // number of recipients refused at RCPT; zero means all
	tls            bool   // uses STARTTLS if the server offers it
	auth           bool
	resets         bool  // ends with RST instead of QUIT
	earlyTalker    bool  // sends EHLO before the banner
	callout        bool  // QUIT after RCPT
	bannerOnly     bool  // QUIT after the banner
	ignoresRefusal bool  // continues the transaction after a refusal
	thinkTime      int64 // pause of the client before each line
	relayed        bool
	namesBlocklist bool
}

// software holds the replies of usual servers: banner, and replies to MAIL, RCPT and the end of
// data.
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

// script collects the steps of a session. Times are in nanoseconds.
type script struct {
	steps     []step
	rng       *rand.Rand
	rtt       int64
	thinkTime int64
}

// add adds a segment; wait is the pause after the one before it.
func (s *script) add(server bool, wait int64, flags uint8, data []byte) *step {
	s.steps = append(s.steps, step{server: server, wait: wait, flags: flags, data: data})
	return &s.steps[len(s.steps)-1]
}

// client adds a line of the client, reply one of the server. Each side answers as soon as it has
// received the line of the other.
func (s *script) client(text string) *step {
	st := s.add(false, s.thinkTime+between(s.rng, 200*microsecond, 3*millisecond), PSH|ACK,
		[]byte(text+"\r\n"))
	st.readable = true
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

// close adds the end of a connection; server says whether the server closes first.
func (s *script) close(server bool) {
	s.add(server, millisecond, FIN|ACK, nil)
	s.add(!server, s.rtt/2+millisecond, FIN|ACK, nil)
	s.add(server, s.rtt/2, ACK, nil)
}

// dialogue returns the steps of a session, from the SYN to the last ACK.
func dialogue(r *rand.Rand, t *session) []step {
	s := &script{rng: r, rtt: max(t.to.rtt, 5*millisecond), thinkTime: t.thinkTime,
		steps: make([]step, 0, 32)}
	s.handshake()
	if t.port == 465 {
		s.tlsSession(t.to.name, len(t.rcpts)*40+t.size)
		s.close(false)
		return s.steps
	}
	soft := &software[t.to.software]
	if t.earlyTalker { // Postfix's postscreen calls it PREGREET [V]
		s.client(greeting(t))
	}
	if t.refusePhase == atBanner {
		s.reply(t.reply).namesBlocklist = t.namesBlocklist
		s.close(true)
		return s.steps
	}
	s.reply(fmt.Sprintf(soft.banner, t.to.name))
	if t.bannerOnly {
		return s.quit(t)
	}
	if !t.earlyTalker {
		s.client(greeting(t))
	}
	if t.refusePhase == atHelo {
		s.reply(t.reply).namesBlocklist = t.namesBlocklist
		return s.quit(t)
	}
	offered := t.to.tls && !t.heloOnly
	s.reply(ehloReply(t, soft.pipelining, offered))
	if t.tls && offered {
		s.client("STARTTLS")
		s.reply("220 2.0.0 Ready to start TLS")
		s.tlsSession(t.to.name, len(t.rcpts)*40+t.size)
		s.close(false)
		return s.steps
	}
	if t.auth {
		s.client("AUTH PLAIN AGFAYgBwYXNzd29yZA==")
		s.reply("235 2.7.0 Authentication successful")
	}
	if soft.pipelining && !t.heloOnly && !t.ignoresRefusal && len(t.rcpts) > 1 {
		s.pipelined(t)
	} else {
		s.transaction(t)
	}
	return s.quit(t)
}

// greeting is the client's EHLO or HELO.
func greeting(t *session) string {
	if t.heloOnly {
		return "HELO " + t.helo
	}
	return "EHLO " + t.helo
}

// ehloReply is the server's reply to EHLO or HELO.
func ehloReply(t *session, pipelining, tls bool) string {
	if t.heloOnly {
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

// transaction is a mail transaction whose commands each wait for the reply to the one before.
func (s *script) transaction(t *session) {
	soft := &software[t.to.software]
	space := ""
	if t.spaceInPath {
		space = " "
	}
	s.client("MAIL FROM:" + space + "<" + t.from + ">")
	if t.refusePhase == atMail {
		s.reply(t.reply).namesBlocklist = t.namesBlocklist
		if !t.ignoresRefusal {
			return
		}
	} else {
		s.reply(soft.mail)
	}
	taken := 0
	for i, rcpt := range t.rcpts {
		s.client("RCPT TO:" + space + "<" + rcpt + ">")
		if t.refusePhase == atRcpt && (t.refusedRcpts == 0 || i < t.refusedRcpts) ||
			t.refusePhase == atMail {
			s.reply(rcptReply(t, rcpt)).namesBlocklist = t.namesBlocklist
		} else {
			s.reply(soft.rcpt)
			taken++
		}
	}
	if t.callout || taken == 0 && !t.ignoresRefusal {
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

// pipelined is a mail transaction whose commands are sent together (RFC 2920).
func (s *script) pipelined(t *session) {
	soft := &software[t.to.software]
	ask, answers, taken := "MAIL FROM:<"+t.from+">", soft.mail, 0
	if t.refusePhase == atMail {
		answers = t.reply
	}
	for i, rcpt := range t.rcpts {
		ask += "\r\nRCPT TO:<" + rcpt + ">"
		switch {
		case t.refusePhase == atMail, t.refusePhase == atRcpt &&
			(t.refusedRcpts == 0 || i < t.refusedRcpts):
			answers += "\r\n" + rcptReply(t, rcpt)
		default:
			answers += "\r\n" + soft.rcpt
			taken++
		}
	}
	if !t.callout {
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
	s.reply(answers).namesBlocklist = t.namesBlocklist
	if !t.callout && taken > 0 {
		s.message(t)
	}
}

// rcptReply is the refusing reply for a recipient.
func rcptReply(t *session, rcpt string) string { return strings.ReplaceAll(t.reply, "RCPT", rcpt) }

// filler is the text of messages.
var filler = []byte(strings.Repeat("Pellentesque habitant morbi tristique senectus et netus et "+
	"malesuada.\r\n", 20))

// message is the message after DATA, and its reply.
func (s *script) message(t *session) {
	s.client("From: <" + t.from + ">\r\nTo: <" + t.rcpts[0] + ">\r\nSubject: " + word(s.rng, 3) +
		"\r\n")
	for n := t.size; n > 0; n -= 1400 {
		s.add(false, 200*microsecond, ACK, filler[:min(n, 1400)])
	}
	s.add(true, s.rtt, ACK, nil)
	s.client("\r\n.")
	if t.refusePhase == atData {
		s.reply(t.reply).namesBlocklist = t.namesBlocklist
		return
	}
	s.reply(software[t.to.software].queued).relayed = t.relayed
}

// quit adds the client's end of a session and returns all steps.
func (s *script) quit(t *session) []step {
	if t.resets {
		s.add(false, 50*millisecond, RST|ACK, nil)
		return s.steps
	}
	s.client("QUIT")
	s.reply("221 2.0.0 Bye")
	s.close(true)
	return s.steps
}

// tlsSession adds a TLS session that carries about size bytes.
func (s *script) tlsSession(name string, size int) {
	s.add(false, millisecond, PSH|ACK, clientHello(name))
	s.add(true, s.rtt, ACK, serverHello[:1400])
	s.add(true, 200*microsecond, PSH|ACK, serverHello[1400:])
	s.add(false, 2*millisecond, PSH|ACK, tlsRecord(74))
	s.add(true, s.rtt, PSH|ACK, tlsRecord(255))
	for range 4 { // EHLO or AUTH, MAIL, RCPT, DATA
		s.add(false, millisecond, PSH|ACK, tlsRecord(60+s.rng.IntN(60)))
		s.add(true, s.rtt, PSH|ACK, tlsRecord(60+s.rng.IntN(80)))
	}
	for n := size; n > 0; n -= 1400 {
		s.add(false, 200*microsecond, ACK, tlsRecord(min(n, 1400)))
	}
	s.add(true, s.rtt, PSH|ACK, tlsRecord(80))
	s.add(false, millisecond, PSH|ACK, tlsRecord(31))
}

// clientHello is a ClientHello with a server name (RFC 8446, 4.1.2; RFC 6066, 3).
func clientHello(name string) []byte {
	sni := be.AppendUint16(nil, uint16(len(name)+3))
	sni = append(be.AppendUint16(append(sni, 0), uint16(len(name))), name...)
	ext := append(be.AppendUint16([]byte{0, 0}, uint16(len(sni))), sni...)
	ext = append(ext, 0, 43, 0, 3, 2, 3, 4) // supported versions: 1.3
	body := append([]byte{3, 3}, randomBytes[:32]...)
	body = append(body, 0, 0, 4, 0x13, 1, 0x13, 2, 1, 0)
	body = append(be.AppendUint16(body, uint16(len(ext))), ext...)
	hand := append([]byte{1, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	return append(be.AppendUint16([]byte{22, 3, 1}, uint16(len(hand))), hand...)
}

// randomBytes stand for encrypted data.
var randomBytes = func() []byte {
	b := make([]byte, 4096)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}()

// serverHello is a ServerHello and the rest of the handshake, encrypted as in TLS 1.3.
var serverHello = func() []byte {
	b := append([]byte{22, 3, 3, 0, 90, 2, 0, 0, 86, 3, 3}, randomBytes[:84]...)
	b = append(b, 20, 3, 3, 0, 1, 1)
	return append(b, tlsRecord(2400)...)
}()

// tlsRecord is a TLS record of n bytes of application data.
func tlsRecord(n int) []byte {
	return append([]byte{23, 3, 3, byte(n >> 8), byte(n)}, randomBytes[n%512:n%512+n]...)
}
