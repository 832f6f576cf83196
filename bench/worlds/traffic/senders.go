package traffic

import (
	"fmt"
	"strings"
	"time"
)

// Account is a person's or a device's account at a provider.
type Account struct {
	Provider *Provider
	User     string
	Port     uint16
	Client   *Client
	V6       bool // IPv6 is preferred where the host has it
	// Host overrides the provider's addresses: a server of the office.
	Host *Host
	Name string
	// Dead6: IPv6 does not answer, and the program falls back to IPv4.
	Dead6 bool
	// Auth is how the login ends; "": well.
	Auth string
	// Plain: without TLS.
	Plain bool
	// From are the senders; empty: User.
	From func() string
}

// Submit draws the submission of n mails in one session, and returns its end.
func (w *World) Submit(at time.Duration, h *Host, a *Account, n int) time.Duration {
	name, target := a.Name, a.Host
	if target == nil {
		list := w.answer(a.Provider.Pool, a.Provider.PerDNS)
		name, target = a.Provider.Submit, list[0]
		v4, v6 := addrs(list)
		at = w.Resolve(at, h, name, v4, v6)
	}
	style := Postfix
	if a.Provider != nil {
		style = a.Provider.Style
		if style == Gmail {
			style = gmailSubmit
		}
	}
	v6 := a.V6 && h.V6.IsValid() && target.V6.IsValid() || !h.V4.IsValid()
	if a.Dead6 && v6 && h.V4.IsValid() { // happy eyeballs (RFC 8305)
		w.Dial(at, h, target, a.Port, true).Silent(w.R.IntN(3))
		at, v6 = at+w.Between(250*time.Millisecond, 2*time.Second), false
	}
	k := w.Dial(at, h, target, a.Port, v6).Open()
	s := &Session{Client: a.Client, Server: style, Name: w.greets(a.Provider, name),
		As:  w.heloOf(h, v6),
		TLS: StartTLS, SNI: name, Auth: or(a.Auth, "ok"), Login: a.User}
	if a.Port == 465 {
		s.TLS = Implicit
	}
	if a.Plain {
		s.TLS = Clear
	}
	for range n {
		from := a.User
		if a.From != nil {
			from = a.From()
		}
		s.Mails = append(s.Mails, Mail{From: from, To: To(w.User() + "@" + w.Word() + ".com"),
			Bytes: 900 + w.R.IntN(5000)})
	}
	k.SMTP(s)
	return k.T
}

// heloOf is the name that a mail program gives: the machine's name or its address.
func (w *World) heloOf(h *Host, v6 bool) string {
	if h.Says != "" {
		return h.Says
	}
	if v6 {
		return "[IPv6:" + h.V6.String() + "]"
	}
	return "[" + h.V4.String() + "]"
}

// greets is the name by which a provider's server greets: some give each machine a name.
func (w *World) greets(p *Provider, name string) string {
	if p == nil {
		return name
	}
	code := fmt.Sprintf("%X", w.R.Uint64()>>40)
	switch p.Key {
	case "m365", "outlook":
		if strings.HasPrefix(name, "smtp") {
			return "FR3P281CA" + code + ".outlook.office365.com"
		}
		return "AM7EUR03FT" + code + ".mail.protection.outlook.com"
	case "icloud":
		return "pv50p00im-" + strings.ToLower(code) + ".me.com"
	case "yahoo":
		if !strings.HasPrefix(name, "smtp") {
			return "mtaproxy" + code + ".mail.bf1.yahoo.com"
		}
	}
	return name
}

// WorkTimes are n times of a day within office hours (day 0 is the first).
func (w *World) WorkTimes(day, n int) (list []time.Duration) {
	midnight := time.Duration(day)*24*time.Hour - w.ofDay()
	for range n {
		t := midnight + w.Between(8*time.Hour, 17*time.Hour+30*time.Minute)
		if t > 0 && t < w.Length {
			list = append(list, t)
		}
	}
	return list
}

// ofDay is the time of day at which the capture begins.
func (w *World) ofDay() time.Duration {
	y, m, d := w.Start.Date()
	return w.Start.Sub(time.Date(y, m, d, 0, 0, 0, 0, w.Start.Location()))
}

// Workdays are the days of the capture from Monday to Friday.
func (w *World) Workdays() (days []int) {
	for d := 0; time.Duration(d)*24*time.Hour < w.Length+w.ofDay(); d++ {
		if d%7 < 5 {
			days = append(days, d)
		}
	}
	return days
}

