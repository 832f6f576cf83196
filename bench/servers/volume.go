package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff/refusal"
)

const (
	millisecond = int64(1e6)
	second      = 1000 * millisecond
	minute      = 60 * second
	hour        = 60 * minute
	day         = 24 * hour
	fiveMinutes = 5 * minute
	// monday is Monday, 2023-11-20, 00:00 UTC.
	monday = int64(1700438400) * second
)

// serverKind is a kind of mail server. The volumes are those that administrators call normal: a
// small office sends some hundred messages a day, a provider some ten thousand an hour. Days vary
// by a log-normal factor.
type serverKind struct {
	name              string
	office, night     float64 // messages an hour, in working hours and otherwise
	weekend           float64 // factor of the rate
	batch, newsletter int     // messages every night at two; on Sundays at ten
	hourly            int     // messages at every full hour
	dayDeviation      float64 // standard deviation of the logarithm of a day's factor
	refused           float64 // share of the messages
	submitters        float64 // external networks an hour that submit mail
	// messages on the first working day of a month at six, and on the 15th at eleven
	invoices       int
	fortnight      int     // messages on every second Wednesday at 15:00
	batchDeviation float64 // standard deviation of the logarithm of a batch's size
	// irregular means batches that are up to a quarter of an hour early or late, thirteen holidays,
	// and summer time from April to October.
	irregular bool
}

// serverKinds are the kinds of servers.
var serverKinds = []serverKind{
	{name: "small office", office: 12, night: 0.2, weekend: 0.1, dayDeviation: 0.2, refused: 0.02,
		submitters: 1},
	{name: "office", office: 300, night: 5, weekend: 0.1, batch: 200, dayDeviation: 0.2,
		refused:    0.03,
		submitters: 6},
	{name: "newsletter", office: 60, night: 2, weekend: 0.2, newsletter: 6000, dayDeviation: 0.3,
		refused:    0.05,
		submitters: 2},
	{name: "shop", office: 80, night: 20, weekend: 1.2, hourly: 40, batch: 1000, dayDeviation: 0.3,
		refused: 0.02, submitters: 1},
	{name: "provider", office: 3000, night: 1000, weekend: 0.7, batch: 3000, newsletter: 20000,
		dayDeviation: 0.1, refused: 0.04, submitters: 200},
	{name: "almost idle", office: 0.3, night: 0.1, weekend: 1, dayDeviation: 0.5, refused: 0.02,
		submitters: 0.2},
	{name: "invoices", office: 100, night: 2, weekend: 0.1, batch: 100, dayDeviation: 0.3,
		refused:    0.03,
		submitters: 3, invoices: 2500, fortnight: 1500, batchDeviation: 0.2},
	{name: "people", office: 150, night: 3, weekend: 0.1, batch: 150, newsletter: 3000,
		dayDeviation: 0.3,
		refused:      0.03, submitters: 4, batchDeviation: 0.2, irregular: true},
}

// batches is the number of messages of the batches that begin in the five minutes of a local time.
func (k *serverKind) batches(rnd *rand.Rand, seed uint64, t int64) (n int) {
	for _, plan := range [2]int64{t / hour, t/hour + 1} {
		late := int64(0)
		if k.irregular {
			late = int64(rand.New(rand.NewPCG(seed, uint64(plan))).IntN(7)-3) * fiveMinutes
		}
		if (plan*hour+late)/fiveMinutes == t/fiveMinutes {
			n += k.plannedAt(rnd, plan)
		}
	}
	return n
}

// plannedAt is the number of messages of the batches that are planned at a full hour.
func (k *serverKind) plannedAt(rnd *rand.Rand, plan int64) (n int) {
	size := func(mean int) int {
		return poisson(rnd, float64(mean)*math.Exp(k.batchDeviation*rnd.NormFloat64()))
	}
	date := time.Unix(plan*3600, 0).UTC()
	of, weekday := date.Hour(), date.Weekday()
	n = size(k.hourly)
	if of == 2 {
		n += size(k.batch)
	}
	if of == 10 && weekday == time.Sunday {
		n += size(k.newsletter)
	}
	if of == 15 && weekday == time.Wednesday && (plan-monday/hour)/(7*24)%2 == 0 {
		n += size(k.fortnight)
	}
	workday := weekday != time.Saturday && weekday != time.Sunday
	if of == 6 && workday && (date.Day() == 1 || weekday == time.Monday && date.Day() <= 3) ||
		of == 11 && date.Day() == 15 {
		n += size(k.invoices)
	}
	return n
}

// holiday reports whether a day is a holiday: the first Monday of a month, or Christmas.
func holiday(date time.Time) bool {
	return date.Weekday() == time.Monday && date.Day() <= 7 ||
		date.Month() == time.December && date.Day() == 25
}

// simulate simulates days of a server's traffic in steps of five minutes. factor is the factor of
// the usual volume at a time.
func (k *serverKind) simulate(s *mailserver.Server, rnd *rand.Rand, from int64, days int,
	factor func(t int64) float64, emit func(verdict.Verdict)) {
	k.simulateOutage(s, rnd, from, days, factor, func(int64) bool { return false }, emit)
}

