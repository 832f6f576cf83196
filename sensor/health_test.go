package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/wire/wiretest"
)

// TestHealthChecks checks that each health check is raised by its cause, once, is silent below its
// threshold, and is cleared when the cause ends.
func TestHealthChecks(t *testing.T) {
	quiet := engine.Stats{Frames: 1000, HomeSeen: true}
	for _, c := range []struct {
		name, check, text string
		st                engine.Stats
		c                 capture.Stats
	}{
		{"all is well", "", "", quiet, capture.Stats{Arrived: 5000}},
		{"half is refused", "", "", engine.Stats{Frames: 1000, Refused: 500}, capture.Stats{}},
		{"more is refused", "encapsulated", "501 of 1000 frames could not be looked into: 0 are in a tunnel", engine.Stats{Frames: 1000, Refused: 501}, capture.Stats{}},
		{"most is in a tunnel", "encapsulated", "800 of 1000 frames could not be looked into: 790 are in a tunnel", engine.Stats{Frames: 1000, Refused: 10, Hidden: 790}, capture.Stats{}},
		{"a few frames", "", "", engine.Stats{Frames: 99, Refused: 99}, capture.Stats{}},
		{"the kernel drops", "drops", "7 of 1007 frames were dropped", quiet, capture.Stats{KernelDrops: 7}},
		{"the card drops", "drops", "3 of 1003 frames", quiet, capture.Stats{InterfaceDrops: 3}},
		{"one way", "one_way", "of 20 sessions, 19 were seen in one direction only", engine.Stats{Frames: 1000, SeenBoth: 1, SeenClient: 12, SeenServer: 7}, capture.Stats{}},
		{"often one way", "", "", engine.Stats{Frames: 1000, SeenBoth: 2, SeenClient: 18}, capture.Stats{}},
		{"twice", "duplicates", "201 of 1000 frames came twice", engine.Stats{Frames: 1000, Duplicates: 201}, capture.Stats{}},
		{"nobody of ours", "home_net_unseen", "no address of ours", engine.Stats{Frames: 1000, Attempts: 4}, capture.Stats{}},
		{"a full table", "table_full", "2 entries had to make room", engine.Stats{Frames: 1000, FlowsEvicted: 1, SMTPSessionsEvicted: 1}, capture.Stats{}},
		{"the mirror loses", "loss", "1.0 % of the bytes of mail connections", engine.Stats{Frames: 1000, StreamBytes: 99_000, MissingBytes: 1000}, capture.Stats{}},
		{"the clock jumps", "clock", "2 frames have an impossible time", engine.Stats{Frames: 1000, OddTimes: 1}, capture.Stats{BadTimes: 1}},
		{"a fault of ours", "panic", "1 packets or connections were dropped", engine.Stats{Frames: 1000, Panics: 1}, capture.Stats{}},
	} {
		h := health{live: true}
		got := h.check(1, &c.st, &c.c, nil, 0)
		if c.check == "" {
			if len(got) > 0 {
				t.Errorf("%s: %+v", c.name, got)
			}
			continue
		}
		if len(got) != 1 || got[0].Check != c.check || got[0].State != "raised" || !strings.HasPrefix(got[0].Text, c.text) || got[0].Hint == "" && c.check != "loss" {
			t.Errorf("%s: %+v, want %s: %s", c.name, got, c.check, c.text)
			continue
		}
		c.st.Frames += 1000
		c.st.HomeSeen = true
		c.c.Arrived += 1000
		c.st.SeenBoth += 10
		c.st.StreamBytes += 100_000
		if got = h.check(2, &c.st, &c.c, nil, 0); len(got) != 1 || got[0].Check != c.check || got[0].State != "cleared" {
			t.Errorf("%s, and then all is well: %+v", c.name, got)
		}
	}
}

// TestArrivesButNoMail checks that a mirror port with frames in an unreadable tunnel only is not
// reported as silent.
func TestArrivesButNoMail(t *testing.T) {
	ns := veth(t)
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	gtp := wiretest.Frame(wiretest.Ethernet{}, wiretest.IP{Src: "10.0.0.1", Dst: "10.0.0.2"}, wiretest.UDP{SrcPort: 2152, DstPort: 2152}, wiretest.Text("\x30\xff\x00\x40and so on, for a while"))
	file := filepath.Join(t.TempDir(), "gtp.pcap")
	if err := os.WriteFile(file, pcapOf(slices.Repeat([]record{{1e18, gtp}}, 300)), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	p := launch(t, &stdout, exec.Command("ip", "netns", "exec", ns, name, "run", "-i", "v1"))
	time.Sleep(500 * time.Millisecond)
	if out, err := exec.Command("ip", "netns", "exec", ns, "tcpreplay", "-q", "-i", "v0", "--pps=4000", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	time.Sleep(1200 * time.Millisecond)
	p.Process.Signal(syscall.SIGTERM)
	if code := p.code(); code != exitOK {
		t.Fatalf("exit code %d: %s", code, p.stderr.String())
	}
	told := false
	for _, e := range ofType(parseEvents(t, stdout.Bytes()), "health") {
		told = told || e.Health.Check == "no_packets" && strings.HasPrefix(e.Health.Text, "300 frames arrived")
	}
	if !told {
		t.Errorf("%s", stdout.String())
	}
}
