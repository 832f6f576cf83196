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
