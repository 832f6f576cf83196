package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/event"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/status"
)

// otherTime is a difference between the time of a stream's packets and the machine's that is said.
const otherTime = time.Minute

func (a *app) runCommand() *cobra.Command {
	var test bool
	c := &cobra.Command{
		Use:   "run [-i IF|-|FIFO]...",
		Short: "Listen on interfaces and write events",
		Long: "run listens on one or several interfaces until it is stopped (SIGINT or " +
			"SIGTERM), and writes events as JSON lines to standard output, or to output.file. " +
			"On a terminal it writes lines for a person instead: findings, and one line a " +
			"minute.\n\nWith -i - it takes a capture (pcap or pcapng) that another machine sends " +
			"to standard input, and with -i /path/of/fifo from a named pipe, while it is " +
			"written. When the stream ends the exit code is 75.",
		Example: "  sudo spamsensor run -i eth1\n  spamsensor run -c spamsensor.yaml\n" +
			"  ssh root@gw tcpdump -i wan -U -s0 -w - \"'port 25 or port 465 or port 587'\" | " +
			"spamsensor run -i -",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runLive(cmd.Context(), test)
		},
	}
	c.Flags().StringArrayVarP(&a.opt.interfaces, "interface", "i", nil,
		"capture on `IF`, - is standard input; repeatable")
	c.Flags().BoolVarP(&test, "test", "T", false, "check the configuration and end")
	return c
}

func (a *app) runLive(ctx context.Context, test bool) error {
	a.useDefaultConfig()
	cfg, err := loadConfig(&a.opt)
	if err != nil {
		return exit(exitUsage, err)
	}
	a.warn(cfg.warnings)
	if test {
		if err := errorsOf(checkNamed(cfg)); err != nil {
			return exit(exitUsage, err)
		}
		a.tell(a.stdout, "%s\n", a.opt.good())
		return nil
	}
	if err := cfg.checkSources(); err != nil {
		return exit(exitUsage, err)
	}
	cfg.completeForLive()
	log := a.logger(cfg)
	sighups := make(chan os.Signal, 1)
	signal.Notify(sighups, syscall.SIGHUP)
	defer signal.Stop(sighups)
	watchdog, stopWatchdog := startWatchdog(ctx, a.stderr)
	defer stopWatchdog()
	sources, err := a.openSources(cfg, watchdog)
	if err != nil {
		return err
	}
	checkpoints, err := openState(cfg, log)
	if err != nil {
		return exit(exitFailed, err)
	}
	person := a.newTerminal(cfg.names)
	out, closer, err := a.openLiveEvents(cfg, person != nil)
	if err != nil {
		return failedToOpen(err)
	}
	cfg.store = new(status.Store)
	p := newPipeline(cfg, randomRunID(), true, out, sources.Input, sources.Stats)
	p.closer = closer
	p.setWatchdog(watchdog)
	checkpoints.restore(p.engine)
	checkpoints.emitTo(p)
	if now := frame.ReadTime(wallTime()); cfg.streamName() != "" {
		p.engine.StartStream(now)
	} else {
		p.engine.Start(now)
	}
	p.inFlight = sources.inFlight()
	p.health.polled, p.health.recoveryTime = true, int64(recoveryTime)
	p.health.checkClock(wallTime(), steadyTime(), 0, false) // jumps count from here on
	p.inputs, p.messages = sources.states, &healthLog{log: log}
	p.terminal, p.open, p.acks = person, &openFindings{}, openAcks(cfg.state.dir, log)
	log.Info().Strs("configuration", a.opt.found.names).Strs("interfaces", cfg.interfaces).
		Strs("methods", sources.methods()).Msg("listening")

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	workers := sources.workers(p.engine) // before anybody asks the engine
	reloads := a.newReloader(cfg, p, log)
	if err := startControl(ctx, cfg, &questions{p: p, started: time.Now(), reloads: reloads,
		methods: sources.methods}, log); err != nil {
		return err
	}
	p.enterSandbox(a.opt.file, log)
	service := newManager(p, log)
	noReader := make(chan struct{}, 1)
	ended := a.listenAll(ctx, stop, sources, workers, p, log,
		func() { service.run(ctx) },
		func() { p.runHealthPoll(ctx, noReader) },
		func() { checkpoints.run(ctx) },
		func() { hangups(ctx, sighups, noReader, reloads, service) })
	return endOfStream(ended, p.finishLive(checkpoints, log))
}

