package mailserver

// Tops are the largest five minutes of each of the last 60 days, and how far the busiest hour of
// each was above the mean of that hour. People send in bursts: an invitation to forty recipients is
// sent at once, and such a server has such five minutes now and then, at any time of the day. A
// count that three days of two months had is usual, and so is half as much again. A flood becomes
// usual after three days; five times the usual for an hour, or forty times for five minutes, never
// does.
//
// (Measured with years of such servers that send 30 to 100 messages an hour by day, and an
// invitation to ten to sixty people every day to every third day: 5 to 29 false alarms a year,
// nearly all of five minutes, without this rule, and 0 to 2 with it; 1 to 7 where the invitations
// come at night, too.)
//
// The fields are the format of the checkpoint.
type Tops [topDays]Top

// Top is the largest count of one day.
type Top struct {
	Day   uint32 `json:"Day"` // since 1970
	Five  uint32 `json:"Five"`
	Above uint32 `json:"Above"`
}

const (
	topDays   = 60
	topNth    = 3
	topTimes  = 1.5
	topMost5  = 40.0
	topMost60 = 5.0
)

// note takes in an hour in which no batch is usual.
func (d *Tops) note(at int64, five, above uint32) {
	today := uint32(at / day)
	t := &d[today%topDays]
	if t.Day != today {
		*t = Top{Day: today}
	}
	t.Five, t.Above = max(t.Five, five), max(t.Above, above)
}

// limits are the counts of five minutes and of an hour up to which they are as usual. expected is
// the usual count on a day like this one, mean on any day.
func (d *Tops) limits(now int64, expected, mean float64) (in5, in60 float64) {
	var five, above [topNth]uint32 // in falling order
	today := uint32(now / day)
	for i := range d {
		if t := &d[i]; t.Day != today && today-t.Day <= topDays {
			rank(&five, t.Five)
			rank(&above, t.Above)
		}
	}
	in5 = min(topTimes*float64(five[topNth-1]), topMost5*mean/12)
	in60 = min(max(expected, mean)+topTimes*float64(above[topNth-1]), topMost60*expected)
	return in5, in60
}

// rank puts a count in its place among the largest.
func rank(list *[topNth]uint32, n uint32) {
	for i := range list {
		if n > list[i] {
			n, list[i] = list[i], n
		}
	}
}
