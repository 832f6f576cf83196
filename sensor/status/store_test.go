package status

import (
	"encoding/json"
	"fmt"
	"testing"

	"spamsensor/sensor/event"
)

// findingLine is an event of a finding, as the event package writes it.
func findingLine(id, action, reason, level, severity string) []byte {
	return fmt.Appendf(nil, `{"src_ip":"10.0.0.7","finding":{"id":%q,"action":%q,"class":"spambot",`+
		`"level":%q,"severity":%q,"close_reason":%q,"first_seen":"2026-01-01T00:00:00Z"}}`+"\n",
		id, action, level, severity, reason)
}

func ids(l *FindingList) (list []string) {
	for _, e := range events(l.Findings) {
		list = append(list, e.Finding.ID)
	}
	return list
}

// TestStore: the latest event of each finding is kept, the worst open one comes first, and one that
// ends with the capture is still open.
func TestStore(t *testing.T) {
	var s Store
	add := func(line []byte) { s.Add(event.FindingEvent, line) }
	add(findingLine("a", "opened", "", "suspect", "medium"))
	add(findingLine("b", "opened", "", "likely", "high"))
	add(findingLine("c", "opened", "", "confirmed", "critical"))
	add(findingLine("c", "closed", "quiet", "confirmed", "critical"))
	add(findingLine("b", "closed", "end_of_input", "likely", "high"))
	add([]byte("no JSON\n"))
	if got := fmt.Sprint(ids(s.Findings())); got != "[b a c]" {
		t.Errorf("findings %s, want b, a and then c, which is over", got)
	}
	f, n := s.Counts()
	if f.Open["spambot"]["likely"] != 1 || f.Open["spambot"]["confirmed"] != 0 ||
		f.Total["spambot"]["critical"] != 1 || n["finding"] != 6 {
		t.Errorf("counts %+v, events %v", f, n)
	}
	add(findingLine("c", "opened", "", "confirmed", "critical")) // it is back
	if got := fmt.Sprint(ids(s.Findings())); got != "[c b a]" || len(s.closed) != 0 {
		t.Errorf("findings %s after c was opened again", got)
	}
	if s.Finding("a") == nil || s.Finding("x") != nil {
		t.Error("a finding is missing, or one is too many")
	}
}

// TestStoreIsBounded: what had to make room is counted.
func TestStoreIsBounded(t *testing.T) {
	var s Store
	for i := range maxOpen + 3 {
		s.Add(event.FindingEvent, findingLine(fmt.Sprint("open", i), "opened", "", "likely", "high"))
	}
	counted := func(forgotten uint64) {
		t.Helper()
		f, _ := s.Counts()
		if n := f.Total["spambot"]["high"]; n != maxOpen+3 || s.Findings().Forgotten != forgotten {
			t.Errorf("%d findings are counted, %d forgotten; want %d and %d", n,
				s.Findings().Forgotten, maxOpen+3, forgotten)
		}
	}
	counted(3)
	last := fmt.Sprint("open", maxOpen+2)
	s.Add(event.FindingEvent, findingLine(last, "updated", "", "likely", "high"))
	counted(3) // it is no other finding
	s.Add(event.FindingEvent, findingLine(last, "closed", "quiet", "likely", "high"))
	counted(2) // closed ones have room
	if s.Finding(last) == nil {
		t.Error("a finding beyond the bound of open ones is not kept when it is closed")
	}
	for i := range maxClosed + 1 {
		id := fmt.Sprint("open", i)
		s.Add(event.FindingEvent, findingLine(id, "closed", "quiet", "likely", "high"))
	}
	l := s.Findings()
	if l.Total != maxOpen-1 || l.Forgotten != 4 || s.Finding(last) != nil ||
		s.Finding("open0") != nil {
		t.Errorf("%d findings, %d forgotten; want %d and 4", l.Total, l.Forgotten, maxOpen-1)
	}
	for i := range maxServers + 1 {
		s.Add(event.ServerEvent, fmt.Appendf(nil, `{"src_ip":"10.0.%d.%d"}`+"\n", i/250, i%250))
	}
	if n := len(s.Servers().Servers); n != maxServers {
		t.Errorf("%d servers, want %d", n, maxServers)
	}
}

// TestStoreCopies: the line belongs to the writer of the events.
func TestStoreCopies(t *testing.T) {
	var s Store
	line := findingLine("a", "opened", "", "likely", "high")
	s.Add(event.FindingEvent, line)
	clear(line)
	if !json.Valid(s.Finding("a")) {
		t.Error("the kept event changed with the buffer of the writer")
	}
}
