package status

import (
	"bytes"
	"encoding/json"
	"testing"
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
