package main

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"spamsensor/sensor/html/htmltest"
	"spamsensor/sensor/wire/wiretest"
)

// watched is a sensor that reads a stream in which hosts go on trying, and its page.
type watched struct {
	sensor, serve *process
	url           string
	stop          chan struct{}
	fed           sync.WaitGroup
}

// newWatched starts them. Three of the hosts are bots, which try five servers a second; of the others
// 100 try one each second.
func newWatched(t *testing.T, hosts int) *watched {
	t.Helper()
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	control, web := filepath.Join(dir, "control.sock"), filepath.Join(dir, "web.sock")
	stdin, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	run := exec.Command(name, "run", "-i", "-", "--set", "control.socket="+control, "--set", "output.file="+filepath.Join(dir, "events"))
	run.Stdin = stdin
	w := &watched{stop: make(chan struct{}), sensor: launch(t, nil, run),
		serve: launch(t, nil, exec.Command(name, "serve", "--socket", control, "--listen", "unix:"+web))}
	stdin.Close()
	w.url = onLoopback(t, web)
	w.fed.Go(func() {
		defer feed.Close()
		w.feed(feed, hosts)
	})
	t.Cleanup(func() {
		close(w.stop)
		w.fed.Wait()
	})
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		if text, err := get(w.url + "/"); err == nil && strings.Contains(text, "10.0.0.0</a>") {
			return w
		}
		if time.Since(began) > 30*time.Second {
			t.Fatalf("no host is on the page: %s%s", w.sensor.stderr.String(), w.serve.stderr.String())
		}
	}
}

// feed writes attempts as they happen, until stop.
func (w *watched) feed(to io.Writer, hosts int) {
	out := bufio.NewWriterSize(to, 1<<20)
	out.Write(pcapHeader())
	serial := 0
	try := func(host, server int) {
		serial++
		f := wiretest.Frame(wiretest.Ethernet{Src: [6]byte{2, 0, 0, 0, byte(host >> 8), byte(host)}},
			wiretest.IP{Src: fmt.Sprintf("10.0.%d.%d", host>>8, host&255), Dst: fmt.Sprintf("%d.%d.0.25", 20+server>>8%100, server&255), ID: uint16(serial)},
			wiretest.TCP{SrcPort: uint16(10000 + serial%50000), DstPort: 25, Flags: wiretest.SYN, Seq: uint32(serial) * 7919})
		out.Write(pcapOf([]record{{time.Now().UnixNano(), f}})[24:])
	}
	for i := range hosts {
		try(i, 1)
	}
	next := 3
	for second := 0; ; second++ {
		for bot := range min(3, hosts) {
			for i := range 5 {
				try(bot, 5*second+i)
			}
		}
		for range min(100, hosts-3) {
			try(next, next%7)
			if next++; next >= hosts {
				next = 3
			}
		}
		if out.Flush() != nil {
			return
		}
		select {
		case <-w.stop:
			return
		case <-time.After(time.Second):
		}
	}
}

// get is the text of a page.
func get(url string) (string, error) {
	r, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return string(text), err
}

// used is the time of processors that a process has used.
func used(t *testing.T, p *process) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	var ticks int
	for _, f := range fields[11:13] {
		n, _ := strconv.Atoi(f)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// look has so many browsers look for a time, each for another host if apart is set, and returns the time that sensor and serve used
// meanwhile, and the bytes that the browsers got, both in a second.
func (w *watched) look(t *testing.T, viewers int, apart bool, length time.Duration) (sensor, serve time.Duration, bytes int64) {
	t.Helper()
	page, err := get(w.url + "/?lang=en")
	if err != nil {
		t.Fatal(err)
	}
	live := regexp.MustCompile(`data-live="([^"]*)"`).FindStringSubmatch(page)
	if live == nil {
		t.Fatal("the page is not live")
	}
	var got atomic.Int64
	done := make(chan struct{})
	var all sync.WaitGroup
	for i := range viewers {
		url := w.url + html.UnescapeString(live[1]) + "&have="
		if apart {
			url += fmt.Sprintf("&q=10.0.%d.%d", i%20, i/20)
		}
		r, err := http.Get(url)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatal(err, r)
		}
		all.Go(func() {
			b := make([]byte, 64<<10)
			for {
				n, err := r.Body.Read(b)
				got.Add(int64(n))
				if err != nil {
					return
				}
			}
		})
		all.Go(func() {
			<-done
			r.Body.Close()
		})
	}
	time.Sleep(5 * time.Second) // what they get at first
	a, b, n := used(t, w.sensor), used(t, w.serve), got.Load()
	time.Sleep(length)
	a, b, n = used(t, w.sensor)-a, used(t, w.serve)-b, got.Load()-n
	close(done)
	all.Wait()
	s := int64(length / time.Second)
	return a / time.Duration(s), b / time.Duration(s), n / s
}

// TestViewerCost measures what those cost who look at a page whose data change each second, and how
// long the page takes to be seen.
func TestViewerCost(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("SPAMSENSOR_VIEW_TIME"))
	if err != nil {
		t.Skip("measures for several minutes: SPAMSENSOR_VIEW_TIME=60s is the time of each figure")
	}
	share := func(d time.Duration) float64 { return 100 * d.Seconds() }
	for _, hosts := range []int{3, 5000} {
		w := newWatched(t, hosts)
		b := htmltest.NewTab(htmltest.Start(t), t)
		var paints []float64
		for range 15 {
			htmltest.Run(t, b, chromedp.Navigate(w.url+"/?lang=en"))
			for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(20 * time.Millisecond) {
				at := htmltest.Run(t, b, chromedp.Evaluate[float64]("(performance.getEntriesByName('first-contentful-paint')[0]||{}).startTime||0"))
				if at > 0 {
					paints = append(paints, at)
					break
				}
			}
		}
		htmltest.Run(t, b, chromedp.Navigate("about:blank"))
		slices.Sort(paints)
		page, _ := get(w.url + "/?lang=en")
		load, _ := os.ReadFile("/proc/loadavg")
		t.Logf("%d hosts: first contentful paint of %d: median %.0f ms, longest %.0f ms; %d bytes; load %s", hosts, len(paints), paints[len(paints)/2], paints[len(paints)-1], len(page), load)
		if paints[len(paints)/2] > 300 {
			t.Error("the page takes more than 300 ms to be seen")
		}
		alone, idle, _ := w.look(t, 0, false, length)
		t.Logf("%d hosts, nobody looks: sensor %.2f %%, serve %.2f %% of a processor", hosts, share(alone), share(idle))
		for _, x := range []struct {
			viewers int
			apart   bool
			how     string
		}{{20, false, "of one view"}, {100, false, "of one view"}, {100, true, "each of another view"}} {
			sensor, serve, bytes := w.look(t, x.viewers, x.apart, length)
			load, _ := os.ReadFile("/proc/loadavg")
			each := share(sensor+serve-alone-idle) / float64(x.viewers)
			t.Logf("%d hosts, %d viewers %s: sensor %.2f %%, serve %.2f %%, %.3f %% for each viewer; %d bytes a second for each; load %s", hosts, x.viewers, x.how,
				share(sensor), share(serve), each, bytes/int64(x.viewers), load)
			if each > 1 || bytes/int64(x.viewers) > 20<<10 {
				t.Error("a viewer costs more than 1 % of a processor, or 20 KiB a second")
			}
		}
	}
}
