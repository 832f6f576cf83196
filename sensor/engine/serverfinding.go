package engine

import (
	"fmt"
	"net/netip"
	"slices"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/track"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff"
)

// serverFinding is an open finding about a server.
type serverFinding struct {
	ID      string               `json:"ID"`
	Seq     int                  `json:"Seq"`
	Level   verdict.Level        `json:"Level"`
	Opened  int64                `json:"Opened"`
	Last    int64                `json:"Last"` // verdict
	Reasons []finding.ReasonText `json:"Reasons"`
	Relay   *verdict.RelayProof  `json:"Relay"`
	Client  netip.Addr           `json:"Client"` // whose sessions are evidence
	To      netip.Addr           `json:"To"`     // and where what it brought was passed on to, at ToAt
	ToAt    int64                `json:"ToAt"`
	Events  []uint64             `json:"Events"` // of them
	told    int                  // of these
	toldAt  int64
}

const (
	maxServerReasons = 8
	// calm is how long nothing must be found until a finding is closed.
	calm      = 24 * hour
	calmRelay = 7 * 24 * hour
)

// publish makes findings of verdicts about a server.
func (e *Engine) publish(s *mailServer, verdicts []verdict.Verdict) {
	for _, v := range verdicts {
		f := s.findings[v.Class]
		action := "updated"
		if f == nil {
			action = "opened"
			f = &serverFinding{ID: fmt.Sprintf("%s-%s-%d", v.Class, s.addr, v.Time/second), Opened: v.Time}
			s.findings[v.Class] = f
		}
		f.Last = v.Time
		worse := v.Level > f.Level
		f.Level = max(f.Level, v.Level)
		if v.Relay != nil {
			f.Relay = v.Relay
		}
		if v.Client.IsValid() {
			f.Client = v.Client
		}
		if v.To.IsValid() && len(f.Events) < maxEvidence {
			f.To, f.ToAt = v.To, v.Time
		}
		fresh := f.because(&v)
		if action == "opened" || worse || fresh || v.Time-f.toldAt >= updateEvery {
			e.tellFinding(s, v.Class, action, v.Time, "")
		}
	}
}

// because notes a reason; fresh says that it is a new one.
func (f *serverFinding) because(v *verdict.Verdict) (fresh bool) {
	for i := range f.Reasons {
		r := &f.Reasons[i]
		if r.Server == v.Code {
			r.Reason.Last, r.Text = v.Time, v.Text
			r.Reason.Value = max(r.Reason.Value, v.Value)
			return false
		}
	}
	if len(f.Reasons) < maxServerReasons {
		f.Reasons = append(f.Reasons, finding.ReasonText{Server: v.Code, Text: v.Text,
			Reason: verdict.Reason{First: v.Time, Last: v.Time, Value: v.Value, Threshold: v.Threshold}})
	}
	return true
}

// mayProve reports whether a session can be what a finding about a server of ours rests on: a stranger's whose message
// was taken for somebody else, one with a login, one that cannot be read, or one in which the server passed something on. Whether it is
// is known where findings are made.
func (s *sourceObserver) mayProve(f *track.Flow, session *smtpsniff.Session) bool {
	switch {
	case session == nil || !f.Noted(watched):
		return false
	case !f.Noted(inside):
		return session.Messages > 0
	}
	return f.Noted(relayed) || session.Auth == smtpsniff.AuthOK || session.Encryption != smtpsniff.Plain
}

// restsOn calls do for each open finding about a server that rests on a session and has room for its event: on that of a
// client, or on the server's own in which it passed on what the client had brought.
func (e *Engine) restsOn(x *finding.Session, do func(f *serverFinding)) {
	about := func(server netip.Addr, rests func(f *serverFinding) bool) {
		s := e.watchedServer(server.As16())
		if s == nil {
			return
		}
		for _, f := range s.findings {
			if f != nil && len(f.Events) < maxEvidence && rests(f) {
				do(f)
			}
		}
	}
	about(x.Server.Addr(), func(f *serverFinding) bool { return f.Client == x.Client.Addr() })
	about(x.Client.Addr(), func(f *serverFinding) bool {
		return f.To == x.Server.Addr() && f.ToAt >= x.Start && f.ToAt <= x.End
	})
}

// proved reports whether a finding about a server rests on the client of a session.
func (e *Engine) proved(x *finding.Session) (yes bool) {
	e.restsOn(x, func(*serverFinding) { yes = true })
	return yes
}

