//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
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

// built is the path of the command, which is built once: the effects of signals and closed pipes
// need a process. Its directory is builtDir, empty before.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "spamsensor-test")
	if err != nil {
		return "", err
	}
	builtDir = dir
	name := filepath.Join(dir, "spamsensor")
	out, err := exec.Command("go", "build", "-o", name+".linked", ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	// The command that users run is a copy. Of the linker's own output, which is written through a
	// mapping in large pages, up to 8 MiB more count as memory of the process.
	out, err = exec.Command("cp", name+".linked", name).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return name, nil
})

var builtDir string

func TestMain(m *testing.M) {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} { // texts are English
		os.Unsetenv(name)
	}
	if name := os.Getenv(loopInstead); name != "" { // the command with a worker that never ends its first batch
		marker, err := os.OpenFile(name, os.O_WRONLY, 0) // before the sandbox
		if err != nil {
			panic(err)
		}
		var over atomic.Bool
		probe = func() {
			marker.WriteString("stuck")
			for !over.Load() {
			}
		}
		main()
	}
	if name := os.Getenv(clockInstead); name != "" { // the command on a machine whose clock jumps
		useClock(name)
	}
	if os.Getenv(escapeInstead) != "" { // the command with a worker that tries to leave the sandbox
		probe = sync.OnceFunc(tryToEscape)
		main()
	}
	code := m.Run()
	if builtDir != "" {
		os.RemoveAll(builtDir)
	}
	os.Exit(code)
}

// process is a running command.
type process struct {
	*exec.Cmd
	t      *testing.T
	stderr bytes.Buffer
}

func start(t *testing.T, stdout io.Writer, args ...string) *process {
	t.Helper()
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return launch(t, stdout, exec.Command(name, args...))
}

func launch(t *testing.T, stdout io.Writer, c *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: c, t: t}
	p.Stdout, p.Stderr = stdout, &p.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.ProcessState == nil {
			p.Process.Kill()
			p.Wait()
		}
	})
	return p
}

// code waits for the end of the process, which must not be caused by a signal, and returns the exit
// code.
func (p *process) code() int {
	p.t.Helper()
	p.Wait()
	if s := p.ProcessState.Sys().(syscall.WaitStatus); s.Signaled() {
		p.t.Errorf("the process was ended by a signal: %v", s.Signal())
	}
	return p.ProcessState.ExitCode()
}

