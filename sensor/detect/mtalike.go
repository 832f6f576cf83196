package detect

import (
	"spamsensor/sensor/sketch"
)

// mtaLike holds the signs of a mail server: see onename.go, retries.go and serves.go, and
// welcome.go for the sign that the test of refusals holds.
type mtaLike struct {
	Name         uint32          `json:"Name"`     // the one HELO name
	Sessions     uint32          `json:"Sessions"` // in which it was given
	SeveralNames bool            `json:"Several"`  // or a name that no mail server gives
	Deferrals    uint32          `json:"Deferrals"`
	Retried      uint32          `json:"Retried"`
	Served       uint32          `json:"Served"`
	deferred     [16]sketch.Slot // servers that deferred: a queue has many when it is rejected
	deferrers    sketch.Filter   // of deferred
	firstDefer   uint32          // the oldest of deferred is no older
	clients      [2]sketch.Slot  // external hosts that brought mail
}

// Disown drops the signs of a mail server: the source may have said them to itself.
func (p *Profile) Disown() {
	p.mta, p.refusalTest, p.refusalTestUnlisted = mtaLike{}, refusalTest{}, refusalTest{}
	p.half = halfSessions{}
	p.changed = true
}

// merge adds the signs of o, which came later. Two different names are several names, whichever of
// them was given first.
func (s *mtaLike) merge(o *mtaLike) {
	if o.Sessions > 0 {
		if s.Sessions == 0 {
			s.Name = o.Name
		}
		s.SeveralNames = s.SeveralNames || o.SeveralNames || s.Name != o.Name
		s.Sessions += o.Sessions
	}
	mergeSlots(s.deferred[:], o.deferred[:], retryTo)
	s.indexDeferred()
	s.Deferrals += o.Deferrals
	s.Retried += o.Retried
	n := 0
	for _, x := range o.clients {
		if x.At != 0 {
			n, _ = sketch.AddRecent(s.clients[:], x.Hash, x.At, servedTime)
		}
	}
	s.Served = max(s.Served, o.Served, uint32(n))
}
