package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of those that look live: how many at a time, the bytes in a second for each, the longest
// silence, and the time in which a client must take what is written.
const (
	maxViewers  = 100
	viewerBytes = 20 << 10
	heartbeat   = 15 * time.Second
	slowTime    = 5 * time.Second
)

// lines begins each line of an event as the format wants it.
var lines = strings.NewReplacer("\r\n", "\ndata: ", "\n", "\ndata: ", "\r", "\ndata: ")

// urgent are the sections that are told whatever else is waiting. They are small.
var urgent = map[string]bool{"state": true, "verdict": true}

// live tells those that look what has changed: each second at most, and only what is on their page.
type live struct {
	pages *pages
	rate  int           // bytes in a second for each
	wait  time.Duration // for one that does not read

	viewers prometheus.Gauge
	refused prometheus.Counter
	slow    prometheus.Counter

	mu        sync.Mutex
	n         int           // of viewers
	following bool          // the sensor is looked at
	next      chan struct{} // closed when there is a new view
	ended     chan struct{} // closed when the server ends
}

func newLive(p *pages, registry prometheus.Registerer) *live {
	l := &live{pages: p, rate: viewerBytes, wait: slowTime, next: make(chan struct{}),
		ended: make(chan struct{}),
		viewers: prometheus.NewGauge(prometheus.GaugeOpts{Name: "live_viewers",
			Help: "Browsers that look at a page live."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "live_refused_total",
			Help: "Browsers that did not get a page live because too many look."}),
		slow: prometheus.NewCounter(prometheus.CounterOpts{Name: "live_slow_total",
			Help: "Browsers that were cut off because they did not read what changed."})}
	registry.MustRegister(l.viewers, l.refused, l.slow)
	return l
}

// enter adds a viewer; false if there are too many. The first one has the sensor asked.
func (l *live) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n >= maxViewers {
		l.refused.Inc()
		return false
	}
	if l.n++; !l.following {
		l.following = true
		go l.follow()
	}
	l.viewers.Set(float64(l.n))
	return true
}

func (l *live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n--
	l.viewers.Set(float64(l.n))
}

// follow looks at the sensor while there are viewers.
func (l *live) follow() {
	var last *view
	for {
		v := l.pages.watch.look()
		l.mu.Lock()
		if l.n == 0 {
			l.following = false
			l.mu.Unlock()
			return
		}
		if v != last {
			close(l.next)
			l.next = make(chan struct{})
		}
		l.mu.Unlock()
		last = v
		select {
		case <-time.After(max(10*time.Millisecond, keepTime-time.Since(v.now.at))):
		case <-l.ended:
			return
		}
	}
}

// changed is closed when there is a newer view.
func (l *live) changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// end has all viewers leave.
func (l *live) end() { close(l.ended) }

// ServeHTTP tells what changes of a page, as server-sent events: each has the name of a section,
// its hash as the id, and its HTML. What the browser has is told by have, the hashes of its
// sections in their order. A browser that connects again asks with the URL of its first time: if
// it had got an event by then, have is out of date and all sections are told.
func (l *live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	q := l.pages.question(r, values.Get("page"), values.Get("id"), values)
	q.chosen = values.Has("chosen") // links keep the language if the page was asked for it
	if kinds[q.kind] == nil {
		fail(w, r, http.StatusNotFound, noPage)
		return
	}
	if !l.enter() {
		w.Header().Set("Retry-After", "30")
		fail(w, r, http.StatusServiceUnavailable, "%d browsers look already", maxViewers)
		return
	}
	defer l.leave()
	v := viewer{live: l, question: q, w: w, control: http.NewResponseController(w),
		have: map[string]string{}, sent: map[string]time.Time{}, left: l.rate, at: time.Now()}
	if r.Header.Get("Last-Event-ID") == "" {
		for i, hash := range strings.SplitN(values.Get("have"), ",", len(kinds[q.kind])) {
			v.have[kinds[q.kind][i]] = hash
		}
	}
	// The bounds of a request are not those of an answer that goes on.
	if v.control.SetReadDeadline(time.Time{}) != nil {
		fail(w, r, http.StatusNotImplemented, "this connection cannot be kept open")
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy would wait for more
	if err := v.follow(r.Context()); errors.Is(err, os.ErrDeadlineExceeded) {
		l.slow.Inc()
	}
}

// viewer is a browser that looks live.
type viewer struct {
	*live
	question
	w       http.ResponseWriter
	control *http.ResponseController
	have    map[string]string    // hash by section
	sent    map[string]time.Time // when a section was sent last
	left    int                  // bytes that may be written now; below zero, too many were
	at      time.Time            // of left
	spoke   time.Time
}

// follow writes what changes until the client goes.
func (v *viewer) follow(ctx context.Context) error {
	for {
		changed := v.changed()
		if err := v.tell(); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-time.After(heartbeat):
		case <-ctx.Done():
			return nil
		case <-v.ended:
			return nil
		}
	}
}

// tell writes the sections that have changed: the urgent ones, and of the others as many as the
// bound allows, those first that have waited longest.
func (v *viewer) tell() error {
	list, err := v.pages.sections(v.question, v.pages.watch.look())
	if err != nil {
		return err
	}
	now := time.Now()
	v.left = min(v.rate, v.left+int(now.Sub(v.at).Seconds()*float64(v.rate)))
	v.at = now
	var b bytes.Buffer
	for {
		s := v.waiting(list)
		if s == nil {
			break
		}
		n := b.Len()
		fmt.Fprintf(&b, "event: %s\nid: %s\ndata: %s\n\n", s.Name, s.Hash,
			lines.Replace(string(s.HTML)))
		v.left -= b.Len() - n
		v.have[s.Name], v.sent[s.Name] = s.Hash, now
	}
	if b.Len() == 0 {
		if now.Sub(v.spoke) < heartbeat {
			return nil
		}
		b.WriteString(": still here\n\n")
	}
	v.spoke = now
	if err := v.control.SetWriteDeadline(now.Add(v.wait)); err != nil {
		return err
	}
	if _, err := b.WriteTo(v.w); err != nil {
		return err
	}
	return v.control.Flush()
}

// waiting is the section to be sent next; nil if there is none, or too much was written.
func (v *viewer) waiting(list []Section) (next *Section) {
	for i := range list {
		s := &list[i]
		switch {
		case s.Hash == v.have[s.Name]:
		case urgent[s.Name]:
			return s
		case v.left > 0 && (next == nil || v.sent[s.Name].Before(v.sent[next.Name])):
			next = s
		}
	}
	return next
}
