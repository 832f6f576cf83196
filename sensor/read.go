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
	"strings"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/event"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/report"
	"spamsensor/sensor/verdict"
)

// readOptions are the options of `read`.
type readOptions struct {
	events     string
	html       string
	json       string
	csv        string
	failOn     string
	noProgress bool
	workers    int
	only       onlyOptions
}

func (a *app) readCommand() *cobra.Command {
	var o readOptions
	c := &cobra.Command{
		Use:   "read FILE|DIR|-...",
		Short: "Analyse capture files and print a report",
		Long: "read analyses capture files (pcap and pcapng, plain or compressed with gzip, " +
			"bzip2, zstd or xz), all those in a\n" +
			"directory, or standard input, in the order of their time, and prints a report.",
		Example: "  spamsensor read monday.pcap.gz\n" +
			"  spamsensor read --events - day.pcapng | jq 'select(.event_type==\"finding\")'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("read what? name capture files or directories, " +
					"or - for standard input")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.read(cmd.Context(), args, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.events, "events", "",
		"write events as JSON lines to `FILE`, - is standard output")
	f.StringVar(&o.html, "html", "",
		"write the report as one HTML `FILE`, to be sent on or printed")
	f.StringVar(&o.json, "json", "", "write the report as JSON to `FILE`")
	f.StringVar(&o.csv, "csv", "", "write the table of the hosts as CSV to `FILE`")
	f.StringVar(&o.failOn, "fail-on", "", "exit with 10 if there is a finding at this `LEVEL` "+
		"(suspect, likely, confirmed) or above, however long ago; "+
		"those for information do not count")
	f.BoolVar(&o.noProgress, "no-progress", false, "no progress bar")
	o.only.flags(f)
	f.IntVar(&o.workers, "workers", 0, "goroutines that share the work; "+
		"the result does not depend on it (default: one for each processor)")
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
		return exit(exitUsage,
			fmt.Errorf("--fail-on %s: want suspect, likely or confirmed", o.failOn))
	}
	watchdog, stop := startWatchdog(ctx, a.stderr)
	defer stop()
	steps := new(atomic.Uint64)
	if o.workers < 0 || o.workers > maxWorkers {
		return exit(exitUsage, fmt.Errorf("--workers %d: want 1 to %d, or 0 for one for each "+
			"processor", o.workers, maxWorkers))
	}
	if err := o.only.resolve(ctx, names); err != nil {
		return err
	}
	a.warn(cfg.warnings)
	cfg.engine.Helpers = cmp.Or(o.workers, cfg.workers, runtime.GOMAXPROCS(0))
	protected := a.protectedFiles(cfg)
	files, err := a.openFiles(cfg, names, &o, protected, watchdog, steps)
	if err != nil {
		return err
	}
	defer files.Close()
	cfg.sessionTable = o.only.table()
	cfg.engine.AllSessions = cfg.sessions != "evidence" || cfg.sessionTable && o.events == ""
	cfg.engine.Times = o.html != "" || o.json != "" // the text and the table show none
	cfg.engine.Seed = files.Fingerprint()
	var out io.Writer
	var closer io.Closer
	if o.events != "" {
		// A second run replaces the events of the first one.
		out, closer, err = openEvents(o.events, true, pipeReaderWait, a.stdout, protected.check)
		if err != nil {
			return failedToOpen(err)
		}
	}
	input := func(from uint16) string { return printable(files.Input(from)) }
	p := newPipeline(cfg, runID(files), false, out, input, files.Stats)
	p.closer = closer
	o.only.apply(p.report)
	p.setWatchdog(watchdog)
	if p.queue != nil {
		defer context.AfterFunc(ctx, p.queue.Hurry)()
	}

	began := time.Now()
	problems, interrupted := a.feedFiles(ctx, files, steps, p, o)
	reason := finding.EndOfInput
	if interrupted {
		reason = finding.Shutdown
	}
	failed := p.finish(reason)
	p.report.NotJudged(p.engine.Stats().Unjudged)
	m := a.model(p, names, &o.only, files.Stats(), problems, time.Since(began))
	if err := a.writeReports(m, &o, protected); err != nil && failed == nil {
		failed = exit(exitLost, err)
	}
	for _, problem := range problems {
		a.tell(a.stderr, "%v\n", problem)
	}
	a.printLeftOut(files)
	switch {
	case failed != nil:
		return failed
	case failOn != verdict.NoLevel && p.report.Worst() >= failOn: // also of what could be read
		return exit(exitFindings, nil)
	case len(problems) > 0:
		return exit(exitPartial, nil)
	}
	return nil
}

// runID returns the id of the run of an analysis: the same files give the same one.
func runID(files *capture.Files) string { return hex.EncodeToString(files.Fingerprint()[:6]) }

// printLeftOut says which files of directories are no captures.
func (a *app) printLeftOut(files *capture.Files) {
	names, n := files.LeftOut()
	if n == 0 || a.opt.quiet {
		return
	}
	more := ""
	if n > len(names) {
		more = fmt.Sprintf(" and %d more", n-len(names))
	}
	a.tell(a.stderr, "Left out, because they are no captures: %s%s\n",
		printable(strings.Join(names, ", ")), more)
}

