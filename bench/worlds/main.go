// Command worlds measures how often the sensor's verdicts are right, on networks that an
// independent generator draws (packages traffic and scene, which share nothing with the sensor or
// with package campaign). It runs the sensor as a user does: as a process that reads a capture.
//
//	go run ./bench/worlds                     all scenarios, ten seeds
//	go run ./bench/worlds -scenario office    one scenario, several with commas, or benign, bad
//	go run ./bench/worlds -keep DIR           captures and truths of the runs with a fault
//	go run ./bench/worlds -json               the results as JSON, one run a line
//
// Each capture is read twice: with nothing declared (but the networks that are ours, where they are
// not private), and with everything declared that an administrator would declare.
//
// Words: a run is a scenario with one seed, read in one of the two ways. A bad host is found if a
// finding of an acceptable class reached the level that the truth asks for. A benign host is
// accused if a finding that blames the host reached likely; it stays if it is a suspect when the
// capture ends. A class is wrong if the truth does not accept it for the host. A count is off if a
// source event differs from what was drawn. Host-days are benign hosts times the length of the
// capture.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"spamsensor/bench/worlds/scene"
	"spamsensor/bench/worlds/traffic"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are those of the command line.
type options struct {
	sensor   string
	scenes   []scene.Scene
	seeds    []uint64
	keep     string
	keepAll  bool
	asJSON   bool
	declared []bool
	jobs     int
}

// parse reads the command line.
func parse(args []string, stderr io.Writer) (o options, ok bool) {
	flags := flag.NewFlagSet("worlds", flag.ContinueOnError)
	flags.SetOutput(stderr)
	names := flags.String("scenario", "all", "names, or all, benign, bad, forged; with commas")
	seed := flags.Uint64("seed", 1, "the first seed")
	seeds := flags.Int("seeds", 10, "number of seeds")
	with := flags.String("declared", "both", "no, yes or both")
	flags.StringVar(&o.keep, "keep", "", "write captures and truths of faulty runs to this folder")
	flags.BoolVar(&o.keepAll, "keep-all", false, "with -keep: those of all runs")
	flags.BoolVar(&o.asJSON, "json", false, "print each run as a line of JSON")
	flags.StringVar(&o.sensor, "sensor", "", "the program to run (default: build ./sensor)")
	flags.IntVar(&o.jobs, "jobs", runtime.NumCPU(), "runs at a time")
	if flags.Parse(args) != nil || flags.NArg() > 0 {
		return o, false
	}
	for _, s := range scene.All() {
		for name := range strings.SplitSeq(*names, ",") {
			if name == "all" || name == s.Name || name == string(s.Kind) {
				o.scenes = append(o.scenes, s)
			}
		}
	}
	if len(o.scenes) == 0 {
		fmt.Fprintf(stderr, "worlds: no scenario has the name %s\n", *names)
		return o, false
	}
	for i := range *seeds {
		o.seeds = append(o.seeds, *seed+uint64(i))
	}
	o.declared = map[string][]bool{"no": {false}, "yes": {true}, "both": {false, true}}[*with]
	return o, len(o.declared) > 0
}

func run(args []string, stdout, stderr io.Writer) int {
	o, ok := parse(args, stderr)
	if !ok {
		return 2
	}
	dir, err := os.MkdirTemp("", "worlds")
	if err != nil {
		fmt.Fprintf(stderr, "worlds: %v\n", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if o.sensor == "" {
		o.sensor = filepath.Join(dir, "spamsensor")
		c := exec.Command("go", "build", "-o", o.sensor, "spamsensor/sensor")
		c.Stderr = stderr
		if err := c.Run(); err != nil {
			fmt.Fprintf(stderr, "worlds: the sensor is not built: %v\n", err)
			return 1
		}
	}
	results, err := o.measure(dir)
	if err != nil {
		fmt.Fprintf(stderr, "worlds: %v\n", err)
		return 1
	}
	if o.asJSON {
		enc := json.NewEncoder(stdout)
		for _, r := range results {
			if err := enc.Encode(r); err != nil {
				fmt.Fprintf(stderr, "worlds: %v\n", err)
				return 1
			}
		}
		return 0
	}
	report(stdout, results)
	return 0
}

// measure makes all runs, several at a time.
func (o *options) measure(dir string) ([]*result, error) {
	type job struct {
		s    scene.Scene
		seed uint64
		out  []*result
		err  error
	}
	var jobs []*job
	for _, s := range o.scenes {
		for _, seed := range o.seeds {
			jobs = append(jobs, &job{s: s, seed: seed})
		}
	}
	next := make(chan *job)
	var wait sync.WaitGroup
	for i := range max(o.jobs, 1) {
		wait.Go(func() {
			path := filepath.Join(dir, fmt.Sprintf("%d.pcap", i))
			for j := range next {
				j.out, j.err = o.play(j.s, j.seed, path)
			}
		})
	}
	for _, j := range jobs {
		next <- j
	}
	close(next)
	wait.Wait()
	var all []*result
	for _, j := range jobs {
		if j.err != nil {
			return nil, fmt.Errorf("%s with seed %d: %w", j.s.Name, j.seed, j.err)
		}
		all = append(all, j.out...)
	}
	return all, nil
}

// play draws a scenario and lets the sensor read it.
func (o *options) play(s scene.Scene, seed uint64, path string) (out []*result, err error) {
	capture, truth := s.Draw(seed)
	if err := os.WriteFile(path, capture, 0o600); err != nil {
		return nil, err
	}
	faulty := false
	for _, declared := range o.declared {
		got, err := readCapture(o.sensor, path, truth.Options(declared))
		if err != nil {
			return nil, err
		}
		r := judge(truth, got, declared)
		r.Kind = string(s.Kind)
		faulty = faulty || len(r.Faults) > 0
		out = append(out, r)
	}
	if o.keep != "" && (faulty || o.keepAll) {
		err = keep(filepath.Join(o.keep, fmt.Sprintf("%s-%d", s.Name, seed)), capture, truth)
	}
	return out, err
}

// keep writes a capture and its truth.
func keep(base string, capture []byte, truth *traffic.Truth) error {
	if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(base+".pcap", capture, 0o644); err != nil {
		return err
	}
	text, err := json.MarshalIndent(truth, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(base+".truth.json", append(text, '\n'), 0o644)
}
