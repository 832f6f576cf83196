package event

import (
	"fmt"
	"strings"

	"github.com/rs/zerolog"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff/refusal"
)

// Server writes the state of a mail server. Counts are since it was first seen; the baseline
// belongs to the last whole hour.
func (w *Writer) Server(s *mailserver.Record) {
	c := &s.Count
	d := zerolog.Dict().Bool("declared", s.Declared).Str("first_seen",
		Timestamp(s.First)).Bool("learning", s.Learning).
		Uint64("messages_out", c.MessagesOut).Uint64("messages_in",
		c.MessagesIn).Uint64("sessions_out", c.SessionsOut).Uint64("sessions_in", c.SessionsIn).
		Uint64("recipients_out", c.RecipientsOut).Uint64("bytes_out",
		c.BytesOut).Uint64("failed_out", c.FailedOut).Uint64("deferred_out", c.DeferredOut)
	by := zerolog.Dict()
	for p, n := range c.FailedBy {
		by.Uint64(mailserver.PhaseClass(p).String(), n)
	}
	why := zerolog.Dict()
	for c, n := range c.FailedWhy {
		if n > 0 {
			why.Uint64(strings.ReplaceAll(refusal.Reason(c).String(), " ", "_"), n)
		}
	}
	port25 := zerolog.Arr()
	for _, a := range c.Port25 {
		port25.Str(a.String())
	}
	d.Dict("refused_by_reason", why).Uint64("recipients_unknown_out",
		c.AbsentOut).Uint64("bounces_out", c.BouncesOut).Bool("backscatter", c.Backscatter()).
		Uint64("own_sessions_port25", c.Port25In).Uint64("own_sessions_submission",
		c.SubmitIn).Array("own_hosts_port25", port25).Int("accounts", s.Accounts)
	d.Dict("refused_by_phase", by).Uint64("blocklisted", c.Listed).Uint64("auth_ok",
		c.AuthOK).Uint64("auth_failed", c.AuthFailed).
		Uint64("relayed", s.Relayed).Uint64("relay_denied",
		s.RelayDenied).Uint64("relay_denied_strangers", s.RelayStrangers)
	if s.RelayDeniedLast != 0 {
		d.Str("relay_denied_last", Timestamp(s.RelayDeniedLast))
	}
	d.Int("queue_estimate", s.Queue.Estimate).Int("queue_destinations",
		s.Queue.Destinations).Float64("queue_oldest_s", seconds(s.Queue.Oldest)).
		Int("queue_slope", s.Queue.Slope).Int("queue_blocklisted",
		s.Queue.Listed).Bool("queue_lower_bound", s.Queue.LowerBound).
		Uint64("queue_full", s.Queue.Full).Uint64("accounts_full", s.AccountsFull)
	if o := &s.Outage; o.From != 0 {
		d.Str("outage_first", Timestamp(o.From)).Int("outage_waited", o.Waited)
		if o.To != 0 {
			d.Str("outage_last", Timestamp(o.To))
		}
	}
	if s.Hour.Known {
		d.Float64("baseline_out", round(s.Hour.Mean)).Float64("ratio_out",
			round(s.Hour.Count/max(s.Hour.Mean, 0.01))).Float64("z", round(s.Hour.Z))
	}
	e := w.begin(ServerEvent, zerolog.InfoLevel, s.Time).Str("src_ip", s.Addr.String())
	if name := w.cfg.Names[s.Addr]; name != "" {
		e = e.Str("src_name", name).Str("src_name_source", "config")
	}
	e.Dict("mail_server", d).Msg(ServerText(s))
}

func round(f float64) float64 { return float64(int64(f*100)) / 100 }

// ServerText describes a server in one line.
func ServerText(s *mailserver.Record) string {
	t := fmt.Sprintf("%s sent %s, accepted %d, %d in its queue", s.Addr,
		verdict.Plural(uint32(s.Count.MessagesOut), "message"), s.Count.MessagesIn,
		s.Queue.Estimate)
	if s.RelayDenied > 0 {
		t += fmt.Sprintf("; it refused to relay %s, for %s",
			verdict.Plural(uint32(s.RelayDenied), "time"),
			verdict.Plural(uint32(s.RelayStrangers), "external client"))
	}
	if s.Learning {
		t += "; learning"
	}
	return t
}

// appendRelay appends the object of a session that proves an open relay.
func (w *Writer) appendRelay(b []byte, p *verdict.RelayProof) []byte {
	b = append(appendIP(append(b, `{"client_ip":"`...), p.Client), '"')
	if from, ok := w.cfg.Evidence.address(p.MailFrom); ok {
		b = w.appendText(append(b, `,"mail_from":`...), from)
	}
	b = w.appendText(append(b, `,"rcpt_domain":`...), p.RcptDomain)
	b = appendUint(append(b, `,"auth":"none","reply_code":`...), p.ReplyCode)
	return append(b, '}')
}

// serverFamily is the letter of the family of a reason about a mail server.
func serverFamily(code string) string {
	switch code {
	case "direct_smtp":
		return "A"
	case "new_addresses":
		return "D"
	case "not_smtp":
		return "E"
	}
	switch code[:1] {
	case "q":
		return "Q"
	case "v":
		return "V"
	}
	return "R"
}

// serverHeadline describes a finding about a mail server in one line; empty for other findings.
func serverHeadline(f *finding.Finding) string {
	what := map[verdict.Class]string{
		verdict.OpenRelay:       "relays mail for external clients",
		verdict.HijackedAccount: "has an account that is probably hijacked",
		verdict.VolumeAnomaly:   "does not send as usual",
		verdict.Backscatter:     "returns mail to forged senders",
	}[f.Class]
	switch f.Action {
	case finding.Closed, finding.Suspended, finding.Resumed:
		return ""
	}
	if what == "" {
		return ""
	}
	how := map[verdict.Level]string{verdict.Suspect: "possibly %s",
		verdict.Likely: "very likely %s"}[f.Level]
	if f.Class != verdict.VolumeAnomaly && how != "" {
		what = fmt.Sprintf(how, what)
	}
	return fmt.Sprintf("the mail server %s %s", f.Source.Addr, what)
}
