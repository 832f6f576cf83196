package engine

import (
	"fmt"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
)

// finding is a verdict that was published and is open.
type finding struct {
	id      string
	seq     int
	class   detect.Class
	level   detect.Level
	updated int64
}

// updateEvery is how often an open finding is told again although its level is the same.
const updateEvery = 30 * minute

// publish opens a source's finding, or tells that it got worse.
func (s *shard) publish(src *source, hst *host, k flowtable.Host, v detect.Verdict, now int64) {
	if hst.direct != nil {
		s.tell(src, hst, &hst.direct, k, "closed", now, "superseded")
	}
	action := "updated"
	if hst.spambot == nil {
		action = "opened"
		hst.spambot = &finding{id: findingID(v.Class, k, src.facts.First), class: v.Class}
		s.follow(k)
		for _, old := range hst.recent {
			s.give(old, hst)
		}
		hst.recent = nil
	}
	hst.spambot.level = v.Level
	s.tell(src, hst, &hst.spambot, k, action, now, "")
}

// follow has the tick look after a source's findings.
func (s *shard) follow(k flowtable.Host) {
	hash := s.e.table.Secret.Host(&k)
	if r := s.t.Sources.Find(hash, &k); r != 0 && !slices.Contains(s.open, r) {
		s.open = append(s.open, r)
	}
}

// findingID is the same when the same file is read again.
func findingID(c detect.Class, k flowtable.Host, first int64) string {
	return fmt.Sprintf("%s-%s-%d", c, addr(k.Addr, k.Scope.V6()), first/second)
}

// tell gives out an event of a finding; a closed one is forgotten.
func (s *shard) tell(src *source, hst *host, of **finding, k flowtable.Host, action string, now int64, reason string) {
	f := *of
	f.seq++
	f.updated = now
	d := &detect.Finding{ID: f.id, Seq: f.seq, Action: action, Class: f.class, Level: f.level, Time: now, CloseReason: reason,
		Mode: hst.Mode(&src.facts), Egress: "unknown", Suppressed: hst.suppressed}
	d.Source = s.sourceRecord(src, hst, k, now)
	if src.facts.Sessions > 0 {
		d.Egress = "open"
	}
	switch f.class {
	case detect.DirectSMTP:
		d.Severity, d.Level = detect.Info, detect.Suspect
		d.Decided = detect.Decision{At: src.facts.First, Attempts: 1}
		d.Advice = fmt.Sprintf("If %s is a mail server, declare it: --mail-server %s. Otherwise it should send through your own server, on port 587.", d.Source.Addr, d.Source.Addr)
	default:
		d.Severity = [...]detect.Severity{detect.Info, detect.Low, detect.High, detect.Critical}[f.level]
		d.Score = d.Source.Score
		d.Decided = hst.Decided()
		hst.Reasons(func(code detect.Code, r *detect.Reason) {
			d.Reasons = append(d.Reasons, detect.ReasonText{Code: code, Reason: *r, Text: hst.Text(code, &src.facts)})
		})
		d.Blind = hst.blind(src, s.e)
		d.Advice = advice(d)
	}
	d.DecidedIn = max(0, d.Decided.At-src.facts.First)
	s.record(record{finding: d, host: hst, time: now})
	if action == "closed" {
		*of = nil
	}
}

// blind says what the verdict could not rest on.
func (h *host) blind(src *source, e *Engine) (blind []string) {
	f := &src.facts
	switch {
	case f.Sessions == 0:
		blind = append(blind, "no session was completed: only connection attempts were seen")
	case h.opaque > 0:
		blind = append(blind, fmt.Sprintf("%d of %d sessions were encrypted from their first byte", h.opaque, f.Sessions))
	}
	if f.TLSSessions > h.opaque {
		blind = append(blind, fmt.Sprintf("%d sessions went over to TLS: what was said after that is not known", f.TLSSessions-h.opaque))
	}
	if h.oneWay > 0 {
		blind = append(blind, fmt.Sprintf("of %d sessions only one direction was seen", h.oneWay))
	}
	if h.doubtful > 0 {
		blind = append(blind, fmt.Sprintf("in %d sessions bytes were sent twice and differed, or were urgent data: the server may have read something else", h.doubtful))
	}
	return blind
}

func advice(f *detect.Finding) string {
	who := f.Source.Addr.String()
	if m := f.Source.MAC; m != [6]byte{} {
		who += fmt.Sprintf(" (MAC %02x:%02x:%02x:%02x:%02x:%02x)", m[0], m[1], m[2], m[3], m[4], m[5])
	}
	if f.Level == detect.Suspect {
		return fmt.Sprintf("Ask what runs on %s. If it is meant to send mail to many networks, declare it: --mail-server %s.", who, f.Source.Addr)
	}
	return fmt.Sprintf("Take %s off the network, clean or reinstall it, and change the passwords used on it. Block outgoing port 25 for all but your mail servers.", who)
}

// tickFindings opens what was waiting for a tick and tells open findings again.
func (s *shard) tickFindings(now int64) {
	for _, r := range s.direct {
		if src, hst := s.hostAt(r); hst != nil && hst.spambot == nil && hst.direct == nil {
			k := *s.t.Sources.KeyOf(r)
			hst.direct = &finding{id: findingID(detect.DirectSMTP, k, src.facts.First), class: detect.DirectSMTP}
			s.follow(k)
			s.tell(src, hst, &hst.direct, k, "opened", now, "")
		}
	}
	s.direct = s.direct[:0]
	s.open = slices.DeleteFunc(s.open, func(r flowtable.Ref) bool {
		src, hst := s.hostAt(r)
		if hst == nil || hst.spambot == nil && hst.direct == nil {
			return true
		}
		for _, of := range []**finding{&hst.spambot, &hst.direct} {
			if *of != nil && now-(*of).updated >= updateEvery && src.facts.Last > (*of).updated {
				s.tell(src, hst, of, *s.t.Sources.KeyOf(r), "updated", now, "")
			}
		}
		return false
	})
}

// hostAt is the source at r and its host, nil if it is not judged any more.
func (s *shard) hostAt(r flowtable.Ref) (*source, *host) {
	src := s.t.Sources.At(r)
	return src, s.hosts.at(src.host)
}

// closeFindings ends all findings of a source.
func (s *shard) closeFindings(src *source, hst *host, k flowtable.Host, now int64, reason string) {
	for _, of := range []**finding{&hst.spambot, &hst.direct} {
		if *of != nil {
			s.tell(src, hst, of, k, "closed", now, reason)
		}
	}
}
