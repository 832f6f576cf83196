package main

import "testing"

// levels requires these highest levels of findings that accuse these hosts, and no finding above
// suspect about other hosts.
func levels(want map[string]string) func(*testing.T, outcome) {
	order := map[string]int{"suspect": 1, "likely": 2, "confirmed": 3}
	return func(t *testing.T, got outcome) {
		highest := map[string]string{}
		for _, e := range got.events {
			if e.Type != "finding" || e.Finding.Class != "spambot" {
				continue
			}
			if ip := e.Src; order[e.Finding.Level] > order[highest[ip]] {
				highest[ip] = e.Finding.Level
			}
		}
		for ip, level := range want {
			if highest[ip] != level {
				t.Errorf("%s: %q, want %q", ip, highest[ip], level)
			}
		}
		for ip, level := range highest {
			if want[ip] == "" && level != "suspect" {
				t.Errorf("%s: %q", ip, level)
			}
		}
	}
}

// oneMachine requires one finding of a bot, confirmed, for all addresses of a machine.
func oneMachine(t *testing.T, got outcome) {
	ids, confirmed := map[string]int{}, false
	for _, e := range got.events {
		if e.Type == "finding" && e.Finding.Class == "spambot" {
			ids[e.Finding.ID]++
			confirmed = confirmed || e.Finding.Level == "confirmed"
		}
	}
	if len(ids) != 1 || !confirmed {
		t.Errorf("findings %v, confirmed %v", ids, confirmed)
	}
}
