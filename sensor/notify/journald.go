package notify

import (
	"context"
	"errors"
	"strings"
	"time"

	sdjournal "github.com/coreos/go-systemd/v22/journal"
)

// journald writes entries to the journal of systemd, each item one, with fields of its own.
type journald struct{}

func (journald) where() string { return "the journal of systemd" }

func (journald) send(_ context.Context, m *Message, _ time.Time) error {
	if !sdjournal.Enabled() {
		return &failure{reason: reasonUnreachable, text: "there is no journal of systemd here",
			hint: "does systemd run on this machine? In a container mount /run/systemd/journal"}
	}
	var errs []error
	for i := range m.Items {
		it := &m.Items[i]
		errs = append(errs, sdjournal.Send(strings.Join(it.lines(m.words), "\n"),
			sdjournal.Priority(priority(it)), journalFields(m, it)))
	}
	rest := m.Notes
	if m.More > 0 {
		rest = append(rest[:len(rest):len(rest)], m.leftOut())
	}
	for _, note := range rest {
		errs = append(errs, sdjournal.Send(note, sdjournal.PriWarning,
			map[string]string{"SYSLOG_IDENTIFIER": "spamsensor"}))
	}
	if err := errors.Join(errs...); err != nil {
		return failed("cannot write to the journal", err)
	}
	return nil
}

// journalFields are the fields of an entry beside its text.
func journalFields(m *Message, it *Item) map[string]string {
	fields := map[string]string{"SYSLOG_IDENTIFIER": "spamsensor",
		"SPAMSENSOR_SENSOR": m.Sensor, "SPAMSENSOR_KIND": it.Kind, "SPAMSENSOR_ID": it.ID,
		"SPAMSENSOR_HOST": it.Host, "SPAMSENSOR_CLASS": it.Class, "SPAMSENSOR_LEVEL": it.Level,
		"SPAMSENSOR_SEVERITY": it.Severity, "SPAMSENSOR_SINCE": stamp(it.Since)}
	for name, text := range fields {
		if text == "" {
			delete(fields, name)
		}
	}
	return fields
}
