package main

import (
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

// reloaded is a sensor on a veth whose configuration changes while it runs.
type reloaded struct {
	t              *testing.T
	ns, dir        string
	config, events string
	p              *process
	log            *locked
	denied         bool // files without permission cannot be read
}

func newReloaded(t *testing.T, text string) *reloaded {
	t.Helper()
	r := &reloaded{t: t, ns: veth(t), dir: t.TempDir(), log: &locked{}}
	r.config, r.events = filepath.Join(r.dir, "a.yaml"), filepath.Join(r.dir, "events.json")
	written(t, r.config, text)
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"netns", "exec", r.ns}
	if setpriv, err := exec.LookPath("setpriv"); err == nil { // root may read any file otherwise
		args = append(args, setpriv, "--bounding-set=-dac_override,-dac_read_search",
			"--inh-caps=-dac_override,-dac_read_search")
		r.denied = true
	}
	c := exec.Command("ip", append(args, name, "run", "-i", "v1", "-c", r.config,
		"--set", "output.file="+r.events, "--set", "control.socket="+r.dir+"/socket")...)
	pipe, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	r.p = &process{Cmd: c, t: t}
	copied := make(chan struct{})
	go func() { io.Copy(r.log, pipe); close(copied) }()
	t.Cleanup(func() {
		if c.ProcessState == nil {
			c.Process.Kill()
			<-copied
			c.Wait()
		}
	})
	r.until(`"listening"`)
	return r
}

// until waits for a text in the log.
func (r *reloaded) until(text string) {
	r.t.Helper()
	for range 200 {
		if strings.Contains(r.log.String(), text) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.t.Fatalf("waited in vain for %q: %s", text, r.log.String())
}

// replay sends a capture, so many frames a second.
func (r *reloaded) replay(file string, perSecond int) {
	r.t.Helper()
	c := exec.Command("ip", "netns", "exec", r.ns, "tcpreplay", "-q", "-i", "v0", fmt.Sprintf("--pps=%d", perSecond), file)
	if out, err := c.CombinedOutput(); err != nil {
		r.t.Fatalf("%v: %s", err, out)
	}
}

// hangup reloads a configuration, and returns what the log says about it.
func (r *reloaded) hangup(text string) string {
	r.t.Helper()
	written(r.t, r.config, text)
	before := len(r.log.String())
	r.p.Process.Signal(syscall.SIGHUP)
	for range 200 {
		if said := r.log.String()[before:]; strings.Contains(said, `"SIGHUP: `) {
			return said
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.t.Fatalf("SIGHUP is not answered: %s", r.log.String())
	return ""
}

// end stops the sensor and returns its events.
func (r *reloaded) end() []emitted {
	r.t.Helper()
	r.p.Process.Signal(syscall.SIGTERM)
	r.until(`"stopped"`)
	if code := r.p.code(); code != exitOK {
		r.t.Errorf("exit code %d: %s", code, r.log.String())
	}
	b, err := os.ReadFile(r.events)
	if err != nil {
		r.t.Fatal(err)
	}
	return parseEvents(r.t, b)
}

// TestReload checks that SIGHUP applies what has changed, while frames flow and without losing one.
func TestReload(t *testing.T) {
	const ours = "home_net: [192.168.77.0/24]\n"
	r := newReloaded(t, ours)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		r.replay("testdata/bot.pcap", 400)
	}()
	time.Sleep(300 * time.Millisecond)
	for _, c := range []struct {
		text string
		want []string // of the log
	}{
		{ours, []string{`"changes":0`}},
		{ours + "detect: {many_networks: 12}\nsmtp_servers: [192.168.77.25]\nlocal_domains: [example.org]\nallowed_relays: [192.0.2.0/24]\n", []string{
			`"reload: detect.many_networks is 12, and was 10"`, `"reload: smtp_servers: added ip 192.168.77.25, role mailserver"`,
			`"reload: local_domains: added example.org"`, `"reload: allowed_relays: added 192.0.2.0/24"`, `"changes":4`}},
		{"home_net: [192.168.77.0/24, 10.9.0.0/16]\n", []string{`"reload: home_net: added 10.9.0.0/16"`, `"reload: smtp_servers: removed ip 192.168.77.25, role mailserver"`}},
		{ours + "capture: {buffer: 32MiB}\nlimits: {flows: 999}\nstate: {dir: /tmp}\n", []string{`"reload: capture.buffer changed: takes effect at the next start of run (systemctl restart spamsensor)"`,
			`"reload: limits.flows changed: takes effect at the next start of run (systemctl restart spamsensor)"`, `"reload: state.dir changed: takes effect at the next start of run (systemctl restart spamsensor)"`}},
		{ours + "capture: {buffer: 32MiB}\nnotify_limits: {per_hour: 7}\nserve: {listen: 127.0.0.1:9999}\n", []string{
			`"reload: notify_limits.per_hour changed: notify reads it at its start (systemctl restart spamsensor-notify)"`,
			`"reload: serve.listen changed: serve reads it at its start (systemctl restart spamsensor-serve)"`}},
		{ours + "capture: {buffer: 32MiB}\nnotify_limits: {per_hour: 7}\nserve: {listen: 127.0.0.1:9999}\n", []string{`"reload: capture.buffer changed: takes effect at the next start of run (systemctl restart spamsensor)"`, `"changes":1`}},
		{ours + "evidence: {mail_from: none, sessions_per_finding: 3}\noutput: {sessions: all}\nlog: {level: debug}\n", []string{
			`"reload: evidence.mail_from is none, and was domain"`, `"reload: evidence.sessions_per_finding is 3, and was 50"`,
			`"reload: output.sessions is all, and was evidence"`, `"reload: log.level is debug, and was info"`}},
		{ours + "log: {level: error}\n", nil},
		{ours + "ignore: [{ip: 192.168.77.66, why: lab}]\n", []string{`"reload: ignore: added ip 192.168.77.66, why lab"`}},
	} {
		if c.want == nil { // nothing is said of SIGHUP then
			written(t, r.config, c.text)
			r.p.Process.Signal(syscall.SIGHUP)
			time.Sleep(200 * time.Millisecond)
			continue
		}
		said := r.hangup(c.text)
		for _, want := range c.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s: the log lacks %s: %s", c.text, want, said)
			}
		}
	}
	<-sent
	time.Sleep(300 * time.Millisecond)
	events := r.end()
	stats := lastStats(t, events)
	balanced(t, "reloads", stats)
	if n := stats.Decode["frames"]; n != 979 || stats.Capture["kernel_drops"] != 0 {
		t.Errorf("%d frames of 979, %v dropped", n, stats.Capture["kernel_drops"])
	}
	raw, _ := os.ReadFile(r.events)
	ignored := 0
	for line := range strings.Lines(string(raw)) {
		if strings.Contains(line, `"event_type":"finding"`) && strings.Contains(line, `"ignored":{"why":"lab"`) {
			ignored++
		}
	}
	if ignored == 0 {
		t.Errorf("no finding is ignored: %s", r.log.String())
	}
}

