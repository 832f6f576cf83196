//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// escapeInstead is the environment variable with which the test binary is the command with a worker
// that tries what the sandbox refuses; see TestMain. Its value is a directory of the test.
const escapeInstead = "SPAMSENSOR_TEST_ESCAPE"

// tryToEscape says on standard error how each attempt ends.
func tryToEscape() {
	dir := os.Getenv(escapeInstead)
	say := func(what string, err error) { fmt.Fprintf(os.Stderr, "attempt: %s: %v\n", what, err) }
	for name, family := range map[string]int{"AF_INET": unix.AF_INET, "AF_INET6": unix.AF_INET6, "AF_PACKET": unix.AF_PACKET,
		"AF_NETLINK": unix.AF_NETLINK, "AF_UNIX": unix.AF_UNIX, "AF_BLUETOOTH": unix.AF_BLUETOOTH, "AF_VSOCK": unix.AF_VSOCK} {
		kind := unix.SOCK_DGRAM
		if family == unix.AF_NETLINK || family == unix.AF_PACKET {
			kind = unix.SOCK_RAW
		}
		s, err := unix.Socket(family, kind, 0)
		if err == nil {
			unix.Close(s)
		}
		say("socket "+name, err)
	}
	say("exec", unix.Exec("/bin/true", []string{"true"}, nil))
	_, err := syscall.ForkExec("/bin/true", []string{"true"}, nil)
	say("start", err)
	say("ptrace", unix.PtraceAttach(os.Getppid()))
	_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
	say("io_uring", errno)
	_, _, errno = unix.Syscall(unix.SYS_BPF, 0, 0, 0)
	say("bpf", errno)
	say("mount", unix.Mount("none", dir, "tmpfs", 0, ""))
	say("setuid", unix.Setuid(1))
	write := func(name string) error { return os.WriteFile(name, []byte("x"), 0o600) }
	say("write elsewhere", write(filepath.Join(dir, "elsewhere", "x")))
	say("write beside events", write(filepath.Join(dir, "events", "x")))
	say("write state", write(filepath.Join(dir, "state", "x")))
	_, err = os.ReadFile(filepath.Join(dir, "elsewhere", "secret"))
	say("read elsewhere", err)
	_, err = os.ReadFile(filepath.Join(dir, "config", "conf.yaml"))
	say("read configuration", err)
	_, err = os.ReadFile("/etc/hostname")
	say("read /etc", err)
}