// simulateOutage is simulate with times at which all receiving servers answer with a temporary
// error.
func (k *serverKind) simulateOutage(s *mailserver.Server, rnd *rand.Rand, from int64, days int,
	factor func(t int64) float64, down func(t int64) bool, emit func(verdict.Verdict)) {
	busy, seed := 1.0, rnd.Uint64()
	var deferred backlog
	for t := from; t < from+int64(days)*day; t += fiveMinutes {
		local := k.localTime(t)
		if local%day < fiveMinutes {
			busy = math.Exp(k.dayDeviation * rnd.NormFloat64())
		}
		rate, submit := k.rates(local, busy)
		n := poisson(rnd, rate*factor(t)/12) + k.batches(rnd, seed, local)
		each(s.Advance(t), emit)
		for i := range n {
			m := k.message(rnd, t+int64(i)*fiveMinutes/int64(n+1))
			if down(t) {
				deferred.messages = append(deferred.messages, m)
				refuse(s, m, m.Time, emit)
				continue
			}
			send(s, &m, rnd, emit)
		}
		deferred.retry(s, rnd, t, down(t), emit)
		for range poisson(rnd, submit/12) {
			ended(s, &mailserver.Session{Time: t,
				Net: rnd.Uint32N(uint32(50*k.submitters)+5) * 0x9e3779b1, Inbound: true,
				External: true, Submit: true, Auth: true}, emit)
		}
	}
}

// localTime is the time of the server's clock, which may have summer time.
func (k *serverKind) localTime(t int64) int64 {
	date := time.Unix(t/second, 0).UTC()
	if k.irregular && date.Month() >= time.April && date.Month() < time.November {
		return t + hour
	}
	return t
}

// rates are the messages an hour, and the submitting networks an hour, at a local time; busy is the
// factor of the day.
func (k *serverKind) rates(local int64, busy float64) (rate, submit float64) {
	slot := (local - monday) / hour % 168
	rate, submit = k.night, k.submitters/5
	if slot%24 >= 8 && slot%24 < 18 {
		rate, submit = k.office*busy, k.submitters
	}
	if slot >= 120 || k.irregular && holiday(time.Unix(local/second, 0).UTC()) {
		rate, submit = rate*k.weekend, submit*k.weekend
	}
	return rate, submit
}

// message draws a message: one recipient, in one of ten cases more, at one of a few hundred domains
// by Zipf's law.
func (k *serverKind) message(rnd *rand.Rand, at int64) mailserver.Mail {
	m := mailserver.Mail{Time: at, Net: rnd.Uint32N(500), From: rnd.Uint64(),
		FromDomain: 1 + uint32(3*rnd.Float64()*rnd.Float64()), Accepted: true}
	rcpts := 1
	if rnd.Float64() < 0.1 {
		rcpts += poisson(rnd, 4)
	}
	code := uint16(250)
	if rnd.Float64() < k.refused {
		m.Accepted, code = false, 550
	}
	domain := uint32(300 * math.Pow(rnd.Float64(), 3))
	for range rcpts {
		m.Rcpts = append(m.Rcpts,
			mailserver.Recipient{Hash: rnd.Uint64(), Domain: domain * 0x9e3779b1, Code: code})
	}
	return m
}

// backlog holds the messages that were deferred in an outage. portion is the number of messages
// that leave it in five minutes after the outage.
type backlog struct {
	messages []mailserver.Mail
	portion  int
}

// retry sends the deferred messages within twenty minutes after the outage. During the outage it
// tries them every hour.
func (b *backlog) retry(s *mailserver.Server, rnd *rand.Rand, t int64, down bool,
	emit func(verdict.Verdict)) {
	switch {
	case len(b.messages) == 0:
	case !down:
		if b.portion == 0 {
			b.portion = len(b.messages)/4 + 1
		}
		n := min(b.portion, len(b.messages))
		for i := range n {
			m := b.messages[i]
			m.Time = t + 4*minute + int64(i)*minute/int64(n)
			send(s, &m, rnd, emit)
		}
		if b.messages = b.messages[n:]; len(b.messages) == 0 {
			b.portion = 0
		}
	case t%hour < fiveMinutes:
		for i, m := range b.messages {
			refuse(s, m, t+4*minute+int64(i)*minute/int64(len(b.messages)), emit)
		}
	}
}

// send is a message that the receiving server accepts or refuses for good.
func send(s *mailserver.Server, m *mailserver.Mail, rnd *rand.Rand, emit func(verdict.Verdict)) {
	outbound(s, m, emit)
	ended(s, &mailserver.Session{Time: m.Time, Net: m.Net, External: true, Messages: 1,
		Bytes: uint64(30000 * math.Exp(rnd.NormFloat64()))}, emit)
}

