package sources

import "spamsensor/sensor/verdict"

// Any machine in a network of ours can send SYNs in the name of all addresses of the network. Each
// address would be judged, found suspect, and evicted for the next one: more events than packets,
// and much work. So a finding of level suspect is opened only as often as budget allows, if the
// host has no session, or if its profile was evicted while it had a finding. The tick judges a host
// with a withheld finding again every minute. A finding of level likely or confirmed, or about a
// host with sessions, is never withheld.
//
// Where all places for profiles are taken, see crowded.

// budget is how many such findings a shard may open now.
type budget struct {
	left int
	at   int64 // time of the latest refill, in nanoseconds
}

const (
	// budgetBurst is how many findings can be opened at once, in each of 16 shards.
	budgetBurst = 6
	// budgetEvery is the time after which one more can be opened.
	budgetEvery = 2 * minute
)

// take takes one finding from the budget. It reports false if there is none.
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

// mayOpen reports whether a finding may be opened. If not, it is withheld until a later tick.
func (s *Observer) mayOpen(src *Source, prof *profile, level verdict.Level, now int64) bool {
	open := level > verdict.Suspect || src.flags&declared != 0 ||
		prof.Sessions() > 0 && src.flags&evictedOpen == 0 || prof.former != nil
	if open || s.findingBudget.take(now) {
		prof.withheld = false
		return true
	}
	if !prof.withheld {
		prof.withheld = true
		s.count.Withheld++
		s.follow(src)
	}
	return false
}
