package detect

import "testing"

func TestOneName(t *testing.T) {
	gives := func(n int, names ...string) *scene {
		s := newScene()
		for i := range n {
			s.helo(names[i%len(names)])
		}
		return s
	}
	check(t, OneName,
		row{"one name in 20 sessions", gives(20, "mail.example.org"), true},
		row{"one name in 19 sessions", gives(19, "mail.example.org"), false},
		row{"two names", gives(40, "mail.example.org", "mx.example.org"), false},
		row{"a single word", gives(40, "friend"), false})
}
