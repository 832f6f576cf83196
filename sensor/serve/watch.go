package serve

import (
	"context"
	"maps"
	"sync"
	"time"

	"spamsensor/sensor/report"
	"spamsensor/sensor/status"
)

const (
	// modelTime bounds the time for the model of the sensor.
	modelTime = 5 * time.Second
	// costShare is how many times longer than it took to get a model the model is used, so that
	// those who look cost 1 % of a processor. A finding that is new does not wait for it.
	costShare = 100
	// mostAge is the longest time a model is used.
	mostAge = 30 * time.Second
)

// view is what the pages show: the state of the sensor and its latest model. Nobody changes it.
type view struct {
	now *snapshot
	// before is an earlier snapshot of the same run, to compare the counters with; nil if there is
	// none.
	before *snapshot
	model  *report.Model // nil before the first one
	err    error         // why there is no newer model
	// silent is the time of the latest answer, or of the first question, if the sensor does not
	// answer now.
	silent time.Time
}

// watch keeps the view. The sensor is asked only while somebody looks, and once for all of them.
type watch struct {
	asker *asker

	mu     sync.Mutex
	latest *view
	due    time.Time // of the next model
	heard  time.Time // of the latest answer
}

// look returns the view, at most keepTime old; the model may be older if it is expensive.
func (w *watch) look() *view {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.asker.ask()
	last := w.latest
	if last != nil && last.now == s {
		return last
	}
	v := &view{now: s}
	if last != nil {
		v.model, v.err = last.model, last.err
		v.before = earlier(last, s)
	}
	switch {
	case s.status == nil:
		if w.heard.IsZero() {
			w.heard = s.at
		}
		v.silent = w.heard
	default:
		w.heard = s.at
		if v.model == nil || !s.at.Before(w.due) || isNews(last, s.status) {
			w.ask(v)
		}
	}
	w.latest = v
	return v
}

// ask gets the model.
func (w *watch) ask(v *view) {
	began := w.asker.now()
	ctx, cancel := context.WithTimeout(context.Background(), modelTime)
	defer cancel()
	var m *report.Model
	if v.err = w.asker.sensor.Get(ctx, "model", &m); v.err == nil && m != nil {
		v.model = m
	}
	end := w.asker.now()
	w.due = began.Add(min(max(keepTime, costShare*end.Sub(began)), mostAge))
}

// isNews reports whether the findings, the problems or the run of the sensor are other ones than
// before.
func isNews(last *view, s *status.Status) bool {
	if last == nil || last.now.status == nil {
		return true
	}
	b := last.now.status
	same := func(x, y map[string]int) bool { return maps.Equal(x, y) }
	sum := func(x, y map[string]uint64) bool { return maps.Equal(x, y) }
	return b.Run != s.Run || len(b.Health) != len(s.Health) ||
		!maps.EqualFunc(b.Findings.Open, s.Findings.Open, same) ||
		!maps.EqualFunc(b.Findings.Total, s.Findings.Total, sum)
}

// earlier is the snapshot that the counters of s are compared with.
func earlier(last *view, s *snapshot) *snapshot {
	b := last.now
	if s.status == nil || b.status == nil || b.status.Run != s.status.Run ||
		!b.status.Now.Before(s.status.Now) {
		return nil
	}
	return b
}
