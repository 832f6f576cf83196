package scene

import (
	"net/netip"
	"time"

	"spamsensor/bench/worlds/traffic"
)

// bad are the scenarios with a host that must be found.
func bad() []Scene {
	return []Scene{
		{"clear_fast", "a bot in clear on port 25, several a minute", Bad, clearBot(2, 20, 200, 1)},
		{"clear_slow", "a bot in clear, one each few minutes", Bad, clearBot(60, 300, 120, 1)},
		{"clear_very_slow", "a bot in clear, some twenty a day", Bad, clearBot(3000, 5400, 90, 4)},
		{"clear_plausible", "a bot with one proper name and one sender domain", Bad, plausible},
		{"early_talker", "an old bot: HELO before the greeting, no QUIT", Bad, earlyTalker},
		{"one_connection", "a bot that sends all its mails on a few connections",
			Bad, oneConnection},
		{"burst", "a dozen attempts within a tenth of a second, then a pause", Bad, burst},
		{"starttls_fast", "a bot that uses STARTTLS wherever it is offered",
			Bad, tlsBot(2, 12, 250, 1)},
		{"starttls_slow", "the same, one each few minutes", Bad, tlsBot(60, 200, 200, 1)},
		{"implicit_tls", "a bot that submits on port 465 with stolen accounts", Bad,
			submitBot(465)},
		{"submission_587", "the same on port 587", Bad, submitBot(587)},
		{"submission_2525", "the same on port 2525, in clear", Bad, submitBot(2525)},
		{"submission_mixed", "the same on all ports of submission", Bad, submitBot(465, 587, 2525)},
		{"emotet", "a bot on three ports that guesses names, nearly all of which are dead", Bad,
			emotet},
		{"daily_providers", "a bot that submits to some fifty providers a day",
			Bad, dailyProviders},
		{"login_tests", "a bot that tries stolen logins at many servers, most of which fail", Bad,
			loginTests},
		{"relay_hunter", "a bot that looks for open relays", Bad, relayHunter},
		{"hammer_clear", "a bot that sends to one provider alone, in clear", Bad, hammer},
		{"proxy_bot", "a machine through which several strangers send", Bad, proxyBot},
		{"dead_targets", "a bot whose list is old: nine of ten do not answer", Bad, deadTargets},
		{"blocked_drop", "a bot whose attempts the firewall drops", Bad, blockedBy("drop")},
		{"blocked_reset", "a bot whose attempts the firewall resets", Bad, blockedBy("reset")},
		{"blocked_icmp", "a bot whose attempts the firewall answers by ICMP",
			Bad, blockedBy("icmp")},
		{"blocked_icmp6", "the same on IPv6", Bad, blockedIPv6},
		{"synproxy", "a bot behind a firewall that completes handshakes and says nothing", Bad,
			blockedBy("synproxy")},
		{"dual_stack", "a bot that uses IPv4 and IPv6", Bad, dualStack},
		{"global_ipv6", "a bot on a global IPv6 address of an office with private IPv4", Bad,
			globalIPv6},
		{"nat64_bot", "a bot in an office with IPv6 alone", Bad, nat64Bot},
		{"dhcp_bot", "a bot whose address changes", Bad, dhcpBot},
		{"through_server", "a bot that sends through the firm's server", Bad, throughOwn},
		{"through_relay", "a bot that sends through the relay of the firm's provider", Bad,
			throughRelay},
		{"starttls_very_slow", "a bot with STARTTLS, some thirty mails a day", Bad,
			tlsBot(2200, 3600, 140, 5)},
		{"address_hopper", "a bot that draws another IPv6 address for each mail", Bad,
			addressHopper},
		{"nat_with_server", "a bot and a server behind one public address", Bad, natWithServer},
		{"guest_bot", "a bot among guests behind one address", Bad, guestBot},
		{"iot_bot", "a camera or printer that sends spam, without the DNS", Bad, iotBot},
		{"two_bots", "two bots in one office", Bad, twoBots},
		{"web_script", "a web server with a script that sends spam", Bad, webScript},
		{"infected_server", "a mail server that is a bot as well", Bad, infectedServer},
		{"open_relay", "a mail server that relays for strangers", Bad, openRelay(false)},
		{"open_relay_tls", "the same, by sessions with TLS", Bad, openRelay(true)},
		{"hijacked_account", "strangers submit by a stolen account of the firm's server", Bad,
			hijacked},
		{"vlan_bot", "a bot in a VLAN", Bad, mirrored(traffic.Mirror{}, 30)},
		{"bot_doubled", "a bot, and a mirror that shows each frame twice", Bad,
			mirrored(traffic.Mirror{Twice: true}, 0)},
		{"bot_lossy", "a bot, and a mirror that loses one frame in twenty", Bad,
			mirrored(traffic.Mirror{Loss: 0.05}, 0)},
		{"bot_short", "a bot, and a mirror that keeps 96 bytes of each frame", Bad,
			mirrored(traffic.Mirror{Snaplen: 96}, 0)},
		{"bot_out", "a bot, and a mirror that shows what leaves", Bad,
			mirrored(traffic.Mirror{Only: "out"}, 0)},
		{"bot_middle", "a bot that was at work when the capture began", Bad,
			mirrored(traffic.Mirror{From: 6 * time.Hour}, 0)},
		{"stolen_login", "a bot with one stolen account at one provider, all in TLS", Bad,
			stolenLogin},
		{"key_logger", "a program that mails what is typed to one account, each few hours", Bad,
			keyLogger},
	}
}

