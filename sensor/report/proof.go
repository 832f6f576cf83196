package report

import (
	"cmp"
	"slices"

	"spamsensor/sensor/finding"
	"spamsensor/smtpsniff/refusal"
)

// kind is what a session proves; a later one says more.
type kind uint8

const (
	unknown  kind = iota // the dialogue is not known
	named                // senders, and no result
	accepted             // a message
	deferred             // a refusal with a request to come back
	refused              // for another reason than the next ones
	spam                 // refused as spam, or for the receiver's opinion of the client
	listed               // refused because of a blocklist
)

// String is the name in a Model.
func (k kind) String() string {
	return [...]string{"", "named", "accepted", "deferred", "refused", "spam", "blocklist"}[k]
}

// kindOf is what a session proves, and the refusal that does; nil if there is none.
func kindOf(s *finding.Session) (k kind, by *finding.RefusalText) {
	switch {
	case s.Messages > 0:
		k = accepted
	case len(s.MailFrom) > 0:
		k = named
	}
	most := unknown
	for i := range s.Refusals {
		if why := refusedBy(&s.Refusals[i]); why > most {
			most, by = why, &s.Refusals[i]
		}
	}
	return max(k, most), by
}

// refusedBy is what a refusal proves.
func refusedBy(r *finding.RefusalText) kind {
	switch r.Why {
	case refusal.Blocklisted, refusal.DynamicRange:
		return listed
	case refusal.SpamSeen, refusal.Reputation, refusal.ListedLink:
		return spam
	}
	if r.Code < 500 {
		return deferred
	}
	return refused
}

// proofs are the sessions of a client that prove most, in the order in which they ended. They are
// of several kinds: five refusals of one kind prove no more than two.
type proofs struct {
	list []session
	seen int // sessions that were looked at since the list is full of known ones
}

// maxSeen bounds how many sessions of a client are looked at when its list is full. While a session
// of the list proves nothing, there is no bound: the first one that does takes its place.
const maxSeen = 200

// unread reports whether the dialogue of a session of the list is not known.
func (p *proofs) unread() bool {
	return slices.ContainsFunc(p.list, func(s session) bool { return s.kind == unknown })
}

// place is where a session of a kind belongs: its own place at the end of the list, or that of a
// session that proves less; negative if there is none. inbound says that the client is a stranger:
// then the first sessions are those that the finding about our server rests on.
func (p *proofs) place(k kind, inbound bool) int {
	if len(p.list) < maxSessions {
		return len(p.list)
	}
	var count [listed + 1]int
	for i := range p.list {
		count[p.list[i].kind]++
	}
	// Of the kind that has most sessions, of several the one that says least, the latest.
	victim := len(p.list) - 1
	for i := victim - 1; i >= 0; i-- {
		a, b := p.list[i].kind, p.list[victim].kind
		if cmp.Or(cmp.Compare(count[a], count[b]), cmp.Compare(b, a)) > 0 {
			victim = i
		}
	}
	if count[unknown] > 0 {
		victim = len(p.list) - 1
		for p.list[victim].kind != unknown {
			victim--
		}
	}
	switch least := p.list[victim].kind; {
	case k == unknown, inbound && least != unknown:
		return -1
	case least == unknown, count[k] == 0 && (k > least || count[least] > 1),
		k > least && count[k] < 2 && count[least] > 1:
		return victim
	}
	return -1
}

// add puts a session in its place.
func (p *proofs) add(s session, place int) {
	if place < len(p.list) {
		p.list = slices.Delete(p.list, place, place+1)
	}
	p.list = append(p.list, s)
}

// Telling are n sessions of the proof at most, in the order of time: those that prove most, one of
// each kind, and only then a second one of the kind that says most.
func (f *Finding) Telling(n int) []Session {
	if len(f.Proof) <= n {
		return f.Proof
	}
	order := make([]int, len(f.Proof))
	for i := range order {
		order[i] = i
	}
	turn := make([]int, len(f.Proof)) // which of its kind a session is
	count := map[string]int{}
	for i := range f.Proof {
		turn[i] = count[f.Proof[i].Kind]
		count[f.Proof[i].Kind]++
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(turn[a], turn[b]),
			cmp.Compare(telling(f.Proof[b].Kind), telling(f.Proof[a].Kind)))
	})
	order = order[:n]
	slices.Sort(order)
	list := make([]Session, 0, n)
	for _, i := range order {
		list = append(list, f.Proof[i])
	}
	return list
}

// telling orders the names of kinds.
func telling(name string) kind {
	for k := listed; k > unknown; k-- {
		if k.String() == name {
			return k
		}
	}
	return unknown
}
