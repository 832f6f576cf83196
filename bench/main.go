// Command bench measures the sensor: how fast it reads a capture, how its time compares with other
// tools, how many packets it drops on a live interface, and how often its verdicts are right.
//
//	go run ./bench FILE...            packets/s, bytes/s, ns/packet, allocations/packet
//	go run ./bench -detectors FILE    with and without verdicts, in turns: the detectors' cost
//	go run ./bench generate w2 FILE   a capture to measure on, and the counts of its contents
//	go run ./bench compare FILE...    the sensor beside each other tool that is installed
//	go run ./bench instructions       instructions and cache misses of each stage, and its budget
//	go run ./bench live FILE          drops at rising rates, beside tcpdump (needs root)
//	go run ./bench soak FILE          half an hour live: memory, descriptors, events (needs root)
//	go run ./bench campaigns          simulated networks, and the share of right verdicts
//	go run ./bench -count 10 -workers 1,2 FILE | tee new.txt && benchstat old.txt new.txt
//
// The first and the last print Go's benchmark format; an operation is one packet. Frames go from
// the file through the whole engine, with all detectors and evidence on.
//
// Words: a workload is a kind of generated capture (w1, w2, w2flood, w3: see workload); a tool is a
// command line that is timed, the sensor's or another; a round runs each tool once, so that a
// disturbance of the machine hits all alike; a sample is one run of a tool. A stage is a package of
// the sensor as a part of the way of a packet. A campaign is a set of simulated sites (package
// campaign), a variant is a way in which the sensor sees it, a host result holds the verdicts about
// one simulated host beside the truth, and a reference is a well-known detector on the same packets
// (package reference).
//
// Except for the budget of instructions, bench has no figures of its own to compare with: it does
// not say whether a time is good, and times of two machines, or of two days, are not comparable. It
// measures neither the writing of events (except as a row of compare) nor real mail: generated and
// simulated traffic only has the properties that its source names.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "generate":
			return generate(args[1:], stdout, stderr)
		case "compare":
			return compare(args[1:], stdout, stderr)
		case "live":
			return live(args[1:], stdout, stderr)
		case "soak":
			return soak(args[1:], stdout, stderr)
		case "instructions":
			return instructions(args[1:], stdout, stderr)
		case "campaigns":
			return campaigns(args[1:], stdout, stderr)
		}
	}
	return measure(args, stdout, stderr)
}

// newFlags returns the flags of a command. arguments is what its usage names behind the options.
func newFlags(command, arguments string, stderr io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, strings.TrimSpace("usage: "+command+" [options] "+arguments))
		flags.PrintDefaults()
	}
	return flags
}

// generate writes a workload to a file and prints the counts of its contents.
func generate(args []string, stdout, stderr io.Writer) int {
	flags := newFlags("bench generate", "w1|w2|w2flood|w3 FILE", stderr)
	size := flags.Float64("mb", 0, "size in MB (default: 1500 for w1, 1200 for the others)")
	seed := flags.Uint64("seed", 1, "seed; the same gives the same file")
	if flags.Parse(args) != nil {
		return 2
	}
	if flags.NArg() != 2 {
		flags.Usage()
		return 2
	}
	if *size == 0 {
		*size = 1200
		if flags.Arg(0) == "w1" {
			*size = 1500
		}
	}
	f, err := os.Create(flags.Arg(1))
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	a, err := workload(flags.Arg(0), uint64(*size*1e6), *seed, f)
	if err = errors.Join(err, f.Close()); err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	text, _ := json.MarshalIndent(a, "", " ")
	fmt.Fprintf(stdout, "%s\n", text)
	return 0
}