// infected is a workstation of an office with a bot on it.
func infected(w *traffic.World, n, days int) *bot {
	office(w, n, days)
	h := w.PC()
	w.Truth.PublicIP = w.Global().String()
	w.Convict(h, "likely", "spambot")
	b := newBot(w, h)
	if b.works = w.Chance(0.7); b.works {
		w.Habit(h, []*traffic.Account{w.Account(traffic.Pick(w, "ionos", "m365", "gmx"))}, 8)
	}
	return b
}

// pace sets the mean gap between attempts, in seconds, and a number of attempts.
func (b *bot) pace(low, high, n int) {
	b.gap = b.w.Between(time.Duration(low)*time.Second, time.Duration(high)*time.Second)
	b.n = n/2 + b.w.R.IntN(n)
}

func clearBot(low, high, n, days int) func(*traffic.World) {
	return func(w *traffic.World) {
		b := infected(w, 6, days)
		b.pace(low, high, n)
		b.run(w.Between(time.Hour, 4*time.Hour))
	}
}

func plausible(w *traffic.World) {
	b := infected(w, 6, 1)
	domain := w.Word() + ".com"
	b.client, b.helo = traffic.BotEhlo, func() string { return "mail." + domain }
	b.from = func() string { return w.User() + "@" + domain }
	b.refused = 0.35
	b.pace(5, 30, 200)
	b.run(w.Between(time.Hour, 5*time.Hour))
}

func earlyTalker(w *traffic.World) {
	b := infected(w, 6, 1)
	b.client, b.early = traffic.BotHelo, true
	b.pace(5, 60, 120)
	b.run(w.Between(time.Hour, 5*time.Hour))
}

func oneConnection(w *traffic.World) {
	b := infected(w, 6, 1)
	b.refused, b.unknown, b.dead = 0, 0.15, 0
	b.mails = 60 + w.R.IntN(80)
	b.n, b.gap = 1+w.R.IntN(3), 10*minute
	b.client = traffic.BotEhlo
	b.run(w.Between(time.Hour, 5*time.Hour))
}

func burst(w *traffic.World) {
	b := infected(w, 6, 1)
	at := w.Between(time.Hour, 5*time.Hour)
	for range 6 + w.R.IntN(10) {
		b.n, b.gap = 12, 9*time.Millisecond
		b.run(at)
		at += w.Between(5*time.Second, 10*minute)
	}
}

