package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spamsensor/sensor/report"
	"spamsensor/sensor/rules"
	"spamsensor/sensor/status"
)

// rulesCommand prints rules for a firewall.
func (a *app) rulesCommand() *cobra.Command {
	return a.askCommand("rules DIALECT", "Print firewall rules: port 25 for the mail servers only",
		"  spamsensor rules nftables > spamsensor.nft\n"+
			"  spamsensor rules iptables -r monday.pcap.gz --mail-server 192.0.2.25",
		wantOne("a dialect: "+strings.Join(rules.Dialects(), ", ")), a.printRules)
}

func (a *app) printRules(ctx context.Context, g status.Getter, o *askOptions, args []string) error {
	if err := noCSV(o); err != nil {
		return err
	}
	var m report.Model
	if err := g.Get(ctx, "model", &m); err != nil {
		return err
	}
	s := rules.New(&m)
	if o.format == "json" {
		text, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "%s\n", text)
		return err
	}
	return s.Write(a.stdout, args[0], rules.Options{Lang: a.printer(), Zone: time.Local})
}
