package main

import (
	"cmp"
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// queueResult compares estimates with the truth.
type queueResult struct {
	name           string
	most, hours    int
	failed         int // tries
	median, within float64
	need           float64 // percent of the hours that must be within; zero: it is only reckoned
}

func (q *queueResult) verdict(judge func(bool) string) string {
	if q.need == 0 {
		return "reckoned from what usually goes there; half of the hours within 25 %: " +
			judge(q.median <= 25)
	}
	return judge(q.within >= q.need)
}

// letter is a message in the queue of the simulated server.
type letter struct {
	id      int
	dest    int
	arrived int64
	next    int64
	host    int   // of the destination, to be tried next
	began   int64 // when the first host was tried this time
}

// later has it tried again after the time that it has been waiting, no sooner than 300 s and no
// later than 4000 s.
func (l *letter) later() {
	l.host = 0
	l.next = l.began + max(300*second, min(4000*second, l.began-l.arrived))
	l.next = (l.next/(300*second)+1)*(300*second) + int64(l.id%250)*second
}

type letters []letter

func (l letters) Len() int           { return len(l) }
func (l letters) Less(i, j int) bool { return cmp.Less(l[i].next, l[j].next) }
func (l letters) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *letters) Push(x any)        { *l = append(*l, x.(letter)) }
func (l *letters) Pop() any          { n := len(*l); x := (*l)[n-1]; *l = (*l)[:n-1]; return x }

// trouble says what a destination answers to a letter at a time: "" is that it takes it, "none" and
// "reset" that nobody answers.
type trouble func(l *letter, at int64) string

// queueCase is a mix of destinations.
type queueCase struct {
	name string
	need float64
	// perDest has the server try a destination that is down with one letter only, as Postfix
	// does.
	perDest bool
	hosts   int  // MX hosts of a destination, each in another network; zero means one
	first   bool // only the first has trouble
	dns     bool // lookups are seen
	draw    func(rnd *rand.Rand, dest int) trouble
}

// outage is an answer from a start on for some hours.
func outage(rnd *rand.Rand, hours float64, answer string) trouble {
	begin := monday + 12*hour + int64(rnd.Float64()*float64(30*hour))
	end := begin + int64(rnd.ExpFloat64()*hours*float64(hour))
	return func(_ *letter, at int64) string {
		if at >= begin && at < end {
			return answer
		}
		return ""
	}
}

func greylist(l *letter, at int64) string {
	if at-l.arrived < 5*minute {
		return "450 4.7.1 greylisted, try again"
	}
	return ""
}

func fine(*letter, int64) string { return "" }

func cases() []queueCase {
	mixed := func(rnd *rand.Rand, dest int) trouble {
		switch {
		case dest%10 == 0:
			return greylist
		case dest%10 == 1:
			return outage(rnd, 8, "451 4.3.0 out of order")
		case dest%10 == 2:
			return outage(rnd, 20, "450 4.7.1 Client host [198.51.100.80] blocked using "+
				"bl.example.org")
		case dest%20 == 3:
			return outage(rnd, 200, "452 4.2.2 mailbox full") // many are never delivered
		}
		return fine
	}
	down := func(answer string) func(rnd *rand.Rand, dest int) trouble {
		return func(rnd *rand.Rand, dest int) trouble {
			if dest%4 == 0 {
				return outage(rnd, 24, answer)
			}
			return mixed(rnd, dest)
		}
	}
	blocked := func(rnd *rand.Rand, dest int) trouble {
		return outage(rnd, 24, "421 4.7.0 listed at bl.example.org")
	}
	// Where deliveries can be told apart all but every hour must be right, and nine of ten where
	// only tries are seen. A server that tries a silent destination with one letter only shows no
	// more than that it is silent: then the estimate is what usually goes there, give or take what
	// chance does with a dozen letters.
	return []queueCase{{name: "refused for now", need: 95, draw: mixed},
		{name: "all on a blocklist for a day", need: 95, draw: blocked},
		{name: "a quarter is silent", need: 90, draw: down("none")},
		{name: "a quarter resets", need: 90, draw: down("reset")},
		{name: "a quarter is silent, one try each", perDest: true, draw: down("none")},
		{name: "three MX, all on a blocklist", need: 95, hosts: 3, draw: blocked},
		{name: "three MX, a quarter is silent", need: 90, hosts: 3, dns: true, draw: down("none")},
		{name: "three MX, a quarter resets", need: 90, hosts: 3, dns: true, draw: down("reset")},
		// The second takes at once what the first did not: nothing waits.
		{name: "three MX, the first often silent", need: 90, hosts: 3, first: true,
			draw: down("none")}}
}