// refuse is a message that the receiving server defers.
func refuse(s *mailserver.Server, m mailserver.Mail, at int64, emit func(verdict.Verdict)) {
	m.Time, m.Accepted, m.Code, m.Phase, m.Why = at, false, 451, mailserver.AtMail, refusal.Busy
	outbound(s, &m, emit)
	ended(s, &mailserver.Session{Time: at, Net: m.Net, External: true, Bytes: 500}, emit)
}

// poisson draws a Poisson number; a normal one above a mean of 50.
func poisson(rnd *rand.Rand, mean float64) (n int) {
	if mean > 50 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*rnd.NormFloat64())))
	}
	for t := rnd.ExpFloat64(); t < mean; t += rnd.ExpFloat64() {
		n++
	}
	return n
}

// usualVolume is the factor of a server without a rise.
func usualVolume(int64) float64 { return 1 }

// quietResult is the result of years without a rise: the number of alarms, and the worst year of a
// metric.
type quietResult struct {
	name                       string
	metricYears, alarms, worst int
}

// metric is the name of the metric that a verdict is about.
func metric(v verdict.Verdict) string {
	for m := mailserver.OutMessages; m < mailserver.Metrics; m++ {
		if strings.Contains(v.Text, " "+m.String()) {
			return m.String()
		}
	}
	if strings.Contains(v.Text, "MiB") {
		return mailserver.OutBytes.String()
	}
	return v.Code
}

// quietYears simulates years of each kind of server, each with its time of learning.
func quietYears(seed uint64, years int) (list []quietResult) {
	for i := range serverKinds {
		k := &serverKinds[i]
		r := quietResult{name: k.name, metricYears: years * int(mailserver.Metrics)}
		n := years
		if k.office >= 1000 {
			n = max(1, years/4) // a year takes half a minute
			r.metricYears = n * int(mailserver.Metrics)
		}
		for y := range n {
			var s mailserver.Server
			by := map[string]int{}
			k.simulate(&s, rand.New(rand.NewPCG(seed, uint64(i*1000+y))), monday+int64(y)*19*hour+
				777*second, 365, usualVolume, func(v verdict.Verdict) {
				r.alarms++
				by[metric(v)]++
			})
			for _, n := range by {
				r.worst = max(r.worst, n)
			}
		}
		list = append(list, r)
	}
	return list
}

// riseResult is the time in seconds until rises were found.
type riseResult struct {
	name    string
	factor  float64
	tried   int
	seconds []int
}

// median, worst and good are the median, the maximum, and whether the goal is reached.
func (r *riseResult) median() int {
	slices.Sort(r.seconds)
	return elementAt(r.seconds, len(r.seconds)/2)
}
func (r *riseResult) worst() int {
	slices.Sort(r.seconds)
	return elementAt(r.seconds, len(r.seconds)-1)
}
func (r *riseResult) good() bool {
	limit := 3600
	if r.factor >= 50 {
		limit = 600
	}
	return len(r.seconds) == r.tried && r.worst() <= limit
}

// elementAt is element i of a list, -1 if there is none.
func elementAt(list []int, i int) int {
	if i < 0 || i >= len(list) {
		return -1
	}
	return list[i]
}

// volumeRises simulates rises that begin at any time of a working day of the seventh week.
func volumeRises(seed uint64) (list []riseResult) {
	for i := range serverKinds {
		k := &serverKinds[i]
		if k.office < 5 || k.office >= 1000 {
			// Ten times almost no volume is almost no volume; and a provider takes long to
			// simulate.
			continue
		}
		for _, factor := range []float64{10, 50} {
			r := riseResult{name: k.name, factor: factor}
			for n := range 6 {
				rnd := rand.New(rand.NewPCG(seed+77, uint64(i*1000+n)))
				var s mailserver.Server
				k.simulate(&s, rnd, monday, 42, usualVolume, func(verdict.Verdict) {})
				begin := monday + 43*day + 8*hour +
					int64(rnd.Uint64N(uint64(9*hour)))/fiveMinutes*fiveMinutes
				found := int64(0)
				k.simulate(&s, rnd, monday+42*day, 2, func(t int64) float64 {
					if t >= begin && t < begin+2*hour {
						return factor
					}
					return 1
				}, func(v verdict.Verdict) {
					if found == 0 && v.Time >= begin {
						found = v.Time
					}
				})
				r.tried++
				if found != 0 {
					r.seconds = append(r.seconds, int((found-begin)/second))
				}
			}
			list = append(list, r)
		}
	}
	return list
}

// each calls emit for each verdict.
func each(list []verdict.Verdict, emit func(verdict.Verdict)) {
	for _, v := range list {
		emit(v)
	}
}

// outbound has a server observe a transaction with another one.
func outbound(s *mailserver.Server, m *mailserver.Mail, emit func(verdict.Verdict)) {
	o := mailserver.Observation{Kind: mailserver.OutboundMail, Mail: m, Outside: true}
	each(s.Observe(&o), emit)
}

// ended has a server observe the end of a session.
func ended(s *mailserver.Server, x *mailserver.Session, emit func(verdict.Verdict)) {
	each(s.Observe(&mailserver.Observation{Kind: mailserver.SessionEnd, Session: x}), emit)
}
