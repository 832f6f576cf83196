package campaign

import (
	"fmt"
	"net/netip"
)

// Mail with the null sender (MAIL FROM:<>): reports of servers about mail that they could not
// deliver, automatic answers, and spam that hides behind it.

// returner is a mail server that answers the mail that it takes in. It is seen in clear [A]: inside
// TLS there is no sender to see.
type returner struct {
	*mta
	gone float64 // share of those who get the answers that do not exist
}

// newReturner makes a host such a server, declared or not.
func (s *Site) newReturner(sc *Scenario, n int, gone float64) *returner {
	h := s.newHost(sc, n, "")
	h.Declared = n%2 == 1
	m := &returner{h.server(word(h.rng, 3) + ".example"), gone}
	m.tls = 0
	return m
}

// answers makes the server take in so many messages a day, and answer each, some seconds later.
func (m *returner) answers(perDay float64) {
	h := m.h
	r, s := h.rng, h.site
	mean := int64(float64(day) / perDay)
	h.every(h.From+between(r, 0, hour), func() int64 { return s.now + exponential(r, mean) },
		func() {
			m.receive()
			s.begin(s.now+between(r, 2*second, 40*second), taskFunc(func() int64 {
				m.answer()
				return 0
			}))
		})
}

// answer is a mail with the null sender to whom a message named as its sender.
func (m *returner) answer() {
	h := m.h
	r, s := h.rng, h.site
	d := s.world.randomServer(r)
	t := &session{port: 25, to: d, helo: m.name, rcpts: []string{mailbox(r, d.domain)},
		size: int(logUniform(r, 800, 8000))}
	if r.Float64() < m.gone {
		t.refuseWith(r, oneOf(r, []refusal{
			{atRcpt, "550 5.1.1 <RCPT>: Recipient address rejected: User unknown", false},
			{atRcpt, "550 5.7.1 We do not accept bounces for mail that we did not send", false},
			{atRcpt, "550 5.1.1 The email account that you tried to reach does not exist", false},
			{atMail, "550 5.7.1 Service unavailable; Client host [IP] blocked using " +
				"ips.backscatterer.org", false}}), s.Public, "")
	}
	returned := h.Scenario.Expect.Class == "backscatter"
	h.open(netip.AddrPortFrom(d.addr, 25), returned, dialogue(r, t))
}

// bouncer takes in mail for anybody, and returns what it cannot deliver to forged senders.
func bouncer(s *Site, sc *Scenario, n int) {
	m := s.newReturner(sc, n, uniform(s.rng, 0.2, 0.8))
	in := logUniform(m.h.rng, 60, 600)
	m.h.Kind = fmt.Sprintf("%.0f a day, %.0f %% gone", in, 100*m.gone)
	m.answers(in)
	if own := uniform(m.h.rng, 0, in); n%4 > 1 {
		m.perDay(own, 0)
	}
}

// autoresponder answers mail of people, who exist: vacation, tickets (RFC 3834).
func autoresponder(s *Site, sc *Scenario, n int) {
	m := s.newReturner(sc, n, 0.01)
	m.h.Kind = "automatic answers"
	m.answers(logUniform(m.h.rng, 20, 200))
	m.perDay(logUniform(m.h.rng, 50, 300), 0)
}

// nullSenderBot sends spam with the null sender, and nobody brings it mail.
func nullSenderBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	rate := logUniform(h.rng, 0.05, highestRate)
	h.Kind = fmt.Sprintf("%.2f/s", rate)
	h.nullSender(rate)
}

// nullSender makes a host send spam with the null sender.
func (h *Host) nullSender(rate float64) {
	b := h.newBot()
	b.pace = poisson(h.rng, rate)
	h.avoidTLS(b)
	plan := b.session
	b.session = func(d destination, port uint16) *session {
		t := plan(d, port)
		t.from = ""
		return t
	}
}

// bouncerAndBot is a bouncer that sends spam with senders of its own choice, too.
func bouncerAndBot(s *Site, sc *Scenario, n int) {
	m := s.newReturner(sc, 2*n, uniform(s.rng, 0.2, 0.8)) // not declared
	m.answers(logUniform(m.h.rng, 60, 300))
	b := m.h.newBot()
	b.pace = poisson(m.h.rng, logUniform(m.h.rng, 0.05, 1))
	m.h.avoidTLS(b)
	m.h.Kind = "bounces and spam"
}
