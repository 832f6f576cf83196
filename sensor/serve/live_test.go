package serve

import (
	"bufio"
	"context"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"spamsensor/sensor/report"
	"spamsensor/sensor/status"
)

// events reads server-sent events: the name of each, and its text.
func events(ctx context.Context, t *testing.T, url string) <-chan [2]string {
	t.Helper()
	q, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/event-stream" {
		b, _ := io.ReadAll(r.Body)
		t.Fatalf("%s: %d %s", url, r.StatusCode, b)
	}
	c := make(chan [2]string, 1000)
	go func() {
		defer close(c)
		defer r.Body.Close()
		var e [2]string
		for s := bufio.NewScanner(r.Body); s.Scan(); {
			name, text, _ := strings.Cut(s.Text(), ": ")
			switch name {
			case "event":
				e[0] = text
			case "data":
				e[1] += text + "\n"
			case "":
				if e[0] != "" {
					c <- e
				}
				e = [2]string{}
			}
		}
	}()
	return c
}

var liveURL = regexp.MustCompile(`data-live="([^"]+)"`)
var hashes = regexp.MustCompile(`data-hash="([^"]+)"`)

// liveOf is the URL of what changes of a page, for a browser that has the page.
func liveOf(page string) string {
	var have []string
	for _, m := range hashes.FindAllStringSubmatch(page, -1) {
		have = append(have, m[1])
	}
	return html.UnescapeString(liveURL.FindStringSubmatch(page)[1]) + "&have=" + strings.Join(have, ",")
}

// TestLive: who looks at a page gets the sections that change, within two seconds, and no others; the connection outlives the
// bounds of other requests. While nobody looks the sensor is not asked.
func TestLive(t *testing.T) {
	f := newFake()
	f.model.Store(newModel(0, 3))
	socket, stop := listenFake(t, f)
	url, _ := start(t, Config{Socket: socket})
	_, page := get(t, url+"/?lang=fr")
	ctx, cancel := context.WithCancel(t.Context())
	c := events(ctx, t, url+liveOf(page))
	select {
	case e := <-c:
		t.Errorf("nothing has changed, but %s", e)
	case <-time.After(requestTime + 500*time.Millisecond):
	}
	m := newModel(1, 3)
	f.model.Store(m)
	now := newFake().state
	now.Findings.Total = map[string]map[string]uint64{"spambot": {"critical": 1}}
	f.later.Store(now)
	began, got := time.Now(), map[string]string{}
	for got["cases"] == "" || got["verdict"] == "" {
		select {
		case e := <-c:
			got[e[0]] = e[1]
		case <-time.After(2*time.Second - time.Since(began)):
			t.Fatalf("after %v only %d sections have come", time.Since(began), len(got))
		}
	}
	t.Logf("told within %v", time.Since(began).Round(time.Millisecond))
	if !strings.Contains(got["verdict"], "1 machine envoie du\u00a0spam") || !strings.Contains(got["cases"], `href="/finding/run%2F10.1.0.0?lang=fr"`) {
		t.Errorf("%.3000s", got)
	}
	stop()
	for began = time.Now(); !strings.Contains(got["state"], "dead"); {
		select {
		case e := <-c:
			got[e[0]] = e[1]
		case <-time.After(3*time.Second - time.Since(began)):
			t.Fatal("a dead sensor is not told")
		}
	}
	if _, page := get(t, url+"/finding/run/10.1.0.0"); !strings.Contains(page, "What you see is what it said last.") ||
		!strings.Contains(page, "blocked using zen.spamhaus.org") {
		t.Error("a dead sensor's finding is gone")
	}
	cancel()
	time.Sleep(2 * keepTime)
	n := f.asked.Load()
	time.Sleep(3 * keepTime / 2)
	if f.asked.Load() != n {
		t.Error("the sensor is asked while nobody looks")
	}
}

// TestModelAsked: the model is asked for once for all who look, and less often if it is expensive.
func TestModelAsked(t *testing.T) {
	f := newFake()
	socket, _ := listenFake(t, f)
	url, _ := start(t, Config{Socket: socket})
	began := time.Now()
	for range 40 {
		get(t, url+"/")
		get(t, url+"/finding/run/10.1.0.0")
	}
	if n, most := f.models.Load(), 1+int64(time.Since(began)/keepTime); n < 1 || n > most {
		t.Errorf("asked %d times in %v", n, time.Since(began))
	}
}

// TestMostViewers: beyond the bound a page works without being live, and metrics say so.
func TestMostViewers(t *testing.T) {
	socket, _ := listenFake(t, newFake())
	url, s := start(t, Config{Socket: socket})
	for i := range maxViewers {
		c := dial(t, s)
		fmt.Fprint(c, "GET /live?page=overview HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if line, err := bufio.NewReader(c).ReadString('\n'); !strings.Contains(line, " 200 ") {
			t.Fatal(i, line, err)
		}
	}
	if r, body := get(t, url+"/live?page=overview"); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d %s", r.StatusCode, body)
	}
	if r, _ := get(t, url+"/"); r.StatusCode != 200 {
		t.Errorf("the page: %d", r.StatusCode)
	}
	_, body := get(t, url+"/metrics")
	for _, want := range []string{"\nspamsensor_serve_live_viewers 100\n", "\nspamsensor_serve_live_refused_total 1\n", "\nspamsensor_serve_live_slow_total 0\n"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
	if r, _ := get(t, url+"/live?page=none"); r.StatusCode != 404 {
		t.Errorf("an unknown page: %d", r.StatusCode)
	}
}

