package mailserver

import (
	"fmt"
	"math"
	"slices"
)

// Metric is a quantity that is counted of a mail server.
type Metric uint8

// The metrics, of what the server sends.
const (
	OutMessages Metric = iota
	OutRecipients
	OutSessions
	OutBytes // in units of 32 KiB
	OutRefusals
	OutDomains     // different recipient domains in an hour
	SubmitNetworks // different networks outside from which mail was submitted in an hour
	OutSenders     // different sender domains in an hour
	Metrics
)

// String is the name used in reasons.
func (m Metric) String() string {
	return [...]string{"messages", "recipients", "sessions", "bytes", "refusals",
		"recipient domains", "submitting networks", "sender domains"}[m]
}

// Traffic compares the volume of a mail server with its baseline: is this hour as usual?
//
// The baseline of a metric is a mean for each of the 168 hours of a week. Each count moves the mean
// by a fifth of the difference, and by no more than three deviations, so that a flood does not
// become usual. While an hour of the week has less than three counts, the same hour of other
// working days, or of other weekends, takes its place.
//
// A count x with mean m is compared as in Anscombe (1948), which gives about a standard normal
// deviate for Poisson counts:
//
//	z = 2 (sqrt(x + 3/8) - sqrt(m + 3/8)) / sqrt(f)
//
// f >= 1 is the overdispersion: how much more than a Poisson process the server varies. It is
// learned for five minutes, for hours, and for whole days, because a busy day makes all its hours
// busy.
//
//	burst    z >= 6 in five minutes, or z >= 5 in the last sixty
//	rise     CUSUM over hours, C = max(0, C + z - 0.5), reaches 25 (Page 1954). For independent
//	         hours 10 would do, once in 16 years by Siegmund's approximation; the hours of a busy
//	         day are not independent, and 25 is more than the busiest day of a year reaches
//	stopped  nothing for two hours in which 20 messages an hour are usual and always came
//
// A burst is 2.8 times the usual count of this hour on a day as busy as this one. The last six
// hours show how busy the day is, between 0.6 and twice the usual. In the first hours of a day,
// when that is not known, a burst is four times the usual count. (Measured with bench/servers on
// servers whose days vary with a deviation of 0.3 in the logarithm: with 2.8 times the mean alone 4
// of 40 server-years had a second false alarm, and one rise in 72, on a day with a third of the
// usual mail, was missed.)
//
// Bursts that people send now and then are usual, too; see [Tops].
//
// Recipients, sessions, bytes, refusals and recipient domains are judged only if they are more than
// usual for the number of sent messages: else the messages are judged, and one event does not lead
// to five alarms. A recurring batch is usual: the count that the same hour, or one beside it, had
// in two of the last four weeks or of the last five working days (three of four days of weekends);
// see also [Batch]. Of two similar counts the larger one is the size of the batch. For a rise only
// the count above the batch matters. In the first four weeks the usual count is the largest so far.
// On the first day, and until there was a working day or a weekend to compare with, the baseline is
// learning and gives no alarm but for a stolen account that is used from everywhere. Mail that
// waited during an outage is no alarm when it is sent at last; see [Outage].
//
// Holt-Winters was refused: it has more parameters to set wrongly, and a slow ramp poisons it.
//
// The fields are the format of the checkpoint.
type Traffic struct {
	Start    int64            `json:"Start"` // time of the first count
	Bin      int64            `json:"Bin"`   // the current five minutes, numbered since 1970
	From     int64            `json:"From"`  // the five minutes in which observation began
	Series   [Metrics]Series  `json:"Series"`
	Down     bool             `json:"Down"` // an outage, and what comes after it; see Outage
	Flushing bool             `json:"Flushing"`
	Sums     [Metrics]float64 `json:"Sums"` // counts of the last weeks, for their proportions
	// DownUsual and DownSent are message counts of the latest outage: the usual one, and the sent
	// one; see during.
	DownUsual float64       `json:"DownUsual"`
	DownSent  float64       `json:"DownSent"`
	outage    Outage        // the latest
	waiting   int           // in the queue
	known     bool          // destinations said so in replies
	alarms    []volumeAlarm // of the latest tick
	caught    int64         // hours without a count that were processed on credit; see catchUp
	// Domains, Networks and Senders are sketches of the distinct values of this hour.
	Domains  [16]uint64 `json:"Domains"`
	Networks [16]uint64 `json:"Networks"`
	Senders  [16]uint64 `json:"Senders"`
}

