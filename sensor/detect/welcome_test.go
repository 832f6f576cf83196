package detect

import "testing"

func TestWelcome(t *testing.T) {
	check(t, Welcome,
		row{"ten accepted", newScene().sessions(10, false), true},
		row{"nine accepted", newScene().sessions(9, false), false},
		row{"two of twenty refused", newScene().sessions(18, false).sessions(2, true), false})
}
