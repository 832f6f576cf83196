package campaign

import (
	"fmt"
	"net/netip"
)

// The scenarios of clean hosts. The number of mails that people send, and the times, are
// assumptions [A] throughout. The design gives two figures: a mail client has one to three
// accounts, and a clean host contacts up to 0.5 new networks a day.

// nextInWorkingHours is the next time in working hours after a pause with this mean: 8 to 18 h,
// Monday to Friday. One in ten falls outside working hours.
func (h *Host) nextInWorkingHours(mean int64) int64 {
	at := h.site.now
	for {
		at += exponential(h.rng, mean)
		t := at - Epoch
		if of := t % day; t/day%7 < 5 && of >= 8*hour && of < 18*hour {
			return at
		}
		if h.rng.IntN(10) == 0 {
			return at
		}
		if of := t % day; of < 8*hour {
			at += 8*hour - of
		} else {
			at += day + 8*hour - of
		}
	}
}

// every calls do at the time first and then at each time that next returns, until the end of the
// host's life.
func (h *Host) every(first int64, next func() int64, do func()) {
	h.site.begin(first, taskFunc(func() int64 {
		if h.site.now >= h.Until {
			return 0
		}
		if h.site.now >= first {
			do()
		}
		return next()
	}))
}

// account is an account for mail submission.
type account struct {
	provider int
	port     uint16
	box      string
}

// accounts draws one to three accounts.
func (h *Host) accounts() (list []account) {
	r := h.rng
	for range 1 + r.IntN(3) {
		a := account{provider: r.IntN(12),
			port: draw(r, share[uint16]{0.7, 587}, share[uint16]{0.3, 465})}
		a.box = mailbox(r, h.site.world.submissionServer(a.provider, 0).domain)
		list = append(list, a)
	}
	return list
}

// submit sends a mail with an account. The client's HELO name is its own address.
func (h *Host) submit(a account, address string) {
	r := h.rng
	d := h.site.world.submissionServer(a.provider, r.IntN(20))
	if r.IntN(4) == 0 {
		h.lookup(typeA, d.name, d, true)
	}
	t := &session{port: a.port, to: d, helo: "[" + address + "]", from: a.box,
		rcpts: []string{mailbox(r, "example.com")}, size: int(logUniform(r, 500, 50_000)),
		tls: true, auth: true}
	h.open(netip.AddrPortFrom(d.addr, a.port), false, dialogue(r, t))
}

// officeUser makes a host send mail as people do at work.
func (h *Host) officeUser() {
	r := h.rng
	list := h.accounts()
	perDay := uniform(r, 3, 30)
	mean := int64(10 * float64(hour) / perDay)
	next := func() int64 { return h.nextInWorkingHours(mean) }
	h.every(h.From+between(r, 0, 10*hour), next,
		func() { h.submit(oneOf(r, list), h.Addr.String()) })
	// New networks: 0 to 0.5 a day.
	rate := uniform(r, 0, 0.5)
	mean2 := int64(float64(day) / rate)
	h.every(h.From+exponential(r, mean2), func() int64 {
		return h.site.now + exponential(r, mean2)
	}, func() {
		d := h.site.world.singleServer(r.IntN(200_000))
		d.tls = true
		t := &session{port: 587, to: d, helo: "[" + h.Addr.String() + "]", from: list[0].box,
			rcpts: []string{mailbox(r, d.domain)}, size: 2000, tls: true, auth: true}
		h.open(netip.AddrPortFrom(d.addr, 587), false, dialogue(r, t))
	})
}

func workstation(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "office")
	h.officeUser()
}