// Series is one metric of a server.
type Series struct {
	Five  uint64       `json:"Five"` // counts of the current five minutes and the current hour
	Hour  uint64       `json:"Hour"`
	Last  [12]uint32   `json:"Last"`  // of the last five minutes, by their number
	Mean  [168]float32 `json:"Mean"`  // by hour of the week
	Weeks [168]uint8   `json:"Weeks"` // number of counts in it
	// Past and Past5 are the counts of the last 30 days' hours and of their largest five minutes,
	// plus one; zero is an hour without observation.
	Past    [pastHours]uint32 `json:"Past"`
	Past5   [pastHours]uint32 `json:"Past5"`
	Batches []Batch           `json:"Batches,omitempty"` // hours that stood out, the oldest first
	// largest counts of the last days; see there
	Tops Tops `json:"Tops"`
	// Fives, Hours and Days are the overdispersion of the counts.
	Fives  Spread   `json:"Fives"`
	Hours  Spread   `json:"Hours"`
	Within Spread   `json:"Within"` // of hours, beside how busy the day is
	Days   [2]Phi   `json:"Days"`   // of working days and of weekends
	Peak5  uint32   `json:"Peak5"`  // of this hour
	Cusum  float64  `json:"Cusum"`
	Day    float64  `json:"Day"`
	Before PastHour `json:"Before"` // the last whole hour
	High   bool     `json:"High"`   // there was an alarm, which is not over
	Calm   uint8    `json:"Calm"`   // hours since
	Empty  uint8    `json:"Empty"`  // hours without a count where one was expected
	Idle   uint8    `json:"Idle"`   // hours without a count
	DayOff bool     `json:"DayOff"` // it had no count for a whole day before, and then counts again

	Backlog         float64     `json:"Lack"` // how much more may come after an outage; see Outage
	paid            [12]float64 // of it, in the last five minutes by their number
	ended           uint64      // the count of the last whole hour
	special         bool        // a batch is usual in this hour
	level           float64     // how busy the day is; see busy
	limit5, limit60 float64     // of these five minutes, and the hour up to them
	usual5, usual60 float64
	ready           bool
	usualAt         int64 // the hour of usualMean and usualKnown, since 1970, plus one; see meanOf
	usualMean       float64
	usualKnown      bool
	paying          bool    // some of paid is not zero
	limited         bool    // the limits are those of these five minutes
	flush5, flush60 float64 // how much more may come after an outage
}

// PastHour is an hour that has ended.
type PastHour struct {
	Count float64 `json:"Count"`
	Mean  float64 `json:"Mean"`
	Z     float64 `json:"Z"`
	Known bool    `json:"Known"` // there was a mean to compare it with
}

// volumeAlarm is a count that is not as usual.
type volumeAlarm struct {
	Metric          Metric
	Kind            string // burst, rise, stopped
	Five            bool   // the count is that of five minutes, otherwise of an hour
	Time            int64
	Value, Expected float64
	Z               float64
	Flushing        bool // more was expected after an outage, but not as much
}

// sentence is the alarm in words.
func (a *volumeAlarm) sentence() string {
	text := a.text()
	if a.Flushing {
		text += " Deliveries had failed before, so a backlog was expected, but a smaller one."
	}
	return text
}

