package serve

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/report"
	"spamsensor/sensor/status"
)

// TestPages asks for each page, in both languages.
func TestPages(t *testing.T) {
	f := newFake()
	f.model.Store(newModel(60, 120))
	socket, _ := listenFake(t, f)
	url, _ := start(t, Config{Socket: socket})
	rows := regexp.MustCompile(`<tr><th scope="row"[^>]*><a href="/host/([^"]+)">`)
	for _, x := range []struct {
		path, want string
		code       int
	}{
		{"/", `href="/host/10.1.0.0"`, 200}, {"/", "17 more are not shown here", 200}, {"/", `aria-current="true">24 hours`, 200},
		{"/?range=1h", `aria-current="true">The last hour`, 200}, {"/?range=x&sort=x&lang=x", `aria-current="true">24 hours`, 200},
		{"/?q=10.1.0.77", "1 host that you look for", 200}, {"/?q=%20none%22%3E%3Cscript%3E", `value="none&#34;&gt;&lt;script&gt;"`, 200},
		{"/?q=none", "No host is like that", 200}, {"/?q=10.1.0.7&sort=address&range=7d", `<option value="address" selected>`, 200},
		{"/?q=10.1.0.7&sort=address&range=7d&lang=fr", "/?lang=en&amp;q=10.1.0.7&amp;range=7d&amp;sort=address", 200},
		{"/?lang=fr", `<html lang="fr">`, 200}, {"/?lang=fr", `<a href="/finding/run%2F10.1.0.0?lang=fr" data-finding data-host="/host/10.1.0.0?lang=fr">`, 200},
		{"/", `<meta http-equiv="refresh" content="30">`, 200}, {"/", "130 more hosts are not shown here", 200},
		{"/finding/run/10.1.0.1", "sudo spamsensor ack run/10.1.0.1 --why &#39;WHY&#39;", 200},
		{"/finding/run/10.1.0.1", `rel="prev" href="/finding/run%2F10.1.0.0"`, 200}, {"/finding/run/10.1.0.1?lang=fr", "Constat suivant", 200},
		{"/host/10.1.0.0", "confirmed spambot", 200}, {"/host/10.1.0.100", "sudo spamsensor explain 10.1.0.100", 200},
		{"/host/192.0.2.1", "Nothing is known of this host", 404}, {"/host/x", "Nothing is known of this host", 404},
		{"/servers", "No mail server of yours was seen", 200}, {"/mirror", "sudo spamsensor doctor -i eth1", 200}, {"/mirror?lang=fr", "Port miroir", 200},
		{"/settings", "home_net: [10.0.0.0/8] # default", 200}, {"/settings?lang=fr", "Ces réglages sont en vigueur", 200}, {"/settings?lang=fr", "home_net: [10.0.0.0/8] # par défaut", 200},
	} {
		r, body := get(t, url+x.path)
		if r.StatusCode != x.code || !strings.Contains(body, x.want) {
			t.Errorf("%s: %d; no %q in %.2500s", x.path, r.StatusCode, x.want, body)
		}
		if strings.Contains(body, " style=") || strings.Contains(body, "<style") || strings.Contains(body, " onclick") || r.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: a style, a script or a cookie", x.path)
		}
	}
	for sort, want := range map[string]string{"": "10.1.0.0", "attempts": "10.1.0.60", "networks": "10.1.0.0", "address": "10.1.0.0", "accepted": "10.1.0.0"} {
		_, body := get(t, url+"/?sort="+sort)
		if m := rows.FindStringSubmatch(body); m == nil || m[1] != want {
			t.Errorf("by %q the first is %v, want %s", sort, m, want)
		}
	}
	q, _ := http.NewRequest("GET", url+"/", nil)
	q.Header.Set("Accept-Language", "de, fr;q=0.8, en;q=0.5")
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if b, _ := io.ReadAll(r.Body); !strings.Contains(string(b), `<html lang="fr">`) || strings.Contains(string(b), "/servers?lang") {
		t.Error("the language of the browser")
	}
}

