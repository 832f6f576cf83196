package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
)

// The scenarios of hosts that a device on the way out does not let through: a firewall that
// rejects, a proxy that completes handshakes and passes nothing on. And those of hosts that look
// for servers. Rates and shares are assumptions [A] throughout.

// rejection draws how a firewall rejects. Linux does not repeat a SYN that was rejected.
func rejection(r *rand.Rand) (kind string, steps func() []step) {
	icmp := r.IntN(2) == 0
	kind = map[bool]string{true: "ICMP", false: "RST"}[icmp]
	return kind, func() []step {
		answer := step{wait: between(r, 200*microsecond, 3*millisecond), server: true}
		if answer.icmp = icmp; !icmp {
			answer.flags = RST | ACK
		}
		return []step{{flags: SYN}, answer}
	}
}

// rejectedBot tries one server after the other, one in one to five minutes. The mirror port sees
// its lookups.
func rejectedBot(s *Site, sc *Scenario, n int) {
	s.DNS = true
	rejectedAttempts(s, sc, n, true)
}

// rejectedUnnamed is the same bot without lookups: nobody can tell its SYNs from forged ones.
func rejectedUnnamed(s *Site, sc *Scenario, n int) { rejectedAttempts(s, sc, n, false) }

func rejectedAttempts(s *Site, sc *Scenario, n int, named bool) {
	h := s.newHost(sc, n, "")
	r := h.rng
	h.ipv6 = r.IntN(3) == 0
	how, steps := rejection(r)
	perSecond := 1 / uniform(r, 60, 300)
	h.Kind = fmt.Sprintf("%s, one in %.0f s", how, 1/perSecond)
	b := h.newBot()
	pace := poisson(r, perSecond)
	var next destination // looked up, and not tried yet
	s.begin(h.From+between(r, 0, 2*hour), taskFunc(func() int64 {
		if next.addr.IsValid() {
			h.open(netip.AddrPortFrom(next.addr, 25), true, steps())
			next = destination{}
		} else if d := b.to(); named {
			h.lookup(typeA, d.name, d, true)
			next = d
			return s.now + 50*millisecond // the answer has come
		} else {
			h.open(netip.AddrPortFrom(d.addr, 25), true, steps())
		}
		if s.now >= h.Until {
			return 0
		}
		return s.now + pace()
	}))
	b.attemptsLeft = 0
}

// rejectedSetup is a mail client that guesses the servers of an account behind such a firewall.
func rejectedSetup(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	how, steps := rejection(r)
	h.Kind = how
	h.officeUser()
	s.begin(h.From+9*hour+between(r, 0, 6*hour), taskFunc(func() int64 {
		d := s.world.singleServer(r.IntN(200_000))
		for i, first := range []string{"smtp.", "mail.", "mx.", ""} {
			to := d
			if i > 0 {
				to = s.world.singleServer(r.IntN(200_000))
			}
			h.lookup(typeA, first+d.domain, to, true)
			for _, port := range []uint16{587, 465, 25} {
				h.open(netip.AddrPortFrom(to.addr, port), false, steps())
			}
		}
		return 0
	}))
}

// rejectedProbe is a monitoring system whose two to five servers all are behind such a firewall.
func rejectedProbe(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	h.Role = "probe"
	r := h.rng
	how, steps := rejection(r)
	servers := make([]destination, 2+r.IntN(4))
	for i := range servers {
		servers[i] = s.world.singleServer(r.IntN(200_000))
	}
	h.Kind = fmt.Sprintf("%s, %d servers", how, len(servers))
	period := oneOf(r, []int64{minute, 5 * minute})
	h.every(h.From+between(r, 0, hour), func() int64 { return s.now + period }, func() {
		for _, d := range servers {
			h.open(netip.AddrPortFrom(d.addr, 25), false, steps())
		}
	})
}

// rejectedServer is a mail server that nobody declared. After some hours its provider begins to
// reject port 25: the server comes back to each destination, as Postfix does.
func rejectedServer(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	m := h.server(word(r, 3) + ".com")
	how, steps := rejection(r)
	out := logUniform(r, 20, 200)
	from := h.From + between(r, 6*hour, 12*hour)
	h.Kind = fmt.Sprintf("%s, %.0f a day", how, out)
	var attempt func(d destination, wait int64)
	attempt = func(d destination, wait int64) {
		h.open(netip.AddrPortFrom(d.addr, 25), false, steps())
		s.begin(s.now+wait, taskFunc(func() int64 {
			if s.now < h.Until {
				attempt(d, min(2*wait, 4000*second))
			}
			return 0
		}))
	}
	mean := int64(float64(day) / out)
	h.every(h.From+between(r, 0, hour), func() int64 { return s.now + exponential(r, mean) },
		func() {
			if s.now < from {
				m.deliver()
				return
			}
			attempt(s.world.randomServer(r), 300*second)
		})
}

// unheard is a connection that a proxy completes, and on which nobody says a word. The client waits
// and leaves.
func unheard(r *rand.Rand, patience int64) []step {
	c := &script{rng: r, rtt: millisecond}
	c.handshake()
	c.add(false, patience, FIN|ACK, nil)
	c.add(true, millisecond, FIN|ACK, nil)
	c.add(false, millisecond, ACK, nil)
	return c.steps
}

// unheardBot is a bot behind such a proxy, two to thirty attempts a minute.
func unheardBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	perSecond := logUniform(r, 4./60, 0.5)
	patience := between(r, 5*second, 60*second)
	h.Kind = fmt.Sprintf("%.2f/s, waits %d s", perSecond, patience/second)
	b := h.newBot()
	pace, ask, left := poisson(r, perSecond), b.lookups, campaignLength
	s.begin(h.From+between(r, 0, 2*hour), taskFunc(func() int64 {
		d := b.to()
		if ask != nil {
			ask(d)
		}
		h.open(netip.AddrPortFrom(d.addr, 25), true, unheard(r, patience))
		if left--; left == 0 || s.now >= h.Until {
			return 0
		}
		return s.now + pace()
	}))
	b.attemptsLeft = 0
}

// sweep tries port 25 of all addresses of one to three networks, in order or at random, most of
// which are closed or dead.
func (h *Host) sweep(nets [][3]byte) {
	s, r := h.site, h.rng
	h.Role = "scanner"
	var list []netip.Addr
	for _, net := range nets {
		for last := 1; last < 255; last++ {
			list = append(list, addrIn(net, last))
		}
	}
	if r.IntN(2) == 0 {
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	gap := int64(logUniform(r, float64(millisecond), float64(2*second)))
	closed := r.IntN(2) == 0
	h.Kind = fmt.Sprintf("%d networks, one in %d ms, closed %v", len(nets), gap/millisecond, closed)
	s.begin(h.From+between(r, 0, 8*hour), taskFunc(func() int64 {
		to := netip.AddrPortFrom(list[0], 25)
		list = list[1:]
		steps := []step{{flags: SYN}}
		if closed {
			steps = append(steps, step{wait: millisecond, server: true, flags: RST | ACK})
		}
		h.open(to, true, steps)
		if len(list) == 0 {
			return 0
		}
		return s.now + gap
	}))
}

func sweepInside(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	b := s.lan.As4()
	h.sweep([][3]byte{{b[0], b[1], byte(100 + n%100)}})
}

func sweepOutside(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	nets := make([][3]byte, 1+h.rng.IntN(3))
	for i := range nets {
		nets[i] = randomNetwork(h.rng)
	}
	h.sweep(nets)
}
