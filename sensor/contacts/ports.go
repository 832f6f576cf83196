package contacts

// Ports counts the attempts of a source to the first four ports that it used. The zero value is
// empty.
type Ports [4]Port

// Port counts the attempts to a port by their outcome. Attempts without an outcome had no answer.
type Port struct {
	Port        uint16 `json:"Port"` // zero if the place is free
	Attempts    uint32 `json:"Attempts"`
	Answered    uint32 `json:"Answered"` // by a SYN-ACK
	Opened      uint32 `json:"Opened"`   // the handshake was completed
	Refused     uint32 `json:"Refused"`
	Unreachable uint32 `json:"Unreachable"`
}

// Of is the counts of a port, nil for the fifth port and later.
func (p *Ports) Of(number uint16) *Port {
	for i := range p {
		if at := &p[i]; at.Port == number || at.Port == 0 {
			at.Port = number
			return at
		}
	}
	return nil
}

// Busiest is the port with the most attempts.
func (p *Ports) Busiest() *Port {
	best := &p[0]
	for i := range p {
		if p[i].Attempts > best.Attempts {
			best = &p[i]
		}
	}
	return best
}

// Merge adds the counts of o. A fifth port finds no place.
func (p *Ports) Merge(o *Ports) {
	for _, x := range o {
		if at := p.Of(x.Port); x.Port != 0 && at != nil {
			at.Attempts += x.Attempts
			at.Answered += x.Answered
			at.Opened += x.Opened
			at.Refused += x.Refused
			at.Unreachable += x.Unreachable
		}
	}
}