// Office adds n workstations whose people send a few mails a day, by accounts of the firm at one
// provider, a few of them also by one of their own.
func (w *World) Office(n int) (list []*Host) {
	p := w.Provider(Pick(w, "m365", "ionos", "strato", "google", "ovh", "hosteurope"))
	for range n {
		h := w.PC()
		list = append(list, h)
		accounts := []*Account{w.accountAt(p)}
		if w.Chance(0.2) {
			accounts = append(accounts, w.accountAt(w.Provider(Pick(w, Consumers...))))
		}
		w.Habit(h, accounts, 1+w.R.IntN(7))
	}
	return list
}

// accountAt is an account at a provider, with a program and a port.
func (w *World) accountAt(p *Provider) *Account {
	return &Account{Provider: p, User: w.User() + "@" + w.Word() + ".de",
		Port: p.Ports[w.R.IntN(min(2, len(p.Ports)))], V6: w.Chance(0.6),
		Client: Pick(w, Outlook, Thunderbird, Thunderbird, Phone)}
}

// Account is an account at a provider by its key.
func (w *World) Account(key string) *Account { return w.accountAt(w.Provider(key)) }

// Habit lets a person use accounts, about perDay times on each workday.
func (w *World) Habit(h *Host, accounts []*Account, perDay int) {
	for _, day := range w.Workdays() {
		n := perDay/2 + w.R.IntN(perDay+1)
		for _, at := range w.WorkTimes(day, n) {
			a := accounts[0]
			if len(accounts) > 1 && w.Chance(0.3) {
				a = accounts[1+w.R.IntN(len(accounts)-1)]
			}
			w.Submit(at, h, a, 1+w.R.IntN(2)*w.R.IntN(2))
		}
	}
}

// MTA is a mail server that sends.
type MTA struct {
	Host   *Host
	Name   string // in EHLO
	Domain string
	Client *Client
	V6     bool // it prefers IPv6
	NoTLS  bool // it never uses STARTTLS
}

// NewMTA is a mail server of the office with a name in a domain.
func (w *World) NewMTA(h *Host, domain string) *MTA {
	return &MTA{Host: h, Name: Pick(w, "mail.", "mx.", "smtp.", "mailout.") + domain,
		Domain: domain, Client: Pick(w, PostfixClient, PostfixClient, EximClient, ExchangeClient),
		V6: w.Chance(0.7), NoTLS: w.Chance(0.15)}
}

// Target resolves a domain as a mail server does, and chooses one of its servers.
func (w *World) Target(at time.Duration, h *Host, d *Domain) (*Host, string, time.Duration) {
	at = w.MX(at, h, d.Name, d.MXNames...)
	i := w.R.IntN(len(d.MX))
	name := d.MXNames[min(i, len(d.MXNames)-1)]
	one := d.MX[i : i+1]
	if d.Provider != "" {
		one = w.answer(w.by[d.Provider].MX, 2)
	}
	v4, v6 := addrs(one)
	return one[0], name, w.Resolve(at, h, name, v4, v6)
}

// Deliver draws a session that delivers mails to a domain, and returns its end.
func (w *World) Deliver(at time.Duration, m *MTA, d *Domain, mails ...Mail) time.Duration {
	s := &Session{Mails: mails}
	return w.DeliverAs(at, m, d, s)
}

// DeliverAs is Deliver with a session whose other fields are set.
func (w *World) DeliverAs(at time.Duration, m *MTA, d *Domain, s *Session) time.Duration {
	target, name, at := w.Target(at, m.Host, d)
	v6 := m.V6 && m.Host.V6.IsValid() && target.V6.IsValid() || !m.Host.V4.IsValid()
	k := w.Dial(at, m.Host, target, 25, v6)
	if d.Dead {
		k.Silent(-1)
		return k.T
	}
	k.Open()
	s.Client, s.Server, s.As = m.Client, d.Style, m.Name
	s.Name = w.greets(w.by[d.Provider], name)
	if !m.NoTLS {
		s.TLS, s.SNI = StartTLS, ""
		if w.Chance(0.4) {
			s.SNI = name
		}
	}
	k.SMTP(s)
	return k.T
}

// MailTo is a mail to one recipient of a domain.
func (w *World) MailTo(from string, d *Domain) Mail {
	return Mail{From: from, To: To(w.User() + "@" + d.Name), Bytes: 800 + w.R.IntN(6000)}
}

// Receive draws a session in which a host outside delivers mails to a server of the office.
func (w *World) Receive(at time.Duration, from *Domain, to *Host, s *Session) time.Duration {
	client := from.MX[w.R.IntN(len(from.MX))]
	if s.Client == nil {
		s.Client = Pick(w, PostfixClient, EximClient, ExchangeClient)
	}
	if s.Server == nil {
		s.Server = Postfix
	}
	if s.As == "" {
		s.As = "mail." + from.Name
	}
	k := w.Dial(at, client, to, 25, !to.V4.IsValid()).Open()
	k.SMTP(s)
	return k.T
}
