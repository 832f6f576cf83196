package scene

import (
	"net/netip"
	"time"

	"spamsensor/bench/worlds/traffic"
)

// benignOffice are scenarios of people and devices.
func benignOffice() []Scene {
	return []Scene{
		{"office", "workstations that submit a few mails a day to the firm's provider", Benign,
			func(w *traffic.World) { office(w, 14, 5) }},
		{"phones", "telephones and tablets with several accounts each", Benign, phones},
		{"account_setup", "accounts that mail programs set up by guessing names and ports", Benign,
			accountSetup},
		{"m365_office", "an office that uses Microsoft 365, some devices included", Benign,
			providerOffice("m365")},
		{"google_workspace", "an office that uses Google Workspace", Benign,
			providerOffice("google")},
		{"six_accounts", "a consultant's laptop with six accounts at small hosters", Benign,
			sixAccounts},
		{"mail_merge", "a person who sends hundreds of letters by one account", Benign, mailMerge},
		{"developer", "a developer's programs that log in at one provider's sandbox", Benign,
			developer},
		{"ci_mailhog", "tests that send thousands of mails to a server for tests inside", Benign,
			ciMailhog},
		{"ses_app", "a shop that sends its mails through Amazon SES", Benign, sesApp},
		{"ticket_system", "a ticket system that answers customers through the firm's server",
			Benign, ticketSystem},
		{"erp_invoices", "an ERP system that sends all invoices on one day", Benign, erpInvoices},
		{"wordpress", "web sites that send the mails of their forms by a provider", Benign,
			wordpress},
		{"phishing_training", "a device that sends harmless phishing mails to its own firm",
			Benign, phishingTraining},
		{"school", "a school: many machines, little mail", Benign,
			func(w *traffic.World) { office(w, 40, 5) }},
		{"clinic", "a clinic whose programs submit to a connector inside", Benign, clinic},
		{"privacy_addresses", "machines that draw another IPv6 address each day", Benign,
			privacyAddresses},
		{"dead_ipv6", "machines whose IPv6 does not work, and that fall back to IPv4", Benign,
			deadIPv6},
		{"nat64_office", "an office with IPv6 alone, which reaches IPv4 through NAT64", Benign,
			nat64Office},
		{"dhcp_churn", "machines that get another address every day", Benign, dhcpChurn},
		{"mac_randomisation", "telephones with another link-layer address every day", Benign,
			macRandom},
		{"vlan_trunk", "a mirrored trunk with several VLANs", Benign, vlanTrunk},
		{"vrrp_gateway", "two routers that take turns as the gateway", Benign, vrrpGateway},
	}
}

func phones(w *traffic.World) {
	office(w, 6, 3)
	for range 4 {
		h := w.Inside("phone", traffic.Pick(w, traffic.MacOS, traffic.Android))
		if w.Chance(0.7) {
			h.MAC = w.RandomMAC()
		}
		w.Habit(h, accounts(w, 2+w.R.IntN(4), traffic.Phone), 6)
	}
}

// accounts are n accounts of one person.
func accounts(w *traffic.World, n int, c *traffic.Client) (list []*traffic.Account) {
	for range n {
		a := w.Account(traffic.Pick(w, traffic.Consumers...))
		a.Client = c
		list = append(list, a)
	}
	return list
}

// accountSetup lets mail programs try the usual names and ports for several accounts.
func accountSetup(w *traffic.World) {
	office(w, 6, 1)
	for range 2 + w.R.IntN(3) {
		h := w.PC()
		h.NoDNS = false
		at := w.Between(2*time.Hour, 5*time.Hour)
		for range 1 + w.R.IntN(3) {
			d := w.OwnDomain(w.Word() + ".de")
			if w.Chance(0.5) {
				w.MX(at, h, d.Name, d.MXNames...)
				w.Ask(at+10*time.Millisecond, h, "SRV", "_submission._tcp."+d.Name, "")
				w.Resolve(at+20*time.Millisecond, h, "autoconfig."+d.Name, nil, nil)
				w.Resolve(at+20*time.Millisecond, h, "autodiscover."+d.Name, nil, nil)
			}
			guess(w, h, d, at+time.Second)
			a := &traffic.Account{Host: d.MX[0], Name: d.MXNames[0], User: w.User() + "@" + d.Name,
				Port: traffic.Pick[uint16](w, 587, 465), Client: traffic.Thunderbird}
			at = w.Submit(at+30*time.Second, h, a, 1) + w.Between(minute, 10*minute)
			w.Habit(h, []*traffic.Account{a}, 3)
		}
	}
}

