package detect

import "testing"

// halves is n mails of sessions of which the client alone is seen.
func (s *scene) halves(n int, refused bool) *scene {
	return s.sees(n, 1, func(uint32) Observation {
		return Observation{Kind: KindDecided, OneSided: true, Refused: refused}
	})
}

// soFar says whether the capture has shown one side alone so far.
func (s *scene) soFar(one bool) *scene { s.p.SetOneSided(false, one); return s }

func TestHalfSessions(t *testing.T) {
	check(t, Welcome,
		row{"ten sent messages", newScene().halves(10, false).soFar(true), true},
		row{"nine", newScene().halves(9, false).soFar(true), false},
		row{"one of twenty went away", newScene().halves(19, false).halves(1, true).soFar(true), true},
		row{"two of twenty", newScene().halves(18, false).halves(2, true).soFar(true), false},
		row{"beside a whole mirror", newScene().halves(10, false).soFar(false), false},
		row{"both sides appeared later", newScene().halves(10, false).soFar(true).soFar(false), false})
	check(t, Refusals, row{"twenty went away", newScene().halves(20, true).soFar(true), false})
}
