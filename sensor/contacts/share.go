package contacts

import (
	"math"
	"math/bits"
	"slices"

	"spamsensor/sensor/sketch"
)

// Share is a second sequential test, of how many first contacts with providers fail. Of a mail
// server's about 3 in 100 do; of a bot's that delivers to a list of addresses 20 to 40, because
// domains on the list are dead. [Test] does not see it: most contacts work. The zero value has seen
// none.
//
// A contact fails if no server of the provider answers within AnswerLimit. Such a failure counts if
// the uplink was up, which shows in another contact that works at that time; of a row of failures
// without that two count. A mail server tries again what failed, a bot does not: a failure is taken
// back with the second attempt, and a source that tries a quarter of them again is none. In the
// first hours a mail server's queue shows as failures that it will try again, each after up to six
// hours (Exim; Postfix has 67 minutes). So there are two ways to a decision:
//
//	fast   25 failures, of rows of eight contacts of which half work: in a queue there are
//	       thrice as many dead servers as others, and when it is flushed they come at once
//	slow   10 failures of which each was not tried again within seven hours
type Share struct {
	// Both grow as far as they are needed. A contact takes the first free place of pending.
	pending []firstContact
	failed  []failure
	waiting uint32        // the places of pending that are taken, by bit
	live    uint32        // of these, that another contact worked at the time
	units   sketch.Filter // of these
	due     uint32        // no contact and no failure ends before
	next    uint8         // place of the next failure, modulo maxFailed
	row     uint8         // failures since the latest success, without one near them
	worked  uint32        // contacts that an answer resolved
	given   uint32        // failures that were not tried again in time
	mixed   uint32        // failures in rows in which most contacts worked
	again   uint32        // failures that were tried again
	results uint8         // of the current row of contacts, of which lost failed
	lost    uint8
	at      uint32 // of the latest success
	fails   bool
}

// maxPending is how many contacts wait at a time, maxFailed how many failures can be tried again.
const maxPending, maxFailed = 24, 48

// firstContact waits for an answer.
type firstContact struct{ unit, at uint32 }

// failure can still be tried again.
type failure struct{ unit, at uint32 }

// AnswerLimit is how long a provider has to answer, in seconds: a mail server waits 30 s for one
// server before it tries another one (Postfix, smtp_connect_timeout).
const AnswerLimit = 90

const (
	nearSuccess            = 30 // seconds from a failure to a contact that works
	retryAfter, retryUntil = 240, 7 * 3600
	rowLength              = 8 // contacts
	fastFailures           = 25
	slowFailures           = 10
)

// The test's assumptions: the share of first contacts that fail.
const failsForHonest, failsForBot = 0.05, 0.3

// What a failure adds and a success takes away.
var shareUp, shareDown = math.Log(failsForBot / failsForHonest),
	math.Log((1 - failsForHonest) / (1 - failsForBot))

// Begin records the first contact with a provider.
func (t *Share) Begin(unit uint32, now int64) {
	at := sketch.Stamp(now)
	t.expire(at)
	place := bits.TrailingZeros32(^t.waiting)
	switch {
	case place == maxPending: // no room: the oldest had the longest time
		place = t.oldest()
		t.fail(place)
	case place == len(t.pending):
		t.pending = append(t.pending, firstContact{})
	}
	t.pending[place] = firstContact{unit, at}
	if t.live &^= 1 << place; t.at != 0 && t.at+nearSuccess/3 >= at {
		t.live |= 1 << place
	}
	if at != 0 {
		t.waiting |= 1 << place
		t.units.Add(unit)
	}
	t.due = min(t.due, at+AnswerLimit)
}

// oldest is the place of the contact that has waited the longest.
func (t *Share) oldest() (place int) {
	for i := range t.pending {
		if t.pending[i].at < t.pending[place].at {
			place = i
		}
	}
	return place
}

