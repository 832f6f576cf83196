package sketch

// Slot is one element of a list of recent hashes, and the second in which the hash was added last.
// The zero slot is free.
type Slot struct{ Hash, At uint32 }

// Stamp is a time in seconds, as slots keep it.
func Stamp(now int64) uint32 { return uint32(now / second) }

// AddRecent adds a hash to a list, and returns how many distinct hashes were added within the last
// span seconds, this one included, and whether the hash is new. In a full list the oldest hash is
// replaced: a list distinguishes as many hashes as it has slots, and a higher count makes no
// difference to any detector.
func AddRecent(list []Slot, hash, now, span uint32) (distinct int, fresh bool) {
	at, oldest := -1, 0
	for i := range list {
		s := &list[i]
		if s.At == 0 { // and so are those behind it
			if oldest = i; at < 0 {
				at, fresh = i, true
			}
			break
		}
		if s.Hash == hash {
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

// CountRecent is the number of distinct hashes that were added within the last span seconds.
func CountRecent(list []Slot, now, span uint32) (n int) {
	for _, s := range list {
		if s.At != 0 && s.At+span > now {
			n++
		}
	}
	return n
}
