package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/event"
	"spamsensor/sensor/report"
	"spamsensor/sensor/verdict"
)

// readOptions are the options of `read`.
type readOptions struct {
	events     string
	failOn     string
	noProgress bool
	workers    int
}

func (a *app) readCommand() *cobra.Command {
	var o readOptions
	c := &cobra.Command{
		Use:   "read FILE|DIR|-...",
		Short: "Analyse capture files and print a report",
		Long: "read analyses capture files (pcap and pcapng, plain or compressed with gzip, zstd or xz), all those in a\n" +
			"directory, or standard input, in the order of their time, and prints a report.",
		Example: "  spamsensor read monday.pcap.gz\n  spamsensor read --events - day.pcapng | jq 'select(.event_type==\"finding\")'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("read what? name capture files or directories, or - for standard input")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.read(cmd.Context(), args, o) },
	}
	f := c.Flags()
	f.StringVar(&o.events, "events", "", "write events as JSON lines to `FILE`, - is standard output")
	f.StringVar(&o.failOn, "fail-on", "", "exit with 10 if there is a finding at this `LEVEL` (suspect, likely, confirmed) or above; those for information do not count")
	f.BoolVar(&o.noProgress, "no-progress", false, "no progress bar")
	f.IntVar(&o.workers, "workers", 0, "goroutines that share the work; the result does not depend on it (default: one for each processor)")
	return c
}

func (a *app) read(ctx context.Context, names []string, o readOptions) error {
	a.opt.fromFiles = true
	cfg, err := loadConfig(&a.opt)
	if err != nil {
		return exit(exitUsage, err)
	}
	failOn, ok := verdict.ParseLevel(o.failOn)
	if o.failOn != "" && (!ok || failOn == verdict.NoLevel) {
		return exit(exitUsage, fmt.Errorf("--fail-on %s: want suspect, likely or confirmed", o.failOn))
	}
	watch, stop := watchOver(ctx, a.stderr)
	defer stop()
	steps := new(atomic.Uint64)
	opening := watch.add("the opening of the files", steps, true)
	workers := cmp.Or(o.workers, cfg.workers, runtime.GOMAXPROCS(0))
	reserved := a.untouchable(cfg)
	for _, name := range names {
		if name == "-" {
			reserved.addStream("an input,", "standard input", a.stdin)
		} else {
			reserved.add("the input", name)
		}
	}
	if err := reserved.checkOutputs(o.events, a.stdout, a.stderr); err != nil {
		return err
	}
	opening.begin()
	files, err := capture.OpenFiles(names, capture.FilesConfig{KnownLink: engine.KnownLink, Stdin: a.stdin, Prefilter: engine.Prefilter(cfg.engine.Ports), Untimed: engine.Untimed, Workers: workers, Steps: steps})
	opening.end()
	if err != nil {
		return exit(exitUsage, errors.New(shown(err.Error())))
	}
	defer files.Close()
	reserved.captures = files.Reads // what is in directories is known now
	if err := reserved.checkOutputs(o.events, a.stdout, a.stderr); err != nil {
		return err
	}

	cfg.engine.AllSessions = cfg.sessions != "evidence"
	cfg.engine.Seed = files.Fingerprint()
	cfg.engine.Helpers = workers
	var out io.Writer
	var closer io.Closer
	if o.events != "" {
		// A file read again does not append to what it said before.
		if out, closer, err = openEvents(o.events, true, readerWait, a.stdout, reserved.check); err != nil {
			return failedToOpen(err)
		}
	}
	p := newPipeline(cfg, hex.EncodeToString(files.Fingerprint()[:6]), false, out, func(from uint16) string { return shown(files.Input(from)) }, files.Stats)
	p.closer = closer
	p.watchedBy(watch)
	if p.queue != nil {
		defer context.AfterFunc(ctx, p.queue.Hurry)()
	}

	began := time.Now()
	problems, interrupted := a.pump(ctx, files, steps, p, o)
	reason := "end_of_input"
	if interrupted {
		reason = "shutdown"
	}
	failed := p.finish(reason)
	if err := a.printReport(p, names, files.Stats(), problems, time.Since(began), o.events == "-"); err != nil && failed == nil {
		failed = exit(exitLost, fmt.Errorf("the report is not whole: %w", err))
	}
	for _, problem := range problems {
		fmt.Fprintln(a.stderr, problem)
	}
	switch {
	case failed != nil:
		return failed
	case len(problems) > 0:
		return exit(exitPartial, nil)
	case failOn != verdict.NoLevel && p.report.Worst() >= failOn:
		return exit(exitFindings, nil)
	}
	return nil
}

