package mailserver

import (
	"math"
	"math/bits"
	"slices"
)

// Unreachable is a destination to which no mail can be sent: its hosts do not answer, reset the
// connection, or refuse it with their greeting. The server then sends no sender and no recipient,
// and only the tries show how many messages wait for the destination: a server tries each message
// again after a pause that grows with the age of the message, so a try at a time at which no known
// message is due is the try of another message.
//
// A server that tries an unreachable destination with one message only, as Postfix does while the
// destination is in its list of dead ones, shows fewer. The estimate then is the number of messages
// that would have gone to the destination by now: its usual share of all messages, times the
// messages that the other destinations accepted meanwhile. Where the share is not known, the
// estimate is a lower bound.
type Unreachable struct {
	Listed   bool   `json:"Listed"`
	Since    int64  `json:"Since"` // the first try that failed
	Accepted uint64 `json:"Taken"` // messages that all destinations had accepted then
	// Share is the share of all messages that the destination accepted until then, and Known says
	// that many messages show it. Later messages of others would make it smaller and smaller.
	Share float64 `json:"Share"`
	Known bool    `json:"Known"`
	// it accepted mail since: messages that are not tried any more have gone
	Works    bool            `json:"Works"`
	Left     int             `json:"Left"` // messages that waited then, less those that went since
	Round    Round           `json:"Round"`
	Messages []QueuedMessage `json:"Letters"`
}

// QueuedMessage is a message that waits, as its tries show.
type QueuedMessage struct {
	First int64 `json:"First"`
	Last  int64 `json:"Last"`
}

// Pauses are the times between two tries of a message, in seconds, by the age of the message. They
// are learned from deliveries that can be distinguished. The steps of the age are doublings of five
// minutes.
type Pauses [12]struct {
	N       float64 `json:"N"`
	Sum     float64 `json:"Sum"`
	Squares float64 `json:"Squares"`
}

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

// of is the pause at an age and its deviation. Until 5 pauses are known they are Postfix's: as long
// as the age, between 300 s and 4000 s, and up to 300 s more, because its queue manager looks that
// often.
func (p *Pauses) of(age int64) (pause, deviation int64) {
	if x := p[ageStep(age)]; p.known(age) {
		mean := x.Sum / x.N
		return int64(mean * 1e9), int64(math.Sqrt(max(0, x.Squares/x.N-mean*mean)) * 1e9)
	}
	return max(300*second, min(4000*second, age)) + 150*second, 50 * second
}

// known reports whether 5 pauses at an age are known.
func (p *Pauses) known(age int64) bool { return p[ageStep(age)].N >= 5 }

// longestPause is the longest pause as long as it is not known, and a little more: Exim's default
// is six hours from the second day on.
const longestPause = 6*hour + 30*minute

// attempt is a connection that the server tries to open. The fields are hashes, and the time of its
// start.
type attempt struct {
	net, host uint32
	at        int64
}

// connecting begins a try; answer ends it when the destination answers.
func (q *Queue) connecting(net, host uint32, now int64) {
	q.expire(now)
	if len(q.attempts) >= maxAttempts {
		q.Full++
		return
	}
	q.attempts = append(q.attempts, attempt{net, host, now})
}

// expire counts tries as failed that got no answer within connectTime.
func (q *Queue) expire(now int64) {
	for len(q.attempts) > 0 && now-q.attempts[0].at >= connectTime {
		// each round ends a try, of maxAttempts
		x := q.attempts[0]
		q.attempts = q.attempts[1:]
		q.failed(x, false)
	}
}

// went drops the tries at other hosts of a destination: their message went to this host.
func (q *Queue) went(name, host uint32, now int64) {
	q.expire(now)
	q.attempts = slices.DeleteFunc(q.attempts, func(x attempt) bool {
		return x.host != host && now-x.at <= roundGap && q.Destinations.of(x.net) == name
	})
}

// answer ends the latest try at a host; see connecting.
func (q *Queue) answer(net, host uint32) { q.end(net, host) }

// end removes the latest try at a host from those that wait for an answer.
func (q *Queue) end(net, host uint32) (x attempt, ok bool) {
	for i := len(q.attempts) - 1; i >= 0; i-- { // maxAttempts at most
		if x = q.attempts[i]; x.net == net && x.host == host {
			q.attempts = slices.Delete(q.attempts, i, i+1)
			return x, true
		}
	}
	return attempt{net, host, 0}, false
}

// fail observes a try that was refused, or whose session ended before the MAIL command.
func (q *Queue) fail(net, host uint32, listed bool, now int64) {
	x, ok := q.end(net, host)
	if !ok {
		x.at = now
	}
	q.failed(x, listed)
}

