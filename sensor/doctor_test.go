package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"spamsensor/sensor/doctor"
)

// TestDoctorLive examines interfaces of a network namespace that are down, silent, behind a filter
// of addresses, and healthy.
func TestDoctorLive(t *testing.T) {
	ns := veth(t)
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", append([]string{"-n", ns}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v %s", args, err, out)
		}
	}
	ip("link", "add", "down0", "type", "veth", "peer", "name", "down1")
	ip("link", "add", "dark0", "type", "veth", "peer", "name", "dark1")
	ip("link", "set", "dark1", "up")
	ip("link", "add", "quiet0", "type", "veth", "peer", "name", "quiet1")
	ip("link", "set", "quiet0", "arp", "off", "up")
	ip("link", "set", "quiet1", "arp", "off", "up")
	ip("link", "add", "sw0", "type", "veth", "peer", "name", "sw1")
	ip("link", "set", "sw0", "up")
	ip("link", "set", "sw1", "up")
	// A macvlan gets the frames for its own address alone, as the card of a guest whose hypervisor
	// refuses promiscuous mode.
	ip("link", "add", "link", "v1", "name", "guest", "type", "macvlan", "mode", "bridge")
	ip("link", "set", "guest", "arp", "off", "up")

	cases := []struct {
		iface  string
		wait   string
		code   int
		check  string
		remedy string
	}{
		{"down1", "1s", exitBlind, "link", "Set the interface up"},
		{"dark1", "1s", exitBlind, "link", "Look at the cable"},
		{"quiet1", "1s", exitBlind, "frames", "Look whether the mirror session exists"},
		{"guest", "5s", exitBlind, "frames", "the hypervisor"},
		{"sw1", "5s", exitBlind, "frames", "Make a mirror session"},
		{"v1", "9s", exitOK, "", ""},
	}
	_, err = exec.LookPath("lldpd")
	sw := err == nil
	var wg sync.WaitGroup
	for _, c := range cases {
		wg.Go(func() {
			began := time.Now()
			var out, errs bytes.Buffer
			cmd := exec.Command("ip", "netns", "exec", ns, name, "doctor", "-i", c.iface, "--for", c.wait, "--frames", "1500", "-o", "json")
			cmd.Stdout, cmd.Stderr = &out, &errs
			err := cmd.Run()
			var r doctor.Report
			if jsonErr := json.Unmarshal(out.Bytes(), &r); jsonErr != nil || len(r.Lines) == 0 {
				t.Errorf("%s: %v %v: %s", c.iface, err, jsonErr, errs.String())
				return
			}
			worst := r.Lines[0]
			if c.iface == "sw1" && sw && (len(r.Neighbors) != 1 || r.Neighbors[0].Protocol != "LLDP" || r.Neighbors[0].Port != "sw0" ||
				r.Switch == nil || !strings.Contains(r.Switch.Lines[0], "monitor session 1 source interface SOURCE both")) {
				t.Errorf("%+v %+v", r.Neighbors, r.Switch)
			}
			t.Logf("%-7s %-6s %5d frames, %.1f s: %s (%s) -> %s", c.iface, r.Verdict, r.Frames, time.Since(began).Seconds(), worst.What, worst.Measured, worst.Do)
			if cmd.ProcessState.ExitCode() != c.code || c.check != "" && (worst.Check != c.check || !strings.Contains(worst.Do, c.remedy)) {
				t.Errorf("%s: exit code %d, %s", c.iface, cmd.ProcessState.ExitCode(), out.String())
			}
		})
	}
	time.Sleep(time.Second) // all of them listen
	if sw {
		announce(t, ns, "sw0")
	}
	if out, err := exec.Command("ip", "netns", "exec", ns, "tcpreplay", "-q", "-i", "v0", "--multiplier=25", "--loop=3", "testdata/bot.pcap").CombinedOutput(); err != nil {
		t.Errorf("tcpreplay: %v %s", err, out)
	}
	wg.Wait()
}

// announce has a real lldpd speak for a switch on an interface, until the end of the test.
func announce(t *testing.T, ns, iface string) {
	socket := filepath.Join(os.TempDir(), ns+".lldpd") // its user has to reach it
	t.Cleanup(func() { os.Remove(socket) })
	launch(t, io.Discard, exec.Command("ip", "netns", "exec", ns, "lldpd", "-d", "-I", iface, "-u", socket,
		"-S", "Cisco IOS Software, C2960 Software (C2960-LANBASEK9-M), Version 15.0(2)SE"))
}

