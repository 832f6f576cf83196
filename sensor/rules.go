package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spamsensor/sensor/report"
	"spamsensor/sensor/rules"
	"spamsensor/sensor/rules/verify"
	"spamsensor/sensor/status"
)

// rulesCommand prints rules for a firewall, or verifies them.
func (a *app) rulesCommand() *cobra.Command {
	var verified bool
	dialects := strings.Join(rules.Dialects(), ", ")
	check := func(_ *cobra.Command, args []string) error {
		switch {
		case verified && len(args) == 0:
			return nil
		case len(args) == 1 && slices.ContainsFunc(rules.Dialects(), func(name string) bool {
			return strings.EqualFold(name, args[0])
		}):
			return nil
		}
		return fmt.Errorf("name a dialect: %s", dialects)
	}
	c := a.askCommand("rules DIALECT", "Print firewall rules: port 25 for the mail servers only",
		"  spamsensor rules nftables > spamsensor.nft\n"+
			"  spamsensor rules iptables -r monday.pcap.gz --mail-server 192.0.2.25\n"+
			"  sudo spamsensor rules --verify",
		check, func(ctx context.Context, g status.Getter, o *askOptions, args []string) error {
			return a.printRules(ctx, g, o, args, verified)
		})
	c.Long += "\nDialects: " + dialects + "."
	c.Flags().BoolVar(&verified, "verify", false, "load the rules (nftables, iptables) into a "+
		"router of network namespaces, and print which connections pass; needs root")
	return c
}

func (a *app) printRules(ctx context.Context, g status.Getter, o *askOptions, args []string,
	verified bool) error {
	if err := noCSV(o); err != nil {
		return err
	}
	if verified {
		if len(args) == 0 {
			args = verify.Dialects
		}
		for _, dialect := range args {
			if err := verify.Missing(dialect); err != nil {
				return exit(exitFailed, fmt.Errorf("--verify: %s: %w", dialect, err))
			}
		}
	}
	var m report.Model
	if err := g.Get(ctx, "model", &m); err != nil {
		return err
	}
	s := rules.New(&m)
	switch {
	case verified:
		return a.verifyRules(ctx, s, o, args)
	case o.format == "json":
		return a.printJSON(s)
	}
	return s.Write(a.stdout, args[0], rules.Options{Lang: a.printer(), Zone: time.Local})
}

// verifyRules prints which connections pass.
func (a *app) verifyRules(ctx context.Context, s *rules.Set, o *askOptions,
	dialects []string) error {
	r, err := verify.Run(ctx, s, dialects)
	switch {
	case err != nil:
		return exit(exitFailed, fmt.Errorf("--verify: %w", err))
	case o.format == "json":
		err = a.printJSON(r)
	default:
		r.Text(a.stdout, a.printer())
	}
	if err == nil && r.Wrong > 0 {
		err = exit(exitFailed, errors.New("--verify: the rules do not do what they say"))
	}
	return err
}

// printJSON prints a value as JSON for people, too.
func (a *app) printJSON(x any) error {
	text, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", text)
	return err
}
