package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// liveOptions are the options of live.
type liveOptions struct {
	rates    []int // packets a second; 0 is as fast as the sender can
	rounds   int
	duration time.Duration
	buffer   int // MiB
	stall    time.Duration
	stallAt  int
}

// live replays a file at rising rates to the sensor and to tcpdump, and says what they lost.
func live(args []string, stdout, stderr io.Writer) int {
	var o liveOptions
	flags := flag.NewFlagSet("live", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rates := flags.String("rates", "200000,400000,600000,800000,1000000,0", "packets a second, separated by commas; 0 is as fast as the sender can")
	flags.IntVar(&o.rounds, "rounds", 3, "runs of each tool at each rate, in turns")
	flags.DurationVar(&o.duration, "duration", 2*time.Second, "how long each run sends; a short file is sent again and again")
	flags.IntVar(&o.buffer, "buffer", 64, "the kernel's buffer for each tool, in MiB")
	flags.DurationVar(&o.stall, "stall", 200*time.Millisecond, "how long the reader is stopped in the last case; 0 leaves that out")
	flags.IntVar(&o.stallAt, "stall-at", 800_000, "the rate of that case")
	markdown := flags.Bool("markdown", false, "print Markdown")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: bench live [options] FILE (as root)")
		flags.PrintDefaults()
	}
	if flags.Parse(args) != nil {
		return 2
	}
	for _, s := range split(*rates, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			fmt.Fprintf(stderr, "bench: %q is no rate\n", s)
			return 2
		}
		o.rates = append(o.rates, n)
	}
	if flags.NArg() != 1 || o.rounds < 1 || o.duration <= 0 || o.buffer < 1 || o.stallAt < 0 {
		flags.Usage()
		return 2
	}
	if why := cannotLive(); why != "" {
		fmt.Fprintf(stdout, "skipped: %s\n", why)
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	r, err := o.run(ctx, flags.Arg(0), stderr)
	if err == nil {
		err = r.print(stdout, *markdown)
	}
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	return 0
}

// cannotLive says why live cannot run here; empty if it can.
func cannotLive() string {
	if os.Getuid() != 0 {
		return "it needs root, for network namespaces"
	}
	for _, tool := range []string{"ip", "taskset", "tcpreplay", "tcpdump"} {
		if _, err := exec.LookPath(tool); err != nil {
			return tool + " is not installed"
		}
	}
	return ""
}

// lab is a cable between two network namespaces, in which nothing else sends:
//
//	sender: tcpreplay -- tx0 ======== rx0 -- listener
type lab struct {
	sender, listener string
	file             string
}

func newLab(file string) (*lab, error) {
	id := strconv.Itoa(os.Getpid())
	l := &lab{sender: "spam-tx" + id, listener: "spam-rx" + id, file: file}
	for _, line := range []string{
		"netns add " + l.sender,
		"netns add " + l.listener,
		"netns exec " + l.sender + " sysctl -qw net.ipv6.conf.default.disable_ipv6=1",
		"netns exec " + l.listener + " sysctl -qw net.ipv6.conf.default.disable_ipv6=1",
		"-n " + l.sender + " link add tx0 type veth peer name rx0 netns " + l.listener,
		"-n " + l.sender + " link set tx0 arp off up",
		"-n " + l.listener + " link set rx0 arp off up",
	} {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			l.close()
			return nil, fmt.Errorf("ip %s: %w: %s", line, err, short(string(out)))
		}
	}
	return l, nil
}

// close removes the namespaces; the cable goes with them.
func (l *lab) close() {
	for _, ns := range []string{l.sender, l.listener} {
		exec.Command("ip", "netns", "del", ns).Run()
	}
}

// in is a command in a namespace, on some of the processors.
func in(ctx context.Context, ns, cpus string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "ip", slices.Concat([]string{"netns", "exec", ns, "taskset", "-c", cpus}, args)...)
	c.WaitDelay = time.Second
	return c
}

// cpus gives the sender the first processor and the listener the others, if there are any:
// on a real network the sender is another machine.
func cpus(n int) (sender, listener string) {
	switch n {
	case 1:
		return "0", "0"
	case 2:
		return "0", "1"
	}
	return "0", "1-" + strconv.Itoa(n-1)
}

// listener is a tool that captures, and how it says what it took and what the kernel dropped.
type listener struct {
	name           string
	args           []string
	ready          string
	stop           syscall.Signal
	taken, dropped *regexp.Regexp
}

func listeners(sensor string, buffer int) []listener {
	return []listener{
		{"spamsensor", []string{sensor, "run", "-i", "rx0", "--color", "never", "--set", fmt.Sprintf("capture.buffer=%dMiB", buffer)}, "listening", syscall.SIGTERM,
			regexp.MustCompile(`"frames":(\d+)`), regexp.MustCompile(`"kernel_drops":(\d+)`)},
		{"tcpdump", []string{"tcpdump", "-Z", "root", "-n", "-i", "rx0", "-B", strconv.Itoa(buffer << 10), "-w", "/dev/null"}, "listening", syscall.SIGINT,
			regexp.MustCompile(`(\d+) packets? captured`), regexp.MustCompile(`(\d+) packets? dropped by kernel`)},
	}
}