// endless is a stream that stays open after its last byte.
type endless struct {
	io.Reader
	stop chan struct{}
}

func (e *endless) Read(b []byte) (int, error) {
	n, err := e.Reader.Read(b)
	if err == io.EOF {
		<-e.stop
	}
	return n, err
}

// TestDoctorStream examines a stream that does not end: what came until then is judged.
func TestDoctorStream(t *testing.T) {
	b, err := os.ReadFile("testdata/bot.pcap")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		bytes int
		want  string
	}{{len(b), "The times of frames are not those of this machine"}, {24, "No frame arrives at all"}, {0, "No frame arrives at all"}} {
		in := &endless{bytes.NewReader(b[:c.bytes]), make(chan struct{})}
		var out, errs bytes.Buffer
		began := time.Now()
		code := run(context.Background(), []string{"doctor", "-i", "-", "--for", "400ms"}, in, &out, &errs)
		if took := time.Since(began); took > 2*time.Second || !strings.Contains(out.String(), c.want) || code != exitUsable && code != exitBlind {
			t.Errorf("%d bytes: %v, code %d: %s%s", c.bytes, took, code, out.String(), errs.String())
		}
		close(in.stop)
	}
}

// TestDoctorUsage checks what is refused, and how.
func TestDoctorUsage(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "no\x1b[31mcapture.txt")
	if err := os.WriteFile(text, []byte("this is a text, and no capture at all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{}, exitUsage, "doctor of what?"},
		{[]string{"-i", "lo", "-r", "x"}, exitUsage, "either -i or -r"},
		{[]string{"-i", "lo", "--for", "0s"}, exitUsage, "--for 0s: want a time up to 1h"},
		{[]string{"-i", "lo", "--frames", "-1"}, exitUsage, "--frames -1"},
		{[]string{"-i", "lo", "-o", "xml"}, exitUsage, "want human or json"},
		{[]string{"-i", "lo", "--switch", "hub"}, exitUsage, "want one of mikrotik,"},
		{[]string{"-i", "none0"}, exitUsage, "there is no such interface\n"},
		{[]string{"-r", filepath.Join(dir, "missing")}, exitUsage, "there is no such file"},
		{[]string{"-r", text}, exitPartial, "this is no capture file"},
		{[]string{"-r", dir}, exitUsage, "holds no capture"},
		{[]string{"-i", "-"}, exitPartial, "has ended before a capture began"},
		{[]string{"-i", "-", "-r", "-"}, exitUsage, "either -i or -r"},
		{[]string{"-q", "-r", "testdata/bot.pcap"}, exitOK, ""},
		{[]string{"--set", "capture.interfaces=[none0]"}, exitUsage, "there is no such interface"},
	} {
		var out, errs bytes.Buffer
		code := run(context.Background(), append([]string{"doctor"}, c.args...), strings.NewReader(""), &out, &errs)
		if code != c.code || !strings.Contains(errs.String(), c.want) || strings.ContainsRune(errs.String(), 0x1b) || out.Len() > 0 {
			t.Errorf("%q: %d %q %s, want %d %s", c.args, code, errs.String(), out.String(), c.code, c.want)
		}
	}
}

// TestDoctorNames checks that the manual has the name of every check, for those who read the JSON.
func TestDoctorNames(t *testing.T) {
	manual := readText(t, "README.md")
	for _, check := range doctor.Checks() {
		if !strings.Contains(manual, "`"+check+"`") {
			t.Errorf("the manual lacks the check %s", check)
		}
	}
}

// TestDoctorDenied checks what a user without the right to capture is told.
func TestDoctorDenied(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: it runs the command as another user")
	}
	built, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "doctor")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "spamsensor")
	if b, err := os.ReadFile(built); err != nil || os.Chmod(dir, 0o755) != nil || os.WriteFile(name, b, 0o755) != nil {
		t.Fatal("copying the command: ", err)
	}
	c := exec.Command(name, "doctor", "-i", "lo", "--for", "1s")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := c.CombinedOutput()
	var exited *exec.ExitError
	if errors.Is(err, os.ErrPermission) {
		t.Skip("another user cannot run the command here")
	}
	if !errors.As(err, &exited) || exited.ExitCode() != exitFailed || !strings.Contains(string(out), "cap_net_raw") {
		t.Errorf("%v: %s", err, out)
	}
}