// TestSize: the page of a big network is small.
func TestSize(t *testing.T) {
	f := newFake()
	socket, _ := listenFake(t, f)
	url, _ := start(t, Config{Socket: socket})
	for _, n := range [][2]int{{0, 0}, {10, 5000}, {500, 4500}} {
		f.model.Store(newModel(n[0], n[1]))
		time.Sleep(keepTime + 100*time.Millisecond)
		f.later.Store(newFake().state)
		f.later.Load().Run = fmt.Sprint(n) // another run: its model is asked for
		time.Sleep(keepTime)
		for _, tag := range []string{"en", "fr"} {
			q, _ := http.NewRequest("GET", url+"/?lang="+tag, nil)
			q.Header.Set("Accept-Encoding", "gzip")
			r, err := http.DefaultClient.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			small, _ := io.ReadAll(r.Body)
			r.Body.Close()
			z, err := gzip.NewReader(strings.NewReader(string(small)))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(z)
			t.Logf("%v, %s: %d bytes, %d compressed", n, tag, len(body), len(small))
			if err != nil || len(body) > 100<<10 || !strings.Contains(string(body), "<h1") {
				t.Errorf("%v, %s: %d bytes, %v", n, tag, len(body), err)
			}
		}
	}
}

// TestHostileTexts: texts from the wire are inert on every page.
func TestHostileTexts(t *testing.T) {
	f := newFake()
	m := newModel(1, 1)
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>'{{.}}`
	x := &m.Findings[0]
	x.ID, x.What, x.Title, x.Advice, x.MAC = evil+"/../..", evil, evil, evil, evil
	x.Reasons[0].Text, x.Blind[0], x.Input, x.Severity = evil, evil, evil, "critical"
	x.Proof[1].Helo, x.Proof[1].Reply, x.Proof[1].MailFrom = evil, evil, []string{evil}
	x.Ack = &report.Ack{By: evil, Why: evil}
	m.Headline.Sentence, m.Headline.More, m.Sensor = evil, []string{evil}, evil
	m.Hosts[1].Destinations = []report.Destination{{Server: netip.MustParseAddrPort("192.0.2.1:25"), Name: evil}}
	m.Health = []report.Health{{Text: evil, Hint: evil}}
	f.state.Health = []status.Health{{Text: evil, Hint: evil}}
	f.state.Interfaces[0].Name = evil
	f.model.Store(m)
	socket, _ := listenFake(t, f)
	url, _ := start(t, Config{Socket: socket})
	_, overview := get(t, url+"/")
	link := regexp.MustCompile(`href="(/finding/[^"]+)"`).FindStringSubmatch(overview)
	if link == nil {
		t.Fatalf("no link in %s", overview)
	}
	for _, path := range []string{"/", link[1], "/host/10.1.0.0", "/host/10.1.0.1", "/mirror", "/settings", "/servers", "/?lang=fr", "/?q=" + "%22%3E%3Cscript%3E"} {
		r, body := get(t, url+path)
		if r.StatusCode != 200 || strings.Contains(body, "<script>") || strings.Contains(body, "<img") || strings.Contains(body, `""`) &&
			strings.Contains(body, `"">`) {
			t.Errorf("%s: %d %.3000s", path, r.StatusCode, body)
		}
	}
	_, body := get(t, url+link[1])
	if want := `'\''{{.}}/../..'`; !strings.Contains(strings.ReplaceAll(body, "&#39;", "'"), want) {
		t.Errorf("the id is not quoted in its commands: %s", body)
	}
}

