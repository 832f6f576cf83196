package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"spamsensor/sensor/top"
)

// topCommand shows the hosts of a sensor, live.
func (a *app) topCommand() *cobra.Command {
	var o askOptions
	c := &cobra.Command{
		Use: "top", Short: "Show the hosts that use mail ports, live, with the evidence",
		Long: "top shows the hosts of the sensor that runs on this machine, the worst first, and " +
			"the evidence\nabout the selected one. It asks the sensor every second, and changes " +
			"nothing. With -r it shows\nwhat captures or a report have. The key ? lists the keys.",
		Example: "  sudo spamsensor top\n  spamsensor top -r monday.pcap.gz",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.top(cmd.Context(), &o) },
	}
	o.flags(c)
	return c
}

func (a *app) top(ctx context.Context, o *askOptions) error {
	if !isTerminal(a.stdout) {
		return exit(exitUsage, errors.New("top needs a terminal; for pipes and files there are: "+
			"spamsensor sources, spamsensor findings"))
	}
	g, err := a.getter(ctx, o)
	if err != nil {
		return err
	}
	color := a.useColor(a.stdout)
	if color {
		// --color always wins over it; the library reads it, too.
		if err := os.Unsetenv("NO_COLOR"); err != nil {
			return err
		}
	}
	var names []string
	for _, f := range o.files {
		names = append(names, printable(filepath.Base(f)))
	}
	err = top.Run(ctx, top.Options{Sensor: g, Files: names, Report: o.report,
		Lang: a.printer(), Zone: time.Local, Color: color})
	var unusable *top.TerminalError
	if errors.As(err, &unusable) {
		return exit(exitUsage, err)
	}
	return askError(err)
}
