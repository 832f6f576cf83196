package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spamsensor/sensor/status"
)

// maxWhyBytes bounds the reason of an exception.
const maxWhyBytes = 500

func (a *app) ignoreCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ignore",
		Short: "Add exceptions for hosts, and list them",
		Long: "ignore changes and lists the exceptions of the configuration: hosts whose " +
			"findings are for information only.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(a.ignoreAddCommand(), a.ignoreListCommand())
	return c
}

// newIgnore are the arguments of `ignore add`.
type newIgnore struct {
	ip, why, until, socket string
}

func (a *app) ignoreAddCommand() *cobra.Command {
	var x newIgnore
	c := &cobra.Command{
		Use:   "add IP --why TEXT --until DATE",
		Short: "Ignore a host or a network, for a time",
		Long: "add writes an exception to conf.d/ignore.yaml beside the configuration file, or " +
			"to ignore.yaml in a directory\nof -c, and has the running sensor read it. It " +
			"changes no other file. The findings of the host go on, for information only.\n" +
			"An exception that add wrote for the same host or network is replaced.",
		Example: "  spamsensor ignore add 10.0.7.7 --why 'lab, ticket 4711' --until 2027-01-31",
		Args:    wantOne("an address or a network"),
		RunE: func(cmd *cobra.Command, args []string) error {
			x.ip = args[0]
			return a.addIgnore(cmd.Context(), &x)
		},
	}
	f := c.Flags()
	f.StringVar(&x.why, "why", "", "the reason, for whoever reads it next: `TEXT`")
	f.StringVar(&x.until, "until", "", "the last day, UTC, such as 2027-01-31, or never: `DATE`")
	socketFlag(c, &x.socket)
	return c
}

// addIgnore adds an exception, and has the running sensor read it.
func (a *app) addIgnore(ctx context.Context, x *newIgnore) error {
	if err := x.check(); err != nil {
		return exit(exitUsage, err)
	}
	a.useDefaultConfig()
	if a.opt.file == "" {
		return exit(exitUsage, fmt.Errorf("which configuration? -c FILE (there is no %s)",
			defaultConfig))
	}
	file, err := openIgnoreFile(a.opt.file)
	if err != nil {
		return exit(exitFailed, err)
	}
	defer file.close()
	if err := file.add(x, a.printer()); err != nil {
		return exit(exitUsage, err)
	}
	a.opt.draft = &settings{name: file.name, text: file.text, isFile: true}
	cfg, err := loadConfig(&a.opt)
	if err != nil {
		return exit(exitUsage, fmt.Errorf("nothing was written:\n%w", err))
	}
	faults := cfg.ignoreFaults(file.name, file.index)
	a.warn(faults)
	if err := errorsOf(faults); err != nil {
		return exit(exitUsage, fmt.Errorf("nothing was written: %w", err))
	}
	if err := file.save(); err != nil {
		return exit(exitFailed, err)
	}
	before := ""
	if file.replaced != nil {
		before = "; before " + file.replaced.untilText()
	}
	a.tell(a.stdout, "%s is ignored %s, in %s%s\n", printable(x.ip), x.untilText(),
		printable(file.name), before)
	return a.applyIgnore(ctx, cmp.Or(x.socket, cfg.control.socket))
}

// check checks the arguments before any file is looked at.
func (x *newIgnore) check() error {
	x.why = strings.TrimSpace(x.why)
	var r resolver
	r.layers = &layers{}
	r.prefix("the host", x.ip)
	switch {
	case len(r.errs) > 0:
		return fmt.Errorf("%s is no address and no network (try 10.0.7.7 or 10.0.7.0/24)",
			printable(x.ip))
	case x.why == "":
		return errors.New("--why is missing: state the reason, for whoever reads it next")
	case len(x.why) > maxWhyBytes:
		return fmt.Errorf("--why has %d bytes; state the reason in at most %d", len(x.why),
			maxWhyBytes)
	case x.until == "":
		return fmt.Errorf("--until is missing: name the last day, such as %s, or never",
			time.Now().AddDate(0, 1, 0).UTC().Format(time.DateOnly))
	case x.until == "never":
		return nil
	}
	if end := r.date("the end", x.until); len(r.errs) > 0 {
		return fmt.Errorf("--until %s is not a day (try 2027-01-31, or never)", printable(x.until))
	} else if end <= time.Now().UnixNano() {
		return fmt.Errorf("--until %s is over; name a day to come", x.until)
	}
	return nil
}

// untilText says how long an exception lasts.
func (x *newIgnore) untilText() string {
	if x.until == "never" || x.until == "" {
		return "without an end"
	}
	return fmt.Sprintf("until the end of %s", x.until)
}

// ignoreFaults are the faults of an exception, by its number in a file. One that another exception
// covers is an error: it would not be what holds.
func (c *config) ignoreFaults(file string, index int) (list []*fault) {
	last := -1
	for i, o := range c.layers.items["ignore"] {
		if o.text.name == file && o.index == index {
			last = i
		}
	}
	for _, f := range lint(c) {
		if f.Key != fmt.Sprintf("ignore[%d].ip", last) {
			continue
		}
		if strings.Contains(f.Text, "covers it") || strings.Contains(f.Text, "is named before") {
			f.Severity = "error"
		}
		list = append(list, f)
	}
	return list
}

// applyIgnore has the running sensor read the configuration, or says what to do for that.
func (a *app) applyIgnore(ctx context.Context, socket string) error {
	var done reloadAnswer
	err := errors.New("control.socket is off")
	if socket != noSocket {
		err = status.NewClient(socket).Post(ctx, "reload", struct{}{}, &done)
	}
	applied := slices.ContainsFunc(done.Changes, func(c string) bool {
		return strings.HasPrefix(c, "ignore: added ")
	})
	const byHand = "  apply it with: spamsensor reload, or: systemctl reload spamsensor"
	refused := new(status.Error)
	switch {
	case errors.As(err, &refused):
		a.tell(a.stdout, "the running sensor has not read it: %s\n%s\n",
			printable(firstLine(refused.Text)), byHand)
	case err != nil:
		a.tell(a.stdout, "no sensor could be asked to read it on %s\n%s\n",
			printable(socket), byHand)
	case !applied:
		a.tell(a.stdout, "the sensor on %s has another configuration: it did not change\n",
			printable(socket))
	default:
		a.tell(a.stdout, "the running sensor has read it\n")
	}
	return nil
}

// ignorePath returns the file of the exceptions that `ignore add` writes, for a configuration -c.
func ignorePath(config string, isDir bool) string {
	if isDir {
		return filepath.Join(config, "ignore.yaml")
	}
	return filepath.Join(filepath.Dir(config), "conf.d", "ignore.yaml")
}

// isOver reports whether an exception is over.
func isOver(until int64) bool { return until != 0 && until <= time.Now().UnixNano() }

// lastDay writes the end of an exception as a configuration does.
func lastDay(until int64) string {
	return time.Unix(0, until-1).UTC().Format(time.DateOnly)
}

// netText writes a network, an address alone as one.
func netText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
