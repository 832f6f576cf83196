//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// span is a switch with a mirror port, in network namespaces that the test makes:
//
//	spam-a: clients -- c0 [ spam-sw: bridge ] s0 -- spam-b: servers, Postfix
//	                              |
//	                           mirror of c0, both directions
//	                              |
//	                        spam-s: span, where the sensor listens
type span struct {
	t    *testing.T
	id   string
	dir  string
	done []func()
}

func (s *span) ns(name string) string { return "spam-" + name + s.id }

func (s *span) must(name string, args ...string) {
	s.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// in is a command inside a namespace.
func (s *span) in(ns string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", s.ns(ns)}, args...)...)
}

const (
	botAddr  = "192.168.88.66"
	mailAddr = "192.168.88.25"
)

func newSpan(t *testing.T, tools ...string) *span {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	for _, tool := range append(tools, "ip", "tc") {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	s := &span{t: t, id: fmt.Sprint(os.Getpid()), dir: t.TempDir()}
	t.Cleanup(s.close)
	for _, n := range []string{"a", "b", "sw", "s"} {
		s.namespace(n)
	}
	s.cable("a", "up0", "c0")
	s.cable("b", "lan0", "s0")
	s.cable("s", "span", "m0")
	sw := s.ns("sw")
	s.must("ip", "-n", sw, "link", "add", "br0", "type", "bridge")
	s.must("ip", "-n", sw, "link", "set", "br0", "up")
	s.must("ip", "-n", sw, "link", "set", "c0", "master", "br0")
	s.must("ip", "-n", sw, "link", "set", "s0", "master", "br0")
	s.mirror("c0", "ingress", "egress")
	for _, a := range []string{botAddr, mailAddr} {
		s.must("ip", "-n", s.ns("a"), "addr", "add", a+"/24", "dev", "up0")
	}
	s.must("ip", "-n", s.ns("a"), "route", "add", "default", "via", "192.168.88.1")
	s.must("ip", "-n", s.ns("b"), "addr", "add", "192.168.88.1/24", "dev", "lan0")
	s.must("ip", "-n", s.ns("b"), "route", "add", "local", "198.18.0.0/15", "dev", "lo", "table", "main")
	return s
}

// namespace makes a namespace.
func (s *span) namespace(name string) {
	s.t.Helper()
	s.must("ip", "netns", "add", s.ns(name))
	s.done = append(s.done, func() { exec.Command("ip", "netns", "del", s.ns(name)).Run() })
	s.must("ip", "-n", s.ns(name), "link", "set", "lo", "up")
}

// mirror sends a copy of what enters or leaves a port of the bridge to the sensor.
func (s *span) mirror(port string, directions ...string) {
	s.t.Helper()
	sw := s.ns("sw")
	s.must("tc", "-n", sw, "qdisc", "add", "dev", port, "clsact")
	for _, direction := range directions {
		s.must("tc", "-n", sw, "filter", "add", "dev", port, direction, "u32", "match", "u32", "0", "0", "action", "mirred", "egress", "mirror", "dev", "m0")
	}
}

// cable puts a virtual cable between an interface of a namespace and one of the switch.
func (s *span) cable(ns, name, port string) {
	s.must("ip", "-n", s.ns(ns), "link", "add", name, "type", "veth", "peer", "name", port, "netns", s.ns("sw"))
	s.must("ip", "-n", s.ns(ns), "link", "set", name, "up")
	s.must("ip", "-n", s.ns("sw"), "link", "set", port, "up")
}

// unmirror takes the mirror port away.
func (s *span) unmirror() {
	s.must("tc", "-n", s.ns("sw"), "qdisc", "del", "dev", "c0", "clsact")
	s.must("ip", "-n", s.ns("sw"), "link", "del", "m0")
}

func (s *span) close() {
	for i := len(s.done) - 1; i >= 0; i-- {
		s.done[i]()
	}
}

// start starts a command. The end of the test kills it by its process id.
func (s *span) start(c *exec.Cmd) *exec.Cmd {
	s.t.Helper()
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.done = append(s.done, func() {
		if c.ProcessState == nil {
			c.Process.Kill()
			c.Wait()
		}
	})
	return c
}

// until waits until ok returns true, which takes a short time.
func (s *span) until(what string, ok func() bool) {
	s.t.Helper()
	for range 200 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Fatalf("%s did not happen", what)
}

// postfix starts a private Postfix on port 25 of all servers. It accepts mail only for known
// recipients.
func (s *span) postfix() {
	dir := filepath.Join(s.dir, "postfix")
	s.startPostfix("b", dir, `mynetworks = 127.0.0.1
myhostname = mx.example.net
mydestination =
alias_maps =
default_transport = discard:
relay_transport = discard:
local_transport = discard:
virtual_transport = discard:
virtual_mailbox_domains = static:ok
virtual_mailbox_maps = regexp:{{/^info@/ ok}}
smtpd_relay_restrictions = reject_unauth_destination
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
`)
}

// postfixServices is the master.cf of a private Postfix.
const postfixServices = `25 inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
smtp unix - - n - - smtp
local unix - n n - - local
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

// postfixMain is the main.cf of a private Postfix in a directory, with these settings.
func postfixMain(dir, settings string) string {
	return fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
meta_directory = %[1]s/etc
maillog_file = %[1]s/log/mail.log
maillog_file_prefixes = %[1]s/log
inet_protocols = ipv4
`, dir) + settings
}

