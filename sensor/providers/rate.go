package providers

import "math"

// Rate is a sequential test on the rate of units that the source never contacted before: a CUSUM
// (Page 1954) of the log-likelihood ratio of two Poisson processes, at three time scales. Known
// destinations, and with them the retries of a mail server, do not count.
//
//	S <- max(0, S - dt (l1 - l0)) + ln(l1/l0) at each new unit; found when S >= the threshold
//
// Simulated benign hosts with up to 0.5 new networks a day raise no alarm in 1,000 host-years. The
// latest units are kept, so that one that counts no more can be taken back: the sums are computed
// anew from those that remain.
type Rate struct {
	Sums sums  `json:"Sums"` // S of each time scale
	At   int64 `json:"At"`   // of the latest new unit

	older     sums     // of the units that are not kept any more
	olderAt   int64    // of the latest of them
	olderFire bool     // they reached the threshold
	events    [24]unit // the latest, in their order
	n         uint8
	fired     bool
	// accountsCount says that there are too many accounts for a person: they count.
	accountsCount bool
}

// unit is a unit that is new for the source.
type unit struct {
	at      int64
	id      uint32
	account bool
}

const scales = 3

type sums [scales]float64

// rates are per second, of a benign host and of a bot: 1 and 30 an hour, 0.25 and 6 an hour, 1 and
// 12 a day. They fire at the fourth, fourth and fifth contact.
var rates = [scales]scale{newScale(1./3600, 30./3600), newScale(.25/3600, 6./3600),
	newScale(1./86400, 12./86400)}

// scale holds what a second takes away and a contact adds.
type scale struct{ fall, step float64 }

// newScale is the scale of two rates per second: l0 of a benign host, l1 of a bot.
func newScale(l0, l1 float64) scale { return scale{l1 - l0, math.Log(l1 / l0)} }

// step moves the sums on by a contact, dt seconds after the one before, and returns the largest.
func (s *sums) step(dt float64) (most float64) {
	dt = max(0, dt)
	for i := range rates {
		r := &rates[i]
		// Not max, which sees to NaN and to both zeros and takes three times as long.
		x := s[i] - dt*r.fall
		if x < 0 {
			x = 0
		}
		if s[i] = x + r.step; s[i] > most {
			most = s[i]
		}
	}
	return most
}

// Add moves the test on by a unit that the source contacts for the first time. It reports whether
// the threshold is reached with it.
func (t *Rate) Add(id uint32, now int64, threshold float64) (reached bool) {
	if t.n == 0 && t.olderAt == 0 { // the sums of before a restart
		t.older, t.olderAt = t.Sums, t.At
	}
	if int(t.n) == len(t.events) {
		if u := &t.events[0]; !u.account || t.accountsCount {
			most := t.older.step(float64(u.at-t.olderAt) / float64(second))
			t.olderAt, t.olderFire = max(t.olderAt, u.at), t.olderFire || most >= threshold
		}
		copy(t.events[:], t.events[1:])
		t.n--
	}
	t.events[t.n] = unit{id: id, at: now}
	t.n++
	reached = t.Sums.step(float64(now-t.At)/float64(second)) >= threshold
	t.At, t.fired = max(t.At, now), t.fired || reached
	return reached
}

// replay computes the sums from the units that count.
func (t *Rate) replay(threshold float64) {
	s, at := t.older, t.olderAt
	t.fired = t.olderFire
	for i := range t.events[:t.n] {
		u := &t.events[i]
		if u.account && !t.accountsCount {
			continue
		}
		t.fired = s.step(float64(u.at-at)/float64(second)) >= threshold || t.fired
		at = max(at, u.at)
	}
	t.Sums, t.At = s, at
}

// Fired reports whether the test reached the threshold with any unit that counts.
func (t *Rate) Fired() bool { return t.fired }

// find is the place of a unit, -1 if it is not kept.
func (t *Rate) find(id uint32) int {
	for i := range t.events[:t.n] {
		if t.events[i].id == id {
			return i
		}
	}
	return -1
}

// Change has the test follow a change of units.
func (t *Rate) Change(c Change, now int64, threshold float64) {
	if c.Split {
		t.Add(c.To, now, threshold)
		return
	}
	at := t.find(c.From)
	if at < 0 {
		return
	}
	if !c.Lost {
		t.events[at].id = c.To
		return
	}
	copy(t.events[at:], t.events[at+1:t.n])
	t.n--
	t.replay(threshold)
}

// Excuse takes a unit back because it is an account.
func (t *Rate) Excuse(id uint32, threshold float64) {
	if at := t.find(id); at >= 0 && !t.events[at].account {
		t.events[at].account = true
		t.replay(threshold)
	}
}

// CountAccounts counts the accounts that were excused.
func (t *Rate) CountAccounts(threshold float64) {
	t.accountsCount = true
	t.replay(threshold)
}