// TestReloadWrong checks that a wrong configuration keeps the one before: it is said, with the
// line, and raised until one is good.
func TestReloadWrong(t *testing.T) {
	const ours = "home_net: [192.168.77.0/24]\n"
	r := newReloaded(t, ours)
	wrong := func(want string) {
		t.Helper()
		before := len(r.log.String())
		r.p.Process.Signal(syscall.SIGHUP)
		for range 100 {
			if said := r.log.String()[before:]; strings.Contains(said, `"SIGHUP: `) {
				if !strings.Contains(said, `"level":"error"`) || !strings.Contains(said, "the configuration before stays in force: "+want) {
					t.Errorf("the log lacks %q: %s", want, said)
				}
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("%s: SIGHUP is not answered: %s", want, r.log.String())
	}
	written(t, r.config, ours+"detect: {many_netw")
	wrong(r.config + ":2:")
	written(t, r.config, ours+"smtp_servers: [192.168.77.25]\nignore: [{ip: x, why: y}]\n")
	wrong(r.config + `:3:15: \"x\" is not a network`)
	written(t, r.config, ours+"output: {file: /none/events}\n") // --set takes precedence: it is good
	if said := r.hangup(ours + "output: {file: /none/events}\n"); !strings.Contains(said, `"changes":0`) {
		t.Error(said)
	}
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", 'b'+i, 'b'+i, strings.Repeat(fmt.Sprintf("*%c, ", 'a'+i), 9))
	}
	written(t, r.config, bomb)
	wrong(r.config + ":")
	os.Truncate(r.config, 1<<30)
	wrong(r.config + ": a configuration of more than 1048576 bytes")
	if r.denied {
		written(t, r.config, ours)
		os.Chmod(r.config, 0)
		wrong("cannot read the configuration: open " + r.config + ": permission denied")
	}
	os.Remove(r.config)
	wrong("cannot read the configuration: stat " + r.config + ": no such file or directory")
	os.Symlink(r.config, r.config)
	wrong("cannot read the configuration: stat " + r.config + ": too many levels")
	os.Remove(r.config)
	os.Mkdir(r.config, 0o755)
	wrong(r.config + ": no name in this directory ends in .yaml")
	os.Remove(r.config)
	syscall.Mkfifo(r.config, 0o600)
	wrong(r.config + ": this is no file")
	_, said, _ := checked(t, "status", "-o", "json", "--socket", r.dir+"/socket")
	if !strings.Contains(said, `"good": false`) && !strings.Contains(said, `"good":false`) {
		t.Errorf("status says that it is good: %s", said)
	}
	os.Remove(r.config)
	r.hangup(ours)
	r.replay("testdata/bot.pcap", 4000)
	time.Sleep(300 * time.Millisecond)
	events := r.end()
	var story []string
	for _, e := range ofType(events, "health") {
		if e.Health.Check == "config" {
			story = append(story, e.Health.State)
		}
	}
	if got := strings.Join(story, " "); got != "raised cleared raised cleared" {
		t.Errorf("the health events are %s", got)
	}
	accused := false
	for _, e := range ofType(events, "finding") {
		accused = accused || e.Src == "192.168.77.66"
	}
	if !accused {
		t.Error("the bot is not found after the reloads")
	}
}

// TestReloadOutput checks that output.file moves with a reload, that no event is lost, and that a
// file which cannot be opened keeps everything as it was.
func TestReloadOutput(t *testing.T) {
	r := newReloaded(t, "")
	r.p.Process.Signal(syscall.SIGTERM)
	r.p.Wait()
	name, _ := built()
	text := func(events string, more string) string {
		return fmt.Sprintf("output: {file: %s, sessions: all}\ncontrol: {socket: %s/socket}\n%s", events, r.dir, more)
	}
	written(t, r.config, text(r.dir+"/one", ""))
	c := exec.Command("ip", "netns", "exec", r.ns, name, "run", "-i", "v1", "-c", r.config)
	r.log = &locked{}
	c.Stderr = r.log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	r.p = &process{Cmd: c, t: t}
	t.Cleanup(func() {
		if c.ProcessState == nil {
			c.Process.Kill()
			c.Wait()
		}
	})
	r.until(`"listening"`)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		r.replay("testdata/bot.pcap", 1000)
	}()
	time.Sleep(300 * time.Millisecond)
	said := r.hangup(text(r.dir+"/none/two", "detect: {many_networks: 12}\n"))
	if !strings.Contains(said, r.config+":1:16: cannot write events: open "+r.dir+"/none/two: no such file") {
		t.Error(said)
	}
	said = r.hangup(text(r.config, "")) // it would destroy the configuration
	if !strings.Contains(said, "it is the configuration "+r.config+", which would be destroyed") {
		t.Error(said)
	}
	r.hangup(text(r.dir+"/one", "detect: {many_networks: 11}\n"))
	if !strings.Contains(r.log.String(), `"landlock_abi":0`) {
		said = r.hangup(text(t.TempDir()+"/events", "detect: {many_networks: 13}\n"))
		for _, want := range []string{"output.file changed: takes effect at the next start of run, and events go on to " + r.dir + "/one: the sandbox allows to write in " + r.dir + " only (systemctl restart spamsensor)",
			"detect.many_networks is 13, and was 11"} {
			if !strings.Contains(said, want) {
				t.Errorf("the log lacks %q: %s", want, said)
			}
		}
		r.hangup(text(r.dir+"/one", "detect: {many_networks: 11}\n"))
	}
	said = r.hangup(text(r.dir+"/two", "detect: {many_networks: 12}\n"))
	if !strings.Contains(said, `reload: output.file is `+r.dir+`/two, and was `+r.dir+`/one`) || !strings.Contains(said, "detect.many_networks is 12, and was 11") || !strings.Contains(said, "output.file changed: notify reads it at its start (systemctl restart spamsensor-notify)") {
		t.Error(said)
	}
	code, out, errs := checked(t, "reload", "--socket", r.dir+"/socket")
	if code != exitOK || out != "the configuration was read again: nothing has changed\n" {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	written(t, r.config, text(r.dir+"/two", "log: {level: loud}\n"))
	if code, _, errs = checked(t, "reload", "--socket", r.dir+"/socket"); code != exitUsage || !strings.Contains(errs, r.config+":3:14: \"loud\" is none of") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	<-sent
	time.Sleep(300 * time.Millisecond)
	r.p.Process.Signal(syscall.SIGTERM)
	r.p.code()
	var all []byte
	for _, f := range []string{"/one", "/two"} {
		b, err := os.ReadFile(r.dir + f)
		if err != nil || len(b) == 0 {
			t.Errorf("%s: %d bytes, %v", f, len(b), err)
		}
		all = append(all, b...)
	}
	for i, e := range parseEvents(t, all) {
		if _, n, _ := strings.Cut(e.ID, "/"); n != fmt.Sprint(i+1) {
			t.Fatalf("event %d is %s", i+1, e.ID)
		}
	}
}