func (a *volumeAlarm) text() string {
	of := func(x float64, unit bool) string {
		if a.Metric == OutBytes {
			return fmt.Sprintf("%.0f MiB", x/32)
		}
		text := fmt.Sprintf("%.0f", x)
		if !unit && x < 10 {
			text = fmt.Sprintf("%.1f", x)
		}
		if unit {
			text += " " + a.Metric.String()
		}
		return text
	}
	period := "in an hour"
	if a.Five {
		period = "in five minutes"
	}
	switch a.Kind {
	case "stopped":
		return fmt.Sprintf("It sent nothing for two hours; about %s an hour are usual at this "+
			"time of the week.", of(a.Expected, true))
	case "rise":
		return fmt.Sprintf("It has been sending more than usual for hours: %s in the last "+
			"hour, where %s are usual.", of(a.Value, true), of(a.Expected, false))
	}
	if a.Metric == SubmitNetworks {
		return fmt.Sprintf("Clients from %.0f different networks submitted mail %s, where %s "+
			"are usual at this time of the week.", a.Value, period, of(a.Expected, false))
	}
	sent := "It sent %s in an hour, where %s are usual at this time of the week."
	if a.Five {
		sent = "It sent %s in five minutes, where %s are usual at this time of the week."
	}
	return fmt.Sprintf(sent, of(a.Value, true), of(a.Expected, false))
}

const (
	five         = 5 * minute
	pastHours    = 30 * 24
	burstZ       = 6.0
	burstHourZ   = 5.0
	burstTimes   = 2.8
	cusumSlack   = 0.5
	cusumLimit   = 25.0
	stoppedMean  = 20.0
	busyHours    = 6
	unknownTimes = 4.0
	slowest      = 0.6
	busiest      = 2.0
	batchTimes   = 5
	learn        = 24 * hour
	meanWeight   = 0.2

	// While the baseline is learning only submitting networks are judged, and only where no usual
	// morning looks like that: 30 in an hour, six times as many as in the busiest of ten hours or
	// more.
	strangeLeast, strangeTimes, strangeAfter = 30, 6, 10
)

// learning reports whether it is too early to judge.
func (v *Traffic) learning(now int64) bool { return v.Start == 0 || now-v.Start < learn }

// leastQueue is how many messages must wait for a queue that has grown while the baseline is
// learning, zero afterwards: as many as were sent in the busiest hour so far. Greylisting defers a
// part of an hour's mail for less than an hour, and dead destinations are a few percent of a day's;
// a queue as long as that has another cause, such as an uplink that is down. Where the messages are
// encrypted, sessions stand for them.
func (v *Traffic) leastQueue(now int64, encrypted bool) int {
	if !v.learning(now) {
		return 0
	}
	m := OutMessages
	if encrypted && v.Sums[m]+float64(v.Series[m].Hour) < v.Sums[OutSessions]/4 {
		m = OutSessions
	}
	most, _ := v.Series[m].busiest()
	return int(max(minQueue, most, v.Series[m].Hour))
}

// add counts n of a metric. The count that makes a burst returns the alarm.
func (v *Traffic) add(m Metric, n uint64, now int64) (a volumeAlarm, ok bool) {
	s := &v.Series[m]
	s.Five += n
	s.Hour += n
	if m == SubmitNetworks && !s.High && v.learning(now) {
		if most, hours := s.busiest(); hours >= strangeAfter && s.Hour >= strangeLeast &&
			s.Hour >= strangeTimes*max(1, most) {
			return s.alarm(m, "burst", now, float64(s.Hour), float64(most)), true
		}
	}
	if s.High || !s.ready || v.learning(now) {
		return a, false
	}
	s.limits(v, m)
	// A distinct value is counted once an hour: most of them in its first minutes.
	once := m == OutDomains || m == SubmitNetworks || m == OutSenders
	if x := float64(s.Five); x >= s.limit5 && !once &&
		!v.inProportion(m, x, func(s *Series) uint64 { return s.Five }) {
		a = s.alarm(m, "burst", now, x, s.expected(now)/12)
		a.Five = true
		return a, true
	}
	x := float64(s.Hour)
	if !once {
		x = float64(s.sixty(v.Bin))
	}
	if x >= s.limit60 && !v.inProportion(m, x, func(s *Series) uint64 { return s.sixty(v.Bin) }) {
		return s.alarm(m, "burst", now, x, s.expected(now)), true
	}
	return a, false
}

