package mailserver

import (
	"testing"

	"spamsensor/sensor/verdict"
)

// TestDestination checks that the MX hosts of a destination, each in another network, are one
// destination: a message that all of them defer, or that none of them answers, waits once.
func TestDestination(t *testing.T) {
	const domain = 77
	begin := 1700000000 * second
	for name, row := range map[string]struct {
		do   func(q *Queue, at int64)
		want int
	}{
		"one letter, three silent hosts": {func(q *Queue, at int64) {
			for i := range uint32(3) {
				q.fail(1+i, 11+i, false, at+int64(i)*30*second)
			}
		}, 1},
		"two letters, three silent hosts in any order": {func(q *Queue, at int64) {
			for i, host := range []uint32{1, 2, 2, 1, 3, 3} {
				q.fail(host, 10+host, false, at+int64(i)*10*second)
			}
		}, 2},
		"the next round is that of the same letter": {func(q *Queue, at int64) {
			for _, later := range []int64{0, 10 * minute} {
				for i := range uint32(3) {
					q.fail(1+i, 11+i, false, at+later+int64(i)*second)
				}
			}
		}, 1},
		"one letter that all put off": {func(q *Queue, at int64) {
			for i := range uint32(3) {
				q.deferred(5, 1+i, 11+i, false, at+int64(i)*second)
			}
		}, 1},
		"one letter that one puts off and the others do not answer": {func(q *Queue, at int64) {
			q.deferred(5, 1, 11, false, at)
			q.fail(2, 12, false, at+second)
			q.fail(3, 13, false, at+2*second)
		}, 1},
		"one letter that the first does not answer and the second puts off": {func(q *Queue, at int64) {
			q.fail(1, 11, false, at)
			q.deferred(5, 2, 12, false, at+second)
		}, 1},
		"the second host takes it": {func(q *Queue, at int64) {
			q.fail(1, 11, false, at)
			q.resolve(5, 2, 12, at+second)
		}, 0},
		"the second host takes it before the first try is given up": {func(q *Queue, at int64) {
			q.connecting(1, 11, at)
			q.resolve(5, 2, 12, at+10*second)
			q.tick(at + minute)
		}, 0},
		"another destination": {func(q *Queue, at int64) {
			q.fail(1, 11, false, at)
			q.fail(9, 19, false, at+second)
		}, 2},
	} {
		for how, learn := range map[string]func(q *Queue){
			"by the name of its servers": func(q *Queue) {
				for i := range uint32(3) {
					q.belongs(1+i, 1000+i, false) // each receives mail for another domain
					q.belongs(1+i, domain, true)
				}
			},
			"by the domain of its recipients": func(q *Queue) {
				for i := range uint32(3) {
					q.belongs(1+i, domain, false)
				}
			},
		} {
			var q Queue
			learn(&q)
			row.do(&q, begin)
			if got := q.state(begin + 11*minute); got.Estimate != row.want {
				t.Errorf("%s, %s: %d wait, want %d", name, how, got.Estimate, row.want)
			}
		}
	}
	// Hosts that are joined later join the messages that were counted twice.
	var q Queue
	q.fail(1, 11, false, begin)
	q.fail(2, 12, false, begin+second)
	if got := q.state(begin).Estimate; got != 2 {
		t.Errorf("nothing is known: %d", got)
	}
	q.belongs(1, domain, true)
	q.belongs(2, domain, true)
	if got := q.state(begin); got.Estimate != 1 || got.Destinations != 1 || q.messages != 1 {
		t.Errorf("known later: %+v, %d letters", got, q.messages)
	}
}

