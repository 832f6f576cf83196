package traffic

import (
	"encoding/json"
	"net/netip"
	"slices"
	"time"
)

// Truth is what a careful analyst would say of the capture. Its JSON is that of the recorded
// scenarios (truth.json), with the fields Machines, Limits and Hosts besides.
type Truth struct {
	Scenario string  `json:"scenario"`
	Seed     uint64  `json:"seed"`
	Text     string  `json:"text"`
	Packets  int     `json:"packets"`
	Span     float64 `json:"span"` // seconds
	// Bad has the hosts that must be found: acceptable classes, each with the lowest level.
	Bad map[string][][2]string `json:"bad"`
	// Advisory has the classes that are acceptable for a benign host, at any level.
	Advisory map[string][]string `json:"advisory"`
	Config   Config              `json:"config"`
	Home     []string            `json:"home"` // networks that must be named in any case
	FirstBad *float64            `json:"first_bad"`
	DNS      bool                `json:"dns"`
	Sources  map[string]*Counts  `json:"sources"`
	PublicIP string              `json:"public_ip,omitempty"`
	// Machines has the addresses that belong to one machine, for machines with several.
	Machines [][]string `json:"machines,omitempty"`
	// Limits has bad hosts that packets cannot show, with the reason; they count neither as bad nor
	// as benign.
	Limits map[string]string `json:"limits,omitempty"`
	// NoLevel has hosts that nobody may put above suspect, whatever is sent in their names.
	NoLevel []string `json:"no_level,omitempty"`
	// Benign has the addresses of benign hosts that the capture shows, one for each machine.
	Benign []string `json:"benign"`
}

// Config is what an administrator would declare.
type Config struct {
	Home    []string     `json:"home,omitempty"`
	Relays  []string     `json:"relays,omitempty"`
	Domains []string     `json:"domains,omitempty"`
	Servers [][2]*string `json:"servers,omitempty"` // address and role; null: a mail server
}

// Counts of a source. -1: the capture does not show it exactly.
type Counts struct {
	Attempts    int `json:"attempts"`
	Retransmits int `json:"retransmits"`
	Sessions    int `json:"sessions"`
	Messages    int `json:"messages"`
}

// Server declares a server with a role ("": a mail server).
func (c *Config) Server(a netip.Addr, role string) {
	s := a.String()
	row := [2]*string{&s, nil}
	if role != "" {
		row[1] = &role
	}
	c.Servers = append(c.Servers, row)
}

// Convict enters a bad host with the classes that are right, all from a level on. A machine with
// several addresses must be found by one of them.
func (w *World) Convict(h *Host, level string, classes ...string) {
	for _, a := range []netip.Addr{h.V4, h.V6} {
		if a.IsValid() {
			w.ConvictAddr(a, level, classes...)
			return
		}
	}
}

// ConvictAddr enters an address as Convict does.
func (w *World) ConvictAddr(a netip.Addr, level string, classes ...string) {
	for _, c := range classes {
		w.Truth.Bad[a.String()] = append(w.Truth.Bad[a.String()], [2]string{c, level})
	}
}

// Accept enters classes that are right about a benign host.
func (w *World) Accept(h *Host, classes ...string) {
	for _, a := range []netip.Addr{h.V4, h.V6} {
		if a.IsValid() {
			w.Truth.Advisory[a.String()] = append(w.Truth.Advisory[a.String()], classes...)
		}
	}
}

// Limit enters a bad host that the packets cannot show, with the reason.
func (w *World) Limit(h *Host, why string) {
	for _, a := range []netip.Addr{h.V4, h.V6} {
		if a.IsValid() {
			w.Truth.Limits[a.String()] = why
			w.limited[a] = true
		}
	}
}

// FirstBad notes when the bad traffic begins.
func (w *World) FirstBad(at time.Duration) {
	t := float64(w.Start.Add(at).UnixMicro()) / 1e6
	if w.Truth.FirstBad == nil || *w.Truth.FirstBad > t {
		w.Truth.FirstBad = &t
	}
}

// Same makes addresses one machine.
func (w *World) Same(list ...netip.Addr) {
	var s []string
	for _, a := range list {
		s = append(s, a.String())
	}
	w.Truth.Machines = append(w.Truth.Machines, s)
}

// MachineOf returns the addresses of the machine that an address belongs to.
func (t *Truth) MachineOf(addr string) []string {
	for _, m := range t.Machines {
		if slices.Contains(m, addr) {
			return m
		}
	}
	return []string{addr}
}

// finishTruth makes the counts of what the mirror shows, and the list of benign hosts.
func (w *World) finishTruth() {
	inside := map[netip.Addr]bool{}
	for _, h := range w.hosts {
		inside[h.V4], inside[h.V6] = h.V4.IsValid(), h.V6.IsValid()
	}
	home := func(a netip.Addr) bool {
		if inside[a] {
			return true
		}
		return w.Net4.Contains(a) || w.Net6.IsValid() && w.Net6.Contains(a)
	}
	t := &w.Truth
	for _, c := range w.counts {
		if !home(c.addr) || !w.Mirror.sees(c.at) || c.inner && w.Mirror.Only != "" {
			continue
		}
		s := t.Sources[c.addr.String()]
		if s == nil {
			s = &Counts{}
			t.Sources[c.addr.String()] = s
		}
		switch c.kind {
		case CountAttempt:
			s.Attempts++
		case CountRetransmit:
			s.Retransmits++
		case CountSession:
			s.Sessions++
		case CountMessage:
			s.Messages++
		}
	}
	seen := map[string]bool{}
	for _, c := range w.counts {
		a := c.addr.String()
		if t.Sources[a] == nil || seen[a] {
			continue
		}
		bad := w.limited[c.addr]
		for _, m := range t.MachineOf(a) {
			seen[m] = true
			bad = bad || t.Bad[m] != nil
		}
		if !bad {
			t.Benign = append(t.Benign, a)
		}
	}
	w.Mirror.forget(t)
}

// Options are the options of spamsensor read: the networks of ours that are not private, or
// everything that an administrator would declare.
func (t *Truth) Options(declared bool) (list []string) {
	home := t.Home
	if declared {
		home = slices.Concat(home, t.Config.Home)
	}
	for _, n := range home {
		list = append(list, "--home", n)
	}
	if !declared {
		return list
	}
	for _, d := range t.Config.Domains {
		list = append(list, "--local-domain", d)
	}
	if len(t.Config.Relays) > 0 {
		list = append(list, "--set", "allowed_relays="+toJSON(t.Config.Relays))
	}
	var servers []map[string]string
	for _, row := range t.Config.Servers {
		s := map[string]string{"ip": *row[0]}
		if row[1] != nil {
			s["role"] = *row[1]
		}
		servers = append(servers, s)
	}
	if len(servers) > 0 {
		list = append(list, "--set", "smtp_servers="+toJSON(servers))
	}
	return list
}

// toJSON is a value of --set.
func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings are always marshalled
	}
	return string(b)
}
