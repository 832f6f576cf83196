package notify

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"spamsensor/sensor/durable"
)

const (
	// maxMessages and maxBytes bound the outbox.
	maxMessages, maxBytes = 1000, 16 << 20
	// firstWait doubles with each failed attempt, up to maxWait.
	firstWait, maxWait = time.Minute, time.Hour
	// giveUpAfter is the age at which a message that could not be delivered is given up.
	giveUpAfter = 24 * time.Hour
	// messageMode keeps messages from other users.
	messageMode = 0o600
)

// outbox holds messages on disk until they are delivered. Any goroutine may call its methods.
type outbox struct {
	dir  string
	lock *os.File

	mu      sync.Mutex
	queued  []*Message // in the order in which they came
	sizes   map[string]int
	bytes   int
	dropped uint64 // messages that a full outbox dropped
	damaged uint64 // files that were no message
}

// openOutbox makes the directory, locks it, and reads the messages in it.
func openOutbox(dir string) (*outbox, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot use the outbox: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, messageMode)
	if err != nil {
		return nil, fmt.Errorf("cannot use the outbox: %w", err)
	}
	if errors.Is(syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB),
		syscall.EWOULDBLOCK) {
		lock.Close()
		return nil, fmt.Errorf("another spamsensor notify uses the outbox %s", dir)
	}
	o := &outbox{dir: dir, lock: lock, sizes: map[string]int{}}
	if err := o.load(); err != nil {
		lock.Close()
		return nil, fmt.Errorf("cannot use the outbox: %w", err)
	}
	return o, nil
}

const messageSuffix = ".message"

func (o *outbox) load() error {
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(o.dir, e.Name())
		switch {
		case filepath.Ext(name) == durable.Suffix: // a crash left it
			os.Remove(name)
			continue
		case filepath.Ext(name) != messageSuffix:
			continue
		}
		m := &Message{}
		_, err := readJSON(name, maxBytes, m)
		if err != nil || m.Channel == "" || m.ID+messageSuffix != e.Name() {
			o.damaged++
			os.Remove(name)
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		o.queued = append(o.queued, m)
		o.sizes[m.ID] = int(info.Size())
		o.bytes += int(info.Size())
	}
	slices.SortFunc(o.queued, func(a, b *Message) int { return cmp.Compare(a.ID, b.ID) })
	return nil
}

func (o *outbox) file(id string) string { return filepath.Join(o.dir, id+messageSuffix) }

// put stores a message durably. The oldest ones make room.
func (o *outbox) put(m *Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.putLocked(m)
}

func (o *outbox) putLocked(m *Message) error {
	if err := writeJSON(o.file(m.ID), m, messageMode); err != nil {
		return err
	}
	size := 0
	if info, err := os.Stat(o.file(m.ID)); err == nil {
		size = int(info.Size())
	}
	i := slices.IndexFunc(o.queued, func(x *Message) bool { return x.ID == m.ID })
	if i < 0 {
		o.queued = append(o.queued, m)
	} else {
		o.queued[i] = m
	}
	o.bytes += size - o.sizes[m.ID]
	o.sizes[m.ID] = size
	for len(o.queued) > 1 && (len(o.queued) > maxMessages || o.bytes > maxBytes) {
		o.dropped++
		o.removeLocked(o.queued[0].ID)
	}
	return nil
}

// remove deletes a message that was delivered or given up.
func (o *outbox) remove(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.removeLocked(id)
}

func (o *outbox) removeLocked(id string) {
	os.Remove(o.file(id))
	o.queued = slices.DeleteFunc(o.queued, func(x *Message) bool { return x.ID == id })
	o.bytes -= o.sizes[id]
	delete(o.sizes, id)
}

// due returns a copy of the first message of a channel that is to be tried now, nil if there is
// none. If inOrder, a message that waits holds up those behind it.
func (o *outbox) due(channel string, now time.Time, inOrder bool) *Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.queued {
		if m.Channel != channel {
			continue
		}
		// The clock may have been set back: nothing waits longer than maxWait.
		if !now.Before(m.NextTry) || m.NextTry.Sub(now) > maxWait {
			found := *m
			return &found
		}
		if inOrder {
			return nil
		}
	}
	return nil
}

// later notes a failed attempt. A message that was dropped meanwhile stays dropped.
func (o *outbox) later(m *Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.sizes[m.ID]; !ok {
		return nil
	}
	return o.putLocked(m)
}

// hurry makes all messages of a channel due: one of them was delivered.
func (o *outbox) hurry(channel string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.queued {
		if m.Channel == channel {
			m.NextTry = time.Time{}
		}
	}
}

// lengths returns the number of messages, of all and of each channel.
func (o *outbox) lengths() (all int, each map[string]int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	each = map[string]int{}
	for _, m := range o.queued {
		each[m.Channel]++
	}
	return len(o.queued), each
}

// totals returns the counters.
func (o *outbox) totals() (dropped, damaged uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped, o.damaged
}

func (o *outbox) close() { o.lock.Close() }

// wait is the time until the next attempt after so many failed ones.
func wait(attempts int) time.Duration {
	return min(firstWait<<min(max(attempts-1, 0), 10), maxWait)
}
