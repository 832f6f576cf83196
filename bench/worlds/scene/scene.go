// Package scene has the scenarios: networks whose hosts, truths and declarations are drawn with
// package traffic. Each is one function, and each seed draws it with other rates, addresses, names,
// providers and systems.
//
// Words: a benign scenario has nobody whom a report may accuse; a bad one has hosts that must be
// found; a forged one has an innocent host in whose name somebody sends packets; a limit is a bad
// host that packets cannot show.
package scene

import (
	"slices"
	"time"

	"spamsensor/bench/worlds/traffic"
)

// Scene is a scenario.
type Scene struct {
	Name, Text string
	Kind       Kind
	draw       func(w *traffic.World)
}

// Kind is what a scenario is for.
type Kind string

// The kinds of scenarios.
const (
	Benign Kind = "benign"
	Bad    Kind = "bad"
	Forged Kind = "forged"
)

// All returns the scenarios, the benign ones first.
func All() []Scene {
	return slices.Concat(benignOffice(), benignDevices(), benignServers(), bad(), forged())
}

// Draw draws a scenario: the capture as a pcap file, and its truth.
func (s *Scene) Draw(seed uint64) ([]byte, *traffic.Truth) {
	w := traffic.New(s.Name, seed)
	w.Truth.Text = s.Text
	s.draw(w)
	b := w.Finish()
	return b, &w.Truth
}

const (
	day    = 24 * time.Hour
	minute = time.Minute
)

// office lets n workstations work for some days; a third of the networks have IPv6.
func office(w *traffic.World, n int, days int) []*traffic.Host {
	w.Length = time.Duration(days) * day
	if w.Chance(0.35) {
		w.EnableV6()
	}
	return w.Office(n)
}
