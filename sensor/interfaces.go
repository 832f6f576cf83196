package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/lang"
)

// interfaceLine is one line of the output: an interface, and the traffic on it.
type interfaceLine struct {
	Name        string `json:"name"`
	Link        string `json:"link"`
	SpeedMbit   int    `json:"speed_mbit,omitempty"`
	Promiscuous bool   `json:"promiscuous"`
	Received    uint64 `json:"received"`
	Dropped     uint64 `json:"dropped"`
	// PerSecond is nil if the interface is down, or could not be captured on.
	PerSecond *float64 `json:"packets_per_second,omitempty"`
	VLANs     []uint16 `json:"vlans,omitempty"`
	Addresses []string `json:"addresses,omitempty"`
}

func (a *app) interfacesCommand() *cobra.Command {
	var sample time.Duration
	var format string
	c := &cobra.Command{
		Use:   "interfaces",
		Short: "List the network interfaces, and what arrives on them",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return a.interfaces(sample, format) },
	}
	c.Flags().DurationVar(&sample, "for", time.Second, "how long to listen on each")
	formatFlag(c, &format, tableFormats)
	return c
}

func (a *app) interfaces(sample time.Duration, format string) error {
	if err := checkFormat(format, tableFormats); err != nil {
		return exit(exitUsage, err)
	}
	found, err := capture.Interfaces()
	if err != nil {
		return exit(exitFailed, err)
	}
	lines := make([]interfaceLine, len(found))
	var denied error
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, f := range found {
		link := "up"
		switch {
		case !f.Up:
			link = "down"
		case !f.Carrier:
			link = "no carrier"
		}
		lines[i] = interfaceLine{Name: f.Name, Link: link, SpeedMbit: f.SpeedMbit,
			Promiscuous: f.Promisc, Received: f.Packets, Dropped: f.Dropped, Addresses: f.Addresses}
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
			rate := float64(n) / sample.Seconds()
			lines[i].PerSecond, lines[i].VLANs = &rate, ids
		})
	}
	wg.Wait()
	if denied != nil {
		a.tell(a.stderr, "%v\n", denied)
	}
	if err := printInterfaces(a.stdout, lines, format, a.printer()); err != nil {
		return exit(exitFailed, err)
	}
	return nil
}

// printInterfaces prints a table, or one line of JSON or CSV for each interface.
func printInterfaces(out io.Writer, lines []interfaceLine, format string, p *lang.Printer) error {
	if format == "csv" {
		p = nil // programs read it
	}
	if format == "json" {
		enc := json.NewEncoder(out)
		for i := range lines {
			if err := enc.Encode(&lines[i]); err != nil {
				return err
			}
		}
		return nil
	}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(columns(p, "interface", "link", "speed", "promiscuous", "received", "dropped",
		"packets", "VLANs", "addresses"))
	for i := range lines {
		l := &lines[i]
		speed, promiscuous, rate := "", "", ""
		if l.SpeedMbit > 0 {
			speed = fmt.Sprintf("%d Mbit/s", l.SpeedMbit)
		}
		if l.Promiscuous {
			promiscuous = p.Text("yes")
		}
		if l.PerSecond != nil {
			rate = fmt.Sprintf("%.0f/s", *l.PerSecond)
		}
		vlans := strings.Trim(fmt.Sprint(l.VLANs), "[]")
		t.AppendRow(table.Row{l.Name, p.Text(l.Link), speed, promiscuous, l.Received, l.Dropped,
			rate, vlans, strings.Join(l.Addresses, " ")})
	}
	text := t.Render
	if format == "csv" {
		text = t.RenderCSV
	}
	_, err := fmt.Fprintln(out, text())
	return err
}
