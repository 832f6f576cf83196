package contacts

import (
	"iter"
	"math"
	"math/bits"

	"spamsensor/sensor/sketch"
)

// Test is the sequential test of a source's first contacts. The zero value has seen none.
type Test struct {
	pending    [maxUnresolved]contact
	unresolved uint16        // of pending, by bit: waiting, or silent and perhaps answered late
	units      sketch.Filter // of these
	llr        float64
	failed     int
	worked     int
	accuse     float64 // the bound at which the test accuses, as of the latest result
}

// maxUnresolved is how many first contacts are followed at a time.
const maxUnresolved = 16

// contact is the first attempt at a unit: a provider, or a network whose provider is not known.
type contact struct {
	unit, at uint32
	state    contactState
}

type contactState uint8

const (
	resolved contactState = iota // and the place is free
	waiting
	silent
)

// The test's assumptions, from the paper: the share of first contacts that work.
const worksForHonest, worksForBot = 0.8, 0.2

// maxResults is how many results are looked at. A test that has not decided by then will not: the
// source is neither a bot nor an honest host, as the test assumes them.
const maxResults = 256

// step is what one result adds or takes away.
var step = math.Log(worksForHonest / worksForBot)

// failuresPerSuccess is how many first contacts of a bot fail for each that works, at least.
const failuresPerSuccess = 3

// partialShare is the part of the way to a decision at which a source is in doubt: five failures of
// seven. At four failures, setting up a mail account would be enough.
const partialShare = 0.75

// AnswerTime is how long an attempt may wait for an answer before it counts as silent.
const AnswerTime = 5 * second

// lateTime is how long an answer may still come. A SYN is sent again for two minutes, but no
// program waits for an answer after 20 s.
const lateTime = 20 * second

// Decision is the state of the test after a result.
type Decision uint8

// The decisions.
const (
	None      Decision = iota // there was no result: the event belongs to no contact that counts
	Undecided                 // the test goes on
	Partial                   // a failure, and most of the way to a decision
	Fails                     // the first contacts fail like those of a bot
)

// Begin records a first contact. If too many are unresolved this one is left out: a handful
// decides.
func (t *Test) Begin(unit uint32, now int64) {
	if t.failed+t.worked >= maxResults {
		return
	}
	if place := bits.TrailingZeros16(^t.unresolved); place < maxUnresolved {
		t.put(place, contact{unit: unit, at: sketch.Stamp(now), state: waiting})
	}
}

// put puts a contact in a free place.
func (t *Test) put(place int, w contact) {
	t.pending[place] = w
	t.unresolved |= 1 << place
	t.units.Add(w.unit)
}

// find is the place of the unresolved contact with a unit, -1 if there is none. The answer of a
// server and the handshake ask for it each time, long after the first contact.
func (t *Test) find(unit uint32) (place int) {
	if t.units.May(unit) {
		for rest := t.unresolved; rest != 0; rest &= rest - 1 {
			if place = bits.TrailingZeros16(rest); t.pending[place].unit == unit {
				return place
			}
		}
	}
	return -1
}

// resolve frees a place.
func (t *Test) resolve(place int) {
	t.pending[place].state = resolved
	if t.unresolved &^= 1 << place; t.unresolved == 0 {
		t.units = 0
	}
}

// Retransmitted counts a contact as failed whose SYN was sent again: the TCP has had no answer for
// a second, and there is no need to wait longer.
func (t *Test) Retransmitted(unit uint32, alpha float64) Decision {
	place := t.find(unit)
	if place < 0 || t.pending[place].state != waiting {
		return None
	}
	t.pending[place].state = silent
	return t.result(true, alpha)
}

// Drop leaves a contact out that waits for an answer: its source tries several ports of one server
// at once. A mail client does so that guesses the server of an account, and most of its guesses are
// wrong.
func (t *Test) Drop(unit uint32) {
	if place := t.find(unit); place >= 0 && t.pending[place].state == waiting {
		t.resolve(place)
	}
}

// Answered counts a contact as one that works, also if it had counted as failed.
func (t *Test) Answered(unit uint32, alpha float64) Decision {
	place := t.find(unit)
	if place < 0 {
		return None
	}
	if t.pending[place].state == silent {
		t.llr -= step
		t.failed--
	}
	t.resolve(place)
	return t.result(false, alpha)
}

// Refused counts a contact as failed that got an error, unless it has counted already.
func (t *Test) Refused(unit uint32, alpha float64) (d Decision) {
	place := t.find(unit)
	if place < 0 {
		return None
	}
	if w := &t.pending[place]; w.state == waiting {
		w.state = silent // another server of the provider may still answer
		d = t.result(true, alpha)
	}
	return d
}

// HasPending reports whether Expire has something to do.
func (t *Test) HasPending() bool { return t.unresolved != 0 }

// Expire resolves first contacts that got no answer in time, and yields the decision after each
// that is a result. answersSeen reports whether the capture has shown a SYN-ACK to the source.
// Without any, a contact whose SYN was not sent again counts as one that works.
func (t *Test) Expire(alpha float64, answersSeen bool, now int64) iter.Seq[Decision] {
	return func(yield func(Decision) bool) {
		for rest := t.unresolved; rest != 0; rest &= rest - 1 {
			place := bits.TrailingZeros16(rest)
			w := &t.pending[place]
			switch age := now - int64(w.at)*second; {
			case w.state == waiting && age >= AnswerTime:
				t.resolve(place)
				if !answersSeen && !yield(t.result(false, alpha)) {
					return
				}
			case w.state == silent && age >= lateTime:
				t.resolve(place)
			}
		}
	}
}

// result moves the test on by one result.
func (t *Test) result(failed bool, alpha float64) Decision {
	by := -step
	if failed {
		by = step
		t.failed++
	} else {
		t.worked++
	}
	upper, lower := Bounds(alpha)
	t.accuse = upper
	t.llr = max(lower, t.llr+by)
	switch {
	case t.mostlyWorks():
		return Undecided
	case t.llr >= upper:
		return Fails
	case t.llr >= upper*partialShare && failed:
		return Partial
	}
	return Undecided
}

// Threshold is how many failures in a row lead to a decision, as of the latest result.
func (t *Test) Threshold(d Decision) float64 {
	if d == Partial {
		return math.Ceil(t.accuse * partialShare / step)
	}
	return math.Ceil(t.accuse / step)
}

// mostlyWorks reports whether too many contacts work for a bot. A walk without end crosses any
// bound: a server that empties its queue after an outage meets as many servers that are gone as
// others.
func (t *Test) mostlyWorks() bool { return t.failed < failuresPerSuccess*t.worked }

// Recovered reports whether a test that decided has turned back since.
func (t *Test) Recovered() bool { return t.llr < t.accuse/2 || t.mostlyWorks() }

// Failed is how many first contacts failed.
func (t *Test) Failed() int { return t.failed }

// Worked is how many first contacts were answered.
func (t *Test) Worked() int { return t.worked }

// Merge adds the contacts of o, which came later. Contacts that find no place are left out.
func (t *Test) Merge(o *Test, alpha float64) {
	_, lower := Bounds(alpha)
	t.llr = max(lower, t.llr+o.llr)
	t.failed += o.failed
	t.worked += o.worked
	for _, w := range o.pending {
		place := bits.TrailingZeros16(^t.unresolved)
		if w.state != resolved && place < maxUnresolved {
			t.put(place, w)
		}
	}
}
