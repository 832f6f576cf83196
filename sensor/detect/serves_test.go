package detect

import "testing"

func TestServes(t *testing.T) {
	served := func(clients uint32) *scene {
		return newScene().sees(10, 60, func(i uint32) Observation {
			return Observation{Kind: KindServed, Hash: 1 + i%clients}
		})
	}
	check(t, Serves,
		row{"two clients", served(2), true},
		row{"one client", served(1), false})
}
