package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// counts are what cachegrind counted for a function, or a packet's share of it in a stage.
type counts struct {
	instructions float64
	codeMisses   float64 // reads of instructions that the first level of the cache did not have
	dataMisses   float64 // reads and writes of data that the second level did not have
}

func (c counts) add(o counts, times float64) counts {
	return counts{c.instructions + times*o.instructions, c.codeMisses + times*o.codeMisses,
		c.dataMisses + times*o.dataMisses}
}

// functions are the counts of a run, by function; stages those of a packet, by stage.
type (
	functions map[string]counts
	stages    map[string]counts
)

// The stages that are no package of ours.
const (
	stageOthers = "Go and libraries"
	stageTotal  = "total"
)

// parseCachegrind reads an output file of cachegrind: a line with the names of the events, then for
// each function a line with its name and lines of a line number and the counts of the events, and
// at the end a summary.
func parseCachegrind(r io.Reader) (functions, error) {
	out := functions{}
	var events []string
	var function string
	var total, summary float64
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20) // the names of generic functions are long
	for n := 1; in.Scan(); n++ {
		line := in.Text()
		bad := func(what string) error {
			return fmt.Errorf("cachegrind's output, line %d: %s: %.80q", n, what, line)
		}
		key, value, _ := strings.Cut(line, ": ")
		switch {
		case key == "events":
			if events = strings.Fields(value); !slices.Contains(events, "Ir") {
				return nil, bad("no instructions are counted")
			}
		case strings.HasPrefix(line, "fn="):
			function = line[len("fn="):]
		case key == "summary":
			c, err := parseCounts(events, strings.Fields(value))
			if err != nil {
				return nil, bad(err.Error())
			}
			summary = c.instructions
		case line != "" && line[0] >= '0' && line[0] <= '9':
			c, err := parseCounts(events, strings.Fields(line)[1:])
			if err != nil {
				return nil, bad(err.Error())
			}
			out[function] = out[function].add(c, 1)
			total += c.instructions
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("cachegrind's output: %w", err)
	}
	if total == 0 || total != summary {
		return nil, fmt.Errorf("cachegrind's output is not whole: %.0f instructions, %.0f by its "+
			"summary", total, summary)
	}
	return out, nil
}

// parseCounts adds up the numbers that belong to counts. At the end of a line cachegrind leaves out
// zeros.
func parseCounts(events, numbers []string) (c counts, err error) {
	if len(numbers) > len(events) {
		return c, errors.New("more numbers than events")
	}
	for i, s := range numbers {
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return c, errors.New("not a number")
		}
		switch events[i] {
		case "Ir":
			c.instructions += float64(v)
		case "I1mr":
			c.codeMisses += float64(v)
		case "DLmr", "DLmw":
			c.dataMisses += float64(v)
		}
	}
	return c, nil
}

// perPacket is the difference of two runs, of which the second had more packets.
func perPacket(small, large functions, packets uint64) stages {
	out := stages{}
	for name, c := range large {
		s := stage(name)
		out[s] = out[s].add(c, 1/float64(packets))
		out[stageTotal] = out[stageTotal].add(c, 1/float64(packets))
	}
	for name, c := range small {
		s := stage(name)
		out[s] = out[s].add(c, -1/float64(packets))
		out[stageTotal] = out[stageTotal].add(c, -1/float64(packets))
	}
	return out
}

// stage is the package of a function, if it is ours.
func stage(function string) string {
	path := strings.TrimPrefix(function, "type:.eq.") // a comparison that the compiler has made
	if rest, ok := strings.CutPrefix(path, "spamsensor/"); ok {
		name, _, _ := strings.Cut(rest, ".")
		return name
	}
	if strings.HasPrefix(path, "main.") {
		return "sensor"
	}
	return stageOthers
}

// budgetKey is a stage in a workload.
type budgetKey struct{ load, stage string }

// budget has the instructions that a stage may take for a packet.
type budget map[budgetKey]int

// readBudget reads a file of lines with a workload, a number of instructions, and a stage.
func readBudget(file string) (budget, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	b := budget{}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 3 {
			return nil, fmt.Errorf("%s, line %d: %q", file, n, line)
		}
		v, err := strconv.Atoi(fields[1])
		if err != nil || v < 0 {
			return nil, fmt.Errorf("%s, line %d: %q is no number of instructions", file, n,
				fields[1])
		}
		b[budgetKey{fields[0], strings.Join(fields[2:], " ")}] = v
	}
	return b, nil
}

// writeBudget writes what was measured as the budget, without stages of less than one instruction.
func writeBudget(file string, all map[string]stages) error {
	out := []byte("# Instructions a packet: workload, instructions, stage. " +
		"Written by go run ./bench instructions -update\n")
	for _, l := range countedLoads {
		s := all[l.name]
		var names []string
		for name, c := range s {
			if c.instructions >= 1 {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			out = fmt.Appendf(out, "%s %.0f %s\n", l.name, s[name].instructions, name)
		}
	}
	return os.WriteFile(file, out, 0o644)
}

// Both bounds must be exceeded: ten per cent of a small stage are a few instructions, which the
// compiler may add for no reason that one could find.
const (
	tolerance      = 0.10
	tolerableCount = 10
)

// exceeded has a line for each stage that takes more than its budget. A stage without one has zero.
func (b budget) exceeded(all map[string]stages) (over []string) {
	for load, s := range all {
		for name, c := range s {
			allowed := float64(b[budgetKey{load, name}])
			if c.instructions > math.Max(allowed*(1+tolerance), allowed+tolerableCount) {
				over = append(over, fmt.Sprintf("%s, %s: %.0f instructions a packet, budget %.0f",
					load, name, c.instructions, allowed))
			}
		}
	}
	slices.Sort(over)
	return over
}
