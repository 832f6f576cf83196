package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"text/tabwriter"
)

// countedLoads are the workloads, with two sizes in MB. The difference of their counts is that of
// the packets between them: the start of the program drops out. No size is below 16 MB, up to which
// the report has a sum of the file.
var countedLoads = []struct {
	name         string
	small, large uint64
}{{"w1", 18, 54}, {"w2", 18, 30}, {"w3", 18, 32}}

// instructions counts the instructions and the cache misses of each stage, and compares the
// instructions with the budget. They do not depend on the load of the machine, and nearly not on
// its processor: valgrind's cachegrind simulates one, with 32 KiB of cache for instructions, as
// much for data, and a second level of 1 MiB. So the budget can be kept in the source tree.
func instructions(args []string, stdout, stderr io.Writer) int {
	flags := newFlags("bench instructions", "", stderr)
	file := flags.String("budget", "bench/testdata/instructions.budget",
		"file of the instructions that each stage may take")
	update := flags.Bool("update", false, "write the budget instead of comparing with it")
	if flags.Parse(args) != nil {
		return 2
	}
	if flags.NArg() != 0 {
		flags.Usage()
		return 2
	}
	over, err := countInstructions(*file, *update, stdout)
	for _, o := range over {
		fmt.Fprintf(stderr, "bench: over the budget: %s\n", o)
	}
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
	}
	if err != nil || len(over) > 0 {
		return 1
	}
	return 0
}

// errNoValgrind says that instructions cannot be counted.
var errNoValgrind = errors.New("valgrind is not installed (on Debian: apt-get install valgrind)")

// countInstructions measures all workloads, prints the table, and writes the budget or compares
// with it: over has the stages that take more.
func countInstructions(file string, update bool, out io.Writer) (over []string, err error) {
	if _, err := exec.LookPath("valgrind"); err != nil {
		return nil, errNoValgrind
	}
	b := budget{}
	if !update {
		if b, err = readBudget(file); err != nil {
			return nil, err
		}
	}
	// Without the profile for the compiler: a profile that is taken anew moves functions to the
	// packages that call them.
	dir, sensor, err := buildSensor("-pgo=off")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	all := map[string]stages{}
	for _, l := range countedLoads {
		s, err := countStages(sensor, dir, l.name, l.small*1e6, l.large*1e6)
		if err != nil {
			return nil, err
		}
		all[l.name] = s
	}
	printStages(out, all, b)
	if update {
		return nil, writeBudget(file, all)
	}
	return b.exceeded(all), nil
}

// countStages counts what the sensor does for a packet of a workload.
func countStages(sensor, dir, load string, small, large uint64) (stages, error) {
	type run struct {
		counted functions
		packets uint64
		err     error
	}
	var runs [2]chan run
	for i, size := range []uint64{small, large} { // side by side, as they do not disturb each other
		runs[i] = make(chan run, 1)
		go func() {
			var r run
			file := filepath.Join(dir, fmt.Sprintf("%s-%d.pcap", load, i))
			if r.packets, r.err = generateFile(load, size, file); r.err == nil {
				r.counted, r.err = runCachegrind(sensor, file)
			}
			runs[i] <- r
		}()
	}
	a, b := <-runs[0], <-runs[1]
	if err := errors.Join(a.err, b.err); err != nil {
		return nil, fmt.Errorf("%s: %w", load, err)
	}
	return perPacket(a.counted, b.counted, b.packets-a.packets), nil
}

// generateFile writes a workload and returns the number of its packets.
func generateFile(load string, size uint64, file string) (packets uint64, err error) {
	f, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	c, err := workload(load, size, 1, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	return c.Packets, nil
}

// runCachegrind runs the sensor on a capture in the simulated processor.
func runCachegrind(sensor, capture string) (functions, error) {
	counts := capture + ".counts"
	c := exec.Command("valgrind", "--tool=cachegrind", "--cache-sim=yes", "--I1=32768,8,64",
		"--D1=32768,8,64", "--LL=1048576,16,64", "--cachegrind-out-file="+counts, sensor, "read",
		"--no-progress", "--workers", "1", capture)
	// Valgrind does not know the instruction rdtscp. A collection of garbage may come in one of two
	// runs and not in the other.
	c.Env = append(os.Environ(), "GODEBUG=cpu.rdtscp=off", "GOGC=off")
	errs, err := os.Create(capture + ".stderr")
	if err != nil {
		return nil, err
	}
	defer errs.Close()
	c.Stderr = errs
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("valgrind: %w: %s", err, failureReason(headAndTail(errs)))
	}
	f, err := os.Open(counts)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseCachegrind(f)
}

// printStages prints a row for each stage, with the counts of all workloads beside its budget.
func printStages(out io.Writer, all map[string]stages, b budget) {
	var names []string
	for _, s := range all {
		for name, c := range s {
			if c.instructions >= 0.5 {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	slices.SortStableFunc(names, func(x, y string) int {
		return int(sumOver(all, y)) - int(sumOver(all, x))
	})
	fmt.Fprintln(out, "Instructions a packet, and the budget. Cache misses a packet: of "+
		"instructions in the\nfirst level (I1), of data in the second (L2).")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "\t")
	for _, l := range countedLoads {
		fmt.Fprintf(w, "%s\tbudget\tI1\tL2\t", l.name)
	}
	fmt.Fprintln(w)
	for _, name := range names {
		fmt.Fprintf(w, "%s\t", name)
		for _, l := range countedLoads {
			c := all[l.name][name]
			allowed := ""
			if n, ok := b[budgetKey{l.name, name}]; ok {
				allowed = fmt.Sprint(n)
			}
			fmt.Fprintf(w, "%.0f\t%s\t%.2f\t%.2f\t", c.instructions, allowed, c.codeMisses,
				c.dataMisses)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}

// sumOver is the number of a stage's instructions in all workloads.
func sumOver(all map[string]stages, stage string) (n float64) {
	for _, s := range all {
		n += s[stage].instructions
	}
	return n
}
