package scene

import (
	"net/netip"
	"time"

	"spamsensor/bench/worlds/traffic"
)

// benignServers are scenarios of mail servers.
func benignServers() []Scene {
	return []Scene{
		{"small_mta", "a small mail server that nobody declared", Benign, smallMTA},
		{"greylist_mta", "a small mail server, many of whose recipients greylist",
			Benign, greylisted},
		{"exchange_dag", "three Exchange servers of one firm, which also mail each other", Benign,
			exchangeDAG},
		{"smarthost", "a server that sends everything through its provider's relay", Benign,
			smarthost},
		{"queue_flush", "a server that sends its queue after an outage of hours",
			Benign, queueFlush},
		{"provider_defers", "a provider defers all mail of a server for hours", Benign,
			providerDefers},
		{"forwarding", "a server that forwards mail for people who left, with the refusals for " +
			"SPF, DKIM and DMARC that this brings", Benign, forwarding},
		{"mailing_list", "a list with a few hundred members and one sender address each", Benign,
			mailingList},
		{"backup_mx", "a backup MX that holds mail for a firm whose server is down at times",
			Benign, backupMX},
		{"spam_gateway", "a gateway that refuses most mail and asks blocklists",
			Benign, spamGateway},
		{"load_balancer", "a load balancer in front of two servers, with its own address", Benign,
			loadBalancer},
		{"backscatter", "a server that bounces mail to forged senders", Benign, backscatter},
		{"callouts", "a server that verifies senders by asking their servers", Benign, callouts},
		{"autoresponder", "a server whose people are on holiday: answers to each sender", Benign,
			autoresponder},
		{"broken_ipv6", "a server whose IPv6 does not work: each delivery is tried twice", Benign,
			brokenIPv6},
		{"listed_server", "an honest server that is on a blocklist", Benign,
			refusedServer("listed", 0.25)},
		{"no_ptr", "a server without a reverse name, which large providers refuse", Benign,
			refusedServer("noptr", 0.25)},
		{"dmarc_reports", "a server that sends reports to a hundred domains each night", Benign,
			dmarcReports},
		{"mastodon", "a web server that sends its users notifications, from one domain", Benign,
			mastodon},
		{"web_hosting", "a web host that sends and receives mail for its customers' domains",
			Benign, webHosting},
		{"newsletter_bulk", "a newsletter server that is declared as bulk", Benign, newsletter},
		{"migration", "mailboxes that move to Microsoft 365: thousands of mails to one place",
			Benign, migration},
		{"vrrp_servers", "two mail servers with one address that moves between them", Benign, vrrp},
		{"vps_customers", "customers' servers at a host, each with a little mail", Benign,
			vpsCustomers},
		{"relay_down", "a server whose relay is down for hours", Benign, relayDown},
		{"honeypot", "a honeypot that takes all mail and sends none", Benign, honeypot},
		{"tarpit", "a tarpit that strangers connect to", Benign, tarpit},
		{"pop_connector", "a server that collects mail elsewhere and submits it by each person's " +
			"account", Benign, popConnector},
		{"dead_domains", "a server with old addresses: many domains have no server any more",
			Benign, deadDomains},
		{"nat_office", "a server and people with accounts elsewhere behind one public address",
			Benign, natOffice},
		{"send_only", "a server that sends notifications and receives nothing", Benign, sendOnly},
		{"blocked_mta", "a server whose way out is closed, and which tries for days", Benign,
			blockedMTA},
		{"old_mta_clear", "an old server without TLS, all of whose dialogues are readable", Benign,
			oldMTA},
	}
}

func smallMTA(w *traffic.World) {
	hosts := office(w, 8, 4)
	m := server(w)
	list := w.Correspondents(30 + w.R.IntN(60))
	users(w, m, hosts[:4], 3)
	inbound(w, m, list, 20+w.R.IntN(40))
	outbound(w, m, list, 20+w.R.IntN(60))
}

func oldMTA(w *traffic.World) {
	office(w, 6, 4)
	m := server(w)
	m.NoTLS = true
	list := w.Correspondents(60)
	inbound(w, m, list, 30)
	outbound(w, m, list, 40+w.R.IntN(60))
}