// openLiveEvents opens the output of the events. Standard output gets none if a person reads it.
func (a *app) openLiveEvents(cfg *config, person bool) (io.Writer, io.Closer, error) {
	stdout := a.stdout
	if person {
		stdout = io.Discard
	}
	return openEvents(cmp.Or(cfg.output, "-"), false, pipeReaderWait, stdout,
		a.protectedFiles(cfg).check)
}

// completeForLive sets what run has by default: networks of this machine are ours, sessions of
// findings are written, sources every five minutes.
func (c *config) completeForLive() {
	e := &c.engine
	e.Live, e.Times = true, true
	if e.Home == nil {
		e.Home = append(append([]netip.Prefix{}, engine.DefaultHome...), localNetworks()...)
	}
	if e.Ports == nil {
		e.Ports = engine.DefaultPorts
	}
	e.AllSessions = c.sessions == "all"
	e.SourceInterval = cmp.Or(e.SourceInterval, int64(5*time.Minute))
}

// openInterfaces opens all interfaces. A missing one is wrong usage. One that is down is waited
// for, unless all are.
func openInterfaces(cfg *config) (sources liveSources, err error) {
	down := 0
	for i, name := range cfg.interfaces {
		sharers, err := openInterface(cfg, name, uint16(i))
		if errors.Is(err, capture.ErrDown) {
			down++
		}
		if err != nil && (!errors.Is(err, capture.ErrDown) || down == len(cfg.interfaces)) {
			code := exitFailed
			if errors.Is(err, capture.ErrNoInterface) {
				code = exitUsage
			}
			return nil, exit(code, err)
		}
		sources = append(sources, sharers)
	}
	return sources, nil
}

// openLive opens an interface once. Tests whose clock jumps replace it.
var openLive = func(c capture.LiveConfig) (liveSource, error) { return capture.OpenLive(c) }

// openInterface opens an interface, several times if capture.fanout says so. They share the buffer.
func openInterface(cfg *config, name string, from uint16) (sharers []liveSource, err error) {
	c := capture.LiveConfig{Interface: name, Snaplen: cfg.snaplen, Ports: cfg.engine.Ports,
		From: from, Method: cfg.method, Buffer: cfg.buffer}
	n := max(1, cfg.fanout)
	if n > 1 {
		c.Fanout = new(capture.Fanout)
		c.Buffer = cmp.Or(cfg.buffer, capture.DefaultBuffer) / n
	}
	for range n {
		s, openErr := openLive(c)
		sharers, err = append(sharers, s), cmp.Or(err, openErr)
	}
	return sharers, err
}

// finishLive ends the analysis, saves the state, and logs the account of the frames. The first
// error has the exit code.
func (p *pipeline) finishLive(checkpoints *checkpointer, log zerolog.Logger) error {
	failed := p.finish(finding.Shutdown)
	if lost := checkpoints.close(); failed == nil {
		failed = lost
	} else if lost != nil {
		log.Error().Err(lost).Msg("the state could not be saved")
	}
	st := p.engine.Stats()
	log.Info().Str("account", p.last.Account()).Uint64("frames", st.Frames).
		Uint64("kernel_drops", p.last.Capture.KernelDrops).Uint64("refused", st.Refused).
		Uint64("attempts", st.Attempts).Uint64("sessions", st.Sessions).Msg("stopped")
	return failed
}

// hangups reads the configuration and opens the file of the events again at each SIGHUP, for log
// rotation. It also follows the name of a named pipe without a reader to the pipe that has replaced
// it.
func hangups(ctx context.Context, sighups <-chan os.Signal, noReader <-chan struct{}, r *reloader,
	m *manager) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-sighups:
			m.notify(reloadingState())
			r.hangup()
			m.notify(daemon.SdNotifyReady)
		case <-noReader:
			r.followPipe()
		}
	}
}

// followPipe opens the named pipe of the events again if another one has its name.
func (r *reloader) followPipe() {
	name := r.output()
	if !r.p.pipeReplaced(name) {
		return
	}
	if opened, err := r.p.reopen(name, 0, r.check()); opened && err == nil {
		r.log.Info().Str("file", name).Msg("another named pipe has taken the place of the one " +
			"that was open: events go there")
	}
}

