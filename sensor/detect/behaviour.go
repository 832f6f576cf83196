package detect

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"

	"spamsensor/sensor/verdict"
)

// behaviour is how a host uses its connections, to tell what it is.
type behaviour struct {
	internal, attempts uint32
	halfOpen           uint32 // answered, and never completed
	silentSessions     uint32 // sessions in which the client had nothing to deliver
	sessions           uint32
	acceptedSessions   uint32  // sessions with an accepted recipient
	callouts           uint32  // of these, those in which no message was begun
	mailSessions       uint32  // sessions with a sender
	first              uint32  // the destination that was tried first
	last               int64   // attempt at it
	gaps               float64 // number of intervals between these, their mean, and the sum of squares around it
	mean, squares      float64
	ttl                [4]ttlCount
	ttls               uint32 // SYNs whose TTL is none of these
	addr               uint32 // tried last
	ports              uint8  // of it, by bit
	sweeps             uint32 // destinations that were tried on three mail ports in a row
}

// ttlCount is how many SYNs had a TTL.
type ttlCount struct {
	ttl uint8
	n   uint32
}

// attempted takes in an attempt; few says that the host has a handful of destinations.
func (m *behaviour) attempted(a *Attempt, few bool) {
	inc(&m.attempts)
	if !a.External {
		inc(&m.internal)
	}
	if a.Addr != m.addr {
		m.addr, m.ports = a.Addr, 0
	}
	if bit := uint8(1) << (a.Port % 7); m.ports&bit == 0 { // 25, 465, 587 and 2525 are told apart
		if m.ports |= bit; bits.OnesCount8(m.ports) == 3 {
			inc(&m.sweeps)
		}
	}
	if m.attempts == 1 {
		m.first = a.Addr
	}
	few = few && m.first == a.Addr
	if few && m.last != 0 && a.Time >= m.last { // Welford's way to the variance
		gap := float64(a.Time-m.last) / float64(second)
		m.gaps++
		d := gap - m.mean
		m.mean += d / m.gaps
		m.squares += d * (gap - m.mean)
	}
	if few {
		m.last = max(m.last, a.Time)
	}
	if a.TTL == 0 {
		return
	}
	for i := range m.ttl {
		if t := &m.ttl[i]; t.ttl == a.TTL || t.n == 0 {
			t.ttl = a.TTL
			t.n++
			return
		}
	}
	inc(&m.ttls)
}

// Came is the observation of a packet with this hop limit, where none of the SYNs has shown one.
func (h *Profile) Came(ttl uint8) {
	if t := &h.behaviour.ttl[0]; t.n == 0 {
		t.ttl, t.n = ttl, 1
	}
}

// SessionOver is the observation of a session's end: whether the client had nothing to deliver, named a sender, had a recipient
// accepted, and then began no message.
func (h *Profile) SessionOver(mute, mail, welcomed, check bool) {
	m := &h.behaviour
	inc(&m.sessions)
	if mute {
		inc(&m.silentSessions)
	}
	if mail {
		inc(&m.mailSessions)
	}
	if welcomed {
		inc(&m.acceptedSessions)
	}
	if check {
		inc(&m.callouts)
		h.changed = h.changed || m.callouts == minCallouts
	}
}

// HalfOpen is the observation of a connection that was answered and given up at once.
func (h *Profile) HalfOpen() { inc(&h.behaviour.halfOpen) }

// HalfOpenCount is how many connections were answered and not gone on with.
func (h *Profile) HalfOpenCount() uint32 { return h.behaviour.halfOpen }

// minCallouts is how many recipients must be accepted in vain: who has something to send does so where it may.
const minCallouts = 2

// isVerifier reports whether the host asks servers whether addresses exist, and delivers
// nothing: a mail server that verifies senders does that, and who cleans a list. That many recipients are refused is what it
// wants to know.
func (m *behaviour) isVerifier() bool {
	return m.callouts >= minCallouts && m.callouts*5 >= m.acceptedSessions*4
}

