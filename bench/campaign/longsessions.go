package campaign

import (
	"fmt"
	"net/netip"
)

// The scenarios of hosts that send many mails on one connection, and of servers that are refused
// for reasons that repeat themselves. Shares and numbers are assumptions [A] throughout.

// long is a session with several transactions. resets says that the client sends RSET after each.
func (h *Host) long(d destination, helo string, resets bool, mails []*session) []step {
	c := &script{rng: h.rng, rtt: max(d.rtt, 5*millisecond)}
	first := &session{port: 25, to: d, helo: helo}
	soft := &software[d.software]
	c.handshake()
	c.reply(fmt.Sprintf(soft.banner, d.name))
	c.client(greeting(first))
	c.reply(ehloReply(first, soft.pipelining, false))
	for _, t := range mails {
		t.to, t.port = d, 25
		if soft.pipelining && len(t.rcpts) > 1 {
			c.pipelined(t)
		} else {
			c.transaction(t)
		}
		if resets || t.refusePhase != noRefusal {
			c.client("RSET")
			c.reply("250 2.0.0 Ok")
		}
	}
	return c.quit(first)
}

// oneConnectionBot sends 60 to 200 mails on each of one to five connections to as many relays. Its
// senders have many domains; or one, and then it says a bare name, and most of its mails are spam
// to the relay.
func oneConnectionBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	relays, many, resets := 1+r.IntN(5), r.IntN(3) > 0, r.IntN(2) == 0
	unknown, spam := uniform(r, 0.3, 0.6), uniform(r, 0.3, 0.6)
	rcpts := oneOf(r, []int{1, 2, 20})
	if !many {
		spam = uniform(r, 0.6, 0.9)
	}
	_, helo := heloStyle(r, s.Public)
	name, one := helo(), word(r, 3)+".com"
	if !many {
		name = word(r, 2)
	}
	h.Kind = fmt.Sprintf("%d relays, many domains %v, %d recipients", relays, many, rcpts)
	for i := range relays {
		d := s.world.singleServer(r.IntN(200_000))
		var mails []*session
		for range 60 + r.IntN(140) {
			from := one
			if many {
				from = word(r, 3) + ".com"
			}
			t := &session{from: mailbox(r, from), size: 1000}
			for range rcpts {
				t.rcpts = append(t.rcpts, mailbox(r, word(r, 3)+".com"))
			}
			switch x := r.Float64(); {
			case x < spam:
				t.refuseWith(r, refusal{atData, "554 5.7.1 Message rejected as spam", false},
					s.Public, "")
			case x < spam+unknown:
				t.refuseWith(r, refusal{atRcpt, "550 5.1.1 <RCPT>: User unknown", false}, s.Public,
					"")
				t.refusedRcpts = 1 + r.IntN(rcpts)
			}
			mails = append(mails, t)
		}
		s.begin(h.From+hour+int64(i)*between(r, second, 10*minute), taskFunc(func() int64 {
			h.open(netip.AddrPortFrom(d.addr, 25), true, h.long(d, name, resets, mails))
			return 0
		}))
	}
}

// longServer makes a host an undeclared mail server with a session of so many mails to one server
// now and then. plan draws each mail.
func (h *Host) longServer(perDay float64, mails func(d destination) []*session) {
	r, s := h.rng, h.site
	name := h.server(word(r, 3) + ".com").name
	mean := int64(float64(day) / perDay)
	h.every(h.From+between(r, 0, hour), func() int64 { return s.now + exponential(r, mean) },
		func() {
			d := s.world.randomServer(r)
			h.open(netip.AddrPortFrom(d.addr, 25), false, h.long(d, name, false, mails(d)))
		})
}

// listServer is a mailing list with 30 % dead recipients, each list on one connection.
func listServer(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "30 % dead")
	r := h.rng
	h.longServer(uniform(r, 5, 30), func(d destination) (list []*session) {
		for range 10 + r.IntN(60) {
			t := &session{from: "list-bounces@" + h.Domain, size: 3000}
			for range 10 {
				t.rcpts = append(t.rcpts, mailbox(r, d.domain))
			}
			t.refuseWith(r, refusal{atRcpt, "550 5.1.1 <RCPT>: User unknown", false}, s.Public, "")
			t.refusedRcpts = 3
			list = append(list, t)
		}
		return list
	})
}

// cachingServer delivers up to 100 mails on one connection, as Postfix with its connection cache
// does.
func cachingServer(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "100 mails on a connection")
	r := h.rng
	h.longServer(uniform(r, 20, 100), func(d destination) (list []*session) {
		for range 1 + r.IntN(100) {
			t := &session{from: mailbox(r, h.Domain), rcpts: []string{mailbox(r, d.domain)},
				size: 3000}
			if r.IntN(50) == 0 {
				t.refuseWith(r, draw(r, cleanRefusals...), s.Public, "")
			}
			list = append(list, t)
		}
		return list
	})
}

// greylistedServer is a small server half of whose destinations greylist: all its recipients are
// deferred at first, and DATA after them is refused where commands are sent together.
func greylistedServer(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	name := h.server(word(r, 3) + ".com").name
	perDay := uniform(r, 50, 300)
	reply := oneOf(r, []string{"450 4.2.0 <RCPT>: Recipient address rejected: Greylisted",
		"451 4.7.1 Please try again later", "450 4.3.2 Service currently unavailable",
		"451 Temporarily deferred, come back in 300 seconds"})
	h.Kind = fmt.Sprintf("%.0f a day, %s", perDay, reply[:9])
	mean := int64(float64(day) / perDay)
	h.every(h.From+between(r, 0, hour), func() int64 { return s.now + exponential(r, mean) },
		func() {
			d := s.world.randomServer(r)
			d.software = 0
			waits, from := []int64{0}, mailbox(r, h.Domain)
			if r.IntN(2) == 0 {
				waits = []int64{0, 5 * minute, 15 * minute}
			}
			rcpts := []string{mailbox(r, d.domain), mailbox(r, d.domain)}
			for i, wait := range waits {
				t := &session{from: from, rcpts: rcpts[:1+r.IntN(2)], size: 3000}
				if i < len(waits)-1 {
					t.refuseWith(r, refusal{atRcpt, reply, false}, s.Public, "")
				}
				s.begin(s.now+wait, taskFunc(func() int64 {
					h.open(netip.AddrPortFrom(d.addr, 25), false,
						h.long(d, name, false, []*session{t}))
					return 0
				}))
			}
		})
}

// dislikedServer is a server of which one large provider takes no mail.
func dislikedServer(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	provider, share := r.IntN(len(s.world.farms)), uniform(r, 0.1, 0.4)
	reply := oneOf(r, []string{"550 5.7.1 Access denied", "554 5.7.1 Client host rejected",
		"550 5.7.1 Email blocked, contact your provider",
		"421 4.7.0 Not accepted from your address"})
	name := h.server(word(r, 3) + ".com").name
	h.Kind = fmt.Sprintf("%.0f %% refused", 100*share)
	mean := int64(float64(day) / uniform(r, 30, 300))
	h.every(h.From+between(r, 0, hour), func() int64 { return s.now + exponential(r, mean) },
		func() {
			d := s.world.randomServer(r)
			t := &session{from: mailbox(r, h.Domain), size: 3000}
			if r.Float64() < share {
				d = s.world.farmServer(r, provider)
				t.refuseWith(r, refusal{atMail, reply, false}, s.Public, "")
			}
			t.rcpts = []string{mailbox(r, d.domain)}
			h.open(netip.AddrPortFrom(d.addr, 25), false, h.long(d, name, false, []*session{t}))
		})
}
