package mailserver

import (
	"fmt"
	"slices"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// Queue estimates from outside how much mail waits in a mail server: what was refused for now
// and was not taken since.
//
// A delivery (one sender, one recipient) that got a 4xx waits until the same is taken,
// refused for good, or was not tried again for so long that the server must have given up or
// found another way: three times the longest pause so far, and no less than three hours
// (Postfix tries again after 4000 s at the latest, Sendmail after an hour), and never more than five days
// (RFC 5321, section 4.5.4.1). What waits for a destination that does not even answer is
// not seen, but its tries are; see [Unreachable]. What the estimate may lack makes it a lower bound, which it says: sessions that are
// encrypted, and servers that try a unreachable destination with one message only.
//
// The fields are the format of the checkpoint.
type Queue struct {
	Waiting      map[uint64]Deferred    `json:"Waiting,omitempty"` // by hash of sender and recipient
	Unreachable  map[uint32]Unreachable `json:"Silent,omitempty"`  // destinations that do not answer, by their hashes
	Destinations Destinations           `json:"Destinations"`
	RetriesAll   int64                  `json:"Each"`   // when the server was last seen to try several messages at a unreachable destination
	Hidden       int64                  `json:"Hidden"` // when a session of it was last encrypted
	Pauses       Pauses                 `json:"Pauses"`
	Hours        [168]uint32            `json:"Hours"` // estimates of the last week's hours, plus one
	Hour         int64                  `json:"Hour"`  // the latest of them, since 1970
	Full         uint64                 `json:"Full"`  // deliveries and tries that found no room: where there are any, the estimate is a lower bound
	High         bool                   `json:"High"`
	Outage       Outage                 `json:"Outage"`

	attempts []attempt
	budget   *sketch.Budget // shared with other servers; nil means that only the bounds below hold
	messages int            // in Silent
}

// Deferred is what waits.
type Deferred struct {
	Net    uint32 `json:"Net"`
	First  int64  `json:"First"`
	Last   int64  `json:"Last"`
	Gap    int64  `json:"Gap"`    // longest pause between two tries
	Listed bool   `json:"Listed"` // a blocklist is the reason
}

const (
	maxWaiting     = 16 << 10
	maxUnreachable = 8192
	maxAttempts    = 4096
	// connectTime is how long a server waits for an answer to its SYN: Postfix 30 s.
	connectTime = 30 * second
	maxQueued   = 5*day + 6*hour
	giveUp      = 3 * hour
	minQueue    = 20
	// deferredWords is what something that waits takes in its map, in words of four bytes, about.
	deferredWords = 25
)

// setBudget has the queue share its memory with others. What does not fit is forgotten.
func (q *Queue) setBudget(budget *sketch.Budget) {
	q.budget, q.messages = budget, 0
	for k := range q.Waiting {
		if !q.reserve() {
			delete(q.Waiting, k)
			q.Full++
		}
	}
	for net, d := range q.Unreachable {
		for i := range d.Messages {
			if q.messages >= maxUnreachable || !q.reserve() {
				q.Full += uint64(len(d.Messages) - i)
				d.Messages = d.Messages[:i]
				break
			}
			q.messages++
		}
		q.Unreachable[net] = d
	}
}

// resume has nothing be later than a time.
func (q *Queue) resume(now int64) {
	for k, d := range q.Waiting {
		d.First, d.Last = min(d.First, now), min(d.Last, now)
		q.Waiting[k] = d
	}
	for name, d := range q.Unreachable {
		d.Since, d.Round.Last = min(d.Since, now), min(d.Round.Last, now)
		for i := range d.Messages {
			l := &d.Messages[i]
			l.First, l.Last = min(l.First, now), min(l.Last, now)
		}
		q.Unreachable[name] = d
	}
	q.RetriesAll, q.Hidden = min(q.RetriesAll, now), min(q.Hidden, now)
	if q.Outage.From > now || q.Outage.To > now {
		q.Outage = Outage{}
	}
	q.attempts = nil
}

func (q *Queue) reserve() bool { return q.budget == nil || q.budget.Take(deferredWords) }

func (q *Queue) release(n int) {
	if q.budget != nil {
		q.budget.Words += n * deferredWords
	}
}

// drop forgets a delivery that waits, if it is known.
func (q *Queue) drop(delivery uint64) (known bool) {
	if _, known = q.Waiting[delivery]; known {
		q.release(1)
		delete(q.Waiting, delivery)
	}
	return known
}

// deferred notes that a host refused a delivery for now.
func (q *Queue) deferred(delivery uint64, net, host uint32, listed bool, now int64) {
	if q.Waiting == nil {
		q.Waiting = map[uint64]Deferred{}
	}
	q.expire(now)
	d, known := q.Waiting[delivery]
	q.Outage.failed(net, !known, q.Destinations.share(q.Destinations.of(net)), now)
	if name := q.Destinations.of(net); !known || q.Unreachable[name].Round.elsewhere(host, now) {
		q.work(net, host, now) // it may have been tried while nobody answered, or at another host
	}
	q.tried(net, host, now)
	if !known {
		if len(q.Waiting) >= maxWaiting || !q.reserve() {
			q.Full++
			return
		}
		d.First, d.Last = now, now
	} else if now-d.Last > roundGap { // else it is the next host of the same destination
		q.Pauses.learn(d.Last-d.First, now-d.Last)
		d.Gap = max(d.Gap, now-d.Last)
	}
	d.Net, d.Last, d.Listed = net, now, listed
	q.Waiting[delivery] = d
}

// resolve notes that a delivery was accepted, or refused for good.
func (q *Queue) resolve(delivery uint64, net, host uint32, now int64) {
	name := q.Destinations.of(net)
	q.expire(now)
	if !q.drop(delivery) || q.Unreachable[name].Round.elsewhere(host, now) {
		q.work(net, host, now)
	}
}

// tried notes that a host was tried with a delivery that is known: at the next host it is the same one.
func (q *Queue) tried(net, host uint32, now int64) {
	name := q.Destinations.of(net)
	if d, ok := q.unreachable(name, now); ok {
		d.Round.try(host, now)
		q.Unreachable[name] = d
	}
}

// accepted notes that a destination took a message.
func (q *Queue) accepted(net uint32, now int64) {
	q.Outage.worked()
	q.Destinations.took(q.Destinations.of(net))
}

// QueueState is an estimate.
type QueueState struct {
	Estimate, Listed int   // deliveries that wait, and those because of a blocklist
	Said             int   // of them, those of which servers said that they must wait
	Destinations     int   // that they wait for
	Oldest           int64 // how long the oldest waits
	Slope            int   // change within an hour
	LowerBound       bool  // there may be more

	Full uint64 // what found no room so far
}

// state is the estimate at a time.
func (q *Queue) state(now int64) (s QueueState) {
	names := map[uint32]bool{}
	count := func(d Deferred) {
		s.Estimate++
		s.Said++
		if d.Listed {
			s.Listed++
		}
		names[q.Destinations.of(d.Net)] = true
		s.Oldest = max(s.Oldest, now-d.First)
	}
	for _, d := range q.Waiting {
		count(d)
	}
	others := q.others()
	for name, d := range q.Unreachable {
		n, known := q.waits(&d, others, now)
		if n == 0 {
			continue
		}
		s.LowerBound = s.LowerBound || !known
		s.Estimate += n
		if d.Listed {
			s.Listed += n
		}
		names[name] = true
		for _, l := range d.Messages {
			s.Oldest = max(s.Oldest, now-l.First)
		}
	}
	s.LowerBound = s.LowerBound || q.Hidden != 0 && now-q.Hidden < day
	s.Destinations, s.Full = len(names), q.Full
	if before := q.Hours[(q.Hour+167)%168]; before > 0 {
		s.Slope = s.Estimate - int(before-1)
	}
	return s
}

// tick gives up what was not tried again, and once an hour compares the queue with itself.
func (q *Queue) tick(now int64) (v QueueState, alarm bool) {
	q.expire(now)
	for k, d := range q.Waiting {
		if now-d.First > maxQueued || now-d.Last > max(giveUp, 3*d.Gap) {
			q.drop(k)
		}
	}
	q.forget(now)
	v = q.state(now)
	limit := max(minQueue, 5*q.median())
	grown := v.Estimate >= limit || v.Oldest > 4*hour && v.Slope > 0 && v.Estimate >= minQueue/2
	alarm = grown && !q.High
	q.High = grown || q.High && v.Estimate >= limit/2
	if h := now / hour; h != q.Hour {
		for i := max(q.Hour+1, h-168); q.Hour != 0 && i < h; i++ { // a week at most
			q.Hours[i%168] = 0 // nobody listened
		}
		q.Hour = h
		q.Hours[h%168] = uint32(v.Estimate) + 1
	}
	return v, alarm
}

// median is that of the last week's hours.
func (q *Queue) median() int {
	var seen []uint32
	for _, n := range q.Hours {
		if n > 0 {
			seen = append(seen, n-1)
		}
	}
	if len(seen) == 0 {
		return 0
	}
	slices.Sort(seen)
	return int(seen[len(seen)/2])
}

// sentence is the state in words.
func (s *QueueState) sentence() string {
	about := "About"
	if s.LowerBound {
		about = "At least"
	}
	t := fmt.Sprintf("%s %s for %s, the oldest for %s", about, verdict.Count(uint32(s.Estimate), "message seems to wait in its queue", "messages seem to wait in its queue"), verdict.Plural(s.Destinations, "destination"), duration(s.Oldest))
	if s.Listed > 0 {
		t += fmt.Sprintf("; %d of them wait because the receiving servers name a blocklist", s.Listed)
	}
	return t + "."
}

// duration is a time to read.
func duration(ns int64) string {
	switch {
	case ns < 2*hour:
		return fmt.Sprintf("%d minutes", ns/minute)
	case ns < 2*day:
		return fmt.Sprintf("%d hours", ns/hour)
	}
	return fmt.Sprintf("%d days", ns/day)
}
