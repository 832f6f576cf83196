package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spamsensor/bench/corpus"
	"spamsensor/bench/worlds/traffic"
)

// verdicts are the findings of a capture: for each host and class the highest level, and the last
// action with its close reason.
type verdicts struct {
	highest map[string]string // "192.0.2.1 spambot" to "confirmed"
	last    map[string]string // the level of the latest event, by the same key
	closed  map[string]string // the reason of the close
	sources map[string]*sourceFields
}

// levelNames are the levels in their order.
var levelNames = []string{"none", "suspect", "likely", "confirmed"}

// rank is the place of a level.
func rank(level string) int { return slices.Index(levelNames, level) }

// verdictsOf collects the findings of events.
func verdictsOf(events []emitted) verdicts {
	v := verdicts{map[string]string{}, map[string]string{}, map[string]string{}, map[string]*sourceFields{}}
	for _, e := range events {
		if e.Source != nil {
			v.sources[e.Src] = e.Source
		}
		if f := e.Finding; f != nil {
			k := e.Src + " " + f.Class
			v.last[k], v.closed[k] = f.Level, f.CloseReason
			if f.Level != "" && rank(f.Level) >= rank(v.highest[k]) {
				v.highest[k] = f.Level
			}
		}
	}
	return v
}

// accused are the hosts whose highest level is at least `level`, in a class that accuses the host
// itself.
func (v *verdicts) accused(level string) (list []string) {
	for k, l := range v.highest {
		host, class, _ := strings.Cut(k, " ")
		if class == "spambot" && rank(l) >= rank(level) && !slices.Contains(list, host) {
			list = append(list, host)
		}
	}
	slices.Sort(list)
	return list
}

// fieldCase is a capture of cases/field with the right result.
type fieldCase struct {
	file  string
	args  []string
	check func(got *verdicts, events []emitted) error
}

// only requires that exactly these hosts are accused, each at this level or above.
func only(level string, hosts ...string) func(*verdicts, []emitted) error {
	return func(v *verdicts, _ []emitted) error {
		if got := v.accused("likely"); level != "suspect" && !slices.Equal(got, hosts) {
			return fmt.Errorf("accused are %v, want %v", got, hosts)
		}
		for _, h := range hosts {
			if rank(v.highest[h+" spambot"]) < rank(level) {
				return fmt.Errorf("%s is %q, want %s", h, v.highest[h+" spambot"], level)
			}
		}
		return nil
	}
}

// nobody requires that no host is accused at all.
func nobody(v *verdicts, _ []emitted) error {
	if got := v.accused("likely"); len(got) > 0 {
		return fmt.Errorf("accused are %v", got)
	}
	return nil
}

// and requires several things.
func and(list ...func(*verdicts, []emitted) error) func(*verdicts, []emitted) error {
	return func(v *verdicts, e []emitted) error {
		for _, f := range list {
			if err := f(v, e); err != nil {
				return err
			}
		}
		return nil
	}
}

// class requires a finding of a class about a host, at exactly this level.
func class(host, name, level string) func(*verdicts, []emitted) error {
	return func(v *verdicts, _ []emitted) error {
		if got := v.highest[host+" "+name]; got != level {
			return fmt.Errorf("%s %s is %q, want %q; findings are %v", host, name, got, level, v.highest)
		}
		return nil
	}
}

// lacks requires that nobody has a finding of a class.
func lacks(name string) func(*verdicts, []emitted) error {
	return func(v *verdicts, _ []emitted) error {
		for k := range v.highest {
			if strings.HasSuffix(k, " "+name) {
				return fmt.Errorf("there is a finding: %s", k)
			}
		}
		return nil
	}
}

// source checks a number of a source's last record.
func source(host, name string, want int, get func(*sourceFields) int) func(*verdicts, []emitted) error {
	return func(v *verdicts, _ []emitted) error {
		if s := v.sources[host]; s == nil || get(s) != want {
			return fmt.Errorf("%s of %s is not %d: %+v", name, host, want, s)
		}
		return nil
	}
}

