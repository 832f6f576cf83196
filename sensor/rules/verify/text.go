package verify

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"spamsensor/sensor/lang"
)

// Text writes a report for a person: a row for each connection.
func (r *Report) Text(w io.Writer, p *lang.Printer) {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	head := table.Row{p.Text("From"), p.Text("To"), p.Text("Port"), p.Text("Wanted")}
	for _, d := range r.Dialects {
		head = append(head, d)
	}
	t.AppendHeader(head)
	for i, c := range r.Connections {
		if i > 0 && c.Server.Is6() && r.Connections[i-1].Server.Is4() {
			t.AppendSeparator()
		}
		wanted := p.Text("passes")
		if !c.Passes {
			wanted = p.Text("dropped")
		}
		row := table.Row{r.name(p, c.From) + " " + c.Client.String(),
			r.name(p, c.To) + " " + c.Server.String(), c.Port, wanted}
		for j := range c.Results {
			row = append(row, c.result(p, &c.Results[j]))
		}
		t.AppendRow(row)
	}
	fmt.Fprintln(w, t.Render())
	if len(r.StandIns) > 0 {
		var names []string
		for _, x := range r.StandIns {
			names = append(names, r.name(p, x.Kind)+" "+x.IP.String())
		}
		fmt.Fprintln(w, p.Sprintf("Stand-ins, because the rules have none of the kind: %s.",
			strings.Join(names, ", ")))
	}
	n := uint64(len(r.Connections))
	if r.Wrong > 0 {
		fmt.Fprintln(w, p.Sprintf("WRONG: %s did not end as it should. Do not load these rules.",
			p.Plural(uint64(r.Wrong), "connection", "connections")))
		return
	}
	fmt.Fprintln(w, p.Sprintf("Exactly the right connections pass (%s, in %s). Without the rules, "+
		"and after they were undone, all pass.", p.Plural(n, "connection", "connections"),
		strings.Join(r.Dialects, ", ")))
}

// name is the name of a host in the language of the reader.
func (r *Report) name(p *lang.Printer, host string) string {
	switch host {
	case server:
		return p.Text("server")
	case flagged:
		return p.Text("flagged host")
	case desktop:
		return p.Text("desktop")
	case relay:
		return p.Text("allowed relay")
	}
	return p.Text("outside")
}

// result is what became of a connection.
func (c *Connection) result(p *lang.Printer, r *Result) string {
	text := p.Text("passes")
	switch {
	case r.With.Counted != "":
		text = p.Text("dropped, counted")
	case !r.With.Passed:
		text = p.Text("no answer, not counted")
	}
	switch {
	case !r.Before.Passed:
		text += ", " + p.Text("but not without the rules")
	case !r.After.Passed:
		text += ", " + p.Text("but not after they were undone")
	}
	if !c.Right(r) {
		return p.Text("WRONG") + ": " + text
	}
	return text
}
