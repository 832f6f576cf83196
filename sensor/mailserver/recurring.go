package mailserver

import (
	"slices"
	"time"
)

// Batch is an hour with a far higher count than on average: a newsletter, the invoices of a month,
// a flood. Batches that recur more seldom than the last weeks show are known from this list: a
// batch is expected in an hour, or one beside it, if there were three in that hour of the week
// within thirteen weeks, or one at that place in another month: the same day, the last one, the
// first or last working day, the second Tuesday. A weekly batch says nothing about months.
type Batch struct {
	Hour  int64  `json:"Hour"`  // since 1970
	Count uint32 `json:"Count"` // in the hour, and in its largest five minutes
	Five  uint32 `json:"Five"`
}

const (
	maxBatches = 64
	batchAge   = 400 * 24 // hours: a year and the month around it
	weeksBack  = 13 * 168
)

// batch adds a batch, and drops those older than batchAge.
func (s *Series) batch(b Batch) {
	s.Batches = slices.DeleteFunc(s.Batches,
		func(old Batch) bool { return b.Hour-old.Hour > batchAge })
	if len(s.Batches) >= maxBatches {
		s.Batches = slices.Delete(s.Batches, 0, 1)
	}
	s.Batches = append(s.Batches, b)
}

// due is the size of the batch that is expected in an hour; peak asks for its largest five minutes.
func (s *Series) due(h int64, peak bool) uint32 {
	var weekly [3]uint32 // the largest, in falling order
	monthly := uint32(0)
	for i := range s.Batches {
		b := &s.Batches[i]
		size := b.Count
		if peak {
			size = b.Five
		}
		age := h - b.Hour
		days := (age + 1) / 24
		if off := age - 24*days; off < -1 || off > 1 {
			continue // at another time of the day
		}
		if size > monthly && days > 24 && !s.everyWeek(b) && samePlace(h-(age-24*days), b.Hour) {
			monthly = size
		}
		if age <= weeksBack && days > 0 && days%7 == 0 {
			for j := range weekly {
				if size > weekly[j] {
					weekly[j], size = size, weekly[j]
				}
			}
		}
	}
	return max(recurring(weekly[0], weekly[2], 0), monthly)
}

// everyWeek reports whether a batch like b came a week before or after it.
func (s *Series) everyWeek(b *Batch) bool {
	return slices.ContainsFunc(s.Batches, func(o Batch) bool {
		d := max(o.Hour-b.Hour, b.Hour-o.Hour)
		return d >= 167 && d <= 169 && o.Count >= b.Count/2
	})
}

// samePlace reports whether two hours are on days with the same place in their months.
func samePlace(a, b int64) bool {
	x, y := time.Unix(a*3600, 0).UTC(), time.Unix(b*3600, 0).UTC()
	if x.Day() == y.Day() {
		return true
	}
	left, leftY := leftInMonth(x), leftInMonth(y)
	sameWeekday := x.Weekday() == y.Weekday()
	switch {
	case left == 0 && leftY == 0:
	case sameWeekday && (x.Day()-1)/7 == (y.Day()-1)/7:
	case sameWeekday && left < 7 && leftY < 7:
	case firstWorkday(x, x.Day()-1, -1) && firstWorkday(y, y.Day()-1, -1):
	case firstWorkday(x, left, 1) && firstWorkday(y, leftY, 1):
	default:
		return false
	}
	return true
}

// leftInMonth is the number of days of its month after a day.
func leftInMonth(t time.Time) int {
	return time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day() - t.Day()
}

// firstWorkday reports whether a day is a working day and the n days beside it, in a direction, are
// not.
func firstWorkday(t time.Time, n, direction int) bool {
	rest := func(d time.Time) bool {
		return d.Weekday() == time.Saturday ||
			d.Weekday() == time.Sunday
	}
	if rest(t) || n > 2 {
		return false
	}
	for i := range n {
		if !rest(t.AddDate(0, 0, direction*(i+1))) {
			return false
		}
	}
	return true
}
