package detect

import "testing"

func TestConcurrent(t *testing.T) {
	syns := func(n int, external bool) *scene {
		return newScene().sees(n, 0.1, func(uint32) Observation {
			return Observation{Kind: KindSYN, Addr: 1, Net: 1, Port: 25, External: external}
		})
	}
	check(t, Concurrent,
		row{"ten open connections", syns(10, true), true},
		row{"nine", syns(9, true), false},
		row{"a pool of connections to an internal server", syns(50, false), false},
		row{"fifty, one after the other", newScene().tries(50, 25, 1, false), false})
}
