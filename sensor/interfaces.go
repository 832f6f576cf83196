package main

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"spamsensor/sensor/capture"
)

func (a *app) interfacesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "interfaces",
		Short: "List the network interfaces",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			list, err := capture.Interfaces()
			if err != nil {
				return exit(exitFailed, err)
			}
			t := table.NewWriter()
			t.SetOutputMirror(a.stdout)
			t.SetStyle(table.StyleLight)
			t.AppendHeader(table.Row{"interface", "link", "speed", "promiscuous", "received", "dropped", "addresses"})
			for _, i := range list {
				link := "up"
				switch {
				case !i.Up:
					link = "down"
				case !i.Carrier:
					link = "no carrier"
				}
				speed := ""
				if i.SpeedMbit > 0 {
					speed = fmt.Sprintf("%d Mbit/s", i.SpeedMbit)
				}
				promiscuous := ""
				if i.Promisc {
					promiscuous = "yes"
				}
				t.AppendRow(table.Row{i.Name, link, speed, promiscuous, i.Packets, i.Dropped, strings.Join(i.Addresses, " ")})
			}
			t.Render()
			return nil
		},
	}
}
