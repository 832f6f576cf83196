package notify

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spamsensor/sensor/durable"
)

// hook is a web server that records what it got.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	bodies []string
	header http.Header
}

func newHook(t *testing.T) *hook {
	h := &hook{status: http.StatusOK}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.bodies, h.header = append(h.bodies, string(b)), r.Header
		w.WriteHeader(h.status)
		io.WriteString(w, "a reply\r\nof \x1b[31mtwo lines")
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) answer(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

// take returns what came since the last call.
func (h *hook) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.bodies
	h.bodies = nil
	return list
}

// serviceTest drives a service without its goroutines.
type serviceTest struct {
	*testing.T
	*Service
	dir  string
	cfg  Config
	at   time.Time
	logs []string
	seq  int
}

func newServiceTest(t *testing.T, channels ...Channel) *serviceTest {
	x := &serviceTest{T: t, dir: t.TempDir(), at: monday}
	for i := range channels {
		if channels[i].Name == "" {
			channels[i].Name = channels[i].Kind
		}
	}
	x.cfg = Config{Events: filepath.Join(x.dir, "events.json"), Outbox: filepath.Join(x.dir, "outbox"),
		Counters: filepath.Join(x.dir, "notify.json"), Host: "sensor1", Channels: channels,
		Limits: Limits{Weekly: Weekly{Off: true}}, Now: func() time.Time { return x.at },
		Log: func(text string) { x.logs = append(x.logs, text) }}
	x.write("")
	x.start()
	return x
}

// start starts the service, as after a crash if there was one before.
func (x *serviceTest) start() {
	x.Helper()
	if x.Service != nil {
		x.outbox.close()
	}
	var err error
	if x.Service, err = New(x.cfg); err != nil {
		x.Fatal(err)
	}
	x.Cleanup(func() { x.outbox.close() })
}

