package contacts

import (
	"math/rand/v2"
	"testing"
)

// sender plays first contacts to a Share.
type sender struct {
	t    Share
	now  int64
	unit uint32
	r    *rand.Rand
	// queue is what is tried again, and when.
	queue []failedAt
}

type failedAt struct {
	unit uint32
	at   int64
}

// deliver makes n first contacts, `apart` seconds from one to the next, of which a share is dead. A
// dead one is tried again if the sender is a mail server.
func (s *sender) deliver(n int, apart float64, dead float64, retries bool) (decided int) {
	for i := range n {
		s.now += int64(apart * float64(second))
		for len(s.queue) > 0 && s.queue[0].at <= s.now {
			s.t.Again(s.queue[0].unit, s.now)
			s.queue = s.queue[1:]
		}
		s.unit++
		s.t.Begin(s.unit, s.now)
		if s.r.Float64() < dead {
			if retries {
				s.queue = append(s.queue, failedAt{s.unit, s.now + 1000*second})
			}
			continue
		}
		if s.t.Answered(s.unit, alpha, s.now+second/5) && decided == 0 {
			decided = i + 1
		}
	}
	return decided
}

func newSender(seed uint64) *sender {
	return &sender{now: begin, r: rand.New(rand.NewPCG(seed, 1))}
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		name    string
		n       int
		apart   float64
		dead    float64
		retries bool
		bot     bool
	}{
		{"a bot, 20 a minute, a third dead", 290, 3, 1. / 3, false, true},
		{"a bot, 10 a minute, a quarter dead", 400, 6, 0.25, false, true},
		{"a slow bot, two an hour, a third dead", 150, 1800, 1. / 3, false, true},
		{"a mail server", 2000, 60, 0.03, true, false},
		{"a fast mail server that never tries again", 2000, 2, 0.05, false, false},
		{"a newsletter with an old list", 3000, 0.5, 0.1, true, false},
		{"an old list, nothing tried again", 3000, 0.5, 0.1, false, false},
	} {
		for seed := range uint64(50) {
			if got := newSender(seed).deliver(c.n, c.apart, c.dead, c.retries); got > 0 != c.bot {
				t.Errorf("%s, seed %d: decided at %d", c.name, seed, got)
			}
		}
	}
}

// While the uplink is down everything fails. A queue that is flushed shows dead servers that others
// were tried before.
func TestShareOutages(t *testing.T) {
	for seed := range uint64(50) {
		s := newSender(seed)
		decided := s.deliver(200, 20, 0.03, true)
		s.deliver(180, 20, 1, false) // an hour, and nothing is tried again
		decided += s.deliver(200, 20, 0.03, true)
		if decided > 0 || s.t.Failed() > 25 {
			t.Errorf("outage, seed %d: decided at %d, %d failed", seed, decided, s.t.Failed())
		}
		s = newSender(seed)
		decided = s.deliver(60, 2, 0.7, true) // the queue, at the begin of the capture
		if decided += s.deliver(300, 60, 0.03, true); decided > 0 {
			t.Errorf("flush, seed %d: decided at %d", seed, decided)
		}
	}
	var blocked Share // no route for IPv6
	for i := range uint32(500) {
		blocked.Begin(i, begin+int64(i)*60*second)
	}
	if blocked.Answered(9999, alpha, begin) || blocked.Failed() > 2 || blocked.Fails() {
		t.Errorf("%d failures without any success", blocked.Failed())
	}
}

// Any server of a provider will do, and an answer within the time.
func TestShareAnswers(t *testing.T) {
	var s Share
	for i := range uint32(100) {
		at := begin + int64(i)*10*second
		s.Begin(i, at)
		s.Answered(i, alpha, at+(AnswerLimit-1)*second)
	}
	if s.Failed() > 0 || s.Worked() != 100 {
		t.Errorf("%d failed, %d worked", s.Failed(), s.Worked())
	}
}
