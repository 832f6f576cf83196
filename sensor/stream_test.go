//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// streaming is a run that reads a stream from a pipe of the test.
type streaming struct {
	in          io.WriteCloser
	out, stderr locked
	end         chan int
	stop        context.CancelFunc
}

// stream starts `run -i -` with these options.
func stream(t *testing.T, args ...string) *streaming {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := &streaming{in: w, end: make(chan int, 1), stop: cancel}
	go func() {
		s.end <- run(ctx, append([]string{"run", "-i", "-"}, args...), r, &s.out, &s.stderr)
		r.Close()
	}()
	t.Cleanup(func() {
		cancel()
		w.Close()
	})
	return s
}

// code closes the stream and returns the exit code.
func (s *streaming) code(t *testing.T) int {
	t.Helper()
	s.in.Close()
	select {
	case code := <-s.end:
		return code
	case <-time.After(10 * time.Second):
		t.Fatal("the run does not end")
		return 0
	}
}

// until waits until the events have a text.
func (s *streaming) until(t *testing.T, text string, most time.Duration) {
	t.Helper()
	for end := time.Now().Add(most); !strings.Contains(s.out.String(), text); {
		if time.Sleep(10 * time.Millisecond); time.Now().After(end) {
			t.Fatalf("no %s after %v: %s%s", text, most, s.out.String(), s.stderr.String())
		}
	}
}

// TestStream sends a capture of a bot through a pipe, in pieces: its finding comes while the stream
// goes on, the counts are those of an offline run, and the end of the stream is exit code 75 after a
// normal shutdown.
func TestStream(t *testing.T) {
	b := testdata(t, "bot.pcap")
	s := stream(t, "--set", "output.sessions=all")
	most := len(b) * 3 / 4
	for at := 0; at < most; at += 5000 {
		s.in.Write(b[at:min(at+5000, most)])
		time.Sleep(time.Millisecond)
	}
	s.until(t, `"class":"spambot","level":"confirmed"`, 5*time.Second)
	s.in.Write(b[most:])
	code, stderr := s.code(t), s.stderr.String()
	if code != exitGone || !strings.HasSuffix(stderr, "the stream on standard input has ended after 979 frames\n") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	events := parseEvents(t, []byte(s.out.String()))
	offline, _, _ := readEvents(t, "testdata/bot.pcap")
	if live, read := countsOf(events), countsOf(offline); live != read {
		t.Errorf("live:\n%s\noffline:\n%s", live, read)
	}
	balanced(t, "the stream", lastStats(t, events))
	for _, e := range ofType(events, "health") {
		if e.Health.Check == "clock" {
			t.Errorf("an old capture is a fault of the clock: %+v", e.Health)
		}
	}
	if n := strings.Count(stderr, "the packets of the stream are of another time than this machine's"); n != 1 {
		t.Errorf("the age of the capture is said %d times: %s", n, stderr)
	}
	ended := 0
	for _, e := range ofType(events, "finding") {
		if e.Finding.CloseReason == "shutdown" {
			ended++
		}
	}
	if ended == 0 {
		t.Error("no finding ended with the shutdown")
	}
}

