package main

import (
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
)

// add adds the figures of another run.
func (r *result) add(x *result) {
	r.Bad += x.Bad
	r.Found += x.Found
	r.Benign += x.Benign
	r.Days += x.Days
	r.Accused += x.Accused
	r.Stay += x.Stay
	r.Wrong += x.Wrong
	r.Off += x.Off
	r.Sources += x.Sources
	r.Framed += x.Framed
}

// ways are the two ways of reading a capture.
var ways = map[bool]string{false: "nothing declared", true: "all declared"}

// report prints a table of the scenarios for each way, the totals, and the faults.
func report(out io.Writer, results []*result) {
	for _, declared := range []bool{false, true} {
		t := table.NewWriter()
		t.SetOutputMirror(out)
		t.SetTitle(ways[declared])
		t.AppendHeader(table.Row{"scenario", "kind", "bad found", "benign", "host-days", "accused",
			"stay", "wrong class", "counts off"})
		var total result
		var order []string
		rows := map[string]*result{}
		for _, r := range results {
			if r.Declared != declared {
				continue
			}
			if rows[r.Scenario] == nil {
				rows[r.Scenario] = &result{Scenario: r.Scenario, Kind: r.Kind}
				order = append(order, r.Scenario)
			}
			rows[r.Scenario].add(r)
			total.add(r)
		}
		if len(order) == 0 {
			continue
		}
		for _, name := range order {
			r := rows[name]
			t.AppendRow(r.row(name))
		}
		t.AppendSeparator()
		t.AppendRow(total.row("total"))
		t.Render()
		fmt.Fprintln(out, total.summary())
	}
	fmt.Fprintln(out, lost(results))
	for _, r := range results {
		for _, f := range r.Faults {
			fmt.Fprintf(out, "%s seed %d, %s: %s\n", r.Scenario, r.Seed, ways[r.Declared], f)
		}
	}
}

// row is a line of the table; zero is left out where it is the goal.
func (r *result) row(name string) table.Row {
	blank := func(n int) any {
		if n == 0 {
			return ""
		}
		return n
	}
	found := ""
	if r.Bad > 0 {
		found = fmt.Sprintf("%d of %d", r.Found, r.Bad)
	}
	return table.Row{name, r.Kind, found, r.Benign, fmt.Sprintf("%.0f", r.Days),
		blank(r.Accused + r.Framed), blank(r.Stay), blank(r.Wrong), blank(r.Off)}
}

// summary is the totals with their intervals.
func (r *result) summary() string {
	return fmt.Sprintf("bad hosts found: %s\nbenign hosts accused: %s, in %.0f host-days\n"+
		"benign hosts that stay suspects: %s\nwrong classes: %d; counts off: %d of %d sources; "+
		"framed: %d\n", interval(r.Found, r.Bad), interval(r.Accused, r.Benign), r.Days,
		interval(r.Stay, r.Benign), r.Wrong, r.Off, r.Sources, r.Framed)
}

// lost says how many bad hosts are found only with nothing declared.
func lost(results []*result) string {
	n := 0
	for _, r := range results {
		if r.Declared {
			continue
		}
		i := slices.IndexFunc(results, func(x *result) bool {
			return x.Declared && x.Scenario == r.Scenario && x.Seed == r.Seed
		})
		if i >= 0 && results[i].Found < r.Found {
			n += r.Found - results[i].Found
		}
	}
	return fmt.Sprintf("bad hosts lost by declaring: %d", n)
}

// interval is a share with Wilson's 95 % interval.
func interval(k, n int) string {
	if n == 0 {
		return "none of none"
	}
	const z = 1.96
	p, m := float64(k)/float64(n), float64(n)
	mid := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return fmt.Sprintf("%d of %d, %.2f %% (%.2f to %.2f %%)", k, n, 100*p,
		100*max(0, mid-half), 100*min(1, mid+half))
}
