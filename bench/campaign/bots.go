package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
)

// spammer is a bot that sends mail. Its functions draw the pause before the next attempt, the
// server, the port, the result of the attempt, the session if it succeeds, and the lookups before
// it.
type spammer struct {
	h            *Host
	attemptsLeft int   // attempts until its end
	ttl          uint8 // TTL of its packets
	pace         func() int64
	to           func() destination
	port         func() uint16
	result       func(d destination, port uint16) attemptResult
	session      func(d destination, port uint16) *session
	lookups      func(d destination)
}

// campaignLength bounds the attempts of one bot. The real number, 23,000 messages per bot (1.5 M
// messages of 65 bots [V]), would show no more: a bot that is not found by the 600th is not found.
const campaignLength = 600

func (b *spammer) step() int64 {
	h := b.h
	if b.attemptsLeft == 0 || h.site.now >= h.Until {
		return 0
	}
	b.attemptsLeft--
	h.ttl = b.ttl // other machines behind the same NAT have another TTL
	d, port := b.to(), b.port()
	if b.lookups != nil {
		b.lookups(d)
	}
	to := netip.AddrPortFrom(d.addr, port)
	f := answered
	if port == 25 && h.site.Egress != Open {
		f = h.site.Egress.blocked()
	} else if b.result != nil {
		f = b.result(d, port)
	}
	if f != answered {
		h.open(to, true, failedAttempt(h.rng, f))
	} else {
		t := b.session(d, port)
		if h.site.cfg.TLS { // the variant in which all sessions use TLS
			t.tls, t.heloOnly, t.to.tls = true, false, true
		}
		h.open(to, true, dialogue(h.rng, t))
	}
	return h.site.now + b.pace()
}

// newBot makes a bot that begins within the first two hours of the host's life.
func (h *Host) newBot() *spammer { return h.newBotAt(h.From + between(h.rng, 0, 2*hour)) }

// refuseShare has the servers refuse a share of the bot's sessions with one of these replies, and
// no other session. on is the blocklist that the replies name.
func (b *spammer) refuseShare(share float64, on string, replies ...refusal) {
	r, public, plan := b.h.rng, b.h.site.Public, b.session
	b.session = func(d destination, port uint16) *session {
		t := plan(d, port)
		if t.refusePhase = noRefusal; r.Float64() < share {
			t.refuseWith(r, oneOf(r, replies), public, on)
		}
		return t
	}
}

// newBotAt makes a bot that begins at a time. The caller sets the pace, and overrides the functions
// that are to differ from these: port 25, any server, refusals of the recipients' servers.
func (h *Host) newBotAt(at int64) *spammer {
	s, r := h.site, h.rng
	b := &spammer{h: h, attemptsLeft: campaignLength, ttl: h.ttl}
	b.to = func() destination { return s.world.randomServer(r) }
	b.port = func() uint16 { return 25 }
	// Without a firewall nine of ten servers answer on port 25 [A].
	b.result = func(destination, uint16) attemptResult {
		return draw(r, share[attemptResult]{0.9, answered}, share[attemptResult]{0.06, unanswered},
			share[attemptResult]{0.04, refused})
	}
	b.session = h.sessionStyle(mailRefusals)
	switch r.IntN(3) {
	case 0:
		b.lookups = h.lookupMX
	case 1:
		b.lookups = h.lookupNames
	}
	h.site.begin(at, b)
	return b
}

// lookupMX looks up the MX of a domain, as a mail server does.
func (h *Host) lookupMX(d destination) {
	h.lookup(typeMX, d.domain, d, true)
	h.lookup(typeA, d.name, d, true)
}

// lookupNames looks up the address of mail.X or smtp.X, as Emotet did: it made no MX query for 687
// names, of which 158 began with mail. and 136 with smtp. [M]
func (h *Host) lookupNames(d destination) {
	h.lookup(typeA, oneOf(h.rng, []string{"mail.", "smtp."})+d.domain, d, h.rng.IntN(3) > 0)
}

