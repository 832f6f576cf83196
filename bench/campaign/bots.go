package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
)

// spammer is a program that sends: when, to whom, on which port, with what success.
type spammer struct {
	h    *Host
	left int   // attempts until the campaign is over
	ttl  uint8 // of its packets
	pace func() int64
	to   func() dest
	port func() uint16
	fate func(d dest, port uint16) fate
	talk func(d dest, port uint16) *talk
	ask  func(d dest) // what it looks up before
}

// campaignLength bounds the attempts of one bot. The real number, 23,000 messages per bot (1.5 M
// messages of 65 bots [V]), would tell no more: whoever is not found by the 600th is not found.
const campaignLength = 600

func (b *spammer) step() int64 {
	h := b.h
	if b.left == 0 || h.site.now >= h.Until {
		return 0
	}
	b.left--
	h.ttl = b.ttl // behind NAT others have another
	d, port := b.to(), b.port()
	if b.ask != nil {
		b.ask(d)
	}
	to := netip.AddrPortFrom(d.addr, port)
	f := answered
	if port == 25 && h.site.Egress != Open {
		f = h.site.Egress.blocked()
	} else if b.fate != nil {
		f = b.fate(d, port)
	}
	if f != answered {
		h.open(to, true, knock(h.rng, f))
	} else {
		t := b.talk(d, port)
		if h.site.cfg.TLS { // the variant in which everybody does
			t.tls, t.old, t.to.tls = true, false, true
		}
		h.open(to, true, dialogue(h.rng, t))
	}
	return h.site.now + b.pace()
}

// spam makes a bot that begins within the first two hours.
func (h *Host) spam() *spammer { return h.spamFrom(h.From + between(h.rng, 0, 2*hour)) }

// refuse has servers refuse a share of the sessions with one of these replies, and no others. on is
// the blocklist that they name.
func (b *spammer) refuse(share float64, on string, replies ...no) {
	r, public, say := b.h.rng, b.h.site.Public, b.talk
	b.talk = func(d dest, port uint16) *talk {
		t := say(d, port)
		if t.refuse = never; r.Float64() < share {
			t.refused(r, oneOf(r, replies), public, on)
		}
		return t
	}
}

// spamFrom makes a bot that begins at a time. Whatever is not drawn here is the caller's to set.
func (h *Host) spamFrom(at int64) *spammer {
	s, r := h.site, h.rng
	b := &spammer{h: h, left: campaignLength, ttl: h.ttl}
	b.to = func() dest { return s.world.anywhere(r) }
	b.port = func() uint16 { return 25 }
	b.fate = func(dest, uint16) fate { // of port 25 without a firewall: nine of ten answer [A]
		return draw(r, share[fate]{0.9, answered}, share[fate]{0.06, silent},
			share[fate]{0.04, refused})
	}
	b.talk = h.speech(mailRefusals)
	switch r.IntN(3) {
	case 0:
		b.ask = h.asksMX
	case 1:
		b.ask = h.asksNames
	}
	h.site.begin(at, b)
	return b
}

// asksMX looks up the MX of every domain, as a mail server does; asksNames the addresses of mail.X
// and smtp.X, as Emotet did: no MX query for 687 names, of which 158 began with mail. and 136 with
// smtp. [M]
func (h *Host) asksMX(d dest) {
	h.lookup(typeMX, d.domain, d, true)
	h.lookup(typeA, d.name, d, true)
}

func (h *Host) asksNames(d dest) {
	h.lookup(typeA, oneOf(h.rng, []string{"mail.", "smtp."})+d.domain, d, h.rng.IntN(3) > 0)
}

// speech is how a bot talks: one style for its whole life.
//
// Ground: Emotet refused in 12 of the first 13 sessions; other bots 20 to 60 % (unverified); 20
// senders and 108 recipients; HELO nine times, EHLO three times; MAIL FROM: with a space [M].
func (h *Host) speech(texts []share[no]) func(d dest, port uint16) *talk {
	r := h.rng
	kind, name := heloStyle(r, h.site.Public)
	rejects := 0.92
	if r.IntN(2) == 0 {
		rejects = uniform(r, 0.2, 0.6)
	}
	old, loose, abrupt, early, messy := r.Float64() < 0.6, r.IntN(2) == 0, r.IntN(2) == 0,
		r.IntN(8) == 0, r.IntN(4) == 0
	senders := make([]string, 20)
	for i := range senders {
		senders[i] = mailbox(r, word(r, 3)+"."+oneOf(r, tops))
	}
	blocklist := list(r)
	rest, _, _ := strings.Cut(h.Kind, "; helo") // what an earlier draw was
	h.Kind = fmt.Sprintf("%s; helo %s; %.0f %% refused", rest, kind, 100*rejects)
	return func(d dest, port uint16) *talk {
		t := &talk{port: port, to: d, helo: name(), old: old, loose: loose, abrupt: abrupt,
			early: early && port == 25, messy: messy,
			from: oneOf(r, senders), rcpts: []string{mailbox(r, d.domain)},
			size: 300 + r.IntN(4000)}
		if r.Float64() < rejects {
			t.refused(r, draw(r, texts...), h.site.Public, blocklist)
		}
		return t
	}
}