// startPostfix starts a private Postfix in a namespace, with these settings in its main.cf.
func (s *span) startPostfix(ns, dir, settings string) {
	for _, d := range []string{"etc", "queue", "data", "log"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	for d := dir; d != "/tmp" && len(d) > 4; d = filepath.Dir(d) { // the user postfix needs access
		os.Chmod(d, 0o755)
	}
	s.must("chown", "postfix", filepath.Join(dir, "data"))
	meta, _ := exec.Command("postconf", "-d", "-h", "meta_directory").Output()
	files, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(meta)), "postfix-files"))
	if err != nil {
		s.t.Skipf("Postfix's list of files: %v", err)
	}
	var keep []string
	for line := range strings.Lines(string(files)) {
		if strings.HasPrefix(line, "$queue_directory") || strings.HasPrefix(line, "$data_directory") {
			keep = append(keep, line)
		}
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(text), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	write("postfix-files", strings.Join(keep, ""))
	write("main.cf", postfixMain(dir, settings))
	write("master.cf", postfixServices)
	if out, err := s.in(ns, "postfix", "-c", filepath.Join(dir, "etc"), "start").CombinedOutput(); err != nil {
		s.t.Fatalf("Postfix does not start: %v\n%s", err, out)
	}
	s.done = append(s.done, func() { s.in(ns, "postfix", "-c", filepath.Join(dir, "etc"), "stop").Run() })
	s.until("Postfix's start", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "log", "mail.log"))
		return bytes.Contains(b, []byte("daemon started"))
	})
}

// talk hands over a mail from an address to port 25 of another one.
func talk(from, to, helo, sender, rcpt string) error {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 3 * time.Second}
	c, err := d.Dial("tcp", to+":25")
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	reply := func() string {
		for {
			line, err := r.ReadString('\n')
			if err != nil || len(line) < 4 || line[3] != '-' {
				return line
			}
		}
	}
	reply()
	for _, say := range []string{"EHLO " + helo, "MAIL FROM:<" + sender + ">", "RCPT TO:<" + rcpt + ">"} {
		fmt.Fprintf(c, "%s\r\n", say)
		if got := reply(); !strings.HasPrefix(got, "250") {
			fmt.Fprintf(c, "QUIT\r\n")
			reply()
			return nil
		}
	}
	fmt.Fprintf(c, "DATA\r\n")
	reply()
	fmt.Fprintf(c, "Subject: hello\r\n\r\n%s\r\n.\r\n", strings.Repeat("text\r\n", 500))
	reply()
	fmt.Fprintf(c, "QUIT\r\n")
	reply()
	return nil
}

