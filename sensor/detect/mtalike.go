package detect

import (
	"spamsensor/sensor/sketch"
)

// mtaLike holds the signs of a mail server: see onename.go, retries.go and serves.go, and
// welcome.go for the sign that the test of refusals holds.
type mtaLike struct {
	name         uint32         // the one HELO name
	sessions     uint32         // in which it was given
	severalNames bool           // or a name that no mail server gives
	deferred     [8]sketch.Slot // servers that deferred
	deferrals    uint32
	retried      uint32
	clients      [2]sketch.Slot // external hosts that brought mail
	served       uint32
}

// Disown drops the signs of a mail server: the source may have said them to itself.
func (p *Profile) Disown() {
	p.mta, p.refusalTest, p.refusalTestUnlisted = mtaLike{}, refusalTest{}, refusalTest{}
	p.changed = true
}

// merge adds the signs of o, which came later. Two different names are several names, whichever of
// them was given first.
func (s *mtaLike) merge(o *mtaLike) {
	if o.sessions > 0 {
		if s.sessions == 0 {
			s.name = o.name
		}
		s.severalNames = s.severalNames || o.severalNames || s.name != o.name
		s.sessions += o.sessions
	}
	mergeSlots(s.deferred[:], o.deferred[:], retryTo)
	s.deferrals += o.deferrals
	s.retried += o.retried
	n := 0
	for _, x := range o.clients {
		if x.At != 0 {
			n, _ = sketch.AddRecent(s.clients[:], x.Hash, x.At, servedTime)
		}
	}
	s.served = max(s.served, o.served, uint32(n))
}
