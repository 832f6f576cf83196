package mailserver

import (
	"math"
	"slices"
)

func clamp32(n uint64) uint32 { return uint32(min(n, math.MaxUint32-1)) }

// weekend reports whether a time is on a Saturday or Sunday, UTC. 1970 began on a Thursday.
func weekend(slot int64) bool { d := slot / 24; return d == 2 || d == 3 }

// mean is the usual count in the hour of a time. known is false as long as there is no hour to
// compare it with.
func (s *Series) mean(at int64) (mean float64, known bool) {
	slot := (at/hour%168 + 168) % 168 // callers ask for hours before 1970, too
	if s.Weeks[slot] >= 3 {
		return float64(s.Mean[slot]), true
	}
	n := 0
	for day := int64(0); day < 7; day++ {
		if i := day*24 + slot%24; s.Weeks[i] > 0 && weekend(i) == weekend(slot) {
			mean += float64(s.Mean[i])
			n++
		}
	}
	if n == 0 {
		return 0, false
	}
	return mean / float64(n), true
}

// meanOf is mean for the current hour, in which no mean changes.
func (s *Series) meanOf(v *Traffic) (mean float64, known bool) {
	if at := v.Bin/12 + 1; s.usualAt != at {
		s.usualAt = at
		s.usualMean, s.usualKnown = s.mean(v.Bin * five)
	}
	return s.usualMean, s.usualKnown
}

// expected is mean without known.
func (s *Series) expected(at int64) float64 {
	m, _ := s.mean(at)
	return m
}

// usual is the count that recurs in the hour of a time or in one beside it, or the size of an
// expected batch. In the first four weeks it is the largest count so far. peak asks for the largest
// five minutes.
func (s *Series) usual(at int64, peak bool) float64 {
	past, mean := &s.Past, s.expected(at)
	if peak {
		past, mean = &s.Past5, mean/12
	}
	h := at / hour
	if past[(h+pastHours-4*168)%pastHours] == 0 { // there was no observation four weeks ago
		return float64(max(slices.Max(past[:]), 1) - 1)
	}
	return float64(max(weekly(past, h, mean), daily(past, h, mean), s.due(h, peak)))
}

// weekly is the count that was reached in two of the last four weeks.
func weekly(past *[pastHours]uint32, h int64, mean float64) uint32 {
	var seen [4]uint32
	for i := range seen {
		seen[i] = around(past, h-int64(i+1)*168, 2)
	}
	slices.Sort(seen[:])
	return max(recurring(seen[3], seen[2], mean), 1) - 1
}

// recurring is the size of a batch that came at least twice: the largest if the other is half as
// much or more, since sizes vary, and else the other, since the largest came once. A count that is
// no batch (see batchLimit) is the other.
func recurring(largest, other uint32, mean float64) uint32 {
	if other >= largest/2 && float64(other) > 2*mean {
		return largest
	}
	return other
}

// daily is the count that was reached on two of the last five working days, or on three of the last
// four days of weekends, in which a batch of every Sunday occurs twice.
func daily(past *[pastHours]uint32, h int64, mean float64) uint32 {
	var seen [5]uint32
	n, most, need := 0, 5, 2
	if weekend(h % 168) {
		most, need = 4, 3
	}
	for then := h - 24; n < most && then > h-28*24; then -= 24 {
		if weekend(then%168) == weekend(h%168) {
			seen[n] = around(past, then, 1)
			n++
		}
	}
	slices.Sort(seen[:n])
	return max(recurring(seen[max(0, n-1)], seen[max(0, n-need)], mean), 1) - 1
}

// around is the largest count of an hour and those beside it.
func around(past *[pastHours]uint32, h, beside int64) (most uint32) {
	for near := max(0, h-beside); near <= h+beside; near++ {
		most = max(most, past[near%pastHours])
	}
	return most
}
