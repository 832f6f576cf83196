package main

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/rs/zerolog"

	"spamsensor/sensor/event"
	"spamsensor/sensor/sandbox"
)

// ownProcess says that the process runs the command and nothing else: main sets it. A process that
// calls run for a part of its work would lose what that part does not need.
var ownProcess bool

// enterSandbox takes from the process what a run does not need, when all is open and no frame was
// read. The events and the log say what holds. file is the configuration.
func (p *pipeline) enterSandbox(file string, log zerolog.Logger) {
	if p.cfg.sandbox == "off" {
		log.Warn().Msg("the sandbox is off (sensor.sandbox)")
		return
	}
	if !ownProcess {
		return
	}
	allowed := p.cfg.sandboxConfig(file)
	r := sandbox.Enter(allowed)
	if r.LandlockABI > 0 {
		p.writable.Store(&allowed.Write)
	}
	e := event.Sandbox(*r)
	log.Info().Strs("capabilities", r.Capabilities).Int("landlock_abi", r.LandlockABI).
		Bool("seccomp", r.Seccomp).Strs("missing", r.Missing).Msg("in the sandbox")
	now := wallTime()
	p.engine.Between(func() {
		p.events.Sandbox(now, &e)
		if len(r.Missing) == 0 {
			return
		}
		p.health.changes = nil
		p.health.raise("sandbox", event.Health{Check: "sandbox", State: "raised", Since: now,
			Value: float64(len(r.Missing)), Text: "the sandbox lacks " + r.Missing[0],
			Hint: "the sensor works all the same; the sandbox event lists what is missing"})
		p.reportHealth(now, p.health.changes)
	})
}

// mayWrite reports whether the sandbox allows to open a file of the events. Without Landlock it
// does.
func (p *pipeline) mayWrite(name string) bool {
	writable := p.writable.Load()
	if writable == nil {
		return true
	}
	for _, dir := range outputPlaces(name) {
		inside := func(allowed string) bool {
			rest, err := filepath.Rel(allowed, dir)
			return err == nil && filepath.IsLocal(rest)
		}
		if !slices.ContainsFunc(*writable, inside) {
			return false
		}
	}
	return true
}

// sandboxConfig lists what a run still reads and writes. file is the configuration.
func (c *config) sandboxConfig(file string) sandbox.Config {
	s := sandbox.Config{Capture: c.streamName() == ""}
	if c.output != "" && c.output != "-" {
		s.Write = append(s.Write, outputPlaces(c.output)...)
		s.Owned = append(s.Owned, c.output)
	}
	if c.state.dir != "" {
		s.Write = append(s.Write, c.state.dir)
		names, _ := filepath.Glob(filepath.Join(c.state.dir, "*"))
		s.Owned = append(s.Owned, names...)
	}
	if c.control.socket != noSocket {
		s.Write = append(s.Write, filepath.Dir(c.control.socket))
	}
	s.Owned = append(s.Owned, s.Write...)
	if file != "" {
		s.Read = append(s.Read, configPlaces(file)...)
	}
	if c.namesFile != "" { // a reload reads it again, or the one that has taken its place
		s.Read = append(s.Read, configPlaces(c.namesFile)...)
	}
	if c.hashKeyFile != "" {
		s.Read = append(s.Read, c.hashKeyFile)
	}
	return s
}

// outputPlaces are the directories in which the file of the events is opened again: that of its
// name, and that of the file to which a symbolic link leads. A device is opened where it is.
func outputPlaces(name string) (dirs []string) {
	if info, err := os.Stat(name); err == nil && info.Mode()&os.ModeDevice != 0 {
		return nil
	}
	dirs = []string{filepath.Dir(name)}
	if real, err := filepath.EvalSymlinks(name); err == nil {
		dirs = append(dirs, filepath.Dir(real))
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// configPlaces are what the configuration, or the file of names, is read from: a directory of
// settings, or that of the file, with its conf.d. A file itself is not enough: Landlock allows an
// inode, and a new file that is renamed to its name has another.
func configPlaces(file string) []string {
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return []string{file}
	}
	places := []string{filepath.Dir(file)}
	if real, err := filepath.EvalSymlinks(file); err == nil {
		places = append(places, filepath.Dir(real))
	}
	return places
}
