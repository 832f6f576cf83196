package detect

import "testing"

func TestNewNetworks(t *testing.T) {
	check(t, NewNetworks,
		row{"four networks at once", newScene().tries(4, 25, 1, true), true},
		row{"three", newScene().tries(3, 25, 1, true), false},
		row{"one new network a day", newScene().tries(30, 25, 86400, true), false},
		row{"a hundred attempts at one", newScene().tries(100, 25, 1, false), false})
}