func tlsBot(low, high, n, days int) func(*traffic.World) {
	return func(w *traffic.World) {
		b := infected(w, 6, days)
		name := "mail." + w.Word() + ".com"
		b.client, b.tls, b.helo = traffic.BotEhlo, 1, func() string { return name }
		b.pace(low, high, n)
		b.run(w.Between(time.Hour, 5*time.Hour))
	}
}

func submitBot(ports ...uint16) func(*traffic.World) {
	return func(w *traffic.World) {
		b := infected(w, 6, 1)
		b.ports, b.auth, b.lookup, b.client = ports, "ok", "name", traffic.BotEhlo
		b.refused, b.dead, b.unknown = 0.1, 0.1, 0.05
		b.kinds = []string{"spam", "rate"}
		if ports[0] == 587 || len(ports) > 1 {
			b.tls = 0.9
		}
		b.pace(10, 90, 150)
		b.run(w.Between(time.Hour, 5*time.Hour))
	}
}

func emotet(w *traffic.World) {
	b := infected(w, 6, 1)
	b.ports = []uint16{25, 465, 465, 465, 465, 587, 587, 587, 587, 587}
	b.auth, b.lookup, b.client = "ok", "name", traffic.BotEhlo
	b.dead = 0.6 + 0.37*w.R.Float64()
	b.pace(1, 4, 600)
	b.run(w.Between(time.Hour, 5*time.Hour))
}

func dailyProviders(w *traffic.World) {
	b := infected(w, 6, 3)
	b.ports, b.auth, b.lookup, b.client, b.tls = []uint16{465, 587}, "ok", "name",
		traffic.BotEhlo, 1
	b.refused, b.dead = 0.02, 0.03
	perDay := 30 + w.R.IntN(31)
	b.gap, b.n = day/time.Duration(perDay), 3*perDay
	b.run(w.Between(0, 2*time.Hour))
}

func loginTests(w *traffic.World) {
	b := infected(w, 6, 1)
	b.ports, b.lookup, b.client, b.auth = []uint16{587, 587, 25, 465}, "name", traffic.BotEhlo,
		"fail"
	b.pace(5, 60, 150)
	b.run(w.Between(time.Hour, 5*time.Hour))
}

func relayHunter(w *traffic.World) {
	b := infected(w, 6, 1)
	b.refused, b.unknown, b.kinds = 0.9, 0, []string{"relay", "relay", "auth"}
	b.rcpts, b.lookup = 1, ""
	b.pace(5, 60, 120)
	b.run(w.Between(time.Hour, 5*time.Hour))
}

func hammer(w *traffic.World) {
	b := infected(w, 6, 1)
	d := w.Consumer()
	for range 200 {
		b.targets = append(b.targets, d)
	}
	b.only = d
	b.rcpts = 3
	b.pace(1, 6, 300)
	b.run(w.Between(time.Hour, 5*time.Hour))
}

func proxyBot(w *traffic.World) {
	b := infected(w, 6, 1)
	h := b.host
	for range 3 {
		c := newBot(w, h)
		c.lookup = "" // the strangers look names up themselves
		c.tls = w.R.Float64()
		c.client = traffic.Pick(w, traffic.BotEhlo, traffic.Library)
		if w.Chance(0.5) {
			c.ports, c.auth = []uint16{25, 587, 465}, "ok"
		}
		c.pace(20, 120, 80)
		c.run(w.Between(time.Hour, 5*time.Hour))
	}
}

func deadTargets(w *traffic.World) {
	b := infected(w, 6, 1)
	b.dead = 0.9
	b.pace(5, 60, 200)
	b.run(w.Between(time.Hour, 5*time.Hour))
}

func blockedBy(how string) func(*traffic.World) {
	return func(w *traffic.World) {
		b := infected(w, 6, 1)
		b.block = how
		if !w.DNS || b.host.NoDNS {
			b.imitable(how)
		}
		b.pace(5, 40, 250)
		b.run(w.Between(time.Hour, 5*time.Hour))
	}
}

