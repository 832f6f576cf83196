package detect

import "testing"

func TestManyNetworks(t *testing.T) {
	check(t, ManyNetworks,
		row{"ten networks in an hour", newScene().tries(10, 25, 300, true), true},
		row{"nine", newScene().tries(9, 25, 300, true), false},
		row{"ten in three hours", newScene().tries(10, 25, 1200, true), false})
}
