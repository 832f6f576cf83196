package campaign

import (
	"fmt"
	"net/netip"
)

// mta is a mail server: it delivers mail, retries deferred mail, and accepts mail from outside.
//
// Source: the pause between retries grows from 300 s to 4,000 s, for five days (Postfix's defaults
// [V]); 1 to 5 % of the sessions are refused (unverified [A]); 70 % of the sessions use TLS [A].
type mta struct {
	h           *Host
	name        string
	domain      string
	tls         float64
	refuse      float64
	down        [2]int64 // begin and end of an outage of its uplink
	listed      string   // the blocklist that refusals name, "" for none
	listedShare float64
}

// server makes a host a mail server for a domain.
func (h *Host) server(domain string) *mta {
	h.Role, h.ttl, h.Domain = "mta", 64, domain
	return &mta{h: h, name: "mail." + domain, domain: domain, tls: 0.7,
		refuse: uniform(h.rng, 0.01, 0.05)}
}

// deliver sends a message to a random server, now, and again until the server accepts it.
func (m *mta) deliver() {
	m.attempt(m.h.site.world.randomServer(m.h.rng), 300*second, m.h.site.now+5*day, true)
}

// attempt sends a message to d. If it is deferred, the next attempt follows after wait, up to the
// time giveUp.
func (m *mta) attempt(d destination, wait, giveUp int64, first bool) {
	h := m.h
	r, s := h.rng, h.site
	to := netip.AddrPortFrom(d.addr, 25)
	retry := func() {
		at := s.now + wait
		if at < giveUp && at < h.Until {
			s.begin(at, taskFunc(func() int64 {
				m.attempt(d, min(2*wait, 4000*second), giveUp, false)
				return 0
			}))
		}
	}
	if s.now >= m.down[0] && s.now < m.down[1] {
		h.open(to, false, failedAttempt(r, unanswered))
		retry()
		return
	}
	t := &session{port: 25, to: d, helo: m.name, from: mailbox(r, m.domain),
		rcpts: []string{mailbox(r, d.domain)}, size: int(logUniform(r, 500, 20_000)),
		tls: r.Float64() < m.tls || s.cfg.TLS}
	if first && r.IntN(4) == 0 {
		h.lookup(typeMX, d.domain, d, true)
		h.lookup(typeA, d.name, d, true)
	}
	if m.listed != "" && r.Float64() < m.listedShare {
		t.refuseWith(r, refusal{atRcpt,
			"554 5.7.1 Service unavailable; Client host [IP] blocked using LIST", true}, s.Public,
			m.listed)
	} else if first && r.Float64() < m.refuse {
		n := draw(r, cleanRefusals...)
		t.refuseWith(r, n, s.Public, "") // not readable inside TLS
		if n.text[0] == '4' {
			retry()
		}
	}
	h.open(to, m.listed != "" && h.Infected(), dialogue(r, t))
}

// receive is a session in which an external client brings mail for the server's own domain.
func (m *mta) receive() {
	r, s := m.h.rng, m.h.site
	from := s.world.randomServer(r)
	d := m.destination()
	t := &session{port: 25, to: d, helo: from.name, from: mailbox(r, from.domain),
		rcpts: []string{mailbox(r, m.domain)}, size: int(logUniform(r, 500, 20_000)),
		tls: d.tls && r.Float64() < m.tls}
	switch r.IntN(20) {
	case 0:
		t.refuseWith(r, refusal{atRcpt, "550 5.1.1 <RCPT>: Recipient address rejected: User " +
			"unknown in " +
			"local recipient table", false}, s.Public, "")
	case 1: // a client that tests for an open relay, and is refused
		t.rcpts = []string{mailbox(r, "example.net")}
		t.refuseWith(r, refusal{atRcpt, "554 5.7.1 <RCPT>: Relay access denied", false}, s.Public,
			"")
	}
	m.h.start(netip.AddrPortFrom(from.addr, uint16(1024+r.IntN(60000))),
		netip.AddrPortFrom(m.h.Addr, 25), false, dialogue(r, t))
}

// destination is the server as its clients see it.
func (m *mta) destination() destination {
	return destination{domain: m.domain, name: m.name, addr: m.h.Addr, tls: true,
		rtt: 40 * millisecond}
}

// perDay makes the server send and receive so many messages a day, with a third of the rate at
// night.
func (m *mta) perDay(out, in float64) {
	h := m.h
	pace := func(n float64) func() int64 {
		mean := int64(float64(day) / n)
		return func() int64 {
			wait := exponential(h.rng, mean)
			if of := (h.site.now - Epoch) % day; of < 7*hour || of > 20*hour {
				wait *= 3
			}
			return h.site.now + wait
		}
	}
	if out > 0 {
		h.every(h.From+between(h.rng, 0, hour), pace(out), m.deliver)
	}
	if in > 0 {
		h.every(h.From+between(h.rng, 0, hour), pace(in), m.receive)
	}
}

// declaredHost adds a declared mail server.
func (s *Site) declaredHost(sc *Scenario, n int) *mta {
	h := s.newHost(sc, n, "")
	h.Declared = true
	return h.server(word(h.rng, 3) + ".example")
}

