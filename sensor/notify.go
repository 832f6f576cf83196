package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/notify"
)

func (a *app) notifyCommand() *cobra.Command {
	var outbox string
	c := &cobra.Command{
		Use:   "notify",
		Short: "Tell people about findings, by mail, webhook, Alertmanager, syslog or journal",
		Long: "notify follows the file of the events (output.file) and tells people about " +
			"findings and about faults that\nmake the sensor blind, through the channels under " +
			"notify in the configuration. It needs no privilege,\nruns beside run, and cannot " +
			"stall it. Messages wait in the outbox until they are delivered.",
		Example: "  spamsensor notify -c /etc/spamsensor/spamsensor.yaml test\n" +
			"  spamsensor notify -c /etc/spamsensor/spamsensor.yaml",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.notify(cmd.Context(), outbox) },
	}
	c.Flags().StringVar(&outbox, "outbox", "",
		"`directory` of messages that wait (default: outbox in state.dir)")
	test := &cobra.Command{
		Use:   "test",
		Short: "Send a test notice through every channel, and say what came of it",
		Long: "test sends a notice that is marked as a test through every channel at once, and " +
			"prints one line for each.\nIt exits with 0 only if all were delivered.",
		Example: "  spamsensor notify test -c /etc/spamsensor/spamsensor.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.notifyTest(cmd.Context()) },
	}
	c.AddCommand(test)
	return c
}

// notifyConfig reads the configuration, with the credentials of the channels.
func (a *app) notifyConfig(outbox string) (*notify.Config, zerolog.Logger, error) {
	a.opt.fromFiles, a.opt.credentials = true, true
	cfg, err := loadConfig(&a.opt)
	if err != nil {
		return nil, zerolog.Nop(), err
	}
	log := a.logger(cfg)
	n := &notify.Config{Log: func(text string) { log.Warn().Msg(printable(text)) },
		Events: cfg.output, Outbox: outbox, Host: cfg.name,
		Channels: cfg.notify, Limits: cfg.notifyLimits,
		Watch: cfg.watch(), Lang: lang.New(cmp.Or(a.opt.lang, cfg.lang, a.language()))}
	if n.Events == "-" {
		n.Events = ""
	}
	if dir := cfg.state.dir; dir != "" {
		n.Counters = filepath.Join(dir, notify.CountersFile)
		n.Journal = filepath.Join(dir, notify.JournalFile)
		if n.Outbox == "" {
			n.Outbox = filepath.Join(dir, "outbox")
		}
	} else if n.Outbox != "" {
		n.Counters = filepath.Join(n.Outbox, notify.CountersFile)
	}
	return n, log, nil
}

func (a *app) notify(ctx context.Context, outbox string) error {
	cfg, log, err := a.notifyConfig(outbox)
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		return exit(exitUsage, err)
	}
	service, err := notify.New(*cfg)
	if err != nil {
		return exit(exitFailed, err)
	}
	log.Info().Str("events", printable(cfg.Events)).Str("outbox", printable(cfg.Outbox)).
		Int("channels", len(cfg.Channels)).Msg("following the events")
	if err := service.Run(ctx); err != nil {
		return exit(exitLost, fmt.Errorf("the state of notify could not be saved: %w", err))
	}
	return nil
}

func (a *app) notifyTest(ctx context.Context) error {
	cfg, _, err := a.notifyConfig("")
	if err == nil && len(cfg.Channels) == 0 {
		err = errors.New("there is nobody to tell: add a channel to notify in the configuration")
	}
	if err != nil {
		return exit(exitUsage, err)
	}
	failed := a.printResults(a.stdout, notify.Test(ctx, cfg, time.Now()))
	if failed > 0 {
		return exit(exitFailed, fmt.Errorf("%d of %d test notices were not delivered", failed,
			len(cfg.Channels)))
	}
	return nil
}

// printResults prints a line for each channel and returns how many failed.
func (a *app) printResults(out io.Writer, results []notify.Result) (failed int) {
	for _, r := range results {
		if r.Error == "" {
			a.tell(out, "%-14s delivered to %s\n", printable(r.Channel), printable(r.Where))
			continue
		}
		failed++
		hint := ""
		if r.Hint != "" {
			hint = "; " + r.Hint
		}
		a.tell(out, "%-14s NOT delivered to %s: %s%s\n", printable(r.Channel),
			printable(r.Where), printable(r.Error), hint)
	}
	return failed
}
