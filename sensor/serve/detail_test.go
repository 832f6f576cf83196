package serve

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"spamsensor/sensor/status"
)

// getter answers with nothing, and says what it is asked for.
type getter struct {
	asked chan string
	slow  sync.Map // a channel by path: closed when it is answered
}

func (g *getter) Get(_ context.Context, path string, _ any) error {
	g.asked <- path
	if c, ok := g.slow.Load(path); ok {
		<-c.(chan struct{})
	}
	return nil
}

// TestDetails: a path that takes long holds no other one up, a sensor that is silent is not asked,
// and a zone is in no path.
func TestDetails(t *testing.T) {
	g := &getter{asked: make(chan string, 10)}
	d := &details{asker: &asker{sensor: g, now: time.Now}}
	alive, dead := &view{now: &snapshot{status: new(status.Status)}}, &view{now: new(snapshot)}
	host := func(id string) question { return question{kind: "host", id: id} }
	if x := d.of(host("10.1.0.1"), dead); x != nil || len(g.asked) != 0 {
		t.Errorf("of a silent sensor: %v, asked %d times", x, len(g.asked))
	}
	dead.now.err, dead.silent = errors.New("refused"), time.Unix(1e9, 0)
	if s := (&Sheet{view: dead}); s.Unanswered() != "refused" {
		t.Errorf("unanswered: %q", s.Unanswered())
	}
	for _, id := range []string{"fe80::1%eth0", "fe80::1%/../../settings?x#"} {
		if x := d.of(host(id), alive); x != nil || len(g.asked) != 0 {
			t.Errorf("%s: %v, asked %d times", id, x, len(g.asked))
		}
	}
	answer, done := make(chan struct{}), make(chan *detail)
	g.slow.Store("explain/10.1.0.1", answer)
	go func() { done <- d.of(host("10.1.0.1"), alive) }()
	if path := <-g.asked; path != "explain/10.1.0.1" {
		t.Error(path)
	}
	go func() { done <- d.of(question{kind: "settings"}, alive) }()
	select {
	case x := <-done:
		if path := <-g.asked; path != "settings" || x == nil || x.settings == nil {
			t.Error(path, x)
		}
	case <-time.After(5 * time.Second):
		t.Error("a host holds the settings up")
	}
	close(answer)
	x := <-done
	if x == nil || d.of(host("10.1.0.1"), alive) != x || d.of(host("10.1.0.1"), dead) != x {
		t.Error("the answer is not used again")
	}
}
