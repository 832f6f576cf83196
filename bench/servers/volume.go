package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/mailserver"
	"spamsensor/smtpsniff/refusal"
)

const (
	millisecond = int64(1e6)
	second      = 1000 * millisecond
	minute      = 60 * second
	hour        = 60 * minute
	day         = 24 * hour
	five        = 5 * minute
	// monday is Monday, 2023-11-20, 00:00 UTC.
	monday = int64(1700438400) * second
)

// server is a kind of mail server. Sizes are those that administrators name when they
// speak of "normal": a small office sends some hundred messages a day, a provider some ten
// thousand an hour. Days vary by a factor (log-normal), as people do.
type server struct {
	name          string
	office, night float64 // messages an hour in working hours, and otherwise
	weekend       float64 // factor
	batch, letter int     // every night at two; Sundays at ten
	hourly        int     // a job every hour, at the full hour
	busy          float64 // deviation of the logarithm of a day's factor
	refused       float64 // share of messages
	submitters    float64 // networks outside from which mail is submitted in an hour
	invoices      int     // on the first working day of a month at six, and on the 15th at eleven
	fortnight     int     // every second Wednesday at three in the afternoon
	vary          float64 // deviation of the logarithm of a batch's size
	// a quarter of an hour more or less for each batch; thirteen holidays; a clock that is put
	// forward in March, and back in October
	people bool
}

var kinds = []server{
	{name: "small office", office: 12, night: 0.2, weekend: 0.1, busy: 0.2, refused: 0.02,
		submitters: 1},
	{name: "office", office: 300, night: 5, weekend: 0.1, batch: 200, busy: 0.2, refused: 0.03,
		submitters: 6},
	{name: "newsletter", office: 60, night: 2, weekend: 0.2, letter: 6000, busy: 0.3, refused: 0.05,
		submitters: 2},
	{name: "shop", office: 80, night: 20, weekend: 1.2, hourly: 40, batch: 1000, busy: 0.3,
		refused: 0.02, submitters: 1},
	{name: "provider", office: 3000, night: 1000, weekend: 0.7, batch: 3000, letter: 20000,
		busy: 0.1, refused: 0.04, submitters: 200},
	{name: "almost idle", office: 0.3, night: 0.1, weekend: 1, busy: 0.5, refused: 0.02,
		submitters: 0.2},
	{name: "invoices", office: 100, night: 2, weekend: 0.1, batch: 100, busy: 0.3, refused: 0.03,
		submitters: 3, invoices: 2500, fortnight: 1500, vary: 0.2},
	{name: "people", office: 150, night: 3, weekend: 0.1, batch: 150, letter: 3000, busy: 0.3,
		refused: 0.03, submitters: 4, vary: 0.2, people: true},
}

// batches is how many messages of batches begin in the five minutes of a time, which is the
// server's own.
func (k *server) batches(rnd *rand.Rand, seed uint64, t int64) (n int) {
	for _, plan := range [2]int64{t / hour, t/hour + 1} {
		late := int64(0)
		if k.people {
			late = int64(rand.New(rand.NewPCG(seed, uint64(plan))).IntN(7)-3) * five
		}
		if (plan*hour+late)/five == t/five {
			n += k.planned(rnd, plan)
		}
	}
	return n
}

