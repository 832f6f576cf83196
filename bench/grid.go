package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// grid is a table of text. Its first column is a name, its last a remark, all others are numbers.
type grid struct {
	head []string
	rows [][]string
}

// text prints the table with aligned columns.
func (g *grid) text(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, cells := range append([][]string{g.head}, g.rows...) {
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}

// markdown prints the table in Markdown.
func (g *grid) markdown(w io.Writer) error {
	fmt.Fprintf(w, "| %s |\n|---|%s---|\n", strings.Join(g.head, " | "),
		strings.Repeat("---:|", len(g.head)-2))
	for _, cells := range g.rows {
		line := strings.ReplaceAll(strings.Join(cells, "\t"), "|", `\|`)
		if _, err := fmt.Fprintf(w, "| %s |\n", strings.ReplaceAll(line, "\t", " | ")); err != nil {
			return err
		}
	}
	return nil
}