// sumsKeep is the part of the sums that is left after an hour: half of it after three weeks.
const sumsKeep = 0.99863

// proportion adds the hour that has ended to the sums.
func (v *Traffic) proportion() {
	heard := false
	for m := range v.Series {
		if s := &v.Series[m]; !s.High {
			v.Sums[m] = v.Sums[m]*sumsKeep + float64(s.ended)
		}
		heard = heard || v.Series[m].ended > 0
	}
	if heard {
		v.caught = max(0, v.caught-catchEach)
	}
}

// inProportion reports whether a count is as large as usual for the number of sent messages, or of
// sessions where messages are encrypted: then those are judged, and not the count. of is the count
// of a metric in the same time.
func (v *Traffic) inProportion(m Metric, x float64, of func(*Series) uint64) bool {
	base := OutMessages
	if v.Sums[base] < v.Sums[OutSessions]/4 { // most is encrypted
		base = OutSessions
	}
	switch m {
	case OutRecipients, OutSessions, OutBytes, OutRefusals, OutDomains:
	default:
		return false
	}
	return m != base && v.Sums[base] >= 100 &&
		x <= burstTimes*(v.Sums[m]+1)/v.Sums[base]*float64(of(&v.Series[base]))
}

// domain counts a recipient domain, once an hour.
func (v *Traffic) domain(hash uint32, now int64) (a volumeAlarm, ok bool) {
	return v.once(OutDomains, &v.Domains, hash, now)
}

// submitNetwork counts a network from which mail was submitted, once an hour.
func (v *Traffic) submitNetwork(hash uint32, now int64) (a volumeAlarm, ok bool) {
	return v.once(SubmitNetworks, &v.Networks, hash, now)
}

// senderDomain counts a sender domain, once an hour.
func (v *Traffic) senderDomain(hash uint32, now int64) (a volumeAlarm, ok bool) {
	return v.once(OutSenders, &v.Senders, hash, now)
}

func (v *Traffic) once(m Metric, seen *[16]uint64, hash uint32, now int64) (a volumeAlarm,
	ok bool) {
	i := hash % uint32(len(seen)*64)
	if seen[i/64]>>(i%64)&1 != 0 {
		return a, false
	}
	seen[i/64] |= 1 << (i % 64)
	return v.add(m, 1, now)
}

// busiest is the highest count of an hour so far, and the number of hours.
func (s *Series) busiest() (most, hours uint64) {
	for _, n := range s.Past {
		if n > 0 {
			most, hours = max(most, uint64(n-1)), hours+1
		}
	}
	return most, hours
}

func (s *Series) alarm(m Metric, kind string, now int64, x, mean float64) volumeAlarm {
	s.High, s.Calm = true, 0
	return volumeAlarm{Metric: m, Kind: kind, Time: now, Value: x, Expected: mean,
		Z: anscombe(x, mean), Flushing: s.Backlog > 0}
}

// sixty is the count of the last sixty minutes.
func (s *Series) sixty(bin int64) (sum uint64) {
	for i, n := range s.Last {
		if int64(i) != bin%12 {
			sum += uint64(n)
		}
	}
	return sum + s.Five
}