// proves notes the event of a session as evidence, if a finding about a server rests on its client.
func (e *Engine) proves(x *finding.Session, event uint64) {
	if event != 0 {
		e.restsOn(x, func(f *serverFinding) { f.Events = append(f.Events, event) })
	}
}

// tellProof tells findings again whose sessions ended after they had been opened: at the first, and then now and then.
func (e *Engine) tellProof(s *mailServer, now int64) {
	for c, f := range s.findings {
		if f != nil && len(f.Events) > f.told && (f.told == 0 || now-f.toldAt >= updateEvery) {
			e.tellFinding(s, verdict.Class(c), "updated", now, "")
		}
	}
}

// closeCalm closes findings for which nothing came any more.
func (e *Engine) closeCalm(s *mailServer, now int64) {
	for c, f := range s.findings {
		wait := int64(calm)
		if verdict.Class(c) == verdict.OpenRelay {
			wait = calmRelay
		}
		if f != nil && now-f.Last > wait {
			e.tellFinding(s, verdict.Class(c), "closed", now, "quiet")
		}
	}
}

// tellFinding gives out an event of a finding about a server; a closed one is forgotten.
func (e *Engine) tellFinding(s *mailServer, c verdict.Class, action string, now int64, reason string) {
	f := s.findings[c]
	f.Seq++
	f.told, f.toldAt = len(f.Events), now
	if action == "closed" {
		s.findings[c] = nil
	}
	if e.out.Finding == nil {
		return
	}
	d := &finding.Finding{ID: f.ID, Seq: f.Seq, Action: action, Class: c, Level: f.Level, Time: now, CloseReason: reason, Mode: "clear", Egress: "open",
		Decided: verdict.Decision{At: f.Opened, Attempts: 1}, Reasons: slices.Clone(f.Reasons), Relay: f.Relay, Evidence: slices.Clone(f.Events)}
	d.Severity = [...]verdict.Severity{verdict.Info, verdict.Low, verdict.Medium, verdict.High}[f.Level]
	if c == verdict.OpenRelay || c == verdict.HijackedAccount {
		d.Severity = [...]verdict.Severity{verdict.Info, verdict.Medium, verdict.High, verdict.Critical}[f.Level]
	}
	d.Source = finding.SourceRecord{Addr: s.addr, Role: "mailserver", Time: now, Level: f.Level, Facts: detect.Counters{First: s.First, Last: f.Last}}
	d.DecidedIn = max(0, f.Opened-s.First)
	d.Advice = serverAdvice(c, s.addr, f.Reasons)
	if e.servers.localDomains == nil && c == verdict.OpenRelay {
		d.Blind = append(d.Blind, "your domains are not configured (local_domains): that these are not yours is inferred")
	}
	if e.out.Keep != nil {
		e.out.Keep(&Saved{Seed: e.cfg.Seed, Servers: []SavedServer{s.save()}})
	}
	e.out.Finding(d)
}

// serverAdvice says what to do; reasons are the finding's, the latest last.
func serverAdvice(c verdict.Class, a netip.Addr, reasons []finding.ReasonText) string {
	switch c {
	case verdict.OpenRelay:
		return fmt.Sprintf("Restrict relaying on %s to your networks and authenticated users (Postfix: mynetworks, smtpd_relay_restrictions), and look through its queue. Domains that it takes mail for belong into local_domains.", a)
	case verdict.HijackedAccount:
		return fmt.Sprintf("Find the account in the log of %s (many client addresses, many recipients), lock it, change its password, and remove its mail from the queue.", a)
	}
	code := ""
	if len(reasons) > 0 {
		code = reasons[len(reasons)-1].Server
	}
	switch code {
	case "queue_blocklisted":
		return fmt.Sprintf("Find out why %s is on the list before you ask for removal: an account or a host that sends spam through it. What waits goes out by itself once the address is removed.", a)
	case "queue_grew":
		return fmt.Sprintf("Look at the queue of %s (Postfix: mailq). If nothing goes out at all, its line, its name resolution or a firewall fails; if most of it is for one destination, that one has trouble and the mail will go out later; if it is for many, and nobody here wrote it, an account is stolen.", a)
	case "volume_stopped":
		return fmt.Sprintf("Look whether %s still runs, reaches the Internet, and resolves names; on a holiday there may be nothing to send.", a)
	case "volume_burst", "volume_rise":
		return fmt.Sprintf("Ask whether somebody sends a newsletter or many invoices through %s. If nobody does, look into its log for the account or host that sends most, and lock it.", a)
	}
	return fmt.Sprintf("Look at the queue and the log of %s: who sends, to whom, and since when.", a)
}