func mobile(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "telephone")
	h.Role, h.ttl = "mobile", 64
	r := h.rng
	list := h.accounts()
	mean := int64(float64(day) / uniform(r, 3, 20))
	h.every(h.From+exponential(r, mean), func() int64 { return h.site.now + exponential(r, mean) },
		func() {
			if r.IntN(10) == 0 { // the telephone has no network at the moment
				d := s.world.submissionServer(list[0].provider, r.IntN(20))
				h.open(netip.AddrPortFrom(d.addr, list[0].port), false,
					failedAttempt(r, unanswered))
				return
			}
			h.submit(oneOf(r, list), h.Addr.String())
		})
}

// natUsers makes a host the address of many people: a NAT gateway or a VPN pool.
func (h *Host) natUsers(people int) {
	r := h.rng
	for range people {
		list := h.accounts()
		for i := range list { // people at home use more providers than an office
			list[i].provider = r.IntN(60)
		}
		ttl := oneOf(r, []uint8{63, 127, 63, 127, 254})
		address := fmt.Sprintf("192.168.%d.%d", r.IntN(4), 2+r.IntN(250))
		mean := int64(10 * float64(hour) / uniform(r, 2, 15))
		h.every(h.From+between(r, 0, 10*hour), func() int64 {
			return h.nextInWorkingHours(mean)
		}, func() {
			h.ttl = ttl
			h.submit(oneOf(r, list), address)
		})
	}
}

func natPool(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "30 people")
	h.Role = "nat"
	h.natUsers(30)
}

func scannerInside(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "sweep")
	h.Role = "scanner"
	r := h.rng
	net := s.lan.As4()
	ports := []uint16{21, 22, 23, 25, 80, 110, 139, 143, 443, 445, 465, 587, 993, 2525, 3306, 3389,
		8080}
	i := 0
	start := h.From + between(r, 0, 8*hour)
	gap := between(r, 200*microsecond, 5*millisecond)
	s.begin(start, taskFunc(func() int64 {
		host, port := i/len(ports), ports[i%len(ports)]
		if i++; host >= 250 {
			return 0
		}
		net[2], net[3] = byte(2+n%50), byte(1+host)
		to := netip.AddrPortFrom(netip.AddrFrom4(net), port)
		h.open(to, false, oneOf(r,
			[][]step{{{flags: SYN}},
				{{flags: SYN}, {wait: millisecond, server: true, flags: RST | ACK}}}))
		return s.now + gap
	}))
}

func scannerOutside(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "audit")
	h.Role = "scanner"
	r := h.rng
	nets := [][3]byte{randomNetwork(r), randomNetwork(r), randomNetwork(r)}
	ports := []uint16{21, 22, 23, 25, 53, 80, 110, 143, 443, 465, 587, 993, 995, 2525, 3306, 3389,
		5432, 8080, 8443}
	i := 0
	gap := between(r, millisecond, 50*millisecond)
	s.begin(h.From+between(r, 0, 8*hour), taskFunc(func() int64 {
		host, port := i/len(ports), ports[i%len(ports)]
		if i++; host >= 40 {
			return 0
		}
		to := netip.AddrPortFrom(addrIn(nets[host%3], 10+host), port)
		if port == 25 && s.Egress != Open {
			h.open(to, false, failedAttempt(r, s.Egress.blocked()))
		} else {
			h.open(to, false, oneOf(r,
				[][]step{{{flags: SYN}},
					{{flags: SYN}, {wait: 20 * millisecond, server: true, flags: RST | ACK}}}))
		}
		return s.now + gap
	}))
}

func probe(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	h.Role = "probe"
	r := h.rng
	servers := make([]destination, 1+r.IntN(5))
	for i := range servers {
		servers[i] = s.world.singleServer(r.IntN(200_000))
	}
	h.Kind = fmt.Sprintf("%d servers", len(servers))
	period := oneOf(r, []int64{minute, 5 * minute})
	port := oneOf(r, []uint16{25, 587})
	ehlo := r.IntN(2) == 0
	h.every(h.From+between(r, 0, hour), func() int64 {
		return s.now + period + between(r, 0, period/50) - period/100
	}, func() {
		for _, d := range servers {
			t := &session{port: port, to: d, helo: "monitor." + word(r, 1) + ".local",
				bannerOnly: true}
			if ehlo {
				t.bannerOnly, t.callout = false, true
				t.from = "probe@example.com"
				t.helo = "monitor.example.com"
				steps := dialogue(r, &session{port: port, to: d, helo: t.helo, refusePhase: atHelo,
					reply: ehloReply(t, true, false)})
				h.open(netip.AddrPortFrom(d.addr, port), false, steps)
				continue
			}
			h.open(netip.AddrPortFrom(d.addr, port), false, dialogue(r, t))
		}
	})
}

