package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSetupFromFile: the configuration that setup prints is valid, and names the mail server.
func TestSetupFromFile(t *testing.T) {
	code, out, said := asked(t, "setup", "-r", "testdata/bot.pcap")
	if code != exitOK || !strings.Contains(out, "home_net:") {
		t.Fatalf("exit code %d: %s%s", code, out, said)
	}
	if err := validate(out); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if code, _, said := asked(t, "setup", "-r", "no-such-file"); code != exitUsage {
		t.Errorf("a missing file: exit code %d, %s", code, said)
	}
	if code, _, said := asked(t, "setup", "--for", "0s"); code != exitUsage {
		t.Errorf("--for 0s: exit code %d, %s", code, said)
	}
}

// TestSetupLive: setup finds the interface with the mirrored traffic, writes the configuration once,
// and never changes one that exists. An interface on which nothing arrives is called blind.
func TestSetupLive(t *testing.T) {
	ns := veth(t)
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "etc", "spamsensor.yaml")
	setup := func(args ...string) (int, string) {
		c := exec.Command("ip", append([]string{"netns", "exec", ns, name, "setup", "--to", file},
			args...)...)
		out, _ := c.CombinedOutput()
		return c.ProcessState.ExitCode(), string(out)
	}
	if code, said := setup("-i", "v1", "--for", "1s", "--yes"); code != exitBlind ||
		!strings.Contains(said, "setup has written nothing") {
		t.Errorf("a silent interface: exit code %d, %s", code, said)
	}
	office := filepath.Join(t.TempDir(), "office.pcap")
	if err := os.WriteFile(office, pcapOf(dialogues(400, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	send := exec.Command("ip", "netns", "exec", ns, "tcpreplay", "-q", "-i", "v0", "--loop=1000",
		"--pps=500", office)
	if err := send.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { send.Process.Kill(); send.Wait() }()
	time.Sleep(200 * time.Millisecond)
	code, said := setup("--for", "3s", "--yes")
	written, err := os.ReadFile(file)
	if code != exitOK || err != nil || !strings.Contains(said, "Interface  v1: ") ||
		!strings.Contains(string(written), `interfaces: ["v1"]`) {
		t.Fatalf("exit code %d, %v: %s\n%s", code, err, said, written)
	}
	if err := os.WriteFile(file, []byte("home_net: [10.0.0.0/8]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, said = setup("-i", "v1", "--for", "1s", "--yes")
	kept, err := os.ReadFile(file)
	if code != exitOK || err != nil || string(kept) != "home_net: [10.0.0.0/8]\n" ||
		!strings.Contains(said, "-home_net: [10.0.0.0/8]") || !strings.Contains(said, "was not changed") {
		t.Errorf("exit code %d, %v: %s\n%s", code, err, said, kept)
	}
}

// TestSetupServices: a stand-in for systemctl shows which services are started, and what is said of
// a service that is missing or that fails.
func TestSetupServices(t *testing.T) {
	dir := t.TempDir()
	called := filepath.Join(dir, "called")
	script := "#!/bin/sh\necho \"$@\" >>" + called + "\n[ \"$1\" = cat ] && [ \"$2\" = \"$MISSING\" ] && exit 1\n" +
		"[ \"$1\" = \"$FAILS\" ] && { echo 'the unit is broken'; exit 1; }\nexit 0\n"
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	was := systemdRuns
	systemdRuns = dir
	t.Cleanup(func() { systemdRuns = was })
	for _, x := range []struct {
		missing, fails string
		channels       int
		want, said     string
		code           int
	}{
		{"", "", 1, "enable --now spamsensor.service spamsensor-serve.service spamsensor-notify.service\n",
			"Started", 0},
		{"", "", 0, "enable --now spamsensor.service spamsensor-serve.service\n", "Started", 0},
		{"spamsensor-serve.service", "", 0, "", "is not installed", 0},
		{"", "enable", 0, "enable --now", "the unit is broken", exitFailed},
	} {
		os.Remove(called)
		t.Setenv("MISSING", x.missing)
		t.Setenv("FAILS", x.fails)
		var out strings.Builder
		a := &app{stderr: &out}
		err := a.enable(t.Context(), setupOptions{output: "/etc/x.yaml"}, x.channels)
		code := 0
		if e := (*exitError)(nil); errors.As(err, &e) {
			code = e.code
			out.WriteString(err.Error())
		}
		b, _ := os.ReadFile(called)
		if code != x.code || !strings.Contains(string(b), x.want) || !strings.Contains(out.String(), x.said) ||
			x.want == "" && strings.Contains(string(b), "enable") {
			t.Errorf("%+v: code %d, called %q, said %q", x, code, b, out.String())
		}
	}
}

// TestStuckSetup: a batch that never ends does not stop setup for ever.
func TestStuckSetup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bot.pcap")
	if err := os.WriteFile(path, testdata(t, "bot.pcap"), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p, _ := looping(t, io.Discard, os.Args[0], "setup", "-r", path)
	gaveUp(t, p, began, 10*time.Second)
}
