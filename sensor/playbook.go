package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"spamsensor/sensor/playbook"
	"spamsensor/sensor/report"
	"spamsensor/sensor/status"
	"spamsensor/sensor/timeline"
)

// playbookCommand prints the steps for a finding.
func (a *app) playbookCommand() *cobra.Command {
	var system string
	c := a.askCommand("playbook ID|IP", "Print what to do about a finding, step by step",
		"  spamsensor playbook spambot-10.20.4.37-1795293169 --os windows\n"+
			"  spamsensor playbook 10.20.4.37 -r monday.pcap.gz",
		wantOne("the id of a finding, or the address of a host "+
			"(spamsensor findings lists them)"),
		func(ctx context.Context, g status.Getter, o *askOptions, args []string) error {
			return a.printPlaybook(ctx, g, o, args[0], system)
		})
	c.Flags().StringVar(&system, "os", "", fmt.Sprintf("commands for this `system` of the "+
		"machine only: %s (default: all)", strings.Join(playbook.Systems, ", ")))
	return c
}

// verifyCommand checks whether a host is quiet.
func (a *app) verifyCommand() *cobra.Command {
	c := a.askCommand("verify IP", "Print whether a host is quiet, and when it counts as clean",
		"  spamsensor verify 10.20.4.37\n  spamsensor verify 10.20.4.37 && echo clean",
		wantOne("the IP address of a host"), a.printVerify)
	c.Long += "\nExit codes: 0 it is clean, 10 it is not, 13 that is not known."
	return c
}

func (a *app) printPlaybook(ctx context.Context, g status.Getter, o *askOptions,
	name, system string) error {
	if err := noCSV(o); err != nil {
		return err
	}
	if system != "" && !slices.Contains(playbook.Systems, system) {
		return exit(exitUsage, fmt.Errorf("--os %s: want %s", printable(system),
			strings.Join(playbook.Systems, ", ")))
	}
	var m report.Model
	if err := g.Get(ctx, "model", &m); err != nil {
		return err
	}
	f := playbook.Find(&m, name)
	var line json.RawMessage
	if f == nil && g.Get(ctx, "findings/"+url.PathEscape(name), &line) == nil {
		return exit(exitUsage, fmt.Errorf("the finding %s does not stand any more: it was "+
			"withdrawn, or another one replaces it", printable(name)))
	}
	if f == nil {
		return exit(exitUsage, fmt.Errorf("there is no finding %s (spamsensor findings lists "+
			"them)", printable(name)))
	}
	options := playbook.Options{OS: system, Lang: a.printer(), Zone: time.Local}
	if o.format == "json" {
		options.Lang = nil
		return a.printJSON(playbook.New(&m, f, options))
	}
	return playbook.New(&m, f, options).Write(a.stdout, a.layout())
}

func (a *app) printVerify(ctx context.Context, g status.Getter, o *askOptions,
	args []string) error {
	if err := noCSV(o); err != nil {
		return err
	}
	addr, err := hostArgument(args)
	if err != nil {
		return err
	}
	addr = addr.Unmap().WithZone("")
	var m report.Model
	if err := g.Get(ctx, "model", &m); err != nil {
		return err
	}
	var x status.Explanation
	if err := g.Get(ctx, "explain/"+url.PathEscape(addr.String()), &x); err != nil {
		return err
	}
	c := playbook.Verify(&m, addr, series(&x), len(x.Hosts)+len(x.Findings) > 0)
	if o.format == "json" {
		err = a.printJSON(c)
	} else {
		err = c.Write(a.stdout, a.layout())
	}
	code := map[playbook.State]int{playbook.NotClean: exitFindings,
		playbook.Unknown: exitUnknown}[c.State]
	if err != nil || code == exitOK {
		return err
	}
	return exit(code, nil)
}

// series are the attempts of an explanation.
func series(x *status.Explanation) *timeline.Series {
	var s timeline.Series
	for _, b := range x.Minutes {
		s.Minutes = append(s.Minutes, timeline.Bin{At: b.At.UnixNano() / timeline.Minute, N: b.N})
	}
	for _, b := range x.Hours {
		s.Hours = append(s.Hours, timeline.Bin{At: b.At.UnixNano() / timeline.Hour, N: b.N})
	}
	return &s
}

// bins are counts over time for an explanation.
func bins(list []timeline.Bin, width int64) (out []status.Bin) {
	for _, b := range list {
		out = append(out, status.Bin{At: time.Unix(0, b.At*width).UTC(), N: b.N})
	}
	return out
}

// attemptsOf are the attempts of a host over time, of all VLANs and tunnels that it is in.
func (q *questions) attemptsOf(addr netip.Addr) (sum timeline.Series) {
	q.p.engine.Between(func() {
		q.p.engine.Times(func(a netip.Addr, s *timeline.Series) {
			if a != addr {
				return
			}
			for _, b := range s.Minutes {
				sum.Minutes = timeline.Merge(sum.Minutes, b)
			}
			for _, b := range s.Hours {
				sum.Hours = timeline.Merge(sum.Hours, b)
			}
		}, func(*timeline.Series) {})
	})
	return sum
}

// layout is how texts fit standard output.
func (a *app) layout() playbook.Layout {
	l := playbook.Layout{Lang: a.printer(), Zone: time.Local, Width: terminalWidth(a.stdout)}
	if a.useColor(a.stdout) {
		text.EnableColors()
		l.Bold = func(s string) string { return text.Bold.Sprint(s) }
	}
	return l
}
