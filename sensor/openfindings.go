package main

import (
	"fmt"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// openFindings are the latest events of the findings that are open, by id. The zero value has none.
// The engine's Output and Between call the methods.
type openFindings struct {
	latest map[string]*finding.Finding
	beyond int // open ones that are counted alone
}

// maxOpenFindings bounds the findings that are kept.
const maxOpenFindings = 10_000

// follow takes in an event of a finding.
func (o *openFindings) follow(f *finding.Finding) {
	if o == nil {
		return
	}
	if o.latest == nil {
		o.latest = map[string]*finding.Finding{}
	}
	_, known := o.latest[f.ID]
	first := f.Action == finding.Opened || f.Action == finding.Resumed
	if !known && !first && o.beyond > 0 {
		o.beyond-- // now it is kept, over, or counted again below
	}
	switch {
	case f.Action == finding.Closed:
		delete(o.latest, f.ID)
	case known || len(o.latest) < maxOpenFindings:
		o.latest[f.ID] = f
	default:
		o.beyond++
	}
}

// text says how many findings are open, and the highest severity.
func (o *openFindings) text() string {
	if len(o.latest) == 0 {
		return "no finding is open"
	}
	highest := verdict.Info
	for _, f := range o.latest {
		highest = max(highest, f.Severity)
	}
	return fmt.Sprintf("%s open, the highest severity is %s",
		verdict.Count(uint32(len(o.latest)+o.beyond), "finding is", "findings are"), highest)
}
