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

// checkpointer keeps the state that survives a restart: it loads a checkpoint and the history at
// the start, and saves both at an interval and at the end.
type checkpointer struct {
	cfg       stateConfig
	log       zerolog.Logger
	store     *state.Store
	history   *state.History
	journal   *state.Journal // nil without a directory
	engine    *engine.Engine
	saved     state.Checkpoint   // the loaded checkpoint
	pending   []engine.Activity  // counts that the history does not have yet
	failing   bool               // the last save failed
	lastSaved time.Time          // of the last complete save, or of the start
	emit      func(event.Health) // nil until the output is open
	unsent    []event.Health     // health events from before the output was open
}

// stateConfig names the directory of the state, and how long the state is kept. Without a directory
// there is no state.
type stateConfig struct {
	dir     string
	every   time.Duration
	history state.HistoryConfig
}

// maxPending bounds the counts that wait while the disk is full.
const maxPending = 1 << 16

// openState loads the state and reports the files that it refused. The engine's configuration gets
// the secret under which the hashes of the state were made.
func openState(cfg *config, log zerolog.Logger) (*checkpointer, error) {
	k := &checkpointer{cfg: cfg.state, log: log, lastSaved: time.Now()}
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
	k.reportRefused(loaded.Refused)
	var entries []state.Entry
	k.journal, entries = state.OpenJournal(k.cfg.dir, k.saved.Written)
	cfg.journal = k.journal
	replayed := k.saved.Replay(entries)
	if loaded.Generation > 0 || replayed > 0 {
		log.Info().Uint64("generation", loaded.Generation).
			Time("written", time.Unix(0, k.saved.Written)).
			Int("sources", len(k.saved.Engine.Sources)).Int("replayed", replayed).
			Msg("the state was restored")
	}
	if cfg.engine.Seed = k.saved.Engine.Seed; len(cfg.engine.Seed) < 16 {
		cfg.engine.Seed = make([]byte, 32)
		rand.Read(cfg.engine.Seed)
	}
	return k, nil
}

// reportRefused logs the files of the state that were damaged, and emits a health event for each.
func (k *checkpointer) reportRefused(list []state.Refusal) {
	for _, r := range list {
		k.log.Warn().Err(r.Err).Str("file", r.File).Str("kept_as", r.Aside).
			Msg("a file of the state was refused")
		text := fmt.Sprintf("%s was refused: %v", r.File, r.Err)
		if r.Aside != "" {
			text += fmt.Sprintf("; it is kept as %s", r.Aside)
		}
		k.reportHealth("raised", text, "the sensor goes on with what was good; look at the disk")
		k.reportHealth("cleared", "the state is kept again", "")
	}
}

// reportHealth emits a health event about the state, or keeps it until the output is open.
func (k *checkpointer) reportHealth(is, text, hint string) {
	h := event.Health{Check: "state", State: is, Text: text, Hint: hint}
	h.Since = wallTime()
	if k.emit == nil {
		k.unsent = append(k.unsent, h)
		return
	}
	k.emit(h)
}

// emitTo sends the health events to a pipeline from now on, the waiting ones first.
func (k *checkpointer) emitTo(p *pipeline) {
	k.emit = func(h event.Health) {
		p.engine.Between(func() { p.events.Health(h.Since, &h) })
	}
	for _, h := range k.unsent {
		k.emit(h)
	}
	k.unsent = nil
}

// restore gives the state to the engine. It must be called before the first frame.
func (k *checkpointer) restore(e *engine.Engine) {
	k.engine = e
	e.Restore(&k.saved.Engine)
	k.saved = state.Checkpoint{}
}

// run saves at the configured interval until the context ends.
func (k *checkpointer) run(ctx context.Context) {
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
			k.saveAndReport()
		}
	}
}

// saveAndReport saves, and reports the first failure in a row and the first success after it.
func (k *checkpointer) saveAndReport() {
	err := k.save()
	switch {
	case err != nil && !k.failing:
		k.log.Error().Err(err).Msg("the state cannot be saved; trying again")
		k.reportHealth("raised", "the state cannot be saved: "+err.Error(),
			"new state and counts are lost if the sensor stops")
	case err == nil && k.failing:
		k.log.Info().Msg("the state can be saved again")
		k.reportHealth("cleared", "the state can be saved again", "")
	}
	if k.failing = err != nil; !k.failing {
		k.lastSaved = time.Now()
	}
}

// save writes the history, then a checkpoint. A crash between the two loses nothing of the history
// and counts nothing twice: after a restart the engine counts only packets that are later than the
// checkpoint.
func (k *checkpointer) save() error {
	k.pending = append(k.pending, k.engine.Activity()...)
	err := k.history.Add(k.pending)
	k.reportRefused(k.history.Refused())
	if err == nil {
		k.pending = k.pending[:0]
	} else if lost := len(k.pending) - maxPending; lost > 0 {
		k.pending = k.pending[lost:]
		err = fmt.Errorf("%w; %d counts of hosts are lost", err, lost)
	}
	k.journal.Rotate()
	began := k.journal.Stamp(wallTime())
	saved := k.engine.Save()
	if saved == nil {
		return errors.Join(err, errors.New("a fault of spamsensor kept it from gathering "+
			"the state; see panics in the stats event"))
	}
	if lost := k.store.Save(&state.Checkpoint{Written: began, Engine: *saved}); lost != nil {
		return errors.Join(err, lost)
	}
	if n := k.journal.Saved(); n > 0 {
		k.log.Warn().Uint64("findings", n).Msg("emitted findings could not be saved beside the " +
			"checkpoint: after a crash they might have been emitted again")
	}
	return err
}

// close saves for the last time; the engine must have ended. The error has the exit code for lost
// state.
func (k *checkpointer) close() (err error) {
	if k.store == nil {
		return nil
	}
	k.saveAndReport()
	if k.failing {
		err = exit(exitLost, fmt.Errorf("state and counts since %s are lost (%d counts of "+
			"hosts): they could not be saved",
			k.lastSaved.UTC().Format(time.RFC3339), len(k.pending)))
	}
	k.journal.Close()
	k.store.Close()
	return err
}