// expire resolves contacts without an answer. Few attempts and answers come when one ends: due says
// when the next one does, at the earliest.
func (t *Share) expire(at uint32) {
	if at < t.due {
		return
	}
	t.due = math.MaxUint32
	for waiting := t.waiting; waiting != 0; waiting &= waiting - 1 {
		i := bits.TrailingZeros32(waiting)
		if ends := t.pending[i].at + AnswerLimit; at < ends {
			t.due = min(t.due, ends)
			continue
		}
		t.fail(i)
		t.waiting &^= 1 << i
	}
	for i := range t.failed {
		f := &t.failed[i]
		if f.at == 0 {
			continue
		}
		if ends := f.at + retryUntil; at < ends {
			t.due = min(t.due, ends)
			continue
		}
		t.given++
		*f = failure{}
	}
}

// fail counts the contact in a place as failed, unless the uplink may have been down.
func (t *Share) fail(place int) {
	if t.live>>place&1 == 0 {
		if t.row >= 2 {
			return
		}
		t.row++
	}
	t.keep(failure(t.pending[place]))
	t.lost++
	t.count()
}

// count counts a result in the current row of contacts.
func (t *Share) count() {
	if t.results++; t.results < rowLength {
		return
	}
	if t.lost*2 <= rowLength {
		t.mixed += uint32(t.lost)
	}
	t.results, t.lost = 0, 0
}

// keep keeps a failure that can still be tried again. The oldest is forgotten, as if it had been.
func (t *Share) keep(f failure) {
	if place := int(t.next % maxFailed); place == len(t.failed) {
		t.failed = append(t.failed, f)
	} else {
		t.failed[place] = f
	}
	t.next++
	t.due = min(t.due, f.at+retryUntil)
}

// Again records a further attempt at a provider. After some minutes it takes a failure back.
func (t *Share) Again(unit uint32, now int64) {
	for i := range t.failed {
		if f := &t.failed[i]; f.unit == unit && f.at != 0 && sketch.Stamp(now) >= f.at+retryAfter {
			*f = failure{}
			t.mixed -= min(t.mixed, 1)
			t.again++
		}
	}
	t.fails = t.fails && !t.triesAgain()
}

// triesAgain reports whether the source tries again what failed, as a mail server does.
func (t *Share) triesAgain() bool { return t.again*4 >= max(t.mixed, t.given)+t.again }

// Answered records an answer of a provider, and reports whether contacts fail like those of a bot.
func (t *Share) Answered(unit uint32, alpha float64, now int64) bool {
	if !t.units.May(unit) {
		return false
	}
	at, waiting := sketch.Stamp(now), t.waiting
	t.units = 0
	for rest := waiting; rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros32(rest)
		if u := t.pending[i].unit; u != unit {
			t.units.Add(u)
		} else {
			t.waiting &^= 1 << i
		}
	}
	if t.waiting == waiting {
		return false
	}
	for rest := t.waiting &^ t.live; rest != 0; rest &= rest - 1 {
		if i := bits.TrailingZeros32(rest); t.pending[i].at+nearSuccess >= at {
			t.live |= 1 << i
		}
	}
	t.worked++
	t.row, t.at = 0, at
	t.count()
	t.expire(at)
	return t.judge(alpha)
}

// judge decides, after a contact that works: a failure alone may be an outage. A decision stays
// until failures are taken back.
func (t *Share) judge(alpha float64) bool {
	upper, _ := Bounds(alpha)
	reached := func(failures uint32) bool {
		return float64(failures)*shareUp-float64(t.worked)*shareDown >= upper
	}
	enough := t.given >= slowFailures && reached(t.given) ||
		t.mixed >= fastFailures && reached(t.mixed)
	t.fails = t.fails || enough && !t.triesAgain()
	return t.fails
}

// Fails reports whether the test has decided against the source, as of the latest result.
func (t *Share) Fails() bool { return t.fails }

// Failed is how many contacts failed and were not tried again.
func (t *Share) Failed() int { return int(max(t.mixed, t.given)) }

// Worked is how many contacts were answered.
func (t *Share) Worked() int { return int(t.worked) }

// Clone is a copy that shares no memory.
func (t *Share) Clone() Share {
	c := *t
	c.pending, c.failed = slices.Clone(t.pending), slices.Clone(t.failed)
	return c
}

// Merge adds the results of o, which came later.
func (t *Share) Merge(o *Share) {
	t.worked += o.worked
	t.given += o.given
	t.mixed += o.mixed
	t.again += o.again
	for _, f := range o.failed {
		if f.at != 0 {
			t.keep(f)
		}
	}
}
