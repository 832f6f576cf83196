package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/status"
)

// The commands that ask a sensor: the running one over its socket, or the analysis of captures that
// -r names. Both give the same answers.

// askOptions are the options of these commands.
type askOptions struct {
	socket string
	files  []string
	format string
	limit  int
	report bool // files is a report
}

func (a *app) askCommands() []*cobra.Command {
	return []*cobra.Command{
		a.askCommand("status", "Print whether the sensor works, and what it sees",
			"  spamsensor status", nil, a.printStatus),
		a.askCommand("sources", "Print the hosts that use mail ports, the worst first",
			"  spamsensor sources --limit 20\n  spamsensor sources -r monday.pcap.gz -o csv",
			nil, a.printSources),
		a.askCommand("findings", "Print the findings, open ones first",
			"  spamsensor findings", nil, a.printFindings),
		a.askCommand("finding ID", "Print a finding with its reasons and its proof",
			"  spamsensor finding spambot-10.20.4.37-1795293169", wantOne("the id of a finding "+
				"(spamsensor findings lists them)"), a.printFinding),
		a.ackCommand(),
		a.reloadCommand(),
		a.ignoreCommand(),
		a.rulesCommand(),
		a.playbookCommand(),
		a.verifyCommand(),
		a.askCommand("explain IP", "Print what speaks for and against a host",
			"  spamsensor explain 10.20.4.37\n  spamsensor explain 10.20.4.37 -r monday.pcap.gz",
			wantOne("the IP address of a host"), a.printExplanation),
	}
}

// wantOne checks for one argument.
func wantOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("name %s", what)
		}
		return nil
	}
}

// askCommand makes a command that prints an answer.
func (a *app) askCommand(use, short, example string, check cobra.PositionalArgs,
	print func(context.Context, status.Getter, *askOptions, []string) error) *cobra.Command {
	var o askOptions
	if check == nil {
		check = cobra.NoArgs
	}
	c := &cobra.Command{
		Use: use, Short: short, Args: check, Example: example,
		Long: short + ": of the sensor that runs on this machine, or of captures (-r).",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(o.format, tableFormats); err != nil {
				return exit(exitUsage, err)
			}
			g, err := a.getter(cmd.Context(), &o)
			if err != nil {
				return err
			}
			return askError(print(cmd.Context(), g, &o, args))
		},
	}
	o.flags(c)
	formatFlag(c, &o.format, tableFormats)
	if strings.HasPrefix(use, "sources") {
		c.Flags().IntVar(&o.limit, "limit", 1000, "most hosts to print")
	}
	return c
}

// flags adds the options that say whom to ask.
func (o *askOptions) flags(c *cobra.Command) {
	socketFlag(c, &o.socket)
	c.Flags().StringArrayVarP(&o.files, "read", "r", nil,
		"analyse this capture `FILE` instead of asking a sensor, repeatable; or a report of "+
			"read --html or --json")
}

// hostArgument reads the address of a host that a command is about.
func hostArgument(args []string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(args[0])
	if err != nil {
		return addr, exit(exitUsage, fmt.Errorf("%s is no IP address", printable(args[0])))
	}
	return addr, nil
}

// askError gives an error of an answer its exit code.
func askError(err error) error {
	var wrong *status.Error
	var coded *exitError
	switch {
	case err == nil, errors.As(err, &coded):
		return err
	case errors.As(err, &wrong):
		return exit(exitUsage, err)
	}
	return exit(exitFailed, err)
}

// getter connects to a sensor, analyses captures, or reads a report.
func (a *app) getter(ctx context.Context, o *askOptions) (status.Getter, error) {
	if slices.ContainsFunc(o.files, isReport) {
		return a.fromReport(o)
	}
	if len(o.files) > 0 {
		return a.analyse(ctx, o.files)
	}
	return a.client(o)
}

// client makes the client of the running sensor.
func (a *app) client(o *askOptions) (*status.Client, error) {
	socket := o.socket
	if socket == "" {
		a.opt.asks = true
		a.useDefaultConfig()
		cfg, err := loadConfig(&a.opt)
		if err != nil {
			// That may be why somebody asks: the sensor goes on with the settings before.
			if socket = a.opt.socket(); socket == "" {
				return nil, exit(exitUsage, err)
			}
			a.tell(a.stderr, "warning: the configuration is wrong: %s\n",
				firstLine(err.Error()))
		} else {
			socket = cfg.control.socket
		}
	}
	if err := checkSocket(socket); err != nil {
		return nil, err
	}
	return status.NewClient(socket), nil
}