func greylisted(w *traffic.World) {
	office(w, 6, 2)
	m := server(w)
	list := w.Correspondents(60)
	for _, d := range list {
		d.Greylists = d.Own && w.Chance(0.7)
	}
	inbound(w, m, list, 25)
	outbound(w, m, list, 90)
}

func exchangeDAG(w *traffic.World) {
	hosts := office(w, 8, 3)
	m := server(w)
	m.Client, m.Host.Stack = traffic.ExchangeClient, traffic.Windows
	list := w.Correspondents(60)
	group := []*traffic.MTA{m}
	for range 2 {
		h := w.Inside("mail", traffic.Windows)
		w.Accept(h, "undeclared_server")
		w.Truth.Config.Server(h.V4, "")
		if h.V6.IsValid() {
			w.Truth.Config.Server(h.V6, "")
		}
		more := *m
		more.Host = h
		group = append(group, &more)
	}
	users(w, m, hosts[:4], 3)
	for _, x := range group {
		inbound(w, x, list, 15)
		outbound(w, x, list, 25)
		for _, d := range w.Workdays() {
			for _, at := range w.WorkTimes(d, 12) {
				to := group[w.R.IntN(3)]
				if to == x {
					continue
				}
				k := w.Dial(at, x.Host, to.Host, traffic.Pick[uint16](w, 25, 25, 2525), false)
				k.Open().SMTP(&traffic.Session{Client: traffic.ExchangeClient,
					Server: traffic.Exchange, Name: to.Name, As: x.Name, TLS: traffic.StartTLS,
					Mails: []traffic.Mail{{From: w.User() + "@" + w.Word() + ".com",
						To: traffic.To(w.User() + "@" + m.Domain), Bytes: 3000}}})
			}
		}
	}
}

func smarthost(w *traffic.World) {
	hosts := office(w, 8, 4)
	m := server(w)
	list := w.Correspondents(20)
	users(w, m, hosts[:5], 3)
	inbound(w, m, list, 25)
	p := w.Provider(traffic.Pick(w, "ionos", "strato", "ovh", "hosteurope"))
	a := &traffic.Account{Provider: p, User: w.User() + "@" + m.Domain, Client: m.Client,
		Port: traffic.Pick[uint16](w, 587, 465, 25)}
	for _, h := range p.Pool {
		w.Truth.Config.Relays = append(w.Truth.Config.Relays, h.V4.String())
	}
	w.Habit(m.Host, []*traffic.Account{a}, 60)
}

func queueFlush(w *traffic.World) {
	hosts := office(w, 6, 3)
	m := server(w)
	list := w.Correspondents(80)
	users(w, m, hosts[:4], 4)
	inbound(w, m, list, 25)
	outbound(w, m, list, 50)
	w.Accept(m.Host, "volume_anomaly") // its queue grows
	// The line is down for some hours of the second day: no answers, then all at once.
	from := day + w.Between(2*time.Hour, 5*time.Hour)
	back := from + w.Between(2*time.Hour, 7*time.Hour)
	n := 60 + w.R.IntN(150)
	for range n {
		d := list[w.R.IntN(len(list))]
		at := w.Between(from, back)
		for ; at < back; at += w.Between(5*minute, 60*minute) {
			target, _, t := w.Target(at, m.Host, d)
			w.Dial(t, m.Host, target, 25, false).Silent(2)
		}
		honest(w, m, d, back+w.Between(0, 10*minute), w.User()+"@"+m.Domain)
	}
}

