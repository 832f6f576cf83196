// Command spamsensor listens to mail traffic and reports which machine sends spam, since when, and
// why, with the proof.
//
// The package connects the parts and decides nothing about traffic:
//
//	read.go, live.go      the commands that analyse: files, interfaces
//	pipeline.go           frames > engine > events and report, in both commands
//	config.go, settings.go, layers.go, fault.go, values.go, resolve.go
//	                      the configuration: its form, strict reading, places, values, what it
//	                      amounts to
//	output.go             the file of the events: protection, locks, log rotation
//	terminal.go           lines for a person, where standard output is a terminal
//	checkpoint.go         the state that survives a restart
//	check.go, checknamed.go, lint.go, effective.go, schema.go
//	                      check: faults, settings in force with their origin, the schema
//	reload.go, changes.go SIGHUP and reload: another configuration for a running sensor
//	health.go, healthpoll.go, watchdog.go
//	                      faults that keep the sensor from seeing, reporting, or going on
//	doctor.go             the command that judges a mirror port
//	notify.go, notifyconfig.go
//	                      the command that tells people, and its part of the configuration
//	reputation.go         the command that asks blocklists
//	history.go, interfaces.go
//	                      the commands that print a table
//	rules.go              the command that prints and tries rules for a firewall
//	control.go, ask.go    what a running sensor answers, and the commands that ask
//	top.go                the command that shows the hosts live on a terminal
//	playbook.go           what to do about a finding, and whether a host is quiet
//	language.go           the language of what people read
//	readonly.go           the part of a capture that read judges, and shows
//	readoutputs.go        the reports of read: HTML, JSON, CSV, text
//	serve.go              the command that shows these answers over HTTP
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"spamsensor/sensor/capture"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	// A reader that goes away must not end the process: a write then fails with EPIPE, and the
	// queue counts the lost events.
	signal.Ignore(syscall.SIGPIPE)
	ownProcess = true
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitPartial  = 3  // input was partly unreadable
	exitLost     = 4  // output was lost
	exitFindings = 10 // findings at or above --fail-on
	exitInternal = 70
)

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// exit makes an error that ends the command with an exit code. A nil err prints no message.
func exit(code int, err error) error { return &exitError{code, err} }

// run is the command. Tests call it as main does.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	cmd := a.command()
	cmd.SetArgs(args)
	cmd.SetIn(stdin)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	var e *exitError
	p := a.printer()
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &e):
		if e.err != nil {
			fmt.Fprintln(stderr, errorText(p, e.err))
		}
		return e.code
	}
	// An error of cobra is about the arguments.
	fmt.Fprintf(stderr, "%s\n  (%s)\n", p.Sentence(err.Error()),
		p.Text("spamsensor --help lists commands and options"))
	return exitUsage
}

// app has the streams and the global options that all commands share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	opt            options
	level          *logLevel // of the log, once there is one
}

func (a *app) command() *cobra.Command {
	var live, file []string
	root := &cobra.Command{
		Use:   "spamsensor",
		Short: "Find the machine that sends spam, by listening",
		Long: "spamsensor listens to mail traffic on a mirror port, or reads it from " +
			"capture files, and says\n" +
			"which machine sends spam, since when, why, and what to do.",
		Example: "  spamsensor read monday.pcap.gz\n  sudo spamsensor run -i eth1\n" +
			"  spamsensor read /captures --fail-on likely && echo clean",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case len(file) > 0:
				return a.read(cmd.Context(), file, readOptions{})
			case len(live) > 0:
				a.opt.interfaces = live
				return a.runLive(cmd.Context(), false)
			}
			return cmd.Help()
		},
	}
	root.Flags().StringArrayVarP(&live, "interface", "i", nil, "capture on `IF`: short for run -i")
	root.Flags().StringArrayVarP(&file, "read", "r", nil, "read `FILE`: short for read")
	p := root.PersistentFlags()
	p.StringVarP(&a.opt.file, "config", "c", "",
		"configuration `file`, with conf.d/*.yaml beside it, or a directory of *.yaml")
	p.StringArrayVar(&a.opt.home, "home", nil,
		"a network of ours, `CIDR`; repeatable (default: the private networks)")
	p.StringArrayVar(&a.opt.mailServers, "mail-server", nil,
		"`IP` of a mail server of ours; repeatable")
	p.StringArrayVar(&a.opt.localDomains, "local-domain", nil,
		"a domain `NAME` that our mail servers accept mail for; repeatable")
	p.StringArrayVar(&a.opt.set, "set", nil,
		"a setting of the configuration file, `key=value`; repeatable")
	p.StringVar(&a.opt.color, "color", "auto", "colours: auto, always, never")
	p.StringVar(&a.opt.lang, "lang", "", "`language` of what people read: en, fr (default: that "+
		"of the locale, or en)")
	p.BoolVarP(&a.opt.quiet, "quiet", "q", false, "no progress and no report, errors only")
	p.CountVarP(&a.opt.verbose, "verbose", "v", "say more")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains([]string{"auto", "always", "never"}, a.opt.color) {
			return exit(exitUsage, fmt.Errorf("--color %s: want auto, always or never",
				printable(a.opt.color)))
		}
		if !a.opt.knownLanguage() {
			unknown := printable(a.opt.lang)
			a.opt.lang = ""
			return exit(exitUsage, fmt.Errorf("--lang %s: want en or fr", unknown))
		}
		return nil
	}
	root.AddCommand(a.readCommand(), a.runCommand(), a.interfacesCommand(), a.historyCommand(),
		a.checkCommand(), a.serveCommand(), a.notifyCommand(), a.reputationCommand(),
		a.doctorCommand(), a.setupCommand(), a.topCommand(), a.versionCommand())
	root.AddCommand(a.askCommands()...)
	a.help(root)
	return root
}

// version is set by the build: -ldflags "-X main.version=...".
var version = "0.1.0"

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				fmt.Fprintf(a.stdout, "{\"version\":%q,\"revision\":%q,\"go\":%q,\"libpcap\":%q}\n",
					version, revision(), runtime.Version(), capture.LibpcapVersion())
				return nil
			}
			fmt.Fprintf(a.stdout, "spamsensor %s (%s, %s)\n",
				version, runtime.Version(), capture.LibpcapVersion())
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// revision returns the commit that the program was built from, or "unknown".
func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}
