package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"spamsensor/sensor/engine"
	"spamsensor/sensor/event"
	"spamsensor/sensor/state"
)

// keeper keeps what must survive: it loads it at the start, and saves it again and again.
type keeper struct {
	cfg     stateConfig
	log     zerolog.Logger
	store   *state.Store
	history *state.History
	journal *state.Journal // nil without a directory
	engine  *engine.Engine
	saved   state.Checkpoint  // what was loaded
	pending []engine.Activity // what could not be written to the history yet
	failing bool
	last    time.Time          // when all was saved, or the state was loaded
	tell    func(event.Health) // nil before the events are open
	untold  []event.Health     // from before that
}

// stateConfig says where state is kept, and for how long. Without a directory there is
// none.
type stateConfig struct {
	dir     string
	every   time.Duration
	history state.HistoryConfig
}

// maxPending bounds what waits for a disk that is full.
const maxPending = 1 << 16

// openState loads the state, and says what it did not like. The engine's configuration
// gets the secret with which the state's hashes were made.
func openState(cfg *config, log zerolog.Logger) (*keeper, error) {
	k := &keeper{cfg: cfg.state, log: log, last: time.Now()}
	if k.cfg.dir == "" {
		return k, nil
	}
	var err error
	if k.store, err = state.Open(k.cfg.dir); err != nil {
		return nil, err
	}
	loaded, err := k.store.Load(&k.saved)
	if err != nil {
		return nil, err
	}
	var refused *state.Refusal
	k.history, refused, err = state.OpenHistory(k.cfg.dir, k.cfg.history)
	if errors.Is(err, state.ErrNoRoom) { // listening is more important
		log.Error().Err(err).Msg("the state cannot be saved; trying again")
		k.failing = true
	} else if err != nil {
		return nil, err
	}
	if refused != nil {
		loaded.Refused = append(loaded.Refused, *refused)
	}
	k.refused(loaded.Refused)
	var entries []state.Entry
	k.journal, entries = state.OpenJournal(k.cfg.dir)
	cfg.journal = k.journal
	replayed := k.saved.Replay(entries)
	if loaded.Generation > 0 || replayed > 0 {
		log.Info().Uint64("generation", loaded.Generation).Time("written", time.Unix(0, k.saved.Written)).
			Int("sources", len(k.saved.Engine.Sources)).Int("replayed", replayed).Msg("the state was restored")
	}
	if cfg.engine.Seed = k.saved.Engine.Seed; len(cfg.engine.Seed) < 16 {
		cfg.engine.Seed = make([]byte, 32)
		rand.Read(cfg.engine.Seed)
	}
	return k, nil
}

// refused says which files of the state were not used as they were.
func (k *keeper) refused(list []state.Refusal) {
	for _, r := range list {
		k.log.Warn().Err(r.Err).Str("file", r.File).Str("kept_as", r.Aside).Msg("a file of the state was refused")
		text := fmt.Sprintf("%s was refused: %v", r.File, r.Err)
		if r.Aside != "" {
			text += "; it is kept as " + r.Aside
		}
		k.health("raised", text, "the sensor goes on with what was good; look at the disk")
		k.health("cleared", "the state is kept again", "")
	}
}

// health says in an event what is wrong with the state.
func (k *keeper) health(is, text, hint string) {
	h := event.Health{Check: "state", State: is, Since: time.Now().UnixNano(), Text: text, Hint: hint}
	if k.tell == nil {
		k.untold = append(k.untold, h)
		return
	}
	k.tell(h)
}

// tells has the events told from now on, those from before first.
func (k *keeper) tells(p *pipeline) {
	k.tell = func(h event.Health) { p.engine.Between(func() { p.events.Health(h.Since, &h) }) }
	for _, h := range k.untold {
		k.tell(h)
	}
	k.untold = nil
}

// restore gives the state to the engine. It must be called before the first frame.
func (k *keeper) restore(e *engine.Engine) {
	k.engine = e
	e.Restore(&k.saved.Engine)
	k.saved = state.Checkpoint{}
}

// run saves until the context ends.
func (k *keeper) run(ctx context.Context) {
	if k.store == nil {
		return
	}
	tick := time.NewTicker(k.cfg.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.try()
		}
	}
}

// try saves, and says once when that fails and once when it works again.
func (k *keeper) try() {
	err := k.save()
	switch {
	case err != nil && !k.failing:
		k.log.Error().Err(err).Msg("the state cannot be saved; trying again")
		k.health("raised", "the state cannot be saved: "+err.Error(), "what is learned and counted in the meantime is lost if the sensor stops")
	case err == nil && k.failing:
		k.log.Info().Msg("the state can be saved again")
		k.health("cleared", "the state can be saved again", "")
	}
	if k.failing = err != nil; !k.failing {
		k.last = time.Now()
	}
}

// save writes the history and then a checkpoint. A crash in between loses nothing of the
// history and counts nothing twice: what the engine counts from a checkpoint on are
// packets that come later.
func (k *keeper) save() error {
	k.pending = append(k.pending, k.engine.Activity()...)
	err := k.history.Add(k.pending)
	k.refused(k.history.Refused())
	if err == nil {
		k.pending = k.pending[:0]
	} else if lost := len(k.pending) - maxPending; lost > 0 {
		k.pending = k.pending[lost:]
		err = fmt.Errorf("%w; %d counts of hosts are lost", err, lost)
	}
	k.journal.Cut()
	began := time.Now().UnixNano()
	saved := k.engine.Save()
	if saved == nil {
		return errors.Join(err, errors.New("a fault of spamsensor kept it from gathering the state; see panics in the stats event"))
	}
	if lost := k.store.Save(&state.Checkpoint{Written: began, Engine: *saved}); lost != nil {
		return errors.Join(err, lost)
	}
	if n := k.journal.Saved(); n > 0 {
		k.log.Warn().Uint64("findings", n).Msg("findings that were told could not be kept beside the checkpoint: after a crash they might have been told again")
	}
	return err
}

// close saves for the last time, after the engine has ended. The error tells the exit code for a state that is lost.
func (k *keeper) close() (err error) {
	if k.store == nil {
		return nil
	}
	k.try()
	if k.failing {
		err = exit(exitLost, fmt.Errorf("what was learned and counted since %s is lost (%d counts of hosts): it could not be saved",
			k.last.UTC().Format(time.RFC3339), len(k.pending)))
	}
	k.journal.Close()
	k.store.Close()
	return err
}