// session checks the only session event.
func session(check func(e *emitted) bool) func(*verdicts, []emitted) error {
	return func(_ *verdicts, events []emitted) error {
		for i := range events {
			if e := &events[i]; e.Type == "session" && !check(e) {
				return fmt.Errorf("the session is %+v", e.SMTP)
			}
		}
		return nil
	}
}

func concurrentMax(s *sourceFields) int { return s.ConcurrentMax }
func senderDomains(s *sourceFields) int { return s.SenderDomains }

// fieldCases are the captures of cases/field.
var fieldCases = []fieldCase{
	{file: "bothways-forwarding-server-control", check: and(nobody,
		class("192.168.1.25", "undeclared_server", "suspect"), source("192.168.1.25", "concurrent_max", 1, concurrentMax))},
	{file: "bounces-only-undeclared-server", check: and(nobody,
		class("192.168.1.25", "backscatter", "suspect"))},
	{file: "dhcp-ipv4-address-change", check: oneOf("192.168.1.100", "192.168.1.101")},
	{file: "dhcp-ipv6-address-change-control", check: oneOf("fd00::100", "fd00::101")},
	{file: "home-ipv6-bot-alone-control", check: only("confirmed", "2001:db8:1:1:a00:27ff:fe11:2233")},
	{file: "home-ipv6-bot-beside-one-private-syn", check: only("confirmed", "2001:db8:1:1:a00:27ff:fe11:2233")},
	{file: "inside-bot-refused-by-own-server", check: only("likely", "192.168.1.66")},
	{file: "inside-bot-same-bytes-outside-server-control", check: only("confirmed", "192.168.1.66")},
	{file: "inside-bot-through-own-server", check: only("likely", "192.168.1.66")},
	{file: "inside-bot-through-own-server", check: only("likely", "192.168.1.66"),
		args: []string{"--mail-server", "192.168.1.25", "--local-domain", "corp.example"}},
	{file: "nat64-syn-only", check: only("likely", "fd00:1::66")},
	{file: "nat64-syn-only-v4-control", check: only("likely", "192.168.1.66")},
	{file: "one-connection-120-mails", check: only("likely", "192.168.1.66")},
	{file: "one-connection-split-in-30-control", check: only("likely", "192.168.1.66")},
	{file: "oneway-ended-sessions-count-as-open-C", check: source("192.168.1.25", "concurrent_max", 1, concurrentMax)},
	{file: "oneway-forwarding-server-C", check: and(nobody, class("192.168.1.25", "undeclared_server", "suspect"))},
	{file: "reply-gmail-not-authorized-use-relay", check: nobody},
	{file: "reply-receivers-own-resolver-error-once", check: lacks("blocklisted"),
		args: []string{"--mail-server", "192.168.1.25"}},
	{file: "reply-sender-policy-named-as-blocklist", check: and(nobody, lacks("blocklisted"))},
	{file: "reply-without-code-blames-client", check: session(func(e *emitted) bool {
		return slices.Equal(e.SMTP.Flags, []string{"bad_reply", "starttls_refused"})
	})},
	{file: "scapy-default-numbers-one-syn-two-attempts", check: and(
		source("192.168.1.66", "attempts", 1, func(s *sourceFields) int { return s.Attempts }),
		source("192.168.1.66", "sessions", 1, func(s *sourceFields) int { return s.Sessions }),
		source("192.168.1.66", "recipients", 1, func(s *sourceFields) int { return s.Recipients }))},
	{file: "sender-domain-case", check: source("192.168.1.50", "sender_domains", 1, senderDomains)},
	{file: "time-all-equal-control", check: only("confirmed", "192.168.1.66")},
	{file: "time-all-zero", check: only("confirmed", "192.168.1.66")},
	{file: "tso-ipv4-total-length-0", check: session(func(e *emitted) bool {
		return slices.Contains(e.SMTP.MailFrom, "one.example") && e.SMTP.Rcpts == 60
	})},
}

