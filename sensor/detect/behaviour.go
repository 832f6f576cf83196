package detect

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"spamsensor/sensor/verdict"
)

// behaviour is how a source uses its connections. The verdict reads from it what the source is: a
// scanner, a probe, a verifier, or several machines; see verdict.go and mitigate.go.
type behaviour struct {
	internal, attempts uint32
	halfOpen           uint32  // accepted by a server, and never completed
	silentSessions     uint32  // sessions in which the client had nothing to deliver
	sessions           uint32  // that ended
	acceptedSessions   uint32  // sessions with an accepted recipient
	callouts           uint32  // of these, those in which the client began no message
	mailSessions       uint32  // sessions with a sender
	first              uint32  // the destination of the first attempt
	last               int64   // the latest attempt at it
	gaps               float64 // the number of intervals between these attempts
	mean, squares      float64 // the mean interval in seconds, and the sum of squares around it
	ttl                [4]ttlCount
	ttls               uint32 // SYNs whose TTL is none of these
	addr               uint32 // the destination of the latest attempt
	ports              uint8  // of it, by bit
	sweeps             uint32 // destinations with attempts at three mail ports in a row
}

// ttlCount is how many SYNs had a TTL.
type ttlCount struct {
	ttl uint8
	n   uint32
}

// probeTargets is how many servers a probe looks at, at most.
const probeTargets = 5

// minCallouts is how many recipients must be accepted in sessions without a message. A client that
// has mail to deliver delivers it once it may.
const minCallouts = 2

// washCallouts is the same for a source that cleans a list of addresses.
const washCallouts = 10

// attempted counts an attempt; few says that the source has a handful of destinations.
func (b *behaviour) attempted(o *Observation, few bool) {
	inc(&b.attempts)
	if !o.External {
		inc(&b.internal)
	}
	if o.Addr != b.addr {
		b.addr, b.ports = o.Addr, 0
	}
	if bit := uint8(1) << (o.Port % 7); b.ports&bit == 0 { // 25, 465, 587 and 2525 differ
		if b.ports |= bit; bits.OnesCount8(b.ports) == 3 {
			inc(&b.sweeps)
		}
	}
	if b.attempts == 1 {
		b.first = o.Addr
	}
	few = few && b.first == o.Addr
	if few && b.last != 0 && o.Time >= b.last { // Welford's method for the variance
		gap := float64(o.Time-b.last) / float64(second)
		b.gaps++
		d := gap - b.mean
		b.mean += d / b.gaps
		b.squares += d * (gap - b.mean)
	}
	if few {
		b.last = max(b.last, o.Time)
	}
	b.countTTL(o.TTL)
}

// countTTL counts the TTL of a SYN; zero is none.
func (b *behaviour) countTTL(ttl uint8) {
	if ttl == 0 {
		return
	}
	for i := range b.ttl {
		if t := &b.ttl[i]; t.ttl == ttl || t.n == 0 {
			t.ttl = ttl
			t.n++
			return
		}
	}
	inc(&b.ttls)
}

// recordEnd counts a session that ended.
func (p *Profile) recordEnd(o *Observation) {
	b := &p.behaviour
	inc(&b.sessions)
	if o.Silent {
		inc(&b.silentSessions)
	}
	if o.Mail {
		inc(&b.mailSessions)
	}
	if o.Accepted {
		inc(&b.acceptedSessions)
	}
	if o.Callout {
		inc(&b.callouts)
		p.changed = p.changed || b.callouts == minCallouts
	}
}

// isVerifier reports whether the source asks servers whether addresses exist, and delivers nothing:
// a mail server that verifies senders (callout verification), or a program that cleans a list. Many
// refused recipients are the answer that it wants.
func (b *behaviour) isVerifier() bool {
	return b.callouts >= minCallouts && b.callouts*5 >= b.acceptedSessions*4
}

// SetHopLimit records the hop limit of a packet of a source whose SYNs have shown none.
func (p *Profile) SetHopLimit(ttl uint8) {
	if t := &p.behaviour.ttl[0]; t.n == 0 {
		t.ttl, t.n = ttl, 1
	}
}

// HalfOpenCount is how many connections the source gave up after the answer of the server.
func (p *Profile) HalfOpenCount() uint32 { return p.behaviour.halfOpen }

// HopLimits is a text with the hop limits of the SYNs, the most frequent first. Each kind of
// machine behind a gateway has its own.
func (p *Profile) HopLimits() string {
	ways := p.behaviour.ttl
	slices.SortStableFunc(ways[:], func(a, b ttlCount) int { return cmp.Compare(b.n, a.n) })
	var list []string
	for _, w := range ways {
		if w.n > 0 {
			list = append(list, fmt.Sprintf("%d in %s", w.ttl, verdict.Plural(w.n, "attempt")))
		}
	}
	return strings.Join(list, ", ")
}

// OnLink reports whether the frames come from the source itself and not from a router: all its SYNs
// have one hop limit, and systems begin with it.
func (p *Profile) OnLink() bool {
	first, other := &p.behaviour.ttl[0], &p.behaviour.ttl[1]
	return InitialTTL(first.ttl) && other.n == 0
}

// InitialTTL reports whether systems begin with this hop limit: no router has forwarded the packet.
func InitialTTL(ttl uint8) bool { return ttl == 64 || ttl == 128 || ttl == 255 }

// merge adds the behaviour of o, which came later. The intervals between attempts are not merged: b
// keeps its own.
func (b *behaviour) merge(o *behaviour) {
	for _, n := range [][2]*uint32{
		{&b.internal, &o.internal}, {&b.attempts, &o.attempts}, {&b.halfOpen, &o.halfOpen},
		{&b.silentSessions, &o.silentSessions}, {&b.sessions, &o.sessions},
		{&b.acceptedSessions, &o.acceptedSessions}, {&b.callouts, &o.callouts},
		{&b.mailSessions, &o.mailSessions}, {&b.ttls, &o.ttls}, {&b.sweeps, &o.sweeps},
	} {
		*n[0] += *n[1]
	}
	for _, x := range o.ttl {
		for i := range b.ttl {
			if t := &b.ttl[i]; x.n > 0 && (t.ttl == x.ttl || t.n == 0) {
				t.ttl = x.ttl
				t.n += x.n
				break
			}
		}
	}
}
