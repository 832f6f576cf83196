package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"spamsensor/bench/campaign"
)

// copyOptions are the files that a run leaves, or needs for suricata. The zero value makes none.
type copyOptions struct {
	suricata string // the program; empty is not run
	dir      string // where files stay; empty is nowhere
}

// siteCopy is a site's frames in a file; nil is none.
type siteCopy struct {
	copyOptions
	file *os.File
	pcap *campaign.File
	temp string
}

func (c copyOptions) open(site *campaign.Site, v *campaign.Variant) (*siteCopy, error) {
	if c == (copyOptions{}) {
		return nil, nil
	}
	temp, err := os.MkdirTemp("", "campaign")
	if err != nil {
		return nil, err
	}
	name := filepath.Join(temp, "frames.pcap")
	if c.dir != "" {
		if err := os.MkdirAll(c.dir, 0o755); err != nil {
			return nil, err
		}
		name = filepath.Join(c.dir, fmt.Sprintf("%s-%d.pcap", v.Name, site.Number))
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	return &siteCopy{copyOptions: c, file: f, pcap: campaign.NewFile(f, v.Link()), temp: temp}, nil
}

func (c *siteCopy) write(at int64, data []byte, length int) {
	if c != nil {
		c.pcap.Write(at, data, length)
	}
}

// close ends the file, writes the truth beside it, and has suricata read it.
func (c *siteCopy) close(site *campaign.Site) (alarms map[netip.Addr]int64, err error) {
	if c == nil {
		return nil, nil
	}
	name := c.file.Name()
	if err := errors.Join(c.pcap.Close(), c.file.Close()); err != nil {
		return nil, err
	}
	if c.dir != "" {
		text, err := json.MarshalIndent(groundTruth(site), "", " ")
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(name+".truth.json", text, 0o644); err != nil {
			return nil, err
		}
	}
	if c.suricata == "" {
		return nil, nil
	}
	if alarms, err = suricata(c.suricata, c.temp, name); err != nil {
		return nil, err
	}
	for _, a := range site.Declared() {
		delete(alarms, a)
	}
	return alarms, nil
}

func (c *siteCopy) remove() {
	if c != nil {
		c.file.Close()
		os.RemoveAll(c.temp)
	}
}

// hostTruth is what a file's reader must know of a host to judge a verdict.
type hostTruth struct {
	Addr     netip.Addr `json:"addr"`
	Scenario string     `json:"scenario"`
	Kind     string     `json:"kind"`
	Role     string     `json:"role"`
	Infected bool       `json:"infected"`
	Expect   string     `json:"expect,omitempty"`
	Declared bool       `json:"declared,omitempty"`
	From     int64      `json:"from"`
	Until    int64      `json:"until"`
	Bad      int64      `json:"first_bad,omitempty"`
	Attempts int        `json:"bad_attempts,omitempty"`
	Sessions int        `json:"bad_sessions,omitempty"`
	Frames   int        `json:"frames"`
}

func groundTruth(site *campaign.Site) (list []hostTruth) {
	for _, h := range site.Hosts {
		list = append(list, hostTruth{Addr: h.Seen(), Scenario: h.Scenario.Name, Kind: h.Kind,
			Role: h.Role, Infected: h.Infected(), Expect: h.Scenario.Expect.Class,
			Declared: h.Declared,
			From:     h.From, Until: h.Until, Bad: h.Bad, Attempts: len(h.Marks.Attempts),
			Sessions: len(h.Marks.Sessions), Frames: h.Frames})
	}
	return list
}