func providerDefers(w *traffic.World) {
	office(w, 6, 2)
	m := server(w)
	list := w.Correspondents(40)
	inbound(w, m, list, 25)
	outbound(w, m, list, 40)
	w.Accept(m.Host, "volume_anomaly")
	d := w.Consumer()
	no := w.Refusal("rate")
	at := w.Between(2*time.Hour, 6*time.Hour)
	end := at + w.Between(3*time.Hour, 8*time.Hour)
	for range 20 + w.R.IntN(30) {
		mail := w.MailTo(w.User()+"@"+m.Domain, d)
		wait := 5 * minute
		for t := w.Between(at, end-time.Hour); ; t += wait {
			if t > end {
				w.Deliver(t, m, d, mail)
				break
			}
			s := &traffic.Session{Banner: no}
			if no[:3] != "421" {
				again := mail
				again.To = []traffic.Rcpt{{To: mail.To[0].To, No: no}}
				s = &traffic.Session{Mails: []traffic.Mail{again}}
			}
			w.DeliverAs(t, m, d, s)
			wait = min(2*wait, 70*minute)
		}
	}
}

func forwarding(w *traffic.World) {
	office(w, 5, 3)
	m := server(w)
	list := w.Correspondents(70)
	outbound(w, m, list, 15)
	targets := []*traffic.Domain{w.Consumer(), w.Consumer(), w.Consumer()}
	for _, d := range w.Workdays() {
		for _, at := range w.WorkTimes(d, 50+w.R.IntN(40)) {
			from := list[w.R.IntN(len(list))]
			receive(w, m, from, at)
			mail := w.MailTo(w.User()+"@"+from.Name, targets[w.R.IntN(3)])
			if w.Chance(0.2) {
				mail.EndNo = w.Refusal(traffic.Pick(w, "spf", "dmarc", "spam"))
			}
			w.Deliver(at+w.Between(time.Second, 6*time.Second), m, targets[w.R.IntN(3)], mail)
		}
	}
}

func mailingList(w *traffic.World) {
	office(w, 5, 2)
	m := server(w)
	list := w.Correspondents(90)
	inbound(w, m, list, 25)
	outbound(w, m, list, 15)
	for _, d := range w.Workdays() {
		for _, at := range w.WorkTimes(d, 2+w.R.IntN(3)) {
			for i, to := range list {
				honest(w, m, to, at+time.Duration(i)*w.Between(20*time.Millisecond, 2*time.Second),
					"list-bounces+"+w.Word()+"@"+m.Domain)
			}
		}
	}
}

func backupMX(w *traffic.World) {
	office(w, 5, 3)
	m := server(w)
	list := w.Correspondents(40)
	other := w.OwnDomain(w.Word() + ".de")
	w.Truth.Config.Domains = append(w.Truth.Config.Domains, other.Name)
	w.Accept(m.Host, "open_relay", "volume_anomaly") // without its domains, it looks like a relay
	outbound(w, m, list, 15)
	inbound(w, m, list, 15)
	down := w.Between(2*time.Hour, day)
	for range 40 + w.R.IntN(60) {
		at := down + w.Between(0, 5*time.Hour)
		from := list[w.R.IntN(len(list))]
		mail := w.MailTo(w.User()+"@"+from.Name, other)
		w.Receive(at, from, m.Host, &traffic.Session{Name: m.Name, Mails: []traffic.Mail{mail}})
		for t := at + time.Second; t < down+5*time.Hour; t += w.Between(10*minute, 70*minute) {
			w.Dial(t, m.Host, other.MX[0], 25, false).Silent(2)
		}
		w.Deliver(down+5*time.Hour+w.Between(0, 20*minute), m, other, mail)
	}
}

func spamGateway(w *traffic.World) {
	office(w, 5, 2)
	m := server(w)
	in := w.Inside("exchange", traffic.Windows)
	w.Accept(in, "undeclared_server")
	w.Truth.Config.Server(in.V4, "")
	list := w.Correspondents(50)
	outbound(w, m, list, 30)
	for _, d := range []int{0, 1} {
		for _, at := range w.WorkTimes(d, 150) {
			from := list[w.R.IntN(len(list))]
			if w.Chance(0.5) {
				from = w.OwnDomain(w.Word() + ".com")
			}
			s := &traffic.Session{Name: m.Name, Mails: []traffic.Mail{w.MailTo(
				w.User()+"@"+from.Name, &traffic.Domain{Name: m.Domain})}}
			b := from.MX[0].V4.As4()
			w.Ask(at+20*time.Millisecond, m.Host, "A", reversed(b)+".zen.spamhaus.org",
				traffic.Pick(w, "", "127.0.0.2"))
			if w.Chance(0.6) {
				s.Mails[0].To[0].No = w.Refusal(traffic.Pick(w, "listed", "unknown", "greylist"))
				w.Receive(at, from, m.Host, s)
				continue
			}
			t := w.Receive(at, from, m.Host, s)
			k := w.Dial(t+time.Second, m.Host, in, 25, false).Open()
			k.SMTP(&traffic.Session{Client: m.Client, Server: traffic.Exchange, Name: "exchange",
				As: m.Name, TLS: traffic.StartTLS, Mails: s.Mails})
		}
	}
}