// oneOf requires that the addresses of one machine have one finding that is open at the end.
func oneOf(hosts ...string) func(*verdicts, []emitted) error {
	return func(v *verdicts, _ []emitted) error {
		n := 0
		for _, h := range hosts {
			if v.highest[h+" spambot"] == "confirmed" && v.closed[h+" spambot"] == "end_of_input" {
				n++
			}
		}
		if n != 1 {
			return fmt.Errorf("%d machines at the end: %v", n, v.closed)
		}
		return nil
	}
}

func TestFieldCases(t *testing.T) {
	for _, c := range fieldCases {
		t.Run(strings.TrimSpace(c.file+" "+strings.Join(c.args, " ")), func(t *testing.T) {
			path := corpus.Case(t, "field", c.file+".pcap")
			events, _, _ := readEvents(t, append(slices.Clone(c.args), path)...)
			v := verdictsOf(events)
			if err := c.check(&v, events); err != nil {
				t.Error(err)
			}
		})
	}
}

// scenario is the truth about drawn traffic.
type scenario struct{ traffic.Truth }

// check compares verdicts and counts with the truth.
func (s *scenario) check(v *verdicts) error {
	for host, classes := range s.Bad {
		found := slices.ContainsFunc(classes, func(c [2]string) bool {
			return rank(v.highest[host+" "+c[0]]) >= rank(c[1])
		})
		if !found {
			return fmt.Errorf("%s is not found: %v", host, v.highest)
		}
		k := host + " spambot"
		if v.highest[k] != "" && v.closed[k] != "end_of_input" {
			return fmt.Errorf("%s is no spambot at the end: %s", host, v.closed[k])
		}
	}
	for _, host := range v.accused("likely") {
		if s.Bad[host] == nil {
			return fmt.Errorf("%s is accused", host)
		}
	}
	for key, level := range v.last {
		host, class, _ := strings.Cut(key, " ")
		if class == "spambot" && s.Bad[host] == nil && v.closed[key] == "end_of_input" {
			return fmt.Errorf("%s stays a %s spambot", host, level)
		}
	}
	for _, host := range slices.Sorted(maps.Keys(s.Sources)) {
		want, got := s.Sources[host], v.sources[host]
		if got == nil || got.Attempts != want.Attempts || got.Sessions != want.Sessions ||
			got.Messages != want.Messages {
			return fmt.Errorf("%s is counted as %+v, want %+v", host, got, want)
		}
	}
	return nil
}

func TestScenarioCases(t *testing.T) {
	first := corpus.Case(t, "scenarios", "backscatter.pcap.gz")
	names, err := filepath.Glob(filepath.Join(filepath.Dir(first), "*.pcap.gz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range names {
		name := strings.TrimSuffix(filepath.Base(path), ".pcap.gz")
		truth := readScenario(t, strings.TrimSuffix(path, ".pcap.gz")+".truth.json")
		for _, declared := range []bool{false, true} {
			with := map[bool]string{false: "nothing declared", true: "declared"}[declared]
			t.Run(name+" "+with, func(t *testing.T) {
				v := verdictsOf(fastEvents(t, path, truth.Options(declared)))
				if err := truth.check(&v); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// fastEvents are the events of a capture, without a check against the schema.
func fastEvents(t *testing.T, path string, args []string) []emitted {
	events, _, code := readWhole(path, args...)
	if code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	return unmarshalEvents(t, []byte(events))
}

// readScenario reads the truth about drawn traffic.
func readScenario(t *testing.T, path string) (s scenario) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(path, "nat_shared") { // to declare a server hides nothing behind its address
		for host := range s.Bad {
			s.Bad[host] = [][2]string{{"spambot", "suspect"}}
		}
	}
	return s
}
