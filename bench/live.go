package main

import (
	"bytes"
	"context"
	"errors"
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

// liveOptions are the options of live. stall and stallAt are the time for which the capturing
// process is stopped in the last case, and the packet rate of that case.
type liveOptions struct {
	rates    []int // packets a second; 0 means as fast as the sender can
	rounds   int
	duration time.Duration
	buffer   int // MiB
	stall    time.Duration
	stallAt  int
}

// live replays a file at rising rates to the sensor and to tcpdump, and prints how many packets
// each of them dropped.
func live(args []string, stdout, stderr io.Writer) int {
	var o liveOptions
	flags := newFlags("bench live", "FILE (as root)", stderr)
	rates := flags.String("rates", "200000,400000,600000,800000,1000000,0",
		"packets a second, separated by commas; 0 is as fast as the sender can")
	flags.IntVar(&o.rounds, "rounds", 3, "runs of each tool at each rate, in turns")
	flags.DurationVar(&o.duration, "duration", 2*time.Second,
		"how long each run sends; a short file is sent again and again")
	flags.IntVar(&o.buffer, "buffer", 64, "the kernel's buffer for each tool, in MiB")
	flags.DurationVar(&o.stall, "stall", 200*time.Millisecond,
		"how long the reader is stopped in the last case; 0 leaves that out")
	flags.IntVar(&o.stallAt, "stall-at", 800_000, "the rate of that case")
	markdown := flags.Bool("markdown", false, "print Markdown")
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
	if why := liveUnavailable(); why != "" {
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

// liveUnavailable is the reason why live cannot run on this machine, "" if it can.
func liveUnavailable() string {
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

// vethLink is a virtual cable between two network namespaces, in which nothing else sends:
//
//	sender: tcpreplay -- tx0 ======== rx0 -- listener: a captureTool
type vethLink struct {
	sender, listener string
	file             string
}

func newVethLink(file string) (*vethLink, error) {
	id := strconv.Itoa(os.Getpid())
	l := &vethLink{sender: "spam-tx" + id, listener: "spam-rx" + id, file: file}
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
			return nil, fmt.Errorf("ip %s: %w: %s", line, err, shortLine(string(out)))
		}
	}
	return l, nil
}

// close removes the namespaces, and with them the cable.
func (l *vethLink) close() {
	for _, ns := range []string{l.sender, l.listener} {
		exec.Command("ip", "netns", "del", ns).Run()
	}
}

// commandIn is a command in a namespace, bound to some of the processors.
func commandIn(ctx context.Context, ns, cpus string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "ip",
		slices.Concat([]string{"netns", "exec", ns, "taskset", "-c", cpus}, args)...)
	c.WaitDelay = time.Second
	return c
}

// cpus divides n processors: the first is the sender's and the others are the listener's, if there
// are any, because on a real network the sender is another machine.
func cpus(n int) (sender, listener string) {
	switch n {
	case 1:
		return "0", "0"
	case 2:
		return "0", "1"
	}
	return "0", "1-" + strconv.Itoa(n-1)
}

// captureTool is a program that captures. ready is the text that it prints when it listens, stop
// the signal that ends it; captured and dropped find in its output the packets that it received and
// those that the kernel dropped.
type captureTool struct {
	name              string
	args              []string
	ready             string
	stop              syscall.Signal
	captured, dropped *regexp.Regexp
}

func captureTools(sensor string, buffer int) []captureTool {
	return []captureTool{
		{"spamsensor", []string{sensor, "run", "-i", "rx0", "--color", "never", "--set",
			fmt.Sprintf("capture.buffer=%dMiB", buffer)}, "listening", syscall.SIGTERM,
			regexp.MustCompile(`"frames":(\d+)`), regexp.MustCompile(`"kernel_drops":(\d+)`)},
		{"tcpdump", []string{"tcpdump", "-Z", "root", "-n", "-i", "rx0", "-B",
			strconv.Itoa(buffer << 10), "-w", "/dev/null"}, "listening", syscall.SIGINT,
			regexp.MustCompile(`(\d+) packets? captured`),
			regexp.MustCompile(`(\d+) packets? dropped by kernel`)},
	}
}

// replay is one run: the packets that were sent, that arrived at the interface, that the tool
// captured, and that the kernel dropped because the tool did not keep up.
type replay struct {
	sent, received, captured, dropped uint64
	rate                              float64 // packets a second, as sent
	cpu                               time.Duration
}

// lockedBuffer is the output of a command so far.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *lockedBuffer) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *lockedBuffer) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// drainTime is the time that a tool has to read the rest of its buffer.
const drainTime = time.Second

// run sends the file while a tool captures it. With a stall the tool is stopped for that time in
// the middle of the run.
func (l *vethLink) run(ctx context.Context, tool *captureTool, o *liveOptions, rate int,
	stall time.Duration) (s replay, err error) {
	senderCPU, listenerCPUs := cpus(thisMachine().Cores)
	c := commandIn(ctx, l.listener, listenerCPUs, tool.args...)
	before, err := l.received()
	if err != nil {
		return s, err
	}
	stderr, kill, err := startListening(c, tool.name, tool.ready)
	defer kill()
	if err != nil {
		return s, err
	}
	if stall > 0 {
		ctx, done := context.WithCancel(ctx)
		defer done()
		go l.suspend(ctx, c.Process, before, o.duration/2, stall)
	}
	if err := l.send(ctx, senderCPU, rate, o.duration, &s); err != nil {
		return s, err
	}
	time.Sleep(drainTime)
	c.Process.Signal(tool.stop)
	timer := time.AfterFunc(10*time.Second, func() { c.Process.Kill() })
	err = c.Wait()
	timer.Stop()
	if err != nil {
		return s, fmt.Errorf("%s: %w: %s", tool.name, err, failureReason(stderr.String()))
	}
	after, err := l.received()
	s.received = after - before
	usage := c.ProcessState
	s.cpu = usage.UserTime() + usage.SystemTime()
	return s, errors.Join(err, parseNumber(stderr.String(), tool.captured, &s.captured),
		parseNumber(stderr.String(), tool.dropped, &s.dropped))
}

// suspend stops a process for the time stall. It waits until the first packet has arrived and then
// for the time after, because tcpreplay reads a large file long before it sends the first packet.
func (l *vethLink) suspend(ctx context.Context, p *os.Process, before uint64, after,
	stall time.Duration) {
	for ctx.Err() == nil {
		if n, err := l.received(); err == nil && n > before {
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
	sentPackets     = regexp.MustCompile(`Actual: (\d+) packets`)
	sentSeconds     = regexp.MustCompile(`sent in ([0-9.]+) seconds`)
	receivedPackets = regexp.MustCompile(`(?s)RX:[^\n]*\n\s*\d+\s+(\d+)`)
)

// send replays the file for the time d, at a rate in packets a second.
func (l *vethLink) send(ctx context.Context, cpu string, rate int, d time.Duration,
	s *replay) error {
	args := []string{"tcpreplay", "-q", "-i", "tx0", "--preload-pcap", "--no-flow-stats",
		"--loop=0"}
	if rate == 0 {
		// Without a rate only a duration ends tcpreplay.
		args = append(args, "--topspeed", fmt.Sprintf("--duration=%d", max(1, int(d.Seconds()))))
	} else {
		args = append(args, fmt.Sprintf("--pps=%d", rate),
			fmt.Sprintf("--limit=%d", int(float64(rate)*d.Seconds())))
	}
	out, err := commandIn(ctx, l.sender, cpu, append(args, l.file)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("tcpreplay: %w: %s", err, failureReason(string(out)))
	}
	took, err := strconv.ParseFloat(string(submatch(sentSeconds.FindSubmatch(out))), 64)
	if err != nil {
		return fmt.Errorf("tcpreplay does not say how long it sent: %s", shortLine(string(out)))
	}
	err = parseNumber(string(out), sentPackets, &s.sent)
	s.rate = float64(s.sent) / took
	return err
}

// submatch is the first group of a match, nil if there was no match.
func submatch(list [][]byte) []byte {
	if len(list) < 2 {
		return nil
	}
	return list[1]
}

// received is the number of packets that the interface has received so far.
func (l *vethLink) received() (n uint64, err error) {
	out, err := exec.Command("ip", "-n", l.listener, "-s", "link", "show", "rx0").Output()
	if err != nil {
		return 0, err
	}
	return n, parseNumber(string(out), receivedPackets, &n)
}

// parseNumber finds a number in a text: the first group of where.
func parseNumber(text string, where *regexp.Regexp, n *uint64) (err error) {
	if *n, err = strconv.ParseUint(string(submatch(where.FindSubmatch([]byte(text)))), 10,
		64); err != nil {
		return fmt.Errorf("no %s in %q", where, shortLine(text))
	}
	return nil
}

// liveCase is a rate, with or without a stall, and the runs of each tool.
type liveCase struct {
	rate  int
	stall time.Duration
	runs  [][]replay
}

// liveResult is the result of live.
type liveResult struct {
	o       *liveOptions
	machine machine
	file    string
	tools   []captureTool
	cases   []liveCase
}

// run runs all cases, each round with every tool in turn. log gets a line for each run.
func (o *liveOptions) run(ctx context.Context, name string, log io.Writer) (*liveResult, error) {
	bed, err := newTestbed(name)
	if err != nil {
		return nil, err
	}
	defer bed.close()
	r := &liveResult{o: o, machine: thisMachine(), file: filepath.Base(name),
		tools: captureTools(bed.sensor, o.buffer)}
	for _, rate := range o.rates {
		r.cases = append(r.cases, liveCase{rate: rate})
	}
	if o.stall > 0 {
		r.cases = append(r.cases, liveCase{rate: o.stallAt, stall: o.stall})
	}
	for i := range r.cases {
		c := &r.cases[i]
		c.runs = make([][]replay, len(r.tools))
		for range o.rounds {
			for k := range r.tools {
				s, err := bed.link.run(ctx, &r.tools[k], o, c.rate, c.stall)
				if err = errors.Join(ctx.Err(), err); err != nil {
					return nil, err
				}
				fmt.Fprintf(log, "%s, %s: %.0f packets/s, %d dropped\n", r.caseName(c),
					r.tools[k].name, s.rate, s.dropped)
				c.runs[k] = append(c.runs[k], s)
			}
		}
	}
	return r, nil
}

// caseName is a case in words, for the table.
func (r *liveResult) caseName(c *liveCase) string {
	s := strconv.Itoa(c.rate) + "/s"
	if c.rate == 0 {
		s = "as fast as possible"
	}
	if c.stall > 0 {
		s += ", stopped for " + c.stall.String()
	}
	return s
}

// sumRuns is the sum of the runs of a case; its rate is their median.
func sumRuns(runs []replay) (t replay) {
	var rates []float64
	for _, s := range runs {
		t.sent += s.sent
		t.received += s.received
		t.captured += s.captured
		t.dropped += s.dropped
		t.cpu += s.cpu
		rates = append(rates, s.rate)
	}
	t.rate = median(rates)
	return t
}

// dropShare is the share of the packets for the tool that the kernel dropped.
func (s *replay) dropShare() float64 {
	return float64(s.dropped) / float64(max(1, s.captured+s.dropped))
}

// grid returns the table of all cases.
func (r *liveResult) grid() *grid {
	g := &grid{head: []string{"asked for", "sent/s", "arrived", "tool", "taken", "dropped", "share",
		"CPU ns/packet", ""}}
	for _, c := range r.cases {
		for k, runs := range c.runs {
			t := sumRuns(runs)
			remark := ""
			if t.received != t.sent {
				remark = fmt.Sprintf("%d did not arrive", int64(t.sent-t.received))
			}
			g.rows = append(g.rows, []string{r.caseName(&c), fmt.Sprintf("%.0f", t.rate),
				strconv.FormatUint(t.received, 10), r.tools[k].name,
				strconv.FormatUint(t.captured, 10), strconv.FormatUint(t.dropped, 10),
				fmt.Sprintf("%.3f %%", 100*t.dropShare()),
				fmt.Sprintf("%.0f", float64(t.cpu)/float64(max(1, t.received))), remark})
		}
	}
	return g
}

// firstDrops is the lowest rate, as sent, at which the kernel dropped packets of a tool, without
// the case with a stall; 0 if there is none. highest is the highest rate.
func (r *liveResult) firstDrops(k int) (rate, highest float64) {
	for _, c := range r.cases {
		if c.stall > 0 {
			continue
		}
		t := sumRuns(c.runs[k])
		highest = max(highest, t.rate)
		if t.dropped > 0 && (rate == 0 || t.rate < rate) {
			rate = t.rate
		}
	}
	return rate, highest
}

// print prints the conditions, the table, and for each tool the rate at which drops begin.
func (r *liveResult) print(w io.Writer, markdown bool) error {
	senderCPU, listenerCPUs := cpus(r.machine.Cores)
	fmt.Fprintf(w, "%s\n%s over veth, sender on processor %s, listener on %s; %s of %s each, in "+
		"turns; buffer %d MiB.\n\n",
		r.machine, r.file, senderCPU, listenerCPUs, quantity(strconv.Itoa(r.o.rounds), "run"),
		r.o.duration, r.o.buffer)
	print := r.grid().text
	if markdown {
		print = r.grid().markdown
	}
	if err := print(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for k, l := range r.tools {
		rate, highest := r.firstDrops(k)
		if rate == 0 {
			fmt.Fprintf(w, "%s: no drops up to %.0f packets/s, which is all that was sent\n",
				l.name, highest)
			continue
		}
		fmt.Fprintf(w, "%s: drops begin at %.0f packets/s\n", l.name, rate)
	}
	return nil
}