// reversed is an address in the order of blocklists.
func reversed(b [4]byte) string {
	return netip.AddrFrom4([4]byte{b[3], b[2], b[1], b[0]}).String()
}

func loadBalancer(w *traffic.World) {
	office(w, 5, 3)
	m := server(w)
	lb := w.Inside("balancer", traffic.Linux)
	list := w.Correspondents(40)
	outbound(w, m, list, 20)
	for _, d := range w.Workdays() {
		for _, at := range w.WorkTimes(d, 60) {
			from := list[w.R.IntN(len(list))]
			k := w.Dial(at, lb, m.Host, 25, false).Open()
			s := &traffic.Session{Client: traffic.PostfixClient, Server: speaks(m), Name: m.Name,
				As: "mail." + from.Name, Mails: []traffic.Mail{w.MailTo(w.User()+"@"+from.Name,
					&traffic.Domain{Name: m.Domain})}}
			if w.Chance(0.5) {
				s.TLS = traffic.StartTLS
			}
			if w.Chance(0.15) {
				s.Mails[0].To[0].No = w.Refusal("unknown")
			}
			k.SMTP(s)
		}
		// It also tests whether the server lives.
		for t := time.Duration(d) * day; t < time.Duration(d+1)*day; t += 10 * minute {
			if t > 0 && t < w.Length {
				k := w.Dial(t, lb, m.Host, 25, false).Open()
				k.SMTP(&traffic.Session{Client: traffic.Library, Server: speaks(m), Name: m.Name,
					As: "localhost"})
			}
		}
	}
}

func backscatter(w *traffic.World) {
	office(w, 5, 1)
	m := server(w)
	w.Accept(m.Host, "backscatter", "blocklisted", "volume_anomaly")
	list := w.Correspondents(40)
	outbound(w, m, list, 30)
	begin := w.Between(2*time.Hour, 5*time.Hour)
	for range 120 + w.R.IntN(250) {
		at := begin + w.Between(0, 5*time.Hour)
		from := w.Domain()
		victim := w.Domain()
		victim.Dead = w.Chance(0.05)
		mail := w.MailTo(w.User()+"@"+victim.Name, &traffic.Domain{Name: m.Domain})
		w.Receive(at, from, m.Host, &traffic.Session{Name: m.Name, Mails: []traffic.Mail{mail}})
		bounce := w.MailTo("", victim)
		if w.Chance(0.35) {
			bounce.To[0].No = w.Refusal("unknown")
		} else if w.Chance(0.1) {
			bounce.EndNo = w.Refusal("spam")
		}
		w.Deliver(at+w.Between(time.Second, 5*time.Second), m, victim, bounce)
	}
}

func callouts(w *traffic.World) {
	office(w, 5, 3)
	m := server(w)
	m.Client = traffic.EximClient
	w.Accept(m.Host, "scanner")
	list := w.Correspondents(50)
	outbound(w, m, list, 25)
	for _, d := range w.Workdays() {
		for _, at := range w.WorkTimes(d, 70) {
			from := w.Domain()
			receive(w, m, from, at)
			mail := traffic.Mail{To: traffic.To(w.User() + "@" + from.Name)}
			if w.Chance(0.3) {
				mail.To[0].No = w.Refusal("unknown")
			}
			verify(w, m, from, at+30*time.Millisecond, mail)
		}
	}
}

