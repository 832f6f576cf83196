package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"spamsensor/bench/corpus"
)

// without is a capture without a share of its frames, which are deleted at random, and their
// number.
func without(records [][]byte, share float64, seed uint64) (capture []byte, deleted int) {
	rng := rand.New(rand.NewPCG(seed, 15))
	capture = pcapHeader()
	for _, r := range records {
		if rng.Float64() < share {
			deleted++
			continue
		}
		capture = append(capture, r...)
	}
	return capture, deleted
}

// TestLossIsEstimated checks that frames that are lost before the capture are estimated from gaps:
// the estimate must fit the number of deleted frames, and no message may be invented.
func TestLossIsEstimated(t *testing.T) {
	captures := map[string][][]byte{}
	for _, name := range []string{"bot", "deliveries", "refusals", "smuggling", "auth", "tls"} {
		captures[name] = recordsOf(t, testdata(t, name+".pcap"))
	}
	for _, n := range []int{1, 5, 20, 60} {
		captures[fmt.Sprintf("bodies of %d segments", n)] = recordsOf(t, pcapOf(dialogues(1+200/n, n)))
	}
	if len(captures) < 10 {
		t.Fatal("too few captures")
	}
	seeds, shares := 20, []float64{0.01, 0.05, 0.2}
	switch {
	case long():
		seeds = 100
	case raceEnabled:
		seeds, shares = 6, shares[2:]
	}
	worst := 0.0
	for _, name := range sorted(captures) {
		whole, _ := without(captures[name], 0, 0)
		events, _, _ := readCapture(t, whole)
		if e := lastStats(t, events); e.Capture["loss_estimate"] != 0 {
			t.Errorf("%s: the whole capture lacks %v", name, e.Capture["loss_estimate"])
		}
		messages := messagesOf(events)
		for _, share := range shares {
			var missing, heard uint64
			deleted, frames := 0, 0
			for seed := range seeds * int(math.Ceil(0.05/share)) {
				lossy, n := without(captures[name], share, uint64(seed))
				events, code, stderr := readCapture(t, lossy)
				if code != exitOK {
					t.Fatalf("%s: %d %s", name, code, stderr)
				}
				e := lastStats(t, events)
				balanced(t, name, e)
				missing += e.SMTPStats["bytes_missing"]
				heard += e.SMTPStats["bytes"]
				deleted += n
				frames += len(captures[name])
				for who, n := range messagesOf(events) {
					if n > messages[who] {
						t.Errorf("%s without %v of its frames (seed %d): %d messages of %s, %d were sent", name, share, seed, n, who, messages[who])
					}
				}
			}
			truth := float64(deleted) / float64(frames)
			estimate := float64(missing) / float64(missing+heard)
			off := estimate/truth - 1
			if math.Abs(off) > math.Abs(worst) {
				worst = off
			}
			if math.Abs(off) > 0.25 {
				t.Errorf("%s: %.2f %% of the frames deleted, %.2f %% estimated (%+.0f %%)", name, 100*truth, 100*estimate, 100*off)
			}
		}
	}
	t.Logf("R15: loss estimated within %+.0f %% at worst, %d captures (goal 25 %%, 10), no invented message", 100*worst, len(captures))
}

// messagesOf is the number of messages of each connection.
func messagesOf(events []emitted) map[string]int {
	m := map[string]int{}
	for _, e := range ofType(events, "session") {
		m[fmt.Sprintf("%s:%d > %s:%d", e.Src, e.SrcPort, e.Dest, e.DestPort)] += e.SMTP.Messages
	}
	return m
}

// TestAccount checks that the account of the frames balances for every capture.
func TestAccount(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.pcap")
	if dir := corpus.Find(); dir != "" {
		for _, p := range []string{"recorded/*.pcap*", "mta/*.pcap", "kernel/*.pcap", "damaged/*"} {
			more, _ := filepath.Glob(filepath.Join(dir, p))
			files = append(files, more...)
		}
	}
	n := 0
	for _, f := range files {
		if ext := filepath.Ext(f); ext == ".json" {
			continue
		}
		events, _, _ := readEvents(t, f)
		if len(ofType(events, "stats")) == 0 {
			continue // no frame could be read
		}
		balanced(t, f, lastStats(t, events))
		n++
	}
	t.Logf("R15: received = processed + drops + refused on %d of %d captures that hold frames (goal all)", n, n)
}
