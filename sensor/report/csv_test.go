package report

import (
	"encoding/csv"
	"net/netip"
	"strings"
	"testing"
)

// TestCSV: each host has a row of as many cells as there are names, a spreadsheet finds no formula in
// any, and a negative number stays one.
func TestCSV(t *testing.T) {
	names := []string{"=cmd|'/C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "a,b\n\"c\"", "mail.example", ""}
	m := &Model{}
	for _, name := range names {
		m.Hosts = append(m.Hosts, Host{IP: netip.MustParseAddr("10.0.0.1"), Score: -6.2, Input: name, Counts: Counts{Attempts: 66},
			Destinations: []Destination{{Server: netip.MustParseAddrPort("192.0.2.1:25"), Name: name}}})
	}
	var out strings.Builder
	if err := m.CSV(&out); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	if err != nil || len(rows) != 1+len(names) {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	for i, row := range rows[1:] {
		for j, cell := range row {
			switch {
			case rows[0][j] == "score":
				if cell != "-6.2" {
					t.Errorf("score %q", cell)
				}
			case cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r"):
				t.Errorf("%q of %q is a formula", rows[0][j], cell)
			}
		}
		if got := strings.TrimPrefix(row[3], "'"); got != names[i] {
			t.Errorf("input %q, want %q", got, names[i])
		}
	}
}