// verify asks a domain's server about a recipient, and sends nothing.
func verify(w *traffic.World, m *traffic.MTA, d *traffic.Domain, at time.Duration,
	mail traffic.Mail) {
	target, name, at := w.Target(at, m.Host, d)
	k := w.Dial(at, m.Host, target, 25, false).Open()
	k.SMTP(&traffic.Session{Client: m.Client, Server: d.Style, Name: name, As: m.Name,
		Verify: true, Mails: []traffic.Mail{mail}})
}

func autoresponder(w *traffic.World) {
	office(w, 5, 3)
	m := server(w)
	w.Accept(m.Host, "backscatter")
	list := w.Correspondents(60)
	outbound(w, m, list, 40)
	for _, d := range w.Workdays() {
		for _, at := range w.WorkTimes(d, 50) {
			from := list[w.R.IntN(len(list))]
			receive(w, m, from, at)
			if w.Chance(0.5) {
				w.Deliver(at+w.Between(time.Second, 4*time.Second), m, from, w.MailTo("", from))
			}
		}
	}
}

func brokenIPv6(w *traffic.World) {
	w.EnableV6()
	w.Length = 3 * day
	w.Office(5)
	m := server(w)
	m.V6 = false
	list := w.Correspondents(60)
	inbound(w, m, list, 25)
	for _, d := range w.Workdays() {
		for _, at := range w.WorkTimes(d, 60) {
			to := list[w.R.IntN(len(list))]
			if h := to.MX[0]; h.V6.IsValid() {
				w.Dial(at, m.Host, h, 25, true).Silent(4)
				at += w.Between(20*time.Second, 32*time.Second)
			}
			honest(w, m, to, at, w.User()+"@"+m.Domain)
		}
	}
}

// refusedServer is an honest server that a share of the receivers refuses for one reason.
func refusedServer(kind string, share float64) func(*traffic.World) {
	return func(w *traffic.World) {
		office(w, 5, 3)
		m := server(w)
		w.Accept(m.Host, "blocklisted")
		list := w.Correspondents(50)
		refuses := map[*traffic.Domain]string{}
		for _, d := range list {
			if w.Chance(share) {
				refuses[d] = w.Refusal(kind)
			}
		}
		inbound(w, m, list, 30)
		for _, d := range w.Workdays() {
			for _, at := range w.WorkTimes(d, 60) {
				to := list[w.R.IntN(len(list))]
				if no := refuses[to]; no != "" {
					mail := w.MailTo(w.User()+"@"+m.Domain, to)
					mail.To[0].No = no
					w.Deliver(at, m, to, mail)
					continue
				}
				honest(w, m, to, at, w.User()+"@"+m.Domain)
			}
		}
	}
}

func dmarcReports(w *traffic.World) {
	office(w, 4, 3)
	m := server(w)
	list := w.Correspondents(100)
	inbound(w, m, list, 40)
	outbound(w, m, list, 25)
	for d := range 3 {
		at := time.Duration(d)*day + 18*time.Hour
		for i, to := range list {
			honest(w, m, to, at+time.Duration(i)*w.Between(50*time.Millisecond, time.Second),
				"noreply-dmarc@"+m.Domain)
		}
	}
}

func mastodon(w *traffic.World) {
	office(w, 4, 3)
	m := server(w)
	m.Client = traffic.PostfixClient
	list := w.Correspondents(120)
	inbound(w, m, list[:20], 6) // bounces and answers
	for d := range 3 {
		for range 120 {
			at := time.Duration(d)*day + w.Between(0, day)
			honest(w, m, list[w.R.IntN(len(list))], at, "notifications@"+m.Domain)
		}
	}
}

func webHosting(w *traffic.World) {
	office(w, 4, 2)
	m := server(w)
	list := w.Correspondents(100)
	var customers []string
	for range 200 {
		customers = append(customers, w.Word()+".de")
	}
	w.Truth.Config.Domains = append(w.Truth.Config.Domains, customers...)
	for d := range 2 {
		for range 150 {
			at := time.Duration(d)*day + w.Between(0, day)
			from := list[w.R.IntN(len(list))]
			mine := traffic.Pick(w, customers...)
			w.Receive(at, from, m.Host, &traffic.Session{Name: m.Name, Mails: []traffic.Mail{
				w.MailTo(w.User()+"@"+from.Name, &traffic.Domain{Name: mine})}})
			honest(w, m, list[w.R.IntN(len(list))], at+w.Between(0, time.Hour),
				w.User()+"@"+traffic.Pick(w, customers...))
		}
	}
}

