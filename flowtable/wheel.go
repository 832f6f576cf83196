package flowtable

// slots is how many seconds the wheel reaches ahead; what is due later waits in the last
// slot and is looked at again.
const slots = 1024

// wheel holds the entries of a pool by the second in which they must be looked at.
// An entry does not move when it is used: when its slot comes up, its owner says when it is really due.
type wheel struct {
	head [slots]uint32
	now  int64 // seconds; slots up to this were looked at
}

const second = int64(1e9)

// Schedule has Expire call for the entry at or within two seconds after due; both times
// are in nanoseconds. It replaces what was scheduled for the entry.
func (p *Pool[K, V]) Schedule(r Ref, now, due int64) {
	p.unschedule(uint32(r))
	if p.wheel.now == 0 {
		p.wheel.now = now / second
	}
	at := due/second + 1
	at = max(at, p.wheel.now+1)
	at = min(at, p.wheel.now+slots-1)
	slot := uint32(at % slots)
	e := &p.slab[r]
	e.slot, e.prev, e.next = uint16(slot)+1, 0, p.wheel.head[slot]
	if e.next != 0 {
		p.slab[e.next].prev = uint32(r)
	}
	p.wheel.head[slot] = uint32(r)
}

func (p *Pool[K, V]) unschedule(r uint32) {
	e := &p.slab[r]
	if e.slot == 0 {
		return
	}
	if e.prev != 0 {
		p.slab[e.prev].next = e.next
	} else {
		p.wheel.head[e.slot-1] = e.next
	}
	if e.next != 0 {
		p.slab[e.next].prev = e.prev
	}
	e.slot, e.prev, e.next = 0, 0, 0
}

// Expire calls f for every entry that was scheduled up to now (nanoseconds). f may remove
// the entry or schedule it again; otherwise it is not looked at any more.
func (p *Pool[K, V]) Expire(now int64, f func(r Ref, k *K, v *V)) {
	w := &p.wheel
	to := now / second
	if p.live == 0 {
		w.now = to
		return
	}
	if to < w.now || to-w.now >= slots { // time jumped
		w.now = to
		for slot := range w.head {
			p.expire(slot, f)
		}
		return
	}
	for w.now < to {
		w.now++
		p.expire(int(w.now%slots), f)
	}
}

func (p *Pool[K, V]) expire(slot int, f func(r Ref, k *K, v *V)) {
	// Taken off as a whole: f may schedule into the same slot.
	r := p.wheel.head[slot]
	p.wheel.head[slot] = 0
	for r != 0 {
		e := &p.slab[r]
		next := e.next
		if next != 0 {
			p.slab[next].prev = 0
		}
		e.slot, e.prev, e.next = 0, 0, 0
		f(Ref(r), &e.key, &e.value)
		r = next
	}
}
