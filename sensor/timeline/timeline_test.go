package timeline

import (
	"slices"
	"testing"
)

func TestSeries(t *testing.T) {
	const day = 24 * Hour
	var s Series
	for _, at := range []int64{90 * Minute, 90*Minute + 1, 30 * Minute, 2 * Hour, 30 * Minute} {
		s.Add(at, 1)
	}
	if want := []Bin{{30, 2}, {90, 2}, {120, 1}}; !slices.Equal(s.Minutes, want) {
		t.Errorf("minutes: %v, want %v", s.Minutes, want)
	}
	if want := []Bin{{0, 2}, {1, 2}, {2, 1}}; !slices.Equal(s.Hours, want) {
		t.Errorf("hours: %v, want %v", s.Hours, want)
	}
	if more := s.Add(30*Minute+day, 5); more != 1 {
		t.Errorf("a day later: %d more bins, want 1: a minute is dropped, a minute and an hour are new", more)
	}
	if want := []Bin{{90, 2}, {120, 1}, {1470, 5}}; !slices.Equal(s.Minutes, want) {
		t.Errorf("minutes: %v, want %v", s.Minutes, want)
	}
	s.Add(40*day, 1)
	if len(s.Minutes) != 1 || len(s.Hours) != 1 {
		t.Errorf("after 40 days: %d minutes and %d hours, want one each", len(s.Minutes), len(s.Hours))
	}
}

// TestHosts checks that the bins of many hosts stay within their bound, and that nothing is lost from
// the sum of the last hour.
func TestHosts(t *testing.T) {
	var h Hosts[int]
	n := 0
	for minute := range int64(300) {
		for host := range 1000 {
			h.Add(host, minute*Minute, 1)
			n++
		}
		if h.bins > MaxBins+2 {
			t.Fatalf("minute %d: %d bins", minute, h.bins)
		}
	}
	var sum, beyond uint32
	h.All(func(_ int, s *Series) {
		for _, b := range s.Hours {
			sum += b.N
		}
	}, func(s *Series) {
		for _, b := range s.Hours {
			beyond += b.N
		}
	})
	if int(sum+beyond) != n {
		t.Errorf("%d and %d beyond the bound, want %d in all", sum, beyond, n)
	}
	for host := range MaxBins {
		h.Add(1000+host, 301*Minute, 1)
	}
	beyond = 0
	h.All(func(int, *Series) {}, func(s *Series) {
		for _, b := range s.Hours {
			beyond += b.N
		}
	})
	if h.bins > MaxBins+2 || beyond == 0 {
		t.Errorf("many hosts: %d bins, %d attempts beyond the bound", h.bins, beyond)
	}
}

// TestHostsByHour checks the bound when the hours alone exceed it: the busiest host keeps its last
// day, and each attempt of that day is counted.
func TestHostsByHour(t *testing.T) {
	const hosts, hours = 250, 60
	var h Hosts[int]
	passes, before := 0, 0
	for hour := range int64(hours) {
		for host := range hosts {
			h.Add(host, hour*Hour, 1+uint32(host))
			if h.bins < before {
				passes++
			}
			if before = h.bins; before > MaxBins {
				t.Fatalf("hour %d: %d bins", hour, h.bins)
			}
		}
	}
	if passes > 10 {
		t.Errorf("room was made %d times, want a few", passes)
	}
	var sum, busiest uint64
	count := func(s *Series) (n uint64) {
		for _, b := range s.Hours {
			if b.At >= hours-23 {
				n += uint64(b.N)
			}
		}
		return n
	}
	h.All(func(host int, s *Series) {
		if sum += count(s); host == hosts-1 {
			busiest = count(s)
		}
	}, func(s *Series) { sum += count(s) })
	if busiest != 23*hosts || sum != 23*hosts*(hosts+1)/2 {
		t.Errorf("%d attempts, %d of the busiest host", sum, busiest)
	}
}

// TestOnce: hosts with one attempt have no series, and are counted.
func TestOnce(t *testing.T) {
	var h Hosts[int]
	for range 100 {
		h.Once(5 * Minute)
	}
	h.Again(7, 5*Minute, 6*Minute)
	h.Again(8, 9*Minute, 9*Minute) // its first attempt is not there any more
	hosts, rest := map[int][]Bin{}, []Bin(nil)
	h.All(func(host int, s *Series) { hosts[host] = s.Minutes }, func(s *Series) { rest = s.Minutes })
	if !slices.Equal(rest, []Bin{{5, 99}}) || len(hosts) != 2 || !slices.Equal(hosts[7], []Bin{{5, 1}, {6, 1}}) || !slices.Equal(hosts[8], []Bin{{9, 2}}) {
		t.Errorf("rest %v, hosts %v", rest, hosts)
	}
}
