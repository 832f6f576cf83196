package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
)

func (a *app) runCommand() *cobra.Command {
	var test bool
	c := &cobra.Command{
		Use:     "run [-i IF]...",
		Short:   "Listen on interfaces and write events",
		Long:    "run listens on one or several interfaces until it is told to stop, and writes events as JSON lines to standard output, or to output.file.",
		Example: "  sudo spamsensor run -i eth1\n  spamsensor run -c /etc/spamsensor.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runLive(cmd.Context(), test) },
	}
	c.Flags().StringArrayVarP(&a.opt.interfaces, "interface", "i", nil, "capture on `IF`; repeatable")
	c.Flags().BoolVarP(&test, "test", "T", false, "check the configuration and end")
	return c
}

// liveSources are the interfaces that are captured on.
type liveSources []*capture.Live

func (l liveSources) Stats() (t capture.Stats) {
	for _, s := range l {
		n := s.Stats()
		t.Frames += n.Frames
		t.Bytes += n.Bytes
		t.BytesRead += n.BytesRead
		t.KernelDrops += n.KernelDrops
		t.InterfaceDrops += n.InterfaceDrops
		t.Errors += n.Errors
		t.Unread += n.Unread
		t.Arrived += n.Arrived
	}
	return t
}

func (l liveSources) Input(from uint16) string { return l[from].Input(0) }

func (a *app) runLive(ctx context.Context, test bool) error {
	cfg, err := loadConfig(&a.opt)
	if err != nil {
		return exit(exitUsage, err)
	}
	if test {
		fmt.Fprintln(a.stdout, "the configuration is good")
		return nil
	}
	if len(cfg.interfaces) == 0 {
		return exit(exitUsage, errors.New("no interface to listen on: -i IF, or capture.interfaces in the configuration (spamsensor interfaces lists them)"))
	}
	log := a.logger(cfg)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	if cfg.engine.Home == nil {
		cfg.engine.Home = append(append([]netip.Prefix{}, engine.DefaultHome...), ownNetworks()...)
	}
	if cfg.engine.Ports == nil {
		cfg.engine.Ports = engine.DefaultPorts
	}
	var sources liveSources
	for i, name := range cfg.interfaces {
		s, err := capture.OpenLive(capture.LiveConfig{Interface: name, Snaplen: cfg.snaplen, Buffer: cfg.buffer, Ports: cfg.engine.Ports, From: uint16(i)})
		if err != nil {
			code := exitFailed
			if errors.Is(err, capture.ErrNoInterface) {
				code = exitUsage
			}
			return exit(code, err)
		}
		sources = append(sources, s)
	}
	keep, err := openState(cfg, log)
	if err != nil {
		return exit(exitFailed, err)
	}
	reserved := a.untouchable(cfg)
	out, closer, err := openEvents(cmp.Or(cfg.output, "-"), false, readerWait, a.stdout, reserved.check)
	if err != nil {
		return failedToOpen(err)
	}
	cfg.engine.Live = true
	cfg.engine.AllSessions = cfg.sessions == "all"
	if cfg.engine.SourceInterval == 0 {
		cfg.engine.SourceInterval = int64(5 * time.Minute)
	}
	watch, unwatch := watchOver(ctx, a.stderr)
	defer unwatch()
	p := newPipeline(cfg, randomRun(), true, out, sources.Input, sources.Stats)
	p.closer = closer
	p.watchedBy(watch)
	keep.restore(p.engine)
	keep.tells(p)
	p.engine.Start(time.Now().UnixNano())
	p.flight = int64(len(sources)) * capture.LiveBatch
	p.health.looks, p.health.calm = true, int64(calm)
	log.Info().Strs("interfaces", cfg.interfaces).Msg("listening")
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	for _, s := range sources {
		w := p.engine.Worker()
		wg.Go(func() {
			defer stop() // the others need not go on with an engine that gave up
			a.listen(ctx, s, w, p, log)
		})
	}
	wg.Go(func() { p.lookAround(ctx, sources, log) })
	wg.Go(func() { keep.run(ctx) })
	wg.Go(func() { reopen(ctx, hangups, cfg.output, reserved, p, log) })
	wg.Wait()
	for _, s := range sources {
		s.Close()
	}
	failed := p.finish("shutdown")
	if lost := keep.close(); failed == nil {
		failed = lost
	} else if lost != nil {
		log.Error().Err(lost).Msg("the state could not be saved")
	}
	st := p.engine.Stats()
	log.Info().Str("account", p.last.Account()).Uint64("frames", st.Frames).Uint64("kernel_drops", p.last.Capture.KernelDrops).Uint64("refused", st.Refused).
		Uint64("attempts", st.Attempts).Uint64("sessions", st.Sessions).Msg("stopped")
	return failed
}

// reopen opens the file of the events again at each SIGHUP, for who rotates it, and a named pipe
// that nobody reads where another one has taken its place.
func reopen(ctx context.Context, hangups <-chan os.Signal, name string, u *untouchable, p *pipeline, log zerolog.Logger) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		case <-tick.C:
			if p.replaced(name) {
				if again, err := p.reopen(name, 0, u.check); again && err == nil {
					log.Info().Str("file", name).Msg("another named pipe has taken the place of the one that was open: events go there")
				}
			}
			continue
		}
		if name == "" || name == "-" {
			log.Info().Msg("SIGHUP: events go to standard output, there is no file to open again; settings are read at the start only")
			continue
		}
		again, err := p.reopen(name, readerWait, u.check)
		if err != nil {
			log.Error().Err(err).Msg("SIGHUP: events go on to the file that was open")
			continue
		}
		if !again {
			log.Info().Str("file", name).Msg("SIGHUP: the file of the events is still the same; settings are read at the start only")
			continue
		}
		log.Info().Str("file", name).Msg("SIGHUP: the file of the events is open again; settings are read at the start only")
	}
}

// listen takes frames from an interface to the engine until the context ends, and then what the
// kernel still holds for us.
func (a *app) listen(ctx context.Context, s *capture.Live, w *engine.Worker, p *pipeline, log zerolog.Logger) {
	work := p.watch.add("the work on a batch", w.Progress(), false)
	for ctx.Err() == nil && p.engine.Fault() == nil {
		b, err := s.Next()
		work.begin()
		if take(w, b); len(b.Parts) > 0 {
			w.EmitDue()
		} else {
			w.Idle(time.Now().UnixNano())
		}
		work.end()
		if err != nil {
			log.Error().Err(err).Msg("the interface is gone; trying again every second")
		}
	}
	s.Drain(func(b *capture.Batch) {
		work.begin()
		defer work.end()
		take(w, b)
	})
}

// ownNetworks are the networks that this machine is in.
func ownNetworks() (list []netip.Prefix) {
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
			list = append(list, p.Masked())
		}
	}
	return list
}

// logger is the command's own log, on standard error.
func (a *app) logger(cfg *config) zerolog.Logger {
	level := zerolog.InfoLevel
	if l, err := zerolog.ParseLevel(cfg.logLevel); err == nil && cfg.logLevel != "" {
		level = l
	}
	switch {
	case a.opt.quiet:
		level = zerolog.ErrorLevel
	case a.opt.verbose > 0:
		level = zerolog.DebugLevel
	}
	out := io.Writer(a.stderr)
	if a.colored(a.stderr) {
		out = zerolog.ConsoleWriter{Out: a.stderr, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}
