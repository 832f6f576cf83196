package mailserver

import "testing"

// TestSilentDestination checks that messages for an unreachable destination are distinguished by
// their attempts.
func TestSilentDestination(t *testing.T) {
	var q Queue
	at := 1700000000 * second
	try := func(after int64, host uint32, answers bool) {
		at += after
		q.connecting(1, host, at)
		if answers {
			q.answer(1, host)
			q.resolve(uint64(at), 1, host, at) // a message that was never refused
		}
		q.tick(at + connectTime)
	}
	check := func(what string, want int) {
		t.Helper()
		if got := q.state(at).Estimate; got != want {
			t.Errorf("%s: %d wait, want %d", what, got, want)
		}
	}
	try(0, 9, false)
	check("the first", 1)
	try(35*second, 10, false)
	check("its next address", 1)
	try(2*minute, 9, false)
	check("another one", 2)
	try(5*minute, 9, false)
	try(2*minute, 9, false)
	check("both again", 2)
	try(minute, 9, false)
	check("a third", 3)
	try(10*minute, 9, true)
	check("the first is taken", 2)
	try(20*second, 9, true)
	check("the second is taken", 1)
	q.tick(at + hour)
	check("nobody tries the third any more, and the destination works", 0)
	if q.messages != 0 || len(q.Unreachable) != 0 {
		t.Errorf("%d letters are left, %v", q.messages, q.Unreachable)
	}
	// A session that takes longer than the server waits for an answer has not failed.
	q.connecting(2, 5, at)
	q.answer(2, 5)
	q.tick(at + 2*hour)
	check("a long session", 0)
}