func printer(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "printer")
	h.Role, h.ttl = "printer", 64
	r := h.rng
	d := s.world.submissionServer(r.IntN(12), 0)
	d.tls = r.IntN(2) == 0
	port := oneOf(r, []uint16{25, 587})
	name := fmt.Sprintf("BRN%06X", r.IntN(1<<24))
	mean := int64(10 * float64(hour) / uniform(r, 1, 30))
	h.every(h.From+between(r, 0, 10*hour), func() int64 {
		return h.nextInWorkingHours(mean)
	}, func() {
		t := &session{port: port, to: d, helo: name, from: "scanner@" + d.domain,
			rcpts: []string{mailbox(r, d.domain)}, size: 60_000, tls: d.tls, auth: port == 587}
		h.open(netip.AddrPortFrom(d.addr, port), false, dialogue(r, t))
	})
}

func backupReports(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "reports")
	h.Role = "server"
	r := h.rng
	d := s.world.submissionServer(r.IntN(12), 1)
	port := oneOf(r, []uint16{25, 587})
	name := "backup." + word(r, 2) + ".com"
	night := between(r, hour, 4*hour)
	h.every(h.From+night, func() int64 { return s.now + day }, func() {
		for i := range 20 + r.IntN(41) {
			s.begin(s.now+int64(i)*between(r, second, 4*second), taskFunc(func() int64 {
				t := &session{port: port, to: d, helo: name, from: "root@" + name,
					rcpts: []string{"admin@" + d.domain}, size: 3000, tls: r.IntN(2) == 0,
					auth: port == 587}
				h.open(netip.AddrPortFrom(d.addr, port), false, dialogue(r, t))
				return 0
			}))
		}
	})
}

func connectionPool(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "40 at a time")
	h.Role = "server"
	r := h.rng
	p := r.IntN(12)
	port := oneOf(r, []uint16{587, 587, 465, 25})
	name := "app." + word(r, 2) + ".com"
	h.every(h.From+9*hour+between(r, 0, hour), func() int64 { return s.now + 6*hour }, func() {
		for range 40 {
			s.begin(s.now+between(r, 0, 500*millisecond), taskFunc(func() int64 {
				d := s.world.submissionServer(p, 2)
				t := &session{port: port, to: d, helo: name, from: "noreply@" + name,
					rcpts: []string{mailbox(r, "example.org")}, size: 3000, tls: true,
					auth: port != 25, thinkTime: 300 * millisecond}
				h.open(netip.AddrPortFrom(d.addr, port), false, dialogue(r, t))
				return 0
			}))
		}
	})
}

func dhcpHeir(s *Site, sc *Scenario, n int) {
	before := s.newHost(dhcpBot, n, "until 6:00")
	before.Until = before.From + 6*hour
	b := before.newBot()
	b.pace = poisson(before.rng, logUniform(before.rng, 0.1, 2))
	h := s.newHost(sc, n, "heir")
	h.Addr = before.Addr
	h.From = before.Until + 10*minute
	h.Until = max(h.Until, h.From+12*hour)
	h.officeUser()
}

