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

// copyOptions say which files a run leaves, or needs for Suricata. The zero value makes none.
type copyOptions struct {
	suricata string // path of the program; "" means that it is not run
	dir      string // directory of files that stay; "" means none
}

// siteCopy is a capture file of a site's frames. A nil *siteCopy writes nothing.
type siteCopy struct {
	copyOptions
	file *os.File
	pcap *campaign.File
	temp string
}

// open creates a site's capture file; it returns nil if the options ask for none.
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

// write writes a frame; length is its length on the wire.
func (c *siteCopy) write(at int64, data []byte, length int) {
	if c != nil {
		c.pcap.Write(at, data, length)
	}
}

// close ends the file, writes the truth about its hosts beside it, and runs Suricata on it. alarms
// are the times of Suricata's first alarm about each host that is not declared; nil if it did not
// run.
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

// remove removes the temporary files.
func (c *siteCopy) remove() {
	if c != nil {
		c.file.Close()
		os.RemoveAll(c.temp)
	}
}

// hostTruth is the truth about a host, as the reader of a capture file needs it to judge a verdict.
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

// groundTruth lists the truth about all hosts of a site.
func groundTruth(site *campaign.Site) (list []hostTruth) {
	for _, h := range site.Hosts {
		list = append(list, hostTruth{
			Addr: h.WireAddr(), Scenario: h.Scenario.Name, Kind: h.Kind, Role: h.Role,
			Infected: h.Infected(), Expect: h.Scenario.Expect.Class, Declared: h.Declared,
			From: h.From, Until: h.Until, Bad: h.Bad, Attempts: len(h.Marks.Attempts),
			Sessions: len(h.Marks.Sessions), Frames: h.Frames,
		})
	}
	return list
}
