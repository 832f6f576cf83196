//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/state"
	"spamsensor/sensor/status"
)

// clockInstead is the environment variable with which the test binary is the command on a machine
// whose clock jumps; see TestMain. Its value is a file with the nanoseconds that the clock is ahead.
// A process cannot be given such a clock from outside: a time namespace does not shift it, and the
// kernel writes the times of frames.
const clockInstead = "SPAMSENSOR_TEST_CLOCK"

// useClock shifts the clock of this process, and the times of the frames that it captures.
func useClock(name string) {
	ahead, err := clockFile(name)
	if err != nil {
		panic(err)
	}
	wallTime = func() int64 { return time.Now().UnixNano() + ahead.Load() }
	openLive = func(c capture.LiveConfig) (liveSource, error) {
		l, err := capture.OpenLive(c)
		return &shiftedLive{l, ahead}, err
	}
}

// clockFile maps the file into memory: a sandbox does not keep it from being read.
func clockFile(name string) (*atomic.Int64, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(8); err != nil {
		return nil, err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return (*atomic.Int64)(unsafe.Pointer(&b[0])), nil
}

// shiftedLive is an interface of a machine whose clock is ahead.
type shiftedLive struct {
	*capture.Live
	ahead *atomic.Int64
}

func (l *shiftedLive) shift(b *capture.Batch) {
	d := l.ahead.Load()
	for i := range b.Frames {
		b.Frames[i].Time += d
	}
	if len(b.Frames) > 0 {
		b.First, b.Last = b.First+d, b.Last+d
	}
}

// Next implements liveSource.
func (l *shiftedLive) Next() (*capture.Batch, error) {
	b, err := l.Live.Next()
	l.shift(b)
	return b, err
}

// Drain implements liveSource.
func (l *shiftedLive) Drain(take func(*capture.Batch)) {
	l.Live.Drain(func(b *capture.Batch) {
		l.shift(b)
		take(b)
	})
}

// The three bots of TestWeek: at the beginning, while the disk is full, after everything.
var weekBots = []string{botAddr, "192.168.88.67", "192.168.88.68"}

// within is the time in which a fault, its end, and a bot must be told.
const within = 10 * time.Second

// week is a sensor whose machine has a bad week, with mail that goes on.
type week struct {
	*span
	disk, config, socket, events string
	client                       *status.Client
	ahead                        *atomic.Int64 // the sensor's clock
	p                            *exec.Cmd     // the sensor
	log                          *locked       // its standard error
	made, unsure                 atomic.Int64  // mails of the server; those that may have been missed
	blind                        atomic.Bool   // the sensor sees no frame, or will forget it
	piped                        locked        // events that went to the named pipe
	texts                        []string      // the logs of all processes
	slowest                      time.Duration
}

func newWeek(t *testing.T) *week {
	w := &week{span: newSpan(t)}
	w.disk = filepath.Join(w.dir, "disk")
	w.config, w.socket = filepath.Join(w.dir, "conf", "a.yaml"), filepath.Join(w.dir, "run", "socket")
	w.events = filepath.Join(w.disk, "events.json")
	w.client = status.NewClient(w.socket)
	for _, d := range []string{"disk", "conf", "run"} {
		if err := os.Mkdir(filepath.Join(w.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mount("tmpfs", w.disk, "tmpfs", 0, "size=4m"); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { syscall.Unmount(w.disk, syscall.MNT_DETACH) })
	for _, bot := range weekBots[1:] {
		w.must("ip", "-n", w.ns("a"), "addr", "add", bot+"/24", "dev", "up0")
	}
	var err error
	if w.ahead, err = clockFile(filepath.Join(w.dir, "clock")); err != nil {
		t.Fatal(err)
	}
	return w
}

// configure writes the configuration of the sensor.
func (w *week) configure(output, more string) {
	w.t.Helper()
	writeFile(w.t, w.config, fmt.Sprintf("home_net: [192.168.88.0/24]\n"+
		"smtp_servers: [{ip: %s, name: mail.example.org}]\n"+
		"output: {file: %s, sessions: all}\nstate: {dir: %s/state, every: 1s}\n"+
		"control: {socket: %s}\n%s", mailAddr, output, w.disk, w.socket, more), 0o600)
}

// begin starts the sensor.
func (w *week) begin() {
	w.t.Helper()
	w.log = &locked{}
	w.p = w.in("s", os.Args[0], "run", "-i", "span", "-c", w.config)
	w.p.Env = append(os.Environ(), clockInstead+"="+filepath.Join(w.dir, "clock"),
		escapeInstead+"="+filepath.Join(w.dir, "escape"))
	w.p.Stderr = w.log
	w.start(w.p)
	waitFor(w.t, "in the sandbox", w.log.String)
	w.blind.Store(false)
}

// end ends the sensor by a signal, and returns its exit code.
func (w *week) end(s os.Signal) int {
	w.t.Helper()
	w.p.Process.Signal(s)
	w.p.Wait()
	w.texts = append(w.texts, w.log.String())
	return w.p.ProcessState.ExitCode()
}

// hangup has the sensor read its configuration again.
func (w *week) hangup() {
	w.t.Helper()
	from := len(w.log.String())
	w.p.Process.Signal(syscall.SIGHUP)
	waitFor(w.t, `"SIGHUP: `, func() string { return w.log.String()[from:] })
}

// raised are the health checks that the sensor's status names.
func (w *week) raised() (checks []string) {
	var s status.Status
	if err := w.client.Get(w.t.Context(), "status", &s); err != nil {
		return []string{err.Error()}
	}
	for _, h := range s.Health {
		checks = append(checks, h.Check)
	}
	return checks
}

// all returns all events so far, in their order.
func (w *week) all() []emitted {
	w.t.Helper()
	b, err := os.ReadFile(w.events)
	if err != nil {
		w.t.Fatal(err)
	}
	b = append(b[:bytes.LastIndexByte(b, '\n')+1], w.piped.String()...)
	b = b[:bytes.LastIndexByte(b, '\n')+1]
	list := unmarshalEvents(w.t, b)
	place := map[string]int{} // of runs
	for _, e := range list {
		run, _, _ := strings.Cut(e.ID, "/")
		if _, known := place[run]; !known {
			place[run] = len(place)
		}
	}
	slices.SortStableFunc(list, func(a, b emitted) int {
		x, n := numberOf(a.ID)
		y, m := numberOf(b.ID)
		return (place[x]-place[y])<<32 + n - m
	})
	return list
}

// numberOf divides the id of an event into its run and its number in that run.
func numberOf(id string) (run string, n int) {
	run, text, _ := strings.Cut(id, "/")
	n, _ = strconv.Atoi(text)
	return run, n
}

// healthEvents are the changes of a check so far.
func (w *week) healthEvents(check string) (states []string) {
	for _, e := range ofType(w.all(), "health") {
		if e.Health.Check == check {
			states = append(states, e.Health.State)
		}
	}
	return states
}

// expect waits until the status names a check, or does not any more, and until the events have so
// many changes of it: none is asked for if they cannot be written.
func (w *week) expect(check string, on bool, changes int) {
	w.t.Helper()
	began := time.Now()
	for told, written := false, changes == 0; ; time.Sleep(50 * time.Millisecond) {
		took := time.Since(began)
		told = told || slices.Contains(w.raised(), check) == on
		written = written || len(w.healthEvents(check)) >= changes
		if told && written {
			w.slowest = max(w.slowest, took)
			return
		}
		if took > within {
			w.t.Fatalf("%s is not %v: the status has %v, the events %v\n%s", check, on, w.raised(),
				w.healthEvents(check), w.log.String())
		}
	}
}

// serve answers at every address of the servers, and has the mail server send until stop is
// closed.
func (w *week) serve(stop chan struct{}) (done *sync.WaitGroup) {
	done = new(sync.WaitGroup)
	inside(w.t, w.ns("b"), func() error {
		l, err := net.Listen("tcp4", ":25")
		if err != nil {
			return err
		}
		done.Go(func() { <-stop; l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go serveMail(c, false)
			}
		}()
		return nil
	})
	done.Go(func() {
		inside(w.t, w.ns("a"), func() error {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return nil
				case <-time.After(200 * time.Millisecond):
				}
				unsure := w.blind.Load()
				if err := talk(mailAddr, fmt.Sprintf("198.18.%d.25", i%6), "mail.example.org",
					"anna@example.org", "info@example.net"); err != nil {
					return err
				}
				if w.made.Add(1); unsure || w.blind.Load() {
					w.unsure.Add(1)
				}
			}
		})
	})
	return done
}

// spam has a bot send, and waits for its finding: in the events, too, if they are written.
func (w *week) spam(bot string, written bool) {
	w.t.Helper()
	inside(w.t, w.ns("a"), func() error {
		for i := range 30 {
			rcpt := "nobody@example.net"
			if i%5 == 0 {
				rcpt = "info@example.net"
			}
			if err := talk(bot, fmt.Sprintf("198.18.%d.25", 50+i), fmt.Sprintf("10.0.0.%d", 30+i%9),
				fmt.Sprintf("u%d@forged%d.example", i, i%8), rcpt); err != nil {
				return err
			}
			time.Sleep(50 * time.Millisecond)
		}
		return nil
	})
	for began := time.Now(); !slices.Contains(w.accused(), bot) || written && !w.opened(bot); {
		if time.Since(began) > within {
			w.t.Fatalf("no finding about %s; there are %v\n%s", bot, w.accused(), w.log.String())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// opened reports whether the events have the finding of a host.
func (w *week) opened(host string) bool {
	return slices.ContainsFunc(ofType(w.all(), "finding"), func(e emitted) bool {
		return e.Src == host && e.Finding.Class == "spambot" && e.Finding.Action == "opened"
	})
}

// accused are the hosts with an open finding of a bot, as the running sensor says.
func (w *week) accused() (hosts []string) {
	var l status.FindingList
	if err := w.client.Get(w.t.Context(), "findings", &l); err != nil {
		w.t.Fatal(err)
	}
	for _, line := range l.Findings {
		for _, e := range unmarshalEvents(w.t, append(slices.Clone(line), '\n')) {
			if e.Finding.Class == "spambot" && e.Finding.Action != "closed" {
				hosts = append(hosts, e.Src)
			}
		}
	}
	slices.Sort(hosts)
	return hosts
}

// TestWeek has everything happen to one sensor that can happen in a week, one after the other, while
// a mail server sends: its link goes down, its interface is deleted and made again, the disk of its
// events and its state is full, its configuration is wrong, the reader of its events stalls, it is
// ended and killed, and its clock is set an hour ahead and back. Each fault and its end are told
// within ten seconds, and no other; of three bots each has one finding, over all restarts, and the
// server has none; nothing is counted twice, and nothing is lost but what must be.
func TestWeek(t *testing.T) {
	began := time.Now()
	w := newWeek(t)
	w.configure(w.events, "")
	w.begin()
	stop := make(chan struct{})
	sending := w.serve(stop)
	over := sync.OnceFunc(func() { close(stop); sending.Wait() })
	t.Cleanup(over)
	w.spam(weekBots[0], true)
	w.interfaceFails()
	w.diskFills()
	w.readerStalls()
	w.restarts()
	w.clockJumps()
	w.spam(weekBots[2], true)
	over()
	time.Sleep(time.Second) // the last frames
	hosts := w.accused()
	if code := w.end(syscall.SIGTERM); code != exitOK {
		t.Errorf("exit code %d: %s", code, w.log.String())
	}
	if !slices.Equal(hosts, weekBots) {
		t.Errorf("the status accuses %v, the bots are %v", hosts, weekBots)
	}
	w.checkFindings()
	w.checkHealth()
	w.checkAccounts()
	w.checkSandbox()
	t.Logf("a week in %.0f s: each fault and its end told within %.1f s (goal %v)",
		time.Since(began).Seconds(), w.slowest.Seconds(), within)
}

// interfaceFails has the link go down, and the interface be deleted and made again.
func (w *week) interfaceFails() {
	w.blind.Store(true)
	ipIn(w.t, w.ns("s"), "link", "set", "span", "down")
	w.expect("link", true, 1)
	ipIn(w.t, w.ns("s"), "link", "set", "span", "up")
	w.expect("link", false, 2)
	w.unmirror()
	w.expect("link", true, 3)
	w.cable("s", "span", "m0")
	w.mirror("c0", "ingress", "egress")
	w.expect("link", false, 4)
	time.Sleep(time.Second)
	w.blind.Store(false)
}

// diskFills has the disk be full while a bot sends.
func (w *week) diskFills() {
	filler, err := os.Create(filepath.Join(w.disk, "filler"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer filler.Close()
	if _, err := io.Copy(filler, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		w.t.Fatalf("the disk is not full: %v", err)
	}
	w.expect("output", true, 0)
	w.spam(weekBots[1], false)
	if err := os.Remove(filler.Name()); err != nil {
		w.t.Fatal(err)
	}
	filler.Close()
	w.expect("output", false, 2)
	w.expect("state", false, 2)
}

// readerStalls has the configuration be wrong, and then move the events to a named pipe whose reader
// stalls, and back to the file.
func (w *week) readerStalls() {
	w.configure(w.events, "detect: {many_networks: many}\n")
	w.hangup()
	w.expect("config", true, 1)
	pipe := filepath.Join(w.disk, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		w.t.Fatal(err)
	}
	r, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	raw, _ := r.SyscallConn()
	raw.Control(func(fd uintptr) { unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 4096) })
	w.configure(pipe, "detect: {many_networks: 12}\n")
	w.hangup()
	w.expect("config", false, 0)
	w.expect("output", true, 0)
	var read sync.WaitGroup
	read.Go(func() { io.Copy(&w.piped, r) })
	w.expect("output", false, 4)
	w.configure(w.events, "detect: {many_networks: 12}\n")
	w.hangup()
	read.Wait() // the sensor has closed it
}

// restarts ends the sensor and kills it.
func (w *week) restarts() {
	w.blind.Store(true)
	if code := w.end(syscall.SIGTERM); code != exitLost { // sessions, on the full disk
		w.t.Errorf("exit code %d: %s", code, w.log.String())
	}
	w.begin()
	time.Sleep(2 * time.Second)
	w.blind.Store(true)
	time.Sleep(2 * time.Second) // more than state.every
	w.end(syscall.SIGKILL)
	w.begin()
}

// clockJumps sets the clock of the sensor an hour ahead and back.
func (w *week) clockJumps() {
	for i, ahead := range []time.Duration{time.Hour, 0} {
		w.ahead.Store(int64(ahead))
		w.expect("clock", true, 2*i+1)
		w.expect("clock", false, 2*i+2)
	}
}

// checkFindings checks that each bot has one finding that was opened once, and nobody else has one.
// Before its verdict a host that sends directly may have a finding for information, which ends then.
func (w *week) checkFindings() {
	opened, ids := map[string]int{}, map[string]string{}
	var ended []string // findings for information
	for _, e := range ofType(w.all(), "finding") {
		f := e.Finding
		if f.Class == "direct_smtp" && slices.Contains(weekBots, e.Src) && !slices.Contains(ended, e.Src) {
			if f.Action == "closed" && f.CloseReason == "superseded" {
				ended = append(ended, e.Src)
			}
			continue
		}
		if !slices.Contains(weekBots, e.Src) || f.Class != "spambot" || f.Action == "closed" ||
			ids[e.Src] != "" && ids[e.Src] != f.ID {
			w.t.Errorf("%s %s of %s (%s)", f.Action, f.ID, e.Src, f.CloseReason)
		}
		if ids[e.Src] = f.ID; f.Action == "opened" {
			opened[e.Src]++
		}
	}
	for _, bot := range weekBots {
		if opened[bot] != 1 {
			w.t.Errorf("the finding of %s was opened %d times", bot, opened[bot])
		}
	}
}

// checkHealth checks that each fault was told as often as it was there, and nothing else.
func (w *week) checkHealth() {
	changes := map[string]int{}
	for _, e := range ofType(w.all(), "health") {
		changes[e.Health.Check]++
	}
	// Of the mails that were under way when the interface went, a part is missing; and virtual cables
	// leave checksums to a card that they do not have.
	delete(changes, "loss")
	delete(changes, "checksum_offload")
	want := map[string]int{"link": 4, "output": 4, "state": 2, "config": 2, "clock": 4}
	if fmt.Sprint(changes) != fmt.Sprint(want) {
		w.t.Errorf("the changes of health are %v, want %v", changes, want)
	}
}

// checkAccounts checks the account of the frames at each end, that each event is there or counted
// as lost, and the attempts in the history.
func (w *week) checkAccounts() {
	runs := map[string][]emitted{}
	for _, e := range w.all() {
		run, _ := numberOf(e.ID)
		runs[run] = append(runs[run], e)
	}
	lost := 0
	for run, list := range runs {
		_, last := numberOf(list[len(list)-1].ID)
		missing := last - len(list)
		if e := list[len(list)-1]; e.Type != "stats" && e.Type != "health" { // killed
			if missing > 0 {
				w.t.Errorf("run %s: %d of %d events are missing", run, missing, last)
			}
			continue
		}
		stats := lastStats(w.t, list)
		balanced(w.t, "run "+run, stats)
		dropped := 0
		for _, n := range stats.Output.ByType {
			dropped += n
		}
		lost += dropped
		if missing != dropped {
			w.t.Errorf("run %s: %d of %d events are missing, %v were lost", run, missing, last,
				stats.Output.ByType)
		}
	}
	if len(runs) != 3 || lost == 0 {
		w.t.Errorf("%d runs, %d events were lost", len(runs), lost)
	}
	counted := map[string]int64{}
	err := state.ReadHistory(w.disk+"/state", state.Query{}, func(_ int64, host netip.Addr, _ bool,
		hours *[24]engine.Counts) {
		for _, c := range hours {
			counted[host.String()] += int64(c[engine.CountAttempts])
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	made, sure := w.made.Load(), w.made.Load()-w.unsure.Load()
	if n := counted[mailAddr]; n < sure || n > made {
		w.t.Errorf("the history has %d mails of the server, it sent %d, %d of them in good times", n,
			made, sure)
	}
	for _, bot := range weekBots {
		if counted[bot] != 30 {
			w.t.Errorf("the history has %d attempts of %s, of 30", counted[bot], bot)
		}
	}
}

// checkSandbox checks that a thread of each process was refused an Internet socket.
func (w *week) checkSandbox() {
	for _, said := range w.texts {
		if !strings.Contains(said, "attempt: socket AF_INET: operation not permitted\n") {
			w.t.Errorf("AF_INET was not refused: %s", said)
		}
	}
}

// zeros is a reader without an end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
