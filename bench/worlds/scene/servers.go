package scene

import (
	"time"

	"spamsensor/bench/worlds/traffic"
)

// benignServers are scenarios of mail servers.
func benignServers() []Scene {
	return []Scene{
		{"greylist_mta", "a small mail server, many of whose recipients greylist", Benign,
			greylisted},
	}
}

// server adds a mail server of the office, which is declared where things are declared.
func server(w *traffic.World) *traffic.MTA {
	h := w.Inside("mail", traffic.Pick(w, traffic.Linux, traffic.Linux, traffic.Windows))
	m := w.NewMTA(h, w.Word()+".de")
	w.Accept(h, "undeclared_server", "direct_smtp")
	w.Truth.Config.Server(h.V4, "")
	if h.V6.IsValid() {
		w.Truth.Config.Server(h.V6, "")
	}
	w.Truth.Config.Domains = append(w.Truth.Config.Domains, m.Domain)
	w.Truth.PublicIP = w.Global().String()
	return m
}

// inbound lets domains deliver mail to a server, n a day.
func inbound(w *traffic.World, m *traffic.MTA, list []*traffic.Domain, n int) {
	for d := 0; time.Duration(d)*day < w.Length; d++ {
		for _, at := range w.WorkTimes(d, n) {
			from := list[w.R.IntN(len(list))]
			s := &traffic.Session{Name: m.Name, Mails: []traffic.Mail{{
				From: w.User() + "@" + from.Name, To: traffic.To(w.User() + "@" + m.Domain),
				Bytes: 1000 + w.R.IntN(6000)}}}
			if w.Chance(0.8) {
				s.TLS = traffic.StartTLS
			}
			w.Receive(at, from, m.Host, s)
		}
	}
}

func greylisted(w *traffic.World) {
	office(w, 6, 2)
	m := server(w)
	list := w.Correspondents(60)
	for _, d := range list {
		d.Greylists = d.Own && w.Chance(0.7)
	}
	inbound(w, m, list, 25)
	user := w.User() + "@" + m.Domain
	for _, d := range w.Workdays() {
		for _, at := range w.WorkTimes(d, 90) {
			send(w, m, list[w.R.IntN(len(list))], at, user)
		}
	}
}

// send delivers a mail; a server that greylists takes it at the second or third attempt.
func send(w *traffic.World, m *traffic.MTA, d *traffic.Domain, at time.Duration, from string) {
	mail := w.MailTo(from, d)
	if !d.Greylists {
		w.Deliver(at, m, d, mail)
		return
	}
	no := w.Refusal("greylist")
	for range 1 + w.R.IntN(2) {
		again := mail
		again.To = []traffic.Rcpt{{To: mail.To[0].To, No: no}}
		at = w.Deliver(at, m, d, again) + w.Between(5*minute, 17*minute)
	}
	w.Deliver(at, m, d, mail)
}
