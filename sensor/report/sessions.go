package report

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/finding"
)

// MaxSessions bounds the sessions of a Model.
const MaxSessions = 10_000

// maxSessionRows bounds the rows of the table of sessions in a text that does not show all.
const maxSessionRows = 100

// MailSession is a mail session of the table of sessions. Code, Phase and Reply are its first
// refusal.
type MailSession struct {
	Session
	End                Time   `json:"end"`
	State              string `json:"state"` // how the connection ended
	Recipients         uint32 `json:"recipients"`
	RecipientsRejected uint32 `json:"recipients_rejected"`
	LastCode           uint16 `json:"last_code,omitempty"`
	LastReply          string `json:"last_reply,omitempty"`
}

// sessionTable collects the sessions of the hosts that are shown.
type sessionTable struct {
	rows []MailSession
	more uint64
}

// CollectSessions has the report collect the sessions of the hosts that it shows.
func (r *Report) CollectSessions() { r.table = &sessionTable{} }

// addToTable adds a session to the table.
func (r *Report) addToTable(number uint64, s *finding.Session) {
	t := r.table
	if t == nil || !r.shows(s.Client.Addr()) && !r.shows(s.Server.Addr()) {
		return
	}
	if len(t.rows) == MaxSessions {
		t.more++
		return
	}
	x := session{number: number, start: s.Start, to: s.Server, helo: s.Helo, from: s.MailFrom,
		accepted: s.Messages, tls: s.TLS}
	if len(s.Refusals) > 0 {
		x.refused = s.Refusals[0]
	}
	row := MailSession{Session: r.sessionModel(s.Client.Addr().Unmap(), &x), End: Time(s.End),
		State: s.State, Recipients: s.Rcpts, RecipientsRejected: s.RcptsRejected,
		LastCode: s.LastCode, LastReply: r.clean(s.LastReply)}
	// A part of a text holds the whole one in memory.
	row.Helo, row.Reply = strings.Clone(row.Helo), strings.Clone(row.Reply)
	row.LastReply = strings.Clone(row.LastReply)
	for i := range row.MailFrom {
		row.MailFrom[i] = strings.Clone(row.MailFrom[i])
	}
	t.rows = append(t.rows, row)
}

// tableModel is the table in the order in which the sessions began, and how many more there are.
func (r *Report) tableModel() ([]MailSession, uint64) {
	if r.table == nil {
		return nil, 0
	}
	rows := append([]MailSession{}, r.table.rows...)
	slices.SortStableFunc(rows, func(a, b MailSession) int { return cmp.Compare(a.Start, b.Start) })
	return rows, r.table.more
}

// only is the chosen time.
func (p *printer) only(x *Restriction) string {
	switch {
	case x.Until == 0:
		return p.tr.Sprintf("from %s on", p.clock(x.Since))
	case x.Since == 0:
		return p.tr.Sprintf("before %s", p.clock(x.Until))
	}
	return p.tr.Sprintf("from %s on, before %s", p.clock(x.Since), p.clock(x.Until))
}

// sessionTable writes the table of sessions, if it was asked for.
func (p *printer) sessionTable(m *Model) {
	if m.Sessions == nil {
		return
	}
	all := uint64(len(m.Sessions)) + m.MoreSessions
	p.section(p.tr.Sprintf("Mail sessions (%s)", p.tr.Number(all)))
	if all == 0 {
		p.item(p.tr.Text("none"))
		return
	}
	rows := m.Sessions
	if !p.all {
		rows = rows[:min(len(rows), maxSessionRows)]
	}
	layout := "01-02 15:04:05"
	if first, last := rows[0].Start, rows[len(rows)-1].Start; p.time(first, time.DateOnly) ==
		p.time(last, time.DateOnly) {
		p.text(p.tr.Sprintf("Of %s.", p.time(first, time.DateOnly)))
		layout = time.TimeOnly
	}
	var cells [][]string
	for i := range rows {
		s := &rows[i]
		cells = append(cells, []string{p.time(s.Start, layout), s.Client.String(),
			s.Server.String(), cmp.Or(s.Helo, "-"), cmp.Or(s.Senders(), "-"),
			p.tr.Number(uint64(s.Recipients)), p.tr.Number(uint64(s.Messages)), s.TLS,
			cmp.Or(s.Answer(), "-")})
	}
	p.columns([]column{{name: p.tr.Text("start")}, {name: p.tr.Text("client")},
		{name: p.tr.Text("server")}, {name: "HELO", cut: true, drop: 4},
		{name: "MAIL FROM", cut: true, drop: 5}, {name: "rcpt", right: true, drop: 2},
		{name: "msg", right: true, drop: 3}, {name: "TLS", drop: 1},
		{name: p.tr.Text("reply"), cut: true, drop: 6}}, cells)
	if more := all - uint64(len(rows)); more > 0 {
		p.line("   " + p.tr.Sprintf("and %s more", p.tr.Number(more)))
	}
}

// Senders are the senders of the session's mails; <> is the null sender of returned mail.
func (s *MailSession) Senders() string {
	list := slices.Clone(s.MailFrom)
	for i := range list {
		list[i] = cmp.Or(list[i], "<>")
	}
	return strings.Join(list, " ")
}

// Answer is the reply that matters most: the first refusal, or the last reply.
func (s *MailSession) Answer() string {
	code, text := s.Code, s.Reply
	if code == 0 {
		code, text = s.LastCode, s.LastReply
	}
	if code == 0 || strings.HasPrefix(text, fmt.Sprint(code)) {
		return text
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", code, text))
}

// SessionsCSV writes the table of sessions as RFC 4180 has it, inert for a spreadsheet.
func (m *Model) SessionsCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	out.Write([]string{"start", "end", "client", "server", "port", "helo", "mail_from",
		"recipients", "recipients_rejected", "messages", "tls", "state", "refused_code",
		"refused_phase", "refused_reply", "last_code", "last_reply", "event"})
	for i := range m.Sessions {
		s := &m.Sessions[i]
		row := []string{s.Start.utc(), s.End.utc(), s.Client.String(), s.Server.Addr().String(),
			fmt.Sprint(s.Server.Port()), s.Helo, s.Senders(),
			fmt.Sprint(s.Recipients), fmt.Sprint(s.RecipientsRejected), fmt.Sprint(s.Messages),
			s.TLS, s.State, number(s.Code), s.Phase, s.Reply, number(s.LastCode), s.LastReply,
			eventNumber(s.Number)}
		for j := range row {
			row[j] = inert(row[j])
		}
		out.Write(row)
	}
	out.Flush()
	return out.Error()
}

// number is a code, empty if there is none.
func number(code uint16) string {
	if code == 0 {
		return ""
	}
	return fmt.Sprint(code)
}

// eventNumber is the number of a session's event, empty if it has none.
func eventNumber(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
