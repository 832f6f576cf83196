package detect

import "testing"

func TestConflicts(t *testing.T) {
	conflicts := func(sessions, n int) *scene {
		s := newScene()
		for range sessions {
			s.helo("mail.example.org")
		}
		return s.sees(n, 1, func(uint32) Observation { return Observation{Kind: KindConflict} })
	}
	check(t, Conflicts,
		row{"three of twelve sessions", conflicts(12, 3), true},
		row{"three of thirteen", conflicts(13, 3), false},
		row{"two", conflicts(2, 2), false})
}