// write appends lines to the events.
func (x *serviceTest) write(lines string) {
	x.Helper()
	f, err := os.OpenFile(x.cfg.Events, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err == nil {
		_, err = f.WriteString(lines)
		f.Close()
	}
	if err != nil {
		x.Fatal(err)
	}
}

func (x *serviceTest) open(host string) {
	x.Helper()
	x.seq++
	x.write(findingLine(x.seq, host, "spambot", "confirmed", "opened", "") + "\n")
}

func (x *serviceTest) closed(host string) {
	x.Helper()
	x.seq++
	x.write(findingLine(x.seq, host, "spambot", "confirmed", "closed", `,"close_reason":"quiet"`) + "\n")
}

// pass lets time go by: the service and its workers do what is due after each interval.
func (x *serviceTest) pass(d, interval time.Duration) {
	x.Helper()
	for end := x.at.Add(d); ; {
		for x.Service.step(x.at) {
		}
		for _, w := range x.workers {
			for w.step(x.Context(), x.at) {
			}
		}
		if !x.at.Before(end) {
			return
		}
		x.at = x.at.Add(interval)
		if x.at.Second() == 0 { // the sensor writes its counters
			x.write(`{"event_type":"stats","event_id":"abc/1"}` + "\n")
		}
	}
}

func (x *serviceTest) queue() int {
	n, _ := x.outbox.lengths()
	return n
}

func TestServiceDelivers(t *testing.T) {
	h := newHook(t)
	x := newServiceTest(t, Channel{Kind: "webhook", Server: h.URL, Credential: "secret"})
	x.open("10.0.0.1")
	x.write("no event\n{\"a\":1}\n" + `{"event_type":"finding","finding":{"id":5}}` + "\n")
	x.pass(0, 1)
	got := h.take()
	if len(got) != 1 || !strings.Contains(got[0], `"subject":"[spamsensor sensor1] confirmed spambot 10.0.0.1`) {
		t.Error(got)
	}
	if a := h.header.Get("Authorization"); a != "Bearer secret" {
		t.Errorf("authorization %q", a)
	}
	if err := x.Service.Close(); err != nil {
		t.Fatal(err)
	}
	c, ok, err := ReadCounters(x.cfg.Counters)
	if !ok || err != nil || c.Sent["webhook"] != 1 || c.Unreadable != 3 || c.Queue["webhook"] != 0 || c.LastSent["webhook"].IsZero() || len(c.FailingSince) != 0 || c.BytesBehind != 0 {
		t.Errorf("%v %v %+v", ok, err, c)
	}
	// What was told is not told again after a restart, and its end is.
	x.start()
	x.at = x.at.Add(10 * time.Minute)
	x.closed("10.0.0.1")
	x.pass(0, 1)
	if got := h.take(); len(got) != 1 || !strings.Contains(got[0], "over: spambot 10.0.0.1") {
		t.Error(got)
	}
}

// A server that answers 500 for a day is asked more and more seldom, and the message is given up.
func TestServiceGivesUp(t *testing.T) {
	h := newHook(t)
	h.answer(http.StatusInternalServerError)
	x := newServiceTest(t, Channel{Kind: "webhook", Server: h.URL})
	x.open("10.0.0.1")
	x.pass(time.Hour, time.Minute)
	if n := len(h.take()); n != 6 { // 0, 1, 3, 7, 15, 31 minutes
		t.Errorf("%d attempts in the first hour", n)
	}
	x.pass(22*time.Hour, time.Minute)
	if n := len(h.take()); n != 22 || x.queue() != 1 {
		t.Errorf("%d attempts in 22 hours, %d messages wait", n, x.queue())
	}
	x.pass(2*time.Hour, time.Minute)
	if n := len(h.take()); n > 2 || x.queue() != 0 {
		t.Errorf("%d attempts at the end, %d messages wait", n, x.queue())
	}
	c := x.tally.c
	if c.GivenUp["webhook"] != 1 || c.Failed["webhook"][reasonTemporary] < 28 || x.rules.Week.GivenUp != 1 {
		t.Errorf("%+v", c)
	}
	if c.FailingSince["webhook"].IsZero() || !c.LastSent["webhook"].IsZero() || c.LastError["webhook"].Time.Sub(c.FailingSince["webhook"]) < 20*time.Hour {
		t.Errorf("failing since %v, last error %v", c.FailingSince, c.LastError)
	}
	if e := c.LastError["webhook"].Text; !strings.HasSuffix(e, `answers 500 Internal Server Error: a reply\x0d\x0aof \x1b[31mtwo lines`) {
		t.Error(e)
	}
	if log := x.journalLines(); len(log) != 1 || log[0].Notify.State != stateGivenUp || log[0].Notify.Attempts < 28 {
		t.Errorf("%+v", log)
	}
	h.answer(http.StatusOK)
	x.open("10.0.0.2")
	x.pass(2*time.Minute, time.Minute)
	if got := h.take(); len(got) != 1 || !strings.Contains(got[0], "10.0.0.2") {
		t.Error(got)
	}
}

// journalLines reads the notify events.
func (x *serviceTest) journalLines() (list []notifyEvent) {
	x.Helper()
	b, err := os.ReadFile(filepath.Join(x.cfg.Outbox, JournalFile))
	if err != nil {
		x.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		var e notifyEvent
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			x.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

// After an outage all messages are delivered at once, also those that would wait for longer.
func TestServiceRecovers(t *testing.T) {
	h := newHook(t)
	h.answer(http.StatusServiceUnavailable)
	x := newServiceTest(t, Channel{Kind: "webhook", Server: h.URL})
	for i := range 8 {
		x.open(fmt.Sprintf("10.0.0.%d", i))
		x.pass(20*time.Minute, time.Minute)
	}
	h.take()
	h.answer(http.StatusOK)
	x.pass(time.Hour, time.Minute)
	all := strings.Join(h.take(), "\n")
	for i := range 8 {
		if !strings.Contains(all, fmt.Sprintf("confirmed spambot 10.0.0.%d since", i)) {
			t.Errorf("10.0.0.%d was not told", i)
		}
	}
	if x.queue() != 0 {
		t.Errorf("%d messages wait", x.queue())
	}
}

// What one channel refuses for ever the next one gets, with a line that says so.
func TestServicePassesOn(t *testing.T) {
	first, second := newHook(t), newHook(t)
	first.answer(http.StatusForbidden)
	x := newServiceTest(t, Channel{Name: "a", Kind: "webhook", Server: first.URL, Template: "slack"},
		Channel{Name: "b", Kind: "webhook", Server: second.URL, Template: "slack", MinLevel: "confirmed", Classes: []string{"open_relay"}})
	x.open("10.0.0.1")
	x.pass(time.Second, time.Second)
	got := second.take()
	if len(first.take()) != 1 || len(got) != 1 || !strings.Contains(got[0], "a refused this notice: 127.0.0.1") ||
		!strings.Contains(got[0], "403 Forbidden") || !strings.Contains(got[0], "confirmed spambot 10.0.0.1") {
		t.Error(got)
	}
	var states []string
	for _, e := range x.journalLines() {
		states = append(states, e.Notify.Channel+" "+e.Notify.State)
	}
	if !slices.Equal(states, []string{"a passed_on", "b sent"}) {
		t.Error(states)
	}
	// If all refuse, the message waits at the last one: somebody may mend a setting.
	second.answer(http.StatusForbidden)
	x.at = x.at.Add(time.Hour)
	x.open("10.0.0.2")
	x.pass(time.Minute, time.Minute)
	if x.queue() != 1 {
		t.Errorf("%d messages wait, want 1", x.queue())
	}
	second.answer(http.StatusOK)
	x.pass(time.Hour, time.Minute)
	if x.queue() != 0 {
		t.Errorf("%d messages wait, want none", x.queue())
	}
}

func TestOutboxIsBounded(t *testing.T) {
	dir := t.TempDir()
	o, err := openOutbox(dir)
	if err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", 100<<10)
	for i := range 200 {
		m := &Message{ID: fmt.Sprintf("%016d", i), Channel: "a", Items: []Item{{Kind: itemTest, Headline: big}}}
		if err := o.put(m); err != nil {
			t.Fatal(err)
		}
	}
	if n, _ := o.lengths(); o.bytes > maxBytes || n < 100 || o.dropped != uint64(200-n) || o.queued[n-1].ID != "0000000000000199" {
		t.Errorf("%d messages of %d bytes, %d dropped", n, o.bytes, o.dropped)
	}
	for _, m := range slices.Clone(o.queued) {
		o.remove(m.ID)
	}
	if o.bytes != 0 {
		t.Errorf("%d bytes in an empty outbox", o.bytes)
	}
	if _, err := openOutbox(dir); err == nil || !strings.Contains(err.Error(), "another spamsensor notify") {
		t.Error(err)
	}
	o.close()
	// The number of messages, without a thousand times fsync: files as a former run left them.
	for i := range maxMessages {
		m := &Message{ID: fmt.Sprintf("%016d", i), Channel: "a"}
		b, _ := json.Marshal(m)
		if err := os.WriteFile(filepath.Join(dir, m.ID+messageSuffix), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"x" + messageSuffix: "{", "x" + messageSuffix + durable.Suffix: "{", "y" + messageSuffix: `{"channel":"a","id":"z"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if o, err = openOutbox(dir); err != nil {
		t.Fatal(err)
	}
	defer o.close()
	if n, _ := o.lengths(); n != maxMessages || o.damaged != 2 {
		t.Errorf("%d messages, %d damaged", n, o.damaged)
	}
	if err := o.put(&Message{ID: "1", Channel: "a"}); err != nil {
		t.Fatal(err)
	}
	if n, _ := o.lengths(); n != maxMessages || o.dropped != 1 {
		t.Errorf("%d messages, %d dropped", n, o.dropped)
	}
}

// A disk that cannot be written loses nothing: the events wait in their file, the messages in memory.
func TestServiceDiskFails(t *testing.T) {
	h := newHook(t)
	x := newServiceTest(t, Channel{Kind: "webhook", Server: h.URL})
	x.pass(0, 1)
	away := x.cfg.Outbox + ".away"
	if err := os.Rename(x.cfg.Outbox, away); err != nil {
		t.Fatal(err)
	}
	x.open("10.0.0.1")
	x.pass(10*time.Minute, 30*time.Second)
	if got := h.take(); len(got) != 0 || x.tally.c.SaveErrors == 0 || len(x.logs) < 9 || len(x.logs) > 12 {
		t.Error(got, x.tally.c.SaveErrors, x.logs)
	}
	if err := os.Rename(away, x.cfg.Outbox); err != nil {
		t.Fatal(err)
	}
	x.pass(time.Minute, 30*time.Second)
	if got := h.take(); len(got) != 1 || !strings.Contains(got[0], "10.0.0.1") {
		t.Error(got)
	}
}

// A damaged state is kept aside and said; messages of a channel that is gone go to the first one.
func TestServiceDamagedState(t *testing.T) {
	h := newHook(t)
	h.answer(http.StatusBadGateway)
	x := newServiceTest(t, Channel{Name: "old", Kind: "webhook", Server: h.URL})
	x.open("10.0.0.1")
	x.pass(0, 1)
	name := filepath.Join(x.cfg.Outbox, stateFile)
	if err := os.WriteFile(name, []byte(`{"file":`), 0o600); err != nil {
		t.Fatal(err)
	}
	h.answer(http.StatusOK)
	x.cfg.Channels = []Channel{{Name: "new", Kind: "webhook", Server: h.URL, Template: "slack"}}
	h.take()
	x.start()
	x.pass(2*time.Minute, time.Minute)
	if got := h.take(); len(got) != 1 || !strings.Contains(got[0], "This notice was for the channel old") {
		t.Error(got)
	}
	if _, err := os.Stat(name + ".refused"); err != nil || !strings.Contains(strings.Join(x.logs, " "), "the state of notify was refused") {
		t.Error(err, x.logs)
	}
}

// alerts decodes what Alertmanager got: the alerts by host, or by check.
func alerts(t *testing.T, bodies []string) map[string]alert {
	t.Helper()
	all := map[string]alert{}
	for _, b := range bodies {
		var list []alert
		if err := json.Unmarshal([]byte(b), &list); err != nil {
			t.Fatal(err, b)
		}
		for _, a := range list {
			all[a.Labels["host"]+a.Labels["check"]] = a
		}
	}
	return all
}

// Alertmanager gets each alert at once, all that fire again and again, and their end.
func TestServiceAlerts(t *testing.T) {
	h := newHook(t)
	x := newServiceTest(t, Channel{Kind: "alertmanager", Server: h.URL + "/prefix/"})
	x.open("10.0.0.1")
	x.open("10.0.0.2")
	x.write(healthLine(9, "abc", "link", "eth1", "raised") + "\n")
	x.pass(0, 1)
	got := alerts(t, h.take())
	a := got["10.0.0.1"]
	if len(got) != 3 || a.Labels["alertname"] != "SpamsensorFinding" || a.Labels["class"] != "spambot" || a.Labels["severity"] != "high" ||
		a.Labels["sensor"] != "sensor1" || a.Annotations["advice"] != "look" || !a.EndsAt.Equal(x.at.Add(alertLifetime)) {
		t.Errorf("%+v", got)
	}
	if l := got["link"].Labels; l["alertname"] != "SpamsensorHealth" || l["interface"] != "eth1" {
		t.Errorf("%+v", l)
	}
	// All that fire are sent again in time.
	for range 10 {
		x.pass(refreshEvery, time.Minute)
		got = alerts(t, h.take())
		if len(got) != 3 || got["10.0.0.2"].EndsAt.Sub(x.at) < alertLifetime-refreshEvery {
			t.Fatalf("%+v", got)
		}
	}
	x.closed("10.0.0.1")
	x.pass(0, 1)
	got = alerts(t, h.take())
	if end := got["10.0.0.1"]; !end.EndsAt.Equal(x.at) || fmt.Sprint(end.Labels) != fmt.Sprint(a.Labels) {
		t.Errorf("%+v, want the end of %+v", got, a)
	}
	// After an outage the end comes last.
	h.answer(http.StatusBadGateway)
	x.closed("10.0.0.2")
	x.open("10.0.0.3")
	x.pass(time.Minute, time.Minute)
	x.closed("10.0.0.3")
	x.pass(2*time.Hour, time.Minute)
	h.take()
	h.answer(http.StatusOK)
	x.pass(time.Hour, time.Minute)
	got = alerts(t, h.take())
	if end := got["10.0.0.3"].EndsAt; end.After(x.at) || end.IsZero() || !got["link"].EndsAt.After(x.at) || x.queue() != 0 {
		t.Errorf("%+v", got)
	}
}
