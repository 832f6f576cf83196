package servers

import (
	"fmt"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff"
)

// publish has a server's findings follow verdicts about it. The caller holds tickMu.
func (all *Set) publish(s *server, verdicts []verdict.Verdict) {
	for i := range verdicts {
		v := &verdicts[i]
		all.commit(s, s.findings.Apply(v, 0), v.Time)
	}
}

// commit makes changes of a server's findings, one after the other, and emits them.
func (all *Set) commit(s *server, due []finding.Change, now int64) {
	for i := range due {
		c := &due[i]
		if f := s.findings[c.Class]; f.ID == "" {
			f.ID = fmt.Sprintf("%s-%s-%d", c.Class, s.addr, now/second)
		}
		all.emitFinding(s, s.findings.Commit(c, now), c, now)
	}
}

// emitFinding emits an event of a finding about a server, at once: the caller holds tickMu,
// and works in packet order.
func (all *Set) emitFinding(s *server, f *finding.Entry, c *finding.Change, now int64) {
	d := f.Finding(c)
	d.Mode, d.Egress, d.Severity = "clear", "open", finding.Severity(f.Class, f.Level, true)
	// A server has sent before: the finding begins with its first sign, which decides.
	d.Source = finding.SourceRecord{Addr: s.addr, Role: "mailserver", Time: now, Level: f.Level,
		Counters: detect.Counters{First: f.Decided.At, Last: f.Proof.Last}}
	if x := all.peers.Ignored(s.addr, now); x != nil {
		d.Severity, d.Ignored = verdict.Info, &finding.Ignored{Why: x.Why, Until: x.Until}
	}
	d.Advice = finding.Advice(d, nil)
	if all.localDomains == nil && f.Class == verdict.OpenRelay {
		d.Blind = append(d.Blind,
			"your domains are not configured (local_domains): it is inferred that these are "+
				"not yours")
	}
	all.cfg.Finding(d, s.save)
}

// IsEvidence reports whether a session is evidence for a finding about a server.
func (all *Set) IsEvidence(x *finding.Session) bool {
	if s := all.get(x.Server.Addr().As16()); s != nil && s.findings.IsEvidence(x, true) {
		return true
	}
	s := all.get(x.Client.Addr().As16())
	return s != nil && s.findings.IsEvidence(x, false)
}

// AddEvidence adds the event of a session to the findings about servers that it is evidence for.
func (all *Set) AddEvidence(x *finding.Session, event uint64) {
	if event == 0 {
		return
	}
	if s := all.get(x.Server.Addr().As16()); s != nil {
		s.findings.AddEvidence(x, true, event)
	}
	if s := all.get(x.Client.Addr().As16()); s != nil {
		s.findings.AddEvidence(x, false, event)
	}
}

// MaybeEvidence reports whether a session can be evidence for a finding about a server of ours: a
// session in which the server accepted mail of an external client for somebody else, one with a
// login, one that is encrypted, or one in which the server passed something on. Whether it is
// evidence is known where findings are made.
func MaybeEvidence(f *track.Flow, session *smtpsniff.Session) bool {
	switch {
	case session == nil || !f.Noted(peer.Watched):
		return false
	case !f.Noted(peer.Inside):
		return session.Messages > 0
	}
	return f.Noted(peer.Relayed) || session.Auth == smtpsniff.AuthOK ||
		session.Encryption != smtpsniff.Plain
}
