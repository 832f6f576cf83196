package main

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spamsensor/sensor/event"
	"spamsensor/sensor/finding"
)

// TestSilence checks that silence is reported a minute after the last frame that the filter passes,
// or ten seconds after the last arrival at the interface, from the start on; that a link that is
// down is no silence; and that a network that is often silent for longer is reported three times.
func TestSilence(t *testing.T) {
	h := health{live: true, polled: true}
	now, in := int64(1e18), inputState{name: "v1"}
	for i, step := range []struct {
		after           time.Duration
		frames, arrived uint64
		problem, want   string
	}{
		{0, 0, 0, "", ""}, // the start
		{9 * time.Second, 0, 0, "", ""},
		{time.Second, 0, 0, "", "no frame arrives on v1"},
		{time.Hour, 0, 0, "", ""},
		{time.Second, 0, 5, "", ""}, // the frames are no mail
		{time.Second, 1, 1, "", "no longer: "},
		{9 * time.Second, 0, 1, "", ""},
		{10 * time.Second, 0, 0, "is down", "the interface v1 is down"},
		{time.Minute, 0, 0, "is down", ""},
		{time.Second, 0, 0, "", "no longer: the interface v1 is down"},
		{8 * time.Second, 0, 0, "", ""}, // it gets its ten seconds again
		{time.Second, 0, 1, "", ""},
		{9 * time.Second, 0, 1, "", ""},
		{9 * time.Second, 0, 1, "", ""},
		{9 * time.Second, 0, 1, "", ""},
		{9 * time.Second, 0, 1, "", ""},
		{9 * time.Second, 0, 1, "", ""},
		{6 * time.Second, 0, 1, "", "8 frames arrived on v1 since the last look, and none"},
		{time.Second, 1, 1, "", "no longer: "},
		{10 * time.Second, 0, 0, "", "no frame arrives on v1"}, // the first time in this hour
		{5 * time.Second, 1, 1, "", "no longer: "},
		{10 * time.Second, 0, 0, "", "no frame arrives on v1"},
		{5 * time.Second, 1, 1, "", "no longer: "},
		{10 * time.Second, 0, 0, "", "no frame arrives on v1"},
		{5 * time.Second, 1, 1, "", "no longer: "},
		{19 * time.Second, 0, 0, "", ""}, // this network is like that
		{time.Second, 0, 0, "", "no frame arrives on v1"},
		{5 * time.Second, 1, 1, "", "no longer: "},
		{39 * time.Second, 0, 0, "", ""},
	} {
		now += int64(step.after)
		in.stats.Frames, in.stats.Arrived = in.stats.Frames+step.frames, in.stats.Arrived+step.arrived
		in.problem = step.problem
		h.changes = nil
		h.inputs(now, now, []inputState{in})
		got := ""
		if len(h.changes) > 0 {
			got = h.changes[len(h.changes)-1].Text
		}
		if !strings.HasPrefix(got, step.want) || step.want == "" && got != "" {
			t.Errorf("step %d, after %v, %d frames and %d arrivals: %q, want %q", i, step.after, step.frames, step.arrived, got, step.want)
		}
	}
}

// TestClockIsWatched checks that a jump of the machine's clock is reported at once, in either
// direction, and its end; that a clock that is corrected a little is not; and that a jump neither
// hides a silence nor makes one.
func TestClockIsWatched(t *testing.T) {
	h := health{live: true, polled: true}
	now, steady, odd := int64(1e18), int64(0), uint64(0)
	in := inputState{name: "v1"}
	for i, step := range []struct {
		after, jump time.Duration
		frames, odd uint64
		want        string
	}{
		{0, 0, 1, 0, ""},
		{time.Second, 9 * time.Second, 0, 0, ""},
		{time.Second, time.Hour, 0, 0, "the clock of this machine was set 1h0m0s ahead"},
		{4 * time.Second, 0, 1, 0, ""},
		{time.Second, 0, 1, 0, "the clock goes on evenly"},
		{time.Second, -2 * time.Hour, 0, 0, "the clock of this machine was set 2h0m0s back"},
		{time.Second, 0, 0, 1, ""}, // the frames have it, too
		{4 * time.Second, 0, 0, 0, ""},
		{time.Second, 0, 0, 0, "the clock goes on evenly"},
		{3 * time.Second, 0, 0, 0, "no frame arrives on v1"}, // it has been for ten seconds
		{time.Second, 0, 1, 0, "no longer: "},
		{time.Second, 0, 1, 3, "3 frames have an impossible time"},
		{time.Second, 0, 1, 0, ""},
		{4 * time.Second, 0, 1, 0, "the clock goes on evenly"},
	} {
		steady += int64(step.after)
		now += int64(step.after + step.jump)
		odd += step.odd
		in.stats.Frames, in.stats.Arrived = in.stats.Frames+step.frames, in.stats.Arrived+step.frames
		h.changes = nil
		h.checkClock(now, steady, odd, false)
		h.inputs(now, steady, []inputState{in})
		got := ""
		if len(h.changes) > 0 {
			got = h.changes[0].Text
		}
		if len(h.changes) > 1 || !strings.HasPrefix(got, step.want) || step.want == "" && got != "" {
			t.Errorf("step %d: %d changes, %q, want %q", i, len(h.changes), got, step.want)
		}
	}
	h = health{live: true, polled: true}
	h.checkClock(1e18, 0, 0, true)
	if h.checkClock(2e18, 1, 0, true); h.changes != nil {
		t.Errorf("a stream has the clock of another machine: %v", h.changes)
	}
}

