package detect

import "testing"

func TestRecipientDomains(t *testing.T) {
	domains := func(n int, interval float64, external bool) *scene {
		return newScene().sees(n, interval, func(i uint32) Observation {
			return Observation{Kind: KindRecipient, Hash: mix(i), External: external}
		})
	}
	check(t, RecipientDomains,
		row{"20 domains in an hour", domains(20, 60, true), true},
		row{"19", domains(19, 60, true), false},
		row{"20 in a day", domains(20, 3600, true), false},
		row{"an internal server", domains(40, 1, false), false})
}
