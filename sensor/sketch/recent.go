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
	i := 0
	for ; i < len(list) && list[i].At != 0 && list[i].Hash != hash; i++ {
		if list[i].At+span > now {
			distinct++
		}
	}
	switch {
	case i == len(list):
		i, fresh = oldest(list), true
	case list[i].At == 0: // and so are those behind it
		fresh = true
	default:
		for j := i + 1; j < len(list) && list[j].At != 0; j++ {
			if list[j].At+span > now {
				distinct++
			}
		}
	}
	list[i] = Slot{hash, now}
	return min(distinct+1, len(list)), fresh
}

// oldest is the place of the hash that was added the longest ago.
func oldest(list []Slot) (place int) {
	at := list[0].At
	for i, s := range list {
		if s.At < at {
			place, at = i, s.At
		}
	}
	return place
}

// CountRecent is the number of distinct hashes that were added within the last span seconds.
func CountRecent(list []Slot, now, span uint32) (n int) {
	for i := range list {
		if at := list[i].At; at != 0 && at+span > now {
			n++
		}
	}
	return n
}

// Replace puts one hash in the place of another. If the list has both, the later time stays.
func Replace(list []Slot, from, to uint32) {
	if from == to {
		return
	}
	for i := range list {
		if s := &list[i]; s.At != 0 && s.Hash == from {
			at := s.At
			for j := range list {
				if have := &list[j]; have.At != 0 && have.Hash == to {
					have.At = max(have.At, at)
					Remove(list, from)
					return
				}
			}
			s.Hash = to
			return
		}
	}
}

// Remove removes a hash.
func Remove(list []Slot, hash uint32) {
	used := 0
	for used < len(list) && list[used].At != 0 {
		used++
	}
	for i := range list[:used] {
		if list[i].Hash == hash { // free slots are at the end
			list[i], list[used-1] = list[used-1], Slot{}
			return
		}
	}
}
