package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/doctor"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/setup"
)

// setupOptions are the options of `setup`.
type setupOptions struct {
	iface, file string
	learn       time.Duration
	yes         bool
	output      string
	places      setup.Places
}

const (
	// setupLearn is how long setup learns, maxSetupLearn bounds --for.
	setupLearn    = time.Minute
	maxSetupLearn = 24 * time.Hour
	// chooseTime is how long each interface is looked at to choose one, chooseFrames how many
	// frames of it.
	chooseTime   = 5 * time.Second
	chooseFrames = 2_000
)

func (a *app) setupCommand() *cobra.Command {
	var o setupOptions
	c := &cobra.Command{
		Use:   "setup [-i IF] [--for 60s] [--yes]",
		Short: "Write the first configuration, from what is heard",
		Long: "setup chooses the interface with the mirrored traffic, checks it as doctor does, " +
			"learns for a minute,\nand writes a configuration with the home networks and the " +
			"mail servers that it saw, each with its evidence.\nA file that exists is never " +
			"overwritten: the difference is printed. With --yes the file is written without a\n" +
			"question, the service is enabled where systemd runs, and a test notice is sent.",
		Example: "  sudo spamsensor setup\n  sudo spamsensor setup -i eth1 --for 10m --yes\n" +
			"  spamsensor setup -r monday.pcap.gz",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.setup(cmd.Context(), o) },
	}
	f := c.Flags()
	f.StringVarP(&o.iface, "interface", "i", "",
		"listen on `IF` (default: the one with the mirrored traffic)")
	f.StringVarP(&o.file, "read", "r", "", "learn from the capture `FILE`, and print the "+
		"configuration")
	f.DurationVar(&o.learn, "for", setupLearn, "how long to learn")
	f.BoolVar(&o.yes, "yes", false, "write the file and enable the service without a question")
	f.StringVar(&o.output, "to", defaultConfig, "write the configuration to `FILE`; - prints it")
	return c
}

func (a *app) setup(ctx context.Context, o setupOptions) error {
	if o.learn <= 0 || o.learn > maxSetupLearn {
		return exit(exitUsage, fmt.Errorf("--for %v: want a time up to %v", o.learn, maxSetupLearn))
	}
	if o.file != "" {
		return a.setupFromFile(ctx, o.file)
	}
	cfg, err := loadConfig(&a.opt)
	if err != nil {
		return exit(exitUsage, err)
	}
	o.places = setup.Places{Events: cmp.Or(cfg.output, defaultPlaces.Events),
		State: cmp.Or(cfg.state.dir, defaultPlaces.State)}
	facts := setup.Facts{Interface: o.iface, Why: "named by -i"}
	if o.iface == "" {
		facts.Interface, facts.Why, err = a.chooseInterface(ctx, cfg)
		if err != nil {
			return err
		}
		a.say("Interface  %s: %s\n", printable(facts.Interface), facts.Why)
	}
	if err := a.examineMirror(ctx, cfg, facts.Interface, o.learn); err != nil {
		return err
	}
	a.say("Learning   for %v: which networks and mail servers are ours\n", o.learn)
	learned, err := a.learnLive(ctx, cfg, facts.Interface, o.learn)
	if err != nil {
		return err
	}
	learned.Interface, learned.Why = facts.Interface, facts.Why
	return a.install(ctx, o, learned)
}

// say writes what setup does.
func (a *app) say(format string, args ...any) {
	if !a.opt.quiet {
		a.tell(a.stderr, format, args...)
	}
}

// examineMirror prints what doctor says, and ends setup if the sensor would be blind.
func (a *app) examineMirror(ctx context.Context, cfg *config, name string,
	learn time.Duration) error {
	d := doctorConfig(cfg)
	d.For = min(doctorTime, max(learn, 2*time.Second))
	r, err := a.doctorLive(ctx, cfg, d, name)
	if err != nil {
		return err
	}
	for i := range r.Lines {
		if l := &r.Lines[i]; l.Level >= doctor.Limits {
			a.say("Mirror     %s: %s\n           %s\n", l.Level, l.What, l.Do)
		}
	}
	if p := a.printer(); !a.opt.quiet {
		fmt.Fprint(a.stderr, p.Sprintf("Mirror     %s: %s\n", p.Text(string(r.Verdict)),
			r.SummaryIn(p)))
	}
	if r.Verdict == doctor.VerdictBlind {
		return exit(exitBlind, fmt.Errorf("setup has written nothing: on %s the sensor would be "+
			"blind (spamsensor doctor -i %s says how to mend that)", printable(name),
			printable(name)))
	}
	return nil
}

