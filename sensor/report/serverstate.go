package report

import "slices"

// ServerState is the verdict about a mail server in a few words: whether it sends as usual, and
// whether it relays for strangers.
func (w Words) ServerState(s *Server) string {
	p := &w.p
	return p.tr.Sprintf("%s; %s.", p.sending(s), p.relayState(&s.Relay))
}

// ServerUnseen is what is said of a declared mail server that is not in Model.Servers. sent says
// that it had sessions: they are judged when the hour is over.
func (w Words) ServerUnseen(sent bool) string {
	if sent {
		return w.p.tr.Text("whether it sends as usual is not known yet.")
	}
	return w.p.tr.Text("no mail session of it was seen.")
}

// sending says whether a mail server sends as usual; what is wrong comes first.
func (p *printer) sending(s *Server) string {
	t := p.tr
	switch {
	case s.Finding != "":
		return t.Text("there is a finding about it")
	case s.Backscatter:
		return t.Text("it sends bounces to forged senders")
	case s.Outage != nil:
		return t.Text("most of its deliveries failed for a time")
	case s.Queue.Listed > 0:
		return t.Text("its mail waits because of a blocklist")
	case s.muchRefused() && s.Failed+s.Deferred >= fewRefusals:
		return t.Text("much of its mail was refused or deferred")
	case s.Hidden():
		return t.Sprintf("no finding is about it, but %s of its %s are encrypted: look in its log",
			p.number(s.Encrypted), p.plural(s.Sessions, "session"))
	case s.isUnusual():
		return t.Text("it did not always send as usual")
	case s.Counted == 0 && s.Sessions == 0:
		return t.Text("it sent nothing")
	case s.Usual == nil:
		return t.Text("whether it sends as usual is not known yet")
	}
	return t.Text("it sends as usual")
}

// relayState says whether a mail server relays for strangers.
func (p *printer) relayState(s *Relay) string {
	switch {
	case s.Relayed > 0:
		return p.tr.Text("it relays for strangers")
	case s.Denied > 0:
		return p.tr.Text("it does not relay for strangers")
	case !s.Known:
		return p.tr.Text("whether it relays for strangers is not tested")
	}
	return p.tr.Text("no stranger tried to have it relay")
}

// fewRefusals say nothing about a mail server.
const fewRefusals = 10

// muchRefused reports whether receiving servers refused or deferred more than a tenth.
func (s *Server) muchRefused() bool { return (s.Failed+s.Deferred)*10 > s.Counted }

// isUnusual reports whether the server sent much more or less than usual in any hour.
func (s *Server) isUnusual() bool {
	return slices.ContainsFunc(s.Hours, func(h ServerHour) bool {
		return h.Known && (h.Z > unusual || h.Z < -unusual)
	})
}
