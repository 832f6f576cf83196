package notify

import (
	"sync"
	"time"
)

// Counters are the counters of a Service since its start, as the file Config.Counters has them.
type Counters struct {
	Time    time.Time `json:"time"`
	Started time.Time `json:"started"`
	// By channel: messages that were delivered, that were given up or dropped, attempts that failed
	// by reason, and messages that wait.
	Sent      map[string]uint64            `json:"sent"`
	Failed    map[string]map[string]uint64 `json:"failed"`
	GivenUp   map[string]uint64            `json:"given_up"`
	Queue     map[string]int               `json:"queue"`
	LastError map[string]ChannelError      `json:"last_error"`
	// LastSent is the time of the latest delivery, and FailingSince that of the first failure
	// behind it, of the channels that have one.
	LastSent     map[string]time.Time `json:"last_sent"`
	FailingSince map[string]time.Time `json:"failing_since"`

	Dropped    uint64 `json:"dropped"`    // messages that a full outbox dropped
	Damaged    uint64 `json:"damaged"`    // files of the outbox that were no message
	Unreadable uint64 `json:"unreadable"` // lines that were no event
	Truncated  uint64 `json:"truncated"`  // times that the events file was cut
	Gaps       uint64 `json:"gaps"`       // times that a rotated file could not be found
	SaveErrors uint64 `json:"save_errors"`

	Offset      int64 `json:"offset"` // in the events file
	BytesBehind int64 `json:"bytes_behind"`
}

// ChannelError is the last error of a channel.
type ChannelError struct {
	Time   time.Time `json:"time"`
	Reason string    `json:"reason"`
	Text   string    `json:"text"`
}

// maxCounters is more than the file of the counters has, in bytes.
const maxCounters = 1 << 20

// ReadCounters reads the file of the counters. It reports false if there is none.
func ReadCounters(file string) (c Counters, ok bool, err error) {
	ok, err = readJSON(file, maxCounters, &c)
	return c, ok, err
}

// tally counts; any goroutine may call its methods.
type tally struct {
	mu         sync.Mutex
	c          Counters
	newGivenUp int // since the last look of the rules
}

func newTally(channels []Channel, now time.Time) *tally {
	t := &tally{c: Counters{Started: now, Sent: map[string]uint64{},
		Failed: map[string]map[string]uint64{}, GivenUp: map[string]uint64{},
		LastError: map[string]ChannelError{}, LastSent: map[string]time.Time{},
		FailingSince: map[string]time.Time{}}}
	for i := range channels {
		name := channels[i].Name
		t.c.Sent[name], t.c.GivenUp[name], t.c.Failed[name] = 0, 0, map[string]uint64{}
	}
	return t
}

func (t *tally) sent(channel string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.c.Sent[channel]++
	t.c.LastSent[channel] = now
	delete(t.c.FailingSince, channel)
}

// works notes that a channel delivers again, without a message that is counted.
func (t *tally) works(channel string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.c.FailingSince, channel)
}

func (t *tally) failed(channel string, f *failure, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.c.Failed[channel][f.reason]++
	t.c.LastError[channel] = ChannelError{now, f.reason, f.text}
	if _, failing := t.c.FailingSince[channel]; !failing {
		t.c.FailingSince[channel] = now
	}
}

func (t *tally) givenUp(channel string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.c.GivenUp[channel]++
	t.newGivenUp++
}

func (t *tally) saveFailed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.c.SaveErrors++
}

// takeGivenUp returns the messages that were given up since the last call.
func (t *tally) takeGivenUp() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.newGivenUp
	t.newGivenUp = 0
	return n
}

// write writes the counters to a file. Only the goroutine of the tail may call it.
func (t *tally) write(file string, now time.Time, tail *tail, o *outbox) error {
	_, queue := o.lengths()
	dropped, damaged := o.totals()
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.c
	c.Time, c.Queue, c.Dropped, c.Damaged = now, queue, dropped, damaged
	c.Unreadable, c.Truncated, c.Gaps = tail.unreadable, tail.truncated, tail.gaps
	c.Offset, c.BytesBehind = tail.at.Offset, tail.behind()
	for name := range c.Sent {
		c.Queue[name] += 0
	}
	return writeJSON(file, c, 0o644)
}