// learnEngine makes an engine whose sessions and findings go to a learner.
func learnEngine(cfg *config, l *setup.Learner, live bool) *engine.Engine {
	cfg.engine.Live, cfg.engine.AllSessions = live, true
	cfg.engine.Helpers, cfg.engine.Probe = runtime.GOMAXPROCS(0), probe
	return engine.New(cfg.engine, engine.Output{Session: l.Session, Finding: l.Finding})
}

// learnLive listens on an interface.
func (a *app) learnLive(ctx context.Context, cfg *config, name string, d time.Duration) (
	*setup.Facts, error) {
	cfg.completeForLive()
	var l setup.Learner
	e := learnEngine(cfg, &l, true)
	w := e.Worker()
	live, err := capture.OpenLive(capture.LiveConfig{Interface: name, Snaplen: cfg.snaplen,
		Ports: cfg.engine.Ports, Buffer: cfg.buffer, Method: cfg.method})
	if err != nil {
		return nil, exit(exitFailed, errors.New(printable(err.Error())))
	}
	defer live.Close()
	e.Start(frame.ReadTime(time.Now().UnixNano()))
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; {
		b, err := live.Next()
		feed(w, b)
		if len(b.Frames) == 0 {
			w.Idle(frame.ReadTime(time.Now().UnixNano()))
		}
		if err != nil {
			return nil, exit(exitFailed, fmt.Errorf("the interface %s went away while it was "+
				"heard: %w", printable(name), err))
		}
	}
	if ctx.Err() != nil {
		return nil, exit(exitFailed, errors.New("interrupted: nothing was written"))
	}
	e.Finish(finding.Shutdown)
	f := l.Facts(cfg.engine.Home)
	f.Heard = d
	markLocal(&f)
	return &f, nil
}

// markLocal says which networks the capturing machine itself is in.
func markLocal(f *setup.Facts) {
	local := localNetworks()
	for i := range f.Home {
		if slices.Contains(local, f.Home[i].Prefix) {
			f.Home[i].Why = "this machine is in it"
		}
	}
}

// setupFromFile learns from a capture, and prints the configuration.
func (a *app) setupFromFile(ctx context.Context, name string) error {
	a.opt.fromFiles = true
	cfg, err := loadConfig(&a.opt)
	if err != nil {
		return exit(exitUsage, err)
	}
	watchdog, stop := startWatchdog(ctx, a.stderr)
	defer stop()
	steps := new(atomic.Uint64)
	files, err := a.openFiles(cfg, []string{name}, &readOptions{}, a.protectedFiles(cfg), watchdog,
		steps)
	if err != nil {
		return err
	}
	defer files.Close()
	var l setup.Learner
	e := learnEngine(cfg, &l, false)
	p := &pipeline{cfg: cfg, engine: e, watchdog: watchdog}
	problems, _ := a.feedFiles(ctx, files, steps, p, readOptions{noProgress: true})
	e.Finish(finding.EndOfInput)
	f := l.Facts(homeOf(cfg))
	st := e.Stats()
	f.Interface, f.Heard = "eth1", time.Duration(st.Last-st.First)
	f.Why = "change it to the interface with the mirrored traffic: spamsensor interfaces"
	fmt.Fprint(a.stdout, setup.Write(&f, defaultPlaces, nil, time.Now(), a.printer()))
	for _, problem := range problems {
		a.tell(a.stderr, "%v\n", problem)
	}
	if len(problems) > 0 {
		return exit(exitPartial, nil)
	}
	return nil
}