// TestLiveClients is not a test: it is the bot and the mail server of TestLive, which starts it in
// the namespace of the clients.
func TestLiveClients(t *testing.T) {
	if os.Getenv("SPAMSENSOR_TEST_CLIENTS") == "" {
		t.Skip("only as a part of TestLive")
	}
	for i := range 3 {
		if err := talk(mailAddr, fmt.Sprintf("198.18.%d.25", i), "mail.example.org", "anna@example.org", "info@example.net"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 60 {
		to := fmt.Sprintf("198.18.%d.25", i%50)
		if i%10 == 9 {
			to = fmt.Sprintf("198.19.%d.1", i) // a route without a listener: see dead
		}
		rcpt := "nobody@example.net"
		if i%7 == 0 {
			rcpt = "info@example.net"
		}
		talk(botAddr, to, fmt.Sprintf("10.0.0.%d", 30+i%9), fmt.Sprintf("u%d@forged%d.example", i, i%8), rcpt)
		fmt.Println("attempt", i)
		time.Sleep(100 * time.Millisecond)
	}
}

// TestLive runs the whole sensor on a live mirror port, with a bot and a mail server behind it. Its
// counts must equal the counts of an offline run on the capture of tcpdump at the same port, and
// the finding must come while the bot still sends.
func TestLive(t *testing.T) {
	s := newSpan(t, "tcpdump", "postfix", "postconf")
	s.postfix()
	// A part of the destinations does not listen: the kernel answers with RST.
	s.must("ip", "-n", s.ns("b"), "route", "add", "prohibit", "198.19.29.0/24")
	s.must("ip", "-n", s.ns("b"), "route", "add", "blackhole", "198.19.39.0/24")
	s.must("ip", "netns", "exec", s.ns("b"), "sysctl", "-qw", "net.ipv4.ip_forward=1")

	binary := filepath.Join(s.dir, "spamsensor")
	s.must("go", "build", "-o", binary, ".")
	capture := filepath.Join(s.dir, "span.pcap")
	dump := s.start(s.in("s", "tcpdump", "-i", "span", "-U", "-w", capture, "-Z", "root", "--immediate-mode"))
	s.until("tcpdump's start", func() bool { st, err := os.Stat(capture); return err == nil && st.Size() >= 24 })

	sensor := s.in("s", binary, "run", "-i", "span", "--home", "192.168.88.0/24", "--mail-server", mailAddr, "--set", "output.sessions=all", "--set", "evidence.mail_from=full")
	var errs locked
	sensor.Stderr = &errs
	out, err := sensor.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.start(sensor)
	lines := make(chan string, 10_000)
	go func() {
		defer close(lines)
		in := bufio.NewScanner(out)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			lines <- in.Text()
		}
	}()
	s.until("the sensor's start", func() bool { return strings.Contains(errs.String(), "listening") })

	bot := s.in("a", os.Args[0], "-test.run", "^TestLiveClients$", "-test.v")
	bot.Env = append(os.Environ(), "SPAMSENSOR_TEST_CLIENTS=yes")
	work, err := bot.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.start(bot)
	attempts := make(chan int, 1000)
	go func() {
		defer close(attempts)
		in := bufio.NewScanner(work)
		for n := 0; in.Scan(); {
			if strings.HasPrefix(in.Text(), "attempt") {
				attempts <- n
				n++
			}
		}
	}()
	var live []string
	var text string
	done, found := 0, -1
	for working := true; working; {
		select {
		case _, ok := <-attempts:
			done++
			working = ok
		case text = <-lines:
			live = append(live, text)
			if found < 0 && strings.Contains(text, `"event_type":"finding"`) && strings.Contains(text, botAddr) {
				found = done
			}
		}
	}
	if err := bot.Wait(); err != nil {
		t.Fatalf("the clients: %v", err)
	}
	time.Sleep(7 * time.Second) // the linger time of the last sessions, and tcpdump's last frames
	sensor.Process.Signal(syscall.SIGTERM)
	for text = range lines {
		live = append(live, text)
	}
	if err := sensor.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, errs.String())
	}
	dump.Process.Signal(syscall.SIGINT)
	dump.Wait()
	if found < 0 || found > 50 {
		t.Errorf("the finding came after attempt %d of 60", found)
	}
	t.Logf("the finding came after attempt %d of 60", found)

	offline, code, stderr := readEvents(t, "--home", "192.168.88.0/24", "--mail-server", mailAddr, "--set", "evidence.mail_from=full", capture)
	if code != exitOK {
		t.Fatalf("reading tcpdump's capture: %d %s", code, stderr)
	}
	seen := parseEvents(t, []byte(strings.Join(live, "\n")+"\n"))
	a, b := countsOf(seen), countsOf(offline)
	if a != b {
		t.Errorf("live:\n%s\noffline:\n%s", a, b)
	}
	if !strings.Contains(a, botAddr+" attempts 60") || !strings.Contains(a, mailAddr+" attempts 3") {
		t.Errorf("60 and 3 attempts were made:\n%s", a)
	}
	closed := 0
	for _, e := range ofType(seen, "finding") {
		if e.Finding.Action == "suspended" && e.Finding.CloseReason == "shutdown" {
			closed++
		}
	}
	if closed != 1 {
		t.Errorf("%d findings suspended at the shutdown, want 1", closed)
	}
}

// locked is a buffer that can be read while a command writes to it.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// countsOf is the counts of each source, and the contents of each session, as text.
func countsOf(events []emitted) string {
	sources, sessions := map[string]string{}, map[string]string{}
	for _, e := range events {
		switch e.Type {
		case "source":
			s := e.Source
			sources[e.Src] = fmt.Sprintf("attempts %d retransmits %d sessions %d refused %d unreachable %d silent %d messages %d nets %d", s.Attempts, s.Retransmits, s.Sessions, s.Refused, s.Unreachable, s.Silent, s.Messages, s.Nets)
		case "session":
			m, _ := json.Marshal(e.SMTP)
			sessions[fmt.Sprintf("%s:%d %s:%d", e.Src, e.SrcPort, e.Dest, e.DestPort)] = string(m) + e.Flow.Seen
		}
	}
	var b strings.Builder
	for _, m := range []map[string]string{sources, sessions} {
		for _, k := range sorted(m) {
			fmt.Fprintf(&b, "%s %s\n", k, m[k])
		}
	}
	return b.String()
}