func declaredServer(s *Site, sc *Scenario, n int) {
	m := s.declaredHost(sc, n)
	out := logUniform(m.h.rng, 50, 1500)
	m.h.Kind = fmt.Sprintf("%.0f a day", out)
	m.perDay(out, out/2)
}

func undeclaredServer(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	m := h.server(word(h.rng, 3) + ".com")
	out := logUniform(h.rng, 50, 1500)
	h.Kind = fmt.Sprintf("%.0f a day", out)
	m.perDay(out, out/2)
}

// undeclaredLocal is the server of a small office, or a website that sends its own mail. Its HELO
// name does not exist in the public DNS, as is usual until an administrator sets it [A].
func undeclaredLocal(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	m := h.server(word(r, 3) + ".com")
	m.name = oneOf(r, []string{"server." + word(r, 2) + ".local", "srv01." + word(r, 2) + ".lan",
		"localhost.localdomain", "exchange." + word(r, 2) + ".internal"})
	out := logUniform(r, 3, 300)
	h.Kind = fmt.Sprintf("%s, %.0f a day", m.name, out)
	m.perDay(out, out/4)
}

// newsletter is a bulk sender: 10,000 recipients in a morning.
func newsletter(s *Site, sc *Scenario, n int) {
	m := s.declaredHost(sc, n)
	h := m.h
	h.Role, h.Kind = "bulk", "10,000 recipients"
	r := h.rng
	from := "news@" + m.domain
	left := 10_000
	s.begin(h.From+9*hour+between(r, 0, hour), taskFunc(func() int64 {
		k := min(left, 1+r.IntN(50))
		left -= k
		d := s.world.randomServer(r)
		rcpts := make([]string, k)
		for i := range rcpts {
			rcpts[i] = mailbox(r, d.domain)
		}
		t := &session{port: 25, to: d, helo: m.name, from: from, rcpts: rcpts, size: 8000,
			tls: r.IntN(2) == 0}
		if r.IntN(4) == 0 { // recipients that do not exist any more
			t.refuseWith(r, refusal{atRcpt, "550 5.1.1 <RCPT>: User unknown", false}, s.Public, "")
			t.refusedRcpts = 1 + r.IntN(k)
		}
		h.open(netip.AddrPortFrom(d.addr, 25), false, dialogue(r, t))
		if left == 0 {
			return 0
		}
		return s.now + exponential(r, second/2)
	}))
}

// queueFlush is a server whose uplink has an outage of six hours.
func queueFlush(m *mta) {
	h := m.h
	h.Until = max(h.Until, h.From+day)
	m.down = [2]int64{h.From + 8*hour, h.From + 14*hour}
	out := logUniform(h.rng, 100, 800)
	h.Kind = fmt.Sprintf("%.0f a day", out)
	m.perDay(out, out/2)
}

func flushDeclared(s *Site, sc *Scenario, n int) { queueFlush(s.declaredHost(sc, n)) }

func flushUndeclared(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	queueFlush(h.server(word(h.rng, 3) + ".com"))
}

// calloutServer is a server that verifies senders by callouts: it asks their servers with RCPT and
// sends no message.
func calloutServer(s *Site, sc *Scenario, n int) {
	m := s.declaredHost(sc, n)
	h := m.h
	r := h.rng
	m.perDay(200, 200)
	h.Kind = "call-outs"
	mean := between(r, 20*second, 5*minute)
	h.every(h.From+hour, func() int64 { return s.now + exponential(r, mean) }, func() {
		d := s.world.randomServer(r)
		t := &session{port: 25, to: d, helo: m.name, rcpts: []string{mailbox(r, d.domain)},
			callout: true}
		if r.IntN(3) == 0 {
			t.refuseWith(r, refusal{atRcpt, "550 5.1.1 <RCPT>: User unknown", false}, s.Public, "")
		}
		h.open(netip.AddrPortFrom(d.addr, 25), false, dialogue(r, t))
	})
}

// relayFrom lets external clients relay through the server from a time on: one test message, and
// after 20 minutes many.
func (m *mta) relayFrom(from int64, encrypted bool) {
	h := m.h
	r, s := h.rng, h.site
	left := 200
	client := s.world.singleServer(r.IntN(200_000))
	s.begin(from, taskFunc(func() int64 {
		d := m.destination()
		d.tls = encrypted
		if left < 200 && r.IntN(3) == 0 {
			client = s.world.singleServer(r.IntN(200_000))
		}
		box, rcpt := mailbox(r, word(r, 3)+".com"), s.world.randomServer(r)
		t := &session{port: 25, to: d, helo: word(r, 3), from: box,
			rcpts: []string{mailbox(r, rcpt.domain)}, size: 2000, tls: encrypted, relayed: true}
		steps := dialogue(r, t)
		if encrypted { // the replies are encrypted, so that the last step carries the mark
			steps[len(steps)-1].relayed = true
		}
		c := h.start(netip.AddrPortFrom(client.addr, uint16(1024+r.IntN(60000))),
			netip.AddrPortFrom(h.Addr, 25), false, steps)
		c.onClose = func() {
			s.begin(s.now+between(r, second, 10*second), taskFunc(func() int64 {
				out := &session{port: 25, to: rcpt, helo: m.name, from: box, rcpts: t.rcpts,
					size: 2000, tls: encrypted}
				h.open(netip.AddrPortFrom(rcpt.addr, 25), false, dialogue(r, out))
				return 0
			}))
		}
		if left--; left == 0 {
			return 0
		}
		if left == 199 {
			return s.now + 20*minute
		}
		return s.now + exponential(r, 5*second)
	}))
}

