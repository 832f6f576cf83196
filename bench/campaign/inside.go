package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
)

// The scenarios of mail between two hosts of a site: what goes through the site's own mail server,
// and what is behind one address. Rates and shares are assumptions [A] unless a comment names a
// source.

// ownServerHost marks the mail server that hosts of a scenario use. It is clean: findings about it
// may say that it is not declared, or that it is refused.
var ownServerHost = &Scenario{Name: "own-server", About: "the mail server of such a site",
	Allowed: append([]string{"undeclared_server", "direct_smtp", "blocklisted"}, serverClasses...)}

// newOwnServer adds a mail server that passes on what the site's hosts bring. Every second one is
// declared.
func (s *Site) newOwnServer(n int) *mta {
	h := s.newHost(ownServerHost, n, fmt.Sprint(len(s.Hosts)))
	h.Declared = h.rng.IntN(2) == 0
	m := h.server(word(h.rng, 3) + ".example")
	m.perDay(logUniform(h.rng, 50, 400), 0)
	return m
}

// bring is a session in which a host of the site hands a mail to the server, which passes it on a
// few seconds later. The receiving servers refuse a share of that.
func (m *mta) bring(h *Host, bad bool, t *session, passOn bool, refused float64) {
	r, s := h.rng, h.site
	t.port, t.to = 25, m.destination()
	t.to.tls, t.to.rtt = false, 5*millisecond
	c := h.open(netip.AddrPortFrom(m.h.Addr, 25), bad, dialogue(r, t))
	if !passOn || t.refusePhase != noRefusal {
		return
	}
	c.onClose = func() {
		s.begin(s.now+between(r, second, 10*second), taskFunc(func() int64 {
			d := s.world.randomServer(m.h.rng)
			out := &session{port: 25, to: d, helo: m.name, from: t.from, rcpts: t.rcpts,
				size: t.size, tls: m.h.rng.Float64() < m.tls}
			if m.h.rng.Float64() < refused {
				out.refuseWith(m.h.rng, oneOf(m.h.rng, []refusal{
					{atRcpt, "550 5.1.1 <RCPT>: User unknown", false},
					{atData, "554 5.7.1 Message rejected as spam", false}}), s.Public, "")
			}
			m.h.open(netip.AddrPortFrom(d.addr, 25), false, dialogue(m.h.rng, out))
			return 0
		}))
	}
}

// strangers draws the domain of a stranger: a few large providers, and many others.
func strangers(r *rand.Rand) func() string {
	large := make([]string, 6)
	for i := range large {
		large[i] = word(r, 2) + "mail." + oneOf(r, topDomains)
	}
	return func() string {
		if r.IntN(3) == 0 {
			return oneOf(r, large)
		}
		return word(r, 3) + "." + oneOf(r, topDomains)
	}
}

// insideName draws the name of a PC that sends spam: its own, an invented one, or no name.
func insideName(r *rand.Rand, n int) string {
	return oneOf(r, []string{"localhost", fmt.Sprintf("WS%03d", n), word(r, 3),
		"pc" + fmt.Sprint(n) + "." + word(r, 2) + ".local", "mail." + word(r, 3) + ".com"})
}

// insideBot is a PC that sends its spam through the site's own server, which takes everything from
// inside.
func insideBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "through the own server")
	r := h.rng
	m := s.newOwnServer(n)
	m.perDay(0, logUniform(r, 50, 400))
	domain, name := strangers(r), insideName(r, n)
	h.Kind, m.tls = "through the own server as "+name, oneOf(r, []float64{0, 0.7, 1})
	mean := int64(float64(second) / logUniform(r, 1./30, 2))
	left := 300
	s.begin(h.From+2*hour+between(r, 0, 3*hour), taskFunc(func() int64 {
		m.bring(h, true, &session{helo: name, from: mailbox(r, domain()),
			rcpts: []string{mailbox(r, domain())}, size: 2000}, true, 0.4)
		if left--; left == 0 {
			return 0
		}
		return s.now + exponential(r, mean)
	}))
}

// insideRefused is such a PC whose server does not know most of the recipients.
func insideRefused(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "refused by the own server")
	r := h.rng
	m := s.newOwnServer(n)
	m.perDay(0, logUniform(r, 50, 400))
	domain, rcpts := strangers(r), strangers(r)
	name := oneOf(r, []string{"localhost", fmt.Sprintf("WS%03d", n), word(r, 3)})
	if r.IntN(3) == 0 { // it guesses the mailboxes of the site
		rcpts = func() string { return m.domain }
	}
	unknown := uniform(r, 0.65, 0.95)
	mean := int64(float64(second) / logUniform(r, 1./20, 2))
	left := 200
	s.begin(h.From+2*hour+between(r, 0, 3*hour), taskFunc(func() int64 {
		t := &session{helo: name, from: mailbox(r, domain()), rcpts: []string{mailbox(r, rcpts())},
			size: 2000}
		if r.Float64() < unknown {
			t.refuseWith(r, refusal{atRcpt, "550 5.1.1 <RCPT>: Recipient address rejected: User " +
				"unknown", false}, s.Public, "")
		}
		m.bring(h, true, t, false, 0)
		if left--; left == 0 {
			return 0
		}
		return s.now + exponential(r, mean)
	}))
}