// TestConnectedAgain: a browser that connects again asks with what it had at first. If it has got
// events since, it gets all sections; each event says the hash of its section.
func TestConnectedAgain(t *testing.T) {
	socket, _ := listenFake(t, newFake())
	url, _ := start(t, Config{Socket: socket})
	_, page := get(t, url+"/settings")
	q, _ := http.NewRequestWithContext(t.Context(), "GET", url+liveOf(page), nil)
	q.Header.Set("Last-Event-ID", "0123456789abcdef")
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	timer := time.AfterFunc(5*time.Second, func() { r.Body.Close() })
	defer timer.Stop()
	var got []string
	s := bufio.NewScanner(r.Body)
	for len(got) < 4 && s.Scan() {
		if name, text, _ := strings.Cut(s.Text(), ": "); name == "event" || name == "id" {
			got = append(got, text)
		}
	}
	have := hashes.FindAllStringSubmatch(page, -1)
	if want := []string{"state", have[0][1], "settings", have[1][1]}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestOneFollows: whoever goes from page to page, the sensor is looked at once.
func TestOneFollows(t *testing.T) {
	socket, _ := listenFake(t, newFake())
	w := &watch{asker: &asker{sensor: status.NewClient(socket), now: time.Now}}
	l := newLive(newPages(new(Config), w), prometheus.NewRegistry())
	defer l.end()
	w.look()
	for range 20 {
		l.enter()
		time.Sleep(5 * time.Millisecond)
		l.leave()
	}
	l.enter()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if n := strings.Count(string(stacks), "(*live).follow("); n != 1 {
		t.Errorf("%d goroutines look at the sensor", n)
	}
}

// changing changes everything that a model has, again and again.
func changing(f *fake, findings, hosts int, stop <-chan struct{}) {
	for i := uint32(1); ; i++ {
		select {
		case <-stop:
			return
		case <-time.After(200 * time.Millisecond):
		}
		m := newModel(findings, hosts)
		m.Headline.Sentence = fmt.Sprintf("%d hosts send spam", i)
		for k := range m.Hosts {
			m.Hosts[k].Counts.Attempts += i
		}
		for k := range m.Findings {
			m.Findings[k].Counts.Attempts += i
		}
		for k := range m.Activity.Minutes.Others {
			m.Activity.Minutes.Others[k] += i % 9
		}
		m.Period.Last += report.Time(i) * 1e9
		f.model.Store(m)
	}
}

// TestViewerBytes: whatever changes, a viewer gets viewerBytes in a second, and what is urgent at once.
func TestViewerBytes(t *testing.T) {
	f := newFake()
	socket, _ := listenFake(t, f)
	url, _ := start(t, Config{Socket: socket})
	stop := make(chan struct{})
	defer close(stop)
	go changing(f, 20, 500, stop)
	c := events(t.Context(), t, url+"/live?page=overview")
	const length = 8 * time.Second
	end := time.After(length)
	total, told := 0, map[string]int{}
loop:
	for {
		select {
		case e := <-c:
			total += len(e[1])
			told[e[0]]++
		case <-end:
			break loop
		}
	}
	t.Logf("%d bytes in a second; %v", total/int(length.Seconds()), told)
	// The first section may come when a byte is allowed: it may be bigger than that.
	if most := viewerBytes*(int(length.Seconds())+1) + 40<<10; total > most {
		t.Errorf("%d bytes in %v, want at most %d", total, length, most)
	}
	if told["verdict"] < 2 || told["cases"] < 1 || told["course"] < 1 || told["table"] < 1 {
		t.Errorf("told: %v", told)
	}
}

// TestSlowViewer: who does not read is cut off, and counted.
func TestSlowViewer(t *testing.T) {
	f := newFake()
	socket, _ := listenFake(t, f)
	registry := prometheus.NewRegistry()
	l := newLive(newPages(&Config{}, &watch{asker: &asker{sensor: status.NewClient(socket), now: time.Now}}), registry)
	l.rate, l.wait = 10<<20, 300*time.Millisecond
	path := filepath.Join(t.TempDir(), "web.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: l}
	go server.Serve(listener)
	defer server.Close()
	stop := make(chan struct{})
	defer close(stop)
	go changing(f, 5, 50, stop)
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /live?page=overview HTTP/1.1\r\nHost: localhost\r\n\r\n")
	count := func(name string) float64 {
		families, _ := registry.Gather()
		for _, f := range families {
			if f.GetName() == name {
				return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		return -1
	}
	for range 600 {
		time.Sleep(100 * time.Millisecond)
		if count("live_slow_total") == 1 && count("live_viewers") == 0 {
			return
		}
	}
	t.Errorf("%v viewers, %v cut off", count("live_viewers"), count("live_slow_total"))
}

// look looks at a page live for a time, over a unix socket.
func look(socket, page string, length time.Duration) error {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /live?page=%s HTTP/1.1\r\nHost: localhost\r\n\r\n", page)
	c.SetReadDeadline(time.Now().Add(length))
	b, _ := io.ReadAll(c)
	if !strings.Contains(string(b), "event: state") {
		return fmt.Errorf("%s: %.200s", page, b)
	}
	return nil
}