// TestSandbox looks into a running sensor: what each of its threads may do, and what comes of
// attempts from inside. Then it deletes the interface and makes it anew: the sensor recovers.
func TestSandbox(t *testing.T) {
	ns := veth(t)
	dir := t.TempDir()
	for _, d := range []string{"elsewhere", "events", "config", "names"} {
		os.Mkdir(filepath.Join(dir, d), 0o755)
	}
	os.WriteFile(filepath.Join(dir, "elsewhere", "secret"), []byte("x"), 0o600)
	conf := filepath.Join(dir, "config", "conf.yaml")
	events := filepath.Join(dir, "events", "events.json")
	names := filepath.Join(dir, "names", "hosts")
	os.WriteFile(names, []byte("10.0.0.1 one\n10.0.0.2 two\n"), 0o600)
	os.WriteFile(conf, fmt.Appendf(nil, "names: "+names+"\noutput: {file: %q, sessions: all}\nstate: {dir: %q}\ncontrol: {socket: %q}\n",
		events, filepath.Join(dir, "state"), filepath.Join(dir, "state", "socket")), 0o600)
	var out bytes.Buffer
	c := exec.Command("ip", "netns", "exec", ns, os.Args[0], "run", "-i", "v1", "-c", conf)
	c.Env = append(os.Environ(), escapeInstead+"="+dir)
	p := launch(t, &out, c)
	k := newMailConn(1).greet().lines(mail...).lines(quit...).close()
	file := captured(t, k)
	until(t, "the start", func() bool { b, _ := os.ReadFile(events); return bytes.Contains(b, []byte("sandbox")) })
	replay(t, ns, file)
	time.Sleep(500 * time.Millisecond)

	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.Process.Pid))
	for _, name := range threads {
		b, _ := os.ReadFile(name)
		for _, want := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000002000", "CapPrm:\t0000000000002000",
			"CapInh:\t0000000000000000", "CapBnd:\t0000000000002000", "CapAmb:\t0000000000000000"} {
			if len(b) > 0 && !bytes.Contains(b, []byte(want+"\n")) {
				t.Errorf("%s lacks %s:\n%s", name, want, b)
			}
		}
	}
	if len(threads) < 3 {
		t.Errorf("%d threads", len(threads))
	}
	limits, _ := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.Process.Pid))
	if !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), "Max core file size 0 0 bytes") {
		t.Errorf("%s", limits)
	}

	for _, args := range append([][]string{{"-n", ns, "link", "del", "v0"}}, cable(ns)...) {
		if b, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v %s", args, err, b)
		}
	}
	for range 4 {
		time.Sleep(1200 * time.Millisecond)
		replay(t, ns, file)
	}
	os.Rename(events, events+".1")
	os.WriteFile(names+".new", []byte("10.0.0.1 uno\n10.0.0.3 three\n"), 0o600)
	os.Rename(names+".new", names)
	p.Process.Signal(syscall.SIGHUP)
	until(t, "the file of the events", func() bool { _, err := os.Stat(events); return err == nil })
	time.Sleep(300 * time.Millisecond)
	p.Process.Signal(syscall.SIGTERM)
	code, stderr := p.code(), p.stderr.String()
	if code != exitOK {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if !strings.Contains(stderr, "names: 1 added, 1 changed, 1 removed") {
		t.Errorf("another file of names was not read:\n%s", stderr)
	}
	first, _ := os.ReadFile(events + ".1")
	second, _ := os.ReadFile(events)
	all := parseEvents(t, slices.Concat(first, second))
	if n := int(lastStats(t, all).Decode["frames"]); n < 2*len(k.sent) {
		t.Errorf("%d frames after the interface came back, %d were sent before", n, len(k.sent))
	}
	if e := ofType(all, "sandbox"); len(e) != 1 || !bytes.Contains(first, []byte(`"sandbox":{"capabilities":["cap_net_raw"],"no_new_privs":true,"landlock_abi":5,"seccomp":true,"core_limit":0,"missing":[]}`)) {
		t.Errorf("%d sandbox events: %.2000s", len(e), first)
	}
	for what, want := range map[string]string{"socket AF_INET": "operation not permitted", "socket AF_INET6": "operation not permitted",
		"socket AF_BLUETOOTH": "operation not permitted", "socket AF_VSOCK": "operation not permitted", "socket AF_PACKET": "<nil>",
		"socket AF_NETLINK": "<nil>", "socket AF_UNIX": "<nil>", "exec": "operation not permitted",
		"start": "operation not permitted", "ptrace": "operation not permitted", "io_uring": "operation not permitted",
		"bpf": "operation not permitted", "mount": "operation not permitted", "setuid": "operation not permitted",
		"write elsewhere":     "open " + dir + "/elsewhere/x: permission denied",
		"write beside events": "<nil>", "write state": "<nil>", "read elsewhere": "open " + dir + "/elsewhere/secret: permission denied",
		"read configuration": "<nil>", "read /etc": "<nil>"} {
		if line := "attempt: " + what + ": " + want + "\n"; !strings.Contains(stderr, line) {
			t.Errorf("lacks %q in:\n%s", line, stderr)
		}
	}
}

// until waits until ok returns true, which takes a short time.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 200 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("waited in vain for %s", what)
}

// TestSandboxOff checks that the setting is obeyed, and said.
func TestSandboxOff(t *testing.T) {
	ns := veth(t)
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p := launch(t, &out, exec.Command("ip", "netns", "exec", ns, name, "run", "-i", "v1", "--set", "sensor.sandbox=off", "--set", "control.socket=off"))
	time.Sleep(700 * time.Millisecond)
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	p.Process.Signal(syscall.SIGTERM)
	code, stderr := p.code(), p.stderr.String()
	if code != exitOK || !bytes.Contains(b, []byte("Seccomp:\t0\n")) || !strings.Contains(stderr, "the sandbox is off (sensor.sandbox)") {
		t.Errorf("exit code %d: %s%s", code, b, stderr)
	}
}

// TestSandboxOwner checks that root keeps CAP_DAC_OVERRIDE where it must write to the files of
// another user, and that this is said.
func TestSandboxOwner(t *testing.T) {
	ns := veth(t)
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	os.Chmod(dir, 0o700)
	var out bytes.Buffer
	p := launch(t, &out, exec.Command("ip", "netns", "exec", ns, name, "run", "-i", "v1", "--set", "state.dir="+dir, "--set", "control.socket=off"))
	time.Sleep(time.Second)
	p.Process.Signal(syscall.SIGTERM)
	if code := p.code(); code != exitOK {
		t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
	e := ofType(parseEvents(t, out.Bytes()), "health")
	if !strings.Contains(out.String(), `"capabilities":["cap_dac_override","cap_net_raw"]`) || len(e) == 0 || e[0].Health.Check != "sandbox" {
		t.Errorf("%s", out.String())
	}
}