// measure runs files through the engine.
func measure(args []string, stdout, stderr io.Writer) int {
	flags := newFlags("bench", "FILE...", stderr)
	count := flags.Int("count", 5, "runs of each file")
	workers := flags.String("workers", "1,"+strconv.Itoa(runtime.GOMAXPROCS(0)),
		"numbers of workers, separated by commas")
	detectors := flags.Bool("detectors", false, "after each run one in which no source is "+
		"judged: the difference is what the detectors cost")
	profile := flags.String("cpuprofile", "", "write a CPU profile to this file")
	if flags.Parse(args) != nil {
		return 2
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return 2
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			fmt.Fprintf(stderr, "bench: %v\n", err)
			return 1
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			fmt.Fprintf(stderr, "bench: %v\n", err)
			return 1
		}
		defer pprof.StopCPUProfile()
	}
	fmt.Fprintf(stdout, "goos: %s\ngoarch: %s\npkg: spamsensor/bench\n", runtime.GOOS,
		runtime.GOARCH)
	for _, name := range flags.Args() {
		for _, w := range unique(strings.Split(*workers, ",")) {
			n, err := strconv.Atoi(w)
			if err != nil || n < 1 {
				fmt.Fprintf(stderr, "bench: %q is no number of workers\n", w)
				return 2
			}
			of := fmt.Sprintf("%s/workers=%d", filepath.Base(name), n)
			var ratios []float64
			for range *count {
				r, err := read(name, n, engine.Config{})
				if err == nil {
					fmt.Fprintf(stdout, "BenchmarkRead/%s-%d\t%s\n", of, runtime.GOMAXPROCS(0), r)
				}
				if err == nil && *detectors {
					var without result
					without, err = read(name, n, withoutVerdicts)
					fmt.Fprintf(stdout, "BenchmarkUnjudged/%s-%d\t%s\n", of, runtime.GOMAXPROCS(0),
						without)
					ratios = append(ratios, r.took.Seconds()/without.took.Seconds())
				}
				if err != nil {
					fmt.Fprintf(stderr, "bench: %v\n", err)
					return 1
				}
			}
			if len(ratios) > 0 {
				fmt.Fprintf(stdout, "# %s: with the detectors it takes %.3f times as long "+
					"(median of %d pairs)\n", of, median(ratios), len(ratios))
			}
		}
	}
	return 0
}

// unique returns the different strings of a list, in the order of their first places.
func unique(list []string) (out []string) {
	seen := map[string]bool{}
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// result is one run of the engine over a file.
type result struct {
	packets, bytes uint64
	took           time.Duration
	allocs         uint64 // number of allocations
	heap           uint64 // bytes allocated
}

// String is the run as a line of Go's benchmark format, without the name.

func (r result) String() string {
	n := float64(max(r.packets, 1))
	s := r.took.Seconds()
	return fmt.Sprintf("%d\t%.1f ns/op\t%.1f MB/s\t%.0f packets/s\t%.2f B/op\t%.4f allocs/op",
		r.packets, s*1e9/n, float64(r.bytes)/1e6/s, float64(r.packets)/s, float64(r.heap)/n,
		float64(r.allocs)/n)
}

// withoutVerdicts is a configuration with which the engine decodes, tracks and counts all packets
// and gives no verdict: no source of a capture is inside its home network.
var withoutVerdicts = engine.Config{
	Home: []netip.Prefix{netip.MustParsePrefix("255.255.255.255/32")}, Live: true,
}

// readWindows passes the windows that follow through the engine, as long as they are read side by
// side.
func readWindows(files *capture.Files, w *engine.Worker) {
	for windows := files.Windows(w.Ahead()); len(windows) > 0; windows = files.Windows(w.Ahead()) {
		w.DecodeAhead(len(windows), func(i int) []frame.Frame { return windows[i].Next() })
		for i, x := range windows {
			if !files.Follows(x) || !w.TakeAhead(i) {
				return
			}
			b := files.Take(x)
			w.Skip(b.Skipped[:], b.First, b.Last)
			w.EmitDue()
		}
	}
}

// read passes a file through the engine as `spamsensor read` does, without writing events.
func read(name string, workers int, cfg engine.Config) (r result, err error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	files, err := capture.OpenFiles([]string{name},
		capture.FilesConfig{KnownLink: engine.KnownLink, Prefilter: engine.Prefilter(nil)})
	if err != nil {
		return r, err
	}
	defer files.Close()
	cfg.Helpers, cfg.Seed = workers, files.Fingerprint()
	e := engine.New(cfg, engine.Output{})
	w := e.Worker()
	for err == nil {
		readWindows(files, w)
		var b *capture.Batch
		b, err = files.Next()
		w.Skip(b.Skipped[:], b.First, b.Last)
		w.Add(b.Frames)
		if b.Round || err != nil {
			w.Flush()
		}
		if b.End || err != nil {
			w.EmitDue()
		}
	}
	if err != io.EOF {
		return r, err
	}
	e.Finish(finding.EndOfInput)
	r.took = time.Since(began)
	runtime.ReadMemStats(&after)
	st := files.Stats()
	r.packets, r.bytes = st.Frames, st.BytesRead
	r.allocs, r.heap = after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	return r, nil
}