// guess tries names and ports side by side, as Thunderbird does.
func guess(w *traffic.World, h *traffic.Host, d *traffic.Domain, at time.Duration) {
	for _, name := range []string{"smtp.", "mail.", ""} {
		target := d.MX[0]
		if name != "mail." && w.Chance(0.7) {
			if w.Chance(0.6) {
				w.Resolve(at, h, name+d.Name, nil, nil)
				continue
			}
			target = w.Outside(w.Global(), 20*time.Millisecond)
		}
		t := w.Resolve(at, h, name+d.Name, []netip.Addr{target.V4}, nil)
		for _, port := range []uint16{587, 465, 25} {
			k := w.Dial(t, h, target, port, false)
			switch {
			case target != d.MX[0]:
				k.Silent(1 + w.R.IntN(2))
			case w.Chance(0.3):
				k.Refuse(0, nil)
			case port == 465:
				k.Open().TLS(name + d.Name)
				k.Say(false, "220 "+d.MXNames[0]+" ESMTP\r\n", 20*time.Millisecond)
				k.Close(true, time.Millisecond)
			default:
				k.Open().SMTP(&traffic.Session{Client: traffic.Thunderbird, Server: d.Style,
					Name: d.MXNames[0], As: "we-guess.mozilla.org"})
			}
		}
	}
}

// providerOffice is an office whose people and devices use one large provider.
func providerOffice(key string) func(*traffic.World) {
	return func(w *traffic.World) {
		w.Length = 5 * day
		if w.Chance(0.5) {
			w.EnableV6()
		}
		for range 10 {
			h := w.PC()
			w.Habit(h, []*traffic.Account{w.Account(key)}, 2+w.R.IntN(10))
		}
		for range 3 {
			h := w.Inside("device", traffic.Pick(w, traffic.Printer, traffic.Embedded,
				traffic.Linux))
			a := w.Account(key)
			a.Client = traffic.Device
			w.Habit(h, []*traffic.Account{a}, 15+w.R.IntN(30))
		}
	}
}

func sixAccounts(w *traffic.World) {
	office(w, 5, 4)
	h := w.PC()
	var list []*traffic.Account
	for range 5 + w.R.IntN(3) {
		d := w.OwnDomain(w.Word() + ".de")
		list = append(list, &traffic.Account{Host: d.MX[0], Name: "mail." + d.Name,
			User: w.User() + "@" + d.Name, Port: traffic.Pick[uint16](w, 587, 465),
			Client: traffic.Thunderbird})
	}
	w.Habit(h, list, 10)
}

func mailMerge(w *traffic.World) {
	office(w, 6, 1)
	h := w.PC()
	a := w.Account(traffic.Pick(w, "m365", "google", "ionos", "strato", "gmx"))
	at := w.Between(3*time.Hour, 6*time.Hour)
	n := 200 + w.R.IntN(300)
	each := 1 + w.R.IntN(20)
	for range n / each {
		at = w.Submit(at, h, a, each) + w.Between(500*time.Millisecond, 4*time.Second)
	}
}

func developer(w *traffic.World) {
	office(w, 6, 2)
	h := w.Inside("dev", traffic.Pick(w, traffic.Linux, traffic.MacOS))
	d := w.OwnDomain("mailtrap.example")
	a := &traffic.Account{Host: d.MX[0], Name: "sandbox.smtp." + d.Name, User: w.Word(),
		Port: traffic.Pick[uint16](w, 2525, 587, 25, 465), Client: traffic.Library,
		Plain: w.Chance(0.6), From: func() string { return w.User() + "@" + w.Word() + ".com" }}
	if a.Port == 465 {
		a.Plain = false
	}
	if w.Chance(0.5) { // several addresses, as such services have
		a.Host, a.Provider = nil, w.Provider(traffic.Pick(w, "mailgun", "mailjet", "sendgrid"))
	}
	w.Habit(h, []*traffic.Account{a}, 80)
}

func ciMailhog(w *traffic.World) {
	office(w, 6, 2)
	hog := w.Inside("mailhog", traffic.Linux)
	w.Accept(hog, "open_relay", "undeclared_server")
	port := traffic.Pick[uint16](w, 2525, 25, 587, 1025)
	for range 2 {
		ci := w.Inside("ci", traffic.Linux)
		for _, d := range w.Workdays() {
			for _, at := range w.WorkTimes(d, 8) {
				for range 20 {
					k := w.Dial(at, ci, hog, port, false)
					k.Open().SMTP(&traffic.Session{Client: traffic.Library,
						Server: traffic.MailHog, Name: "mailhog", As: "ci-runner",
						Mails: []traffic.Mail{
							w.MailTo(w.User()+"@"+w.Word()+".test",
								&traffic.Domain{Name: w.Word() + ".test"})}})
					at = k.T + 50*time.Millisecond
				}
			}
		}
	}
}