// TestFlappingOutput checks that an output is healthy again after some time without loss, and that
// an output that fails now and then does not flood standard error.
func TestFlappingOutput(t *testing.T) {
	out := &gate{}
	q := event.NewQueue(out, false)
	w := event.NewWriter(event.Config{Run: "ab", Host: "h", Input: func(uint16) string { return "x" }}, q)
	session := &finding.Session{Client: netip.MustParseAddrPort("10.0.0.5:40000"), Server: netip.MustParseAddrPort("192.0.2.25:25")}
	h := health{live: true, polled: true, recoveryTime: int64(2 * time.Second)}
	var said bytes.Buffer
	messages := healthLog{log: (&app{stderr: &said}).logger(&config{})}
	now := time.Unix(1e9, 0)
	raised, cleared := 0, 0
	for i := range int(2 * time.Minute / healthPollInterval) {
		out.closed.Store(i%int(3*time.Second/healthPollInterval) == 0)
		w.Session(session)
		q.Flush(time.Second)
		h.changes = nil
		h.output(now.UnixNano(), now.UnixNano(), q)
		for _, c := range h.changes {
			if c.State == "raised" {
				raised++
			} else {
				cleared++
			}
		}
		messages.changes(now, h.changes)
		now = now.Add(healthPollInterval)
	}
	out.closed.Store(false)
	q.Close()
	lines := strings.Count(said.String(), "\n")
	if raised < 10 || cleared < 10 || lines > 2*maxLogLines+1 || lines < maxLogLines || !strings.Contains(said.String(), "lines_left_out") {
		t.Errorf("raised %d and cleared %d times; %d lines:\n%s", raised, cleared, lines, said.String())
	}
	if raised > 60 {
		t.Errorf("raised %d times", raised)
	}
}

// TestHalfEventAtTheEnd checks that a file that ends within an event is repaired, and that a file
// that holds no events is left unchanged.
func TestHalfEventAtTheEnd(t *testing.T) {
	for _, c := range []struct{ before, after string }{
		{"", ""},
		{"{\"level\":\"info\"}\n", "{\"level\":\"info\"}\n"},
		{"{\"level\":\"info\"}\n{", "{\"level\":\"info\"}\n"},
		{"{\"level\":\"info\"}\n{\"level\":\"in", "{\"level\":\"info\"}\n"},
		{"{\"level\":\"in", ""},
		{"a text\nwithout an end", "a text\nwithout an end\n"},
		{strings.Repeat("x", maxLine+5), strings.Repeat("x", maxLine+5) + "\n"},
		{strings.Repeat("x", maxLine) + "\n{\"level\":\"", strings.Repeat("x", maxLine) + "\n"},
	} {
		name := filepath.Join(t.TempDir(), "events")
		os.WriteFile(name, []byte(c.before), 0o600)
		_, closer, err := openEvents(name, false, 0, nil, (&protectedFiles{}).check)
		if err != nil {
			t.Fatal(err)
		}
		closer.Close()
		if b, _ := os.ReadFile(name); string(b) != c.after {
			t.Errorf("%.40q becomes %.40q, want %.40q", c.before, b, c.after)
		}
	}
}