// TestReckoned checks a server that tries an unreachable destination with one message only: the
// estimate is the usual volume to that destination; if that is not known, it is marked as a lower
// bound.
func TestReckoned(t *testing.T) {
	at := 1700000000 * second
	var q Queue
	deliver := func(n int, net uint32) {
		for range n {
			at += second
			q.resolve(uint64(at), net, net, at)
			q.accepted(net, at)
		}
	}
	deliver(300, 1)
	deliver(100, 2)
	try := func(net uint32) {
		for range 10 {
			at += 5 * minute
			q.fail(net, net, false, at)
			deliver(9, 1)
		}
	}
	try(3)
	if got := q.state(at); !got.LowerBound || got.Estimate < 1 {
		t.Errorf("nothing ever went there: %+v", got)
	}
	q = Queue{Destinations: q.Destinations}
	try(2)
	if got := q.state(at); got.LowerBound || got.Estimate < 15 || got.Estimate > 35 {
		t.Errorf("a quarter or fifth of all goes there, and the others took 90: %+v", got)
	}
	q.RetriesAll = at // it tries each message
	if got := q.state(at); got.LowerBound || got.Estimate > 10 {
		t.Errorf("the tries say it: %+v", got)
	}
	q.Hidden = at
	if got := q.state(at); !got.LowerBound {
		t.Error("what is encrypted is not counted, and that is not said")
	}
}

func TestDestinationsAreBounded(t *testing.T) {
	var q Queue
	for i := range uint32(3 * maxDestinations) {
		q.belongs(i, i+1, true)
		q.accepted(i, second)
	}
	if len(q.Destinations.Of) != maxDestinations || len(q.Destinations.Usual) != maxDestinations {
		t.Errorf("%d networks, %d destinations", len(q.Destinations.Of), len(q.Destinations.Usual))
	}
	for range 3 * maxUsual {
		q.accepted(1, second)
	}
	if q.Destinations.Total >= maxUsual || q.Destinations.share(2) < 0.9 {
		t.Errorf("%d of %d", q.Destinations.Usual[2], q.Destinations.Total)
	}
}

// TestClockPutBack checks that the content of a checkpoint with times in the future becomes old
// nevertheless.
func TestClockPutBack(t *testing.T) {
	ahead, now := 1900000000*second, 1700000000*second
	var s Server
	tell := func(verdict.Verdict) {}
	each(s.Advance(ahead), tell)
	for i := range uint64(30) {
		s.Queue.deferred(i, uint32(i), uint32(i), false, ahead)
	}
	s.Queue.fail(1, 1, false, ahead)
	each(s.Advance(ahead+2*minute), tell)
	if s.Queue.Outage.From == 0 || s.Queue.state(ahead).Estimate != 31 {
		t.Fatalf("nothing was tested: %+v", s.Queue.state(ahead))
	}
	s.Resume(now)
	for at := now; at < now+5*hour; at += minute {
		each(s.Advance(at), tell)
	}
	if q := s.Queue.state(now + 5*hour); q.Estimate != 0 || s.Last > now+5*hour || s.Queue.Outage.flushes(now) {
		t.Errorf("five hours later: %+v, last %d, outage %+v", q, s.Last, s.Queue.Outage)
	}
}

// TestShareWhileSilent checks that the usual volume to a destination is the volume before it became
// unreachable, however long that lasts, and that mail from before the server's queue lifetime does
// not wait any more.
func TestShareWhileSilent(t *testing.T) {
	var q Queue
	now := monday
	take := func(n int) {
		for range n {
			for net := range uint32(10) {
				q.accepted(net, now)
			}
			now += minute
		}
	}
	try := func() {
		q.connecting(3, 3, now)
		q.tick(now + 40*second)
	}
	take(100)
	for range 12 {
		try()
		for range 8 { // the others accept as much as before, 8 an hour each
			for net := range uint32(10) {
				if net != 3 {
					q.accepted(net, now)
				}
			}
			now += hour / 8
		}
	}
	try()
	if got := q.state(now).Estimate; got < 86 || got > 106 {
		t.Errorf("after 12 hours: %d letters wait, and 96 do", got)
	}
	d := q.Unreachable[3]
	d.Since = now - 2*maxQueued // it has been unreachable for a long time
	if got, _ := q.waits(&d, q.others(), now); got < 43 || got > 53 {
		t.Errorf("twice as long as a server is patient: %d letters wait, and half of what came does", got)
	}
	if !d.Known || d.Share < 0.09 || d.Share > 0.11 {
		t.Errorf("its share is %.3f", d.Share)
	}
}