// manySessions is a capture of n sessions followed by the sessions of a bot.
func manySessions(t *testing.T, n int) string {
	t.Helper()
	b := pcapOf(dialogues(n, 1))
	b = append(b, testdata(t, "bot.pcap")[24:]...)
	name := filepath.Join(t.TempDir(), "many.pcap")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestOutputFails checks outputs that cannot be written: the analysis continues, dropped events are
// counted by type and reported, and the exit code shows the loss.
func TestOutputFails(t *testing.T) {
	file := manySessions(t, 2000)
	t.Run("full device", func(t *testing.T) {
		var out bytes.Buffer
		p := start(t, &out, "read", "--events", "/dev/full", file)
		code := p.code()
		if s := p.stderr.String(); code != exitLost || !strings.Contains(s, "events were lost (") || !strings.Contains(s, " session, ") || !strings.Contains(s, " finding") || !strings.Contains(s, "no space left") {
			t.Errorf("exit code %d: %s", code, s)
		}
		if !strings.Contains(out.String(), "192.168.77.66") {
			t.Error("the report lacks the bot")
		}
		if info, err := os.Stat("/dev/full"); err != nil || info.Mode()&os.ModeCharDevice == 0 {
			t.Fatalf("/dev/full is no device any more: %v", err)
		}
	})
	t.Run("full disk", func(t *testing.T) {
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
			t.Skipf("needs root: %v", err)
		}
		defer syscall.Unmount(dir, 0)
		var whole bytes.Buffer
		start(t, &whole, "read", "-q", "--events", "-", file).code()
		p := start(t, io.Discard, "read", "-q", "--events", filepath.Join(dir, "events"), file)
		if code := p.code(); code != exitLost || !strings.Contains(p.stderr.String(), " session") || strings.Contains(p.stderr.String(), " finding)") {
			t.Errorf("exit code %d: %s", code, p.stderr.String())
		}
		b, _ := os.ReadFile(filepath.Join(dir, "events"))
		got, want := unmarshalEvents(t, b), unmarshalEvents(t, whole.Bytes())
		if n, all := len(ofType(got, "finding")), len(ofType(want, "finding")); n != all || all == 0 {
			t.Errorf("%d findings of %d are on the disk", n, all)
		}
		lost := len(ofType(want, "session")) - len(ofType(got, "session"))
		if e := lastStats(t, got); e.Output.ByType["session"] == 0 || e.Output.ByType["finding"] != 0 || lost < 500 ||
			!strings.Contains(p.stderr.String(), fmt.Sprintf("(%d session, ", lost)) {
			t.Errorf("%d sessions are not on the disk; the stats say %v, and at the end: %s", lost, e.Output, p.stderr.String())
		}
		raised := false
		for _, e := range ofType(got, "health") {
			raised = raised || e.Health.Check == "output" && strings.Contains(e.Health.Text, "session")
		}
		if !raised {
			t.Error("no health event tells of the loss")
		}
		t.Logf("R16: full disk of 1 MiB: %d sessions lost and counted, 0 of %d findings (goal: findings last)", lost, len(ofType(want, "finding")))
	})
	t.Run("closed pipe", func(t *testing.T) {
		r, w, _ := os.Pipe()
		p := start(t, w, "read", "--events", "-", file)
		w.Close()
		io.ReadFull(r, make([]byte, 100))
		r.Close()
		if code := p.code(); code != exitLost || !strings.Contains(p.stderr.String(), "events were lost (") || !strings.Contains(p.stderr.String(), "192.168.77.66") {
			t.Errorf("exit code %d: %s", code, p.stderr.String())
		}
		t.Logf("R16: closed pipe: exit code 4, the report is whole (goal the same)")
	})
	t.Run("report to a full disk", func(t *testing.T) {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip(err)
		}
		defer full.Close()
		p := start(t, full, "read", file)
		if code := p.code(); code != exitLost || !strings.Contains(p.stderr.String(), "the report is not whole: ") || !strings.Contains(p.stderr.String(), "no space left") {
			t.Errorf("exit code %d: %s", code, p.stderr.String())
		}
	})
	t.Run("named pipe", func(t *testing.T) {
		pipe := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Skip(err)
		}
		p := start(t, io.Discard, "read", "-q", "--events", pipe, file)
		if code := p.code(); code != exitFailed || !strings.Contains(p.stderr.String(), "nobody reads the named pipe") {
			t.Errorf("without a reader: exit code %d: %s", code, p.stderr.String())
		}
		p = start(t, io.Discard, "read", "-q", "--events", pipe, file)
		time.Sleep(200 * time.Millisecond) // the reader starts after the writer
		b, err := os.ReadFile(pipe)
		if code := p.code(); code != exitOK || err != nil || len(ofType(unmarshalEvents(t, b), "session")) < 2000 {
			t.Errorf("with a reader: exit code %d, %d bytes, %v: %s", code, len(b), err, p.stderr.String())
		}
	})
	t.Run("slow reader", func(t *testing.T) {
		r, w, _ := os.Pipe()
		p := start(t, w, "read", "-q", "--events", "-", file)
		w.Close()
		time.Sleep(time.Second)
		b, _ := io.ReadAll(r)
		if code := p.code(); code != exitOK || len(ofType(unmarshalEvents(t, b), "session")) < 2000 {
			t.Errorf("exit code %d, %d bytes: %s", code, len(b), p.stderr.String())
		}
	})
	t.Run("stalled reader, and told to end", func(t *testing.T) {
		r, w, _ := os.Pipe()
		defer r.Close()
		p := start(t, w, "read", "-q", "--events", "-", manySessions(t, 20_000))
		w.Close()
		time.Sleep(2 * time.Second)
		began := time.Now()
		p.Process.Signal(syscall.SIGTERM)
		if code := p.code(); code != exitLost || !strings.Contains(p.stderr.String(), "does not read") || time.Since(began) > time.Minute {
			t.Errorf("exit code %d after %v: %s", code, time.Since(began), p.stderr.String())
		}
	})
}

