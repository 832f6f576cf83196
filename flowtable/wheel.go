package flowtable

// slots is how many seconds the wheel reaches ahead. An entry that is due later waits in the last
// slot and is scheduled again from there.
const slots = 1024

// wheel holds the entries of a pool by the second in which they must be examined. Use of an entry
// does not move it: when its slot comes up, its owner schedules it for the time at which it is
// really due.
type wheel struct {
	head [slots]uint32
	// due is the first of the entries that Expire has taken off a slot and has not called back yet.
	// They stay chained, so that unschedule removes any of them while a callback runs.
	due   uint32
	now   int64 // seconds; slots up to this one were examined
	began bool  // now is valid
}

const second = int64(1e9)

// Schedule makes Expire call back for the entry at or within two seconds after due; both times are
// in nanoseconds, and may be negative. It replaces an earlier schedule of the entry.
func (p *Pool[K, V]) Schedule(r Ref, now, due int64) {
	p.unschedule(uint32(r))
	w := &p.wheel
	if !w.began {
		w.now, w.began = now/second, true
	}
	at := due/second + 1
	at = max(at, w.now+1)
	at = min(at, w.now+slots-1)
	slot := slotOf(at)
	e := p.at(uint32(r))
	e.slot, e.prev, e.next = uint16(slot)+1, 0, w.head[slot]
	if e.next != 0 {
		p.at(e.next).prev = uint32(r)
	}
	w.head[slot] = uint32(r)
}

// slotOf is the slot of a second. It is in range for negative seconds too.
func slotOf(at int64) int { return int(uint64(at) % slots) }

func (p *Pool[K, V]) unschedule(r uint32) {
	e := p.at(r)
	if e.slot == 0 {
		return
	}
	switch {
	case e.prev != 0:
		p.at(e.prev).next = e.next
	case p.wheel.due == r:
		p.wheel.due = e.next
	default:
		p.wheel.head[e.slot-1] = e.next
	}
	if e.next != 0 {
		p.at(e.next).prev = e.prev
	}
	e.slot, e.prev, e.next = 0, 0, 0
}

// Expire calls f for every entry that was scheduled up to now (nanoseconds). f may remove or
// schedule the entry that it is given and any other; an entry with which it does neither is not
// examined again. f must not call Expire. After a panic of f the next Expire continues behind the
// entry in hand.
func (p *Pool[K, V]) Expire(now int64, f func(r Ref, k *K, v *V)) {
	w := &p.wheel
	to := now / second
	p.callDue(f) // entries that a panic has left
	if p.live == 0 {
		w.now, w.began = to, true
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
		p.expire(slotOf(w.now), f)
	}
}

func (p *Pool[K, V]) expire(slot int, f func(r Ref, k *K, v *V)) {
	// The whole slot is taken off, because f may schedule into it again.
	p.wheel.due, p.wheel.head[slot] = p.wheel.head[slot], 0
	p.callDue(f)
}

// callDue calls f for the entries that were taken off a slot. Their number bounds the loop: nothing
// is added to them.
func (p *Pool[K, V]) callDue(f func(r Ref, k *K, v *V)) {
	for p.wheel.due != 0 {
		r := p.wheel.due
		p.unschedule(r)
		e := p.at(r)
		f(Ref(r), &e.key, &e.value)
	}
}