// queues simulates five days and more. Retries are Postfix's: after the time that a letter has been
// waiting, but no sooner than 300 s and no later than 4000 s, looked at every 300 s; five days and
// it is returned (its documented defaults).
func queues(seed uint64) (list []queueResult) {
	for i, c := range cases() {
		rnd := rand.New(rand.NewPCG(seed, uint64(900+i)))
		list = append(list, c.run(rnd))
	}
	return list
}

func (c *queueCase) run(rnd *rand.Rand) queueResult {
	const dests = 60
	n := newNetwork("corp.example")
	var does [dests]trouble
	for d := range does {
		does[d] = c.draw(rnd, d)
	}
	var q letters
	end := monday + 4*day
	id := 0
	for t := monday; t < end; t += int64(rnd.ExpFloat64() * float64(2*minute)) {
		id++
		heap.Push(&q, letter{id: id, dest: rnd.IntN(dests), arrived: t, next: t})
	}
	waiting := map[int]bool{} // tried and not delivered
	type mark struct {
		at int64
		n  int
	}
	var truth []mark
	failed := 0
	dead := map[int]int64{} // until when a destination is not tried
	for q.Len() > 0 {
		l := heap.Pop(&q).(letter)
		at := l.next
		if at >= end {
			break
		}
		if l.host == 0 {
			l.began = at
		}
		if c.perDest && at < dead[l.dest] {
			waiting[l.id] = true
			truth = append(truth, mark{at, len(waiting)})
			l.later()
			heap.Push(&q, l)
			continue
		}
		name := fmt.Sprintf("mx%d.d%d.example", l.host+1, l.dest)
		server := fmt.Sprintf("198.18.%d.25", l.dest+80*l.host)
		answer := does[l.dest](&l, at)
		if c.first && l.host > 0 {
			answer = ""
		}
		from, to := "bob@corp.example", []string{fmt.Sprintf("p%d@d%d.example", l.id, l.dest)}
		if c.dns {
			n.lookup(at, ours, name, server)
		}
		if answer != "" {
			failed++
		}
		pause := 200 * millisecond
		switch answer {
		case "":
			n.dialogue(at, ours, server, 25, mailAt(name, false, from, to, "250 ok", "250 queued"))
		case "none", "reset":
			n.syn(at, ours, server, answer == "reset")
			dead[l.dest] = at + 300*second
			if answer == "none" {
				pause = 30 * second
			}
		default:
			n.dialogue(at, ours, server, 25, mailAt(name, false, from, to, answer, ""))
		}
		switch {
		case answer == "" || at-l.arrived > 5*day:
			delete(waiting, l.id)
		case l.host+1 < c.hosts: // it is known whether it waits when the last host was tried
			l.host, l.next = l.host+1, at+pause
			heap.Push(&q, l)
			continue
		default:
			waiting[l.id] = true
			l.later()
			heap.Push(&q, l)
		}
		truth = append(truth, mark{at, len(waiting)})
	}
	r := queueResult{name: c.name, need: c.need, failed: failed}
	var errs []float64
	good := 0
	for _, rec := range n.records {
		i, _ := slices.BinarySearchFunc(truth, rec.Time, func(m mark, t int64) int {
			return cmp.Compare(m.at, t)
		})
		if i == 0 || rec.Time > end {
			continue
		}
		is := truth[i-1].n
		r.most = max(r.most, is)
		off := math.Abs(float64(rec.Queue.Estimate - is))
		errs = append(errs, 100*off/float64(max(is, 1)))
		if off <= max(1, 0.1*float64(is)) {
			good++
		}
	}
	r.hours = len(errs)
	if len(errs) > 0 {
		slices.Sort(errs)
		r.median, r.within = errs[len(errs)/2], 100*float64(good)/float64(len(errs))
	}
	return r
}