// openFiles opens the capture files, and adds them to the protected files. Outputs are checked
// before and after: only then the files of directories are known. An error has the exit code of
// wrong usage.
func (a *app) openFiles(cfg *config, names []string, o *readOptions,
	protected *protectedFiles, w *watchdog, steps *atomic.Uint64) (*capture.Files, error) {
	for _, name := range names {
		if name == "-" {
			protected.addStream("an input,", "standard input", a.stdin)
		} else {
			protected.add("the input", name)
		}
	}
	if err := o.checkOutputs(protected, a.stdout, a.stderr); err != nil {
		return nil, err
	}
	opening := w.add("the opening of the files", steps, true)
	opening.begin()
	files, err := capture.OpenFiles(names, capture.FilesConfig{
		KnownLink: engine.KnownLink, Untimed: engine.Untimed,
		Prefilter: engine.Prefilter(cfg.engine.Ports),
		Only:      o.only.span(), Stdin: a.stdin, Steps: steps,
		Window: min(capture.DefaultWindow, int64(cfg.memory)/64),
	})
	opening.end()
	if err != nil {
		return nil, exit(exitUsage, errors.New(printable(err.Error())))
	}
	protected.captures = files.Reads
	if err := o.checkOutputs(protected, a.stdout, a.stderr); err != nil {
		files.Close()
		return nil, err
	}
	return files, nil
}

// feedFiles delivers all frames of the files to the engine. A fault of the engine does not end the
// run: the frame that caused it is given up, all other files are judged, and the exit code is 70.
// problems are the errors of unreadable input; interrupted reports that the context ended first.
func (a *app) feedFiles(ctx context.Context, files *capture.Files, steps *atomic.Uint64,
	p *pipeline, o readOptions) (problems []error, interrupted bool) {
	w := p.engine.Worker()
	reading := p.watchdog.add("the reading of a file", steps, true)
	work := p.watchdog.add("the work on a batch", w.Progress(), false)
	bar := a.progress(files, o)
	defer bar.Finish()
	for ctx.Err() == nil {
		feedWindows(ctx, files, w, reading, work)
		reading.begin()
		b, err := files.Next()
		reading.end()
		work.begin()
		w.Skip(b.Skipped[:], b.First, b.Last)
		w.Add(b.Frames)
		if b.Round || err != nil {
			w.Flush()
		}
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
			problems = append(problems, errors.New(printable(err.Error())))
		}
	}
	work.begin()
	w.Flush() // the frames that were read so far
	work.end()
	return problems, true
}

// printable makes the name of a file, or a sentence with a name, safe to print: anybody who can put
// a file into a directory that is read chooses its name.
func printable(name string) string { return event.Escape(name, 8192) }

// feedWindows delivers windows of a file to the engine that goroutines read side by side, as long
// as they can. reading is the job of the reading and decoding, work that of the rest.
func feedWindows(ctx context.Context, files *capture.Files, w *engine.Worker,
	reading, work *job) {
	for ctx.Err() == nil {
		windows := files.Windows(w.Ahead())
		if len(windows) == 0 {
			return
		}
		reading.begin()
		w.DecodeAhead(len(windows), func(i int) []frame.Frame { return windows[i].Next() })
		reading.end()
		for i, x := range windows {
			work.begin()
			taken := files.Follows(x) && w.TakeAhead(i)
			if taken {
				b := files.Take(x)
				w.Skip(b.Skipped[:], b.First, b.Last)
				w.EmitDue()
			}
			if work.end(); !taken {
				return
			}
		}
	}
}

// feed delivers a batch to the engine.
func feed(w *engine.Worker, b *capture.Batch) {
	w.Skip(b.Skipped[:], b.First, b.Last)
	w.Take(b.Frames)
}

// progress makes a progress bar on a terminal, and a silent one elsewhere.
func (a *app) progress(files *capture.Files, o readOptions) *progressbar.ProgressBar {
	total := int64(files.Stats().BytesTotal)
	if total == 0 {
		total = -1
	}
	out, ok := a.stderr.(*os.File)
	if o.noProgress || a.opt.quiet || !ok || !term.IsTerminal(int(out.Fd())) {
		return progressbar.DefaultBytesSilent(1 << 50)
	}
	return progressbar.NewOptions64(total, progressbar.OptionSetWriter(out),
		progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription(a.printer().Text("reading")),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth(),
		// The goroutine of a spinner and Set64 write the same state without a lock.
		progressbar.OptionSetSpinnerChangeInterval(0))
}

// model is what a report says of a run that has ended.
func (a *app) model(p *pipeline, names []string, only *onlyOptions, c capture.Stats,
	problems []error, took time.Duration) *report.Model {
	in := p.input(c, problems)
	in.Took, in.Sums = took, sumsOf(names, a.opt.verbose > 0)
	in.Settings, in.Only = append(a.opt.settings(), only.settings()...), only.about(p)
	for _, name := range names {
		in.Names = append(in.Names, printable(name))
	}
	p.engine.Between(func() { p.report.Times(p.engine.Times) })
	m := p.report.Model(&in)
	only.hints(p, m)
	return m
}

// terminalWidth is the width of a terminal in columns, zero if the stream is none.
func terminalWidth(out io.Writer) int {
	if f, ok := out.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			return width
		}
	}
	return 0
}

// errWriter keeps the first error of its writer, and writes nothing after it.
type errWriter struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (f *errWriter) Write(b []byte) (n int, err error) {
	if f.err == nil {
		n, f.err = f.w.Write(b)
	}
	return n, f.err
}

// useColor decides whether a stream gets colours.
func (a *app) useColor(out io.Writer) bool {
	switch a.opt.color {
	case "always":
		return true
	case "never":
		return false
	}
	f, ok := out.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(f.Fd()))
}
