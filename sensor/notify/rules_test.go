package notify

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// world plays events to the rules, and collects what they tell.
type world struct {
	*testing.T
	rules rules
	now   time.Time
	seq   int
}

// monday is a Monday, 12:00.
var monday = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T, limits Limits, channels ...Channel) *world {
	w := &world{T: t, now: monday}
	if len(channels) == 0 {
		channels = []Channel{{Name: "mail", Kind: "mail"}}
	}
	w.rules = rules{channels: channels, limits: limits, state: &state{}}
	w.rules.complete(w.now, &limits)
	w.rules.Sensor = "sensor1"
	return w
}

// finding makes the line of a finding's event.
func findingLine(seq int, host, class, level, action string, more string) string {
	return fmt.Sprintf(`{"level":"warn","timestamp":"2026-11-30T11:59:00.000000Z","event_type":"finding","v":1,`+
		`"event_id":"abc/%d","host":"sensor1","src_ip":%q,"finding":{"id":"%s-%s","action":%q,"class":%q,`+
		`"level":%q,"severity":"high","first_seen":"2026-11-30T11:58:00.000000Z","advice":"look","reasons":[{"text":"why"}]%s},`+
		`"message":"%s is %s"}`, seq, host, class, host, action, class, level, more, host, class)
}

func healthLine(seq int, run, check, iface, state string) string {
	return fmt.Sprintf(`{"level":"warn","timestamp":"2026-11-30T11:59:00.000000Z","event_type":"health","v":1,`+
		`"event_id":"%s/%d","host":"sensor1","health":{"check":%q,"state":%q,"interface":%q,"value":0,"threshold":0,`+
		`"since":"2026-11-30T11:59:00.000000Z","text":"text of %s","hint":"do"},"message":"text"}`, run, seq, check, state, iface, check)
}

// line plays a line.
func (w *world) line(line string) {
	w.Helper()
	rec, ok := parse([]byte(line))
	if !ok || rec == nil {
		w.Fatalf("not read: %s", line)
	}
	w.rules.lastLine = w.now
	w.rules.event(rec, w.now)
}

// do plays an action: "open HOST CLASS LEVEL", "close HOST CLASS LEVEL [REASON]", "raise CHECK IF",
// "clear CHECK IF", "restart", or a duration that passes.
func (w *world) do(action string) {
	w.Helper()
	f := append(strings.Fields(action), "", "", "", "", "")
	w.seq++
	switch f[0] {
	case "open", "update", "resume":
		w.line(findingLine(w.seq, f[1], f[2], f[3], map[string]string{"open": "opened", "update": "updated",
			"resume": "resumed"}[f[0]], ""))
	case "ignored":
		w.line(findingLine(w.seq, f[1], f[2], f[3], "updated", `,"ignored":{"why":"x"}`))
	case "close":
		w.line(findingLine(w.seq, f[1], f[2], f[3], "closed", fmt.Sprintf(`,"close_reason":%q`, f[4])))
	case "raise":
		w.line(healthLine(w.seq, "abc", f[1], f[2], "raised"))
	case "clear":
		w.line(healthLine(w.seq, "abc", f[1], f[2], "cleared"))
	case "restart":
		w.line(healthLine(1, fmt.Sprintf("%x", w.seq), "duplicates", "", "raised"))
	default:
		d, err := time.ParseDuration(f[0])
		if err != nil {
			w.Fatal(action)
		}
		w.pass(d)
	}
}

// pass lets time go by, in steps of at most 30 seconds; the sensor writes its counters meanwhile.
func (w *world) pass(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(min(30*time.Second, end.Sub(w.now)))
		w.rules.lastLine = w.now
		w.rules.tick(w.now)
	}
}