// imitable makes a bot a limit whose packets anybody could have sent in its name: SYNs that are
// answered at once, and nothing that links them to the machine (no lookups, no counters of ports
// that its other connections share).
func (b *bot) imitable(how string) {
	if how != "reset" && how != "icmp" || b.works && b.host.Stack == traffic.Windows {
		return
	}
	delete(b.w.Truth.Bad, b.host.V4.String())
	b.w.Limit(b.host, "SYNs that are refused at once, without lookups, as anybody can forge them")
}

func blockedIPv6(w *traffic.World) {
	w.Length = day
	w.EnableV6()
	w.Office(6)
	h := w.PC()
	h.V4 = netip.Addr{}
	w.Convict(h, "likely", "spambot")
	b := newBot(w, h)
	b.v6, b.block = true, "icmp"
	w.DNS, h.NoDNS = true, false
	w.Truth.DNS = true
	w.Resolver.V6 = w.Global6()
	b.pace(5, 40, 250)
	b.run(w.Between(time.Hour, 5*time.Hour))
	w.Truth.Config.Home = append(w.Truth.Config.Home, w.Net6.String(), w.Net4.String())
}

func dualStack(w *traffic.World) {
	w.Length = day
	w.EnableV6()
	w.Office(6)
	h := w.PC()
	w.Convict(h, "likely", "spambot")
	b := newBot(w, h)
	b.pace(5, 60, 150)
	b.mixed = true
	b.run(w.Between(time.Hour, 5*time.Hour))
	w.Truth.Config.Home = append(w.Truth.Config.Home, w.Net6.String(), w.Net4.String())
}

func globalIPv6(w *traffic.World) {
	w.Length = day
	w.EnableV6()
	w.Office(8)
	h := w.PC()
	w.Convict(h, "likely", "spambot")
	b := newBot(w, h)
	b.v6 = true
	b.pace(5, 60, 150)
	b.run(w.Between(time.Hour, 5*time.Hour))
	w.Truth.Config.Home = append(w.Truth.Config.Home, w.Net6.String(), w.Net4.String())
}

func nat64Bot(w *traffic.World) {
	only6(w)
	w.Length = day
	for range 6 {
		w.Habit(host6(w, anyStack(w)), accounts(w, 2, traffic.Phone), 5)
	}
	h := host6(w, traffic.Windows)
	w.Convict(h, "likely", "spambot")
	b := newBot(w, h)
	b.v6, b.nat64 = true, true
	b.pace(5, 60, 150)
	b.run(w.Between(time.Hour, 5*time.Hour))
	w.Truth.Config.Home = append(w.Truth.Config.Home, w.Net6.String())
}

func dhcpBot(w *traffic.World) {
	b := infected(w, 6, 1)
	b.pace(20, 90, 60)
	at := w.Between(time.Hour, 4*time.Hour)
	list := []netip.Addr{b.host.V4}
	if b.host.V6.IsValid() {
		w.Truth.Machines = w.Truth.Machines[:len(w.Truth.Machines)-1]
		list = append(list, b.host.V6)
	}
	for range 3 {
		at = b.run(at) + w.Between(minute, 2*time.Hour)
		next := *b.host
		next.V4 = w.Free4()
		b.host = &next
		list = append(list, next.V4)
	}
	w.Same(list...)
}

