package flowtable

// Newcomers are the sources of which one SYN was seen and nothing else: not a second one, no
// answer. A flood of SYNs with random senders consists of these, and a source's entry would
// be ten times as large as what there is to know. They are kept in a ring, in the order of
// their time, with an index by host. Who does more is taken out, and becomes a source with an
// attempt.
//
// Values V are the caller's and hold no Go pointers.
type Newcomers[V any] struct {
	index
	ring []Newcomer[V]
	head uint32 // position that is written next
	live int
	// Evicted counts newcomers that were overwritten.
	Evicted uint64
	evicted func(n *Newcomer[V])
	secret  Secret
}

// Newcomer is a source's only SYN.
type Newcomer[V any] struct {
	Time    int64 // of the SYN, nanoseconds
	Key     Key
	ISN     uint32
	Outcome Outcome
	state   uint8
	Value   V
}

const gone, there = 0, 1 // the states

func (l *Newcomers[V]) init(words []uint32, ring []Newcomer[V], secret Secret, evicted func(n *Newcomer[V])) {
	l.index, l.ring, l.secret, l.evicted = newIndex(words, laps*len(ring)), ring, secret, evicted
}

// Touch fetches what Find will look at.
func (l *Newcomers[V]) Touch(host uint64) uint32 {
	if l.live == 0 {
		return 0
	}
	return l.bucket(host)[0]
}

// Find is the newcomer that is the client of k, or nil. host is its hash. The pointer is good until the next Add.
func (l *Newcomers[V]) Find(host uint64, k *Key) *Newcomer[V] {
	if l.live == 0 {
		return nil
	}
	t := l.tag(host)
	for _, w := range l.bucket(host) {
		if w>>l.refs != t {
			continue
		}
		if n := l.at(w); n.state == there && n.Key.Client == k.Client && n.Key.Scope == k.Scope {
			return n
		}
	}
	return nil
}

// at is the newcomer that a word refers to, or whoever took its place.
func (l *Newcomers[V]) at(word uint32) *Newcomer[V] {
	return &l.ring[word&uint32(len(l.ring)-1)]
}

// Add makes a newcomer that Find did not find, with a zero value.
func (l *Newcomers[V]) Add(host uint64, k *Key, isn uint32, now int64) *Newcomer[V] {
	n := l.at(l.head)
	if n.state == there {
		n.state = gone
		l.Evicted++
		l.live--
		l.evicted(n)
	}
	word, age := l.place(host, l.head, uint32(len(l.ring)-1))
	// One bucket in a million is full: its oldest cannot be found any more. But a word that was not
	// replaced for several laps looks young again, and points to somebody of another bucket.
	if old := l.at(*word); age > 0 && old.state == there && l.secret.Client(&old.Key.Client, old.Key.Scope)&l.mask == host&l.mask {
		old.state = gone
		l.Evicted++
		l.live--
		l.evicted(old)
	}
	*word = l.word(host, l.ref(l.head))
	var none V
	n.Time, n.Key, n.ISN, n.Outcome, n.state, n.Value = now, *k, isn, Waiting, there, none
	l.head++
	l.live++
	return n
}

// Take takes a newcomer out. What it points to is good until the next Add. host is the hash of its client.
func (l *Newcomers[V]) Take(host uint64, n *Newcomer[V]) {
	b := l.bucket(host)
	for i, w := range b {
		if l.at(w) == n && w>>l.refs == l.tag(host) {
			b[i] = 0
		}
	}
	n.state = gone
	l.live--
}

// All calls f for every newcomer, the oldest first.
func (l *Newcomers[V]) All(f func(n *Newcomer[V])) {
	if l.live == 0 {
		return
	}
	for i := range uint32(len(l.ring)) {
		if n := l.at(l.head + i); n.state == there {
			f(n)
		}
	}
}

// Len is how many newcomers there are.
func (l *Newcomers[V]) Len() int { return l.live }

// Cap is how many there can be.
func (l *Newcomers[V]) Cap() int { return len(l.ring) }

func (l *Newcomers[V]) memory() (used, limit uint64) {
	size := uint64(NewcomerBytes[V]())
	return uint64(l.live) * size, uint64(len(l.ring)) * size
}
