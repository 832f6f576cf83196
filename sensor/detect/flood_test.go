package detect

import (
	"testing"

	"spamsensor/sensor/verdict"
)

// TestSYNsAlone: the verdicts where only SYNs are seen.
func TestSYNsAlone(t *testing.T) {
	for _, r := range []struct {
		name string
		s    *scene
		want verdict.Level
		has  []Code
		not  []Code
	}{
		{"a flood in somebody's name", newScene().tries(10_000, 25, 0.1, true), verdict.Suspect, []Code{Flood}, []Code{Failures}},
		{"a flood from a TCP that waits for some of its answers", newScene().again(4, 20).tries(150, 25, 1, true), verdict.Likely, []Code{Flood}, []Code{Failures}},
		{"a flood of connections that somebody completes, and nobody greets", newScene().opens(150, 1, false), verdict.Likely, []Code{Flood}, []Code{Failures}},
		{"the same, and servers greet it", newScene().opens(150, 1, true), verdict.Suspect, nil, []Code{Flood, Failures}},
		{"the same from many machines", newScene().ways(64, 128).again(4, 20).tries(150, 25, 1, true), verdict.Suspect, []Code{Flood}, []Code{Failures}},
		{"twenty new servers in five minutes, for a quarter of an hour", newScene().again(4, 20).tries(70, 25, 15, true), verdict.Likely, []Code{Flood}, []Code{Failures}},
		{"twenty in five minutes, once", newScene().again(4, 20).tries(20, 25, 15, true), verdict.Suspect, nil, []Code{Flood, Failures}},
		{"a busy server, 60 an hour", newScene().again(4, 60).tries(300, 25, 60, true), verdict.Suspect, nil, []Code{Flood, Failures}},
		{"a queue of 500 to one server", newScene().again(3, 20).tries(500, 25, 0.5, false), verdict.NoLevel, []Code{Burst}, []Code{Flood, Failures}},
		{"none of ten answers", newScene().again(10, 20), verdict.Likely, []Code{Failures}, []Code{Flood}},
		{"a line that is down for a while", newScene().tries(40, 25, 60, true).again(20, 60), verdict.Suspect, nil, []Code{Failures, Flood}},
	} {
		if r.s.won != r.want {
			v := r.s.p.Judge(&r.s.n, r.s.now)
			t.Errorf("%s: %s (score %.1f), want %s", r.name, r.s.won, v.Score, r.want)
		}
		for _, c := range r.has {
			if !r.s.p.has(c) {
				t.Errorf("%s: no %s", r.name, c)
			}
		}
		for _, c := range r.not {
			if r.s.p.has(c) {
				t.Errorf("%s: %s", r.name, r.s.p.Text(c, &r.s.n))
			}
		}
	}
}
