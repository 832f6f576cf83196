//go:build linux

package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// fakeManager is a service manager that keeps what it is told.
type fakeManager struct {
	mu   sync.Mutex
	said []string
}

// newFakeManager returns a manager, and the environment of its service. It waits for a sign of life
// every second.
func newFakeManager(t *testing.T) (*fakeManager, []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	m := new(fakeManager)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := l.Read(b)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.said = append(m.said, string(b[:n]))
			m.mu.Unlock()
		}
	}()
	return m, []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=1000000"}
}

// count counts the messages that begin with a text.
func (m *fakeManager) count(text string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.said {
		if strings.HasPrefix(s, text) {
			n++
		}
	}
	return n
}

// TestServiceManager runs the command under a fake service manager: it is ready, shows signs of
// life while frames come and while none come, and says that it ends.
func TestServiceManager(t *testing.T) {
	ns := veth(t)
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	m, env := newFakeManager(t)
	var out bytes.Buffer
	c := exec.Command("ip", "netns", "exec", ns, name, "run", "-i", "v1", "--set", "control.socket=off")
	c.Env = append(os.Environ(), env...)
	p := launch(t, &out, c)
	until(t, "READY", func() bool { return m.count("READY=1") == 1 })
	if m.count("STATUS=0 frames, 0 connections to mail servers; no finding is open") != 1 {
		t.Errorf("%q", m.said)
	}
	time.Sleep(2200 * time.Millisecond)
	silent := m.count("WATCHDOG=1")
	file := manySessions(t, 1000)
	replay := exec.Command("ip", "netns", "exec", ns, "tcpreplay", "-q", "-i", "v0", "--pps=8000", file)
	if out, err := replay.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	time.Sleep(1200 * time.Millisecond)
	busy := m.count("WATCHDOG=1") - silent
	if silent < 3 || silent > 5 || busy < 3 {
		t.Errorf("%d signs of life in 2.2 s of silence, %d while frames came", silent, busy)
	}
	if m.count("STOPPING=1") != 0 {
		t.Error("it says that it ends")
	}
	p.Process.Signal(syscall.SIGHUP)
	until(t, "READY after RELOADING", func() bool { return m.count("RELOADING=1\nMONOTONIC_USEC=") == 1 && m.count("READY=1") == 2 })
	p.Process.Signal(syscall.SIGTERM)
	if code := p.code(); code != exitOK || m.count("STOPPING=1") != 1 {
		t.Errorf("exit code %d, %q: %s", code, m.said, p.stderr.String())
	}
}

// TestServiceManagerStall checks that a worker that loops gives no sign of life.
func TestServiceManagerStall(t *testing.T) {
	ns := veth(t)
	m, env := newFakeManager(t)
	c := exec.Command("ip", "netns", "exec", ns, os.Args[0], "run", "-i", "v1", "--set", "control.socket=off")
	c.Env = append(append(os.Environ(), env...), loopInstead+"="+os.DevNull)
	p := launch(t, io.Discard, c)
	until(t, "READY", func() bool { return m.count("READY=1") == 1 })
	replay(t, ns, captured(t, newMailConn(1).greet().lines(mail...)))
	time.Sleep(1200 * time.Millisecond)
	before := m.count("WATCHDOG=1")
	time.Sleep(2 * time.Second)
	if n := m.count("WATCHDOG=1"); n != before {
		t.Errorf("%d signs of life of a worker that loops", n-before)
	}
	p.Process.Kill()
	p.Wait()
}

// TestProgressed checks which jobs count for a sign of life.
func TestProgressed(t *testing.T) {
	w := new(watchdog)
	var steps atomic.Uint64
	live, other, reader := w.add("live", &steps, false), w.add("other", new(atomic.Uint64), false), w.add("reader", new(atomic.Uint64), true)
	w.expect(live)
	turn := func(j *job) { j.begin(); j.end() }
	for i, c := range []struct {
		do   func()
		want bool
	}{
		{func() { turn(live) }, true},
		{func() {}, false}, // it does not even wait
		{func() { turn(live); other.begin() }, true},
		{func() { turn(live) }, false}, // the other one has a batch and does not go on
		{func() { turn(live); other.end() }, true},
		{func() { turn(live) }, true}, // it rests
		{func() { live.begin() }, true},
		{func() { steps.Add(1) }, true},
		{func() {}, false},
		{func() { live.end(); reader.begin() }, true},
		{func() { turn(live) }, true}, // a reader may wait
	} {
		c.do()
		if got := w.progressed(); got != c.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}
