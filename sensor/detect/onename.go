package detect

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff/heloname"
)

// manySessions is how many sessions with one full name are a sign of a mail server. A bot with a
// fixed name gives it so often too, so the sign is one of four.
const manySessions = 20

// observeOneName compares the HELO names that count. A mail server gives its one full name in every
// session. Servers of small offices call themselves srv.firm.local, so such a name is full too.
func observeOneName(p *Profile, o *Observation) {
	if !o.direct() || o.Own {
		return
	}
	s := &p.mta
	// The first name decides whether there can be one; any other name ends that for good.
	switch {
	case s.Sessions == 0:
		class := heloname.Classify(string(o.Text))
		s.Name, s.SeveralNames = o.Hash, class != heloname.Full && class != heloname.Home
	case s.Name != o.Hash:
		s.SeveralNames = true
	}
	sketch.Increment(&s.Sessions)
}

// holdsOneName is for manySessions sessions with one full name.
func holdsOneName(p *Profile) (holds bool, value, threshold float64) {
	s := &p.mta
	return !s.SeveralNames && s.Sessions >= manySessions, float64(s.Sessions), manySessions
}

// textOneName has the name.
func textOneName(p *Profile, _ *Counters, _ *verdict.Reason) string {
	return fmt.Sprintf("In its favour: it always introduced itself with the same full name "+
		"(%s), as a mail server does.", p.heloNames.name[0])
}
