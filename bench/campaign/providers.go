package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
)

// The scenarios of providers with servers in many networks, of mail accounts, and of bots that stay
// below the rates of minutes and hours. The numbers of networks are what public resolvers show of
// large providers within a day: two to seven for the mail exchangers of one customer, one to four
// dozen for submission.

// cloud is a provider with many networks: its domain, and its servers.
type cloud struct {
	domain, name string
	nets         [][3]byte
	software     int
}

// newCloud draws a provider with so many networks. The name of its servers begins with first.
func (w *world) newCloud(r *rand.Rand, first string, nets int) *cloud {
	c := &cloud{domain: word(r, 3) + "." + oneOf(r, topDomains), software: r.IntN(len(software))}
	c.name = first + "." + c.domain
	for range nets {
		c.nets = append(c.nets, randomNetwork(r))
	}
	return c
}

// server is one of its servers.
func (c *cloud) server(r *rand.Rand) destination {
	return destination{domain: c.domain, name: c.name,
		addr:     addrIn(oneOf(r, c.nets), 1+r.IntN(250)),
		software: c.software, tls: true, rtt: between(r, 10*millisecond, 60*millisecond)}
}

// submitTo sends a mail through a server. The client's HELO name is its own address.
func (h *Host) submitTo(d destination, port uint16, bad bool) {
	r := h.rng
	t := &session{port: port, to: d, helo: "[" + h.Addr.String() + "]", from: mailbox(r, d.domain),
		rcpts: []string{mailbox(r, "example.com")}, size: int(logUniform(r, 500, 50_000)),
		tls: true, auth: true}
	h.open(netip.AddrPortFrom(d.addr, port), bad, dialogue(r, t))
}

// resolved looks up a server, unless the name comes by DNS over HTTPS, and calls do when the answer
// has come.
func (h *Host) resolved(d destination, do func()) {
	h.lookup(typeA, d.name, d, true)
	h.site.begin(h.site.now+between(h.rng, 25*millisecond, 60*millisecond), taskFunc(func() int64 {
		do()
		return 0
	}))
}

// submissionPort draws a port for submission, which stays the same for an account.
func submissionPort(r *rand.Rand) uint16 {
	return draw(r, share[uint16]{0.6, 587}, share[uint16]{0.4, 465})
}

// cloudOffice is a person in an office, or the address of all of them, that submits through one
// provider of the whole firm.
func cloudOffice(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	c := s.world.newCloud(s.world.rand("office", n), "smtp", 8+r.IntN(23))
	port := submissionPort(r)
	perDay := logUniform(r, 20, 600)
	resolves := r.IntN(3) > 0 // else the names come by DNS over HTTPS
	h.Kind = fmt.Sprintf("%.0f mails a day, %d networks", perDay, len(c.nets))
	mean := int64(10 * float64(hour) / perDay)
	h.every(h.From+between(r, 0, 10*hour), func() int64 { return h.nextInWorkingHours(mean) },
		func() {
			d := c.server(r)
			if resolves {
				h.resolved(d, func() { h.submitTo(d, port, false) })
			} else {
				h.submitTo(d, port, false)
			}
		})
}

// cloudApplication is an application that sends reports through a provider that rotates its
// addresses, day and night.
func cloudApplication(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	c := s.world.newCloud(r, oneOf(r, []string{"email-smtp.region-1", "smtp-relay", "smtp"}),
		12+r.IntN(20))
	port := submissionPort(r)
	mean := int64(logUniform(r, 5, 600)) * second
	h.Kind = fmt.Sprintf("every %d s, %d networks", mean/second, len(c.nets))
	h.every(h.From+exponential(r, mean), func() int64 { return s.now + exponential(r, mean) },
		func() {
			d := c.server(r)
			h.resolved(d, func() { h.submitTo(d, port, false) })
		})
}

// directSend is a copier that delivers to the mail exchangers of its own firm, which a provider
// runs.
func directSend(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	h.Role = "printer"
	r := h.rng
	c := s.world.newCloud(r, "firm-example.mail.protection", 2+r.IntN(6))
	mean := int64(uniform(r, 3, 40)) * minute
	h.every(h.From+exponential(r, mean), func() int64 { return h.nextInWorkingHours(mean) },
		func() {
			d := c.server(r)
			t := &session{port: 25, to: d, helo: oneOf(r, []string{"copier", "SCANNER01"}),
				from: "scan@firm.example", rcpts: []string{mailbox(r, "firm.example")},
				size: int(logUniform(r, 50_000, 500_000))}
			h.resolved(d, func() {
				h.open(netip.AddrPortFrom(d.addr, 25), false, dialogue(r, t))
			})
		})
}

// manyAccounts is a telephone with four accounts or a laptop with up to nine, all set up one after
// the other, and used from then on.
func manyAccounts(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	var list []*cloud
	for range 4 + r.IntN(6) {
		list = append(list, s.world.newCloud(r, "smtp", 1+r.IntN(16)))
	}
	h.Kind = fmt.Sprintf("%d accounts", len(list))
	port := submissionPort(r)
	apart := between(r, 45*second, 3*minute)
	at := h.From + 9*hour
	for i, c := range list {
		s.begin(at+int64(i)*apart, taskFunc(func() int64 {
			d := c.server(r)
			h.resolved(d, func() { h.submitTo(d, port, false) })
			return 0
		}))
	}
	h.every(at+hour, func() int64 { return h.nextInWorkingHours(20 * minute) }, func() {
		d := oneOf(r, list).server(r)
		h.resolved(d, func() { h.submitTo(d, port, false) })
	})
}

