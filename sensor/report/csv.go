package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// csvColumns are the columns of the table of hosts, by the names of the model.
var csvColumns = []struct {
	name string
	text func(*Host) string
}{
	{"ip", func(h *Host) string { return h.IP.String() }},
	{"mac", func(h *Host) string { return h.MAC }},
	{"vlan", func(h *Host) string { return strings.Trim(fmt.Sprint(h.VLAN), "[]") }},
	{"input", func(h *Host) string { return h.Input }},
	{"role", func(h *Host) string { return h.Role }},
	{"level", func(h *Host) string { return h.Level }},
	{"score", func(h *Host) string { return strconv.FormatFloat(h.Score, 'f', 1, 64) }},
	{"finding", func(h *Host) string { return h.Finding }},
	{"first_seen", func(h *Host) string { return h.First.utc() }},
	{"last_seen", func(h *Host) string { return h.Last.utc() }},
	{"attempts", func(h *Host) string { return fmt.Sprint(h.Counts.Attempts) }},
	{"sessions", func(h *Host) string { return fmt.Sprint(h.Counts.Sessions) }},
	{"refused", func(h *Host) string { return fmt.Sprint(h.Counts.Refused) }},
	{"unreachable", func(h *Host) string { return fmt.Sprint(h.Counts.Unreachable) }},
	{"silent", func(h *Host) string { return fmt.Sprint(h.Counts.Silent) }},
	{"messages", func(h *Host) string { return fmt.Sprint(h.Counts.Messages) }},
	{"rejected", func(h *Host) string { return fmt.Sprint(h.Counts.Rejected) }},
	{"deferred", func(h *Host) string { return fmt.Sprint(h.Counts.Deferred) }},
	{"recipients", func(h *Host) string { return fmt.Sprint(h.Counts.Recipients) }},
	{"recipients_rejected", func(h *Host) string {
		return fmt.Sprint(h.Counts.RecipientsRejected)
	}},
	{"tls_sessions", func(h *Host) string { return fmt.Sprint(h.Counts.TLSSessions) }},
	{"auth_sessions", func(h *Host) string { return fmt.Sprint(h.Counts.AuthSessions) }},
	{"dest_ips", func(h *Host) string { return fmt.Sprint(h.Counts.DestIPs) }},
	{"dest_nets", func(h *Host) string { return fmt.Sprint(h.Counts.DestNets) }},
	{"helo_names", func(h *Host) string { return fmt.Sprint(h.Counts.HeloNames) }},
	{"sender_domains", func(h *Host) string { return fmt.Sprint(h.Counts.SenderDomains) }},
	{"mostly_to", func(h *Host) string {
		if len(h.Destinations) == 0 {
			return ""
		}
		return new(printer).target(h)
	}},
	{"name", func(h *Host) string { return h.Name }},
}

// CSV writes the table of the hosts, the worst first, as RFC 4180 has it. A spreadsheet
// finds no formula in it.
func (m *Model) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	row := make([]string, len(csvColumns))
	for i, c := range csvColumns {
		row[i] = c.name
	}
	out.Write(row)
	for i := range m.Hosts {
		for j, c := range csvColumns {
			row[j] = inert(c.text(&m.Hosts[i]))
		}
		out.Write(row)
	}
	out.Flush()
	return out.Error()
}

// inert is the content of a cell that a spreadsheet takes for text: one that begins like a formula
// gets an apostrophe (OWASP, CSV Injection). A negative number is no formula.
func inert(s string) string {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return s
	}
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// utc is the time in RFC 3339, empty if there is none.
func (t Time) utc() string {
	if t == 0 {
		return ""
	}
	return t.In(time.UTC).Format("2006-01-02T15:04:05.000000Z07:00")
}
