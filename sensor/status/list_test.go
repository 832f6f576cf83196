package status

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/event"
)

// TestLists: the lists that write themselves are what encoding/json writes of their fields.
func TestLists(t *testing.T) {
	for _, lines := range [][]json.RawMessage{nil, {}, {json.RawMessage(`{"a":1}`)},
		{json.RawMessage(`{"a":"\u0001"}`), json.RawMessage(`null`), json.RawMessage(`[{}]`)}} {
		some := append([]json.RawMessage{}, lines...) // nil is an empty list
		for _, x := range []struct {
			list lister
			same any
		}{
			{&Sources{lines, 7}, Sources{some, 7}},
			{&FindingList{lines, 3, 0}, FindingList{some, 3, 0}},
			{&FindingList{lines, 3, 9}, FindingList{some, 3, 9}},
			{&Servers{lines}, Servers{some}},
		} {
			var got, want bytes.Buffer
			if err := x.list.writeJSON(&got); err != nil {
				t.Fatal(err)
			}
			json.NewEncoder(&want).Encode(x.same)
			if got.String() != want.String() {
				t.Errorf("%s, want %s", got.String(), want.String())
			}
		}
	}
}

// TestSince: the table of findings says since when there are signs of each, as a report does, in this
// order; an event of an earlier version has the first attempt alone.
func TestSince(t *testing.T) {
	var s Store
	for id, times := range map[string]string{"a": `"first_seen":"2026-11-30T08:31:00Z","since":"2026-11-30T10:56:00Z"`,
		"b": `"first_seen":"2026-11-30T08:37:00Z","since":"2026-11-30T08:38:00Z"`, "c": `"first_seen":"2026-11-30T09:12:00Z"`} {
		s.Add(event.FindingEvent, []byte(`{"finding":{"id":"`+id+`",`+times+"}}\n"))
	}
	list := s.Findings()
	if got := ids(list); !slices.Equal(got, []string{"b", "c", "a"}) {
		t.Errorf("in the order %v, want b, c, a", got)
	}
	for _, csv := range []bool{false, true} {
		var out bytes.Buffer
		(&Text{Out: &out, Zone: time.UTC}).PrintFindings(list, csv)
		for _, want := range []string{"10:56", "08:38", "09:12"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("csv %v: no %s:\n%s", csv, want, out.String())
			}
		}
		if strings.Contains(out.String(), "08:31") {
			t.Errorf("csv %v: the first attempt is shown:\n%s", csv, out.String())
		}
	}
}
