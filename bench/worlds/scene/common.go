package scene

import (
	"time"

	"spamsensor/bench/worlds/traffic"
)

// server adds a mail server of the office, which is declared where things are declared.
func server(w *traffic.World) *traffic.MTA {
	h := w.Inside("mail", traffic.Pick(w, traffic.Linux, traffic.Linux, traffic.Windows))
	return serverAt(w, h)
}

// serverAt makes a host a mail server.
func serverAt(w *traffic.World, h *traffic.Host) *traffic.MTA {
	m := w.NewMTA(h, w.Word()+traffic.Pick(w, ".de", ".com", ".fr", ".net", ".it"))
	w.Accept(h, "undeclared_server")
	if h.V4.IsValid() {
		w.Truth.Config.Server(h.V4, "")
	}
	if h.V6.IsValid() {
		w.Truth.Config.Server(h.V6, "")
	}
	w.Truth.Config.Domains = append(w.Truth.Config.Domains, m.Domain)
	if w.Truth.PublicIP == "" {
		w.Truth.PublicIP = w.Global().String()
	}
	return m
}

// inbound lets domains deliver mail to a server, n a day.
func inbound(w *traffic.World, m *traffic.MTA, list []*traffic.Domain, n int) {
	for d := 0; time.Duration(d)*day < w.Length; d++ {
		for _, at := range w.WorkTimes(d, n) {
			receive(w, m, list[w.R.IntN(len(list))], at)
		}
	}
}

// receive lets a domain deliver a mail to a server.
func receive(w *traffic.World, m *traffic.MTA, from *traffic.Domain, at time.Duration) {
	s := &traffic.Session{Name: m.Name, Server: speaks(m), Mails: []traffic.Mail{{
		From: w.User() + "@" + from.Name, To: traffic.To(w.User() + "@" + m.Domain),
		Bytes: 1000 + w.R.IntN(6000)}}}
	if w.Chance(0.8) {
		s.TLS = traffic.StartTLS
	}
	w.Receive(at, from, m.Host, s)
}

// speaks is the server side of a mail server's program.
func speaks(m *traffic.MTA) *traffic.Server {
	switch m.Client {
	case traffic.EximClient:
		return traffic.Exim
	case traffic.ExchangeClient:
		return traffic.Exchange
	}
	return traffic.Postfix
}

// users lets n people send a mail through a server.
func users(w *traffic.World, m *traffic.MTA, hosts []*traffic.Host, perDay int) {
	port := traffic.Pick[uint16](w, 587, 587, 465, 25)
	for _, h := range hosts {
		a := &traffic.Account{Host: m.Host, Name: m.Name, User: w.User() + "@" + m.Domain,
			Port: port, Client: traffic.Pick(w, traffic.Outlook, traffic.Thunderbird),
			V6: w.Chance(0.5)}
		w.Habit(h, []*traffic.Account{a}, perDay)
	}
}

// send delivers a mail; a server that greylists takes it at the second or third attempt.
func send(w *traffic.World, m *traffic.MTA, d *traffic.Domain, at time.Duration,
	mail traffic.Mail) {
	if !d.Greylists {
		w.Deliver(at, m, d, mail)
		return
	}
	retry(w, m, d, at, mail, w.Refusal("greylist"), 1+w.R.IntN(2))
}

// retry delivers a mail that is first deferred a number of times.
func retry(w *traffic.World, m *traffic.MTA, d *traffic.Domain, at time.Duration,
	mail traffic.Mail, no string, times int) {
	wait := w.Between(5*minute, 10*minute)
	for range times {
		again := mail
		again.To = []traffic.Rcpt{{To: mail.To[0].To, No: no}}
		at = w.Deliver(at, m, d, again) + wait
		wait = min(wait*2, 70*minute)
		if at > w.Length {
			return
		}
	}
	w.Deliver(at, m, d, mail)
}

// outbound lets a server send n mails a day to domains, of which a few fail as they do for anybody:
// 2 % unknown recipients, 1 % full mailboxes, 0.5 % taken for spam, 1 % busy servers.
func outbound(w *traffic.World, m *traffic.MTA, list []*traffic.Domain, n int) {
	for _, d := range w.Workdays() {
		for _, at := range w.WorkTimes(d, n) {
			honest(w, m, list[w.R.IntN(len(list))], at, w.User()+"@"+m.Domain)
		}
	}
}

// honest sends one mail of a person.
func honest(w *traffic.World, m *traffic.MTA, d *traffic.Domain, at time.Duration, from string) {
	mail := w.MailTo(from, d)
	switch x := w.R.Float64(); {
	case x < 0.02:
		mail.To[0].No = w.Refusal("unknown")
	case x < 0.03:
		mail.To[0].No = w.Refusal("full")
	case x < 0.035:
		mail.EndNo = w.Refusal("spam")
	case x < 0.045:
		retry(w, m, d, at, mail, w.Refusal("busy"), 1)
		return
	}
	send(w, m, d, at, mail)
}

// publicHome moves the mirror to the outer side of the firewall: all hosts that are made with
// behind have one public address.
type publicHome struct {
	w    *traffic.World
	host *traffic.Host // the firewall
}

// outer is the outer side of a firewall with a public address.
func outer(w *traffic.World) *publicHome {
	f := w.Inside("firewall", traffic.Linux)
	f.V4 = w.Global()
	w.Truth.PublicIP = f.V4.String()
	p, _ := f.V4.Prefix(29)
	w.Truth.Home = append(w.Truth.Home, p.String())
	return &publicHome{w, f}
}

// behind is a machine behind the firewall, as the outer side shows it.
func (p *publicHome) behind(s *traffic.Stack) *traffic.Host {
	h := &traffic.Host{Name: "inner", MAC: p.host.MAC, Via: p.host.MAC, V4: p.host.V4, Stack: s,
		Hops: 1, RTT: 400 * time.Microsecond}
	return p.w.Join(h)
}

// routed is a machine behind a NAT gateway of the office, as the office's network shows it.
func routed(w *traffic.World, gateway *traffic.Host, s *traffic.Stack) *traffic.Host {
	h := &traffic.Host{Name: "guest", MAC: gateway.MAC, Via: gateway.MAC, V4: gateway.V4, Stack: s,
		Hops: 1, RTT: 2 * time.Millisecond}
	return w.Join(h)
}

// anyStack is the system of somebody's machine.
func anyStack(w *traffic.World) *traffic.Stack {
	return traffic.Pick(w, traffic.Windows, traffic.Windows, traffic.MacOS, traffic.MacOS,
		traffic.Android, traffic.Android, traffic.Linux)
}
