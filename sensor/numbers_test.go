package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"spamsensor/bench/corpus"
)

// counts are the numbers of an event by their names; other fields are skipped.
type counts map[string]int

func (c *counts) UnmarshalJSON(b []byte) error {
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	*c = counts{}
	for name, v := range all {
		if n, ok := v.(float64); ok {
			(*c)[name] = int(n)
		}
	}
	return nil
}

// row is a row of a table with these numbers.
func (c counts) row(first string, names ...string) string {
	for _, n := range names {
		sum := 0
		for _, part := range strings.Split(n, "+") {
			sum += c[part]
		}
		first += fmt.Sprint(" ", sum)
	}
	return first
}

// numbered is an event with numbers.
type numbered struct {
	Host    string `json:"src_ip"`
	Source  counts `json:"source"`
	Server  counts `json:"mail_server"`
	Finding *struct {
		ID          string
		CloseReason string `json:"close_reason"`
		Counts      counts
		Reasons     []struct{ Code, Text string }
	}
}

// TestNumbersAgree reads reports with their events, and checks that numbers with one name are the
// same in both, in tables, sentences and reasons.
func TestNumbersAgree(t *testing.T) {
	comma := regexp.MustCompile(`(\d),(\d)`)
	check := func(file string, options ...string) {
		events, report, _ := readWhole(file, options...)
		checkNumbers(t, file, events, comma.ReplaceAllString(unwrapped(report), "$1$2"))
	}
	check("testdata/deliveries.pcap", "--mail-server", "192.168.77.25") // has pipelined transactions
	for _, name := range []string{"bot", "refusals", "auth", "smuggling", "tls"} {
		check("testdata/" + name + ".pcap")
	}
	for _, name := range []string{"field/one-connection-120-mails.pcap", "field/bounces-only-undeclared-server.pcap",
		"scenarios/backscatter.pcap.gz", "scenarios/starttls_bot.pcap.gz"} {
		dir, file, _ := strings.Cut(name, "/")
		check(corpus.Case(t, dir, file))
	}
}

// checkNumbers compares events with the report, in which numbers have no commas.
func checkNumbers(t *testing.T, file, events, report string) {
	t.Helper()
	sources, servers, found := map[string]counts{}, map[string]counts{}, map[string]bool{}
	want := func(s string) {
		t.Helper()
		if !strings.Contains(report, s) {
			t.Errorf("%s: the report lacks %q", file, s)
		}
	}
	whole := regexp.MustCompile(`(\d+) (?:different (?:names|mail networks)|domains), .* of them`)
	for line := range strings.Lines(events) {
		var e numbered
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Source != nil {
			sources[e.Host] = e.Source
		}
		if e.Server != nil {
			servers[e.Host] = e.Server
		}
		f := e.Finding
		if f == nil || f.CloseReason != "end_of_input" || f.Counts["attempts"] == 0 {
			continue
		}
		found[e.Host] = true
		want(fmt.Sprintf("%s to %s in %s: %s", nouns(f.Counts["attempts"], "attempt"), nouns(f.Counts["dest_ips"], "server"),
			nouns(f.Counts["dest_nets"], "network"), nouns(f.Counts["sessions"], "session")))
		for _, r := range f.Reasons {
			name := map[string]string{"many_networks": "dest_nets", "helo_names": "helo_names", "sender_domains": "sender_domains"}[r.Code]
			if m := whole.FindStringSubmatch(r.Text); m != nil && m[1] != fmt.Sprint(f.Counts[name]) {
				t.Errorf("%s: %q, counted are %d", file, r.Text, f.Counts[name])
			}
		}
	}
	_, others, _ := strings.Cut(report, "Other hosts of yours")
	for host, c := range sources {
		if !found[host] && servers[host] == nil && strings.Contains(others, " "+host+" ") {
			row := c.row(host, "attempts", "dest_nets", "sessions", "silent+refused+unreachable", "messages",
				"rejected+deferred+recipients_rejected")
			if c["sessions"] > 0 && c["tls_sessions"] == c["sessions"] { // what servers replied is not known
				row = strings.TrimSuffix(row, "0 0") + "- -"
			}
			want(row)
		}
	}
	for host, s := range servers {
		if _, row, ok := strings.Cut(report, " "+host+" yes "); ok && !strings.HasPrefix(row, strings.TrimSpace(s.row("", "messages_out",
			"messages_in", "failed_out", "deferred_out", "queue_estimate"))) {
			t.Errorf("%s: the row of %s is %.40s", file, host, row)
		}
		if c := sources[host]; strings.Contains(report, " "+host+" yes ") && c["messages"] != s["messages_out"] {
			t.Errorf("%s: %s sent %d messages as a source, %d as a server", file, host, c["messages"], s["messages_out"])
		}
	}
}

// nouns is a count with its noun.
func nouns(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
