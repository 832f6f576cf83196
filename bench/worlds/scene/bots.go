package scene

import (
	"fmt"
	"net/netip"
	"time"

	"spamsensor/bench/worlds/traffic"
)

// bot is a program that sends spam.
type bot struct {
	w       *traffic.World
	host    *traffic.Host
	v6      bool
	ports   []uint16 // one is drawn for each attempt
	gap     time.Duration
	n       int
	tls     float64 // share of sessions with STARTTLS
	client  *traffic.Client
	helo    func() string
	from    func() string
	mails   int     // per connection
	rcpts   int     // per mail
	refused float64 // share of sessions that are refused
	unknown float64 // share of recipients that do not exist
	dead    float64 // share of destinations that do not answer
	kinds   []string
	auth    string // how AUTH ends on ports of submission
	lookup  string // "mx", "name", "" (none on the mirror)
	targets []*traffic.Domain
	block   string          // "", "drop", "reset", "icmp", "synproxy", "tarpit"
	nat64   bool            // it reaches IPv4 through NAT64
	mixed   bool            // each attempt by one family or the other
	early   bool            // it speaks before the greeting
	only    *traffic.Domain // all it sends to
	works   bool            // its owner sends mail, too
}

// newBot is a bot with usual habits: it sends in clear to MX on port 25, with changing senders.
func newBot(w *traffic.World, h *traffic.Host) *bot {
	b := &bot{w: w, host: h, ports: []uint16{25}, gap: 10 * time.Second, n: 120,
		client: traffic.Pick(w, traffic.BotEhlo, traffic.BotHelo), mails: 1, rcpts: 1 + w.R.IntN(3),
		refused: 0.3 + 0.4*w.R.Float64(), unknown: 0.1, dead: 0.1 + 0.1*w.R.Float64(),
		kinds: []string{"listed", "dynamic", "spam", "noptr", "unknown", "spf", "rate"},
		from:  func() string { return w.User() + "@" + w.Word() + ".com" }, auth: "",
		lookup: "mx"}
	own := w.Word()
	b.helo = []func() string{
		func() string {
			return fmt.Sprintf("[10.%d.%d.%d]", w.R.IntN(255), w.R.IntN(255), w.R.IntN(255))
		},
		func() string { return w.Word() },
		func() string { return w.Word() + "." + w.Word() + ".net" },
		func() string { return "localhost" },
		func() string { return own },
	}[w.R.IntN(5)]
	return b
}

// run draws the bot's attempts from a time on, and returns its end.
func (b *bot) run(at time.Duration) time.Duration {
	w := b.w
	w.FirstBad(at)
	for range b.n {
		b.attempt(at)
		at += time.Duration(float64(b.gap) * (0.3 + 1.4*w.R.Float64()))
		if at > w.Length {
			break
		}
	}
	return at
}

// target is the next domain: mostly one that was not tried before.
func (b *bot) target() *traffic.Domain {
	if b.only != nil {
		return b.only
	}
	if len(b.targets) > 0 && b.w.Chance(0.08) {
		return b.targets[b.w.R.IntN(len(b.targets))]
	}
	d := b.w.OwnDomain(b.w.Word() + traffic.Pick(b.w, ".com", ".net", ".de", ".fr", ".br"))
	if b.w.Chance(0.25) {
		d = b.w.Domain()
	}
	d.Dead = b.w.Chance(b.dead)
	b.targets = append(b.targets, d)
	return d
}

// find resolves a domain in the way of the bot.
func (b *bot) find(at time.Duration, d *traffic.Domain, port uint16) (*traffic.Host, string,
	time.Duration) {
	h := d.MX[b.w.R.IntN(len(d.MX))]
	name := d.MXNames[0]
	switch b.lookup {
	case "mx":
		if port == 25 {
			return b.w.Target(at, b.host, d)
		}
		fallthrough
	case "name":
		name = traffic.Pick(b.w, "mail.", "smtp.", "mail.", "smtp.", "") + d.Name
		at = b.w.Resolve(at, b.host, name, []netip.Addr{h.V4}, nil)
	}
	return h, name, at
}

// attempt draws one connection.
func (b *bot) attempt(at time.Duration) {
	w := b.w
	port := b.ports[w.R.IntN(len(b.ports))]
	d := b.target()
	h, name, at := b.find(at, d, port)
	v6 := b.v6 || b.mixed && w.Chance(0.5)
	if v6 && b.nat64 {
		h = &traffic.Host{V4: h.V4, Stack: h.Stack, RTT: h.RTT, Hops: h.Hops}
	} else if v6 && !h.V6.IsValid() {
		h.V6 = w.Global6()
	}
	k := w.Dial(at, b.host, h, port, v6)
	switch {
	case b.block == "drop" || b.block == "" && d.Dead:
		k.Silent(1 + w.R.IntN(3))
		return
	case b.block == "reset":
		n := 0
		if b.host.Stack == traffic.Windows {
			n = 2
		}
		k.Refuse(n, w.Gateway)
		return
	case b.block == "icmp":
		k.Unreachable(13, w.Gateway, w.R.IntN(2))
		return
	}
	k.Open()
	k.SMTP(b.session(d, name, port))
}

// session is what is said on one connection.
func (b *bot) session(d *traffic.Domain, name string, port uint16) *traffic.Session {
	w := b.w
	s := &traffic.Session{Client: b.client, Server: d.Style, Name: name, As: b.helo(),
		Early: b.early}
	switch {
	case b.block == "synproxy":
		s.Silence, s.Gone = true, w.Between(15*time.Second, 40*time.Second)
		return s
	case port == 465:
		s.TLS, s.SNI = traffic.Implicit, name
	case w.Chance(b.tls):
		s.TLS, s.SNI = traffic.StartTLS, name
	}
	if port != 25 {
		s.Auth = b.auth
	}
	refused := w.Chance(b.refused)
	kind := traffic.Pick(w, b.kinds...)
	if refused && (kind == "listed" || kind == "dynamic") && w.Chance(0.4) {
		s.Banner = w.Refusal(kind)
		return s
	}
	at := w.R.IntN(3)
	for range b.mails {
		m := traffic.Mail{From: b.from(), Bytes: 700 + w.R.IntN(3000), Subject: "Your invoice"}
		for range b.rcpts {
			r := traffic.Rcpt{To: w.User() + "@" + d.Name}
			if w.Chance(b.unknown) || refused && kind == "unknown" {
				r.No = w.Refusal("unknown")
			} else if refused && at == 0 {
				r.No = w.Refusal(kind)
			}
			m.To = append(m.To, r)
		}
		if refused && kind != "unknown" {
			switch at {
			case 1:
				m.MailNo = w.Refusal(kind)
			case 2:
				m.EndNo = w.Refusal(kind)
			}
		}
		s.Mails = append(s.Mails, m)
	}
	return s
}
