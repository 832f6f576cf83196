package main

import (
	"testing"
	"time"

	"spamsensor/bench/corpus"
)

// TestEveryFrameIsAccountedFor checks for every capture that each frame is processed or refused
// with a reason: received = processed + refused, and the outcomes add up to both.
func TestEveryFrameIsAccountedFor(t *testing.T) {
	files, began, longest := 0, time.Now(), time.Duration(0)
	var total uint64
	for _, name := range captures(t, corpus.Path(t)) {
		opened := time.Now()
		events, _, _ := readEvents(t, name)
		longest = max(longest, time.Since(opened))
		stats := ofType(events, "stats")
		if len(stats) == 0 {
			continue // the file could not be opened
		}
		files++
		s := stats[len(stats)-1]
		var sum uint64
		for outcome, n := range s.Decode {
			switch outcome {
			case "frames", "processed", "refused", "syn":
			default:
				sum += n
			}
		}
		frames := s.Decode["frames"]
		total += frames
		if sum != frames || s.Decode["processed"]+s.Decode["refused"] != frames || s.Capture["kernel_packets"] != float64(frames) {
			t.Errorf("%s: read %v, frames %d, processed %d, refused %d, outcomes %d", name, s.Capture["kernel_packets"], frames, s.Decode["processed"], s.Decode["refused"], sum)
		}
	}
	if files < 100 {
		t.Errorf("only %d files could be read", files)
	}
	if figures() && (longest > 2*time.Second || time.Since(began) > time.Minute) {
		t.Errorf("it took %v, and %v for one file", time.Since(began), longest)
	}
	t.Logf("R2: %d captures, %d frames, no crash, every account holds, %.2f s for the slowest, %.0f s in all (goal 2 s, 60 s)", files, total, longest.Seconds(), time.Since(began).Seconds())
}