func fiveMX(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "one mail")
	h.Role = "server"
	r := h.rng
	var mx []destination
	for range 5 {
		mx = append(mx, s.world.singleServer(r.IntN(200_000)))
	}
	name := "web." + word(r, 2) + ".com"
	start := h.From + between(r, 0, 6*hour)
	tries, i := 0, 0
	// Each server has 30 s to answer; the next round begins after half an hour (RFC 5321, 4.5.4.1).
	s.begin(start, taskFunc(func() int64 {
		d := mx[i]
		last := i == len(mx)-1
		if i = (i + 1) % len(mx); last {
			tries++
		}
		to := netip.AddrPortFrom(d.addr, 25)
		switch {
		case tries < 4 || !last:
			h.open(to, false, failedAttempt(r, unanswered))
		default:
			t := &session{port: 25, to: d, helo: name, from: "www@" + name,
				rcpts: []string{mailbox(r, d.domain)}, size: 2000}
			h.open(to, false, dialogue(r, t))
			return 0
		}
		if last {
			return s.now + 30*minute
		}
		return s.now + 30*second
	}))
}

func accountSetup(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "set-up")
	r := h.rng
	h.officeUser()
	s.begin(h.From+9*hour+between(r, 0, 6*hour), taskFunc(func() int64 {
		for range 1 + r.IntN(2) { // one or two accounts
			d := s.world.singleServer(r.IntN(200_000))
			h.lookup(typeMX, d.domain, d, true)
			for i, first := range []string{"smtp.", "mail.", "mx."} {
				other := d
				if i == 2 {
					other = s.world.singleServer(r.IntN(200_000))
				}
				h.lookup(typeA, first+d.domain, other, i < 2)
				for _, port := range []uint16{587, 465, 25} {
					if i == 1 && port == 587 {
						t := &session{port: port, to: d, helo: "[" + h.Addr.String() + "]",
							refusePhase: atHelo, reply: "250-" + d.name +
								"\r\n250-STARTTLS\r\n250 AUTH PLAIN"}
						h.open(netip.AddrPortFrom(d.addr, port), false, dialogue(r, t))
						continue
					}
					f := refused
					if port == 25 && s.Egress != Open {
						f = s.Egress.blocked()
					}
					h.open(netip.AddrPortFrom(other.addr, port), false, failedAttempt(r, f))
				}
			}
		}
		return 0
	}))
}

// privacy is a workstation with a new IPv6 address every day (RFC 8981): one Host for each day, all
// with the same MAC.
func privacy(s *Site, sc *Scenario, n int) {
	days := int(max(1, s.cfg.Days))
	var mac [6]byte
	var list []account
	for d := range days {
		h := s.newHost(sc, n*1000+d, "IPv6")
		if d == 0 {
			mac = h.MAC
			list = h.accounts()
		}
		h.MAC = mac
		r := h.rng
		h.From, h.Until = Epoch+int64(d)*day, Epoch+int64(d+1)*day
		mean := int64(10 * float64(hour) / uniform(r, 5, 20))
		h.every(h.From+between(r, 0, 10*hour), func() int64 {
			return h.nextInWorkingHours(mean)
		}, func() { h.submit(oneOf(r, list), h.Addr.String()) })
		h.ipv6 = true
	}
}

func developer(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "localhost")
	r := h.rng
	h.officeUser()
	h.every(h.From+9*hour, func() int64 { return h.nextInWorkingHours(20 * minute) }, func() {
		d := s.ownServer()
		t := &session{port: 25, to: d,
			helo: oneOf(r, []string{"localhost", "localhost.localdomain", "dev"}),
			from: "test@localhost", rcpts: []string{"me@" + d.domain}, size: 500}
		h.open(netip.AddrPortFrom(d.addr, 25), false, dialogue(r, t))
	})
}

// ownServer is the site's own mail server, which accepts mail from all internal hosts.
func (s *Site) ownServer() destination {
	b := s.lan.As4()
	b[3] = 25
	return destination{domain: "corp.example", name: "mail.corp.example", addr: netip.AddrFrom4(b),
		rtt: 5 * millisecond}
}
