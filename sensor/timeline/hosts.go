package timeline

import (
	"cmp"
	"maps"
	"slices"
)

// Hosts keeps the series of many hosts, whose keys are of type K, within a bound. The zero value is
// empty and ready. It is not safe for several goroutines.
type Hosts[K comparable] struct {
	series map[K]*Series
	bins   int
	rest   Series // of the hosts beyond the bound, and of those with one attempt
}

// MaxBins bounds the bins of all hosts of a Hosts, about 16 bytes each. What is beyond it is
// counted without its host.
const MaxBins = 8 << 10

// Add counts n of a host at a time, in nanoseconds since 1970.
func (h *Hosts[K]) Add(host K, at int64, n uint32) {
	s := h.series[host]
	if s == nil {
		if h.bins >= MaxBins {
			h.rest.Add(at, n)
			return
		}
		if h.series == nil {
			h.series = map[K]*Series{}
		}
		s = new(Series)
		h.series[host] = s
	}
	if h.bins += s.Add(at, n); h.bins > MaxBins {
		h.makeRoom(at)
	}
}

// Once counts the first attempt of a host, without the host: of a flood of addresses most make no
// other, and each would take 350 bytes.
func (h *Hosts[K]) Once(at int64) { h.rest.Add(at, 1) }

// Again counts the second attempt of a host, and with it the first one, that Once has counted.
func (h *Hosts[K]) Again(host K, first, at int64) {
	h.rest.take(first)
	h.Add(host, first, 1)
	h.Add(host, at, 1)
}

// makeRoom halves the bins: each pass over all of them makes room for many, so that many new bins
// cost little. It keeps a quarter of the time of each series, and removes the hosts of which
// nothing is left. If that is not enough, because so many hosts are active, no host keeps its
// minutes, then its hours before the last day, and then the hosts with the fewest attempts go.
func (h *Hosts[K]) makeRoom(now int64) {
	h.bins = 0
	for k, s := range h.series {
		s.Minutes = from(s.Minutes, now/Minute-keptMinutes/4)
		s.Hours = from(s.Hours, now/Hour-keptHours/4)
		if h.bins += len(s.Minutes) + len(s.Hours); len(s.Hours) == 0 {
			delete(h.series, k)
		}
	}
	if h.bins <= MaxBins/2 {
		return
	}
	for kept := int64(keptHours / 4); h.bins > MaxBins/2 && kept >= minHours; kept /= 2 {
		h.bins = 0
		for k, s := range h.series {
			s.Minutes = from(s.Minutes, now/Minute)
			s.Hours = from(s.Hours, now/Hour-kept)
			if h.bins += len(s.Minutes) + len(s.Hours); len(s.Hours) == 0 {
				delete(h.series, k)
			}
		}
	}
	h.removeQuiet()
}

// minHours are the hours that a host keeps as long as it keeps any: a day that began within one.
const minHours = 23

// removeQuiet counts the hosts with the fewest attempts without their names, until half of the
// bound is free.
func (h *Hosts[K]) removeQuiet() {
	if h.bins <= MaxBins/2 {
		return
	}
	attempts := make(map[K]uint64, len(h.series))
	for k, s := range h.series {
		for _, b := range s.Hours {
			attempts[k] += uint64(b.N)
		}
	}
	hosts := slices.SortedFunc(maps.Keys(h.series), func(a, b K) int {
		return cmp.Compare(attempts[a], attempts[b])
	})
	for _, k := range hosts {
		if h.bins <= MaxBins/2 {
			return
		}
		s := h.series[k]
		h.rest.merge(s)
		h.bins -= len(s.Minutes) + len(s.Hours)
		delete(h.series, k)
	}
}

// All calls f with each host and its series, and with the series of all hosts beyond the bound. f
// must not keep or change a series.
func (h *Hosts[K]) All(f func(host K, s *Series), rest func(s *Series)) {
	for k, s := range maps.All(h.series) {
		f(k, s)
	}
	if len(h.rest.Hours) > 0 {
		rest(&h.rest)
	}
}
