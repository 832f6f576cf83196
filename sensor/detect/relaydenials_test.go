package detect

import "testing"

func TestRelayDenials(t *testing.T) {
	denials := func(n int, interval float64, servers uint32) *scene {
		return newScene().sees(n, interval, func(i uint32) Observation {
			return Observation{Kind: KindRelayDenied, Addr: mix(i % servers)}
		})
	}
	check(t, RelayDenials,
		row{"two servers", denials(2, 60, 2), true},
		row{"one server, again and again", denials(20, 60, 1), false},
		row{"two servers in two days", denials(2, 90_000, 2), false})
}
