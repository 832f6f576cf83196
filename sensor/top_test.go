package main

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"spamsensor/sensor/top"
)

// drawn keeps what was drawn last.
type drawn struct {
	tcell.SimulationScreen
	text atomic.Pointer[string]
}

// Show implements tcell.Screen.
func (d *drawn) Show() {
	d.SimulationScreen.Show()
	cells, w, _ := d.GetContents()
	text := ""
	for i, c := range cells {
		text += string(c.Runes)
		if i%w == w-1 {
			text = strings.TrimRight(text, " ") + "\n"
		}
	}
	d.text.Store(&text)
}

// wait returns what is drawn when it has a text, or after five seconds.
func (d *drawn) wait(text string) (shown string) {
	for range 500 {
		if s := d.text.Load(); s != nil {
			if shown = *s; strings.Contains(shown, text) {
				break
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return shown
}

// TestManualTop: the example of top in the manual is what it shows of that capture.
func TestManualTop(t *testing.T) {
	_, example, ok := strings.Cut(readText(t, "README.md"), "$ spamsensor top -r sensor/testdata/bot.pcap\n")
	example, _, closed := strings.Cut(example, "\n```")
	if !ok || !closed {
		t.Fatal("the manual has no example of top")
	}
	var a app
	a.stderr = t.Output()
	t.Chdir("..")
	sensor, err := a.analyse(t.Context(), []string{"sensor/testdata/bot.pcap"})
	if err != nil {
		t.Fatal(err)
	}
	shown := shownByTop(t, top.Options{Sensor: sensor, Files: []string{"bot.pcap"}})
	rest := shown
	for l := range strings.Lines(example + "\n") {
		i := strings.Index(rest, l)
		if i < 0 {
			t.Errorf("top shows no such line, or has it before the line above: %q", l)
			continue
		}
		rest = rest[i+len(l):]
	}
	if t.Failed() {
		t.Log("\n" + shown)
	}
}
