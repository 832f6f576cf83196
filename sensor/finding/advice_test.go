package finding

import (
	"net/netip"
	"strings"
	"testing"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/verdict"
)

// TestAdviceDoesNoHarm checks that the advice asks what a machine is before it has anything
// destroyed, and that it does not have a machine declared that shows nothing of a mail server.
func TestAdviceDoesNoHarm(t *testing.T) {
	bot := func(addr string, level verdict.Level, change func(f *Finding, h *Seen)) string {
		f := &Finding{Class: verdict.Spambot, Level: level, Highest: level, OnLink: true,
			Source: SourceRecord{Addr: netip.MustParseAddr(addr), MAC: [6]byte{2, 0, 0, 0, 0, 1},
				Counters: detect.Counters{Attempts: 300, Sessions: 100}}}
		var h Seen
		if change != nil {
			change(f, &h)
		}
		return Advice(f, &h)
	}
	for _, c := range []struct {
		name, text string
		has, lacks []string
	}{
		{"a PC", bot("192.168.1.66", verdict.Confirmed, nil),
			[]string{"Find out what 192.168.1.66 (MAC 02:00:00:00:00:01) is. If it is a PC", "reinstall", "If it is a mail server, leave it running"}, []string{"router", "declare"}},
		{"behind a router", bot("192.168.1.66", verdict.Confirmed, func(f *Finding, _ *Seen) { f.OnLink = false }),
			[]string{"If it is a router"}, []string{"MAC", "declare"}},
		{"our public address", bot("203.0.113.7", verdict.Confirmed, func(f *Finding, _ *Seen) { f.OnLink = false }),
			[]string{"or your own public address, the machine is behind it", "Only if it is a PC"}, []string{"declare"}},
		{"several machines", bot("192.168.1.1", verdict.Confirmed, func(_ *Finding, h *Seen) { h.BehindNAT = true }),
			[]string{"Several machines"}, []string{"reinstall", "declare"}},
		{"declared as NAT", bot("192.168.1.1", verdict.Likely, func(f *Finding, _ *Seen) { f.Source.Role = "nat" }),
			[]string{"Several machines"}, []string{"reinstall", "declare"}},
		{"a mail server with a stolen account", bot("192.168.1.25", verdict.Confirmed, func(f *Finding, _ *Seen) {
			f.Reasons = []ReasonText{{Code: detect.Serves}}
		}), []string{"Is 192.168.1.25 (MAC 02:00:00:00:00:01) a mail server?", "leave it running"}, []string{"declare"}},
		{"a PC that is blocked", bot("192.168.1.66", verdict.Likely, func(_ *Finding, h *Seen) { h.EgressBlocked = true }),
			[]string{"Your firewall keeps its mail from leaving"}, []string{"declare", "Block outgoing"}},
		{"a suspect that is reset", bot("192.168.1.66", verdict.Suspect, func(f *Finding, h *Seen) {
			f.Source.Counters.Sessions, f.Source.Counters.Refused, h.EgressBlocked = 0, 299, true
		}), []string{"check it for malware", "leave it so"}, []string{"declare", "reinstall"}},
		{"a suspect of which only SYNs were seen", bot("192.168.1.66", verdict.Suspect, func(f *Finding, _ *Seen) {
			f.Source.Counters.Sessions = 0
		}), []string{"in its name"}, []string{"declare", "reinstall"}},
		{"a suspect with sessions", bot("192.168.1.66", verdict.Suspect, nil), []string{"declare it", "check it for malware"}, []string{"reinstall"}},
		{"a former bot, live", bot("192.168.1.66", verdict.Suspect, func(f *Finding, _ *Seen) { f.Highest = verdict.Confirmed }),
			[]string{"reinstall"}, []string{"declare"}},
	} {
		for _, s := range c.has {
			if !strings.Contains(c.text, s) {
				t.Errorf("%s: %q lacks %q", c.name, c.text, s)
			}
		}
		for _, s := range c.lacks {
			if strings.Contains(c.text, s) {
				t.Errorf("%s: %q has %q", c.name, c.text, s)
			}
		}
	}
}
