package main

import (
	"fmt"
	"strings"
	"testing"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// TestOpenFindingsAreBounded: those beyond the bound are counted, each once, until they are over.
func TestOpenFindingsAreBounded(t *testing.T) {
	var o openFindings
	event := func(i int, action string) {
		o.follow(&finding.Finding{ID: fmt.Sprint(i), Action: action, Severity: verdict.High})
	}
	want := func(open, kept int) {
		t.Helper()
		if !strings.HasPrefix(o.text(), fmt.Sprintf("%d findings are open", open)) ||
			len(o.latest) != kept {
			t.Errorf("%s, %d kept; want %d, %d kept", o.text(), len(o.latest), open, kept)
		}
	}
	for i := range maxOpenFindings + 2 {
		event(i, finding.Opened)
	}
	want(maxOpenFindings+2, maxOpenFindings)
	event(maxOpenFindings, finding.Updated)
	want(maxOpenFindings+2, maxOpenFindings)
	event(maxOpenFindings, finding.Closed)
	want(maxOpenFindings+1, maxOpenFindings)
	event(0, finding.Closed)
	want(maxOpenFindings, maxOpenFindings-1)
	event(maxOpenFindings+1, finding.Updated) // it has room now
	want(maxOpenFindings, maxOpenFindings)
}