// tick moves the time on and returns the alarms of hours that have ended, in memory that the next
// call overwrites. After a time without observation (resume) the hours in between do not count as
// empty.
func (v *Traffic) tick(now int64) []volumeAlarm {
	v.alarms = v.alarms[:0]
	bin := now / five
	if v.Bin == 0 || bin > v.Bin+pastHours*12 {
		v.begin(bin)
	}
	for v.Bin < bin { // (catchMost+1)*12 times at most; see catchUp
		if v.Bin%12 == 0 && bin/12-v.Bin/12 > 1 && v.catchUp(bin/12) {
			continue
		}
		for m := range v.Series {
			v.Series[m].endFive(v, Metric(m))
		}
		v.Bin++
		if v.Bin%12 == 0 {
			v.proportion()
			v.Domains, v.Networks, v.Senders = [16]uint64{}, [16]uint64{}, [16]uint64{}
		}
		for m := range v.Series {
			v.Series[m].beginFive(v, Metric(m))
		}
	}
	return v.alarms
}

// A few frames whose time lies weeks ahead move the time of every server on by as much, and to
// process each five minutes of a month takes milliseconds. So that nobody can cause that again and
// again, hours without a count are processed on credit: catchMost of them, and catchEach more for
// each hour with a count. Four days are an office's longest weekend. Hours beyond the credit are
// processed one by one in short: they change the means and the record of the last weeks, but not
// the overdispersion.
const (
	catchMost = 96
	catchEach = 6
)

// catchUp is called at a full hour if the time moves on to a later hour than the next. It takes the
// hour from the credit and reports false, or moves on to that later hour.
func (v *Traffic) catchUp(to int64) bool {
	if v.caught < catchMost {
		v.caught++
		return false
	}
	from := v.Bin / 12
	for m := range v.Series {
		v.Series[m].silent(Metric(m), from, to)
		if !v.Series[m].High {
			v.Sums[m] *= math.Pow(sumsKeep, float64(to-from))
		}
	}
	v.Bin = to * 12
	v.Domains, v.Networks, v.Senders = [16]uint64{}, [16]uint64{}, [16]uint64{}
	for m := range v.Series {
		v.Series[m].beginFive(v, Metric(m))
	}
	return true
}

// silent processes hours without a count, from one to before another.
func (s *Series) silent(m Metric, from, to int64) {
	s.Five, s.Hour, s.Peak5, s.ended = 0, 0, 0, 0
	s.Last, s.paid, s.paying = [12]uint32{}, [12]float64{}, false
	s.usualAt = 0
	s.Backlog, s.Cusum, s.Day = 0, 0, 0
	s.level, s.usual60 = 0, 0
	if m == OutSessions {
		s.Idle = uint8(min(int64(s.Idle)+to-from, 254))
	}
	if s.High {
		s.Calm = uint8(min(int64(s.Calm)+to-from, 24))
		s.High = s.Calm < 24
	}
	for h := from; h < to; h++ { // pastHours at most: a time further ahead is a new beginning
		slot := h % 168
		s.Mean[slot] -= float32(s.weight(slot)) * s.Mean[slot]
		if s.Weeks[slot] < 255 {
			s.Weeks[slot]++
		}
		s.Past[h%pastHours], s.Past5[h%pastHours] = 1, 1
	}
}

// resume begins anew after a time without observation: the counts of the current hour are not those
// of a whole hour.
func (v *Traffic) resume(now int64) {
	if v.Bin != 0 && now/five != v.Bin {
		v.begin(now / five)
	}
}

func (v *Traffic) begin(bin int64) {
	for m := range v.Series {
		s := &v.Series[m]
		for h := v.Bin / 12; v.Bin != 0 && h < bin/12 && h < v.Bin/12+pastHours; h++ {
			s.Past[h%pastHours], s.Past5[h%pastHours] = 0, 0
		}
		s.Five, s.Hour, s.Peak5, s.Empty = 0, 0, 0, 0
		s.Last, s.paid, s.paying = [12]uint32{}, [12]float64{}, false
		s.ready, s.usual60, s.level = false, 0, 0
	}
	v.Bin, v.From = bin, bin
	if v.Start == 0 {
		v.Start = bin * five
	}
}