func throughOwn(w *traffic.World) {
	hosts := office(w, 8, 2)
	m := server(w)
	w.Accept(m.Host, "volume_anomaly", "blocklisted", "hijacked_account", "open_relay")
	list := w.Correspondents(50)
	users(w, m, hosts[:4], 4)
	inbound(w, m, list, 30)
	outbound(w, m, list, 30)
	h := w.PC()
	w.Convict(h, "likely", "spambot")
	at := day + w.Between(time.Hour, 6*time.Hour)
	w.FirstBad(at)
	for range 150 + w.R.IntN(150) {
		d := w.OwnDomain(w.Word() + ".com")
		mail := w.MailTo(w.User()+"@"+w.Word()+".com", d)
		if w.Chance(0.15) {
			mail.To[0].No = w.Refusal("unknown")
		}
		k := w.Dial(at, h, m.Host, 25, false).Open()
		k.SMTP(&traffic.Session{Client: traffic.BotEhlo, Server: speaks(m), Name: m.Name,
			As: w.Word(), Mails: []traffic.Mail{{From: mail.From, To: traffic.To(mail.To[0].To),
				Bytes: mail.Bytes}}})
		if w.Chance(0.25) {
			mail.EndNo = w.Refusal(traffic.Pick(w, "spam", "spf", "listed"))
		}
		w.Deliver(k.T+w.Between(300*time.Millisecond, 3*time.Second), m, d, mail)
		at += w.Between(time.Second, 40*time.Second)
	}
}

func throughRelay(w *traffic.World) {
	hosts := office(w, 6, 2)
	p := w.Provider(traffic.Pick(w, "ionos", "strato", "ovh"))
	for _, x := range p.Pool {
		w.Truth.Config.Relays = append(w.Truth.Config.Relays, x.V4.String())
	}
	own := w.Word() + ".de"
	a := &traffic.Account{Provider: p, User: "scan@" + own, Client: traffic.Device, Port: 25,
		Plain: true, Auth: "none"}
	w.Habit(hosts[0], []*traffic.Account{a}, 10) // a device that uses the relay as it should
	h := w.PC()
	w.Convict(h, "likely", "spambot")
	at := w.Between(time.Hour, 20*time.Hour)
	w.FirstBad(at)
	for range 150 + w.R.IntN(150) {
		target := p.Pool[w.R.IntN(len(p.Pool))]
		mail := w.MailTo(w.User()+"@"+w.Word()+".com", &traffic.Domain{Name: w.Word() + ".com"})
		if w.Chance(0.2) {
			mail.EndNo = w.Refusal(traffic.Pick(w, "spam", "rate"))
		}
		k := w.Dial(at, h, target, 25, false).Open()
		k.SMTP(&traffic.Session{Client: traffic.BotEhlo, Server: p.Style, Name: p.Submit,
			As: w.Word(), Mails: []traffic.Mail{mail}})
		at += w.Between(time.Second, 40*time.Second)
	}
}

func addressHopper(w *traffic.World) {
	w.Length = day
	w.EnableV6()
	w.Office(6)
	h := w.PC()
	b := newBot(w, h)
	b.v6, b.n = true, 1
	at := w.Between(time.Hour, 5*time.Hour)
	var addrs []netip.Addr
	for range 80 + w.R.IntN(80) {
		next := *h
		next.V6 = w.Privacy()
		b.host = &next
		b.run(at)
		addrs = append(addrs, next.V6)
		at += w.Between(5*time.Second, 90*time.Second)
	}
	w.ConvictAddr(addrs[0], "likely", "spambot")
	w.Truth.Machines = w.Truth.Machines[:len(w.Truth.Machines)-1]
	w.Same(append(addrs, h.V4, h.V6)...)
	w.Truth.Config.Home = append(w.Truth.Config.Home, w.Net6.String(), w.Net4.String())
}

func natWithServer(w *traffic.World) {
	w.Length = 2 * day
	p := outer(w)
	h := p.behind(traffic.Linux)
	m := w.NewMTA(h, w.Word()+".de")
	w.Truth.Config.Server(h.V4, "")
	w.Truth.Config.Domains = append(w.Truth.Config.Domains, m.Domain)
	list := w.Correspondents(40)
	inbound(w, m, list, 25)
	outbound(w, m, list, 25)
	w.ConvictAddr(h.V4, "suspect", "spambot", "hijacked_account", "volume_anomaly", "blocklisted")
	b := newBot(w, p.behind(traffic.Windows))
	b.pace(5, 40, 200)
	b.run(day + w.Between(time.Hour, 5*time.Hour))
}