// TestMemory: serve, with 100 viewers and 5,000 hosts that change, needs 64 MiB at most.
func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	name := filepath.Join(t.TempDir(), "spamsensor")
	if out, err := exec.Command("go", "build", "-o", name, "spamsensor/sensor").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f := newFake()
	f.model.Store(newModel(20, 5000))
	socket, _ := listenFake(t, f)
	stop := make(chan struct{})
	defer close(stop)
	go changing(f, 20, 5000, stop)
	path := filepath.Join(t.TempDir(), "web.sock")
	c := exec.Command(name, "serve", "--socket", socket, "--listen", "unix:"+path)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { c.Process.Kill(); c.Wait() }()
	viewers := make(chan error, maxViewers)
	for range 200 {
		if _, err := os.Stat(path); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	for i := range maxViewers {
		go func() {
			viewers <- look(path, []string{"overview", "servers", "mirror", "settings"}[i%4], 12*time.Second)
		}()
	}
	most := 0
	for n := 0; n < maxViewers; {
		select {
		case err := <-viewers:
			if err != nil {
				t.Error(err)
			}
			n++
		case <-time.After(200 * time.Millisecond):
			most = max(most, resident(t, c.Process.Pid))
		}
	}
	t.Logf("serve had %d MiB at most", most>>10)
	if most > 64<<10 {
		t.Errorf("serve had %d MiB, want 64 at most", most>>10)
	}
}

// resident is the memory of a process in KiB.
func resident(t *testing.T, pid int) int {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), "VmRSS:")
	n, _ := strconv.Atoi(strings.Fields(after)[0])
	return n
}

// TestRedrawn: with the same model only what shows the state of the sensor is drawn again.
func TestRedrawn(t *testing.T) {
	p := newPages(&Config{}, &watch{asker: &asker{now: time.Now}})
	m, q := newModel(2, 10), question{kind: "overview", lang: "en"}
	draw := func(problem string, m *report.Model) (page string, hashes []string) {
		x := newFake().state
		x.Health = []status.Health{{Text: problem}}
		list, err := p.sections(q, &view{now: &snapshot{status: x}, model: m})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			page, hashes = page+string(s.HTML), append(hashes, s.Hash)
		}
		return page, hashes
	}
	_, first := draw("one", m)
	m.Findings[0].What = "changed in its place, which nobody does"
	page, second := draw("two", m)
	if first[0] == second[0] || !slices.Equal(first[1:], second[1:]) || strings.Contains(page, "changed in its place") {
		t.Errorf("%v, then %v", first, second)
	}
	if page, third := draw("two", newModel(3, 10)); third[0] != second[0] || slices.Equal(third[1:], second[1:]) || !strings.Contains(page, "10.1.0.2") {
		t.Errorf("a new model: %v, then %v", second, third)
	}
}

// BenchmarkOverview draws the overview of a big network, as for the first who looks.
func BenchmarkOverview(b *testing.B) {
	p := newPages(&Config{}, &watch{asker: &asker{now: time.Now}})
	v := &view{now: &snapshot{status: newFake().state}, model: newModel(20, 5000)}
	for b.Loop() {
		if _, err := p.fresh(p.sheet(question{kind: "overview", lang: "fr"}, v), nil); err != nil {
			b.Fatal(err)
		}
	}
}

// TestCut: in a chosen period the hosts of other networks are drawn at their time, as all others.
func TestCut(t *testing.T) {
	const hour = report.Time(time.Hour)
	m := newModel(0, 1)
	m.Period = report.Period{First: hour, Last: 10 * hour}
	m.Activity = report.Activity{Hours: report.Stack{Start: hour, Width: 3600,
		Others: make([]uint32, 10), Outside: []uint32{0, 0, 0, 0, 0, 0, 0, 0, 7, 0}}}
	sheet := newPages(new(Config), &watch{asker: new(asker)}).
		sheet(question{kind: "overview", lang: "en", span: "1h"}, &view{model: m, now: new(snapshot)})
	s := sheet.course().Activity.Hours
	if want := []uint32{7, 0}; s.Start != 9*hour || !slices.Equal(s.Outside, want) || len(s.Others) != 2 {
		t.Errorf("from %v: %v, want %v from %v", s.Start, s.Outside, want, 9*hour)
	}
	if sheet.Quiet() {
		t.Error("attempts of other networks are not shown")
	}
}