// sessionStyle draws the style of a bot's sessions, which stays the same for its whole life.
//
// Source: Emotet's trace has refusals in 12 of the first 13 sessions, 20 senders and 108
// recipients, HELO nine times, EHLO three times, and MAIL FROM: with a space [M]. Other bots are
// refused in 20 to 60 % (unverified).
func (h *Host) sessionStyle(texts []share[refusal]) func(d destination, port uint16) *session {
	r := h.rng
	kind, name := heloStyle(r, h.site.Public)
	refusedShare := 0.92
	if r.IntN(2) == 0 {
		refusedShare = uniform(r, 0.2, 0.6)
	}
	heloOnly, spaceInPath, resets, earlyTalker, ignoresRefusal := r.Float64() < 0.6, r.IntN(2) == 0,
		r.IntN(2) == 0,
		r.IntN(8) == 0, r.IntN(4) == 0
	senders := make([]string, 20)
	for i := range senders {
		senders[i] = mailbox(r, word(r, 3)+"."+oneOf(r, topDomains))
	}
	blocklist := randomBlocklist(r)
	rest, _, _ := strings.Cut(h.Kind, "; helo") // the text of earlier draws
	h.Kind = fmt.Sprintf("%s; helo %s; %.0f %% refused", rest, kind, 100*refusedShare)
	return func(d destination, port uint16) *session {
		t := &session{port: port, to: d, helo: name(), heloOnly: heloOnly, spaceInPath: spaceInPath,
			resets:      resets,
			earlyTalker: earlyTalker && port == 25, ignoresRefusal: ignoresRefusal,
			from: oneOf(r, senders), rcpts: []string{mailbox(r, d.domain)},
			size: 300 + r.IntN(4000)}
		if r.Float64() < refusedShare {
			t.refuseWith(r, draw(r, texts...), h.site.Public, blocklist)
		}
		return t
	}
}

// Functions that draw the pause before the next attempt.

// poisson draws the pauses of a Poisson process.
func poisson(r *rand.Rand, perSecond float64) func() int64 {
	mean := int64(float64(second) / perSecond)
	return func() int64 { return exponential(r, mean) }
}

// constant draws pauses that vary by 5 %.
func constant(r *rand.Rand, perSecond float64) func() int64 {
	mean := float64(second) / perSecond
	return func() int64 { return int64(mean * uniform(r, 0.95, 1.05)) }
}

// batches are attempts in quick succession and a pause: ten within 0.2 s, then 8 s (Emotet [M]);
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

// emotetPorts draws the ports of Emotet: 25 in 2 %, 465 in 43 %, 587 in 55 % of the attempts [M].
func emotetPorts(r *rand.Rand) func() uint16 {
	return func() uint16 {
		return draw(r, share[uint16]{0.02, 25}, share[uint16]{0.43, 465}, share[uint16]{0.55, 587})
	}
}

// emotetResult draws the results of Emotet's first 860 attempts: 10 of 14 to port 25 were answered,
// 1 of 387 to port 465, 3 of 459 to port 587; of the others 85 % were reset late, the rest got no
// answer [M].
func emotetResult(r *rand.Rand) func(destination, uint16) attemptResult {
	return func(_ destination, port uint16) attemptResult {
		p := 10. / 14
		switch port {
		case 465:
			p = 1. / 387
		case 587:
			p = 3. / 459
		}
		return draw(r, share[attemptResult]{p, answered},
			share[attemptResult]{0.85 * (1 - p), lateReset},
			share[attemptResult]{0.15 * (1 - p), unanswered})
	}
}

// highestRate is the highest rate in messages a second: 25,000 an hour and bot (TRACElabs 2009
// [V]).
const highestRate = 6.9

func plaintextBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	rate := logUniform(h.rng, 0.3, highestRate)
	h.Kind = fmt.Sprintf("%.2f/s", rate)
	b := h.newBot()
	b.pace = poisson(h.rng, rate)
	h.avoidTLS(b)
}

// avoidTLS makes a bot never use TLS.
func (h *Host) avoidTLS(b *spammer) {
	to := b.to
	b.to = func() destination {
		d := to()
		d.tls = d.tls && h.site.cfg.TLS
		return d
	}
}

// useTLS makes a bot use EHLO and STARTTLS in each session that offers it.
func (h *Host) useTLS(b *spammer) {
	plan := b.session
	b.session = func(d destination, port uint16) *session {
		t := plan(d, port)
		t.tls, t.heloOnly = true, false
		return t
	}
}

func starttlsBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	rate := logUniform(h.rng, 0.3, highestRate)
	h.Kind = fmt.Sprintf("%.2f/s", rate)
	b := h.newBot()
	b.pace = poisson(h.rng, rate)
	h.useTLS(b)
}

func blockedBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	b := h.newBot()
	h.burstPace(b)
}

// burstPace draws a pace of fast bots.
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
		rate := logUniform(r, 1, highestRate)
		h.Kind += fmt.Sprintf(" %.1f/s", rate)
		b.pace = poisson(r, rate)
	}
}

func bannerBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	b := h.newBot()
	b.pace = poisson(r, logUniform(r, 0.1, 2))
	b.refuseShare(0.9, "", refusal{atBanner, "554 NAME No SMTP service here", false})
	h.avoidTLS(b)
}

func slowBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "1 per 15 s")
	b := h.newBot()
	b.pace = constant(h.rng, 1./15)
	h.avoidTLS(b)
}

func submissionBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	b := h.newBot()
	rate := logUniform(r, 0.05, 2)
	h.Kind = fmt.Sprintf("%.2f/s", rate)
	b.pace = poisson(r, rate)
	// Emotet's shares without port 25 [M].
	b.port = func() uint16 { return draw(r, share[uint16]{0.44, 465}, share[uint16]{0.56, 587}) }
	b.lookups = h.lookupNames
	b.session = h.sessionStyle(botRefusals)
	h.useTLS(b)
}

func unknownRcptBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	b := h.newBot()
	b.pace = poisson(r, logUniform(r, 0.1, 2))
	unknown := uniform(r, 0.5, 0.95)
	h.Kind = fmt.Sprintf("%.0f %% unknown", 100*unknown)
	b.refuseShare(unknown, "",
		refusal{atRcpt, "550 5.1.1 <RCPT>: Recipient address rejected: User unknown in virtual " +
			"mailbox table", false},
		refusal{atRcpt, "550 5.1.1 User unknown", false},
		refusal{atRcpt, "550 No such user here", false},
		refusal{atRcpt, "553 5.1.2 <RCPT> does not exist", false})
	h.avoidTLS(b)
}

func listedBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	b := h.newBot()
	b.pace = poisson(r, logUniform(r, 0.1, 2))
	blocklist := randomBlocklist(r)
	h.Kind, h.MustName = blocklist, blocklist
	b.refuseShare(0.6, blocklist,
		refusal{atRcpt, "554 5.7.1 Service unavailable; Client host [IP] blocked using LIST", true},
		refusal{atBanner, "554 NAME: IP is listed at LIST, see https://www.LIST/lookup?ip=IP",
			true},
		refusal{atMail, "550 5.7.1 Mail from IP refused by blacklist: LIST", true},
		refusal{atMail, "421 4.7.0 [IP] rejected: listed in LIST; try later", true})
	h.avoidTLS(b)
}

func burstMixed(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "Emotet")
	r := h.rng
	b := h.newBot()
	b.pace = batches(r, 10, 20*millisecond, 8*second)
	b.port = emotetPorts(r)
	b.result = emotetResult(r)
	b.lookups = h.lookupNames
	b.session = h.sessionStyle(botRefusals)
}

func burstTLS(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	b := h.newBot()
	h.burstPace(b)
	b.port = func() uint16 { return 465 }
	if r.IntN(2) == 0 {
		b.port = func() uint16 { return 587 }
	}
	b.lookups = h.lookupNames
	b.session = h.sessionStyle(botRefusals)
	h.useTLS(b)
}

func burst2009(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "2009")
	b := h.newBot()
	b.pace = batches(h.rng, 12, 8*millisecond, between(h.rng, 30*second, 120*second))
	b.lookups = h.lookupMX
	h.avoidTLS(b)
}

func randomBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	h.Until = max(h.Until, h.From+2*day)
	b := h.newBot()
	rate := logUniform(r, 1./7200, highestRate)
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
		b.port, ports, b.lookups = emotetPorts(r), "mixed", h.lookupNames
		b.session = h.sessionStyle(botRefusals)
	case 1:
		b.port, ports, b.lookups = func() uint16 { return 587 }, "587", h.lookupNames
		b.session = h.sessionStyle(botRefusals)
	}
	switch r.IntN(3) {
	case 0: // 97 % of the attempts fail [M]
		b.result = emotetResult(r)
		kind += ", most fail"
	case 1:
		h.useTLS(b)
		kind += ", TLS"
	default:
		h.avoidTLS(b)
	}
	h.Kind = fmt.Sprintf("%.3g/s, %s, ports %s%s", rate, kind, ports, h.Kind)
}

// rotatingIPv6Bot is a bot with IPv6 that changes its address after every third message, 40
// addresses in all (RFC 8981 does not limit the number of a host's addresses). That bots do so is
// an assumption [A].
func rotatingIPv6Bot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "40 addresses")
	h.ipv6, h.ttl = true, 64
	for range 40 {
		h.Others = append(h.Others, s.freeAddress())
	}
	b := h.newBot()
	b.attemptsLeft = 120
	b.pace = constant(h.rng, 1./30)
	to, i := b.to, 0
	b.to = func() destination {
		h.Addr = h.Others[min(i/3, len(h.Others)-1)]
		i++
		return to()
	}
	h.avoidTLS(b)
}

func twelveADay(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "12/day")
	h.Until = max(h.Until, h.From+2*day)
	b := h.newBot()
	b.pace = poisson(h.rng, 12./86400)
	b.to = func() destination { return s.world.singleServer(h.rng.IntN(200_000)) }
	h.avoidTLS(b)
}

