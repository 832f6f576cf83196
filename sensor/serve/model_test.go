package serve

import (
	"fmt"
	"net/netip"
	"time"

	"spamsensor/sensor/report"
	"spamsensor/sensor/verdict"
)

// begin is the time of the first packet of the models of tests.
var begin = report.Time(time.Date(2026, 11, 21, 20, 32, 49, 0, time.UTC).UnixNano())

// address is the nth address of an internal network.
func address(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}) }

// newModel is a model with a number of findings, and hosts without one.
func newModel(findings, hosts int) *report.Model {
	m := &report.Model{Version: "9.9", Sensor: "mirror-1", Live: true, Period: report.Period{First: begin, Last: begin + 3600e9},
		Headline: report.Headline{Alarm: report.Green, Sentence: "No host sends spam, as far as could be seen"},
		Input:    report.Input{Attempts: 1000, Frames: 1e6, Account: "1,000,000 packets"}}
	for i := range findings {
		f := newFinding(address(i))
		m.Findings, m.Hosts = append(m.Findings, f), append(m.Hosts, f.Host)
	}
	if findings > 0 {
		m.Headline = report.Headline{Alarm: report.Red, Sentence: "1 host sends spam: " + m.Findings[0].IP.String()}
	}
	for i := range hosts {
		m.Hosts = append(m.Hosts, report.Host{IP: address(findings + i), Role: "internal", Level: "none", Input: "eth1",
			First: begin, Last: begin + 60e9, Destinations: []report.Destination{{Server: netip.MustParseAddrPort("198.18.3.17:25"), Name: "mx.example.org"}},
			Counts: report.Counts{Attempts: uint32(hosts - i), DestIPs: 1 + i%7, DestNets: 1 + i%5, Sessions: uint32(hosts - i)}})
	}
	m.HostCount = len(m.Hosts)
	s := report.Stack{Start: begin - 3600e9, Width: 60}
	for i := range uint32(120) {
		s.Servers, s.Flagged, s.Others = append(s.Servers, 5+i%7), append(s.Flagged, i%3), append(s.Others, i%5)
	}
	m.Activity = report.Activity{Minutes: s, Hours: s}
	m.Activity.Hours.Width = 3600
	m.Replies = []report.Reply{{Group: "others", Hosts: hosts, Accepted: 10}, {Group: "flagged", Hosts: findings, Rejected: 20, Accepted: 8}}
	return m
}

func newFinding(a netip.Addr) report.Finding {
	f := report.Finding{Host: report.Host{IP: a, Role: "internal", Level: "confirmed", Score: 20, MAC: "02:00:00:00:77:66", VLAN: []uint16{40},
		Input: "eth1", First: begin, Last: begin + 60e9, Finding: "run/" + a.String(),
		Counts: report.Counts{Attempts: 66, Sessions: 48, Messages: 8, Rejected: 20, DestIPs: 64, DestNets: 56}},
		ID: "run/" + a.String(), Class: verdict.Spambot, Title: "confirmed spambot", What: "is a confirmed spambot",
		Severity: "critical", Open: true, OnLink: true, Decided: report.Decision{At: begin + 2e9, Attempts: 4}, LastSign: begin + 60e9,
		Mode: "clear", Egress: "open", Advice: "Find out what it is. Block outgoing port 25 for all but your mail servers.",
		Blind: []string{"of 48 sessions 1 was encrypted from the first byte"},
		Story: []report.Step{{At: begin + 2e9, Action: "opened", Level: "likely", Attempts: 4}}}
	for i := range 5 {
		f.Reasons = append(f.Reasons, report.Reason{Code: fmt.Sprint("x", i), Weight: 3, Text: fmt.Sprintf(
			"It made %d attempts to connect to 56 different mail networks in 35 s; a workstation normally uses one or two.", 66+i)})
	}
	f.Proof = []report.Session{{Number: 1, Start: begin, Client: a, Server: netip.MustParseAddrPort("198.18.3.17:25"), Helo: "10.0.0.74",
		MailFrom: []string{"...@alpine-bank.example"}, Messages: 1, TLS: "none"},
		{Number: 2, Start: begin + 1e9, Client: a, Server: netip.MustParseAddrPort("198.18.22.40:25"), Helo: "10.0.0.36",
			MailFrom: []string{"...@direct-loans.example"}, TLS: "none", Code: 554, Phase: "rcpt",
			Reply: "5.7.1 Service unavailable; Client host [203.0.113.77] blocked using zen.spamhaus.org"}}
	return f
}
