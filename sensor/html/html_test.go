package html

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
	"spamsensor/sensor/verdict"
)

// start is the time of the first packet of the models of tests.
var start = report.Time(time.Date(2026, 11, 21, 20, 32, 49, 0, time.UTC).UnixNano())

// address is the nth address of an internal network.
func address(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}) }

// model is a model with a number of findings, and hosts without one.
func model(findings, hosts int) *report.Model {
	m := &report.Model{Version: "0.1.0", Period: report.Period{First: start, Last: start + 3600e9},
		Headline: report.Headline{Alarm: report.Green, Sentence: "No host sends spam, as far as could be seen"}}
	for i := range findings {
		m.Findings = append(m.Findings, finding(address(i)))
		m.Hosts = append(m.Hosts, m.Findings[i].Host)
	}
	if findings > 0 {
		m.Headline = report.Headline{Alarm: report.Red, Sentence: "1 host sends spam: 10.1.0.0"}
	}
	for i := range hosts {
		m.Hosts = append(m.Hosts, report.Host{IP: address(findings + i), Role: "internal", Level: "none",
			First: start, Last: start + 60e9, Counts: report.Counts{Attempts: uint32(i), DestIPs: 1, DestNets: 1, Sessions: uint32(i)}})
	}
	m.HostCount = len(m.Hosts)
	return m
}

func finding(a netip.Addr) report.Finding {
	f := report.Finding{Host: report.Host{IP: a, Role: "internal", Level: "confirmed", Score: 20, MAC: "02:00:00:00:77:66",
		Input: "bot.pcap", First: start, Last: start + 60e9, Finding: "run/" + a.String(),
		Counts: report.Counts{Attempts: 66, Sessions: 48, Messages: 8, Rejected: 20, DestIPs: 64, DestNets: 56}},
		ID: "run/" + a.String(), Class: verdict.Spambot, Title: "confirmed spambot", What: "is a confirmed spambot",
		Severity: "critical", Open: true, OnLink: true, Decided: report.Decision{At: start + 2e9, Attempts: 4}, LastSign: start + 60e9,
		Mode: "clear", Egress: "open", Advice: "Find out what it is. Block outgoing port 25 for all but your mail servers.",
		Blind: []string{"of 48 sessions 1 was encrypted from the first byte"}}
	for _, text := range []string{"It tried 66 connections to 56 different mail networks in 35 s; a workstation normally uses one or two.",
		"It contacted 25 or more different mail networks within one hour, 56 in all.",
		"Receiving servers refused 7 of its first 9 mails that they accepted or refused.",
		"It introduced itself as \"localhost\", which is not its own name; a mail server gives its full name."} {
		f.Reasons = append(f.Reasons, report.Reason{Code: "x", Weight: 3, Text: text})
	}
	f.Proof = []report.Session{{Number: 1, Start: start, Client: a, Server: netip.MustParseAddrPort("198.18.3.17:25"), Helo: "10.0.0.74",
		MailFrom: []string{"...@alpine-bank.example"}, Messages: 1, TLS: "none"},
		{Number: 2, Start: start + 1e9, Client: a, Server: netip.MustParseAddrPort("198.18.22.40:25"), Helo: "10.0.0.36",
			MailFrom: []string{"...@direct-loans.example"}, TLS: "none", Code: 554, Phase: "rcpt",
			Reply: "5.7.1 Service unavailable; Client host [203.0.113.77] blocked using zen.spamhaus.org"}}
	return f
}

// write writes the report of a model.
func write(t *testing.T, tag string, m *report.Model) string {
	t.Helper()
	var b bytes.Buffer
	if err := New(lang.New(tag)).Report(&b, m, Options{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// data is the model inside a report.
func data(t *testing.T, page string) (m report.Model) {
	t.Helper()
	_, rest, _ := strings.Cut(page, `<script type="application/json" id="model">`)
	text, _, ok := strings.Cut(rest, "</script>")
	if !ok {
		t.Fatal("no model in the report")
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestSize: a report of a big network is small enough to send, and says what it leaves out.
func TestSize(t *testing.T) {
	for _, c := range []struct{ findings, hosts, most int }{{0, 0, 20 << 10}, {1, 5000, 100 << 10}, {900, 0, 300 << 10}} {
		page := write(t, lang.English, model(c.findings, c.hosts))
		if len(page) > c.most {
			t.Errorf("%d findings, %d hosts: %d bytes, want at most %d", c.findings, c.hosts, len(page), c.most)
		}
		m := data(t, page)
		if got := len(m.Findings) + m.MoreFindings; got != c.findings || m.HostCount != c.findings+c.hosts {
			t.Errorf("%d findings, %d hosts: the model inside has %d and %d", c.findings, c.hosts, got, m.HostCount)
		}
	}
}
