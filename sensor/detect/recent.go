package detect

// Slot is something that was seen, by its hash, and the second in which it was seen last.
// The zero slot is free.
type Slot struct{ hash, At uint32 }

// Stamp is a time in the seconds of slots.
func Stamp(now int64) uint32 { return uint32(now / second) }

// Recently notes a hash in a list and says how many different ones were seen within the
// last span seconds, this one included. When the list is full the oldest makes room: a
// list tells apart as many as it has slots, and a higher count makes no difference to any
// detector.
func Recently(list []Slot, hash, now, span uint32) (distinct int, fresh bool) {
	at, oldest := -1, 0
	for i := range list {
		s := &list[i]
		if s.At == 0 { // and so are those behind it
			if oldest = i; at < 0 {
				at, fresh = i, true
			}
			break
		}
		if s.hash == hash {
			at = i
		} else if s.At+span > now {
			distinct++
		}
		if s.At < list[oldest].At {
			oldest = i
		}
	}
	if at < 0 {
		at, fresh = oldest, true
	}
	list[at] = Slot{hash, now}
	return min(distinct+1, len(list)), fresh
}

// within is how many different ones were seen within the last span seconds.
func within(list []Slot, now, span uint32) (n int) {
	for _, s := range list {
		if s.At != 0 && s.At+span > now {
			n++
		}
	}
	return n
}
