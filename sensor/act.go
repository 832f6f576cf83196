package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"

	"github.com/spf13/cobra"
)

// The commands that change a running sensor, over its control socket.

func (a *app) ackCommand() *cobra.Command {
	var o askOptions
	var why string
	c := &cobra.Command{
		Use:   "ack ID --why TEXT",
		Short: "Acknowledge a finding: somebody looks after it",
		Long: "ack acknowledges an open finding of the running sensor. The finding goes on; its " +
			"events say who looks after it and why.",
		Example: "  spamsensor ack spambot-10.20.4.37-1795293169 --why 'PC is off the network, " +
			"ticket 4711'",
		Args: wantOne("the id of a finding (spamsensor findings lists them)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if why == "" {
				return exit(exitUsage, errors.New("--why is missing: state why, for whoever sees "+
					"the finding next"))
			}
			client, err := a.client(&o)
			if err != nil {
				return err
			}
			var done map[string]string
			r := ackRequest{ID: args[0], Why: why, By: userName()}
			if err := client.Post(cmd.Context(), "ack", &r, &done); err != nil {
				return askError(err)
			}
			a.tell(a.stdout, "%s is acknowledged by %s\n", printable(args[0]), printable(r.By))
			return nil
		},
	}
	c.Flags().StringVar(&why, "why", "", "why it is still open, and who does what: `TEXT`")
	socketFlag(c, &o.socket)
	return c
}

// userName is the name of the person who gives the command, also behind sudo.
func userName() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprint(os.Getuid())
}