// The ways to space attempts.

func poisson(r *rand.Rand, perSecond float64) func() int64 {
	mean := int64(float64(second) / perSecond)
	return func() int64 { return exponential(r, mean) }
}

func constant(r *rand.Rand, perSecond float64) func() int64 {
	mean := float64(second) / perSecond
	return func() int64 { return int64(mean * uniform(r, 0.95, 1.05)) }
}

// batches are attempts in a row and a pause: ten within a fifth of a second, then 8 s (Emotet [M]);
// twelve within 0.1 s (2009 [M]).
func batches(r *rand.Rand, size int, gap, pause int64) func() int64 {
	left := size
	return func() int64 {
		if left--; left > 0 {
			return between(r, gap/4, gap*7/4)
		}
		left = max(1, size-2+r.IntN(5))
		return between(r, pause*3/4, pause*5/4)
	}
}

// emotetPorts are 2 % 25, 43 % 465, 55 % 587 [M].
func emotetPorts(r *rand.Rand) func() uint16 {
	return func() uint16 {
		return draw(r, share[uint16]{0.02, 25}, share[uint16]{0.43, 465}, share[uint16]{0.55, 587})
	}
}

// emotetFate is what became of Emotet's first 860 attempts: 10 of 14 to port 25 were answered, 1 of
// 387 to port 465, 3 of 459 to port 587; of the others 85 % were reset late, the rest got nothing
// [M].
func emotetFate(r *rand.Rand) func(dest, uint16) fate {
	return func(_ dest, port uint16) fate {
		p := 10. / 14
		switch port {
		case 465:
			p = 1. / 387
		case 587:
			p = 3. / 459
		}
		return draw(r, share[fate]{p, answered}, share[fate]{0.85 * (1 - p), late},
			share[fate]{0.15 * (1 - p), silent})
	}
}

// fastest is 25,000 messages an hour and bot (TRACElabs 2009 [V]).
const fastest = 6.9

func plaintextBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	rate := logUniform(h.rng, 0.3, fastest)
	h.Kind = fmt.Sprintf("%.2f/s", rate)
	b := h.spam()
	b.pace = poisson(h.rng, rate)
	h.plain(b)
}

// plain has a bot never use TLS.
func (h *Host) plain(b *spammer) {
	to := b.to
	b.to = func() dest {
		d := to()
		d.tls = d.tls && h.site.cfg.TLS
		return d
	}
}

func (h *Host) encrypts(b *spammer) {
	say := b.talk
	b.talk = func(d dest, port uint16) *talk {
		t := say(d, port)
		t.tls, t.old = true, false
		return t
	}
}

func starttlsBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	rate := logUniform(h.rng, 0.3, fastest)
	h.Kind = fmt.Sprintf("%.2f/s", rate)
	b := h.spam()
	b.pace = poisson(h.rng, rate)
	h.encrypts(b)
}

func blockedBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	b := h.spam()
	h.burstPace(b)
}

// burstPace draws one of the bursts.
func (h *Host) burstPace(b *spammer) {
	r := h.rng
	switch r.IntN(3) {
	case 0:
		h.Kind += " batches of 10"
		b.pace = batches(r, 10, 20*millisecond, 8*second)
	case 1:
		h.Kind += " batches of 12"
		b.pace = batches(r, 12, 8*millisecond, between(r, 30*second, 120*second))
	default:
		rate := logUniform(r, 1, fastest)
		h.Kind += fmt.Sprintf(" %.1f/s", rate)
		b.pace = poisson(r, rate)
	}
}

func bannerBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	b := h.spam()
	b.pace = poisson(r, logUniform(r, 0.1, 2))
	b.refuse(0.9, "", no{atBanner, "554 NAME No SMTP service here", false})
	h.plain(b)
}

func slowBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "1 per 15 s")
	b := h.spam()
	b.pace = constant(h.rng, 1./15)
	h.plain(b)
}

func submissionBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	b := h.spam()
	rate := logUniform(r, 0.05, 2)
	h.Kind = fmt.Sprintf("%.2f/s", rate)
	b.pace = poisson(r, rate)
	// Emotet without port 25 [M]
	b.port = func() uint16 { return draw(r, share[uint16]{0.44, 465}, share[uint16]{0.56, 587}) }
	b.ask = h.asksNames
	b.talk = h.speech(botRefusals)
	h.encrypts(b)
}

func unknownBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	b := h.spam()
	b.pace = poisson(r, logUniform(r, 0.1, 2))
	unknown := uniform(r, 0.5, 0.95)
	h.Kind = fmt.Sprintf("%.0f %% unknown", 100*unknown)
	b.refuse(unknown, "",
		no{atRcpt, "550 5.1.1 <RCPT>: Recipient address rejected: User unknown in virtual " +
			"mailbox table", false},
		no{atRcpt, "550 5.1.1 User unknown", false}, no{atRcpt, "550 No such user here", false},
		no{atRcpt, "553 5.1.2 <RCPT> does not exist", false})
	h.plain(b)
}

func listedBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	b := h.spam()
	b.pace = poisson(r, logUniform(r, 0.1, 2))
	blocklist := list(r)
	h.Kind, h.Says = blocklist, blocklist
	b.refuse(0.6, blocklist,
		no{atRcpt, "554 5.7.1 Service unavailable; Client host [IP] blocked using LIST", true},
		no{atBanner, "554 NAME: IP is listed at LIST, see https://www.LIST/lookup?ip=IP", true},
		no{atMail, "550 5.7.1 Mail from IP refused by blacklist: LIST", true},
		no{atMail, "421 4.7.0 [IP] rejected: listed in LIST; try later", true})
	h.plain(b)
}

func burstMixed(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "Emotet")
	r := h.rng
	b := h.spam()
	b.pace = batches(r, 10, 20*millisecond, 8*second)
	b.port = emotetPorts(r)
	b.fate = emotetFate(r)
	b.ask = h.asksNames
	b.talk = h.speech(botRefusals)
}

func burstTLS(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	b := h.spam()
	h.burstPace(b)
	b.port = func() uint16 { return 465 }
	if r.IntN(2) == 0 {
		b.port = func() uint16 { return 587 }
	}
	b.ask = h.asksNames
	b.talk = h.speech(botRefusals)
	h.encrypts(b)
}

func burst2009(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "2009")
	b := h.spam()
	b.pace = batches(h.rng, 12, 8*millisecond, between(h.rng, 30*second, 120*second))
	b.ask = h.asksMX
	h.plain(b)
}

func randomBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	h.Until = max(h.Until, h.From+2*day)
	b := h.spam()
	rate := logUniform(r, 1./7200, fastest)
	kind := ""
	switch r.IntN(4) {
	case 0:
		kind, b.pace = "poisson", poisson(r, rate)
	case 1:
		kind, b.pace = "constant", constant(r, rate)
	case 2:
		kind, b.pace = "batches of 10",
			batches(r, 10, 20*millisecond, max(int64(10*float64(second)/rate), second))
	default:
		kind, b.pace = "batches of 12",
			batches(r, 12, 8*millisecond, max(int64(12*float64(second)/rate), second))
	}
	ports := "25"
	switch r.IntN(3) {
	case 0:
		b.port, ports, b.ask = emotetPorts(r), "mixed", h.asksNames
		b.talk = h.speech(botRefusals)
	case 1:
		b.port, ports, b.ask = func() uint16 { return 587 }, "587", h.asksNames
		b.talk = h.speech(botRefusals)
	}
	switch r.IntN(3) {
	case 0: // 97 % fail [M]
		b.fate = emotetFate(r)
		kind += ", most fail"
	case 1:
		h.encrypts(b)
		kind += ", TLS"
	default:
		h.plain(b)
	}
	h.Kind = fmt.Sprintf("%.3g/s, %s, ports %s%s", rate, kind, ports, h.Kind)
}

// rotating is a bot with IPv6 that takes another address for every third mail (RFC 8981 lets a host
// have as many as it likes), 40 in all. That bots do so is an assumption [A].
func rotating(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "40 addresses")
	h.six, h.ttl = true, 64
	for range 40 {
		h.Others = append(h.Others, s.address())
	}
	b := h.spam()
	b.left = 120
	b.pace = constant(h.rng, 1./30)
	to, i := b.to, 0
	b.to = func() dest {
		h.Addr = h.Others[min(i/3, len(h.Others)-1)]
		i++
		return to()
	}
	h.plain(b)
}

