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
	median, within float64
	need           float64 // percent of the hours that must be within; zero: a lower bound is all that can be had
}

func (q *queueResult) verdict(judge func(bool) string) string {
	if q.need == 0 {
		return "a lower bound, as declared"
	}
	return judge(q.within >= q.need)
}

// letter is a message in the queue of the simulated server.
type letter struct {
	id      int
	dest    int
	arrived int64
	next    int64
}

type letters []letter

func (l letters) Len() int           { return len(l) }
func (l letters) Less(i, j int) bool { return cmp.Less(l[i].next, l[j].next) }
func (l letters) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *letters) Push(x any)        { *l = append(*l, x.(letter)) }
func (l *letters) Pop() any          { n := len(*l); x := (*l)[n-1]; *l = (*l)[:n-1]; return x }

// trouble says what a destination answers to a letter at a time: "" is that it takes it, "none" and "reset" that nobody
// answers.
type trouble func(l *letter, at int64) string

// queueCase is a mix of destinations.
type queueCase struct {
	name string
	need float64
	// perDest has the server try a destination that is down with one letter only, as Postfix
	// does.
	perDest bool
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
			return outage(rnd, 20, "450 4.7.1 Client host [198.51.100.80] blocked using bl.example.org")
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
	// Where deliveries can be told apart all but every hour must be right, and nine of ten where only tries are seen.
	return []queueCase{{"refused for now", 95, false, mixed}, {"all on a blocklist for a day", 95, false, func(rnd *rand.Rand, dest int) trouble {
		return outage(rnd, 24, "421 4.7.0 listed at bl.example.org")
	}}, {"a quarter is silent", 90, false, down("none")}, {"a quarter resets", 90, false, down("reset")}, {"a quarter is silent, one try each", 0, true, down("none")}}
}

// queues simulates five days and more. Retries are Postfix's: after the time that a letter has been waiting, but no
// sooner than 300 s and no later than 4000 s, looked at every 300 s; five days and it
// is returned (its documented defaults).
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
		heap.Push(&q, letter{id, rnd.IntN(dests), t, t})
	}
	waiting := map[int]bool{} // tried and not delivered
	type mark struct {
		at int64
		n  int
	}
	var truth []mark
	dead := map[int]int64{} // until when a destination is not tried
	for q.Len() > 0 {
		l := heap.Pop(&q).(letter)
		at := l.next
		if at >= end {
			break
		}
		l.next = at + max(300*second, min(4000*second, at-l.arrived))
		l.next = (l.next/(300*second)+1)*(300*second) + int64(l.id%250)*second
		if c.perDest && at < dead[l.dest] {
			waiting[l.id] = true
			truth = append(truth, mark{at, len(waiting)})
			heap.Push(&q, l)
			continue
		}
		server := fmt.Sprintf("198.18.%d.25", l.dest)
		answer := does[l.dest](&l, at)
		from, to := "bob@corp.example", []string{fmt.Sprintf("p%d@d%d.example", l.id, l.dest)}
		switch answer {
		case "":
			n.dialogue(at, ours, server, 25, mail(false, from, to, "250 ok", "250 queued"))
		case "none", "reset":
			n.syn(at, ours, server, answer == "reset")
			dead[l.dest] = at + 300*second
		default:
			n.dialogue(at, ours, server, 25, mail(false, from, to, answer, ""))
		}
		if answer == "" || at-l.arrived > 5*day {
			delete(waiting, l.id)
		} else {
			waiting[l.id] = true
			heap.Push(&q, l)
		}
		truth = append(truth, mark{at, len(waiting)})
	}
	r := queueResult{name: c.name, need: c.need}
	var errs []float64
	good := 0
	for _, rec := range n.records {
		i, _ := slices.BinarySearchFunc(truth, rec.Time, func(m mark, t int64) int { return cmp.Compare(m.at, t) })
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
