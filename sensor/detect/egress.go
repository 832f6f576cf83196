package detect

// Egress is how a source's connections leave the network.
type Egress uint8

// The states of egress.
const (
	unknownEgress Egress = iota
	openEgress           // servers answer
	dropEgress           // no server ever answers
	resetEgress          // every attempt is answered with a RST
	icmpEgress           // a router reports the destination as prohibited, or unreachable
)

// String is the name used in events.
func (e Egress) String() string {
	return [...]string{"unknown", "open", "drop", "reset", "icmp"}[e]
}

// Blocked reports whether something stops the source's connections.
func (e Egress) Blocked() bool { return e >= dropEgress }

// text is the end of a sentence about a source whose egress is blocked.
func (e Egress) text() string {
	return [...]string{
		dropEgress:  "a device on the way out drops them",
		resetEgress: "a device on the way out resets them",
		icmpEgress:  "a router on the way out refuses them",
	}[e]
}

// blockedAfter is how many attempts without a single answer mean that egress is blocked: if one
// server in four answered, the chance of no answer in 16 were 1 %.
const blockedAfter = 16

// Egress is the state of egress on the port with the most attempts.
func (p *Profile) Egress() Egress {
	at := &p.ports[p.busiest()]
	switch {
	// One answer on the port is enough: what fails then is not blocked as a whole.
	case at.Answered+at.Opened > 0:
		return openEgress
	case at.Attempts < blockedAfter || p.nets.Len() < 4:
		return unknownEgress
	case at.Unreachable*2 > at.Attempts:
		return icmpEgress
	case at.Refused*2 > at.Attempts:
		return resetEgress
	case p.answered == 0 && p.retransmitted*2 < at.Attempts:
		// A TCP without an answer sends the SYN again. This one got answers that are not in
		// the capture, or it is no TCP.
		return unknownEgress
	}
	return dropEgress
}

// portOutcome counts the attempts to a port by their outcome. Attempts without an outcome had no
// answer.
type portOutcome struct {
	Port        uint16 `json:"Port"`
	Attempts    uint32 `json:"Attempts"`
	Answered    uint32 `json:"Answered"`
	Opened      uint32 `json:"Opened"`
	Refused     uint32 `json:"Refused"`
	Unreachable uint32 `json:"Unreachable"`
}

// port is nil for the fifth port and later.
func (p *Profile) port(number uint16) *portOutcome {
	for i := range p.ports {
		if at := &p.ports[i]; at.Port == number || at.Port == 0 {
			at.Port = number
			return at
		}
	}
	return nil
}

// busiest is the port with the most attempts.
func (p *Profile) busiest() (best int) {
	for i := range p.ports {
		if p.ports[i].Attempts > p.ports[best].Attempts {
			best = i
		}
	}
	return best
}