func newsletter(w *traffic.World) {
	office(w, 4, 2)
	h := w.Inside("news", traffic.Linux)
	m := w.NewMTA(h, w.Word()+".com")
	m.Client = traffic.PostfixClient
	w.Accept(h, "undeclared_server", "volume_anomaly")
	w.Truth.PublicIP = w.Global().String()
	w.Truth.Config.Server(h.V4, "bulk")
	if h.V6.IsValid() {
		w.Truth.Config.Server(h.V6, "bulk")
	}
	w.Truth.Config.Domains = append(w.Truth.Config.Domains, m.Domain)
	list := w.Correspondents(150 + w.R.IntN(100))
	inbound(w, m, list[:30], 20) // bounces and answers
	begin := w.Between(4*time.Hour, 8*time.Hour)
	for range 400 + w.R.IntN(300) {
		honest(w, m, list[w.R.IntN(len(list))], begin+w.Between(0, 2*time.Hour),
			"news@"+m.Domain)
	}
}

func migration(w *traffic.World) {
	office(w, 5, 2)
	m := server(w)
	w.Accept(m.Host, "volume_anomaly")
	list := w.Correspondents(30)
	inbound(w, m, list, 20)
	outbound(w, m, list, 20)
	tenant := w.Domain()
	for tenant.Provider != "m365" {
		tenant = w.Domain()
	}
	at := w.Between(4*time.Hour, 10*time.Hour)
	for range 150 + w.R.IntN(200) {
		var mails []traffic.Mail
		for range 1 + w.R.IntN(3) {
			mails = append(mails, w.MailTo(w.User()+"@"+list[w.R.IntN(30)].Name, tenant))
		}
		at = w.Deliver(at, m, tenant, mails...) + w.Between(0, 3*time.Second)
	}
}

func vrrp(w *traffic.World) {
	office(w, 5, 3)
	m := server(w)
	list := w.Correspondents(40)
	second := *m.Host
	second.MAC = w.RandomMAC()
	other := *m
	other.Host = &second
	for i, d := range w.Workdays() {
		active := m
		if i%2 == 1 {
			active = &other
		}
		for _, at := range w.WorkTimes(d, 40) {
			honest(w, active, list[w.R.IntN(40)], at, w.User()+"@"+m.Domain)
			receive(w, active, list[w.R.IntN(40)], at+minute)
		}
	}
}

func vpsCustomers(w *traffic.World) {
	w.Length = 3 * day
	p := outer(w)
	base := p.host.V4.As4()
	net := netip.PrefixFrom(netip.AddrFrom4([4]byte{base[0], base[1], base[2], 0}), 24)
	w.Truth.Home, w.Net4 = []string{net.String()}, net
	for range 6 + w.R.IntN(4) {
		m := server(w)
		w.Truth.PublicIP = ""
		list := w.Correspondents(15)
		inbound(w, m, list, 8)
		outbound(w, m, list, 12)
	}
}

func relayDown(w *traffic.World) {
	hosts := office(w, 6, 2)
	m := server(w)
	users(w, m, hosts[:3], 4)
	w.Accept(m.Host, "volume_anomaly")
	p := w.Provider(traffic.Pick(w, "ionos", "strato", "ovh"))
	a := &traffic.Account{Provider: p, User: w.User() + "@" + m.Domain, Client: m.Client, Port: 587}
	w.Habit(m.Host, []*traffic.Account{a}, 30)
	inbound(w, m, w.Correspondents(20), 20)
	for at := w.Between(3*time.Hour, 6*time.Hour); at < 14*time.Hour; {
		k := w.Dial(at, m.Host, p.Pool[w.R.IntN(len(p.Pool))], 587, false)
		if w.Chance(0.5) {
			k.Silent(-1)
		} else {
			k.Refuse(0, nil)
		}
		at += w.Between(10*time.Second, 5*minute)
	}
}

