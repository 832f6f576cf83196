package notify

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Result is the outcome of a test notice.
type Result struct {
	Channel, Where string
	// Error is empty if the notice was delivered; Hint then is, too.
	Error, Hint string
}

// Test sends a test notice through every channel at once, and waits for all. It uses no outbox.
func Test(ctx context.Context, cfg *Config, now time.Time) []Result {
	results := make([]Result, len(cfg.Channels))
	var wg sync.WaitGroup
	for i := range cfg.Channels {
		wg.Go(func() { results[i] = testChannel(ctx, &cfg.Channels[i], cfg, now) })
	}
	wg.Wait()
	return results
}

func testChannel(ctx context.Context, c *Channel, cfg *Config, now time.Time) Result {
	r := Result{Channel: c.Name}
	s, err := newSender(c)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	r.Where = s.where()
	m := &Message{ID: fmt.Sprintf("%016x", now.UnixNano()), Channel: c.Name, Sensor: cfg.Host,
		Created: now, Items: []Item{{Kind: itemTest, ID: "test", Class: "test", Severity: "info",
			Since: now, Headline: "TEST, nothing happened: notices of this sensor arrive here",
			Advice: "nothing; this is a test that somebody started with spamsensor notify test"}}}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if err := s.send(ctx, m.in(cfg.Lang), now); err != nil {
		f := asFailure(err)
		r.Error, r.Hint = f.text, f.hint
	}
	return r
}
