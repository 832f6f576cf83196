package engine

import "spamsensor/sensor/verdict"

// Anybody on a network of ours can send SYNs in the name of all its addresses, and each of them
// would be judged, found suspect, and forgotten again to make room for the next: more events than
// packets, and much work. So a finding whose level is suspect is given out only as often as budget
// says, if the host has no session or if the host was forgotten while it had a finding; a host that
// has to wait is asked again every minute. What is likely or confirmed, and what is found of hosts
// with sessions, is never withheld.
//
// Where all places are taken, a host gets none from one that is known as well; see crowded.

// budget is how many such findings may be opened now, in a shard.
type budget struct {
	left int
	at   int64 // since when the next one is waited for
}

const (
	// budgetBurst is how many can be opened at once, in each of 16 shards.
	budgetBurst = 6
	// budgetEvery is after how long there is one more.
	budgetEvery = 2 * minute
)

// take takes one, if there is one.
func (b *budget) take(now int64) bool {
	if b.at == 0 || now < b.at {
		b.at, b.left = now, max(b.left, budgetBurst)
	}
	if n := (now - b.at) / budgetEvery; n > 0 {
		b.left = int(min(budgetBurst, int64(b.left)+n))
		b.at += n * budgetEvery
	}
	if b.left == 0 {
		return false
	}
	b.left--
	return true
}

// mayOpen reports whether a finding may be opened. If not, the tick asks again.
func (s *sourceObserver) mayOpen(src *source, hst *host, level verdict.Level, now int64) bool {
	if level > verdict.Suspect || src.flags&declared != 0 || hst.Sessions() > 0 && src.flags&again == 0 || hst.former != nil || s.budget.take(now) {
		hst.withheld = false
		return true
	}
	if !hst.withheld {
		hst.withheld = true
		s.count.withheld++
		s.follow(src)
	}
	return false
}
