package mailserver

import (
	"fmt"
	"slices"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// Queue estimates from outside how many messages wait in a mail server: deliveries that were
// deferred and not accepted since.
//
// A delivery (one sender, one recipient) that was deferred with a 4xx reply waits until it is
// accepted, or refused with a 5xx reply, or until the server has not tried it for so long that it
// must have given up or found another way: three times the longest pause so far, at least three
// hours (Postfix tries again after 4000 s at the latest, Sendmail after an hour), and at most five
// days (RFC 5321, section 4.5.4.1). Deliveries to a destination that does not answer cannot be
// seen, but the tries can; see [Unreachable]. The estimate is a lower bound, and says so, if
// sessions are encrypted, or if the server tries an unreachable destination with one message only.
//
// The fields are the format of the checkpoint.
type Queue struct {
	// by hash of sender and recipient
	Waiting map[uint64]Deferred `json:"Waiting,omitempty"`
	// destinations that do not answer, by their hashes
	Unreachable  map[uint32]Unreachable `json:"Silent,omitempty"`
	Destinations Destinations           `json:"Destinations"`
	// latest time at which the server tried several messages at an unreachable destination
	RetriesAll int64  `json:"Each"`
	Hidden     int64  `json:"Hidden"` // time of its latest encrypted session
	Pauses     Pauses `json:"Pauses"`
	// estimates of the last week's hours, plus one
	Hours  [168]uint32 `json:"Hours"`
	Hour   int64       `json:"Hour"` // the latest of them, since 1970
	Full   uint64      `json:"Full"` // deliveries and tries beyond the bounds
	High   bool        `json:"High"`
	Outage Outage      `json:"Outage"`

	attempts []attempt
	budget   *sketch.Budget // shared with other servers; nil means that only the bounds below hold
	messages int            // in Unreachable
	// least is how many messages must wait while nothing is known of the usual number; zero once it
	// is known. See Traffic.leastQueue.
	least int
}

// Deferred is a delivery that waits.
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
	// deferredWords is the size of a waiting delivery in its map, in words of four bytes, about.
	deferredWords = 25
)

// setBudget makes the queue share its memory with others. Deliveries beyond the budget are dropped
// and counted.
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

// resume moves times that lie after now back to now.
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

// drop removes a delivery that waits, and reports whether it is known.
func (q *Queue) drop(delivery uint64) (known bool) {
	if _, known = q.Waiting[delivery]; known {
		q.release(1)
		delete(q.Waiting, delivery)
	}
	return known
}

// deferred observes that a host deferred a delivery.
func (q *Queue) deferred(delivery uint64, net, host uint32, listed bool, now int64) {
	if q.Waiting == nil {
		q.Waiting = map[uint64]Deferred{}
	}
	q.expire(now)
	d, known := q.Waiting[delivery]
	q.Outage.failed(net, !known, q.Destinations.share(q.Destinations.of(net)), now)
	if name := q.Destinations.of(net); !known || q.Unreachable[name].Round.elsewhere(host, now) {
		// it may be one that was tried at an unreachable host, or at another one
		q.work(net, host, now)
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

// resolve observes that a delivery was accepted, or refused with a 5xx reply.
func (q *Queue) resolve(delivery uint64, net, host uint32, now int64) {
	name := q.Destinations.of(net)
	q.expire(now)
	if !q.drop(delivery) || q.Unreachable[name].Round.elsewhere(host, now) {
		q.work(net, host, now)
	}
}

// tried observes a try of a known delivery at a host. A try at the next host is one of the same
// delivery.
func (q *Queue) tried(net, host uint32, now int64) {
	name := q.Destinations.of(net)
	if d, ok := q.unreachable(name, now); ok {
		d.Round.try(host, now)
		q.Unreachable[name] = d
	}
}

// accepted observes that a destination accepted a message.
func (q *Queue) accepted(net uint32, now int64) {
	q.Outage.worked()
	q.Destinations.took(q.Destinations.of(net))
}

// QueueState is an estimate of the queue.
type QueueState struct {
	Estimate, Listed int   // deliveries that wait, and those because of a blocklist
	Said             int   // of them, those that a server deferred with a reply
	Destinations     int   // of them
	Oldest           int64 // age of the oldest, in nanoseconds
	Slope            int   // change within an hour
	LowerBound       bool  // the true number may be higher
	Learning         bool  // the usual number is not known

	Full uint64 // deliveries and tries beyond the bounds so far
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

// tick drops deliveries that the server has given up, and once an hour compares the queue with the
// last week. alarm reports that it grew.
func (q *Queue) tick(now int64) (v QueueState, alarm bool) {
	q.expire(now)
	for k, d := range q.Waiting {
		if now-d.First > maxQueued || now-d.Last > max(giveUp, 3*d.Gap) {
			q.drop(k)
		}
	}
	q.forget(now)
	v = q.state(now)
	v.Learning = q.least > 0
	limit := max(minQueue, 5*q.median())
	if 2*v.Listed <= v.Estimate { // a listing is no matter of what is usual
		limit = max(limit, q.least)
	}
	grown := v.Estimate >= limit ||
		q.least == 0 && v.Oldest > 4*hour && v.Slope > 0 && v.Estimate >= minQueue/2
	alarm = grown && !q.High
	q.High = grown || q.High && v.Estimate >= limit/2
	if h := now / hour; h != q.Hour {
		for i := max(q.Hour+1, h-168); q.Hour != 0 && i < h; i++ { // a week at most
			q.Hours[i%168] = 0 // hours without observation
		}
		q.Hour = h
		q.Hours[h%168] = uint32(v.Estimate) + 1
	}
	return v, alarm
}

// median is the median of the last week's hours.
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
	about := "About %s for %s, the oldest for %s"
	if s.LowerBound {
		about = "At least %s for %s, the oldest for %s"
	}
	t := fmt.Sprintf(about,
		verdict.Count(uint32(s.Estimate), "message seems to be waiting in its queue",
			"messages seem to be waiting in its queue"),
		verdict.Plural(s.Destinations, "destination"), duration(s.Oldest))
	if s.Listed > 0 {
		t += fmt.Sprintf("; %d of them were deferred by servers that name a blocklist",
			s.Listed)
	}
	if s.Learning {
		return t + ". It is not known yet how many are usual (learning): these are as many as it " +
			"sends in its busiest hour."
	}
	return t + "."
}

// duration is a time of ns nanoseconds in words.
func duration(ns int64) string {
	switch {
	case ns < 2*hour:
		return fmt.Sprintf("%d minutes", ns/minute)
	case ns < 2*day:
		return fmt.Sprintf("%d hours", ns/hour)
	}
	return fmt.Sprintf("%d days", ns/day)
}