// hangup is what SIGHUP does.
func (r *reloader) hangup() {
	r.reload() // it logs what it did
	name := r.output()
	if isStdout(name) {
		r.log.Info().Msg("SIGHUP: events go to standard output, there is no file to open again")
		return
	}
	opened, err := r.p.reopen(name, pipeReaderWait, r.check())
	switch {
	case err != nil:
		r.log.Error().Err(err).Msg("SIGHUP: events go on to the file that was open")
	case opened:
		r.log.Info().Str("file", name).Msg("SIGHUP: the file of the events is open again")
	default:
		r.log.Info().Str("file", name).Msg("SIGHUP: the file of the events is still the same")
	}
}

// listenAll listens on all sources until the context ends, while the others run, and closes the
// sources. It returns the end of a stream, which is the only source.
func (a *app) listenAll(ctx context.Context, stop func(), sources liveSources,
	workers []*engine.Worker, p *pipeline, log zerolog.Logger,
	others ...func()) (ended *capture.StreamError) {
	var wg sync.WaitGroup
	for i, s := range slices.Concat(sources...) {
		w := workers[i]
		wg.Go(func() {
			defer stop() // an engine with too many faults, and a stream that ends, end all workers
			if end := a.listen(ctx, s, w, p, log); end != nil {
				ended = end
			}
		})
	}
	for _, f := range others {
		wg.Go(f)
	}
	wg.Wait()
	for _, s := range slices.Concat(sources...) {
		s.Close()
	}
	return ended
}

// listen delivers frames of an interface to the engine until the context ends, and then the frames
// that are left in the kernel's buffer.
func (a *app) listen(ctx context.Context, s liveSource, w *engine.Worker, p *pipeline,
	log zerolog.Logger) *capture.StreamError {
	work := p.watchdog.add("the work on a batch", w.Progress(), false)
	p.watchdog.expect(work)
	_, stream := s.(*capture.Stream)
	latest, clock := time.Now(), p.engine.Now() // of the last frame: here, and by its time
	streamTimes := sync.OnceFunc(func() { logStreamTimes(log, wallTime(), clock) })
	for ctx.Err() == nil && p.engine.Fault() == nil {
		b, err := s.Next()
		work.begin()
		if feed(w, b); len(b.Frames) > 0 {
			w.EmitDue()
			latest, clock = time.Now(), p.engine.Now()
			if stream {
				streamTimes()
			}
		} else if stream { // its times are those of the machine that captures
			w.Idle(clock + int64(time.Since(latest)))
		} else {
			w.Idle(frame.ReadTime(wallTime()))
		}
		work.end()
		if end := (*capture.StreamError)(nil); errors.As(err, &end) {
			return end
		} else if err != nil {
			log.Error().Err(err).Msg("the interface is gone; trying again every second")
		}
	}
	s.Drain(func(b *capture.Batch) {
		work.begin()
		defer work.end()
		feed(w, b)
	})
	return nil
}

// logStreamTimes says once that the packets of a stream are of another time than that of the
// machine: so are the times in the events.
func logStreamTimes(log zerolog.Logger, now, packets int64) {
	if off := time.Duration(now - packets); off.Abs() >= otherTime {
		log.Info().Str("packets", event.Timestamp(packets)).Str("machine", event.Timestamp(now)).
			Msg("the packets of the stream are of another time than this machine's (an old " +
				"capture, or another clock): times in events are those of the packets")
	}
}

// localNetworks returns the networks that this machine is in.
func localNetworks() (list []netip.Prefix) {
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
			list = append(list, p.Masked())
		}
	}
	return list
}

// logger returns the log of the command, on standard error.
func (a *app) logger(cfg *config) zerolog.Logger {
	out := io.Writer(a.stderr)
	if color := a.useColor(a.stderr); color || isTerminal(a.stderr) {
		out = zerolog.ConsoleWriter{Out: a.stderr, TimeFormat: time.TimeOnly, NoColor: !color}
	}
	a.level = &logLevel{Writer: out}
	a.level.set(&a.opt, cfg)
	return zerolog.New(a.level).With().Timestamp().Logger()
}