func guestBot(w *traffic.World) {
	strangers("nat", 10, 20)(w)
	gate := w.Inside("gateway2", traffic.Linux)
	gate.V6 = netip.Addr{}
	w.Truth.Config.Server(gate.V4, "nat")
	for range 8 {
		w.Habit(routed(w, gate, anyStack(w)), accounts(w, 1, traffic.Phone), 4)
	}
	h := routed(w, gate, traffic.Windows)
	w.Convict(h, "likely", "spambot")
	b := newBot(w, h)
	b.pace(5, 60, 150)
	b.run(w.Between(time.Hour, 30*time.Hour))
}

func iotBot(w *traffic.World) {
	office(w, 6, 1)
	h := w.Inside("camera", traffic.Pick(w, traffic.Embedded, traffic.Printer, traffic.Linux))
	w.Convict(h, "likely", "spambot")
	b := newBot(w, h)
	b.lookup = ""
	b.pace(5, 90, 150)
	if w.Chance(0.3) {
		b.block = "drop"
	}
	b.run(w.Between(time.Hour, 5*time.Hour))
}

func twoBots(w *traffic.World) {
	b := infected(w, 6, 1)
	b.pace(5, 60, 120)
	b.run(w.Between(time.Hour, 4*time.Hour))
	h := w.PC()
	w.Convict(h, "likely", "spambot")
	c := newBot(w, h)
	c.pace(5, 60, 120)
	c.run(w.Between(time.Hour, 6*time.Hour))
}

func webScript(w *traffic.World) {
	office(w, 5, 2)
	h := w.Inside("web", traffic.Linux)
	w.Truth.PublicIP = w.Global().String()
	w.Convict(h, "likely", "spambot")
	b := newBot(w, h)
	name := "web1." + w.Word() + ".com"
	b.client, b.helo, b.tls = traffic.PostfixClient, func() string { return name }, 0.8
	b.from = func() string { return w.User() + "@" + w.Word() + ".com" }
	b.dead, b.refused, b.unknown = 0.08, 0.4, 0.2
	b.pace(1, 10, 500)
	b.run(w.Between(time.Hour, 20*time.Hour))
}

func infectedServer(w *traffic.World) {
	office(w, 6, 2)
	h := w.Inside("mail", traffic.Windows)
	m := w.NewMTA(h, w.Word()+".de")
	w.Truth.Config.Server(h.V4, "")
	w.Truth.Config.Domains = append(w.Truth.Config.Domains, m.Domain)
	list := w.Correspondents(40)
	inbound(w, m, list, 30)
	outbound(w, m, list, 30)
	w.Convict(h, "suspect", "spambot", "hijacked_account", "volume_anomaly", "blocklisted")
	b := newBot(w, h)
	b.pace(5, 30, 250)
	b.run(day + w.Between(time.Hour, 5*time.Hour))
}

func openRelay(encrypted bool) func(*traffic.World) {
	return func(w *traffic.World) {
		office(w, 5, 3)
		h := w.Inside("mail", traffic.Linux)
		m := w.NewMTA(h, w.Word()+".de")
		w.Truth.Config.Server(h.V4, "")
		w.Truth.Config.Domains = append(w.Truth.Config.Domains, m.Domain)
		list := w.Correspondents(40)
		inbound(w, m, list, 30)
		outbound(w, m, list, 30)
		classes := []string{"open_relay", "hijacked_account", "volume_anomaly"}
		if encrypted {
			w.Convict(h, "suspect", append(classes, "blocklisted")...)
		} else {
			w.Convict(h, "likely", "open_relay")
			w.Accept(h, "volume_anomaly", "blocklisted", "hijacked_account")
		}
		stranger := w.OwnDomain(w.Word() + ".com")
		at := 2*day + w.Between(time.Hour, 4*time.Hour)
		w.FirstBad(at)
		for range 80 + w.R.IntN(200) {
			d := w.Domain()
			mail := w.MailTo(w.User()+"@"+w.Word()+".com", d)
			s := &traffic.Session{Name: m.Name, As: w.Word(), Client: traffic.BotEhlo,
				Server: speaks(m), Mails: []traffic.Mail{mail}}
			if encrypted {
				s.TLS = traffic.StartTLS
			}
			t := w.Receive(at, stranger, h, s)
			if w.Chance(0.3) {
				mail.EndNo = w.Refusal(traffic.Pick(w, "spam", "spf", "listed"))
			}
			w.Deliver(t+w.Between(300*time.Millisecond, 3*time.Second), m, d, mail)
			at += w.Between(500*time.Millisecond, 30*time.Second)
		}
	}
}