// beginFive stores the values that are known when five minutes begin; limits computes the rest at
// the first count.
func (s *Series) beginFive(v *Traffic, m Metric) {
	now := v.Bin * five
	_, s.ready = s.meanOf(v)
	s.limited = false
	if !s.ready {
		return
	}
	if now%hour == 0 {
		s.usual60 = 0
	}
	if now%hour == 0 || s.level == 0 {
		s.level, s.special = s.busy(v, now), s.standsOut(now)
	}
	s.flush5, s.flush60 = s.backlogExpected(v, m)
}

// limits computes the counts from which on these five minutes, or the hour up to them, are a burst.
// That takes a microsecond or two, and most five minutes of most metrics are without a count, so it
// is called at the first one.
func (s *Series) limits(v *Traffic, m Metric) {
	if s.limited {
		return
	}
	s.limited = true
	now, least := v.Bin*five, least(m)
	mean := s.expected(now)
	// of the hours beside it: clocks are put forward, and people come early
	before := max(s.expected(now-hour), s.expected(now+hour))
	if s.usual60 == 0 {
		s.usual60 = max(1, s.usual(now, false), s.usual(now-hour, false))
		s.usual5 = s.usual(now, true)
	}
	few5, few60 := s.Tops.limits(now, s.level*mean, mean)
	s.limit5 = max(s.outstanding(s.level*mean/12, &s.Fives, burstZ, least),
		batchLimit(s.usual5, mean/12), few5) + s.flush5
	s.limit60 = max(s.outstanding(s.level*max(mean, before), &s.Within, burstHourZ, least),
		batchLimit(s.usual60, max(mean, before)), few60) + s.flush60
}

// batchLimit is the count up to which a batch is as usual. A count of at most twice the mean is no
// batch but a busy day.
func batchLimit(usual, mean float64) float64 {
	if usual <= 2*mean {
		return 0
	}
	return above(usual)
}

// batch reports whether a count is so far above its mean that it says nothing about how busy the
// day is.
func batch(x, mean float64) bool { return x >= batchTimes*mean+20 }

// busy is how many times the usual count the last hours had: on a busy day every hour is busy, on a
// slow one none is, and a burst stands out from that day. Hours in which a batch is usual do not
// count, nor do nights for days, and an hour with hardly any count is one in which nobody was
// there. While the mean has few weeks a slow day makes nothing stand out.
func (s *Series) busy(v *Traffic, now int64) float64 {
	own := s.expected(now)
	if s.standsOut(now) {
		return 1
	}
	var sum, means float64
	level := func() float64 {
		if means < 20 {
			return 1
		}
		return max(slowest, min(busiest, (sum+10)/(means+10)))
	}
	before, hours := 1.0, 0 // hours that are like this one, the last one counts for two
	for h := now/hour - busyHours; h < now/hour; h++ {
		mean, known := s.mean(h * hour)
		n := s.Past[((h%pastHours)+pastHours)%pastHours]
		if h == now/hour-1 {
			before = level()
		}
		if like, ok := v.during(h); ok && known && mean*4 >= own && !s.standsOut(h*hour) {
			sum, means, hours = sum+like*mean, means+mean, hours+1
			continue
		}
		if known && n > 0 && !batch(float64(n-1), mean) && float64(n-1)*5 >= mean &&
			mean*4 >= own && !s.standsOut(h*hour) {
			sum, means, hours = sum+float64(n-1), means+mean, hours+1
			if h == now/hour-1 && mean*3 >= own*2 {
				hours++
			}
		}
	}
	// a flood that began in the last hour does not make the day a busy one
	l := min(level(), before)
	if s.Weeks[now/hour%168] < 3 || hours < 2 {
		l = max(1, l)
	}
	return l
}

// standsOut reports whether a batch is usual in an hour: its mean is more than twice the median of
// those from three hours before to three after it.
func (s *Series) standsOut(at int64) bool {
	own := s.expected(at)
	if own == 0 {
		return false
	}
	var means [7]float64
	for i := range means {
		means[i] = s.expected(at + int64(i-3)*hour)
	}
	slices.Sort(means[:])
	return own > 2*means[3]
}

