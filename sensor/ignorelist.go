package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
)

// ignoreLine is one line of `ignore list`.
type ignoreLine struct {
	Net   string `json:"ip"`
	Until string `json:"until,omitempty"`
	Over  bool   `json:"over"`
	Why   string `json:"why"`
	File  string `json:"file"`
	Line  int    `json:"line,omitempty"`
}

func (a *app) ignoreListCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the exceptions of the configuration",
		Example: "  spamsensor ignore list -c /etc/spamsensor/spamsensor.yaml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkFormat(format, tableFormats); err != nil {
				return exit(exitUsage, err)
			}
			a.useDefaultConfig()
			a.opt.fromFiles = true
			cfg, err := loadConfig(&a.opt)
			if err != nil {
				return exit(exitUsage, err)
			}
			if err := a.printIgnored(a.stdout, cfg.ignored(), format); err != nil {
				return exit(exitFailed, err)
			}
			return nil
		},
	}
	formatFlag(c, &format, tableFormats)
	return c
}

// ignored lists the exceptions, in the order of the configuration.
func (c *config) ignored() []ignoreLine {
	list := []ignoreLine{}
	for i, x := range c.engine.Ignore {
		f := c.layers.fault("", fmt.Sprintf("ignore[%d].ip", i), "")
		list = append(list, ignoreLine{Net: netText(x.Net), Until: c.file.Ignore[i].Until,
			Over: isOver(x.Until), Why: x.Why, File: f.File, Line: f.Line})
	}
	return list
}

// printIgnored writes the exceptions in a format.
func (a *app) printIgnored(out io.Writer, list []ignoreLine, format string) error {
	if format == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(list)
	}
	if len(list) == 0 && format == "human" {
		a.tell(out, "no host is ignored\n")
		return nil
	}
	p := a.printer()
	if format == "csv" {
		p = nil // programs read it
	}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(columns(p, "ip", "until", "why", "where"))
	for i := range list {
		x := &list[i]
		until := x.Until
		if x.Over {
			until += p.Text(" (over)")
		}
		where := x.File
		if x.Line > 0 {
			where = fmt.Sprintf("%s:%d", x.File, x.Line)
		}
		t.AppendRow(table.Row{x.Net, until, printable(x.Why), printable(where)})
	}
	text := t.Render
	if format == "csv" {
		text = t.RenderCSV
	}
	_, err := fmt.Fprintln(out, text())
	return err
}
