package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// soakOptions are the options of soak.
type soakOptions struct {
	rate     int
	duration time.Duration
	every    time.Duration // between two samples
	hangup   time.Duration // between two rotations of the events
}

// soakGrowth is how much the memory of the last quarter may be above that of the second one.
const soakGrowth = 1.1

// soak replays a file for a long time to a sensor with everything on, and says whether its memory,
// threads and descriptors stay the same, and whether each event was written.
func soak(args []string, stdout, stderr io.Writer) int {
	var o soakOptions
	flags := newFlags("bench soak", "FILE (as root)", stderr)
	flags.IntVar(&o.rate, "rate", 200_000, "packets a second")
	flags.DurationVar(&o.duration, "for", 30*time.Minute, "how long")
	flags.DurationVar(&o.every, "every", 5*time.Second, "interval of the samples")
	flags.DurationVar(&o.hangup, "hangup", time.Minute,
		"interval of log rotations, with SIGHUP; 0 is none")
	if flags.Parse(args) != nil {
		return 2
	}
	if flags.NArg() != 1 || o.rate < 1 || o.every <= 0 || o.duration < 8*o.every {
		flags.Usage()
		return 2
	}
	if why := liveUnavailable(); why != "" {
		fmt.Fprintf(stdout, "skipped: %s\n", why)
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	r, err := o.run(ctx, flags.Arg(0))
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	if !r.print(stdout) {
		return 1
	}
	return 0
}

// soakSample is the sensor's use of the machine at a time.
type soakSample struct {
	rss, threads, descriptors uint64 // rss in bytes
	frames, drops             uint64
}

// soakResult is the result of soak.
type soakResult struct {
	o                     *soakOptions
	machine               machine
	samples               []soakSample
	sent                  replay
	events, holes, broken uint64 // events in the files, numbers that are missing, lines not whole
	account               string // of the sensor's last words
	failed                error  // of the sensor at its end
}

// run starts the sensor and serve, sends, and takes samples.
func (o *soakOptions) run(ctx context.Context, name string) (*soakResult, error) {
	bed, err := newTestbed(name)
	if err != nil {
		return nil, err
	}
	defer bed.close()
	l := bed.link
	if out, err := exec.Command("ip", "-n", l.listener, "link", "set", "lo",
		"up").CombinedOutput(); err != nil { // serve listens there
		return nil, fmt.Errorf("ip link set lo up: %w: %s", err, shortLine(string(out)))
	}
	senderCPU, listenerCPUs := cpus(thisMachine().Cores)
	at := func(name string) string { return filepath.Join(bed.dir, name) }
	common := []string{"--set", "control.socket=" + at("control.sock"), "--set",
		"state.dir=" + at("state"), "--set", "output.file=" + at("events.json")}
	c := commandIn(ctx, l.listener, listenerCPUs,
		slices.Concat([]string{bed.sensor, "run", "-i", "rx0"}, common)...)
	stderr, kill, err := startListening(c, "the sensor", "listening")
	defer kill()
	if err != nil {
		return nil, err
	}
	serving := commandIn(ctx, l.listener, listenerCPUs, slices.Concat([]string{bed.sensor, "serve",
		"--listen", "127.0.0.1:9725"}, common)...)
	if err := serving.Start(); err != nil {
		return nil, err
	}
	defer func() { serving.Process.Kill(); serving.Wait() }()
	r := &soakResult{o: o, machine: thisMachine()}
	sent := make(chan error, 1)
	go func() { sent <- l.send(ctx, senderCPU, o.rate, o.duration, &r.sent) }()
	if err := o.sampleUntil(ctx, sent, c.Process, l, at, r); err != nil {
		return nil, err
	}
	time.Sleep(drainTime)
	c.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(20*time.Second, func() { c.Process.Kill() })
	r.failed = c.Wait()
	timer.Stop()
	r.account = lastLine(stderr.String())
	return r, r.readEvents(at("events.json*"))
}

// sampleUntil takes samples and rotates the events until everything is sent.
func (o *soakOptions) sampleUntil(ctx context.Context, sent <-chan error, p *os.Process,
	l *vethLink, at func(string) string, r *soakResult) error {
	tick := time.NewTicker(o.every)
	defer tick.Stop()
	rotated := time.Now()
	for n := 1; ; {
		select {
		case err := <-sent:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		s, err := sampleOf(p.Pid)
		if err != nil {
			return fmt.Errorf("the sensor has ended: %w", err)
		}
		// A scrape, as a monitoring system does it, also through serve.
		out, err := commandIn(ctx, l.listener, "0", "curl", "-s", "-m", "5",
			"http://127.0.0.1:9725/api/v1/status").Output()
		var status struct {
			Frames     uint64 `json:"frames"`
			Interfaces []struct {
				Drops uint64 `json:"kernel_drops"`
			} `json:"interfaces"`
		}
		if err = errors.Join(err, json.Unmarshal(out, &status)); err != nil {
			return fmt.Errorf("the sensor does not answer: %w", err)
		}
		s.frames = status.Frames
		for _, i := range status.Interfaces {
			s.drops += i.Drops
		}
		r.samples = append(r.samples, s)
		if o.hangup > 0 && time.Since(rotated) >= o.hangup {
			rotated = time.Now()
			old := at("events.json." + strconv.Itoa(n))
			if err := os.Rename(at("events.json"), old); err != nil {
				return err
			}
			n++
			p.Signal(syscall.SIGHUP)
		}
	}
}

// sampleOf reads what the kernel counts of a process.
func sampleOf(pid int) (s soakSample, err error) {
	proc := "/proc/" + strconv.Itoa(pid)
	b, err := os.ReadFile(proc + "/status")
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "VmRSS:":
			s.rss, _ = strconv.ParseUint(f[1], 10, 64)
			s.rss <<= 10
		case "Threads:":
			s.threads, _ = strconv.ParseUint(f[1], 10, 64)
		}
	}
	list, err := os.ReadDir(proc + "/fd")
	s.descriptors = uint64(len(list))
	return s, err
}