// said takes the messages so far, as "CHANNEL: ITEM, ITEM +MORE".
func (w *world) said() string {
	w.rules.tick(w.now)
	var all []string
	for _, m := range w.rules.ready {
		var items []string
		for _, it := range m.Items {
			s := it.Kind + " " + it.ID
			if it.Kind == itemFinding {
				s += " " + it.Level
			}
			if it.Kind == itemFinding && !it.Until.IsZero() {
				s += " (over)"
			}
			items = append(items, s)
		}
		s := m.Channel + ": " + strings.Join(items, ", ")
		if m.More > 0 {
			s += fmt.Sprintf(" +%d", m.More)
		}
		all = append(all, s)
	}
	w.rules.ready = nil
	return strings.Join(all, "; ")
}

// step is an action and what is said after it.
type step struct{ do, said string }

func TestRules(t *testing.T) {
	all := Limits{Weekly: Weekly{Off: true}}
	for name, c := range map[string]struct {
		limits Limits
		steps  []step
	}{
		"first at once, then grouped": {all, []step{
			{"open 10.0.0.1 spambot likely", "mail: finding spambot-10.0.0.1 likely"},
			{"open 10.0.0.2 spambot likely", ""},
			{"1m", ""},
			{"open 10.0.0.3 spambot confirmed", ""},
			{"4m", "mail: finding spambot-10.0.0.3 confirmed, finding spambot-10.0.0.2 likely"},
			{"5m", ""},
			{"open 10.0.0.4 spambot likely", "mail: finding spambot-10.0.0.4 likely"},
		}},
		"a level that rises is news, an update is none": {all, []step{
			{"open 10.0.0.1 spambot suspect", ""},
			{"update 10.0.0.1 spambot likely", "mail: finding spambot-10.0.0.1 likely"},
			{"30m", ""},
			{"update 10.0.0.1 spambot likely", ""},
			{"update 10.0.0.1 spambot confirmed", "mail: finding spambot-10.0.0.1 confirmed"},
			{"30m", ""},
			{"update 10.0.0.1 spambot likely", ""},
			{"update 10.0.0.1 spambot confirmed", ""},
		}},
		"one message for both levels": {all, []step{
			{"open 10.0.0.1 open_relay likely", "mail: finding open_relay-10.0.0.1 likely"},
			{"open 10.0.0.2 spambot likely", ""},
			{"update 10.0.0.2 spambot confirmed", ""},
			{"5m", "mail: finding spambot-10.0.0.2 confirmed"},
		}},
		"the end is told to those who know": {all, []step{
			{"open 10.0.0.1 spambot likely", "mail: finding spambot-10.0.0.1 likely"},
			{"open 10.0.0.2 spambot suspect", ""},
			{"10m", ""},
			{"close 10.0.0.2 spambot suspect quiet", ""},
			{"close 10.0.0.1 spambot likely quiet", "mail: resolved spambot-10.0.0.1"},
			{"close 10.0.0.1 spambot likely quiet", ""},
		}},
		"over before it was told": {all, []step{
			{"open 10.0.0.1 spambot likely", "mail: finding spambot-10.0.0.1 likely"},
			{"open 10.0.0.2 spambot likely", ""},
			{"close 10.0.0.2 spambot likely quiet", ""},
			{"5m", "mail: finding spambot-10.0.0.2 likely (over)"},
		}},
		"another finding takes its place": {all, []step{
			{"open 10.0.0.1 spambot likely", "mail: finding spambot-10.0.0.1 likely"},
			{"10m", ""},
			{"close 10.0.0.1 spambot likely superseded", ""},
			{"open 10.0.0.1 open_relay likely", "mail: finding open_relay-10.0.0.1 likely"},
		}},
		"closed and opened in turn": {all, []step{
			{"open 10.0.0.1 spambot likely", "mail: finding spambot-10.0.0.1 likely"},
			{"10m", ""},
			{"close 10.0.0.1 spambot likely quiet", "mail: resolved spambot-10.0.0.1"},
			{"10m", ""},
			{"open 10.0.0.1 spambot likely", ""},
			{"10m", ""},
			{"close 10.0.0.1 spambot likely quiet", ""},
			{"10m", ""},
			{"open 10.0.0.1 spambot likely", ""},
			{"update 10.0.0.1 spambot confirmed", "mail: finding spambot-10.0.0.1 confirmed"},
			{"10m", ""},
			{"close 10.0.0.1 spambot confirmed quiet", "mail: resolved spambot-10.0.0.1"},
			{"2h", ""},
			{"open 10.0.0.1 spambot likely", "mail: finding spambot-10.0.0.1 likely"},
		}},
		"what comes back and stays is told within the hour": {all, []step{
			{"open 10.0.0.1 spambot likely", "mail: finding spambot-10.0.0.1 likely"},
			{"10m", ""},
			{"close 10.0.0.1 spambot likely quiet", "mail: resolved spambot-10.0.0.1"},
			{"open 10.0.0.1 spambot likely", ""},
			{"30m", ""},
			{"update 10.0.0.1 spambot likely", ""},
			{"30m", ""},
			{"update 10.0.0.1 spambot likely", "mail: finding spambot-10.0.0.1 likely"},
		}},
		"ignored findings are not told": {all, []step{
			{"ignored 10.0.0.1 spambot confirmed", ""},
			{"open 10.0.0.2 spambot likely", "mail: finding spambot-10.0.0.2 likely"},
			{"10m", ""},
			{"ignored 10.0.0.2 spambot likely", "mail: resolved spambot-10.0.0.2"},
			{"ignored 10.0.0.2 spambot likely", ""},
		}},
		"a finding from before notify": {all, []step{
			{"resume 10.0.0.1 spambot likely", "mail: finding spambot-10.0.0.1 likely"},
			{"resume 10.0.0.1 spambot likely", ""},
		}},
		"quiet hours": {Limits{Weekly: Weekly{Off: true}, Quiet: QuietHours{11 * 60, 13 * 60}}, []step{
			{"open 10.0.0.1 spambot likely", ""},
			{"raise link eth1", ""},
			{"open 10.0.0.2 spambot confirmed", "mail: finding spambot-10.0.0.2 confirmed"},
			{"30m", ""},
			{"30m", "mail: finding spambot-10.0.0.1 likely, health link eth1"},
		}},
		"messages in an hour": {Limits{Weekly: Weekly{Off: true}, Group: time.Second, PerHour: 2}, []step{
			{"open 10.0.0.1 spambot likely", "mail: finding spambot-10.0.0.1 likely"},
			{"2s", ""},
			{"open 10.0.0.2 spambot likely", "mail: finding spambot-10.0.0.2 likely"},
			{"2s", ""},
			{"open 10.0.0.3 spambot likely", ""},
			{"30m", ""},
			{"open 10.0.0.4 spambot likely", ""},
			{"30m", "mail: finding spambot-10.0.0.3 likely, finding spambot-10.0.0.4 likely"},
		}},
		"health": {all, []step{
			{"raise duplicates x", ""},
			{"raise link eth1", "mail: health link eth1"},
			{"10m", ""},
			{"clear link eth1", ""},
			{"30s", ""},
			{"30s", "mail: cleared link eth1"},
			{"10m", ""},
			{"raise link eth1", ""},
			{"10m", ""},
			{"clear link eth1", ""},
			{"10m", ""},
			{"raise link eth1", ""},
			{"30m", "mail: health link eth1"},
		}},
		"a short break is none": {all, []step{
			{"raise drops", "mail: health drops"},
			{"5m", ""},
			{"clear drops", ""},
			{"30s", ""},
			{"raise drops", ""},
			{"2h", ""},
			{"clear drops", ""},
			{"1m", "mail: cleared drops"},
		}},
		"the sensor starts again": {all, []step{
			{"raise link eth1", "mail: health link eth1"},
			{"raise link eth2", ""},
			{"5m", "mail: health link eth2"},
			{"restart", ""},
			{"1s", ""},
			{"raise link eth1", ""},
			{"6m", "mail: cleared link eth2"},
			{"10m", ""},
		}},
		"the sensor starts again, and all is well": {all, []step{
			{"raise link eth1", "mail: health link eth1"},
			{"restart", ""},
			{"4m", ""},
			{"1m", "mail: cleared link eth1"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.limits)
			for i, s := range c.steps {
				w.do(s.do)
				if got := w.said(); got != s.said {
					t.Fatalf("step %d, %s: %q, want %q", i, s.do, got, s.said)
				}
			}
		})
	}
}