// TestStreamTicks checks that time goes on while a stream is silent, from the times of its frames
// on, which are those of another machine.
func TestStreamTicks(t *testing.T) {
	b, err := os.ReadFile(captured(t, newMailConn(1).greet().lines(mail...)))
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := loadConfig(&options{interfaces: []string{"-"}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.completeForLive()
	ctx, cancel := context.WithCancel(t.Context())
	watchdog, stop := startWatchdog(ctx, io.Discard)
	defer stop()
	a := &app{stdin: r, stderr: io.Discard}
	sources, err := a.openStream(cfg, watchdog)
	if err != nil {
		t.Fatal(err)
	}
	p := newPipeline(cfg, "ab", true, io.Discard, sources.Input, sources.Stats)
	p.setWatchdog(watchdog)
	worker, done := p.engine.Worker(), make(chan bool)
	p.engine.StartStream(time.Now().UnixNano())
	go func() {
		defer close(done)
		a.listen(ctx, sources[0][0], worker, p, zerolog.Nop())
	}()
	w.Write(b)
	until(t, "the frames", func() bool { return p.engine.Stats().Last != 0 })
	time.Sleep(100 * time.Millisecond)
	// The clock is not that of the last frame: it does not follow frames within a second.
	last := p.engine.Now()
	time.Sleep(3 * time.Second)
	cancel()
	<-done
	w.Close()
	if passed := time.Duration(p.engine.Now() - last); last > 1.8e18 || passed < 2*time.Second || passed > 4*time.Second {
		t.Errorf("the clock was %s after the last frame, and is %v later", time.Unix(0, last), passed)
	}
}

// TestStreamEnds checks streams that end badly, and what cannot be a stream.
func TestStreamEnds(t *testing.T) {
	b := testdata(t, "bot.pcap")
	for _, c := range []struct {
		name string
		b    []byte
		code int
		want string
	}{
		{"cut", b[:5000], exitGone, "after 45 frames: it was cut inside a record: 25 of 82 bytes are there (byte 5000); what follows is lost"},
		{"nothing", nil, exitGone, "has ended before a capture began"},
		{"text", []byte("Last login: today\n"), exitUsage, "this is no capture file (pcap or pcapng), but text"},
	} {
		s := stream(t)
		s.in.Write(c.b)
		code, stderr := s.code(t), s.stderr.String()
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d: %s", c.name, code, stderr)
		}
		e := lastStats(t, parseEvents(t, []byte(s.out.String())))
		if balanced(t, c.name, e); e.Capture["errors"] != 1 {
			t.Errorf("%s: %v", c.name, e.Capture)
		}
	}
	dir := t.TempDir()
	for _, c := range [][2]string{
		{"-i - -i lo", "a stream is the only source of a run"},
		{"-i - --set capture.fanout=2", "a stream cannot be shared"},
		{"-i testdata/bot.pcap", "this is a file; spamsensor read analyses it"},
		{"-i " + dir, "this is no named pipe"},
		{"-i " + dir + "/none", "no such file"},
	} {
		var stderr bytes.Buffer
		args := append([]string{"run"}, strings.Fields(c[0])...)
		code := run(t.Context(), args, strings.NewReader(""), io.Discard, &stderr)
		if code != exitUsage || !strings.Contains(stderr.String(), c[1]) {
			t.Errorf("%s: exit code %d: %s", c[0], code, stderr.String())
		}
	}
}

// TestStreamFIFO checks that a run waits for the writer of a named pipe, writes what it found when
// SIGTERM ends it, and that a stream without a frame is reported.
func TestStreamFIFO(t *testing.T) {
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, frames := range []string{"979", "no"} {
		var out bytes.Buffer
		p := launch(t, &out, exec.Command(name, "run", "-i", fifo))
		w, err := os.OpenFile(fifo, os.O_WRONLY, 0) // waits for the run
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close() // it stays open
		if frames == "979" {
			w.Write(testdata(t, "bot.pcap"))
			time.Sleep(300 * time.Millisecond)
		}
		p.Process.Signal(syscall.SIGTERM)
		code, stderr := p.code(), p.stderr.String()
		if code != exitOK || frames == "979" && !strings.Contains(stderr, "979 frames received") ||
			frames == "no" && !strings.Contains(stderr, "no frame arrives on "+fifo) {
			t.Errorf("%s frames: exit code %d: %s", frames, code, stderr)
		}
		if found := strings.Contains(out.String(), `"level":"confirmed"`); found != (frames == "979") {
			t.Errorf("%s frames: %s", frames, out.String())
		}
	}
}

// TestStreamSilence checks that a stream may be silent for longer than a mirror port: the sender's
// filter passes mail only.
func TestStreamSilence(t *testing.T) {
	h := health{live: true, polled: true}
	now, in := int64(1e18), inputState{name: "it", stream: true}
	for i, step := range []struct {
		after           time.Duration
		frames, arrived uint64
		want            string
	}{
		{0, 0, 0, ""},
		{59 * time.Second, 0, 0, ""},
		{time.Second, 0, 0, "no frame arrives on it"},
		{time.Second, 1, 1, "no longer: "},
		{59 * time.Second, 0, 0, ""},
		{time.Second, 0, 0, "no frame arrives on it"},
		{time.Second, 1, 1, "no longer: "},
		{50 * time.Second, 0, 1, ""}, // no mail
		{11 * time.Second, 0, 1, "2 frames arrived on it since the last look, and none"},
		{time.Second, 1, 1, "no longer: "},
		{60 * time.Second, 0, 0, "no frame arrives on it"},
		{time.Second, 1, 1, "no longer: "},
		{61 * time.Second, 0, 0, ""}, // this network is like that
		{60 * time.Second, 0, 0, "no frame arrives on it"},
	} {
		now += int64(step.after)
		in.stats.Frames, in.stats.Arrived = in.stats.Frames+step.frames, in.stats.Arrived+step.arrived
		h.changes = nil
		h.inputs(now, now, []inputState{in})
		got := ""
		if len(h.changes) > 0 {
			got = fmt.Sprint(h.changes[0].Text)
		}
		if !strings.HasPrefix(got, step.want) || step.want == "" && got != "" {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
}