func twelveADay(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "12/day")
	h.Until = max(h.Until, h.From+2*day)
	b := h.spam()
	b.pace = poisson(h.rng, 12./86400)
	b.to = func() dest { return s.world.single(h.rng.IntN(200_000)) }
	h.plain(b)
}

func hammerer(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "one provider")
	r := h.rng
	b := h.spam()
	servers := make([]dest, 14) // in one to five networks
	nets := make([][3]byte, 1+r.IntN(5))
	for i := range nets {
		nets[i] = network(r)
	}
	provider := s.world.atFarm(r, r.IntN(len(s.world.farms)))
	h.Kind = fmt.Sprintf("14 servers in %d networks", len(nets))
	for i := range servers {
		servers[i] = provider
		servers[i].addr = inNet(nets[i%len(nets)], 10+i)
	}
	b.left = 358
	b.to = func() dest { return oneOf(r, servers) }
	b.pace = poisson(r, 3.58)
	h.plain(b)
}

func stolenAccounts(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	b := h.spam()
	accounts := 10 + r.IntN(90)
	first := r.IntN(1 << 16)
	rate := logUniform(r, 1./60, 1)
	h.Kind = fmt.Sprintf("%d accounts, %.2f/s", accounts, rate)
	b.pace = poisson(r, rate)
	b.to = func() dest { return s.world.provider(first+r.IntN(accounts), r.IntN(20)) }
	b.port = func() uint16 { return draw(r, share[uint16]{1, 465}, share[uint16]{3, 587}) }
	b.ask = func(d dest) { h.lookup(typeA, d.name, d, true) }
	b.fate = nil
	from := mailbox(r, word(r, 3)+".com")
	b.talk = func(d dest, port uint16) *talk {
		return &talk{port: port, to: d, helo: "[" + h.Addr.String() + "]", from: from,
			rcpts: []string{mailbox(r, "example.com"), mailbox(r, "example.org")}, size: 3000,
			tls: true, auth: true}
	}
}

func infectedLater(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	h.office()
	h.Until = max(h.Until, h.From+day)
	start := 9*hour + between(r, 0, 8*hour)
	rate := logUniform(r, 0.05, fastest)
	h.Kind = fmt.Sprintf("%.2f/s from %d:00", rate, start/hour)
	b := h.spamFrom(h.From + start)
	b.pace = poisson(r, rate)
	h.plain(b)
}

func botBehindNAT(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	h.Role = "nat"
	h.crowd(30)
	b := h.spam()
	b.ttl = 127
	rate := logUniform(h.rng, 0.1, fastest)
	h.Kind = fmt.Sprintf("%.2f/s among 30%s", rate, h.Kind)
	b.pace = poisson(h.rng, rate)
	h.plain(b)
}

func limitOne(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "one server")
	r := h.rng
	b := h.spam()
	b.left = 200
	d := s.world.single(r.IntN(200_000))
	b.to = func() dest { return d }
	b.pace = poisson(r, logUniform(r, 1./600, 1./30))
	h.plain(b)
}

func limitThree(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	b := h.spam()
	b.pace = poisson(r, uniform(r, 1, 3)/3600)
	name := "mail." + word(r, 3) + ".com"
	h.Kind = "3 an hour"
	b.fate = nil
	b.talk = func(d dest, port uint16) *talk {
		d.tls = true
		return &talk{port: port, to: d, helo: name, from: "info@" + name[5:],
			rcpts: []string{mailbox(r, d.domain)}, size: 3000, tls: true}
	}
}

func limitPerfect(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	b := h.spam()
	p := r.IntN(12)
	b.to = func() dest { return s.world.provider(p, r.IntN(20)) }
	b.port = func() uint16 { return 587 }
	b.pace = poisson(r, logUniform(r, 1./300, 1./10))
	b.ask = func(d dest) { h.lookup(typeA, d.name, d, true) }
	b.fate = nil
	name := word(r, 3) + ".com"
	h.Kind = "perfect"
	b.talk = func(d dest, port uint16) *talk {
		return &talk{port: port, to: d, helo: "pc." + name, from: mailbox(r, d.domain),
			rcpts: []string{mailbox(r, "example.org")}, size: 3000, tls: true, auth: true}
	}
}

func limitBehind(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "through the own server")
	r := h.rng
	b := h.spam()
	b.to = s.own
	b.ask = nil
	b.fate = nil
	b.pace = poisson(r, logUniform(r, 1./60, 1))
}

func limitFour(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "4/day")
	h.Until = max(h.Until, h.From+3*day)
	b := h.spam()
	b.pace = poisson(h.rng, 4./86400)
	b.to = func() dest { return s.world.single(h.rng.IntN(200_000)) }
	h.plain(b)
}
