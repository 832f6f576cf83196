package main

import (
	"context"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// statusInterval is the time between two lines for `systemctl status`.
const statusInterval = 30 * time.Second

// manager tells a service manager how the run goes (sd_notify(3)): systemd, or another one that
// sets NOTIFY_SOCKET. Without one it does nothing.
type manager struct {
	p     *pipeline
	log   zerolog.Logger
	every time.Duration // between two signs of life; 0: nobody waits for them
}

// newManager says that the run is ready.
func newManager(p *pipeline, log zerolog.Logger) *manager {
	m := &manager{p: p, log: log}
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn().Err(err).Msg("the service manager's watchdog is not understood: it gets no " +
			"sign of life")
	}
	m.every = limit / 2
	m.notify(daemon.SdNotifyReady)
	m.status()
	return m
}

// notify sends a state. There is no reason to end when it cannot be sent.
func (m *manager) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		m.log.Debug().Err(err).Msg("the service manager does not listen")
	}
}

// reloadingState says that SIGHUP is obeyed from now on; sd_notify(3) wants the time with it.
func reloadingState() string {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000)
}

// status sends the line that systemctl status shows.
func (m *manager) status() {
	st := m.p.engine.Stats()
	open := ""
	m.p.engine.Between(func() { open = m.p.open.text() })
	m.notify(fmt.Sprintf("STATUS=%d frames, %d connections to mail servers; %s", st.Frames,
		st.Attempts, open))
}

// run sends the status and, while the work makes progress, signs of life, until the context ends.
// Then it says that the run ends.
func (m *manager) run(ctx context.Context) {
	status := time.NewTicker(statusInterval)
	defer status.Stop()
	var alive <-chan time.Time
	if m.every > 0 {
		t := time.NewTicker(m.every)
		defer t.Stop()
		alive = t.C
	}
	for {
		select {
		case <-ctx.Done():
			m.notify(daemon.SdNotifyStopping)
			return
		case <-status.C:
			m.status()
		case <-alive:
			if m.p.watchdog.progressed() {
				m.notify(daemon.SdNotifyWatchdog)
			}
		}
	}
}