func openRelay(s *Site, sc *Scenario, n int) {
	m := s.declaredHost(sc, n)
	m.tls = 0.5
	m.perDay(300, 300)
	m.relayFrom(m.h.From+4*hour+between(m.h.rng, 0, 8*hour), false)
}

func relayTLS(s *Site, sc *Scenario, n int) {
	m := s.declaredHost(sc, n)
	m.perDay(300, 300)
	m.relayFrom(m.h.From+12*hour+between(m.h.rng, 0, 8*hour), true)
}

// volumeRise makes a server send a multiple of its volume for two hours after three days.
func volumeRise(s *Site, sc *Scenario, n int, times float64) {
	m := s.declaredHost(sc, n)
	h := m.h
	r := h.rng
	h.Until = h.From + 3*day + 13*hour
	out := uniform(r, 300, 700)
	h.Kind = fmt.Sprintf("%.0f a day", out)
	m.perDay(out, out/2)
	start := h.From + 3*day + 10*hour
	mean := int64(float64(day) / out / times)
	s.begin(start, taskFunc(func() int64 {
		h.markBad(s.now)
		mark(&h.Marks.Attempts, s.now)
		m.deliver()
		if s.now > start+2*hour {
			return 0
		}
		return s.now + exponential(r, mean)
	}))
}

func serverTen(s *Site, sc *Scenario, n int)   { volumeRise(s, sc, n, 10) }
func serverFifty(s *Site, sc *Scenario, n int) { volumeRise(s, sc, n, 50) }

// stolenLogin is an account of a server that is used from many networks: 132 in a report of users
// [V].
func stolenLogin(s *Site, sc *Scenario, n int) {
	m := s.declaredHost(sc, n)
	h := m.h
	r := h.rng
	h.Until = max(h.Until, h.From+day)
	m.perDay(300, 300)
	networks := 40 + r.IntN(93)
	encrypted := s.cfg.TLS || r.IntN(2) == 0
	h.Kind = fmt.Sprintf("%d networks, TLS %t", networks, encrypted)
	staff := make([]destination, 10) // networks of people who travel
	for i := range staff {
		staff[i] = s.world.singleServer(r.IntN(200_000))
	}
	login := func(from destination) {
		d := m.destination()
		d.tls = encrypted
		t := &session{port: 587, to: d, helo: "[192.168.1.7]", from: "anna@" + m.domain,
			rcpts: []string{mailbox(r, "example.org")}, size: 2000, tls: encrypted, auth: true}
		h.start(netip.AddrPortFrom(from.addr, uint16(1024+r.IntN(60000))),
			netip.AddrPortFrom(h.Addr, 587), false, dialogue(r, t))
	}
	h.every(h.From+hour, func() int64 { return s.now + exponential(r, 20*minute) },
		func() { login(oneOf(r, staff)) })
	i := 0
	s.begin(h.From+12*hour+between(r, 0, 6*hour), taskFunc(func() int64 {
		h.markBad(s.now)
		mark(&h.Marks.Attempts, s.now)
		login(s.world.singleServer(r.IntN(200_000)))
		m.deliver()
		if i++; i == networks*3 {
			return 0
		}
		return s.now + exponential(r, 30*second)
	}))
}

// listedServer is a clean server whose public address is on a blocklist from a time on. It is not
// infected, but the administrator must know.
func listedServer(s *Site, sc *Scenario, n int) {
	m := s.declaredHost(sc, n)
	h := m.h
	out := logUniform(h.rng, 100, 800)
	m.perDay(out, out/2)
	blocklist := randomBlocklist(h.rng)
	h.Kind = blocklist
	h.MustName = blocklist
	s.begin(h.From+6*hour+between(h.rng, 0, 6*hour), taskFunc(func() int64 {
		m.listed, m.listedShare = blocklist, 0.3
		return 0
	}))
}

// undeclaredListed is an undeclared server whose public address is on a blocklist from a time on.
// It has worked for hours before, because a server that is listed from its first packet on, and has
// not yet accepted mail, looks like a bot with a proper HELO name.
func undeclaredListed(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	m := h.server(word(h.rng, 3) + ".com")
	out := logUniform(h.rng, 100, 1500)
	m.perDay(out, out/2)
	blocklist, share := randomBlocklist(h.rng), uniform(h.rng, 0.1, 0.9)
	h.Kind = fmt.Sprintf("%.0f a day, %.0f %% refused, %s", out, 100*share, blocklist)
	s.begin(h.From+6*hour+between(h.rng, 0, 6*hour), taskFunc(func() int64 {
		m.listed, m.listedShare = blocklist, share
		return 0
	}))
}