// planned is how many messages are to be sent at a full hour.
func (k *server) planned(rnd *rand.Rand, plan int64) (n int) {
	size := func(mean int) int {
		return poisson(rnd, float64(mean)*math.Exp(k.vary*rnd.NormFloat64()))
	}
	date := time.Unix(plan*3600, 0).UTC()
	of, weekday := date.Hour(), date.Weekday()
	n = size(k.hourly)
	if of == 2 {
		n += size(k.batch)
	}
	if of == 10 && weekday == time.Sunday {
		n += size(k.letter)
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

// holiday reports whether a day is one on which nobody works: the first Monday of a month, and
// Christmas.
func holiday(date time.Time) bool {
	return date.Weekday() == time.Monday && date.Day() <= 7 ||
		date.Month() == time.December && date.Day() == 25
}

// run lets a server send from a time on, in steps of five minutes.
func (k *server) run(s *mailserver.Server, rnd *rand.Rand, from int64, days int,
	factor func(t int64) float64, tell func(mailserver.Verdict)) {
	k.runDown(s, rnd, from, days, factor, func(int64) bool { return false }, tell)
}

// runDown is the same of one for which everybody has a temporary error at some times. What it could
// not deliver then is sent within twenty minutes when the time is over, or tried again every hour.
func (k *server) runDown(s *mailserver.Server, rnd *rand.Rand, from int64, days int,
	factor func(t int64) float64, down func(t int64) bool, tell func(mailserver.Verdict)) {
	busy, seed := 1.0, rnd.Uint64()
	var backlog []mailserver.Mail
	portion := 0
	for t := from; t < from+int64(days)*day; t += five {
		local := t
		if date := time.Unix(t/second, 0).UTC(); k.people && date.Month() >= time.April &&
			date.Month() < time.November {
			local += hour
		}
		slot := (local - monday) / hour % 168
		if local%day < five {
			busy = math.Exp(k.busy * rnd.NormFloat64())
		}
		work := slot%24 >= 8 && slot%24 < 18
		rate, submit := k.night, k.submitters/5
		if work {
			rate, submit = k.office*busy, k.submitters
		}
		if slot >= 120 || k.people && holiday(time.Unix(local/second, 0).UTC()) {
			rate, submit = rate*k.weekend, submit*k.weekend
		}
		rate *= factor(t)
		n := poisson(rnd, rate/12) + k.batches(rnd, seed, local)
		s.Tick(t, tell)
		for i := range n {
			at := t + int64(i)*five/int64(n+1)
			// A message has one recipient, seldom some, to one of a few hundred domains by
			// Zipf's law; its size is log-normal around 30 kB.
			m := mailserver.Mail{Time: at, Net: rnd.Uint32N(500), From: rnd.Uint64(),
				FromDomain: 1 + uint32(3*rnd.Float64()*rnd.Float64()), Taken: true}
			rcpts := 1
			if rnd.Float64() < 0.1 {
				rcpts += poisson(rnd, 4)
			}
			code := uint16(250)
			if rnd.Float64() < k.refused {
				m.Taken, code = false, 550
			}
			domain := uint32(300 * math.Pow(rnd.Float64(), 3))
			for range rcpts {
				m.Rcpts = append(m.Rcpts,
					mailserver.Recipient{Hash: rnd.Uint64(), Domain: domain * 0x9e3779b1, Code: code})
			}
			if down(t) {
				backlog = append(backlog, m)
				refuse(s, m, at, tell)
				continue
			}
			send(s, &m, rnd, tell)
		}
		switch {
		case len(backlog) == 0:
		case !down(t):
			if portion == 0 {
				portion = len(backlog)/4 + 1
			}
			n := min(portion, len(backlog))
			for i := range n {
				m := backlog[i]
				m.Time = t + 4*minute + int64(i)*minute/int64(n)
				send(s, &m, rnd, tell)
			}
			if backlog = backlog[n:]; len(backlog) == 0 {
				portion = 0
			}
		case t%hour < five:
			for i := range backlog {
				refuse(s, backlog[i], t+4*minute+int64(i)*minute/int64(len(backlog)), tell)
			}
		}
		for range poisson(rnd, submit/12) {
			s.Session(&mailserver.Session{Time: t,
				Net: rnd.Uint32N(uint32(50*k.submitters)+5) * 0x9e3779b1, Inbound: true,
				External: true, Submit: true, Auth: true}, tell)
		}
	}
}

// send delivers a message.
func send(s *mailserver.Server, m *mailserver.Mail, rnd *rand.Rand, tell func(mailserver.Verdict)) {
	s.Sent(m, true, tell)
	s.Session(&mailserver.Session{Time: m.Time, Net: m.Net, External: true, Messages: 1,
		Bytes: uint64(30000 * math.Exp(rnd.NormFloat64()))}, tell)
}

// refuse has a message be refused for now.
func refuse(s *mailserver.Server, m mailserver.Mail, at int64, tell func(mailserver.Verdict)) {
	m.Time, m.Taken, m.Code, m.Phase, m.Why = at, false, 451, mailserver.AtMail, refusal.Busy
	s.Sent(&m, true, tell)
	s.Session(&mailserver.Session{Time: at, Net: m.Net, External: true, Bytes: 500}, tell)
}

func poisson(rnd *rand.Rand, mean float64) (n int) {
	if mean > 50 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*rnd.NormFloat64())))
	}
	for t := rnd.ExpFloat64(); t < mean; t += rnd.ExpFloat64() {
		n++
	}
	return n
}

func usual(int64) float64 { return 1 }

// quietResult is what quiet years gave.
type quietResult struct {
	name                       string
	metricYears, alarms, worst int
}

// metric is what a verdict is about.
func metric(v mailserver.Verdict) string {
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

// quiet runs years of each kind, the year of learning included.
func quiet(seed uint64, years int) (list []quietResult) {
	for i := range kinds {
		k := &kinds[i]
		r := quietResult{name: k.name, metricYears: years * int(mailserver.Metrics)}
		n := years
		if k.office >= 1000 {
			n = max(1, years/4) // half a minute a year
			r.metricYears = n * int(mailserver.Metrics)
		}
		for y := range n {
			var s mailserver.Server
			by := map[string]int{}
			k.run(&s, rand.New(rand.NewPCG(seed, uint64(i*1000+y))), monday+int64(y)*19*hour+
				777*second, 365, usual, func(v mailserver.Verdict) {
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

// riseResult is how long rises took to be found.
type riseResult struct {
	name   string
	factor float64
	tried  int
	took   []int
}

func (r *riseResult) median() int { slices.Sort(r.took); return at(r.took, len(r.took)/2) }
func (r *riseResult) worst() int  { slices.Sort(r.took); return at(r.took, len(r.took)-1) }
func (r *riseResult) good() bool {
	limit := 3600
	if r.factor >= 50 {
		limit = 600
	}
	return len(r.took) == r.tried && r.worst() <= limit
}

func at(list []int, i int) int {
	if i < 0 || i >= len(list) {
		return -1
	}
	return list[i]
}

// rises begin at any time of a working day of the seventh week.
func rises(seed uint64) (list []riseResult) {
	for i := range kinds {
		k := &kinds[i]
		if k.office < 5 || k.office >= 1000 {
			// ten times almost nothing is almost nothing; and a provider takes long to simulate
			continue
		}
		for _, factor := range []float64{10, 50} {
			r := riseResult{name: k.name, factor: factor}
			for n := range 6 {
				rnd := rand.New(rand.NewPCG(seed+77, uint64(i*1000+n)))
				var s mailserver.Server
				k.run(&s, rnd, monday, 42, usual, func(mailserver.Verdict) {})
				begin := monday + 43*day + 8*hour + int64(rnd.Uint64N(uint64(9*hour)))/five*five
				found := int64(0)
				k.run(&s, rnd, monday+42*day, 2, func(t int64) float64 {
					if t >= begin && t < begin+2*hour {
						return factor
					}
					return 1
				}, func(v mailserver.Verdict) {
					if found == 0 && v.Time >= begin {
						found = v.Time
					}
				})
				r.tried++
				if found != 0 {
					r.took = append(r.took, int((found-begin)/second))
				}
			}
			list = append(list, r)
		}
	}
	return list
}