func TestRulesChannels(t *testing.T) {
	w := newWorld(t, Limits{Weekly: Weekly{Off: true}},
		Channel{Name: "all", Kind: "journald", MinLevel: "suspect"},
		Channel{Name: "bots", Kind: "mail", Classes: []string{"spambot"}, MinLevel: "confirmed"})
	w.do("open 10.0.0.1 scanner suspect")
	if got := w.said(); got != "all: finding scanner-10.0.0.1 suspect" {
		t.Error(got)
	}
	w.do("10m")
	w.do("open 10.0.0.1 spambot confirmed")
	if got := w.said(); got != "all: finding spambot-10.0.0.1 confirmed; bots: finding spambot-10.0.0.1 confirmed" {
		t.Error(got)
	}
}

// An outbreak makes few messages, which count what they leave out, and the worst come first.
func TestRulesOutbreak(t *testing.T) {
	w := newWorld(t, Limits{Weekly: Weekly{Off: true}})
	told, left, messages := 0, 0, 0
	count := func() {
		w.said2(func(m *Message) {
			messages++
			told += len(m.Items)
			left += m.More
		})
	}
	for i := range 1000 {
		level := "likely"
		if i%100 == 99 {
			level = "confirmed"
		}
		w.do(fmt.Sprintf("open 10.1.%d.%d spambot %s", i/250, i%250, level))
		w.pass(time.Second)
		count()
	}
	w.pass(time.Hour)
	count()
	if told+left != 1000 || messages > 12 || told < 50 {
		t.Errorf("%d messages with %d findings and %d left out, want 1000 in all", messages, told, left)
	}
	if w.rules.Week.LeftOut != left || w.rules.Week.Confirmed != 10 {
		t.Errorf("%+v", w.rules.Week)
	}
}

