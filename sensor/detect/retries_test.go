package detect

import "testing"

func TestRetries(t *testing.T) {
	retries := func(deferrals int, after float64) *scene {
		s := newScene()
		for range deferrals {
			s.tries(1, 25, 0, true)
			s.see(Observation{Kind: KindDeferred, Addr: mix(s.dest)})
			s.wait(after).tries(1, 25, 1, false)
		}
		return s
	}
	check(t, Retries,
		row{"after half an hour", retries(3, 1800), true},
		row{"two deferrals", retries(2, 1800), false},
		row{"at once", retries(10, 10), false})
}
