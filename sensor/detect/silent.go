package detect

import (
	"math"
	"math/bits"
	"slices"
)

// Silent is a destination that does not let mail be sent: it does not answer, resets, or turns the
// server away with its greeting. Then no sender and no recipient is ever said, and how many letters
// wait for it is told by the tries alone: a server tries each again after a pause that grows with its
// age, so a try at a time at which none of the known letters is due is that of another letter.
//
// Servers that try a destination with one letter only while it is down, as Postfix does while the
// destination is in its list of dead ones, show fewer: then the estimate is a lower bound.
type Silent struct {
	Listed  bool
	Host    uint32 // that was tried last
	At      int64  // when
	Works   bool   // mail was taken since: who is not tried any more has gone
	Letters []Letter
}

// Letter is one that waits, as far as tries tell.
type Letter struct{ First, Last int64 }

// Pauses are how long the server waits before it tries again, in seconds by the age of the letter,
// learned from the deliveries that can be told apart. Steps of the age are doublings of five minutes.
type Pauses [12]struct{ N, Sum, Squares float64 }

func ageStep(age int64) int { return min(bits.Len64(uint64(age/(5*minute))), len(Pauses{})-1) }

func (p *Pauses) learn(age, pause int64) {
	if age < 0 || pause > day {
		return
	}
	x, t := &p[ageStep(age)], float64(pause)/1e9
	if x.N >= 64 {
		x.N, x.Sum, x.Squares = x.N/2, x.Sum/2, x.Squares/2
	}
	x.N, x.Sum, x.Squares = x.N+1, x.Sum+t, x.Squares+t*t
}

// of is the pause at an age, and its deviation. Until it was seen it is Postfix's: as long as the age,
// between 300 s and 4000 s, and up to 300 s more, because it looks that often.
func (p *Pauses) of(age int64) (pause, deviation int64) {
	if x := p[ageStep(age)]; x.N >= 5 {
		mean := x.Sum / x.N
		return int64(mean * 1e9), int64(math.Sqrt(max(0, x.Squares/x.N-mean*mean)) * 1e9)
	}
	return max(300*second, min(4000*second, age)) + 150*second, 50 * second
}

// try is a connection that the server tries to make. The fields are hashes, and when it began.
type try struct {
	net, host uint32
	at        int64
}

// Connecting begins a try, and Answer ends it when the destination answers.
func (q *Queue) Connecting(net, host uint32, now int64) {
	if len(q.trying) >= maxTrying {
		q.Full++
		return
	}
	q.trying = append(q.trying, try{net, host, now})
}

// Answer: see Connecting.
func (q *Queue) Answer(net, host uint32) { q.end(net, host) }

// end takes the latest try at a host out of those that wait for an answer.
func (q *Queue) end(net, host uint32) (x try, ok bool) {
	for i := len(q.trying) - 1; i >= 0; i-- {
		if x = q.trying[i]; x.net == net && x.host == host {
			q.trying = slices.Delete(q.trying, i, i+1)
			return x, true
		}
	}
	return try{net, host, 0}, false
}

// Fail is a try that was refused, or after which the server could not name a sender.
func (q *Queue) Fail(net, host uint32, listed bool, now int64) {
	x, ok := q.end(net, host)
	if !ok {
		x.at = now
	}
	q.failed(x, listed)
}

func (q *Queue) failed(x try, listed bool) {
	if q.Silent == nil {
		q.Silent = map[uint32]Silent{}
	}
	d := q.Silent[x.net]
	// The next address of the same destination, for the same letter.
	next := d.Host != 0 && x.host != d.Host && x.at-d.At < connectTime+10*second
	d.Host, d.At, d.Listed, d.Works = x.host, x.at, listed, false
	if i := q.dueAt(&d, x.at); i >= 0 {
		d.Letters[i].Last = x.at
	} else if !next {
		if q.letters >= maxSilent || !q.take() {
			q.Full++
			return
		}
		q.letters++
		d.Letters = append(d.Letters, Letter{x.at, x.at})
	}
	q.Silent[x.net] = d
}

// dueAt is the letter that is due for the longest time, -1 if none is. It may come a little early.
func (q *Queue) dueAt(d *Silent, now int64) int {
	best, at := -1, int64(0)
	for i := range d.Letters {
		l := &d.Letters[i]
		pause, deviation := q.Pauses.of(l.Last - l.First)
		due := l.Last + pause
		if now >= l.Last+max(pause/3, pause-4*deviation) && (best < 0 || due < at) {
			best, at = i, due
		}
	}
	return best
}

// Work is a try after which mail was taken, or could be named at least.
func (q *Queue) Work(net uint32, now int64) {
	d, ok := q.Silent[net]
	if !ok {
		return
	}
	if i := q.dueAt(&d, now); i >= 0 {
		d.Letters = slices.Delete(d.Letters, i, i+1)
		q.letters--
		q.giveBack(1)
	}
	d.Works = true
	q.Silent[net] = d
}

// forget lets go of letters that were not tried again.
func (q *Queue) forget(now int64) {
	for net, d := range q.Silent {
		before := len(d.Letters)
		d.Letters = slices.DeleteFunc(d.Letters, func(l Letter) bool {
			pause, _ := q.Pauses.of(l.Last - l.First)
			limit := max(hour, 2*pause)
			if d.Works {
				limit = pause*3/2 + 10*minute
			}
			return now-l.First > maxQueued || now-l.Last > limit
		})
		q.letters -= before - len(d.Letters)
		q.giveBack(before - len(d.Letters))
		if q.Silent[net] = d; len(d.Letters) == 0 {
			delete(q.Silent, net)
		}
	}
}