// said2 takes the messages so far.
func (w *world) said2(each func(m *Message)) {
	w.rules.tick(w.now)
	for _, m := range w.rules.ready {
		each(m)
	}
	w.rules.ready = nil
}

func TestRulesWeekly(t *testing.T) {
	weekly, err := ParseWeekly("Monday 13:00")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, Limits{Weekly: weekly})
	take := func() (text string) {
		w.said2(func(m *Message) { text += m.Subject() + "\n" + m.Text() })
		return text
	}
	for i := range 300 {
		w.line(fmt.Sprintf(`{"event_type":"source","event_id":"abc/1","host":"sensor1","src_ip":"10.0.%d.%d"}`, i/200, i%200))
	}
	w.pass(59 * time.Minute)
	if got := take(); got != "" {
		t.Error(got)
	}
	w.pass(time.Minute)
	got := take()
	for _, want := range []string{"[spamsensor sensor1] all quiet from 2026-11-30 12:00 UTC to 2026-11-30 13:00 UTC",
		"hosts that contacted mail servers: about 30", "findings: 0, of these confirmed: 0", "blind for 0s", "left out: 0"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nlacks %s", got, want)
		}
	}
	w.do("open 10.0.0.1 spambot confirmed")
	w.do("raise no_packets eth1")
	w.pass(30 * time.Minute)
	w.do("clear no_packets eth1")
	w.pass(time.Hour)
	take()
	w.pass(6*24*time.Hour + 22*time.Hour + 30*time.Minute)
	got = take()
	for _, want := range []string{"weekly summary from 2026-11-30 13:00 UTC", "findings: 1, of these confirmed: 1",
		"faults of the sensor: 1; it was blind for 30m"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nlacks %s", got, want)
		}
	}
}

