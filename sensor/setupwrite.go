package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/aymanbagabas/go-udiff"

	"spamsensor/sensor/engine"
	"spamsensor/sensor/setup"
	"spamsensor/sensor/verdict"
)

// homeOf are the home networks in force.
func homeOf(cfg *config) []netip.Prefix { return engine.HomeNetworks(cfg.engine.Home) }

// defaultPlaces are where the service writes.
var defaultPlaces = setup.Places{Events: "/var/log/spamsensor/events.json",
	State: "/var/lib/spamsensor"}

// install writes the configuration, and starts what it describes.
func (a *app) install(ctx context.Context, o setupOptions, f *setup.Facts) error {
	channels := setup.Machine{}.Channels(ctx)
	text := setup.Write(f, o.places, channels, time.Now(), a.printer())
	if err := validate(text); err != nil {
		return exit(exitInternal, fmt.Errorf("the configuration that setup has made is wrong; "+
			"please report it: %w", err))
	}
	a.summarize(f)
	if o.output == "-" {
		_, err := io.WriteString(a.stdout, text)
		return err
	}
	written, err := a.writeNew(o, []byte(text))
	if err != nil || !written {
		return err
	}
	a.say("Written    %s\n", printable(o.output))
	if err := a.enable(ctx, o, len(channels)); err != nil {
		return err
	}
	return a.sendTestNotice(ctx, o, len(channels))
}

// sendTestNotice has the channels of the new configuration tell of it.
func (a *app) sendTestNotice(ctx context.Context, o setupOptions, channels int) error {
	if channels == 0 {
		a.say("Notices    nobody is told yet: no mail server, Alertmanager, journal or syslog " +
			"answers on this machine; add a channel to notify in the configuration\n")
		return nil
	}
	a.opt.file = o.output
	a.say("Notices    a test notice through each channel:\n")
	return a.notifyTest(ctx)
}

// validate checks a configuration that is in no file yet.
func validate(text string) error {
	draft := &settings{name: "the new configuration", text: []byte(text), isFile: true}
	_, err := loadConfig(&options{draft: draft})
	return err
}

// summarize says what was learned.
func (a *app) summarize(f *setup.Facts) {
	for _, n := range f.Home {
		if n.Hosts > 0 {
			a.say("Network    %s: %s with mail\n", n.Prefix, verdict.Plural(n.Hosts, "host"))
		}
	}
	for _, s := range f.Servers {
		a.say("Server     %s %s\n", s.Addr, s.Name)
	}
	if len(f.Servers) == 0 {
		a.say("Server     none was seen; a longer --for hears more\n")
	}
}

// writeNew writes a file that does not exist yet. If it exists the difference is printed; written
// reports whether the file was written.
func (a *app) writeNew(o setupOptions, text []byte) (written bool, err error) {
	if old, err := os.ReadFile(o.output); err == nil {
		if bytes.Equal(old, text) {
			return false, nil
		}
		fmt.Fprint(a.stdout, udiff.Unified(o.output, a.printer().Text("proposed by setup"),
			string(old), string(text)))
		a.say("Kept       %s exists and was not changed; the difference is above\n",
			printable(o.output))
		return false, nil
	}
	if !o.yes {
		fmt.Fprintf(a.stdout, "%s", text)
		a.say("\nNothing is written yet: spamsensor setup --yes writes this to %s,\n"+
			"or: spamsensor setup --to - > FILE\n", printable(o.output))
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(o.output), 0o755); err != nil {
		return false, exit(exitFailed, err)
	}
	file, err := os.OpenFile(o.output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err == nil {
		_, err = file.Write(text)
		err = errors.Join(err, file.Sync(), file.Close())
	}
	if err != nil {
		return false, exit(exitFailed, fmt.Errorf("the configuration could not be written: %w",
			err))
	}
	return true, nil
}

// systemdRuns is the directory that shows that systemd runs (sd_booted(3)).
var systemdRuns = "/run/systemd/system"

// The services: the sensor, its metrics and page, and its notices.
const (
	unit       = "spamsensor.service"
	serveUnit  = "spamsensor-serve.service"
	notifyUnit = "spamsensor-notify.service"
)

// enable starts the services where systemd runs and they are installed, and says else how to start
// the sensor. There is no service for notices if there is nobody to tell.
func (a *app) enable(ctx context.Context, o setupOptions, channels int) error {
	byHand := fmt.Sprintf("sudo mkdir -p %s; sudo spamsensor run -c %s",
		printable(filepath.Dir(o.places.Events)), printable(o.output))
	if _, err := os.Stat(systemdRuns); err != nil {
		a.say("Start      systemd does not run here; start the sensor with: %s\n", byHand)
		return nil
	}
	units := []string{unit, serveUnit}
	if channels > 0 {
		units = append(units, notifyUnit)
	}
	for _, u := range units {
		if exec.CommandContext(ctx, "systemctl", "cat", u).Run() != nil {
			a.say("Start      the service %s is not installed (make install); start the sensor "+
				"with: %s\n", u, byHand)
			return nil
		}
	}
	args := append([]string{"enable", "--now"}, units...)
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		return exit(exitFailed, fmt.Errorf("the configuration is written, and the services do "+
			"not start: %w: %s", err, printable(string(bytes.TrimSpace(out)))))
	}
	a.say("Started    %s; ask the sensor: spamsensor status\n", strings.Join(units, ", "))
	return nil
}