func (q *Queue) failed(x attempt, listed bool) {
	name := q.Destinations.of(x.net)
	d, ok := q.unreachable(name, x.at)
	if !ok {
		return
	}
	d.Listed = listed
	if d.Works {
		d.Works, d.Left = false, 0
		d.begin(&q.Destinations, name, x.at)
	}
	before := d.Round.Last
	if !d.Round.try(x.host, x.at) { // the next host of the same destination, for the same message
		q.Unreachable[name] = d
		return
	}
	if before != 0 && x.at-before < perMessage && x.at-d.Since > 10*minute {
		q.RetriesAll = x.at
	}
	i := q.dueAt(&d, x.at)
	q.Outage.failed(x.net, i < 0, q.Destinations.share(name), x.at)
	if i >= 0 {
		d.Messages[i].Last = x.at
	} else {
		if q.messages >= maxUnreachable || !q.reserve() {
			q.Full++
			return
		}
		q.messages++
		d.Messages = append(d.Messages, QueuedMessage{x.at, x.at})
	}
	q.Unreachable[name] = d
}

// perMessage is the pause between two tries at a destination that distinguishes a server that tries
// each message from one that waits until the destination may work again: Postfix waits for 300 s.
const perMessage = 240 * second

// unreachable is the state of a destination; it begins anew if there is none.
func (q *Queue) unreachable(name uint32, now int64) (d Unreachable, ok bool) {
	if d, ok = q.Unreachable[name]; ok {
		return d, true
	}
	if q.Unreachable == nil {
		q.Unreachable = map[uint32]Unreachable{}
	}
	if len(q.Unreachable) >= maxUnreachable {
		q.Full++
		return d, false
	}
	d.begin(&q.Destinations, name, now)
	return d, true
}

// begin notes the usual share of the destination when it becomes unreachable.
func (d *Unreachable) begin(all *Destinations, name uint32, now int64) {
	d.Since, d.Accepted = now, all.Taken
	d.Share, d.Known = all.usual(name)
}

// retriesOne reports whether the server is not known to try each message at an unreachable
// destination.
func (q *Queue) retriesOne(now int64) bool { return q.RetriesAll == 0 || now-q.RetriesAll > 30*day }

// waits is the number of messages that wait for an unreachable destination. others is the share of
// all messages that the reachable destinations accept.
func (q *Queue) waits(d *Unreachable, others float64, now int64) (n int, known bool) {
	n = len(d.Messages)
	if n == 0 || !q.retriesOne(now) {
		return n, true
	}
	if d.Share == 0 || others < 0.1 {
		return n, false
	}
	if d.Works {
		return max(n, d.Left), d.Known
	}
	came := float64(q.Destinations.Taken - d.Accepted)
	if silent := now - d.Since; silent > maxQueued { // the server has given up older messages
		came *= float64(maxQueued) / float64(silent)
	}
	return max(n, int(d.Share/others*came+0.5)), d.Known
}

// others is the share of all messages that the reachable destinations accept.
func (q *Queue) others() float64 {
	sum := 1.0
	for _, d := range q.Unreachable {
		if len(d.Messages) > 0 && !d.Works {
			sum -= d.Share
		}
	}
	return sum
}

// dueAt is the message that is due for the longest time, -1 if none is. It may come a little early.
func (q *Queue) dueAt(d *Unreachable, now int64) int {
	best, at := -1, int64(0)
	for i := range d.Messages {
		l := &d.Messages[i]
		pause, deviation := q.Pauses.of(l.Last - l.First)
		due := l.Last + pause
		if now >= l.Last+max(pause/3, pause-4*deviation) && (best < 0 || due < at) {
			best, at = i, due
		}
	}
	return best
}

// work observes a try at a host that accepted mail, or at least received a MAIL command.
func (q *Queue) work(net, host uint32, now int64) {
	name := q.Destinations.of(net)
	q.went(name, host, now)
	d, ok := q.Unreachable[name]
	if !ok {
		return
	}
	if !d.Works {
		d.Left, _ = q.waits(&d, q.others(), now)
		d.Works = true
	}
	d.Left = max(0, d.Left-1)
	i := q.dueAt(&d, now)
	if d.Round.elsewhere(host, now) {
		i = len(d.Messages) - 1
		for j := range d.Messages {
			if d.Messages[j].Last > d.Messages[i].Last {
				i = j
			}
		}
	}
	if i >= 0 {
		d.Messages = slices.Delete(d.Messages, i, i+1)
		q.messages--
		q.release(1)
	}
	q.Unreachable[name] = d
}

// forget drops messages that the server has not tried again.
func (q *Queue) forget(now int64) {
	for net, d := range q.Unreachable {
		before := len(d.Messages)
		d.Messages = slices.DeleteFunc(d.Messages, func(l QueuedMessage) bool {
			pause, _ := q.Pauses.of(l.Last - l.First)
			limit := max(hour, 2*pause)
			if age := l.Last - l.First; !q.Pauses.known(age) {
				// many servers wait as long as they have waited
				limit = max(limit, min(age, longestPause))
			}
			if d.Works {
				limit = pause*3/2 + 10*minute
			}
			return now-l.First > maxQueued || now-l.Last > limit
		})
		q.messages -= before - len(d.Messages)
		q.release(before - len(d.Messages))
		if q.Unreachable[net] = d; len(d.Messages) == 0 && now-d.Round.Last > roundGap {
			delete(q.Unreachable, net)
		}
	}
}
