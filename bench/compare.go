package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/frame"
)

// compareOptions are the options of compare. slow and timeout are named -slow and -patience.
type compareOptions struct {
	rounds        int
	workers       []string
	only, skip    []string
	slow, timeout time.Duration
}

// compare times the sensor and each other tool that is installed, on the same files.
func compare(args []string, stdout, stderr io.Writer) int {
	var o compareOptions
	flags := newFlags("bench compare", "FILE...", stderr)
	flags.IntVar(&o.rounds, "rounds", 5, "rounds; each runs everybody once, so that a "+
		"disturbance hits all alike")
	workers := flags.String("workers", "1,2",
		"numbers of workers of the sensor, separated by commas")
	only := flags.String("only", "", "peers to run, by tool or row, separated by semicolons "+
		"(default: all that are installed)")
	skip := flags.String("skip", "", "peers to leave out, likewise")
	flags.DurationVar(&o.slow, "slow", 20*time.Second, "a peer that takes longer than this runs "+
		"3 rounds, and one that takes five times as long runs once")
	flags.DurationVar(&o.timeout, "patience", 10*time.Minute, "a peer that takes longer than "+
		"this is stopped, as is one that takes half of the machine's memory")
	markdown := flags.Bool("markdown", false, "print Markdown")
	asJSON := flags.Bool("json", false, "print JSON, with every run")
	if flags.Parse(args) != nil {
		return 2
	}
	o.workers, o.only, o.skip = unique(split(*workers, ",")), split(*only, ";"), split(*skip, ";")
	if flags.NArg() == 0 || o.rounds < 1 || len(o.workers) == 0 || *markdown && *asJSON {
		flags.Usage()
		return 2
	}
	for _, name := range append(o.only, o.skip...) {
		if !isTool(name) {
			fmt.Fprintf(stderr, "bench: there is no peer %q\n", name)
			return 2
		}
	}
	c, err := o.run(flags.Args(), stderr)
	if err == nil {
		switch {
		case *asJSON:
			err = c.json(stdout)
		case *markdown:
			err = c.markdown(stdout)
		default:
			err = c.text(stdout)
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	return 0
}

// split returns the parts of a list without spaces around them; empty parts are left out.
func split(list, sep string) (out []string) {
	for s := range strings.SplitSeq(list, sep) {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// isTool reports whether a name is the name of a row or a program in tools.
func isTool(name string) bool {
	for _, c := range tools {
		if c.matches([]string{name}) {
			return true
		}
	}
	return false
}

// run measures all files. All files that the tools write lie in one temporary folder, which is
// removed at the end.
func (o *compareOptions) run(files []string, log io.Writer) (*comparison, error) {
	for _, name := range files {
		if _, err := os.Stat(name); err != nil {
			return nil, err
		}
	}
	dir, sensor, err := buildSensor()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	c := &comparison{Machine: thisMachine(), Date: time.Now().UTC().Format(time.DateOnly),
		Rounds: o.rounds, Baselines: len(o.workers), Filter: mailFilter}
	list, missing := selectTools(sensor, o.workers, o.only, o.skip)
	c.Missing = missing
	c.describe(list, sensor)
	for _, name := range files {
		t, err := o.measureFile(name, dir, list, log)
		if err != nil {
			return nil, err
		}
		c.Files = append(c.Files, t)
	}
	// The packets are counted at the end: the peak memory of this process is the least peak that
	// the kernel reports for a small tool, and the count would raise it.
	for i, name := range files {
		if c.Files[i].Packets, err = countPackets(name); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// buildSensor builds the sensor from the source tree, in a temporary folder, with further flags of
// go build. The caller removes dir.
func buildSensor(flags ...string) (dir, sensor string, err error) {
	if dir, err = os.MkdirTemp("", "spamsensor-bench-"); err != nil {
		return "", "", err
	}
	sensor = filepath.Join(dir, "spamsensor")
	args := append([]string{"build", "-o", sensor}, flags...)
	if text, err := exec.Command("go", append(args,
		"spamsensor/sensor")...).CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		return "", "", fmt.Errorf("building the sensor: %w\n%s", err, text)
	}
	return dir, sensor, nil
}

// measureFile runs all rounds on one file. log gets a line for each run.
func (o *compareOptions) measureFile(name, dir string, list []tool,
	log io.Writer) (*fileTimes, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	t := &fileTimes{Name: filepath.Base(name), Bytes: uint64(info.Size())}
	for i := range list {
		t.Rows = append(t.Rows,
			row{Name: list[i].name, rounds: o.rounds, Runs: make([]*sample, o.rounds)})
	}
	for round := range o.rounds {
		for k := range list {
			// Each round begins with another tool, so that no tool is always the first, which runs
			// after the last tool of the round before.
			i := (k + round*len(list)/o.rounds) % len(list)
			r := &t.Rows[i]
			if round >= r.rounds || r.Failed != "" {
				continue
			}
			if err := fillPageCache(path); err != nil {
				return nil, err
			}
			s, errorLine, err := list[i].run(path, dir, limits{o.timeout, thisMachine().Memory / 2})
			if f := failure(""); errors.As(err, &f) {
				if i < len(sensors)*len(o.workers) {
					return nil, fmt.Errorf("%s: %w", r.Name, err)
				}
				r.Failed = string(f)
				fmt.Fprintf(log, "%s: %s: %s\n", t.Name, r.Name, f)
				continue
			}
			if err != nil {
				return nil, err
			}
			r.Runs[round] = &s
			r.ErrorLine = cmp.Or(r.ErrorLine, errorLine)
			r.rounds = min(r.rounds, o.roundsFor(s.Seconds))
			fmt.Fprintf(log, "%s: %s: %.3f s\n", t.Name, r.Name, s.Seconds)
		}
	}
	return t, nil
}

// roundsFor is the number of rounds of a tool that takes so many seconds.
func (o *compareOptions) roundsFor(seconds float64) int {
	switch slow := o.slow.Seconds(); {
	case seconds > 5*slow:
		return 1
	case seconds > slow:
		return 3
	}
	return o.rounds
}

// run runs the tool once on a file, in a folder below parent that is removed afterwards.
func (c *tool) run(file, parent string, limit limits) (s sample, errorLine string, err error) {
	dir, err := os.MkdirTemp(parent, "run-")
	if err != nil {
		return s, "", err
	}
	defer os.RemoveAll(dir)
	for name, text := range c.inputs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return s, "", err
		}
	}
	return measureCommand(c.args(file), dir, limit)
}

// countPackets counts the packets of a file without decoding them.
func countPackets(name string) (uint64, error) {
	files, err := capture.OpenFiles([]string{name},
		capture.FilesConfig{KnownLink: func(frame.LinkType) error { return nil },
			Prefilter: &frame.Prefilter{
				Skip: func(frame.LinkType, []byte, int) (uint8, bool) { return 0, true }}})
	if err != nil {
		return 0, err
	}
	defer files.Close()
	for err == nil {
		_, err = files.Next()
	}
	if err != io.EOF {
		return 0, err
	}
	return files.Stats().Frames, nil
}
