package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"spamsensor/sensor/status"
)

// refusedByAction is the status code of HTTP for an action that returned an error.
const refusedByAction = 422

func (a *app) reloadCommand() *cobra.Command {
	var o askOptions
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have the running sensor read its configuration again",
		Long: "reload has the running sensor read its configuration again, as SIGHUP does, and " +
			"prints what has changed.\nNo frame is lost. A configuration that is wrong changes " +
			"nothing; the exit code is then 2.",
		Example: "  spamsensor check && spamsensor reload",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client(&o)
			if err != nil {
				return err
			}
			return a.reload(cmd.Context(), client)
		},
	}
	socketFlag(c, &o.socket)
	return c
}

// reload has a sensor read its configuration again, and prints the changes.
func (a *app) reload(ctx context.Context, client *status.Client) error {
	var done reloadAnswer
	err := client.Post(ctx, "reload", struct{}{}, &done)
	if wrong := new(status.Error); errors.As(err, &wrong) &&
		wrong.Code == refusedByAction {
		return exit(exitUsage, errors.New("the configuration before stays in force\n"+
			printableLines(wrong.Text)))
	}
	if err != nil {
		return askError(err)
	}
	if len(done.Changes) == 0 {
		a.tell(a.stdout, "the configuration was read again: nothing has changed\n")
	}
	for _, c := range done.Changes {
		a.tell(a.stdout, "%s\n", printable(c))
	}
	return nil
}
