package main

import (
	"cmp"
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"spamsensor/sensor/mailserver"
)

// queueResult compares estimates of a queue's length with the truth. Errors are in percent.
type queueResult struct {
	name           string
	most, hours    int
	failed         int // attempts
	median, within float64
	// percent of the hours that must be within 10 %; zero means that the sensor only estimates
	need float64
}

// verdict is the result in words.
func (q *queueResult) verdict(judge func(bool) string) string {
	if q.need == 0 {
		return "reckoned from what usually goes there; half of the hours within 25 %: " +
			judge(q.median <= 25)
	}
	return judge(q.within >= q.need)
}

// queuedMessage is a message in the queue of the simulated server.
type queuedMessage struct {
	id          int
	destination int
	arrived     int64
	next        int64
	host        int   // number of the destination's host to be tried next
	began       int64 // the attempt at the first host in this round
}

// retryLater sets the time of the next attempt: after as long as the message has been in the queue,
// but not before 300 s and not after 4,000 s, at the next scan of the queue, every 300 s.
func (m *queuedMessage) retryLater() {
	m.host = 0
	m.next = m.began + max(300*second, min(4000*second, m.began-m.arrived))
	m.next = (m.next/(300*second)+1)*(300*second) + int64(m.id%250)*second
}

// messageHeap is a heap of messages by the time of the next attempt.
type messageHeap []queuedMessage

func (l messageHeap) Len() int           { return len(l) }
func (l messageHeap) Less(i, j int) bool { return cmp.Less(l[i].next, l[j].next) }
func (l messageHeap) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *messageHeap) Push(x any)        { *l = append(*l, x.(queuedMessage)) }
func (l *messageHeap) Pop() any          { n := len(*l); x := (*l)[n-1]; *l = (*l)[:n-1]; return x }

// replyFunc is the reply of a destination to a message at a time: "" accepts it, "none" and "reset"
// are attempts without an SMTP session, others are replies to RCPT.
type replyFunc func(l *queuedMessage, at int64) string

// queueCase is a mix of destinations.
type queueCase struct {
	name string
	need float64
	// skipDead makes the server try a destination that is down with one message only, as Postfix
	// does.
	skipDead      bool
	mxHosts       int  // hosts of a destination, each in another network; zero means one
	firstHostOnly bool // only the first host does not accept
	dns           bool // the sensor sees DNS lookups
	drawReply     func(rnd *rand.Rand, dest int) replyFunc
}

// outage replies with an answer from a random start on, for some hours on average.
func outage(rnd *rand.Rand, hours float64, answer string) replyFunc {
	begin := monday + 12*hour + int64(rnd.Float64()*float64(30*hour))
	end := begin + int64(rnd.ExpFloat64()*hours*float64(hour))
	return func(_ *queuedMessage, at int64) string {
		if at >= begin && at < end {
			return answer
		}
		return ""
	}
}

// greylist defers a message for five minutes.
func greylist(l *queuedMessage, at int64) string {
	if at-l.arrived < 5*minute {
		return "450 4.7.1 greylisted, try again"
	}
	return ""
}

func accepts(*queuedMessage, int64) string { return "" }

func queueCases() []queueCase {
	mixed := func(rnd *rand.Rand, dest int) replyFunc {
		switch {
		case dest%10 == 0:
			return greylist
		case dest%10 == 1:
			return outage(rnd, 8, "451 4.3.0 out of order")
		case dest%10 == 2:
			return outage(rnd, 20, "450 4.7.1 Client host [198.51.100.80] blocked using "+
				"bl.example.org")
		case dest%20 == 3:
			return outage(rnd, 200, "452 4.2.2 mailbox full") // many messages are never delivered
		}
		return accepts
	}
	down := func(answer string) func(rnd *rand.Rand, dest int) replyFunc {
		return func(rnd *rand.Rand, dest int) replyFunc {
			if dest%4 == 0 {
				return outage(rnd, 24, answer)
			}
			return mixed(rnd, dest)
		}
	}
	blocked := func(rnd *rand.Rand, dest int) replyFunc {
		return outage(rnd, 24, "421 4.7.0 listed at bl.example.org")
	}
	// If the sensor distinguishes deliveries, 95 of 100 hours must be right; if it sees only
	// attempts, 90 of 100. A server that tries a destination without an answer with one message
	// only shows just that there is no answer: the estimate is the usual volume to that
	// destination, with a random error that is large for a dozen messages.
	return []queueCase{
		{name: "refused for now", need: 95, drawReply: mixed},
		{name: "all on a blocklist for a day", need: 95, drawReply: blocked},
		{name: "a quarter is silent", need: 90, drawReply: down("none")},
		{name: "a quarter resets", need: 90, drawReply: down("reset")},
		{name: "a quarter is silent, one try each", skipDead: true, drawReply: down("none")},
		{name: "three MX, all on a blocklist", need: 95, mxHosts: 3, drawReply: blocked},
		{name: "three MX, a quarter is silent", need: 90, mxHosts: 3, dns: true,
			drawReply: down("none")},
		{name: "three MX, a quarter resets", need: 90, mxHosts: 3, dns: true,
			drawReply: down("reset")},
		// The second host accepts each message at once, so that none waits.
		{name: "three MX, the first often silent", need: 90, mxHosts: 3, firstHostOnly: true,
			drawReply: down("none")},
	}
}

