package detect

import "testing"

func TestSubmitSpread(t *testing.T) {
	check(t, SubmitSpread,
		row{"six networks in an hour", newScene().tries(6, 587, 60, true), true},
		row{"five", newScene().tries(5, 465, 60, true), false},
		row{"port 25", newScene().tries(20, 25, 60, true), false},
		row{"several machines behind NAT", newScene().ways(64, 128).tries(6, 587, 60, true), false})
}
