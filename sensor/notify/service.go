package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Service reads events and tells people. Use New.
type Service struct {
	cfg     Config
	now     func() time.Time
	timeout time.Duration // of one attempt

	tail    *tail
	rules   rules
	outbox  *outbox
	tally   *tally
	journal *journal
	workers []*worker

	dirty             bool // what the rules remember has changed
	savedAt, countsAt time.Time
	savedOffset       int64
	asking            bool           // blocklists are being asked
	answers           chan []Listing // of them

	mu       sync.Mutex
	name     string    // of the sensor
	failedAt time.Time // when a write that failed was logged
}

const (
	stateFile = "state.json"
	// JournalFile is the usual name of the file with the notify events.
	JournalFile = "notify-events.json"
	// CountersFile is the usual name of the file with the counters.
	CountersFile = "notify.json"
	// pollInterval is the time between two looks at the events file.
	pollInterval = 500 * time.Millisecond
	// saveInterval is the time between two saves where nothing of importance came, and between two
	// writes of the counters.
	saveInterval = 10 * time.Second
	// maxReady bounds the messages that wait for a disk that is full; the events wait in the file.
	maxReady = 100
)

// New opens the outbox and the events. Close ends it.
func New(cfg Config) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, now: cfg.Now, timeout: sendTimeout, name: cfg.Host,
		answers: make(chan []Listing, 1)}
	if s.now == nil {
		s.now = time.Now
	}
	now := s.now()
	var err error
	if s.outbox, err = openOutbox(cfg.Outbox); err != nil {
		return nil, err
	}
	if err := s.start(now); err != nil {
		s.outbox.close()
		return nil, err
	}
	return s, nil
}

// start reads the state and makes the parts.
func (s *Service) start(now time.Time) error {
	saved := &state{}
	name := filepath.Join(s.cfg.Outbox, stateFile)
	if _, err := readJSON(name, maxState, saved); err != nil {
		s.log(fmt.Sprintf("the state of notify was refused, and is kept as %s.refused: %v; "+
			"notices go on with the next event", name, err))
		saved = &state{}
		if err := os.Rename(name, name+".refused"); err != nil {
			return fmt.Errorf("cannot use the outbox: %w", err)
		}
	}
	saved.complete(now, &s.cfg.Limits)
	if saved.Sensor == "" {
		saved.Sensor = s.cfg.Host
	}
	s.rules = rules{channels: s.cfg.Channels, limits: s.cfg.Limits, state: saved}
	s.name = saved.Sensor
	var err error
	if s.tail, err = newTail(s.cfg.Events, saved.File); err != nil {
		return err
	}
	s.tally = newTally(s.cfg.Channels, now)
	s.journal = newJournal(cmp.Or(s.cfg.Journal, filepath.Join(s.cfg.Outbox, JournalFile)), now)
	for i := range s.cfg.Channels {
		c := &s.cfg.Channels[i]
		sender, err := newSender(c)
		if err != nil {
			return err
		}
		s.workers = append(s.workers, &worker{Service: s, channel: c, sender: sender,
			wake: make(chan struct{}, 1)})
	}
	s.adopt()
	s.dirty = true // where reading began is remembered at once
	return nil
}

// adopt gives messages of channels that are not configured any more to the first channel.
func (s *Service) adopt() {
	for _, m := range s.outbox.queued {
		isConfigured := func(c Channel) bool { return c.Name == m.Channel }
		if !slices.ContainsFunc(s.cfg.Channels, isConfigured) {
			m.Notes = append(m.Notes, fmt.Sprintf("This notice was for the channel %s, which is "+
				"not configured any more.", clean(m.Channel, maxName)))
			m.Refused = append(m.Refused, m.Channel)
			m.Channel = s.cfg.Channels[0].Name
		}
	}
}

// Run works until the context ends. It returns an error if the outbox cannot be written then.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, w := range s.workers {
		wg.Go(func() { w.run(ctx) })
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for ctx.Err() == nil {
		s.watch(ctx, s.now())
		if s.step(s.now()) {
			continue
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	wg.Wait()
	return s.Close()
}

// Close saves what the rules remember, and the counters.
func (s *Service) Close() error {
	s.tail.close()
	err := errors.Join(s.flush(), s.save(s.now()), s.count(s.now()))
	s.outbox.close()
	return err
}

// step reads what is new, applies the rules, and stores messages. more reports that there is more
// to read at once.
func (s *Service) step(now time.Time) (more bool) {
	r := &s.rules
	if len(r.ready) < maxReady {
		var err error
		more, err = s.tail.read(now, func(line []byte) { s.line(line, now) })
		s.saved(err)
	}
	r.Week.GivenUp += s.tally.takeGivenUp()
	r.tick(now)
	s.setName(r.Sensor)
	made := len(r.ready) > 0
	if err := s.flush(); err != nil {
		s.saved(err)
		return false
	}
	s.refreshAlerts(now, made)
	due := now.Sub(s.savedAt) >= saveInterval || now.Before(s.savedAt)
	if made || s.dirty || due && s.tail.at.Offset != s.savedOffset {
		s.saved(s.save(now))
	}
	if made {
		s.wakeWorkers()
	}
	if now.Sub(s.countsAt) >= saveInterval || now.Before(s.countsAt) {
		s.saved(s.count(now))
	}
	return more
}

// line follows one line of the events.
func (s *Service) line(line []byte, now time.Time) {
	rec, ok := parse(line)
	if !ok {
		s.tail.unreadable++
		return
	}
	s.rules.lastLine = now
	if rec != nil {
		s.rules.event(rec, now)
		s.dirty = s.dirty || rec.EventType != "source"
	}
}

// flush puts the messages of the rules into the outbox. What could not be stored stays.
func (s *Service) flush() error {
	r := &s.rules
	for len(r.ready) > 0 {
		if err := s.outbox.put(r.ready[0]); err != nil {
			return err
		}
		r.ready = r.ready[1:]
	}
	return nil
}

// save stores what the rules remember, with the position up to which events have been followed.
func (s *Service) save(now time.Time) error {
	if len(s.rules.ready) > 0 {
		return nil // the position would be ahead of the outbox
	}
	s.savedAt = now
	at := s.tail.at
	s.rules.File = &at
	if err := writeJSON(filepath.Join(s.cfg.Outbox, stateFile), s.rules.state,
		messageMode); err != nil {
		return err
	}
	s.dirty, s.savedOffset = false, at.Offset
	return nil
}

func (s *Service) count(now time.Time) error {
	s.countsAt = now
	if s.cfg.Counters == "" {
		return nil
	}
	return s.tally.write(s.cfg.Counters, now, s.tail, s.outbox)
}

// saved reports whether something was written or read. A failure is logged once a minute.
func (s *Service) saved(err error) bool {
	if err == nil {
		return true
	}
	s.tally.saveFailed()
	now := s.now()
	s.mu.Lock()
	first := now.Sub(s.failedAt) >= time.Minute || now.Before(s.failedAt)
	if first {
		s.failedAt = now
	}
	s.mu.Unlock()
	if first {
		s.log(fmt.Sprintf("cannot read the events or write the outbox: %v; the notices wait", err))
	}
	return false
}

func (s *Service) log(text string) {
	if s.cfg.Log != nil {
		s.cfg.Log(text)
	}
}

func (s *Service) setName(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name = name
}

func (s *Service) sensorName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.name
}