// replay is one run: what was sent, what arrived at the interface, what the tool took, what
// was dropped because it did not keep up.
type replay struct {
	sent, arrived, taken, dropped uint64
	rate                          float64 // packets a second, as sent
	cpu                           time.Duration
}

// output is what a command has said so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// settle is how long a listener may work on what is in its buffer.
const settle = time.Second

// play has a listener listen while the file is sent.
func (l *lab) play(ctx context.Context, who *listener, o *liveOptions, rate int, stall time.Duration) (s replay, err error) {
	sender, others := cpus(thisMachine().Cores)
	c := in(ctx, l.listener, others, who.args...)
	var said output
	c.Stderr = &said
	before, err := l.arrived()
	if err != nil {
		return s, err
	}
	if err := c.Start(); err != nil {
		return s, err
	}
	defer func() {
		if c.ProcessState == nil {
			c.Process.Kill()
			c.Wait()
		}
	}()
	for began := time.Now(); !strings.Contains(said.String(), who.ready); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			return s, fmt.Errorf("%s does not begin to listen: %s", who.name, reason(said.String()))
		}
	}
	if stall > 0 {
		ctx, done := context.WithCancel(ctx)
		defer done()
		go l.stop(ctx, c.Process, before, o.duration/2, stall)
	}
	if err := l.send(ctx, sender, rate, o.duration, &s); err != nil {
		return s, err
	}
	time.Sleep(settle)
	c.Process.Signal(who.stop)
	late := time.AfterFunc(10*time.Second, func() { c.Process.Kill() })
	err = c.Wait()
	late.Stop()
	if err != nil {
		return s, fmt.Errorf("%s: %w: %s", who.name, err, reason(said.String()))
	}
	after, err := l.arrived()
	s.arrived = after - before
	use := c.ProcessState
	s.cpu = use.UserTime() + use.SystemTime()
	return s, errors.Join(err, number(said.String(), who.taken, &s.taken), number(said.String(), who.dropped, &s.dropped))
}