// pump takes all frames from the files to the engine. Faults of the engine end nothing, however
// many there are: each costs what caused it, and all other files are judged. The exit code tells of
// them.
func (a *app) pump(ctx context.Context, files *capture.Files, steps *atomic.Uint64, p *pipeline, o readOptions) (problems []error, interrupted bool) {
	w := p.engine.Worker()
	reading := p.watch.add("the reading of a file", steps, true)
	work := p.watch.add("the work on a batch", w.Progress(), false)
	bar := a.progress(files, o)
	defer bar.Finish()
	for ctx.Err() == nil {
		reading.begin()
		b, err := files.Next()
		reading.end()
		work.begin()
		take(w, b)
		if b.End || err != nil {
			w.EmitDue()
		}
		work.end()
		if b.End || err != nil {
			bar.Set64(int64(files.Stats().BytesRead))
		}
		switch {
		case err == io.EOF:
			return problems, false
		case err != nil:
			problems = append(problems, errors.New(shown(err.Error())))
		}
	}
	return problems, true
}

// shown makes a file's name, or a sentence with one, safe to print: whoever may put a file into a directory that is read chooses its name.
func shown(name string) string { return event.Escape(name, 8192) }

// take gives a batch to the engine.
func take(w *engine.Worker, b *capture.Batch) {
	w.Skip(b.Skipped[:], b.First, b.Last)
	w.Take(b.Parts)
}

// progress is a bar on a terminal, and nothing elsewhere.
func (a *app) progress(files *capture.Files, o readOptions) *progressbar.ProgressBar {
	total := int64(files.Stats().BytesTotal)
	if total == 0 {
		total = -1
	}
	out, ok := a.stderr.(*os.File)
	if o.noProgress || a.opt.quiet || !ok || !term.IsTerminal(int(out.Fd())) {
		return progressbar.DefaultBytesSilent(1 << 50)
	}
	return progressbar.NewOptions64(total, progressbar.OptionSetWriter(out), progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription("reading"), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth(),
		progressbar.OptionSetSpinnerChangeInterval(0)) // its goroutine and Set64 write the same state without a lock
}

// printReport prints the report to standard output, or to standard error when events go
// there. The error is that of writing.
func (a *app) printReport(p *pipeline, names []string, c capture.Stats, problems []error, took time.Duration, eventsOut bool) error {
	if a.opt.quiet {
		return nil
	}
	out := a.stdout
	if eventsOut {
		out = a.stderr
	}
	st := p.engine.Stats()
	for i := range names {
		names[i] = shown(names[i])
	}
	in := report.Input{Names: names, Frames: st.Frames, Refused: st.Refused, Bytes: c.BytesRead, First: st.First, Last: st.Last, Took: took,
		Drops: c.KernelDrops + c.InterfaceDrops, Loss: p.last.Loss, Account: p.last.Account(), Problems: problems, HomeSeen: st.HomeSeen, Attempts: st.Attempts, Sessions: st.Sessions,
		SeenBoth: st.SeenBoth, SeenClient: st.SeenClient, SeenServer: st.SeenServer, Gaps: st.Gaps, Midstream: st.Midstream}
	in.Unused = p.engine.Unused()
	for _, n := range st.Outcomes {
		if n.Refused {
			in.RefusedBy = append(in.RefusedBy, fmt.Sprintf("%d %s", n.N, n.Name))
		}
	}
	w := &faultyWriter{w: out}
	p.report.Text(w, &in, a.colored(out))
	return w.err
}

// faultyWriter remembers the first error, and writes no more.
type faultyWriter struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (f *faultyWriter) Write(b []byte) (n int, err error) {
	if f.err == nil {
		n, f.err = f.w.Write(b)
	}
	return n, f.err
}

// colored decides whether a stream gets colours.
func (a *app) colored(out io.Writer) bool {
	switch a.opt.color {
	case "always":
		return true
	case "never":
		return false
	}
	f, ok := out.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(f.Fd()))
}