// queues simulates all cases. Retries follow Postfix's documented defaults: after as long as a
// message has been in the queue, but not before 300 s and not after 4,000 s, with a scan of the
// queue every 300 s; after five days the message is returned.
func queues(seed uint64) (list []queueResult) {
	for i, c := range queueCases() {
		rnd := rand.New(rand.NewPCG(seed, uint64(900+i)))
		list = append(list, c.run(rnd))
	}
	return list
}

// queueDestinations is the number of destinations of a case.
const queueDestinations = 60

// queueRun is the simulation of one case.
type queueRun struct {
	*queueCase
	network *network
	replies [queueDestinations]replyFunc
	queue   messageHeap
	waiting map[int]bool  // messages that were tried and not delivered
	dead    map[int]int64 // destinations that are not tried until a time
	truth   []queueLength
	failed  int // attempts
}

// queueLength is the true length of the queue from a time on.
type queueLength struct {
	at int64
	n  int
}

// run simulates a case for four days, with a new message every two minutes on average.
func (c *queueCase) run(rnd *rand.Rand) queueResult {
	s := queueRun{
		queueCase: c, network: newNetwork("corp.example"),
		waiting: map[int]bool{}, dead: map[int]int64{},
	}
	for d := range s.replies {
		s.replies[d] = c.drawReply(rnd, d)
	}
	end := monday + 4*day
	id := 0
	for t := monday; t < end; t += int64(rnd.ExpFloat64() * float64(2*minute)) {
		id++
		heap.Push(&s.queue, queuedMessage{
			id: id, destination: rnd.IntN(queueDestinations), arrived: t, next: t,
		})
	}
	for s.queue.Len() > 0 {
		m := heap.Pop(&s.queue).(queuedMessage)
		if m.next >= end {
			break
		}
		s.try(&m)
	}
	r := queueResult{name: c.name, need: c.need, failed: s.failed}
	r.compare(s.network.records, s.truth, end)
	return r
}

// try is one attempt to deliver a message at one host of its destination.
func (s *queueRun) try(m *queuedMessage) {
	at := m.next
	if m.host == 0 {
		m.began = at
	}
	if s.skipDead && at < s.dead[m.destination] {
		s.deferMessage(m)
		s.note(at)
		return
	}
	reply := s.replies[m.destination](m, at)
	if s.firstHostOnly && m.host > 0 {
		reply = ""
	}
	if reply != "" {
		s.failed++
	}
	pause := s.send(m, at, reply)
	switch {
	case reply == "" || at-m.arrived > 5*day:
		delete(s.waiting, m.id)
	case m.host+1 < s.mxHosts: // the next host decides whether the message waits
		m.host, m.next = m.host+1, at+pause
		heap.Push(&s.queue, *m)
		return
	default:
		s.deferMessage(m)
	}
	s.note(at)
}

// send sends the packets of an attempt, and returns the pause until the next host is tried.
func (s *queueRun) send(m *queuedMessage, at int64, reply string) (pause int64) {
	name := fmt.Sprintf("mx%d.d%d.example", m.host+1, m.destination)
	server := fmt.Sprintf("198.18.%d.25", m.destination+80*m.host)
	from, to := "bob@corp.example", []string{fmt.Sprintf("p%d@d%d.example", m.id, m.destination)}
	if s.dns {
		s.network.lookup(at, serverAddr, name, server)
	}
	switch reply {
	case "none", "reset":
		s.network.syn(at, serverAddr, server, reply == "reset")
		s.dead[m.destination] = at + 300*second
		if reply == "none" {
			return 30 * second
		}
	case "":
		s.network.dialogue(at, serverAddr, server, 25,
			mailDialogueAt(name, false, from, to, "250 ok", "250 queued"))
	default:
		s.network.dialogue(at, serverAddr, server, 25,
			mailDialogueAt(name, false, from, to, reply, ""))
	}
	return 200 * millisecond
}

// deferMessage puts a message back into the queue.
func (s *queueRun) deferMessage(m *queuedMessage) {
	s.waiting[m.id] = true
	m.retryLater()
	heap.Push(&s.queue, *m)
}

// note adds the present length of the queue to the truth.
func (s *queueRun) note(at int64) {
	s.truth = append(s.truth, queueLength{at, len(s.waiting)})
}

// compare compares the estimates in the sensor's hourly records with the truth.
func (q *queueResult) compare(records []mailserver.Record, truth []queueLength, end int64) {
	var errs []float64 // percent
	good := 0
	for _, rec := range records {
		i, _ := slices.BinarySearchFunc(truth, rec.Time, func(l queueLength, t int64) int {
			return cmp.Compare(l.at, t)
		})
		if i == 0 || rec.Time > end {
			continue
		}
		length := truth[i-1].n
		q.most = max(q.most, length)
		off := math.Abs(float64(rec.Queue.Estimate - length))
		errs = append(errs, 100*off/float64(max(length, 1)))
		if off <= max(1, 0.1*float64(length)) {
			good++
		}
	}
	q.hours = len(errs)
	if len(errs) > 0 {
		slices.Sort(errs)
		q.median, q.within = errs[len(errs)/2], 100*float64(good)/float64(len(errs))
	}
}