func hijacked(w *traffic.World) {
	hosts := office(w, 6, 4)
	h := w.Inside("mail", traffic.Linux)
	m := w.NewMTA(h, w.Word()+".de")
	w.Truth.Config.Server(h.V4, "")
	w.Truth.Config.Domains = append(w.Truth.Config.Domains, m.Domain)
	list := w.Correspondents(40)
	users(w, m, hosts, 5)
	inbound(w, m, list, 30)
	outbound(w, m, list, 40)
	w.Convict(h, "suspect", "hijacked_account", "volume_anomaly", "blocklisted")
	at := 3*day + w.Between(time.Hour, 4*time.Hour)
	w.FirstBad(at)
	user := w.User() + "@" + m.Domain
	var strangers []*traffic.Host
	for range 30 {
		strangers = append(strangers, w.Outside(w.Global(), 100*time.Millisecond))
	}
	for range 250 + w.R.IntN(200) {
		k := w.Dial(at, strangers[w.R.IntN(30)], h, 587, false).Open()
		d := w.Domain()
		mail := w.MailTo(user, d)
		k.SMTP(&traffic.Session{Client: traffic.Library, Server: speaks(m), Name: m.Name,
			As: "[192.168.1.2]", TLS: traffic.StartTLS, Auth: "ok", Login: user,
			Mails: []traffic.Mail{mail}})
		if w.Chance(0.3) {
			mail.EndNo = w.Refusal("spam")
		}
		w.Deliver(k.T+time.Second, m, d, mail)
		at += w.Between(500*time.Millisecond, 20*time.Second)
	}
}

// mirrored is a bot in clear that a mirror shows in its own way, perhaps in a VLAN.
func mirrored(m traffic.Mirror, vlan uint16) func(*traffic.World) {
	return func(w *traffic.World) {
		b := infected(w, 6, 1)
		b.host.VLAN = vlan
		b.pace(5, 40, 250)
		begin := w.Between(time.Hour, 5*time.Hour)
		if m.From > 0 {
			begin = m.From - 10*minute
			b.n += 150
		}
		b.run(begin)
		w.Mirror = m
	}
}

func stolenLogin(w *traffic.World) {
	office(w, 6, 1)
	h := w.PC()
	w.Limit(h, "one account at one provider, in TLS: the same as a person who writes to many")
	a := w.Account(traffic.Pick(w, "m365", "google", "ionos", "gmx"))
	at := w.Between(time.Hour, 4*time.Hour)
	w.FirstBad(at)
	for range 150 {
		at = w.Submit(at, h, a, 1+w.R.IntN(5)) + w.Between(time.Second, 30*time.Second)
	}
}

func keyLogger(w *traffic.World) {
	office(w, 6, 3)
	h := w.PC()
	w.Limit(h, "a mail each few hours to one account: no spam, and the same as a device's reports")
	d := w.OwnDomain(w.Word() + ".com")
	a := &traffic.Account{Host: d.MX[0], Name: "mail." + d.Name, User: w.User() + "@" + d.Name,
		Port: 587, Client: traffic.Library}
	for at := time.Hour; at < w.Length; at += w.Between(2*time.Hour, 5*time.Hour) {
		w.Submit(at, h, a, 1)
	}
}