// stop stops a process for a while, some time after the first packet has arrived: a large file is read
// long before it is sent.
func (l *lab) stop(ctx context.Context, p *os.Process, before uint64, after, stall time.Duration) {
	for ctx.Err() == nil {
		if n, err := l.arrived(); err == nil && n > before {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	select {
	case <-ctx.Done():
	case <-time.After(after):
		p.Signal(syscall.SIGSTOP)
		time.Sleep(stall)
		p.Signal(syscall.SIGCONT)
	}
}

var (
	sentPackets = regexp.MustCompile(`Actual: (\d+) packets`)
	sentSeconds = regexp.MustCompile(`sent in ([0-9.]+) seconds`)
	arrivedAt   = regexp.MustCompile(`(?s)RX:[^\n]*\n\s*\d+\s+(\d+)`)
)

// send replays the file for a while.
func (l *lab) send(ctx context.Context, cpu string, rate int, d time.Duration, s *replay) error {
	args := []string{"tcpreplay", "-q", "-i", "tx0", "--preload-pcap", "--no-flow-stats", "--loop=0"}
	if rate == 0 {
		// Without a rate only the duration can end it.
		args = append(args, "--topspeed", fmt.Sprintf("--duration=%d", max(1, int(d.Seconds()))))
	} else {
		args = append(args, fmt.Sprintf("--pps=%d", rate), fmt.Sprintf("--limit=%d", int(float64(rate)*d.Seconds())))
	}
	out, err := in(ctx, l.sender, cpu, append(args, l.file)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("tcpreplay: %w: %s", err, reason(string(out)))
	}
	took, err := strconv.ParseFloat(string(second(sentSeconds.FindSubmatch(out))), 64)
	if err != nil {
		return fmt.Errorf("tcpreplay does not say how long it sent: %s", short(string(out)))
	}
	err = number(string(out), sentPackets, &s.sent)
	s.rate = float64(s.sent) / took
	return err
}

func second(list [][]byte) []byte {
	if len(list) < 2 {
		return nil
	}
	return list[1]
}

// arrived is how many packets the interface has received so far.
func (l *lab) arrived() (n uint64, err error) {
	out, err := exec.Command("ip", "-n", l.listener, "-s", "link", "show", "rx0").Output()
	if err != nil {
		return 0, err
	}
	return n, number(string(out), arrivedAt, &n)
}

// number finds a number in a text.
func number(text string, where *regexp.Regexp, n *uint64) (err error) {
	if *n, err = strconv.ParseUint(string(second(where.FindSubmatch([]byte(text)))), 10, 64); err != nil {
		return fmt.Errorf("no %s in %q", where, short(text))
	}
	return nil
}

// liveCase is a rate, with or without a stall, and the runs of each listener.
type liveCase struct {
	rate  int
	stall time.Duration
	runs  [][]replay
}

// liveResult is all that live found.
type liveResult struct {
	o         *liveOptions
	machine   machine
	file      string
	listeners []listener
	cases     []liveCase
}

func (o *liveOptions) run(ctx context.Context, name string, log io.Writer) (*liveResult, error) {
	file, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(file); err != nil {
		return nil, err
	}
	dir, sensor, err := workshop()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	l, err := newLab(file)
	if err != nil {
		return nil, err
	}
	defer l.close()
	r := &liveResult{o: o, machine: thisMachine(), file: filepath.Base(file), listeners: listeners(sensor, o.buffer)}
	for _, rate := range o.rates {
		r.cases = append(r.cases, liveCase{rate: rate})
	}
	if o.stall > 0 {
		r.cases = append(r.cases, liveCase{rate: o.stallAt, stall: o.stall})
	}
	for i := range r.cases {
		c := &r.cases[i]
		c.runs = make([][]replay, len(r.listeners))
		for range o.rounds {
			for k := range r.listeners {
				s, err := l.play(ctx, &r.listeners[k], o, c.rate, c.stall)
				if err = errors.Join(ctx.Err(), err); err != nil {
					return nil, err
				}
				fmt.Fprintf(log, "%s, %s: %.0f packets/s, %d dropped\n", r.name(c), r.listeners[k].name, s.rate, s.dropped)
				c.runs[k] = append(c.runs[k], s)
			}
		}
	}
	return r, nil
}

func (r *liveResult) name(c *liveCase) string {
	s := strconv.Itoa(c.rate) + "/s"
	if c.rate == 0 {
		s = "as fast as possible"
	}
	if c.stall > 0 {
		s += ", stopped for " + c.stall.String()
	}
	return s
}

// together adds the runs of a case up; the rate is their median.
func together(runs []replay) (t replay) {
	var rates []float64
	for _, s := range runs {
		t.sent += s.sent
		t.arrived += s.arrived
		t.taken += s.taken
		t.dropped += s.dropped
		t.cpu += s.cpu
		rates = append(rates, s.rate)
	}
	t.rate = median(rates)
	return t
}

// share is how much of what the tool should have taken was dropped.
func (s *replay) share() float64 { return float64(s.dropped) / float64(max(1, s.taken+s.dropped)) }

func (r *liveResult) grid() *grid {
	g := &grid{head: []string{"asked for", "sent/s", "arrived", "tool", "taken", "dropped", "share", "CPU ns/packet", ""}}
	for _, c := range r.cases {
		for k, runs := range c.runs {
			t := together(runs)
			remark := ""
			if t.arrived != t.sent {
				remark = fmt.Sprintf("%d did not arrive", int64(t.sent-t.arrived))
			}
			g.rows = append(g.rows, []string{r.name(&c), fmt.Sprintf("%.0f", t.rate), strconv.FormatUint(t.arrived, 10), r.listeners[k].name,
				strconv.FormatUint(t.taken, 10), strconv.FormatUint(t.dropped, 10), fmt.Sprintf("%.3f %%", 100*t.share()),
				fmt.Sprintf("%.0f", float64(t.cpu)/float64(max(1, t.arrived))), remark})
		}
	}
	return g
}

// onset is the lowest rate, as sent, at which a listener lost anything, leaving out the case with
// a stall; 0 if it never did. most is the highest rate.
func (r *liveResult) onset(k int) (rate, most float64) {
	for _, c := range r.cases {
		if c.stall > 0 {
			continue
		}
		t := together(c.runs[k])
		most = max(most, t.rate)
		if t.dropped > 0 && (rate == 0 || t.rate < rate) {
			rate = t.rate
		}
	}
	return rate, most
}

func (r *liveResult) print(w io.Writer, markdown bool) error {
	sender, others := cpus(r.machine.Cores)
	fmt.Fprintf(w, "%s\n%s over veth, sender on processor %s, listener on %s; %s of %s each, in turns; buffer %d MiB.\n\n",
		r.machine, r.file, sender, others, counted(strconv.Itoa(r.o.rounds), "run"), r.o.duration, r.o.buffer)
	print := r.grid().text
	if markdown {
		print = r.grid().markdown
	}
	if err := print(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for k, l := range r.listeners {
		rate, most := r.onset(k)
		if rate == 0 {
			fmt.Fprintf(w, "%s: no drops up to %.0f packets/s, which is all that was sent\n", l.name, most)
			continue
		}
		fmt.Fprintf(w, "%s: drops begin at %.0f packets/s\n", l.name, rate)
	}
	return nil
}