func sesApp(w *traffic.World) {
	office(w, 6, 2)
	h := w.Inside("shop", traffic.Linux)
	a := w.Account("ses")
	a.Client, a.User = traffic.Library, "orders@"+w.Word()+".com"
	a.Port = traffic.Pick[uint16](w, 587, 465, 587, 25)
	w.Habit(h, []*traffic.Account{a}, 60)
	at := w.Between(4*time.Hour, 9*time.Hour)
	for range 60 {
		w.Submit(at, h, a, 1+w.R.IntN(10))
		at += w.Between(0, 20*time.Second)
	}
	for _, p := range a.Provider.Pool {
		w.Truth.Config.Relays = append(w.Truth.Config.Relays, p.V4.String())
	}
}

func ticketSystem(w *traffic.World) {
	hosts := office(w, 6, 3)
	m := server(w)
	list := w.Correspondents(60)
	users(w, m, hosts[:3], 3)
	inbound(w, m, list, 40)
	h := w.Inside("tickets", traffic.Linux)
	for _, d := range w.Workdays() {
		for _, at := range w.WorkTimes(d, 80) {
			to := list[w.R.IntN(len(list))]
			throughServer(w, m, h, to, at, w.MailTo("support@"+m.Domain, to), nil)
		}
	}
}

// throughServer lets a host give a mail to the firm's server in clear on port 25; the server
// delivers it, unless it refuses the recipient.
func throughServer(w *traffic.World, m *traffic.MTA, h *traffic.Host, to *traffic.Domain,
	at time.Duration, mail traffic.Mail, c *traffic.Client) {
	if c == nil {
		c = traffic.PHPMailer
	}
	k := w.Dial(at, h, m.Host, 25, !h.V4.IsValid()).Open()
	k.SMTP(&traffic.Session{Client: c, Server: speaks(m), Name: m.Name, As: h.Name,
		Mails: []traffic.Mail{mail}})
	if mail.To[0].No == "" {
		honest(w, m, to, k.T+w.Between(200*time.Millisecond, 2*time.Second), mail.From)
	}
}

func erpInvoices(w *traffic.World) {
	hosts := office(w, 6, 2)
	m := server(w)
	w.Accept(m.Host, "volume_anomaly")
	list := w.Correspondents(120)
	users(w, m, hosts[:3], 3)
	inbound(w, m, list, 25)
	h := w.Inside("erp", traffic.Windows)
	at := day + w.Between(2*time.Hour, 6*time.Hour)
	for range 150 + w.R.IntN(150) {
		to := list[w.R.IntN(len(list))]
		throughServer(w, m, h, to, at, w.MailTo("invoices@"+m.Domain, to), nil)
		at += w.Between(time.Second, 15*time.Second)
	}
}

func wordpress(w *traffic.World) {
	office(w, 5, 3)
	for range 3 {
		h := w.Inside("web", traffic.Linux)
		a := w.Account(traffic.Pick(w, "sendgrid", "mailgun", "mailjet", "brevo", "ionos",
			"google"))
		a.Client, a.Port = traffic.PHPMailer, 587
		w.Habit(h, []*traffic.Account{a}, 10+w.R.IntN(60))
	}
}

func phishingTraining(w *traffic.World) {
	office(w, 6, 2)
	h := w.Inside("training", traffic.Linux)
	tenant := w.Domain()
	for tenant.Provider == "" {
		tenant = w.Domain()
	}
	w.Accept(h, "undeclared_server")
	w.Truth.Config.Server(h.V4, "bulk")
	for _, x := range w.Provider(tenant.Provider).MX {
		w.Truth.Config.Relays = append(w.Truth.Config.Relays, x.V4.String())
	}
	m := w.NewMTA(h, w.Word()+".com")
	m.NoTLS = false
	at := w.Between(3*time.Hour, 6*time.Hour)
	var senders []string
	for range 4 {
		senders = append(senders, w.User()+"@"+w.Word()+".com")
	}
	for range 60 + w.R.IntN(60) {
		at = w.Deliver(at, m, tenant, w.MailTo(traffic.Pick(w, senders...), tenant)) +
			w.Between(10*time.Second, 3*minute)
	}
}

func clinic(w *traffic.World) {
	w.Length = 4 * day
	m := server(w)
	in := traffic.Account{Host: m.Host, Name: m.Name, Port: 465, Client: traffic.Library}
	for range 12 {
		h := w.PC()
		a := in
		a.User = w.User() + "@" + m.Domain
		w.Habit(h, []*traffic.Account{&a}, 8)
	}
	p := w.Account("tonline")
	p.Client, p.Port = traffic.Library, 465
	w.Habit(m.Host, []*traffic.Account{p}, 60)
}

