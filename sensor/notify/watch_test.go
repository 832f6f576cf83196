package notify

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestWatch has a public address that gets on a blocklist and off it.
func TestWatch(t *testing.T) {
	h, am := newHook(t), newHook(t)
	x := newServiceTest(t, Channel{Kind: "webhook", Server: h.URL, Template: "slack"}, Channel{Kind: "alertmanager", Server: am.URL})
	answer := Listing{Address: "203.0.113.4", List: "bl.example", Known: true}
	var asked []netip.Addr
	x.Service.cfg.Watch = &Watch{Every: time.Hour, Ask: func(_ context.Context, learned netip.Addr) []Listing {
		asked = append(asked, learned)
		return []Listing{answer}
	}}
	// step asks if that is due, waits for the answer, and delivers.
	step := func(after time.Duration) {
		x.at = x.at.Add(after)
		x.watch(t.Context(), x.at)
		for x.asking {
			x.watch(t.Context(), x.at)
			time.Sleep(time.Millisecond)
		}
		x.write(`{"event_type":"stats","event_id":"abc/1"}` + "\n")
		x.pass(0, 1)
	}
	step(0)
	if got := h.take(); len(got) != 0 || len(asked) != 1 || asked[0].IsValid() {
		t.Error(got, asked)
	}
	x.write(`{"event_type":"site","event_id":"abc/1","host":"sensor1","site":{"public_ip":"203.0.113.4","servers":2}}` + "\n")
	step(time.Minute)
	step(time.Minute)
	if len(asked) != 2 || asked[1] != netip.MustParseAddr("203.0.113.4") {
		t.Error(asked)
	}
	step(30 * time.Minute)
	if len(asked) != 2 {
		t.Error("asked too often")
	}
	answer.Listed, answer.Text = true, "127.0.0.2 Spam"
	step(time.Hour)
	got := h.take()
	if len(got) != 1 || !strings.Contains(got[0], "203.0.113.4 is on the blocklist bl.example since") || !strings.Contains(got[0], "127.0.0.2 Spam") {
		t.Error(got)
	}
	if a := alerts(t, am.take())["203.0.113.4"]; a.Labels["alertname"] != "SpamsensorListed" || a.Labels["list"] != "bl.example" {
		t.Errorf("%+v", a)
	}
	step(time.Hour) // no news
	x.write(healthLine(1, "def", "duplicates", "", "raised") + "\n")
	answer.Known, answer.Listed = false, false
	step(time.Hour) // the list does not answer, and the sensor was started again
	step(time.Hour)
	if got := h.take(); len(got) != 0 {
		t.Error(got)
	}
	answer.Known = true
	step(time.Hour)
	if got := h.take(); len(got) != 1 || !strings.Contains(got[0], "203.0.113.4 is off the blocklist bl.example") {
		t.Error(got)
	}
	if a := alerts(t, am.take())["203.0.113.4"]; a.EndsAt.After(x.at) {
		t.Errorf("%+v", a)
	}
	if x.rules.Week.Health != 0 || x.rules.blind() {
		t.Errorf("%+v", x.rules.Week)
	}
}
