package flowtable

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// wheelModel is a pool beside a plain list of the entries that are scheduled in it.
type wheelModel struct {
	t    *testing.T
	p    *Pool[Key, int64]
	rng  *rand.Rand
	now  int64
	live map[Ref]uint16 // entries and their generations
	due  map[Ref]int64  // the due time, not before the time of scheduling
	next uint32         // number of the next key
}

func (m *wheelModel) add() {
	k := number(m.next)
	m.next++
	m.live[m.p.Add(uint64(m.next)*0x9e3779b97f4a7c15, &k)] = 0
	for r := range m.live {
		m.live[r] = m.p.Gen(r)
	}
}

// remove and schedule do the same to the pool and to the list.
func (m *wheelModel) remove(r Ref) {
	m.p.Remove(r)
	delete(m.live, r)
	delete(m.due, r)
}

func (m *wheelModel) schedule(r Ref) {
	at := m.now + m.rng.Int64N(1200*second) - 20*second
	switch m.rng.IntN(20) {
	case 0:
		at = math.MaxInt64
	case 1:
		at = math.MinInt64
	}
	m.p.Schedule(r, m.now, at)
	m.due[r] = max(at, m.now)
}

// any is a random entry, 0 if there is none.
func (m *wheelModel) any() Ref {
	if len(m.live) == 0 {
		return 0
	}
	refs := slices.Sorted(maps.Keys(m.live))
	return refs[m.rng.IntN(len(refs))]
}

// expire expires all due entries. The callback changes the expired entry and others in every
// allowed way.
func (m *wheelModel) expire() {
	given := map[Ref]bool{} // expired by this call, and not scheduled again since
	m.p.Expire(m.now, func(r Ref, k *Key, _ *int64) {
		gen, live := m.live[r]
		at, scheduled := m.due[r]
		switch {
		case !live || !m.p.Used(r, gen) || m.p.KeyOf(r) != k:
			m.t.Fatalf("entry %d was given after it was removed", r)
		case !scheduled || given[r]:
			m.t.Fatalf("entry %d was given and is not scheduled", r)
		}
		if at > m.now { // too early, because the wheel ends or the time jumped
			m.p.Schedule(r, m.now, at)
			return
		}
		delete(m.due, r)
		for range m.rng.IntN(3) {
			switch x := m.any(); m.rng.IntN(8) {
			case 0:
				m.schedule(r)
			case 1:
				if x != 0 && x != r {
					m.schedule(x)
				}
			case 2:
				m.add()
			case 3, 4: // the next entry
				if next := Ref(m.p.wheel.due); next != 0 {
					m.remove(next)
				}
			case 5:
				if x != 0 && x != r {
					m.remove(x)
				}
			case 6:
				if m.rng.IntN(20) == 0 {
					for x := range m.live {
						if x != r {
							m.remove(x)
						}
					}
				}
			}
			if _, live := m.live[r]; !live {
				return // it was evicted for the added entry
			}
		}
		if _, again := m.due[r]; !again {
			m.remove(r)
		}
	})
	for r, at := range m.due {
		if at < m.now-2*second {
			m.t.Fatalf("entry %d was due %d s ago and was not given", r, (m.now-at)/second)
		}
	}
}

// check compares the chains and the places with the list: each entry is in one chain at most, and
// each place is an entry or free, once.
func (m *wheelModel) check() {
	m.t.Helper()
	w := &m.p.wheel
	if w.due != 0 {
		m.t.Fatal("entries wait for a call that is over")
	}
	chained := map[Ref]bool{}
	for slot, r := range w.head {
		for prev := uint32(0); r != 0; prev, r = r, m.p.at(r).next {
			if e := m.p.at(r); chained[Ref(r)] || int(e.slot) != slot+1 || e.prev != prev {
				m.t.Fatalf("entry %d is chained wrongly", r)
			}
			chained[Ref(r)] = true
		}
	}
	for r := range m.due {
		if !chained[r] {
			m.t.Fatalf("entry %d is scheduled and in no chain", r)
		}
	}
	free := map[uint32]bool{}
	for _, r := range m.p.free {
		if _, live := m.live[Ref(r)]; free[r] || live {
			m.t.Fatalf("place %d was freed twice, or is used", r)
		}
		free[r] = true
	}
	if len(chained) != len(m.due) || m.p.Len() != len(m.live) ||
		int(m.p.top) != 1+len(m.live)+len(m.p.free) {
		m.t.Fatalf("%d chained of %d, %d entries of %d, %d places of %d", len(chained), len(m.due),
			m.p.Len(), len(m.live), m.p.top, 1+len(m.live)+len(m.p.free))
	}
}

// TestWheelModel checks that random programs on the wheel have the same effect as on a plain list,
// for any removals and schedules in the callback of Expire, at any time.
func TestWheelModel(t *testing.T) {
	for seed := range uint64(300) {
		m := &wheelModel{t: t, rng: rand.New(rand.NewPCG(seed, 1)), live: map[Ref]uint16{},
			due: map[Ref]int64{}}
		m.p = &New(Config{Flows: 48, Sources: 16, Attempts: 16, Shards: 1},
			Callbacks[int64, int64, int64]{
				FlowKeepPriority:   func(v *int64) int64 { return *v },
				SourceKeepPriority: func(v *int64) int64 { return *v },
				FlowEvicted: func(_ int, r Ref, _ *Key, _ *int64) {
					delete(m.live, r)
					delete(m.due, r)
				},
			}).Shard(0).Flows
		m.now = []int64{0, -3000 * second, 1e18, math.MaxInt64 - 1e15, math.MinInt64 + 1e15}[seed%5]
		for range 600 {
			switch m.rng.IntN(8) {
			case 0, 1:
				m.add()
			case 2, 3, 4:
				if r := m.any(); r != 0 {
					m.schedule(r)
				}
			case 5:
				if r := m.any(); r != 0 {
					m.p.unschedule(uint32(r))
					delete(m.due, r)
				}
			case 6:
				if r := m.any(); r != 0 {
					m.remove(r)
				}
			case 7:
				step := m.rng.Int64N(100 * second)
				switch m.rng.IntN(20) {
				case 0:
					step = -step * 10
				case 1:
					step *= 100
				}
				if (m.now+step > m.now) == (step > 0) { // no overflow
					m.now += step
				}
				m.expire()
			}
			m.check()
		}
	}
}

// TestExpireAfterPanic checks that a panic of the callback costs its entry only: the next Expire
// expires the entries after it.
func TestExpireAfterPanic(t *testing.T) {
	p := &newTest(Config{Flows: 64, Sources: 16, Attempts: 16, Shards: 1}).Shard(0).Flows
	for n := range uint32(10) {
		k := number(n)
		p.Schedule(p.Add(uint64(n), &k), 0, 5*second)
	}
	given := 0
	func() {
		defer func() { recover() }()
		p.Expire(100*second, func(r Ref, _ *Key, _ *int64) {
			if given++; given == 4 {
				panic("a fault")
			}
			p.Remove(r)
		})
	}()
	p.Expire(100*second, func(r Ref, _ *Key, _ *int64) { given++; p.Remove(r) })
	if given != 10 || p.Len() != 1 {
		t.Errorf("%d given of 10, %d entries left", given, p.Len())
	}
}
