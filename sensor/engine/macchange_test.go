package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// from sets another link-layer address in the frames of the client.
func from(frames []timedFrame, mac byte) []timedFrame {
	out := slices.Clone(frames)
	for i := range out {
		if d := out[i].data; d[11] == 1 { // from the client
			out[i].data = slices.Clone(d)
			out[i].data[10] = mac
		}
	}
	return out
}

// TestLinkLayerAddressesTakeTurns checks that a bot whose link-layer addresses alternate counts as
// one machine at any pace, and so does one that takes a new address each time.
func TestLinkLayerAddressesTakeTurns(t *testing.T) {
	for pace, every := range map[string]int64{"M": minute, "S": 20 * minute} {
		for kinds, mac := range map[string]func(i int) byte{
			"two":            func(i int) byte { return byte(i % 2) },
			"two, in pairs":  func(i int) byte { return byte(i / 2 % 2) },
			"one for each":   func(i int) byte { return byte(i) },
			"one, then many": func(i int) byte { return byte(max(0, i-10)) },
		} {
			var frames []timedFrame
			for i := range 30 {
				c := newConn("10.0.0.5", fmt.Sprintf("198.51.%d.25", i), uint16(40000+i), 25)
				c.at += int64(i) * every
				refusing(c)
				frames = append(frames, from(c.frames, mac(i))...)
			}
			list := analyse(Config{}, frames).findings
			got := story(list, "10.0.0.5")
			if strings.Contains(got, "mac_changed") || !strings.Contains(got, "spambot confirmed") {
				t.Errorf("%s, link-layer addresses: %s: %s", pace, kinds, got)
			}
			if last := list[len(list)-1]; !slices.ContainsFunc(last.Blind, func(s string) bool { return strings.Contains(s, "a different link-layer address") }) {
				t.Errorf("%s, %s: %q", pace, kinds, last.Blind)
			}
		}
	}
}

// TestEvidenceOutlivesSYNs checks that one SYN from another link-layer address changes nothing at
// any time, nor does a machine that follows within hours. After that the first session, or hours of
// attempts without an answer, show that the IP address belongs to another machine.
func TestEvidenceOutlivesSYNs(t *testing.T) {
	syn := func() []timedFrame { return newConn("10.0.0.5", "192.0.2.25", 40000, 25).syn().frames }
	tries := func(n int, every int64) (frames []timedFrame) {
		for i := range n {
			c := newConn("10.0.0.5", "192.0.2.25", uint16(41000+i), 25)
			c.at += int64(i) * every
			c.seq[0] = uint32(i) * 7919
			frames = append(frames, c.syn().frames...)
		}
		return frames
	}
	for _, c := range []struct {
		name   string
		frames []timedFrame
		moved  bool
	}{
		{"a SYN, 2 minutes later", at(syn(), 2*minute), false},
		{"a SYN, 7 hours later", at(syn(), 7*hour), false},
		{"a session, an hour later", at(delivery().frames, hour), false},
		{"a session, 7 hours later", at(delivery().frames, 7*hour), true},
		{"twenty SYNs within a minute, 7 hours later", at(tries(20, second), 7*hour), false},
		{"attempts for 7 hours", at(tries(60, 7*minute), minute), true},
	} {
		list := analyse(Config{}, together(bot(30, refusing), from(c.frames, 9))).findings
		if got := story(list, "10.0.0.5"); strings.Contains(got, "mac_changed") != c.moved || !strings.Contains(got, "spambot confirmed") {
			t.Errorf("%s: %s", c.name, got)
		}
		for _, f := range list {
			if f.CloseReason == "mac_changed" && (f.Level != verdict.Confirmed && f.Class == verdict.Spambot || f.Source.MAC[4] != 0) {
				t.Errorf("%s: closed at %s, of %v", c.name, f.Level, f.Source.MAC)
			}
		}
	}
}

// TestNextMachineIsNotAccused checks that a machine that gets the address of a bot minutes later is
// not accused, whether its sessions or its SYNs alone are seen.
func TestNextMachineIsNotAccused(t *testing.T) {
	for name, frames := range map[string][]timedFrame{
		"sessions": heirOf(func(c *conn) { c.open().mail().close() }),
		"SYNs":     heirOf(func(c *conn) { c.syn() }),
	} {
		list := analyse(Config{}, together(bot(30, refusing), from(at(frames, 10*minute), 9))).findings
		for _, f := range list {
			if f.Source.MAC[4] == 9 && f.Class != verdict.DirectSMTP {
				t.Errorf("%s: %s %s %s after %d minutes", name, f.Action, f.Class, f.Level, (f.Time-epoch)/minute)
			}
			if f.Class == verdict.Spambot && f.Action == "closed" && (f.Level != verdict.Confirmed || f.CloseReason != "mac_changed" || f.Source.Counters.Attempts != 30) {
				t.Errorf("%s: closed at %s with %d attempts (%s)", name, f.Level, f.Source.Counters.Attempts, f.CloseReason)
			}
		}
	}
}

// heirOf is eight hours of one connection each half hour to the same server.
func heirOf(session func(c *conn)) (frames []timedFrame) {
	for i := range 16 {
		c := newConn("10.0.0.5", "192.0.2.25", uint16(45000+i), 587)
		c.at += int64(i) * 30 * minute
		c.seq[0] = uint32(i) * 7919
		session(c)
		frames = append(frames, c.frames...)
	}
	return frames
}

// TestFormerAccountIsSaved checks that a SYN from another link-layer address deletes nothing, even
// if the sensor is restarted after it.
func TestFormerAccountIsSaved(t *testing.T) {
	cfg := Config{Live: true, Seed: []byte("0123456789abcdef")}
	begin := func(told *[]finding.Finding) (*Engine, *feeder) {
		e := New(cfg, Output{Finding: func(f *finding.Finding) { *told = append(*told, *f) }})
		return e, &feeder{w: e.Worker(), size: 1}
	}
	var before, after []finding.Finding
	e, w := begin(&before)
	for _, f := range together(bot(30, refusing), from(at(newConn("10.0.0.5", "192.0.2.25", 40000, 25).syn().frames, 5*minute), 9)) {
		w.take(f)
	}
	saved, _ := checkpoint(t, e)
	e, w = begin(&after)
	e.Restore(saved)
	for _, f := range at(newConn("10.0.0.5", "192.0.2.26", 40001, 25).open().mail().close().frames, 10*minute) {
		w.take(f)
	}
	e.Finish("shutdown")
	last := after[len(after)-1]
	if last.Class != verdict.Spambot || last.Level != verdict.Confirmed || last.Source.MAC[4] != 0 || last.ID != before[len(before)-1].ID {
		t.Errorf("%s: %s of %v", story(after, "10.0.0.5"), last.ID, last.Source.MAC)
	}
}
