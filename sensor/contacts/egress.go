package contacts

// Egress is how a source's connections leave the network.
type Egress uint8

// The states of egress.
const (
	Unknown Egress = iota
	Open           // servers answer
	Drop           // no server ever answers
	Reset          // every attempt is answered with a RST
	ICMP           // a router reports the destination as prohibited, or unreachable
)

// String is the name used in events.
func (e Egress) String() string {
	return [...]string{"unknown", "open", "drop", "reset", "icmp"}[e]
}

// Blocked reports whether something stops the source's connections.
func (e Egress) Blocked() bool { return e >= Drop }

// Cause is what blocks egress, as the end of a sentence. It is empty if nothing does.
func (e Egress) Cause() string {
	return [...]string{
		Drop:  "a device on the way out drops them",
		Reset: "a device on the way out resets them",
		ICMP:  "a router on the way out refuses them",
	}[e]
}

// blockedAfter is how many attempts without a single answer mean that egress is blocked: if one
// server in four answered, the chance of no answer in 16 were 1 %.
const blockedAfter = 16

// Attempts are what Egress looks at beside the counts of ports.
type Attempts struct {
	Networks      int    // to which the source made attempts
	Answered      uint32 // attempts with a SYN-ACK, to any port
	Retransmitted uint32 // attempts whose SYN a TCP sent again, to any port
}

// Egress is the state of egress on the port with the most attempts.
func (p *Ports) Egress(a Attempts) Egress {
	at := p.Busiest()
	switch {
	// One answer on the port is enough: what fails then is not blocked as a whole.
	case at.Answered+at.Opened > 0:
		return Open
	case at.Attempts < blockedAfter || a.Networks < 4:
		return Unknown
	case at.Unreachable*2 > at.Attempts:
		return ICMP
	case at.Refused*2 > at.Attempts:
		return Reset
	case a.Answered == 0 && a.Retransmitted*2 < at.Attempts:
		// A TCP without an answer sends the SYN again. This one got answers that are not in
		// the capture, or it is no TCP.
		return Unknown
	}
	return Drop
}
