package state

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/sources"
)

// savedFinding is the state after a finding with this number.
func savedFinding(seq int) *engine.Saved {
	return &engine.Saved{Seed: []byte("0123456789abcdef"),
		Sources: []sources.SavedSource{{Addr: netip.MustParseAddr("10.0.0.66"),
			Counters: detect.Counters{Attempts: uint32(seq)},
			Host: &sources.SavedHost{Findings: []sources.SavedFinding{{ID: "spambot-10.0.0.66-1",
				Seq: seq, Open: true}}}}}}
}

// TestJournal checks that the findings since the last checkpoint are in the journal whenever the
// sensor is killed, and that those in a checkpoint are not loaded twice.
func TestJournal(t *testing.T) {
	dir := t.TempDir()
	seq := func(c *Checkpoint) int {
		_, entries := OpenJournal(dir, 0)
		c.Replay(entries)
		if len(c.Engine.Sources) == 0 {
			return 0
		}
		return c.Engine.Sources[0].Host.Findings[0].Seq
	}
	j, entries := OpenJournal(dir, 0)
	if entries != nil {
		t.Fatal(entries)
	}
	j.Add(time.Now().UnixNano(), savedFinding(1))
	j.Add(time.Now().UnixNano(), savedFinding(2))
	if n := seq(&Checkpoint{}); n != 2 {
		t.Errorf("before the first checkpoint: %d", n)
	}
	if n := seq(&Checkpoint{Engine: *savedFinding(7)}); n != 7 {
		t.Errorf("a checkpoint that has more: %d", n)
	}
	j.Rotate() // the sensor saves a checkpoint with 2
	j.Add(time.Now().UnixNano(), savedFinding(3))
	if n := seq(&Checkpoint{}); n != 3 {
		t.Errorf("killed while it is saved: %d", n)
	}
	j.Rotate() // the checkpoint could not be saved
	j.Add(time.Now().UnixNano(), savedFinding(4))
	if n := seq(&Checkpoint{}); n != 4 {
		t.Errorf("after one that could not be saved: %d", n)
	}
	j.Saved()
	if n := seq(&Checkpoint{Engine: *savedFinding(2)}); n != 4 {
		t.Errorf("after one that was saved: %d", n)
	}
	j.Rotate()
	j.Saved()
	if _, entries := OpenJournal(dir, 0); entries != nil {
		t.Errorf("%d entries are left", len(entries))
	}
	j.Add(time.Now().UnixNano(), savedFinding(5))
	j.Add(time.Now().UnixNano(), savedFinding(6))
	j.Close()
	name := filepath.Join(dir, "findings.log")
	b, _ := os.ReadFile(name)
	for _, cut := range []int{1, len(b) / 3} {
		os.WriteFile(name, b[:len(b)-cut], 0o600)
		if n := seq(&Checkpoint{}); n != 5 {
			t.Errorf("cut by %d: %d", cut, n)
		}
	}
	bad := bytes.Clone(b)
	bad[len(bad)/4] ^= 4
	os.WriteFile(name, bad, 0o600)
	if n := seq(&Checkpoint{}); n != 6 {
		t.Errorf("a damaged entry before a good one: %d", n)
	}
	other := *savedFinding(1)
	other.Seed = []byte("another secret..")
	if n := seq(&Checkpoint{Engine: other}); n != 1 {
		t.Errorf("of another secret: %d", n)
	}
}

// TestJournalIsBounded checks the bound of the journal, and that the findings beyond it are
// counted.
func TestJournalIsBounded(t *testing.T) {
	j, _ := OpenJournal(t.TempDir(), 0)
	big := savedFinding(1)
	big.Sources[0].Host.Findings[0].ID = string(bytes.Repeat([]byte("x"), maxJournal/4))
	for range 6 {
		j.Add(time.Now().UnixNano(), big)
	}
	j.Rotate()
	if skipped := j.Saved(); skipped != 3 {
		t.Errorf("%d entries found no room, want 3", skipped)
	}
	j.Add(time.Now().UnixNano(), savedFinding(2))
	if skipped := j.Saved(); skipped != 0 {
		t.Errorf("%d entries found no room after a checkpoint", skipped)
	}
}

// TestJournalClockSetBack checks that what is newer than a checkpoint is known when the clock was
// set back after it, also over a restart.
func TestJournalClockSetBack(t *testing.T) {
	dir := t.TempDir()
	j, _ := OpenJournal(dir, 0)
	j.Add(1000, savedFinding(1))
	written := j.Stamp(2000)
	j.Add(500, savedFinding(2))
	j.Close()
	j, entries := OpenJournal(dir, written)
	if len(entries) != 2 || entries[0].At >= written || entries[1].At <= written {
		t.Errorf("the checkpoint is of %d, the entries are %+v", written, entries)
	}
	if next := j.Stamp(600); next <= entries[1].At {
		t.Errorf("after a restart: %d", next)
	}
}