func honeypot(w *traffic.World) {
	w.Length = 2 * day
	w.Office(5)
	h := w.Inside("honeypot", traffic.Linux)
	w.Accept(h, "open_relay", "undeclared_server")
	for range 60 + w.R.IntN(60) {
		at := w.Between(0, w.Length)
		from := w.OwnDomain(w.Word() + ".com")
		victim := w.Domain()
		w.Receive(at, from, h, &traffic.Session{Name: "mail.honey.example", As: w.Word(),
			Client: traffic.BotEhlo, Mails: []traffic.Mail{w.MailTo(w.User()+"@"+w.Word()+".com",
				victim)}})
	}
}

func tarpit(w *traffic.World) {
	w.Length = 2 * day
	w.Office(6)
	h := w.Inside("tarpit", traffic.Linux)
	for range 80 {
		at := w.Between(0, w.Length)
		from := w.Outside(w.Global(), 90*time.Millisecond)
		k := w.Dial(at, from, h, 25, false).Open()
		for range w.R.IntN(8) {
			k.Send(false, []byte("220-wait\r\n"), w.Between(10*time.Second, 20*time.Second))
		}
		k.Reset(true, w.Between(time.Second, 30*time.Second))
	}
}

func popConnector(w *traffic.World) {
	hosts := office(w, 6, 4)
	m := server(w)
	users(w, m, hosts[:4], 4)
	var list []*traffic.Account
	for range 3 + w.R.IntN(4) {
		a := w.Account(traffic.Pick(w, "gmx", "webde", "tonline", "ionos", "google", "strato"))
		a.Client = traffic.ExchangeClient
		list = append(list, a)
	}
	w.Habit(m.Host, list, 25)
}

func natOffice(w *traffic.World) {
	w.Length = 4 * day
	p := outer(w)
	m := serverAt(w, p.behind(traffic.Linux))
	list := w.Correspondents(40)
	inbound(w, m, list, 25)
	outbound(w, m, list, 30)
	for range 4 + w.R.IntN(10) {
		h := p.behind(anyStack(w))
		w.Habit(h, accounts(w, 1+w.R.IntN(2), traffic.Phone), 4)
	}
}

func sendOnly(w *traffic.World) {
	office(w, 5, 4)
	m := server(w)
	m.NoTLS = false
	list := w.Correspondents(80 + w.R.IntN(80))
	for _, d := range list {
		d.Dead = d.Own && w.Chance(0.04)
	}
	for d := range 4 {
		for range 40 + w.R.IntN(60) {
			at := time.Duration(d)*day + w.Between(0, day)
			honest(w, m, list[w.R.IntN(len(list))], at, "noreply@"+m.Domain)
		}
	}
}

// blockedMTA may be suspected, as everything that tries many servers may, but not accused: it
// tries the same ones again and again, with growing waits.
func blockedMTA(w *traffic.World) {
	office(w, 6, 3)
	m := server(w)
	w.Accept(m.Host, "volume_anomaly")
	w.Truth.NoLevel = append(w.Truth.NoLevel, m.Host.V4.String())
	how := w.R.IntN(3)
	for range 8 + w.R.IntN(8) {
		d := w.Domain()
		wait := 5 * minute
		for at := w.Between(time.Hour, 30*time.Hour); at < w.Length; at += wait {
			target, _, t := w.Target(at, m.Host, d)
			k := w.Dial(t, m.Host, target, 25, false)
			switch how {
			case 0:
				k.Silent(-1)
			case 1:
				k.Refuse(0, w.Gateway)
			default:
				k.Unreachable(13, w.Gateway, 0)
			}
			wait = min(2*wait, 70*minute)
		}
	}
}

func deadDomains(w *traffic.World) {
	office(w, 5, 3)
	m := server(w)
	list := w.Correspondents(80)
	for _, d := range list {
		d.Dead = d.Own && w.Chance(0.25)
	}
	inbound(w, m, w.Correspondents(30), 25)
	outbound(w, m, list, 50)
}
