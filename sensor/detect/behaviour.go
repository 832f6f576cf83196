package detect

import (
	"spamsensor/sensor/behaviour"
)

// probeTargets is how many servers a probe looks at, at most.
const probeTargets = 5

// washCallouts is how many recipients a source that cleans a list has had accepted, in sessions
// without a message.
const washCallouts = 10

// recordEnd counts a session that ended.
func (p *Profile) recordEnd(o *Observation) {
	news := p.behaviour.Ended(behaviour.SessionEnd{Silent: o.Silent, Mail: o.Mail,
		Accepted: o.Accepted, Callout: o.Callout})
	p.changed = p.changed || news
}

// SetHopLimit records the hop limit of a packet of a source whose SYNs have shown none.
func (p *Profile) SetHopLimit(ttl uint8) {
	if t := &p.behaviour.TTL[0]; t[1] == 0 {
		*t = behaviour.TTLCount{uint32(ttl), 1}
	}
}

// HalfOpenCount is how many connections the source gave up after the answer of the server.
func (p *Profile) HalfOpenCount() uint32 { return p.behaviour.HalfOpen }

// HopLimits is a text with the hop limits of the SYNs, the most frequent first.
func (p *Profile) HopLimits() string { return p.behaviour.HopLimits() }

// BehindNAT reports whether more than one machine uses the address: it is declared, or its SYNs
// have come with several hop limits.
func (p *Profile) BehindNAT() bool { return p.role == NAT || p.behaviour.SeveralMachines() }

// OnLink reports whether the frames come from the source itself and not from a router: all its SYNs
// have one hop limit, and systems begin with it.
func (p *Profile) OnLink() bool {
	first, other := &p.behaviour.TTL[0], &p.behaviour.TTL[1]
	return InitialTTL(uint8(first[0])) && other[1] == 0
}

// InitialTTL reports whether systems begin with this hop limit: no router has forwarded the packet.
func InitialTTL(ttl uint8) bool { return ttl == 64 || ttl == 128 || ttl == 255 }
