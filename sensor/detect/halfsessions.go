package detect

import "spamsensor/sensor/sketch"

// halfSessions counts the mails of sessions of which the capture shows the client alone. A client
// that waits for replies, sends DATA and then the message shows that the server wanted it; one that
// names a sender and goes away without a message shows that the server did not, or that it only
// asked. So such mails can speak for the source. They never speak against it, and they count only
// while the capture has shown one side alone: beside a whole mirror anybody can play half a
// session.
type halfSessions struct {
	Total, Accepted uint32
}

// observe counts a mail.
func (h *halfSessions) observe(refused bool) {
	sketch.Increment(&h.Total)
	if !refused {
		sketch.Increment(&h.Accepted)
	}
}

// acceptance is how many mails servers accepted, of those that they accepted or refused.
func (p *Profile) acceptance() (accepted, total uint32) {
	t := p.refusalTestInForce()
	if !p.oneSideSoFar {
		return t.Accepted, t.Total
	}
	return t.Accepted + p.half.Accepted, t.Total + p.half.Total
}
