// Package behaviour counts how a source uses its connections, from which a verdict reads what the
// source is: a scanner, a probe, a verifier of addresses, or several machines behind one address.
//
// It gives no verdict: package detect does. Addresses are keyed hashes. Time is the time of the
// packets, in nanoseconds since 1970.
package behaviour

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

const second = int64(1e9)

// Behaviour is what is known of a source. The zero value knows nothing. The tags are the format of
// a checkpoint.
type Behaviour struct {
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
	TTL              [4]TTLCount `json:"TTL"`
	TTLs             uint32      `json:"TTLs"`  // SYNs whose TTL is none of these
	Addr             uint32      `json:"Addr"`  // the destination of the latest attempt
	Ports            uint8       `json:"Ports"` // of it, by bit
	Sweeps           uint32      `json:"Swept"` // destinations with attempts at three mail ports
}

// TTLCount is a TTL, and how many SYNs had it.
type TTLCount [2]uint32

// Attempt is a first SYN.
type Attempt struct {
	Time     int64
	Addr     uint32 // hash of the server's address
	Port     uint16
	TTL      uint8 // as captured; zero if it is not known
	External bool  // the server is none of ours
}

// SessionEnd is what a client did in a session that ended.
type SessionEnd struct {
	Silent   bool // it had nothing to deliver
	Mail     bool // it named a sender
	Accepted bool // the server accepted a recipient
	Callout  bool // after that the client began no message
}

// minCallouts is how many recipients must be accepted in sessions without a message. A client that
// has mail to deliver delivers it once it may.
const minCallouts = 2

// Attempted counts an attempt; few says that the source has a handful of destinations.
func (b *Behaviour) Attempted(a Attempt, few bool) {
	sketch.Increment(&b.Attempts)
	if !a.External {
		sketch.Increment(&b.Internal)
	}
	if a.Addr != b.Addr {
		b.Addr, b.Ports = a.Addr, 0
	}
	if bit := uint8(1) << (a.Port % 7); b.Ports&bit == 0 { // 25, 465, 587 and 2525 differ
		if b.Ports |= bit; bits.OnesCount8(b.Ports) == 3 {
			sketch.Increment(&b.Sweeps)
		}
	}
	if b.Attempts == 1 {
		b.First = a.Addr
	}
	few = few && b.First == a.Addr
	if few && b.Last != 0 && a.Time >= b.Last { // Welford's method for the variance
		gap := float64(a.Time-b.Last) / float64(second)
		b.Gaps++
		d := gap - b.Mean
		b.Mean += d / b.Gaps
		b.Squares += d * (gap - b.Mean)
	}
	if few {
		b.Last = max(b.Last, a.Time)
	}
	b.countTTL(a.TTL)
}

// countTTL counts the TTL of a SYN; zero is none.
func (b *Behaviour) countTTL(ttl uint8) {
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

// Ended counts a session that ended. news reports whether IsVerifier can have changed by it.
func (b *Behaviour) Ended(e SessionEnd) (news bool) {
	sketch.Increment(&b.Sessions)
	if e.Silent {
		sketch.Increment(&b.SilentSessions)
	}
	if e.Mail {
		sketch.Increment(&b.MailSessions)
	}
	if e.Accepted {
		sketch.Increment(&b.AcceptedSessions)
	}
	if e.Callout {
		sketch.Increment(&b.Callouts)
		return b.Callouts == minCallouts
	}
	return false
}

// IsVerifier reports whether the source asks servers whether addresses exist, and delivers nothing:
// a mail server that verifies senders (callout verification), or a program that cleans a list. Many
// refused recipients are the answer that it wants.
func (b *Behaviour) IsVerifier() bool {
	return b.Callouts >= minCallouts && b.Callouts*5 >= b.AcceptedSessions*4
}

// IsRegular reports whether the source connects to the server of its first attempt at regular
// intervals, as a monitoring system does.
func (b *Behaviour) IsRegular() bool {
	return b.Gaps >= 10 && b.Mean > 0 && math.Sqrt(b.Squares/b.Gaps) < 0.1*b.Mean
}

// SeveralMachines reports whether more than one machine uses the address: its SYNs have come with
// several hop limits. A scanner that draws the TTL of each SYN at random, as nmap does, has a
// dozen.
func (b *Behaviour) SeveralMachines() bool {
	all, first, second := b.TTLs, uint32(0), uint32(0)
	for _, t := range b.TTL {
		n := t[1]
		all += n
		first, second = max(first, n), max(second, min(first, n))
	}
	return second >= 3 && second*10 >= all && b.TTLs <= first+second
}

// HopLimits is a text with the hop limits of the SYNs, the most frequent first. Each kind of
// machine behind a gateway has its own.
func (b *Behaviour) HopLimits() string {
	ways := b.TTL
	slices.SortStableFunc(ways[:], func(a, b TTLCount) int { return cmp.Compare(b[1], a[1]) })
	var list []string
	for _, w := range ways {
		if w[1] > 0 {
			list = append(list, fmt.Sprintf("%d in %s", w[0], verdict.Plural(w[1], "attempt")))
		}
	}
	return strings.Join(list, ", ")
}

// Merge adds the behaviour of o, which came later. The intervals between attempts are not merged: b
// keeps its own.
func (b *Behaviour) Merge(o *Behaviour) {
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
