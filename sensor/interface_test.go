package main

import (
	"bytes"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestInterfaceComesBack checks that the sensor listens again to an interface that is deleted and
// created again under its name, and that it reports the interruption.
func TestInterfaceComesBack(t *testing.T) {
	ns := veth(t)
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	k := newMailConn(1).greet().lines(mail...).lines(quit...).close()
	file, frames := captured(t, k), len(k.sent)
	var out bytes.Buffer
	p := launch(t, &out, exec.Command("ip", "netns", "exec", ns, name, "run", "-i", "v1"))
	time.Sleep(time.Second)
	send := func() {
		if b, err := exec.Command("ip", "netns", "exec", ns, "tcpreplay", "-q", "-i", "v0", "--topspeed", file).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
	}
	send()
	time.Sleep(500 * time.Millisecond)
	for _, args := range append([][]string{{"-n", ns, "link", "del", "v0"}}, cable(ns)...) {
		if b, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v %s", args, err, b)
		}
	}
	for range 4 { // the sensor retries every second
		time.Sleep(1200 * time.Millisecond)
		send()
	}
	time.Sleep(500 * time.Millisecond)
	p.Process.Signal(syscall.SIGTERM)
	code := p.code()
	e := lastStats(t, unmarshalEvents(t, out.Bytes()))
	balanced(t, "the interface was gone", e)
	if said := p.stderr.String(); code != exitOK || !strings.Contains(said, "the interface is gone; trying again every second") {
		t.Errorf("exit code %d: %s", code, said)
	}
	if n := int(e.Decode["frames"]); n < 2*frames || n > 5*frames {
		t.Errorf("%d frames, %d were sent before and %d after it was gone", n, frames, 4*frames)
	}
}