// isListWasher reports whether a host only asks for addresses of which a quarter does not exist, or is
// refused, although nobody brings it mail and it has none itself: who cleans a list for spam does
// so. A mail server that verifies senders takes their mail in.
func (h *Profile) isListWasher() bool {
	m, t := &h.behaviour, &h.refusalTest
	return m.isVerifier() && m.callouts >= washCallouts && !h.has(Serves) && t.accepted == 0 && t.refused*4 >= t.refused+int(m.callouts)
}

// washCallouts is how many recipients must have been accepted in vain for that.
const washCallouts = 10

// isScanner reports whether a host looks for mail servers: most of what it tries is in the house, or it
// says nothing where it is let in, or it tries one port of a server after the other, or whether servers let
// through what it never sends, in many names: a mail server that verifies senders does so in one name, or none.
func (h *Profile) isScanner() bool {
	m := &h.behaviour
	if h.isListWasher() {
		return false
	}
	if m.isVerifier() && (h.has(SenderDomains) || !h.oneName()) {
		return true
	}
	if h.addrs.Len() < 10 || m.mailSessions > 0 {
		return false
	}
	inside := m.internal*2 >= m.attempts
	silent := m.silentSessions+m.halfOpen >= 5 && (m.silentSessions+m.halfOpen)*5 >= (m.sessions+m.halfOpen)*4
	sweeps := m.sweeps >= 5 && int(m.sweeps)*2 >= h.addrs.Len()
	return inside || silent || sweeps
}

// probeTargets is how many servers a probe looks at.
const probeTargets = 5

// isProbe reports whether a host looks at the same few servers again and again, in step.
func (h *Profile) isProbe() bool {
	m := &h.behaviour
	return !h.disqualified() && m.mailSessions == 0 && h.addrs.Len() <= probeTargets && m.gaps >= 10 && m.mean > 0 && math.Sqrt(m.squares/m.gaps) < 0.1*m.mean
}

// BehindNAT reports whether more than one machine speaks through this address: its SYNs have
// come different ways. A scanner that draws the TTL of each SYN (nmap does) comes a dozen ways.
func (h *Profile) BehindNAT() bool {
	all, first, second := h.behaviour.ttls, uint32(0), uint32(0)
	for _, t := range h.behaviour.ttl {
		all += t.n
		first, second = max(first, t.n), max(second, min(first, t.n))
	}
	return second >= 3 && second*10 >= all && h.behaviour.ttls <= first+second
}

// HopLimits tells by which hop limits the SYNs came, the most frequent first, in words: each kind of machine behind a
// gateway has its own.
func (h *Profile) HopLimits() string {
	ways := h.behaviour.ttl
	slices.SortStableFunc(ways[:], func(a, b ttlCount) int { return cmp.Compare(b.n, a.n) })
	var list []string
	for _, w := range ways {
		if w.n > 0 {
			list = append(list, fmt.Sprintf("%d in %s", w.ttl, verdict.Plural(w.n, "attempt")))
		}
	}
	return strings.Join(list, ", ")
}

// OnLink reports whether the host's frames come from itself and not from a router: its SYNs have the hop
// limit that systems begin with (64, 128 or 255), and all the same.
func (h *Profile) OnLink() bool {
	first, other := &h.behaviour.ttl[0], &h.behaviour.ttl[1]
	return InitialTTL(first.ttl) && other.n == 0
}

// InitialTTL reports whether systems begin with this hop limit: no router has passed the packet on.
func InitialTTL(ttl uint8) bool { return ttl == 64 || ttl == 128 || ttl == 255 }

// Role is what the host seems to be.
func (h *Profile) Role() string {
	switch {
	case h.BehindNAT():
		return "nat"
	case h.isScanner():
		return "scanner"
	case h.isProbe():
		return "probe"
	case h.behaviour.isVerifier():
		return "verifier"
	}
	return "workstation"
}

// class is the class of a verdict.
func (h *Profile) class() verdict.Class {
	switch {
	case h.isScanner():
		return verdict.Scanner
	case h.actsAsMTA():
		return verdict.UndeclaredServer
	}
	return verdict.Spambot
}
