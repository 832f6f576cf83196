// Package timeline counts what a host does by minute and by hour, for the pictures of a report. It
// keeps the last day by minute and the last month by hour, and of these only the times at which
// something happened: most hosts open few connections to mail ports.
package timeline

import (
	"cmp"
	"slices"
)

// Minute and Hour are the widths of the bins, in nanoseconds.
const (
	Minute = 60 * int64(1e9)
	Hour   = 60 * Minute
)

// Bounds of a Series: bins older than these behind the latest are dropped.
const (
	keptMinutes = 24 * 60
	keptHours   = 31 * 24
)

// Bin is a count in a minute or an hour. At is its number since 1970.
type Bin struct {
	At int64
	N  uint32
}

// Series is what happened over time. The zero value is empty and ready.
type Series struct {
	// Minutes are the bins of the last day, Hours those of the last 31 days, the earliest first.
	Minutes, Hours []Bin
}

// Add counts n at a time, in nanoseconds since 1970. It returns the number of bins that the series
// has more than before; the number is negative if old bins were dropped.
func (s *Series) Add(at int64, n uint32) (more int) {
	before := len(s.Minutes) + len(s.Hours)
	s.Minutes = add(s.Minutes, at/Minute, n, keptMinutes)
	s.Hours = add(s.Hours, at/Hour, n, keptHours)
	return len(s.Minutes) + len(s.Hours) - before
}

// merge adds all bins of another series.
func (s *Series) merge(o *Series) {
	for _, b := range o.Minutes {
		s.Minutes = add(s.Minutes, b.At, b.N, keptMinutes)
	}
	for _, b := range o.Hours {
		s.Hours = add(s.Hours, b.At, b.N, keptHours)
	}
}

// add counts in a bin. Times are nearly in order: connections of one host may be captured by
// several interfaces.
func add(bins []Bin, at int64, n uint32, kept int64) []Bin {
	if last := len(bins) - 1; last >= 0 && bins[last].At == at {
		bins[last].N += n
		return bins
	}
	bins = Merge(bins, Bin{at, n})
	return from(bins, bins[len(bins)-1].At-kept+1)
}

// take removes one from the count of a time, if it is still there.
func (s *Series) take(at int64) {
	for _, x := range []struct {
		bins []Bin
		at   int64
	}{{s.Minutes, at / Minute}, {s.Hours, at / Hour}} {
		i, found := slices.BinarySearchFunc(x.bins, x.at, func(b Bin, at int64) int {
			return cmp.Compare(b.At, at)
		})
		if found && x.bins[i].N > 0 {
			x.bins[i].N--
		}
	}
}

// from are the bins from a number on; the others are removed.
func from(bins []Bin, at int64) []Bin {
	i, _ := slices.BinarySearchFunc(bins, at, func(b Bin, at int64) int {
		return cmp.Compare(b.At, at)
	})
	return slices.Delete(bins, 0, i)
}

// Merge adds a bin to bins that are in the order of their times, and drops none.
func Merge(bins []Bin, b Bin) []Bin {
	i, found := slices.BinarySearchFunc(bins, b.At, func(x Bin, at int64) int {
		return cmp.Compare(x.At, at)
	})
	if found {
		bins[i].N += b.N
		return bins
	}
	return slices.Insert(bins, i, b)
}
