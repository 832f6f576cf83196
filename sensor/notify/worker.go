package notify

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// worker delivers the messages of one channel.
type worker struct {
	*Service
	channel *Channel
	sender  sender
	wake    chan struct{}
	paused  time.Time // no attempt before this time: the last one failed

	mu      sync.Mutex
	refresh []Item // alerts that fire, to be sent again; nil if that is not due
}

// run delivers until the context ends.
func (w *worker) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		for w.step(ctx, w.now()) {
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.wake:
		}
	}
}

// step tries the first message that is due, and reports whether there may be another one.
func (w *worker) step(ctx context.Context, now time.Time) (again bool) {
	if ctx.Err() != nil || now.Before(w.paused) && w.paused.Sub(now) <= firstWait {
		return false
	}
	m := w.outbox.due(w.channel.Name, now, w.channel.Kind == "alertmanager")
	if m == nil {
		w.resend(ctx, now)
		return false
	}
	m.Attempts++
	f := w.try(ctx, m, now)
	if f == nil {
		w.outbox.remove(m.ID)
		w.outbox.hurry(w.channel.Name)
		w.tally.sent(w.channel.Name, now)
		w.record(m, stateSent, nil, now)
		return true
	}
	if ctx.Err() != nil {
		return false // the service ends: this was no attempt
	}
	w.paused = now.Add(firstWait)
	w.tally.failed(w.channel.Name, f, now)
	w.log(fmt.Sprintf("%s was not delivered: %s", w.channel.Name, f.text))
	other := w.successor(m)
	switch {
	case f.permanent && other != "":
		w.passOn(m, other, f, now)
		w.paused = time.Time{}
		return true
	case now.Sub(m.Created) >= giveUpAfter:
		w.outbox.remove(m.ID)
		w.tally.givenUp(w.channel.Name)
		w.record(m, stateGivenUp, f, now)
	default:
		m.NextTry = now.Add(wait(m.Attempts))
		w.saved(w.outbox.later(m))
	}
	return false
}

// endGrace is the time that an attempt has when the service ends: what is half delivered would be
// delivered twice.
const endGrace = 3 * time.Second

// try makes one attempt.
func (w *worker) try(service context.Context, m *Message, now time.Time) *failure {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(service), w.timeout)
	defer cancel()
	defer context.AfterFunc(service, func() { time.AfterFunc(endGrace, cancel) })()
	if err := w.sender.send(ctx, m.in(w.cfg.Lang), now); err != nil {
		return asFailure(err)
	}
	return nil
}

// successor returns the channel that gets a message which this one refuses for ever: the next one
// of the configuration that has not refused it, empty if there is none.
func (w *worker) successor(m *Message) string {
	list := w.cfg.Channels
	at := slices.IndexFunc(list, func(c Channel) bool { return c.Name == m.Channel })
	for i := 1; i < len(list); i++ {
		name := list[(at+i)%len(list)].Name
		if !slices.Contains(m.Refused, name) {
			return name
		}
	}
	return ""
}

// passOn gives a message to another channel, with a line that says why.
func (w *worker) passOn(m *Message, other string, f *failure, now time.Time) {
	next := *m
	next.ID = m.ID + "-" + fmt.Sprint(len(m.Refused)+1)
	next.Channel, next.Attempts, next.NextTry = other, 0, time.Time{}
	next.Refused = append(slices.Clone(m.Refused), m.Channel)
	next.Notes = append(slices.Clone(m.Notes), fmt.Sprintf("%s refused this notice: %s", m.Channel,
		f.text))
	if !w.saved(w.outbox.put(&next)) {
		m.NextTry = now.Add(wait(m.Attempts))
		w.saved(w.outbox.later(m))
		return
	}
	w.outbox.remove(m.ID)
	w.record(m, statePassedOn, f, now)
	w.wakeWorkers()
}

// resend sends the alerts that fire again, before Alertmanager takes them for over.
func (w *worker) resend(ctx context.Context, now time.Time) {
	w.mu.Lock()
	items := w.refresh
	w.refresh = nil
	w.mu.Unlock()
	if len(items) == 0 {
		return
	}
	m := &Message{Channel: w.channel.Name, Sensor: w.sensorName(), Created: now, Items: items}
	if f := w.try(ctx, m, now); f == nil {
		w.tally.works(w.channel.Name)
	} else if ctx.Err() == nil {
		w.tally.failed(w.channel.Name, f, now)
	}
}

// record writes a notify event.
func (w *worker) record(m *Message, state string, f *failure, now time.Time) {
	w.saved(w.journal.write(m, state, f, now))
}

// refreshAlerts hands the alerts that fire to their workers from time to time. If there are new
// messages, one of them may be the end of an alert: what was handed out before is void then.
func (s *Service) refreshAlerts(now time.Time, made bool) {
	for _, w := range s.workers {
		m := s.rules.channel(w.channel.Name)
		if m.Refreshed.IsZero() {
			m.Refreshed = now
		}
		due := now.Sub(m.Refreshed) >= refreshEvery || now.Before(m.Refreshed)
		w.mu.Lock()
		switch {
		case made || len(m.Firing) == 0:
			w.refresh = nil
		case due:
			m.Refreshed = now
			w.refresh = nil
			for _, item := range m.Firing {
				w.refresh = append(w.refresh, item)
			}
		}
		w.mu.Unlock()
	}
}

// wakeWorkers says that there are new messages.
func (s *Service) wakeWorkers() {
	for _, w := range s.workers {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}
