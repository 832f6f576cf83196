package providers

import "spamsensor/sensor/sketch"

// Accounts are the providers that let a source submit mail: a session on a port of submission went
// over to TLS, or its login worked. A person has a handful of accounts, and a laptop with eight of
// them uses nine providers with the firm's own. Who looks after the mail of customers uses up to
// fifteen in a day. A person who sets up accounts, or guesses servers, takes half a minute for each
// of them. A bot with stolen accounts, or one that tries passwords, uses more, or is faster. The
// zero value has none.
type Accounts struct {
	list  [maxAccountsWeek + 1]sketch.Slot
	fresh [8]uint32 // when the latest were used first, in seconds
	next  uint8     // place of the next
	many  bool
}

// maxAccountsHour is how many accounts a person uses within an hour, maxAccountsDay within a day
// and maxAccountsWeek within a week: a person's are the same each day, and a slow bot's are not.
const maxAccountsHour, maxAccountsDay, maxAccountsWeek = 9, 15, 23

// pace is within how many seconds a person uses no more than so many accounts for the first time.
// All four of a telephone may come at once when it was restored, but hardly within ten seconds.
var pace = [...]struct {
	accounts uint8
	seconds  uint32
}{{3, 10}, {5, 180}}

// Add records that a provider let the source in. It reports whether there are too many accounts for
// a person, from then on.
func (a *Accounts) Add(unit uint32, now int64) (many bool) {
	at := sketch.Stamp(now)
	week, fresh := sketch.AddRecent(a.list[:], unit, at, 7*day)
	if fresh {
		for _, p := range pace {
			before := a.fresh[(a.next-p.accounts)%uint8(len(a.fresh))]
			a.many = a.many || before != 0 && at < before+p.seconds
		}
		a.fresh[a.next%uint8(len(a.fresh))] = at
		a.next++
	}
	a.many = a.many || week > maxAccountsWeek ||
		sketch.CountRecent(a.list[:], at, day) > maxAccountsDay ||
		sketch.CountRecent(a.list[:], at, hour) > maxAccountsHour
	return a.many
}

// Excuses reports whether a unit is an account that does not count.
func (a *Accounts) Excuses(unit uint32, now int64) bool {
	for i := range a.list {
		if s := &a.list[i]; s.At != 0 && s.Hash == unit {
			return !a.many && s.At+7*day > sketch.Stamp(now)
		}
	}
	return false
}

// Many reports whether there were too many accounts for a person.
func (a *Accounts) Many() bool { return a.many }

// Rename follows a change of units.
func (a *Accounts) Rename(c Change) {
	if !c.Split {
		sketch.Replace(a.list[:], c.From, c.To)
	}
}

// Slots are the accounts, with their times.
func (a *Accounts) Slots() []sketch.Slot { return a.list[:] }
