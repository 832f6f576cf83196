package detect

import "testing"

func TestHeloNames(t *testing.T) {
	check(t, HeloNames,
		row{"three names", newScene().helo("a.example").helo("b.example").helo("c.example"), true},
		row{"two names in turn", newScene().helo("a.example").helo("b.example").helo("a.example"), false},
		row{"three names in three days", newScene().helo("a.example").wait(90_000).
			helo("b.example").wait(90_000).helo("c.example"), false})
}