func hammerer(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "one provider")
	r := h.rng
	b := h.newBot()
	servers := make([]destination, 14) // in one to five networks
	nets := make([][3]byte, 1+r.IntN(5))
	for i := range nets {
		nets[i] = randomNetwork(r)
	}
	provider := s.world.farmServer(r, r.IntN(len(s.world.farms)))
	h.Kind = fmt.Sprintf("14 servers in %d networks", len(nets))
	for i := range servers {
		servers[i] = provider
		servers[i].addr = addrIn(nets[i%len(nets)], 10+i)
	}
	b.attemptsLeft = 358
	b.to = func() destination { return oneOf(r, servers) }
	b.pace = poisson(r, 3.58)
	h.avoidTLS(b)
}

func stolenAccounts(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	b := h.newBot()
	accounts := 10 + r.IntN(90)
	first := r.IntN(1 << 16)
	rate := logUniform(r, 1./60, 1)
	h.Kind = fmt.Sprintf("%d accounts, %.2f/s", accounts, rate)
	b.pace = poisson(r, rate)
	b.to = func() destination {
		return s.world.submissionServer(first+r.IntN(accounts), r.IntN(20))
	}
	b.port = func() uint16 { return draw(r, share[uint16]{1, 465}, share[uint16]{3, 587}) }
	b.lookups = func(d destination) { h.lookup(typeA, d.name, d, true) }
	b.result = nil
	from := mailbox(r, word(r, 3)+".com")
	b.session = func(d destination, port uint16) *session {
		return &session{port: port, to: d, helo: "[" + h.Addr.String() + "]", from: from,
			rcpts: []string{mailbox(r, "example.com"), mailbox(r, "example.org")}, size: 3000,
			tls: true, auth: true}
	}
}

func infectedLater(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	h.officeUser()
	h.Until = max(h.Until, h.From+day)
	start := 9*hour + between(r, 0, 8*hour)
	rate := logUniform(r, 0.05, highestRate)
	h.Kind = fmt.Sprintf("%.2f/s from %d:00", rate, start/hour)
	b := h.newBotAt(h.From + start)
	b.pace = poisson(r, rate)
	h.avoidTLS(b)
}

func botBehindNAT(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	h.Role = "nat"
	h.natUsers(30)
	b := h.newBot()
	b.ttl = 127
	rate := logUniform(h.rng, 0.1, highestRate)
	h.Kind = fmt.Sprintf("%.2f/s among 30%s", rate, h.Kind)
	b.pace = poisson(h.rng, rate)
	h.avoidTLS(b)
}

func limitOne(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "one server")
	r := h.rng
	b := h.newBot()
	b.attemptsLeft = 200
	d := s.world.singleServer(r.IntN(200_000))
	b.to = func() destination { return d }
	b.pace = poisson(r, logUniform(r, 1./600, 1./30))
	h.avoidTLS(b)
}

func limitThree(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	b := h.newBot()
	b.pace = poisson(r, uniform(r, 1, 3)/3600)
	name := "mail." + word(r, 3) + ".com"
	h.Kind = "3 an hour"
	b.result = nil
	b.session = func(d destination, port uint16) *session {
		d.tls = true
		return &session{port: port, to: d, helo: name, from: "info@" + name[5:],
			rcpts: []string{mailbox(r, d.domain)}, size: 3000, tls: true}
	}
}

func limitPerfect(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	b := h.newBot()
	p := r.IntN(12)
	b.to = func() destination { return s.world.submissionServer(p, r.IntN(20)) }
	b.port = func() uint16 { return 587 }
	b.pace = poisson(r, logUniform(r, 1./300, 1./10))
	b.lookups = func(d destination) { h.lookup(typeA, d.name, d, true) }
	b.result = nil
	name := word(r, 3) + ".com"
	h.Kind = "perfect"
	b.session = func(d destination, port uint16) *session {
		return &session{port: port, to: d, helo: "pc." + name, from: mailbox(r, d.domain),
			rcpts: []string{mailbox(r, "example.org")}, size: 3000, tls: true, auth: true}
	}
}

func limitBehind(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "through the own server")
	r := h.rng
	b := h.newBot()
	b.to = s.ownServer
	b.lookups = nil
	b.result = nil
	b.pace = poisson(r, logUniform(r, 1./60, 1))
}

func limitFour(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "4/day")
	h.Until = max(h.Until, h.From+3*day)
	b := h.newBot()
	b.pace = poisson(h.rng, 4./86400)
	b.to = func() destination { return s.world.singleServer(h.rng.IntN(200_000)) }
	h.avoidTLS(b)
}