// waitFor waits for a text in the output of a process, and returns the time that it took.
func waitFor(t *testing.T, text string, said func() string) time.Duration {
	t.Helper()
	began := time.Now()
	for time.Since(began) < 20*time.Second {
		if strings.Contains(said(), text) {
			return time.Since(began)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%q was not said:\n%s", text, said())
	return 0
}

// ipIn runs ip in a namespace.
func ipIn(t *testing.T, ns string, args ...string) {
	t.Helper()
	if b, err := exec.Command("ip", append([]string{"-n", ns}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v %s", args, err, b)
	}
}

// TestLinkIsWatched checks that a link that goes down, loses its carrier or is deleted is reported
// within five seconds, on standard error and as an event, and that its return is reported.
func TestLinkIsWatched(t *testing.T) {
	ns := veth(t)
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	var out, said locked
	c := exec.Command("ip", "netns", "exec", ns, name, "run", "-i", "v1")
	c.Stdout, c.Stderr = &out, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { c.Process.Kill(); c.Wait() }()
	waitFor(t, "listening", said.String)
	most, told := time.Duration(0), [2]int{}
	for i, step := range []struct {
		do   [][]string
		text string
	}{
		{[][]string{{"link", "set", "v1", "down"}}, "the interface v1 is down"},
		{[][]string{{"link", "set", "v1", "up"}}, "no longer: the interface v1 is down"},
		{[][]string{{"link", "set", "v0", "down"}}, "the interface v1 has no carrier"},
		{[][]string{{"link", "set", "v0", "up"}}, "no longer: the interface v1 has no carrier"},
		{[][]string{{"link", "set", "v1", "name", "v9"}}, ""}, // it is the same interface
		{[][]string{{"link", "set", "v9", "name", "v1"}}, ""},
		{[][]string{{"link", "del", "v0"}}, "the interface v1 is gone"},
		{[][]string{{"link", "add", "v0", "type", "veth", "peer", "name", "v1"}, {"link", "set", "v0", "up"}, {"link", "set", "v1", "up"}}, "no longer: the interface v1 is gone"},
	} {
		for _, args := range step.do {
			ipIn(t, ns, args...)
		}
		since := func(s *locked, from int) func() string { return func() string { return s.String()[from:] } }
		if step.text == "" {
			if time.Sleep(1200 * time.Millisecond); since(&said, told[0])() != "" {
				t.Errorf("step %d: %s", i, since(&said, told[0])())
			}
			continue
		}
		took := max(waitFor(t, `"message":"`+step.text, since(&said, told[0])), waitFor(t, `"text":"`+step.text, since(&out, told[1])))
		told = [2]int{len(said.String()), len(out.String())}
		if took > 5*time.Second {
			t.Errorf("step %d: said after %v", i, took)
		}
		most = max(most, took)
	}
	c.Process.Signal(syscall.SIGTERM)
	if err := c.Wait(); err != nil {
		t.Errorf("%v: %s", err, said.String())
	}
	parseEvents(t, []byte(out.String()))
	t.Logf("R19: link down, no carrier, deleted, and back each time: said within %.1f s, in an event and on standard error (goal 5 s)", most.Seconds())
}

// TestReaderOfNamedPipeComesBack checks that the loss of a reader of the named pipe and its return,
// at the same pipe or at a new one of its name, are reported on standard error, and that the reader
// gets whole lines and the counts of the events that it missed.
func TestReaderOfNamedPipeComesBack(t *testing.T) {
	ns := veth(t)
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	file := manySessions(t, 100)
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	var said locked
	c := exec.Command("ip", "netns", "exec", ns, name, "run", "-i", "v1", "--set", "output.sessions=all", "--set", "output.file="+pipe)
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { c.Process.Kill(); c.Wait() }()
	read := func() (*os.File, *locked) {
		t.Helper()
		r, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := &locked{}
		go func() {
			for b := make([]byte, 4096); ; {
				n, err := r.Read(b)
				got.Write(b[:n])
				if err == io.EOF { // there is no writer yet
					time.Sleep(10 * time.Millisecond)
				} else if err != nil {
					return
				}
			}
		}()
		return r, got
	}
	replay := func() {
		t.Helper()
		if b, err := exec.Command("ip", "netns", "exec", ns, "tcpreplay", "-q", "-i", "v0", "--pps=20000", file).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
	}
	r, first := read()
	waitFor(t, "listening", said.String)
	replay()
	waitFor(t, `"event_type":"session"`, first.String)
	for _, another := range []bool{false, true} {
		r.Close()
		if another {
			if err := errors.Join(os.Remove(pipe), syscall.Mkfifo(pipe, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		before := len(said.String())
		replay()
		since := func() string { return said.String()[before:] }
		if took := waitFor(t, "no process reads the events", since); took > 3*time.Second {
			t.Errorf("said after %v", took)
		}
		var got *locked
		r, got = read()
		if took := waitFor(t, "events are written again; lost in between: ", since); took > 8*time.Second {
			t.Errorf("it is said after %v that events are written again", took)
		}
		waitFor(t, `"text":"events are written again; lost in between: `, got.String)
		replay()
		waitFor(t, `"event_type":"session"`, got.String)
		if text := got.String(); !strings.HasPrefix(text, event.Start) {
			t.Errorf("the first line: %.200q", text)
		} else {
			unmarshalEvents(t, []byte(text[:strings.LastIndexByte(text, '\n')+1]))
		}
	}
	c.Process.Signal(syscall.SIGTERM)
	if err := c.Wait(); err == nil || c.ProcessState.ExitCode() != exitLost {
		t.Errorf("%v: %s", err, said.String())
	}
	r.Close()
}

// TestFaultsAreTold checks a run on two interfaces: one of them is silent from the start, the other
// loses its link and gets it back, and the disk of the events becomes full and has room again. Each
// is said within 15 s on standard error and as an event, and its end too; no line is torn.
func TestFaultsAreTold(t *testing.T) {
	ns := veth(t)
	for _, args := range [][]string{{"link", "add", "w0", "type", "veth", "peer", "name", "w1"},
		{"link", "set", "w0", "arp", "off", "up"}, {"link", "set", "w1", "arp", "off", "up"},
		{"link", "add", "x0", "type", "veth", "peer", "name", "x1"}} {
		ipIn(t, ns, args...)
	}
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	file, filler := filepath.Join(dir, "events"), filepath.Join(dir, "filler")
	var said locked
	c := exec.Command("ip", "netns", "exec", ns, name, "run", "-i", "v1", "-i", "w1", "-i", "x1", "--set", "output.file="+file)
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { c.Process.Kill(); c.Wait() }()
	waitFor(t, "listening", said.String)
	stop := make(chan struct{})
	defer close(stop)
	ping := func(from string) { // any frame
		exec.Command("ip", "netns", "exec", ns, "tcpreplay", "-q", "-i", from, "testdata/bot.pcap").Run()
	}
	go func() { // v1 is alive
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Second):
				ping("v0")
			}
		}
	}()
	events := func() string {
		b, _ := os.ReadFile(file)
		return string(b)
	}
	from := [2]int{}
	told := func(what, text string) {
		t.Helper()
		a := waitFor(t, text, func() string { return said.String()[from[0]:] })
		b := time.Duration(0)
		if what != "the disk is full" { // then no event can be written
			b = waitFor(t, text, func() string { s := events(); return s[min(from[1], len(s)):] })
		}
		if took := max(a, b); took > 15*time.Second {
			t.Errorf("%s: said after %v", what, took)
		}
		from = [2]int{len(said.String()), len(events())}
	}
	told("an interface that is down from the start", "the interface x1 is down")
	from = [2]int{}
	told("a silent interface", "no frame arrives on w1")
	go ping("w0")
	told("frames on it", "no longer: no frame arrives on w1")
	ipIn(t, ns, "link", "set", "v0", "down")
	told("a lost link", "the interface v1 has no carrier")
	ipIn(t, ns, "link", "set", "v0", "up")
	told("the link is back", "no longer: the interface v1 has no carrier")
	ipIn(t, ns, "link", "set", "x1", "up")
	ipIn(t, ns, "link", "set", "x0", "up")
	told("the third is up", "no longer: the interface x1 is down")
	if err := os.WriteFile(filler, make([]byte, 2<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	told("the disk is full", "events cannot be written")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	told("the disk has room", "events are written again")
	c.Process.Signal(syscall.SIGTERM)
	c.Wait()
	parseEvents(t, []byte(events())) // each line is an event
	if strings.Contains(said.String(), "torn") || !strings.HasSuffix(events(), "}\n") {
		t.Error("the last line is torn")
	}
}
