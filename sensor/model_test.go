package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"spamsensor/sensor/report"
)

// TestModel checks that the model of a capture has the numbers of its events, and that its JSON holds
// all of it.
func TestModel(t *testing.T) {
	var a app
	a.stderr = t.Output()
	a.opt.fromFiles = true
	g, err := a.analyse(t.Context(), []string{"testdata/bot.pcap"})
	if err != nil {
		t.Fatal(err)
	}
	var m report.Model
	if err := g.Get(t.Context(), "model", &m); err != nil {
		t.Fatal(err)
	}
	if m.Headline.Alarm != report.Red || len(m.Findings) != 2 || m.Live || m.Period.First == 0 {
		t.Fatalf("headline %+v, %d findings, live %v, period %v", m.Headline, len(m.Findings), m.Live, m.Period)
	}
	f := &m.Findings[0]
	if f.IP.String() != "192.168.77.66" || f.Level != "confirmed" || f.Severity != "critical" || f.Counts.Attempts != 66 ||
		len(f.Reasons) < 3 || len(f.Proof) == 0 || f.Proof[0].Start == 0 || f.Advice == "" {
		t.Errorf("the finding: %+v", f)
	}
	if n := len(f.Story); n == 0 || f.Story[0].Action != "opened" || f.Story[0].Attempts == 0 {
		t.Errorf("its story: %+v", f.Story)
	}
	var hours, minutes, all uint32
	for _, h := range f.Hours {
		hours += h.N
	}
	for i := range m.Activity.Minutes.Flagged {
		minutes += m.Activity.Minutes.Flagged[i]
		all += m.Activity.Minutes.Flagged[i] + m.Activity.Minutes.Others[i] + m.Activity.Minutes.Servers[i]
		if m.Activity.Minutes.Rest != nil { // hosts with one attempt
			all += m.Activity.Minutes.Rest[i]
		}
	}
	if hours != f.Counts.Attempts || minutes != f.Counts.Attempts {
		t.Errorf("%d attempts by hour and %d by minute, want %d", hours, minutes, f.Counts.Attempts)
	}
	var attempts uint32
	for i := range m.Hosts {
		attempts += m.Hosts[i].Counts.Attempts
	}
	if all != attempts {
		t.Errorf("%d attempts of all hosts by minute, want %d", all, attempts)
	}
	var again report.Model
	text, err := json.Marshal(&m)
	if err == nil {
		err = json.Unmarshal(text, &again)
	}
	if err != nil || !reflect.DeepEqual(m, again) {
		t.Errorf("the model is another one after its JSON: %v", err)
	}
}

// TestModelOfDamagedFile: what was not read is in the model, for those who ask a capture as well.
func TestModelOfDamagedFile(t *testing.T) {
	b := testdata(t, "bot.pcap")
	file := filepath.Join(t.TempDir(), "cut.pcap")
	if err := os.WriteFile(file, b[:len(b)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	var a app
	a.stderr = t.Output()
	g, err := a.analyse(t.Context(), []string{file})
	if err != nil {
		t.Fatal(err)
	}
	var m report.Model
	if err := g.Get(t.Context(), "model", &m); err != nil || len(m.Input.Problems) != 1 || !strings.Contains(m.Input.Problems[0], "cut.pcap") {
		t.Errorf("problems %q, %v", m.Input.Problems, err)
	}
}