// outstanding is the count from which on a count with a mean stands out, without regard to batches.
func (s *Series) outstanding(mean float64, varies *Spread, z, least float64) float64 {
	times := burstTimes
	if s.level == 1 { // how busy this day is is not known
		times = unknownTimes
	}
	return max(least, times*mean, burstFrom(mean, varies.of(mean), z))
}

// least is the count below which nothing is a burst, whatever is usual.
func least(m Metric) float64 {
	switch m {
	case SubmitNetworks, OutSenders:
		return 10
	case OutRecipients:
		return 100 // one message can have them: RFC 5321, section 4.5.3.1.8
	case OutBytes:
		return 2048 // 64 MiB: one message of a small office can have some
	}
	return 20
}

func anscombe(x, mean float64) float64 { return 2 * (math.Sqrt(x+0.375) - math.Sqrt(mean+0.375)) }

// burstFrom is the count with a given z.
func burstFrom(mean, phi, z float64) float64 {
	root := z*math.Sqrt(phi)/2 + math.Sqrt(mean+0.375)
	return root*root - 0.375
}

func (s *Series) endFive(v *Traffic, m Metric) {
	now := v.Bin * five
	mean, known := s.meanOf(v)
	paid := s.backlogPaid(v, m, mean/12)
	s.Peak5 = max(s.Peak5, clamp32(s.Five)-clamp32(uint64(paid)))
	s.Last[v.Bin%12] = clamp32(s.Five)
	if x := float64(s.Five); known && !s.High && !s.special && paid == 0 && !batch(x, mean/12) {
		s.Fives.learn(s.level*mean/12, anscombe(x, s.level*mean/12), 2016)
	}
	s.Five = 0
	if (v.Bin+1)%12 == 0 {
		s.endHour(v, m, now)
	}
}

// above is the count up to which a batch is as usual: some times its size, or the chance variation
// of a small one.
func above(usual float64) float64 { return max(burstTimes*usual, burstFrom(usual, 1, burstZ)) }

// endHour judges the hour that ends and adds it to the baseline.
func (s *Series) endHour(v *Traffic, m Metric, now int64) {
	x, mean, known := float64(s.Hour), 0.0, false
	s.ended = s.Hour
	for _, paid := range s.paid { // mail that an outage delayed is not usual for this hour
		x -= paid
	}
	x = max(0, x)
	s.Hour = uint64(x)
	if v.Bin-11 <= v.From { // a part of it was not observed
		s.Hour, s.Peak5 = 0, 0
		return
	}
	mean, known = s.mean(now)
	raw := anscombe(x, mean)
	usual := 0.0
	if x > 0 { // a count of zero needs no limit
		usual = s.usual(now, false)
	}
	if raw > 0 { // a batch that recurs, an hour earlier or later, is not much
		raw = max(0, anscombe(x, max(mean, usual)))
	}
	s.Before = PastHour{float64(s.ended), mean, raw / math.Sqrt(s.Hours.of(mean)),
		known && !v.learning(now)}
	if known {
		if !s.High {
			s.Hours.learn(mean, raw, 168)
		}
		if level := max(s.level, slowest); !s.High && !s.special && !batch(x, mean) {
			s.Within.learn(level*mean, anscombe(x, level*mean), 168)
		}
		s.judgeHour(v, m, now, x, mean, raw)
	}
	slot := (now / hour) % 168
	switch sigma := math.Sqrt(max(mean, 1) * s.Hours.of(mean)); {
	case s.Weeks[slot] == 0 && !known:
		s.Mean[slot] = float32(x)
	case s.Weeks[slot] == 0:
		s.Mean[slot] = float32(min(x, max(mean+3*sigma, usual)))
	default:
		old := float64(s.Mean[slot])
		s.Mean[slot] = float32(old + s.weight(slot)*(min(x, max(mean+3*sigma, usual))-old))
	}
	if s.Weeks[slot] < 255 {
		s.Weeks[slot]++
	}
	if known && (x >= s.outstanding(mean, &s.Hours, burstZ, least(m)) ||
		float64(s.Peak5) >= s.outstanding(mean/12, &s.Fives, burstZ, least(m))) {
		s.batch(Batch{now / hour, clamp32(s.Hour), s.Peak5})
	}
	if known && !s.special && !batch(x, mean) {
		s.Tops.note(now, s.Peak5, clamp32(uint64(max(0, x-mean))))
	}
	s.Past[(now/hour)%pastHours] = clamp32(s.Hour) + 1
	s.Past5[(now/hour)%pastHours] = s.Peak5 + 1
	s.Hour, s.Peak5 = 0, 0
}

