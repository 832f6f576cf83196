package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"spamsensor/sensor/event"
	"spamsensor/sensor/status"
)

// reloader has a running sensor go on with a configuration that has changed, without losing a frame
// and without closing the capture. A configuration that is wrong changes nothing.
type reloader struct {
	opt       options // of the command line: they take precedence again
	once      bool    // the configuration came from a pipe, and cannot be read again
	protected func(*config) *protectedFiles
	p         *pipeline
	log       zerolog.Logger
	level     *logLevel

	mu      sync.Mutex
	started *config // at the start: what takes effect with the next one is compared with it
	cfg     *config // in force
	loaded  time.Time
	refused error // of the latest attempt; nil if it succeeded
	failed  uint64
}

// newReloader makes the reloader of a run that has started with cfg.
func (a *app) newReloader(cfg *config, p *pipeline, log zerolog.Logger) *reloader {
	started := *cfg
	r := &reloader{opt: a.opt, protected: a.protectedFiles, p: p, log: log, level: a.level,
		started: &started, cfg: &started, loaded: time.Now()}
	if info, err := os.Stat(a.opt.file); err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		r.once = true
	}
	return r
}

// reload reads the configuration again and applies what has changed. It returns a line for each
// change; those that need a restart say so. With an error everything stays as it was.
func (r *reloader) reload() (changes []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.once {
		r.log.Info().Msg("reload: the configuration came from a pipe, and is not read again")
		return nil, nil
	}
	next, err := r.load()
	if err == nil {
		err = r.moveOutput(next)
	}
	if r.refused = err; err != nil {
		r.failed++
		r.logFaults(err)
		r.setHealth(fmt.Sprintf("the configuration could not be read again, and the one before "+
			"stays in force: %s", firstLine(err.Error())), "spamsensor check says what is wrong")
		return nil, err
	}
	changes = r.changes(next)
	r.apply(next)
	r.cfg, r.loaded = next, time.Now()
	for _, w := range next.warnings {
		r.log.Warn().Msg("reload: " + w.Error())
	}
	for _, c := range changes {
		r.log.Info().Msg("reload: " + c)
	}
	r.log.Info().Strs("configuration", r.opt.found.names).Int("changes", len(changes)).
		Msg("the configuration was read again")
	r.setHealth("", "")
	return changes, nil
}

// settings are the settings in force as YAML. A text of a configuration is parsed when a line of it
// is asked for first: one asks at a time.
func (r *reloader) settings() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cfg.settings()
}

// load reads the configuration as it was read at the start.
func (r *reloader) load() (*config, error) {
	if r.opt.file == "" {
		r.opt.useDefault()
	}
	r.opt.reloads = true
	next, err := loadConfig(&r.opt)
	if err != nil {
		return nil, err
	}
	next.completeForLive()
	return next, nil
}

// apply has the parts of the sensor use another configuration.
func (r *reloader) apply(next *config) {
	r.p.engine.Reconfigure(&next.engine)
	r.p.engine.Between(func() {
		r.p.eventConfig.Evidence = next.evidence
		r.p.events.SetEvidence(next.evidence)
		r.p.eventConfig.Names = next.names
		r.p.events.SetNames(next.names)
		r.p.report.Names(next.names)
		if r.p.terminal != nil {
			r.p.terminal.names = next.names
		}
		r.p.cfg.output = next.output
	})
	r.level.set(&r.opt, next)
}

// movesOutput reports whether the file of the events of another configuration can be opened now:
// between standard output and a file nothing moves before the next start, nor out of the sandbox.
func (r *reloader) movesOutput(next *config) bool {
	return !isStdout(next.output) && !isStdout(r.cfg.output) && r.p.mayWrite(next.output)
}

// moveOutput opens output.file if it is another one.
func (r *reloader) moveOutput(next *config) error {
	if next.output == r.cfg.output || !r.movesOutput(next) {
		return nil
	}
	if _, err := r.p.reopen(next.output, 0, r.protected(next).check); err != nil {
		return next.layers.fault("error", "output.file", "%v", err)
	}
	return nil
}

// isStdout reports whether output.file means standard output.
func isStdout(name string) bool { return name == "" || name == "-" }

// setHealth raises the check "config" with a text, and clears it with none.
func (r *reloader) setHealth(text, hint string) {
	now := wallTime()
	r.p.engine.Between(func() {
		h := &r.p.health
		h.changes = nil
		h.setKey(now, "config", event.Health{Check: "config", Value: float64(r.failed), Text: text,
			Hint: hint}, text != "")
		if was, raised := h.raised["config"]; raised && text != "" {
			was.Text, was.Value = text, float64(r.failed)
			h.raised["config"] = was
		}
		r.p.reportHealth(now, h.changes)
	})
}

// logFaults writes each fault with its place.
func (r *reloader) logFaults(err error) {
	for _, f := range faultsOf(err) {
		e := r.log.Error()
		if f.Line > 0 {
			e = e.Str("file", f.File).Int("line", f.Line).Int("column", f.Column)
		}
		e.Msg("reload: the configuration before stays in force: " + firstLine(f.Error()))
	}
}

// firstLine cuts the excerpt off the text of a fault.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// output returns the name of the file of the events.
func (r *reloader) output() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cfg.output
}

// check refuses an output that the configuration in force protects.
func (r *reloader) check() outputCheck {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.protected(r.cfg).check
}

// status says what the sensor has read, and whether the latest attempt succeeded.
func (r *reloader) status() status.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := status.Config{File: r.opt.file, Loaded: r.loaded, Good: r.refused == nil}
	if r.refused != nil {
		c.Error = firstLine(r.refused.Error())
	}
	return c
}

// act is reload as a status.Action.
func (r *reloader) act([]byte) (any, error) {
	changes, err := r.reload()
	return reloadAnswer{append([]string{}, changes...)}, err
}

// reloadAnswer is the answer to a POST to /api/v1/reload.
type reloadAnswer struct {
	Changes []string `json:"changes"`
}

// logLevel is the level of a log, which may change while it is used.
type logLevel struct {
	io.Writer
	least atomic.Int32
}

// WriteLevel implements zerolog.LevelWriter.
func (l *logLevel) WriteLevel(level zerolog.Level, p []byte) (int, error) {
	if int32(level) < l.least.Load() {
		return len(p), nil
	}
	return l.Write(p)
}

// set takes the level of a configuration, unless -q or -v says another one.
func (l *logLevel) set(o *options, cfg *config) {
	level, _ := zerolog.ParseLevel(cmp.Or(cfg.logLevel, "info"))
	switch {
	case o.quiet:
		level = zerolog.ErrorLevel
	case o.verbose > 0:
		level = zerolog.DebugLevel
	}
	l.least.Store(int32(level))
}