// readEvents checks that the numbers of the events have no hole, over all files.
func (r *soakResult) readEvents(pattern string) error {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	seen := map[uint64]bool{}
	last := uint64(0)
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e struct {
				ID string `json:"event_id"`
			}
			json.Unmarshal(lines.Bytes(), &e) // a line that is not whole has no id
			_, number, ok := strings.Cut(e.ID, "/")
			n, err := strconv.ParseUint(number, 10, 64)
			if !ok || err != nil {
				r.broken++
				continue
			}
			r.events++
			seen[n] = true
			last = max(last, n)
		}
		if err := errors.Join(lines.Err(), f.Close()); err != nil {
			return err
		}
	}
	r.holes = last - uint64(len(seen))
	return nil
}

// lastLine is the last line of a text.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// quarter is the median of a figure in a quarter of the samples, 0 to 3.
func (r *soakResult) quarter(q int, figure func(*soakSample) uint64) float64 {
	n := len(r.samples)
	var list []float64
	for i := q * n / 4; i < (q+1)*n/4; i++ {
		list = append(list, float64(figure(&r.samples[i])))
	}
	return median(list)
}

// print prints the figures, and reports whether all is well.
func (r *soakResult) print(w io.Writer) bool {
	fmt.Fprintf(w, "%s\n%.0f packets/s for %v, %d packets sent\n\n", r.machine, r.sent.rate,
		r.o.duration, r.sent.sent)
	good := true
	g := &grid{head: []string{"", "second quarter", "last quarter", "ratio", ""}}
	for _, x := range []struct {
		name   string
		figure func(*soakSample) uint64
	}{
		{"resident memory, MB", func(s *soakSample) uint64 { return s.rss / 1e6 }},
		{"threads", func(s *soakSample) uint64 { return s.threads }},
		{"descriptors", func(s *soakSample) uint64 { return s.descriptors }},
	} {
		a, b := r.quarter(1, x.figure), r.quarter(3, x.figure)
		remark := ""
		if b > a*soakGrowth+1 {
			remark, good = "it grows", false
		}
		g.rows = append(g.rows, []string{x.name, fmt.Sprintf("%.0f", a), fmt.Sprintf("%.0f", b),
			fmt.Sprintf("%.2f", b/max(1, a)), remark})
	}
	g.text(w)
	last := &r.samples[len(r.samples)-1]
	fmt.Fprintf(w, "\n%d frames taken, %d dropped by the kernel; %d events, %d numbers missing, "+
		"%d lines not whole\n%s\n", last.frames, last.drops, r.events, r.holes, r.broken, r.account)
	if r.failed != nil {
		fmt.Fprintf(w, "the sensor ended with: %v\n", r.failed)
	}
	return good && r.holes == 0 && r.broken == 0 && r.failed == nil
}