// botBehindServer is a bot that shares its public address with the site's declared mail server.
func botBehindServer(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	h.Declared = true
	m := h.server(word(r, 3) + ".example")
	h.ttl = 63
	m.perDay(logUniform(r, 100, 500), logUniform(r, 100, 500))
	b := h.newBotAt(h.From + 4*hour + between(r, 0, 4*hour))
	b.ttl = oneOf(r, []uint8{63, 127})
	plan := b.session
	name := oneOf(r, []func() string{func() string { return word(r, 3) },
		func() string { return fmt.Sprintf("192.168.1.%d", 2+r.IntN(250)) },
		func() string { return fmt.Sprintf("DESKTOP-%07X", r.IntN(1<<28)) }})
	b.session = func(d destination, port uint16) *session {
		t := plan(d, port)
		t.helo, t.from = name(), mailbox(r, word(r, 3)+"."+oneOf(r, topDomains))
		return t
	}
	restore := h.ttl
	pace := poisson(r, logUniform(r, 1./60, 1))
	b.pace = func() int64 { h.ttl = restore; return pace() }
	h.Kind = fmt.Sprintf("hop limit %d", b.ttl)
}

// bridge is an address through which the world comes in: the server takes strangers for hosts of
// the site, and relays for them.
func bridge(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "bridge")
	h.Role = "nat"
	r := h.rng
	m := s.newOwnServer(n)
	world, m2 := s.inbound(h, m, 300), strangers(r)
	s.begin(h.From+between(r, 0, hour), world)
	mean := int64(float64(second) / logUniform(r, 1./60, 1))
	left := 250
	s.begin(h.From+4*hour+between(r, 0, 4*hour), taskFunc(func() int64 {
		m.bring(h, true, &session{helo: word(r, 3), from: mailbox(r, m2()),
			rcpts: []string{mailbox(r, m2())}, size: 2000}, true, 0.4)
		if left--; left == 0 {
			return 0
		}
		return s.now + exponential(r, mean)
	}))
}

// inbound brings the world's mail for the site to the server, perDay a day, as a load balancer
// does: each with the name of its client.
func (s *Site) inbound(h *Host, m *mta, perDay float64) task {
	r := h.rng
	domains := []string{m.domain, "shop." + m.domain, word(r, 3) + ".example"}
	unknown, refused := uniform(r, 0.02, 0.3), uniform(r, 0.02, 0.3)
	from := strangers(r)
	mean := int64(float64(day) / perDay)
	return taskFunc(func() int64 {
		if s.now >= h.Until {
			return 0
		}
		d := s.world.randomServer(r)
		t := &session{helo: d.name, from: mailbox(r, from()), size: int(logUniform(r, 500, 20_000)),
			rcpts: []string{mailbox(r, oneOf(r, domains))}}
		switch x := r.Float64(); {
		case x < unknown:
			t.refuseWith(r, refusal{atRcpt, "550 5.1.1 <RCPT>: Recipient address rejected: User " +
				"unknown in local recipient table", false}, s.Public, "")
		case x < unknown+refused:
			t.refuseWith(r, refusal{atData, "554 5.7.1 Message rejected as spam", false}, s.Public,
				"")
		}
		m.bring(h, false, t, false, 0)
		return s.now + exponential(r, mean)
	})
}

func loadBalancer(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "load balancer")
	h.Role = "server"
	m := s.newOwnServer(n)
	s.begin(h.From+between(h.rng, 0, hour), s.inbound(h, m, logUniform(h.rng, 200, 4000)))
}

// inboundGateway is the same with one name of its own: an appliance that filters mail.
func inboundGateway(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "filter")
	h.Role = "server"
	r := h.rng
	m := s.newOwnServer(n)
	from, name := strangers(r), "filter."+m.domain
	unknown := uniform(r, 0, 0.2)
	mean := int64(float64(day) / logUniform(r, 200, 4000))
	next := func() int64 { return s.now + exponential(r, mean) }
	h.every(h.From+between(r, 0, hour), next, func() {
		t := &session{helo: name, from: mailbox(r, from()), rcpts: []string{mailbox(r, m.domain)},
			size: 4000}
		if r.Float64() < unknown {
			t.refuseWith(r, refusal{atRcpt, "550 5.1.1 <RCPT>: User unknown", false}, s.Public, "")
		}
		m.bring(h, false, t, false, 0)
	})
}

