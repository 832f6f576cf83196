package detect

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// behaviour is how a source uses its connections. The verdict reads from it what the source is: a
// scanner, a probe, a verifier, or several machines; see verdict.go and mitigate.go.
type behaviour struct {
	Internal         uint32      `json:"Internal"` // attempts at internal servers
	Attempts         uint32      `json:"Attempts"`
	HalfOpen         uint32      `json:"HalfOpen"` // accepted by a server, and never completed
	SilentSessions   uint32      `json:"Mute"`     // the client had nothing to deliver
	Sessions         uint32      `json:"Sessions"` // that ended
	AcceptedSessions uint32      `json:"Welcomed"` // with an accepted recipient
	Callouts         uint32      `json:"Checks"`   // of these, without a message
	MailSessions     uint32      `json:"Mails"`    // with a sender
	First            uint32      `json:"First"`    // the destination of the first attempt
	Last             int64       `json:"Last"`     // the latest attempt at it
	Gaps             float64     `json:"Gaps"`     // the number of intervals between these attempts
	Mean             float64     `json:"Mean"`     // of the intervals, in seconds
	Squares          float64     `json:"Squares"`  // the sum of squares around the mean
	TTL              [4]ttlCount `json:"TTL"`
	TTLs             uint32      `json:"TTLs"`  // SYNs whose TTL is none of these
	Addr             uint32      `json:"Addr"`  // the destination of the latest attempt
	Ports            uint8       `json:"Ports"` // of it, by bit
	Sweeps           uint32      `json:"Swept"` // destinations with attempts at three mail ports
}

// ttlCount is a TTL, and how many SYNs had it.
type ttlCount [2]uint32

// probeTargets is how many servers a probe looks at, at most.
const probeTargets = 5

// minCallouts is how many recipients must be accepted in sessions without a message. A client that
// has mail to deliver delivers it once it may.
const minCallouts = 2

// washCallouts is the same for a source that cleans a list of addresses.
const washCallouts = 10

// attempted counts an attempt; few says that the source has a handful of destinations.
func (b *behaviour) attempted(o *Observation, few bool) {
	sketch.Increment(&b.Attempts)
	if !o.External {
		sketch.Increment(&b.Internal)
	}
	if o.Addr != b.Addr {
		b.Addr, b.Ports = o.Addr, 0
	}
	if bit := uint8(1) << (o.Port % 7); b.Ports&bit == 0 { // 25, 465, 587 and 2525 differ
		if b.Ports |= bit; bits.OnesCount8(b.Ports) == 3 {
			sketch.Increment(&b.Sweeps)
		}
	}
	if b.Attempts == 1 {
		b.First = o.Addr
	}
	few = few && b.First == o.Addr
	if few && b.Last != 0 && o.Time >= b.Last { // Welford's method for the variance
		gap := float64(o.Time-b.Last) / float64(second)
		b.Gaps++
		d := gap - b.Mean
		b.Mean += d / b.Gaps
		b.Squares += d * (gap - b.Mean)
	}
	if few {
		b.Last = max(b.Last, o.Time)
	}
	b.countTTL(o.TTL)
}

// countTTL counts the TTL of a SYN; zero is none.
func (b *behaviour) countTTL(ttl uint8) {
	if ttl == 0 {
		return
	}
	for i := range b.TTL {
		if t := &b.TTL[i]; t[0] == uint32(ttl) || t[1] == 0 {
			t[0] = uint32(ttl)
			t[1]++
			return
		}
	}
	sketch.Increment(&b.TTLs)
}

// recordEnd counts a session that ended.
func (p *Profile) recordEnd(o *Observation) {
	b := &p.behaviour
	sketch.Increment(&b.Sessions)
	if o.Silent {
		sketch.Increment(&b.SilentSessions)
	}
	if o.Mail {
		sketch.Increment(&b.MailSessions)
	}
	if o.Accepted {
		sketch.Increment(&b.AcceptedSessions)
	}
	if o.Callout {
		sketch.Increment(&b.Callouts)
		p.changed = p.changed || b.Callouts == minCallouts
	}
}

// isVerifier reports whether the source asks servers whether addresses exist, and delivers nothing:
// a mail server that verifies senders (callout verification), or a program that cleans a list. Many
// refused recipients are the answer that it wants.
func (b *behaviour) isVerifier() bool {
	return b.Callouts >= minCallouts && b.Callouts*5 >= b.AcceptedSessions*4
}

// SetHopLimit records the hop limit of a packet of a source whose SYNs have shown none.
func (p *Profile) SetHopLimit(ttl uint8) {
	if t := &p.behaviour.TTL[0]; t[1] == 0 {
		*t = ttlCount{uint32(ttl), 1}
	}
}

// HalfOpenCount is how many connections the source gave up after the answer of the server.
func (p *Profile) HalfOpenCount() uint32 { return p.behaviour.HalfOpen }

// HopLimits is a text with the hop limits of the SYNs, the most frequent first. Each kind of
// machine behind a gateway has its own.
func (p *Profile) HopLimits() string {
	ways := p.behaviour.TTL
	slices.SortStableFunc(ways[:], func(a, b ttlCount) int { return cmp.Compare(b[1], a[1]) })
	var list []string
	for _, w := range ways {
		if w[1] > 0 {
			list = append(list, fmt.Sprintf("%d in %s", w[0], verdict.Plural(w[1], "attempt")))
		}
	}
	return strings.Join(list, ", ")
}

// OnLink reports whether the frames come from the source itself and not from a router: all its SYNs
// have one hop limit, and systems begin with it.
func (p *Profile) OnLink() bool {
	first, other := &p.behaviour.TTL[0], &p.behaviour.TTL[1]
	return InitialTTL(uint8(first[0])) && other[1] == 0
}

// InitialTTL reports whether systems begin with this hop limit: no router has forwarded the packet.
func InitialTTL(ttl uint8) bool { return ttl == 64 || ttl == 128 || ttl == 255 }

// merge adds the behaviour of o, which came later. The intervals between attempts are not merged: b
// keeps its own.
func (b *behaviour) merge(o *behaviour) {
	for _, n := range [][2]*uint32{
		{&b.Internal, &o.Internal}, {&b.Attempts, &o.Attempts}, {&b.HalfOpen, &o.HalfOpen},
		{&b.SilentSessions, &o.SilentSessions}, {&b.Sessions, &o.Sessions},
		{&b.AcceptedSessions, &o.AcceptedSessions}, {&b.Callouts, &o.Callouts},
		{&b.MailSessions, &o.MailSessions}, {&b.TTLs, &o.TTLs}, {&b.Sweeps, &o.Sweeps},
	} {
		*n[0] += *n[1]
	}
	for _, x := range o.TTL {
		for i := range b.TTL {
			if t := &b.TTL[i]; x[1] > 0 && (t[0] == x[0] || t[1] == 0) {
				t[0] = x[0]
				t[1] += x[1]
				break
			}
		}
	}
}
