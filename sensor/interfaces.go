package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"spamsensor/sensor/capture"
)

func (a *app) interfacesCommand() *cobra.Command {
	var sample time.Duration
	c := &cobra.Command{
		Use:   "interfaces",
		Short: "List the network interfaces, and what arrives on them",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return a.interfaces(sample) },
	}
	c.Flags().DurationVar(&sample, "for", time.Second, "how long to listen on each")
	return c
}

func (a *app) interfaces(sample time.Duration) error {
	list, err := capture.Interfaces()
	if err != nil {
		return exit(exitFailed, err)
	}
	arriving, vlans := make([]string, len(list)), make([]string, len(list))
	var denied error
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, f := range list {
		if !f.Up {
			continue
		}
		wg.Go(func() {
			n, ids, err := capture.Sample(f.Name, sample)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				denied = err
				return
			}
			arriving[i] = fmt.Sprintf("%.0f/s", float64(n)/sample.Seconds())
			vlans[i] = strings.Trim(fmt.Sprint(ids), "[]")
		})
	}
	wg.Wait()
	t := table.NewWriter()
	t.SetOutputMirror(a.stdout)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"interface", "link", "speed", "promiscuous", "received", "dropped", "packets", "VLANs", "addresses"})
	for i, f := range list {
		link := "up"
		switch {
		case !f.Up:
			link = "down"
		case !f.Carrier:
			link = "no carrier"
		}
		speed, promiscuous := "", ""
		if f.SpeedMbit > 0 {
			speed = fmt.Sprintf("%d Mbit/s", f.SpeedMbit)
		}
		if f.Promisc {
			promiscuous = "yes"
		}
		t.AppendRow(table.Row{f.Name, link, speed, promiscuous, f.Packets, f.Dropped, arriving[i], vlans[i], strings.Join(f.Addresses, " ")})
	}
	t.Render()
	if denied != nil {
		fmt.Fprintln(a.stderr, denied)
	}
	return nil
}