// popConnector fetches mail from mailboxes at a provider and hands it to the server: mail of all
// the world for the people of the site.
func popConnector(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "POP connector")
	h.Role = "server"
	r := h.rng
	m := s.newOwnServer(n)
	from, name := strangers(r), oneOf(r, []string{"localhost", "SERVER01", "fetch." + m.domain})
	dead := uniform(r, 0, 0.1)
	h.every(h.From+between(r, 0, hour), func() int64 { return s.now + 15*minute }, func() {
		for i := range r.IntN(40) {
			s.begin(s.now+int64(i)*300*millisecond, taskFunc(func() int64 {
				t := &session{helo: name, from: mailbox(r, from()), size: 4000,
					rcpts: []string{mailbox(r, m.domain)}}
				if r.Float64() < dead {
					t.refuseWith(r, refusal{atRcpt, "550 5.1.1 <RCPT>: User unknown", false},
						s.Public, "")
				}
				m.bring(h, false, t, false, 0)
				return 0
			}))
		}
	})
}

// ticketSystem sends mail in one or two own names to people everywhere.
func ticketSystem(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "tickets")
	h.Role = "server"
	r := h.rng
	m := s.newOwnServer(n)
	m.perDay(0, logUniform(r, 50, 400))
	to := strangers(r)
	from := []string{"support@" + m.domain, "news@" + word(r, 3) + ".example"}
	name := oneOf(r, []string{"localhost", "TICKETS", "app." + m.domain})
	mean := int64(float64(day) / logUniform(r, 200, 8000))
	next := func() int64 { return s.now + exponential(r, mean) }
	h.every(h.From+between(r, 0, hour), next, func() {
		m.bring(h, false, &session{helo: name, from: oneOf(r, from),
			rcpts: []string{mailbox(r, to())}, size: 2000}, true, 0.05)
	})
}

// relayChain is a server inside that takes mail from the site's filter, and hands what is forwarded
// to the site's smarthost: mail of strangers to strangers.
func relayChain(s *Site, sc *Scenario, n int) {
	inner := s.newHost(sc, n, "forwards")
	r := inner.rng
	filter := s.newHost(sc, n+1000, "filter")
	im := inner.server(word(r, 3) + ".example")
	smarthost := s.newOwnServer(n)
	from, to := strangers(r), strangers(r)
	mean := int64(float64(day) / logUniform(r, 300, 4000))
	away := make([]string, 40)
	for i := range away {
		away[i] = mailbox(r, to())
	}
	filter.every(filter.From+between(r, 0, hour), func() int64 {
		return s.now + exponential(r, mean)
	}, func() {
		t := &session{helo: "filter." + im.domain, from: mailbox(r, from()),
			rcpts: []string{mailbox(r, im.domain)}, size: 3000}
		im.bring(filter, false, t, false, 0)
		s.begin(s.now+5*second, taskFunc(func() int64 {
			smarthost.bring(inner, false, &session{helo: im.name, from: t.from,
				rcpts: []string{oneOf(r, away)}, size: 3000}, true, 0.1)
			return 0
		}))
	})
}

// vpnPool is a VPN concentrator: 80 people, each with providers of their own.
func vpnPool(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "80 people")
	h.Role = "nat"
	h.natUsers(80)
}

// serversBehindNAT are a mail server and two others that send their own mail, behind one address
// with people.
func serversBehindNAT(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "three servers")
	r := h.rng
	h.Declared = true
	m := h.server(word(r, 3) + ".example")
	m.perDay(logUniform(r, 100, 500), logUniform(r, 100, 500))
	for _, name := range []string{"web." + m.domain, "shop." + m.domain} {
		other := *m
		other.name = name
		ttl := oneOf(r, []uint8{63, 127})
		mean := int64(float64(day) / logUniform(r, 20, 200))
		h.every(h.From+between(r, 0, hour), func() int64 { return s.now + exponential(r, mean) },
			func() { h.ttl = ttl; other.deliver(); h.ttl = 64 })
	}
	h.natUsers(10)
}

// sandbox is a developer's program that sends its test mail to one provider with a login, in the
// name of many.
func sandbox(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "test mail")
	r := h.rng
	d := s.world.submissionServer(r.IntN(12), 0)
	from, to := strangers(r), strangers(r)
	port := oneOf(r, []uint16{587, 2525, 25})
	name := oneOf(r, []string{"localhost", "DEV-PC", word(r, 2)})
	h.every(h.From+9*hour+between(r, 0, hour), func() int64 { return s.now + hour }, func() {
		for i := range 10 + r.IntN(60) {
			s.begin(s.now+int64(i)*second, taskFunc(func() int64 {
				t := &session{port: port, to: d, helo: name, from: mailbox(r, from()),
					rcpts: []string{mailbox(r, to())}, size: 900, auth: true}
				h.open(netip.AddrPortFrom(d.addr, port), false, dialogue(r, t))
				return 0
			}))
		}
	})
}
