package detect

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// manner is how a host uses its connections, to tell what it is.
type manner struct {
	internal, attempts uint32
	halfOpen           uint32 // answered, and never completed
	mute               uint32 // sessions in which the client had nothing to deliver
	sessions           uint32
	welcomed           uint32  // sessions with an accepted recipient
	checks             uint32  // of these, those in which no message was begun
	mails              uint32  // sessions with a sender
	first              uint32  // the destination that was tried first
	last               int64   // attempt at it
	gaps               float64 // number of intervals between these, their mean, and the sum of squares around it
	mean, squares      float64
	ttl                [4]ttlCount
	ttls               uint32 // SYNs whose TTL is none of these
	addr               uint32 // tried last
	ports              uint8  // of it, by bit
	swept              uint32 // destinations that were tried on three mail ports in a row
}

// ttlCount is how many SYNs had a TTL.
type ttlCount struct {
	ttl uint8
	n   uint32
}

// attempted takes in an attempt; few says that the host has a handful of destinations.
func (m *manner) attempted(a *Attempt, few bool) {
	inc(&m.attempts)
	if !a.External {
		inc(&m.internal)
	}
	if a.Addr != m.addr {
		m.addr, m.ports = a.Addr, 0
	}
	if bit := uint8(1) << (a.Port % 7); m.ports&bit == 0 { // 25, 465, 587 and 2525 are told apart
		if m.ports |= bit; bits.OnesCount8(m.ports) == 3 {
			inc(&m.swept)
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
func (h *Host) Came(ttl uint8) {
	if t := &h.manner.ttl[0]; t.n == 0 {
		t.ttl, t.n = ttl, 1
	}
}

// SessionOver is the observation of a session's end: whether the client had nothing to deliver, named a sender, had a recipient
// accepted, and then began no message.
func (h *Host) SessionOver(mute, mail, welcomed, check bool) {
	m := &h.manner
	inc(&m.sessions)
	if mute {
		inc(&m.mute)
	}
	if mail {
		inc(&m.mails)
	}
	if welcomed {
		inc(&m.welcomed)
	}
	if check {
		inc(&m.checks)
		h.changed = h.changed || m.checks == fewChecks
	}
}

// HalfOpen is the observation of a connection that was answered and given up at once.
func (h *Host) HalfOpen() { inc(&h.manner.halfOpen) }

// GivenUp is how many connections were answered and not gone on with.
func (h *Host) GivenUp() uint32 { return h.manner.halfOpen }

// fewChecks is how many recipients must be accepted in vain: who has something to send does so where it may.
const fewChecks = 2

// verifies reports whether the host asks servers whether addresses exist, and delivers
// nothing: a mail server that verifies senders does that, and who cleans a list. That many recipients are refused is what it
// wants to know.
func (m *manner) verifies() bool { return m.checks >= fewChecks && m.checks*5 >= m.welcomed*4 }

// washes reports whether a host only asks for addresses of which a quarter does not exist, or is
// refused, although nobody brings it mail and it has none itself: who cleans a list for spam does
// so. A mail server that verifies senders takes their mail in.
func (h *Host) washes() bool {
	m, t := &h.manner, &h.refusal
	return m.verifies() && m.checks >= manyChecks && !h.has(Serves) && t.taken == 0 && t.refused*4 >= t.refused+int(m.checks)
}

// manyChecks is how many recipients must have been accepted in vain for that.
const manyChecks = 10

// scans reports whether a host looks for mail servers: most of what it tries is in the house, or it
// says nothing where it is let in, or it tries one port of a server after the other, or whether servers let
// through what it never sends, in many names: a mail server that verifies senders does so in one name, or none.
func (h *Host) scans() bool {
	m := &h.manner
	if h.washes() {
		return false
	}
	if m.verifies() && (h.has(SenderDomains) || !h.oneName()) {
		return true
	}
	if h.addrs.len() < 10 || m.mails > 0 {
		return false
	}
	inside := m.internal*2 >= m.attempts
	silent := m.mute+m.halfOpen >= 5 && (m.mute+m.halfOpen)*5 >= (m.sessions+m.halfOpen)*4
	sweeps := m.swept >= 5 && int(m.swept)*2 >= h.addrs.len()
	return inside || silent || sweeps
}

// probed is how many servers a probe looks at.
const probed = 5

// probes reports whether a host looks at the same few servers again and again, in step.
func (h *Host) probes() bool {
	m := &h.manner
	return !h.hostile() && m.mails == 0 && h.addrs.len() <= probed && m.gaps >= 10 && m.mean > 0 && math.Sqrt(m.squares/m.gaps) < 0.1*m.mean
}

// Several reports whether more than one machine speaks through this address: its SYNs have
// come different ways. A scanner that draws the TTL of each SYN (nmap does) comes a dozen ways.
func (h *Host) Several() bool {
	all, first, second := h.manner.ttls, uint32(0), uint32(0)
	for _, t := range h.manner.ttl {
		all += t.n
		first, second = max(first, t.n), max(second, min(first, t.n))
	}
	return second >= 3 && second*10 >= all && h.manner.ttls <= first+second
}

// Ways tells by which hop limits the SYNs came, the most frequent first, in words: each kind of machine behind a
// gateway has its own.
func (h *Host) Ways() string {
	ways := h.manner.ttl
	slices.SortStableFunc(ways[:], func(a, b ttlCount) int { return cmp.Compare(b.n, a.n) })
	var list []string
	for _, w := range ways {
		if w.n > 0 {
			list = append(list, fmt.Sprintf("%d in %s", w.ttl, Plural(w.n, "attempt")))
		}
	}
	return strings.Join(list, ", ")
}

// Near reports whether the host's frames come from itself and not from a router: its SYNs have the hop
// limit that systems begin with (64, 128 or 255), and all the same.
func (h *Host) Near() bool {
	first, other := &h.manner.ttl[0], &h.manner.ttl[1]
	return FirstTTL(first.ttl) && other.n == 0
}

// FirstTTL reports whether systems begin with this hop limit: no router has passed the packet on.
func FirstTTL(ttl uint8) bool { return ttl == 64 || ttl == 128 || ttl == 255 }

// Role is what the host seems to be.
func (h *Host) Role() string {
	switch {
	case h.Several():
		return "nat"
	case h.scans():
		return "scanner"
	case h.probes():
		return "probe"
	case h.manner.verifies():
		return "verifier"
	}
	return "workstation"
}

// class is the class of a verdict.
func (h *Host) class() Class {
	switch {
	case h.scans():
		return Scanner
	case h.actsAsServer():
		return UndeclaredServer
	}
	return Spambot
}