// guessedAccounts is a mail client that guesses the servers of accounts: three names on three ports
// all at once. Most give no answer.
func guessedAccounts(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	at := h.From + 9*hour
	for range 2 + r.IntN(3) {
		at += between(r, 2*minute, 5*minute)
		s.begin(at, taskFunc(func() int64 {
			right := s.world.singleServer(r.IntN(200_000))
			right.tls = true
			h.lookup(typeMX, right.domain, right, true)
			for i, first := range []string{"smtp.", "mail.", ""} {
				other := s.world.singleServer(r.IntN(200_000))
				other.domain, other.name = right.domain, first+right.domain
				if i == 1 {
					other.addr = right.addr
				}
				h.resolved(other, func() { h.guessPorts(right, other, i == 1) })
			}
			return 0
		}))
	}
}

// guessPorts tries the three ports of a server at once. Only submission works, and only at the
// right server.
func (h *Host) guessPorts(right, other destination, works bool) {
	for _, port := range []uint16{587, 465, 25} {
		if works && port != 25 {
			h.submitTo(right, port, false)
			continue
		}
		h.open(netip.AddrPortFrom(other.addr, port), false,
			failedAttempt(h.rng, oneOf(h.rng, []attemptResult{unanswered, refused})))
	}
}

// consultant looks after the mail of customers: a dozen servers a day, each used a few times.
func consultant(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	perDay := 8 + r.IntN(5)
	h.Kind = fmt.Sprintf("%d providers a day", perDay)
	customers := r.IntN(100_000)
	mean := int64(10 * hour / int64(perDay))
	at := h.From + 8*hour
	for range perDay {
		customers++
		d := s.world.submissionServer(customers, 0)
		port := submissionPort(r)
		at += exponential(r, mean/2) + mean/3
		for i := range 1 + r.IntN(3) {
			s.begin(at+int64(i)*between(r, minute, 3*minute), taskFunc(func() int64 {
				h.resolved(d, func() { h.submitTo(d, port, false) })
				return 0
			}))
		}
	}
}

// tlsAllDay is a bot on a workstation that uses 30 to 60 providers a day, each named in TLS.
func tlsAllDay(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	h.Until = max(h.Until, h.From+day)
	r := h.rng
	perDay := 30 + r.IntN(31)
	h.Kind = fmt.Sprintf("%d providers a day", perDay)
	first := r.IntN(1 << 16)
	b := h.newBot()
	b.attemptsLeft = 2 * perDay
	b.pace = func() int64 { return exponential(r, day/int64(perDay)) }
	b.to = func() destination { first++; return s.world.submissionServer(first, 0) }
	b.port = func() uint16 { return submissionPort(r) }
	b.result, b.lookups = nil, nil
	b.session = func(d destination, port uint16) *session {
		return &session{port: port, to: d, helo: "[" + h.Addr.String() + "]",
			from: mailbox(r, d.domain), rcpts: []string{mailbox(r, "example.com")}, size: 3000,
			tls: true, auth: true}
	}
}

// deadThird is a bot that delivers in TLS under one full name, with a list of addresses of which a
// quarter to two fifths are dead. The names are not on the mirror port.
func deadThird(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	dead := uniform(r, 0.25, 0.4)
	rate := logUniform(r, 0.05, 0.5)
	h.Kind = fmt.Sprintf("%.2f/s, %.0f %% dead", rate, 100*dead)
	name := "mail." + word(r, 3) + ".com"
	b := h.newBot()
	b.pace = poisson(r, rate)
	b.to = func() destination {
		d := s.world.singleServer(r.IntN(200_000))
		d.tls = true
		return d
	}
	b.result = func(destination, uint16) attemptResult {
		return draw(r, share[attemptResult]{1 - dead, answered},
			share[attemptResult]{dead * 0.6, unanswered}, share[attemptResult]{dead * 0.4, refused})
	}
	b.lookups = nil
	b.session = func(d destination, port uint16) *session {
		return &session{port: port, to: d, helo: name, from: mailbox(r, name[5:]),
			rcpts: []string{mailbox(r, d.domain)}, size: 3000, tls: true}
	}
}

// behindNAT64 makes a host one of a network of IPv6 alone.
func (h *Host) behindNAT64() {
	h.ipv6, h.ttl = true, 64
	h.nat64 = netip.MustParsePrefix(oneOf(h.rng,
		[]string{"64:ff9b::/96", "64:ff9b:1::/96", "64:ff9b:1:fffe::/96"}))
}

// nat64Office is a workstation in a network of IPv6 alone.
func nat64Office(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	h.behindNAT64()
	h.officeUser()
}

// nat64Bot is a bot there, whose port 25 may be blocked.
func nat64Bot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	h.behindNAT64()
	r := h.rng
	rate := logUniform(r, 0.1, 2)
	h.Kind = fmt.Sprintf("%.2f/s", rate)
	b := h.newBot()
	b.pace = poisson(r, rate)
	if r.IntN(2) == 0 {
		h.Kind += ", nothing answers"
		b.result = func(destination, uint16) attemptResult { return unanswered }
	}
}