// A sensor that writes nothing is a fault, a clock that is set is none.
func TestRulesSilence(t *testing.T) {
	w := newWorld(t, Limits{Weekly: Weekly{Off: true}})
	silent := func(d time.Duration) {
		for end := w.now.Add(d); w.now.Before(end); {
			w.now = w.now.Add(30 * time.Second)
			w.rules.tick(w.now)
		}
	}
	w.rules.tick(w.now)
	silent(9 * time.Minute)
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		w.now = w.now.Add(jump)
		if got := w.said(); got != "" {
			t.Error(got)
		}
	}
	silent(90 * time.Second)
	if got := w.said(); got != "mail: health sensor_silent" {
		t.Error(got)
	}
	w.pass(10 * time.Minute)
	if got := w.said(); got != "mail: cleared sensor_silent" {
		t.Error(got)
	}
}

// The tables of a flood are bounded.
func TestRulesBounds(t *testing.T) {
	w := newWorld(t, Limits{}, Channel{Name: "a", Kind: "alertmanager"}, Channel{Name: "mail", Kind: "mail"})
	for i := range maxKnown + 100 {
		w.do(fmt.Sprintf("open 10.%d.%d.1 spambot likely", i/250, i%250))
	}
	for i := range maxConditions + 100 {
		w.do(fmt.Sprintf("raise link eth%d", i))
	}
	if n := len(w.rules.Findings); n != maxKnown {
		t.Errorf("%d findings", n)
	}
	if n := len(w.rules.Health); n != maxConditions {
		t.Errorf("%d conditions", n)
	}
	m := w.rules.channel("mail")
	if len(m.Pending) != maxPending || len(w.rules.channel("a").Firing) != maxFiring {
		t.Errorf("%d pending", len(m.Pending))
	}
	if want := maxKnown + 100 + maxConditions - maxPending; m.LeftOut != want {
		t.Errorf("%d left out, want %d", m.LeftOut, want)
	}
	w.now = w.now.Add(forgetAfter + time.Hour)
	w.rules.tick(w.now)
	if n := len(w.rules.Findings); n != 0 {
		t.Errorf("%d findings are not forgotten", n)
	}
}

func TestQuietHours(t *testing.T) {
	q, err := ParseQuietHours("22:00-07:00")
	if err != nil {
		t.Fatal(err)
	}
	for hour, want := range map[int]bool{21: false, 22: true, 0: true, 6: true, 7: false, 12: false} {
		if got := q.Holds(time.Date(2026, 1, 1, hour, 0, 0, 0, time.UTC)); got != want {
			t.Errorf("%d: %v", hour, got)
		}
	}
	if (QuietHours{}).Holds(time.Time{}) {
		t.Error("no quiet hours hold at midnight")
	}
}

func TestHostCount(t *testing.T) {
	for _, n := range []int{0, 1, 100, 10_000} {
		var h hostCount
		for i := range n {
			h.add(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
			h.add("10.0.0.0")
		}
		if got := h.count(); got < n-n/50 || got > n+n/50 {
			t.Errorf("%d hosts are counted as %d", n, got)
		}
	}
}

// TestSince: a notice says since when there are signs of a finding, as a report does; an event of an
// earlier version has the first attempt alone.
func TestSince(t *testing.T) {
	for more, want := range map[string]string{`,"since":"2026-11-30T11:58:30.000000Z"`: "11:58:30", "": "11:58:00"} {
		rec, ok := parse([]byte(findingLine(1, "10.0.0.1", "spambot", "likely", "opened", more)))
		if !ok {
			t.Fatal("not read")
		}
		if item := findingItem(rec); item.Since.Format(time.TimeOnly) != want {
			t.Errorf("%q: since %v, want %s", more, item.Since, want)
		}
	}
}