// analyse reads captures as `read` does, without a report.
func (a *app) analyse(ctx context.Context, names []string) (status.Getter, error) {
	a.opt.fromFiles = true
	cfg, err := loadConfig(&a.opt)
	if err != nil {
		return nil, exit(exitUsage, err)
	}
	a.warn(cfg.warnings)
	cfg.engine.Helpers, cfg.engine.Times = runtime.GOMAXPROCS(0), true
	cfg.store = new(status.Store)
	watchdog, stop := startWatchdog(ctx, a.stderr)
	defer stop()
	steps := new(atomic.Uint64)
	files, err := a.openFiles(cfg, names, &readOptions{}, a.protectedFiles(cfg), watchdog, steps)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	cfg.engine.Seed = files.Fingerprint()
	p := newPipeline(cfg, runID(files), false, nil,
		func(from uint16) string { return printable(files.Input(from)) }, files.Stats)
	p.setWatchdog(watchdog)
	began := time.Now()
	problems, interrupted := a.feedFiles(ctx, files, steps, p, readOptions{})
	for _, problem := range problems {
		a.tell(a.stderr, "%v\n", problem)
	}
	if interrupted {
		return nil, exit(exitFailed, errors.New("interrupted"))
	}
	if err := p.finish(finding.EndOfInput); err != nil {
		return nil, err
	}
	return status.Local(&questions{p: p, started: began, file: a.opt.file,
		problems: problems}), nil
}

// text prints answers.
func (a *app) text() *status.Text {
	return &status.Text{Out: a.stdout, Width: terminalWidth(a.stdout), Zone: time.Local,
		Lang: a.printer()}
}

// asJSON asks for a path, and prints the answer as JSON if -o says so. It reports whether it did.
func (a *app) asJSON(ctx context.Context, g status.Getter, o *askOptions, path string,
	answer any) (done bool, err error) {
	if o.format != "json" {
		return false, g.Get(ctx, path, answer)
	}
	if o.report {
		return true, exit(exitUsage, errors.New("-o json: a report has no events; read --json "+
			"writes its model"))
	}
	var raw json.RawMessage
	if err := g.Get(ctx, path, &raw); err != nil {
		return true, err
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", raw)
	return true, err
}

// noCSV refuses -o csv where an answer is no table.
func noCSV(o *askOptions) error {
	if o.format == "csv" {
		return exit(exitUsage, errors.New("-o csv: this is no table; want human or json"))
	}
	return nil
}

func (a *app) printSources(ctx context.Context, g status.Getter, o *askOptions, _ []string) error {
	var s status.Sources
	path := "sources?limit=" + strconv.Itoa(o.limit)
	if done, err := a.asJSON(ctx, g, o, path, &s); done || err != nil {
		return err
	}
	a.text().PrintSources(&s, o.format == "csv")
	return nil
}

func (a *app) printFindings(ctx context.Context, g status.Getter, o *askOptions, _ []string) error {
	var l status.FindingList
	if done, err := a.asJSON(ctx, g, o, "findings", &l); done || err != nil {
		return err
	}
	a.text().PrintFindings(&l, o.format == "csv")
	return nil
}

func (a *app) printFinding(ctx context.Context, g status.Getter, o *askOptions,
	args []string) error {
	if err := noCSV(o); err != nil {
		return err
	}
	var line json.RawMessage
	path := "findings/" + url.PathEscape(args[0])
	if done, err := a.asJSON(ctx, g, o, path, &line); done || err != nil {
		return err
	}
	return a.text().PrintEvent(line)
}

func (a *app) printExplanation(ctx context.Context, g status.Getter, o *askOptions,
	args []string) error {
	if err := noCSV(o); err != nil {
		return err
	}
	addr, err := hostArgument(args)
	if err != nil {
		return err
	}
	var x status.Explanation
	path := "explain/" + url.PathEscape(addr.String())
	if done, err := a.asJSON(ctx, g, o, path, &x); done || err != nil {
		return err
	}
	return a.text().PrintExplanation(&x)
}
