package detect

import "testing"

func TestOddities(t *testing.T) {
	check(t, Oddities,
		row{"two sessions", newScene().odd(NoGoodbye), true},
		row{"one session", newScene().sees(1, 1, func(uint32) Observation {
			return Observation{Kind: KindDialect, Oddities: NoGoodbye}
		}), false},
		row{"two sessions without oddities", newScene().odd(0), false})
}
