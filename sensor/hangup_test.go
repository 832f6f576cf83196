package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Log rotation moves the file of the events away and sends SIGHUP: both files together have every
// event once.
func TestHangupReopensTheFile(t *testing.T) {
	ns := veth(t)
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	const sessions = 500
	file := manySessions(t, sessions)
	events := filepath.Join(t.TempDir(), "events.json")
	var stdout bytes.Buffer
	p := launch(t, &stdout, exec.Command("ip", "netns", "exec", ns, name, "run", "-i", "v1", "--set", "output.sessions=all", "--set", "output.file="+events))
	until := func(what string, ok func() bool) {
		t.Helper()
		for range 200 {
			if ok() {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("waited in vain for %s", what)
	}
	size := func() int64 {
		st, err := os.Stat(events)
		if err != nil {
			return -1
		}
		return st.Size()
	}
	until("the file", func() bool { return size() == 0 })
	for _, args := range [][]string{{"run", "-i", "v1", "--set", "output.file=" + events}, {"read", "--events", events, file}} {
		q := launch(t, io.Discard, exec.Command("ip", append([]string{"netns", "exec", ns, name}, args...)...))
		if code := q.code(); code != exitUsage || !strings.Contains(q.stderr.String(), "another process is writing to it") {
			t.Errorf("%s, to the file of a sensor: exit code %d: %s", args[0], code, q.stderr.String())
		}
	}
	p.Process.Signal(syscall.SIGHUP) // the file was not renamed: nothing changes
	replay := exec.Command("ip", "netns", "exec", ns, "tcpreplay", "-q", "-i", "v0", "--pps=4000", file)
	if err := replay.Start(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range 3 {
		until("events", func() bool { return size() > 1000 })
		names = append(names, fmt.Sprintf("%s.%d", events, i))
		if err := os.Rename(events, names[i]); err != nil {
			t.Fatal(err)
		}
		p.Process.Signal(syscall.SIGHUP)
	}
	if err := replay.Wait(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	p.Process.Signal(syscall.SIGTERM)
	if code := p.code(); code != exitOK {
		t.Fatalf("exit code %d: %s", code, p.stderr.String())
	}
	var all []byte
	for _, n := range append(names, events) {
		b, err := os.ReadFile(n)
		if err != nil || len(b) == 0 {
			t.Errorf("%s: %d bytes, %v", filepath.Base(n), len(b), err)
		}
		all = append(all, b...)
	}
	list := unmarshalEvents(t, all)
	if told := len(ofType(list, "session")); told < sessions {
		t.Errorf("%d sessions told of %d", told, sessions)
	}
	for i, e := range list {
		if _, n, _ := strings.Cut(e.ID, "/"); n != fmt.Sprint(i+1) {
			t.Fatalf("event %d is %s", i+1, e.ID)
		}
	}
}