// veth makes a virtual cable in a network namespace; frames that are sent on v0 arrive at v1.
func veth(t *testing.T) (ns string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: it makes a network namespace")
	}
	for _, tool := range []string{"ip", "tcpreplay"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	ns = fmt.Sprintf("spam-o%d-%d", os.Getpid(), time.Now().UnixNano()%1e6)
	for _, args := range append([][]string{{"netns", "add", ns}, {"netns", "exec", ns, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"}}, cable(ns)...) {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v %s", args, err, out)
		}
		if len(args) == 3 {
			t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
		}
	}
	return ns
}

// cable returns the commands that create the cable.
func cable(ns string) [][]string {
	return [][]string{{"-n", ns, "link", "add", "v0", "type", "veth", "peer", "name", "v1"},
		{"-n", ns, "link", "set", "v0", "arp", "off", "up"}, {"-n", ns, "link", "set", "v1", "arp", "off", "up"}}
}

// TestOutputFailsLive checks that a live output that blocks, fails or disappears costs events and
// never packets.
func TestOutputFailsLive(t *testing.T) {
	const sessions = 14_000
	file := manySessions(t, sessions)
	stall := 3 * time.Second
	if long() {
		stall = 30 * time.Second
	}
	frames := len(recordsOf(t, func() []byte { b, _ := os.ReadFile(file); return b }()))
	for _, kind := range []string{"stalled", "full", "closed", "whole"} {
		t.Run(kind, func(t *testing.T) {
			ns := veth(t)
			name, err := built()
			if err != nil {
				t.Fatal(err)
			}
			args := []string{"netns", "exec", ns, name, "run", "-i", "v1", "--set", "output.sessions=all"}
			if kind == "full" {
				args = append(args, "--set", "output.file=/dev/full")
			}
			r, w, _ := os.Pipe()
			defer r.Close()
			p := launch(t, w, exec.Command("ip", args...))
			w.Close()
			var out bytes.Buffer
			var reading sync.WaitGroup
			switch kind {
			case "closed":
				r.Close()
			case "whole":
				reading.Go(func() { io.Copy(&out, r) })
			}
			time.Sleep(500 * time.Millisecond)
			replay := exec.Command("ip", "netns", "exec", ns, "tcpreplay", "-q", "-i", "v0", "--pps=100000", file)
			if b, err := replay.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, b)
			}
			if kind == "stalled" {
				time.Sleep(stall)
				reading.Go(func() { io.Copy(&out, r) })
			}
			time.Sleep(500 * time.Millisecond)
			p.Process.Signal(syscall.SIGTERM)
			code := p.code()
			reading.Wait()
			said := p.stderr.String()
			want := exitLost
			if kind == "whole" {
				want = exitOK
			}
			if code != want || (code == exitLost) != strings.Contains(said, "events were lost (") {
				t.Errorf("exit code %d: %s", code, said)
			}
			account := fmt.Sprintf("%d frames received = %d processed + 0 refused + 0 dropped by the kernel + 0 by the interface", frames, frames)
			if !strings.Contains(said, account+`"`) {
				t.Errorf("want %q\n%s", account, said)
			}
			if kind == "full" || kind == "closed" {
				return
			}
			events := unmarshalEvents(t, out.Bytes())
			e := lastStats(t, events)
			balanced(t, kind, e)
			told, lost := len(ofType(events, "session")), e.Output.ByType["session"]
			findings := len(ofType(events, "finding"))
			if told+lost < sessions || findings == 0 || e.Output.ByType["finding"] != 0 || (lost > 0) != (kind == "stalled") {
				t.Errorf("%d sessions told and %d lost, %d findings told, lost: %v", told, lost, findings, e.Output.ByType)
			}
			if kind == "stalled" {
				raised := false
				for _, e := range ofType(events, "health") {
					raised = raised || e.Health.Check == "output" && strings.Contains(e.Health.Text, "session")
				}
				if !raised {
					t.Error("no health event tells of the loss")
				}
				t.Logf("R16: reader stalled for %v, live: %d of %d frames processed, 0 drops, %d of %d sessions lost and counted, 0 findings (goal 0 drops, findings last)",
					stall, e.Decode["processed"], frames, lost, told+lost)
			}
			if kind == "whole" {
				t.Logf("R15: live, ended by SIGTERM: %s (goal: all received)", account)
			}
		})
	}
}
