package detect

import "testing"

func TestBurst(t *testing.T) {
	check(t, Burst,
		row{"20 attempts in 95 s", newScene().tries(20, 25, 5, false), true},
		row{"19 attempts", newScene().tries(19, 25, 5, false), false},
		row{"20 attempts in 380 s", newScene().tries(20, 25, 20, false), false},
		row{"submission", newScene().tries(40, 587, 1, false), false},
		row{"an internal server", relayed(100), false})
}
