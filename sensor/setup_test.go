package main

import (
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