func privacyAddresses(w *traffic.World) {
	w.EnableV6()
	w.Length = 5 * day
	for range 10 {
		h := w.PC()
		list := accounts(w, 1+w.R.IntN(2), traffic.Phone)
		addrs := []netip.Addr{h.V4, h.V6}
		for _, d := range w.Workdays() {
			for _, at := range w.WorkTimes(d, 6) {
				a := list[w.R.IntN(len(list))]
				a.V6 = true
				w.Submit(at, h, a, 1)
			}
			h.V6 = w.Privacy()
			addrs = append(addrs, h.V6)
		}
		w.Same(addrs...)
	}
}

func deadIPv6(w *traffic.World) {
	w.EnableV6()
	w.Length = 4 * day
	for range 8 {
		h := w.PC()
		list := accounts(w, 1+w.R.IntN(3), traffic.Thunderbird)
		for _, a := range list {
			a.V6, a.Dead6 = true, true
		}
		w.Habit(h, list, 8)
	}
}

// only6 gives the office IPv6 alone, with NAT64.
func only6(w *traffic.World) {
	w.EnableV6()
	w.NAT64 = netip.MustParseAddr("64:ff9b::")
	if w.Chance(0.4) {
		b := w.Net6.Addr().As16()
		b[6], b[7] = 0x64, 0
		w.NAT64 = netip.AddrFrom16(b)
	}
	w.Resolver = w.Outside(netip.MustParseAddr("2606:4700:4700::64"), 10*time.Millisecond)
}

// host6 is a machine of such an office.
func host6(w *traffic.World, s *traffic.Stack) *traffic.Host {
	h := w.Inside("pc", s)
	w.Truth.Machines = w.Truth.Machines[:len(w.Truth.Machines)-1]
	h.V4 = netip.Addr{}
	w.Discover64(w.Between(0, time.Hour), h)
	return h
}

func nat64Office(w *traffic.World) {
	only6(w)
	w.Length = 4 * day
	for range 10 {
		h := host6(w, anyStack(w))
		w.Habit(h, accounts(w, 1+w.R.IntN(4), traffic.Phone), 8)
	}
}

func dhcpChurn(w *traffic.World) {
	w.Length = 5 * day
	p := w.Provider(traffic.Pick(w, "m365", "ionos", "google", "strato"))
	for range 12 {
		h := w.PC()
		a := w.Account(p.Key)
		addrs := []netip.Addr{h.V4}
		for _, d := range w.Workdays() {
			for _, at := range w.WorkTimes(d, 6) {
				w.Submit(at, h, a, 1)
			}
			next := *h
			next.V4 = w.Free4()
			h = w.Join(&next)
			addrs = append(addrs, h.V4)
		}
		w.Same(addrs...)
	}
}

func macRandom(w *traffic.World) {
	w.Length = 5 * day
	for range 10 {
		s := traffic.Pick(w, traffic.MacOS, traffic.Android)
		list := accounts(w, 1+w.R.IntN(3), traffic.Phone)
		for _, d := range w.Workdays() {
			h := w.Inside("phone", s)
			h.MAC = w.RandomMAC()
			for _, at := range w.WorkTimes(d, 6) {
				w.Submit(at, h, list[w.R.IntN(len(list))], 1)
			}
		}
	}
}

func vlanTrunk(w *traffic.World) {
	for _, h := range office(w, 0, 3) {
		h.VLAN = 1
	}
	p := w.Provider(traffic.Pick(w, "m365", "ionos", "google"))
	for i := range 18 {
		h := w.PC()
		h.VLAN = uint16(10 * (1 + i%3))
		w.Habit(h, []*traffic.Account{w.Account(p.Key)}, 4)
	}
}

func vrrpGateway(w *traffic.World) {
	w.Length = 4 * day
	hosts := make([]*traffic.Host, 10)
	for i := range hosts {
		hosts[i] = w.PC()
	}
	macs := []traffic.MAC{{0, 0, 0x5e, 0, 1, 10}, w.RandomMAC(), {0, 0, 0x5e, 0, 1, 20}}
	p := w.Provider("ionos")
	for _, d := range w.Workdays() {
		for i, h := range hosts {
			a := w.Account(p.Key)
			for _, at := range w.WorkTimes(d, 5) {
				w.Gateway.MAC = macs[(d+i)%3]
				w.Submit(at, h, a, 1)
			}
		}
	}
}