// weight is the weight of the next count in the mean of an hour of the week.
func (s *Series) weight(slot int64) float64 {
	// one more than 255 weeks is zero in eight bits
	return max(meanWeight, 1/(float64(s.Weeks[slot])+1))
}

// judgeHour is the CUSUM test, and ends alarms.
func (s *Series) judgeHour(v *Traffic, m Metric, now int64, x, mean, raw float64) {
	// The hours of a day vary together: with the overdispersion of single hours every busy day
	// would be an alarm.
	kind := 0
	if weekend((now / hour) % 168) {
		kind = 1
	}
	if plain := anscombe(x, mean); batch(x, mean) || s.special {
		s.Day += raw
	} else { // the largest count of the first weeks must not hide how much days vary
		s.Day += plain
	}
	if (now/hour)%24 == 23 {
		if !s.High {
			s.Days[kind].learn(s.Day/math.Sqrt(24), 2, 28)
		}
		s.Day = 0
	}
	z := raw / math.Sqrt(max(s.Hours.of(mean), s.Days[0].F+1, s.Days[1].F+1))
	s.Cusum = max(0, s.Cusum+z-cusumSlack)
	if s.Days[kind].N < 15-9*uint32(kind) || v.learning(now) {
		s.Cusum = 0 // the overdispersion of days is not known yet
	}
	switch {
	case s.High:
		if s.Calm = min(s.Calm+1, 24); z > 2 {
			s.Calm = 0
		}
		if s.Cusum = 0; s.Calm >= 24 {
			s.High = false
		}
	case s.Cusum >= cusumLimit && x >= least(m) &&
		!v.inProportion(m, x, func(s *Series) uint64 { return s.ended }):
		s.Cusum = 0
		v.alarms = append(v.alarms, s.alarm(m, "rise", now+five-1, x, mean))
	}
	if m == OutSessions && s.stopped(now, x, mean) {
		v.alarms = append(v.alarms,
			volumeAlarm{Metric: m, Kind: "stopped", Time: now + five - 1, Expected: mean, Z: raw})
	}
}

// dayOff is the number of hours without a count before work begins that make a day off.
const dayOff = 8

// stopped judges an hour without a count: is it the second such hour in which a large count is
// expected, because the mean is large and no week of the last four was without one? A batch that
// comes a little later has empty hours before it. A server that had no count for a whole day
// already, as an office on a holiday, must have none for longer than a working day the next time.
func (s *Series) stopped(now int64, x, mean float64) bool {
	if x > 0 {
		s.DayOff = s.DayOff || s.Empty >= 6 && s.Idle >= dayOff+6
		s.Empty, s.Idle = 0, 0
		return false
	}
	s.Idle = min(s.Idle+1, 254)
	if mean < stoppedMean || s.Weeks[(now/hour)%168] < 2 {
		return false
	}
	for week := int64(1); week <= 4; week++ {
		if n := s.Past[(now/hour-week*168+pastHours)%pastHours]; n > 0 &&
			float64(n-1) < stoppedMean/4 {
			return false
		}
	}
	s.Empty = min(s.Empty+1, 254)
	if s.DayOff && s.Idle-s.Empty >= dayOff {
		return s.Empty == 13
	}
	return s.Empty == 2
}
