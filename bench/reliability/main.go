// Command reliability runs the project's tests and prints each figure that they measure for a goal
// of reliability (R1, R2, ...), beside the goal, with the verdict of the test.
//
//	go run ./bench/reliability            all tests
//	go run ./bench/reliability -long      the long forms of tests that have one (SPAMSENSOR_LONG)
//
// Words: a goal is a property with a number; a figure is the measured value for a goal. A test
// prints a figure with t.Logf("R15: figure (goal bound)"). A goal without a figure counts as not
// reached.
//
// Tests compare times with a goal only if this command runs them (SPAMSENSOR_FIGURES), because the
// machine of any other run may be shared. The command does not judge figures itself: the tests do.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// goals are the numbers of the goals that must have a figure.
var goals = []int{1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 28, 29,
	30, 31}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("reliability", flag.ContinueOnError)
	flags.SetOutput(stderr)
	long := flags.Bool("long", false,
		"run the long forms of the tests, which may take half an hour")
	if flags.Parse(args) != nil {
		return 2
	}
	packages := flags.Args()
	if len(packages) == 0 {
		packages = []string{"./..."}
	}
	c := exec.Command("go", append([]string{"test", "-json", "-count=1", "-timeout=60m"},
		packages...)...)
	c.Stderr = stderr
	c.Env = append(os.Environ(), "SPAMSENSOR_FIGURES=1")
	if *long {
		c.Env = append(c.Env, "SPAMSENSOR_LONG=1")
	}
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		fmt.Fprintf(stderr, "cannot run the tests: %v\n", err)
		return 1
	}
	figures, failed := gather(out)
	err = c.Wait()
	good := show(stdout, figures)
	for _, name := range failed {
		fmt.Fprintf(stdout, "FAIL  %s\n", name)
	}
	if err != nil || !good {
		return 1
	}
	return 0
}

// figure is a measurement of a test for a goal.
type figure struct {
	goal       int
	text, test string
	verdict    string // of the test: PASS, FAIL or SKIP
}

// figureLine matches the line in which a test prints a figure: "file.go:12: R15: text".
var figureLine = regexp.MustCompile(`^\s*\S+\.go:\d+: R(\d+): (.*)$`)

// gather reads the output of go test -json: all figures with the verdicts of their tests, and the
// names of failed tests.
func gather(r io.Reader) (figures []figure, failed []string) {
	type event struct{ Action, Package, Test, Output string }
	verdicts := map[string]string{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		name := strings.TrimPrefix(e.Package, "spamsensor/") + " " + e.Test
		switch e.Action {
		case "output":
			if m := figureLine.FindStringSubmatch(strings.TrimRight(e.Output, "\n")); m != nil {
				n, _ := strconv.Atoi(m[1])
				figures = append(figures, figure{goal: n, text: m[2], test: name})
			}
		case "pass", "fail", "skip":
			verdicts[name] = strings.ToUpper(e.Action)
			if e.Action == "fail" {
				failed = append(failed, strings.TrimSpace(name))
			}
		}
	}
	for i := range figures {
		// A test that did not end has failed.
		figures[i].verdict = cmp.Or(verdicts[figures[i].test], "FAIL")
	}
	slices.SortStableFunc(figures, func(a, b figure) int { return cmp.Compare(a.goal, b.goal) })
	return figures, failed
}

// show prints a table, and reports whether each goal has a figure and all tests passed.
func show(w io.Writer, figures []figure) bool {
	good := true
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.AppendHeader(table.Row{"goal", "verdict", "measured", "test"})
	for _, n := range goals {
		if !slices.ContainsFunc(figures, func(f figure) bool { return f.goal == n }) {
			figures = append(figures,
				figure{goal: n, verdict: "MISSING", text: "no test tells a figure"})
		}
	}
	slices.SortStableFunc(figures, func(a, b figure) int { return cmp.Compare(a.goal, b.goal) })
	for _, f := range figures {
		good = good && f.verdict == "PASS"
		t.AppendRow(table.Row{fmt.Sprintf("R%d", f.goal), f.verdict, f.text, f.test})
	}
	t.SetColumnConfigs([]table.ColumnConfig{{Name: "measured", WidthMax: 90}})
	t.Render()
	fmt.Fprintf(w, "%s/%s, %s, %d processors\n", runtime.GOOS, runtime.GOARCH, runtime.Version(),
		runtime.NumCPU())
	return good
}
