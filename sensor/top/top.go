// Package top shows the hosts of a running sensor on a terminal, live, as top shows processes: the
// verdict in a sentence, the state of the mirror port, a table of hosts, and the evidence about
// the selected one. What it shows is the sensor's model (report.Model), asked for again every
// second; it decides nothing and changes nothing.
//
// Texts from the wire are drawn character by character, and never go through tview's tags.
package top

import (
	"context"
	"fmt"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
	"spamsensor/sensor/status"
)

// Options are what is shown, and how.
type Options struct {
	Sensor status.Getter
	Files  []string // names of the captures, if no sensor runs
	Report bool     // Files is a report
	Lang   *lang.Printer
	Zone   *time.Location // of the times
	Color  bool
	// Screen is where it is shown; nil is the terminal of the process.
	Screen tcell.Screen
	// Every is how often a running sensor is asked; zero is every second.
	Every time.Duration
}

// Longest time of an answer, and the share of the time in which the sensor is asked at most: one
// of busyShare parts.
const (
	answerTime = 5 * time.Second
	busyShare  = 10
)

// answer is what a sensor said.
type answer struct {
	model  report.Model
	status status.Status
	at     time.Time // when it was asked
}

// TerminalError says that the terminal cannot be used.
type TerminalError struct{ Err error }

// Error implements error.
func (e *TerminalError) Error() string {
	return "top needs a terminal, and cannot use this one: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *TerminalError) Unwrap() error { return e.Err }

// Run shows the sensor until the user quits or ctx ends. It fails if the first question fails, or
// if the terminal cannot be used (*TerminalError); later it goes on asking.
func Run(ctx context.Context, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first, err := ask(ctx, o.Sensor)
	if err != nil {
		return err
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.Screen == nil {
		if o.Screen, err = tcell.NewScreen(); err != nil {
			return &TerminalError{err}
		}
	}
	if err = o.Screen.Init(); err != nil {
		return &TerminalError{err}
	}
	v := newView(&o)
	v.update(first)
	app := tview.NewApplication().SetScreen(initialized{o.Screen}).SetRoot(v, true)
	v.quit, v.redraw = app.Stop, func() { app.Sync() }
	v.apart, v.queue = func(f func()) { go f() }, func(f func()) { app.QueueUpdateDraw(f) }
	go func() {
		app.QueueUpdate(func() { context.AfterFunc(ctx, app.Stop) }) // the screen is there now
		if first.model.Live {
			v.poll(ctx, &o)
		}
	}()
	return app.Run()
}

// initialized is a screen that was initialized before: tview does not say when that fails.
type initialized struct{ tcell.Screen }

// Init implements tcell.Screen.
func (initialized) Init() error { return nil }

// ask asks a sensor for its model and its state.
func ask(ctx context.Context, sensor status.Getter) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	a := &answer{at: time.Now()}
	if err := sensor.Get(ctx, "model", &a.model); err != nil {
		return nil, err
	}
	if err := sensor.Get(ctx, "status", &a.status); err != nil {
		return nil, fmt.Errorf("the status: %w", err)
	}
	return a, nil
}

// poll asks a sensor again and again, and shows its answers. A sensor that needs long for an answer
// is asked less often.
func (v *view) poll(ctx context.Context, o *Options) {
	wait := o.Every
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if v.paused.Load() {
			continue
		}
		began := time.Now()
		a, err := ask(ctx, o.Sensor)
		if ctx.Err() != nil {
			return
		}
		wait = max(o.Every, (busyShare-1)*time.Since(began))
		v.queue(func() {
			switch {
			case v.paused.Load():
			case err != nil:
				v.dead = err
				wait = o.Every
			default:
				v.update(a)
			}
		})
	}
}
