package main

import (
	"math"
	"slices"

	"spamsensor/bench/campaign"
	"spamsensor/sensor/verdict"
)

// wilson is the interval in which a share lies with 95 % confidence when k of n are observed
// (Wilson 1927; z = 1.96).
func wilson(k, n int) (lo, hi float64) {
	if n == 0 {
		return 0, 1
	}
	const z = 1.959963984540054
	p, m := float64(k)/float64(n), float64(n)
	mid := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(0, mid-half), min(1, mid+half)
}

// share is k of n with its interval by Wilson.
type share struct {
	K     int     `json:"k"`
	N     int     `json:"n"`
	Share float64 `json:"share"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

func shareOf(k, n int) share {
	s := share{K: k, N: n}
	if n > 0 {
		s.Share = float64(k) / float64(n)
	}
	s.Low, s.High = wilson(k, n)
	return s
}

// percentiles are the median and the 95th percentile over all hosts. A host that never reached the
// level counts as infinitely late; a percentile that falls on such a host is -1.
type percentiles struct {
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
}

func percentilesOf(values []float64) percentiles {
	return percentiles{finite(quantile(values, 0.5)), finite(quantile(values, 0.95))}
}

// quantile is the smallest value that at least a share q of the values do not exceed; infinite for
// no values.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.Inf(1)
	}
	v := slices.Sorted(slices.Values(values))
	return v[max(0, int(math.Ceil(q*float64(len(v))))-1)]
}

// finite is a value, or -1 if it is infinite.
func finite(v float64) float64 {
	if math.IsInf(v, 1) {
		return -1
	}
	return v
}

// scenarioResult is the row of a scenario in the report.
type scenarioResult struct {
	Name     string         `json:"name"`
	Ten      string         `json:"ten,omitempty"`
	Infected bool           `json:"infected"`
	Limit    bool           `json:"limit,omitempty"`
	Hosts    int            `json:"hosts"`
	Days     float64        `json:"host_days"`
	Reached  map[string]int `json:"reached"`
	Right    share          `json:"right"`
	// Likely is the recall at likely; for clean hosts, the share that was accused.
	Likely   share                  `json:"likely"`
	Attempts map[string]percentiles `json:"attempts,omitempty"`
	Seconds  map[string]percentiles `json:"seconds,omitempty"`
	Wrong    map[string]int         `json:"wrong_classes,omitempty"`
	Classes  map[string]int         `json:"said"`
	// FalsePer1000 is the number of false findings at likely or above in 1,000 host-days.
	FalsePer1000 float64                    `json:"false_per_1000_host_days"`
	References   map[string]referenceResult `json:"anchors"`
}

// referenceResult is the result of a reference detector for a scenario.
type referenceResult struct {
	Found   int         `json:"found"`
	Seconds percentiles `json:"seconds"`
}

var levels = [...]verdict.Level{verdict.Suspect, verdict.Likely, verdict.Confirmed}

// scoreScenario makes a scenario's row of its hosts.
func scoreScenario(sc *campaign.Scenario, list []*hostResult, references []string) *scenarioResult {
	r := &scenarioResult{
		Name: sc.Name, Ten: sc.Ten, Infected: sc.Expect.Class != "", Limit: sc.Limit,
		Hosts:   len(list),
		Reached: map[string]int{}, Wrong: map[string]int{}, Classes: map[string]int{},
		References: map[string]referenceResult{},
	}
	right, falseAlarms := 0, 0
	for _, o := range list {
		r.Days += float64(o.host.Until-o.host.From) / 86400e9
		for c, l := range o.classes {
			r.Classes[c+" "+l.String()]++
		}
		for c, l := range o.wrongClasses {
			r.Wrong[c+" "+l.String()]++
		}
		if !r.Infected && o.highestLevel() >= verdict.Likely {
			falseAlarms++
		}
		if r.Infected && o.diagnosedAt != 0 || !r.Infected && len(o.wrongClasses) == 0 {
			right++
		}
	}
	r.scoreLevels(list)
	r.Right, r.Likely = shareOf(right, len(list)), shareOf(r.Reached["likely"], len(list))
	if r.Days > 0 {
		r.FalsePer1000 = float64(falseAlarms) / r.Days * 1000
	}
	for i, name := range references {
		r.References[name] = r.scoreReference(list, i)
	}
	return r
}

// scoreLevels counts the hosts that reached each level and, if they are infected, the attempts and
// seconds until then.
func (r *scenarioResult) scoreLevels(list []*hostResult) {
	if r.Infected {
		r.Attempts, r.Seconds = map[string]percentiles{}, map[string]percentiles{}
	}
	for _, l := range levels {
		var attempts, seconds []float64
		for _, o := range list {
			n, s := math.Inf(1), math.Inf(1)
			if at := o.reached[l]; at != 0 {
				r.Reached[l.String()]++
				n, s = float64(o.badActs(at)), o.secondsSinceBad(at)
			}
			attempts, seconds = append(attempts, n), append(seconds, s)
		}
		if r.Infected {
			r.Attempts[l.String()], r.Seconds[l.String()] = percentilesOf(attempts),
				percentilesOf(seconds)
		}
	}
}

// scoreReference counts the hosts that reference i named, and the seconds until then.
func (r *scenarioResult) scoreReference(list []*hostResult, i int) (result referenceResult) {
	var seconds []float64
	for _, o := range list {
		if i >= len(o.references) {
			continue
		}
		s := math.Inf(1)
		if at := o.references[i]; at != 0 {
			result.Found++
			if s = 0; r.Infected && o.host.Bad != 0 {
				s = o.secondsSinceBad(at)
			}
		}
		seconds = append(seconds, s)
	}
	result.Seconds = percentilesOf(seconds)
	return result
}

// total is the result of a whole run: hosts that should be found against hosts that should not. The
// scenarios of declared limits are left out, and counted apart.
type total struct {
	Precision share   `json:"precision"`
	Recall    share   `json:"recall"`
	Specific  share   `json:"clean_left_alone"`
	Correct   share   `json:"accuracy"`
	Limits    share   `json:"limits_found"`
	CleanDays float64 `json:"clean_host_days"`
	Per1000   float64 `json:"false_per_1000_host_days"`
}

// totalOf counts the hosts that a detector names; named reports whether it names a host.
func totalOf(list []*hostResult, named func(*hostResult) bool) (t total) {
	var tp, fp, fn, tn, limits, found int
	for _, o := range list {
		yes := named(o)
		switch {
		case o.host.Scenario.Limit:
			limits++
			if yes {
				found++
			}
		case o.host.Infected() && yes:
			tp++
		case o.host.Infected():
			fn++
		case yes:
			fp++
		default:
			tn++
		}
		if !o.host.Infected() {
			t.CleanDays += float64(o.host.Until-o.host.From) / 86400e9
		}
	}
	t.Precision, t.Recall, t.Specific = shareOf(tp, tp+fp), shareOf(tp, tp+fn), shareOf(tn, tn+fp)
	t.Correct, t.Limits = shareOf(tp+tn, tp+tn+fp+fn), shareOf(found, limits)
	if t.CleanDays > 0 {
		t.Per1000 = float64(fp) / t.CleanDays * 1000
	}
	return t
}

// atLikely reports whether the verdict about a host counts: likely or above. For the scenarios of
// servers the expected level is enough, because a volume has no level of certainty.
func atLikely(o *hostResult) bool {
	if e := o.host.Scenario.Expect; e.Class != "" && e.Class != "spambot" {
		l, _ := verdict.ParseLevel(e.Level)
		return o.highestLevel() >= l
	}
	return o.highestLevel() >= verdict.Likely
}

// withoutServers leaves out the scenarios of servers, in which SYNs alone show nothing.
func withoutServers(list []*hostResult) []*hostResult {
	return slices.DeleteFunc(slices.Clone(list), func(o *hostResult) bool {
		c := o.host.Scenario.Expect.Class
		return c != "" && c != "spambot"
	})
}

// attemptAccuracy is the share of decisions at which the sensor's number of attempts is the true
// number, over the hosts whose attempts are all bad.
func attemptAccuracy(list []*hostResult) share {
	k, n := 0, 0
	for _, o := range list {
		m := o.host.Marks.Attempts
		if !o.host.Infected() || o.host.Attempts != len(m) {
			continue
		}
		for _, d := range o.decisions {
			n++
			// A timer decides before the packet that advanced the clock.
			if a := int(d.Attempts); a == campaign.Before(m, d.At) ||
				a == campaign.Before(m, d.At-1) {
				k++
			}
		}
	}
	return shareOf(k, n)
}

// calibration is the share of true bots among the hosts with a score in a range. The score is that
// of a spambot: scenarios of servers and declared limits are left out.
type calibration struct {
	From, To float64
	Bots     share
}

// calibrate returns the calibration in ranges of the score.
func calibrate(list []*hostResult) (c []calibration) {
	edges := []float64{math.Inf(-1), -4.6, -2.3, 0, 2.3, 4.6, 6.9, 9.2, math.Inf(1)}
	for i := range edges[1:] {
		k, n := 0, 0
		for _, o := range list {
			e := o.host.Scenario.Expect.Class
			if o.host.Scenario.Limit || o.host.Declared || e != "" && e != "spambot" ||
				o.score < edges[i] || o.score >= edges[i+1] {
				continue
			}
			n++
			if e != "" {
				k++
			}
		}
		c = append(c, calibration{edges[i], edges[i+1], shareOf(k, n)})
	}
	return c
}

// target is a row of DETECTION 2.8: a bound on the attempts or seconds until a level.
type target struct {
	name, want string
	scenarios  []string
	bound      float64
	value      func(*hostResult) float64
}

// countAt is the number of marks in a list when a level is reached, infinite if it never is.
func countAt(l verdict.Level, of func(*campaign.Marks) []int64) func(*hostResult) float64 {
	return func(o *hostResult) float64 {
		if o.reached[l] == 0 {
			return math.Inf(1)
		}
		return float64(campaign.Before(of(&o.host.Marks), o.reached[l]))
	}
}

// secondsAt is the time in seconds until a level is reached, infinite if it never is.
func secondsAt(l verdict.Level) func(*hostResult) float64 {
	return func(o *hostResult) float64 {
		if o.reached[l] == 0 {
			return math.Inf(1)
		}
		return o.secondsSinceBad(o.reached[l])
	}
}

func attemptsOf(m *campaign.Marks) []int64 { return m.Attempts }
func netsOf(m *campaign.Marks) []int64     { return m.Nets }
func serversOf(m *campaign.Marks) []int64  { return m.Servers }
func sessionsOf(m *campaign.Marks) []int64 { return m.Sessions }
func relayedOf(m *campaign.Marks) []int64  { return m.Relayed }

// firstReadable is the number of attempts until likely. A verdict in the first readable session is
// always in time: it counts as 12 attempts at most.
func firstReadable(o *hostResult) float64 {
	n := countAt(verdict.Likely, attemptsOf)(o)
	if r := o.host.Marks.Readable; len(r) > 0 && !math.IsInf(n, 1) &&
		campaign.Before(r, o.reached[verdict.Likely]) <= 1 {
		return math.Min(n, 12)
	}
	return n
}

// repliesUntilNamed is the number of replies that named a blocklist until a finding named it.
func repliesUntilNamed(o *hostResult) float64 {
	if o.namedAt == 0 {
		return math.Inf(1)
	}
	return float64(campaign.Before(o.host.Marks.Listed, o.namedAt))
}

var burst = []string{"burst-mixed", "burst-tls", "burst-2009", "blocked-drop", "blocked-reset",
	"blocked-icmp"}

// targets are the rows of DETECTION 2.8. A row is met if 95 of 100 hosts are within the bound.
var targets = []target{
	{"burst bot, any ports, TLS or blocked", "suspect within 4 destinations", burst, 4,
		countAt(verdict.Suspect, netsOf)},
	{"burst bot, any ports, TLS or blocked",
		"likely within 12 attempts or in the first readable session", burst, 12, firstReadable},
	{"cleartext bot on :25", "likely within 6 sessions", []string{"plaintext-bot"}, 6,
		countAt(verdict.Likely, sessionsOf)},
	{"slow bot, 1 per 15 s", "suspect within 5 sessions", []string{"slow-bot"}, 5,
		countAt(verdict.Suspect, sessionsOf)},
	{"very slow, 12 destinations a day", "suspect within 10 contacts", []string{"twelve-a-day"}, 10,
		countAt(verdict.Suspect, attemptsOf)},
	{"one-provider hammerer", "suspect within 20 attempts", []string{"hammerer"}, 20,
		countAt(verdict.Suspect, attemptsOf)},
	{"submission bot, stolen accounts", "suspect within 6 servers",
		[]string{"stolen-accounts", "bot-587"}, 6, countAt(verdict.Suspect, serversOf)},
	{"open relay, clear", "confirmed at 1 relayed message", []string{"open-relay"}, 1,
		countAt(verdict.Confirmed, relayedOf)},
	{"open relay, TLS", "suspect within 30 min", []string{"relay-tls"}, 1800,
		secondsAt(verdict.Suspect)},
	{"declared server, tenfold volume", "suspect within 1 h", []string{"server-x10"}, 3600,
		secondsAt(verdict.Suspect)},
	{"declared server, fiftyfold volume", "suspect within 10 min", []string{"server-x50"}, 600,
		secondsAt(verdict.Suspect)},
	{"blacklisting of a bot", "named at 1 reply", []string{"blocklist-text"}, 1, repliesUntilNamed},
	{"blacklisting of a server", "named at 1 reply", []string{"listed-server"}, 1,
		repliesUntilNamed},
}

// targetResult is the result for a row of targets.
type targetResult struct {
	Name    string      `json:"scenario"`
	Want    string      `json:"target"`
	Within  share       `json:"within"`
	Measure percentiles `json:"measured"`
	Bound   float64     `json:"bound"`
	State   string      `json:"state"` // met, not met, not run
	// Each is the share of hosts within the bound for each scenario, if there are several.
	Each map[string]share `json:"each,omitempty"`
}

// judgeTargets compares the hosts with all targets.
func judgeTargets(list []*hostResult) (results []targetResult) {
	for _, t := range targets {
		r := targetResult{Name: t.name, Want: t.want, Bound: t.bound, State: "not met",
			Each: map[string]share{}}
		var values []float64
		in := 0
		for _, name := range t.scenarios {
			k, n := 0, 0
			for _, o := range list {
				if o.host.Scenario.Name != name {
					continue
				}
				v := t.value(o)
				values = append(values, v)
				if n++; v <= t.bound {
					k++
				}
			}
			in += k
			if n > 0 && len(t.scenarios) > 1 {
				r.Each[name] = shareOf(k, n)
			}
		}
		r.Within, r.Measure = shareOf(in, len(values)), percentilesOf(values)
		switch {
		case len(values) == 0:
			r.State = "not run"
		case quantile(values, 0.95) <= t.bound:
			r.State = "met"
		}
		results = append(results, r)
	}
	return results
}

// changedVerdicts counts the hosts about which two runs differ: another class, or another level.
// some are the names of their scenarios.
func changedVerdicts(a, b *runResult) (n int, some []string) {
	key := func(o *hostResult) [2]any { return [2]any{o.host.Scenario, o.host.Number} }
	first := map[[2]any]*hostResult{}
	for _, o := range a.hosts {
		first[key(o)] = o
	}
	for _, o := range b.hosts {
		before := first[key(o)]
		if before == nil || len(before.classes) != len(o.classes) {
			n++
			some = append(some, o.host.Scenario.Name)
			continue
		}
		for c, l := range o.classes {
			if had, ok := before.classes[c]; !ok || had != l {
				n++
				some = append(some, o.host.Scenario.Name)
				break
			}
		}
	}
	slices.Sort(some)
	return n, slices.Compact(some)
}
