package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"spamsensor/bench/campaign"
	"spamsensor/sensor/verdict"
)

// report is the result of one call of `bench campaigns`.
type report struct {
	Seed          string            `json:"seed"`
	Hosts         int               `json:"hosts"`
	Days          float64           `json:"host_days"`
	Packets       uint64            `json:"packets"`
	Took          float64           `json:"seconds"`
	Scenarios     []*scenarioResult `json:"scenarios"`
	Likely        total             `json:"at_likely"`
	Bots          total             `json:"bots_at_likely"` // without the scenarios of servers
	Levels        map[string]total  `json:"by_level"`
	References    map[string]total  `json:"anchors"`
	Bins          []calibrationJSON `json:"calibration"`
	Targets       []targetResult    `json:"targets"`
	Variants      []variantResult   `json:"variants"`
	AttemptsExact share             `json:"attempts_as_said"`
	Misses        []miss            `json:"misses,omitempty"`
	Goals         []goal            `json:"goals"`
	UnknownHosts  int               `json:"findings_about_nobody"`
	references    []string
}

type calibrationJSON struct {
	Range string `json:"score"`
	Bots  share  `json:"bots"`
}

// miss is a host without a finding that it should have, or with a wrong one.
type miss struct {
	Scenario string            `json:"scenario"`
	Number   int               `json:"number"`
	Kind     string            `json:"kind"`
	Classes  map[string]string `json:"said"`
	Score    float64           `json:"score"`
	Reasons  string            `json:"reasons"`
}

// misses are the hosts with a wrong result, in the order of the report.
func misses(list []*hostResult) (all []miss) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *hostResult) int {
		return reportOrder(a.host.Scenario) - reportOrder(b.host.Scenario)
	})
	for _, o := range list {
		if o.correct() {
			continue
		}
		m := miss{o.host.Scenario.Name, o.host.Number, o.host.Kind, map[string]string{}, o.score,
			strings.TrimSpace(o.reasons)}
		for class, level := range o.classes {
			m.Classes[class] = level.String()
		}
		all = append(all, m)
	}
	return all
}

// printMisses lists hosts: the draw, the findings, and the reasons of the latest finding.
func printMisses(out io.Writer, list []miss) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, m := range list {
		var findings []string
		for class, level := range m.Classes {
			findings = append(findings, class+" "+level)
		}
		slices.Sort(findings)
		fmt.Fprintf(w, "%s %d\t%s\tL %.1f\t%s\t%s\n", m.Scenario, m.Number, m.Kind, m.Score,
			strings.Join(findings, ", "), m.Reasons)
	}
	w.Flush()
}

// variantResult is the row of a variant in the report.
type variantResult struct {
	Name          string            `json:"name"`
	About         string            `json:"about"`
	Likely        total             `json:"at_likely"`
	Bots          total             `json:"bots_at_likely"` // without the scenarios of servers
	Suspect       total             `json:"at_suspect"`
	Ten           int               `json:"ten_right"`
	AttemptsExact share             `json:"attempts_as_said"`
	Misses        []miss            `json:"misses,omitempty"`
	Changed       int               `json:"hosts_with_another_verdict"`
	ChangedIn     []string          `json:"where"`
	Scenarios     []*scenarioResult `json:"scenarios"`
	Targets       []targetResult    `json:"targets"`
	References    map[string]total  `json:"anchors"`
}

// newReport makes the report of the plain campaign.
func newReport(seed string, run *runResult) *report {
	r := &report{Seed: seed, Hosts: len(run.hosts), Packets: run.packets,
		UnknownHosts: run.unknownHosts, references: run.references,
		Scenarios: scoreScenarios(run), Likely: totalOf(run.hosts, atLikely),
		Bots: totalOf(withoutServers(run.hosts), atLikely), Levels: map[string]total{},
		References: referenceTotals(run), Targets: judgeTargets(run.hosts)}
	r.AttemptsExact, r.Misses = attemptAccuracy(run.hosts), misses(run.hosts)
	for _, o := range run.hosts {
		r.Days += float64(o.host.Until-o.host.From) / 86400e9
	}
	for _, l := range levels {
		r.Levels[l.String()] = totalOf(run.hosts, func(o *hostResult) bool {
			return o.highestLevel() >= l
		})
	}
	for _, c := range calibrate(run.hosts) {
		r.Bins = append(r.Bins, calibrationJSON{scoreRange(c.From, c.To), c.Bots})
	}
	return r
}

// scoreRange is a range of scores in words.
func scoreRange(from, to float64) string {
	switch {
	case math.IsInf(from, -1):
		return fmt.Sprintf("below %.1f", to)
	case math.IsInf(to, 1):
		return fmt.Sprintf("%.1f and more", from)
	}
	return fmt.Sprintf("%.1f to %.1f", from, to)
}

// reportOrder is the place of a scenario in the report.
func reportOrder(sc *campaign.Scenario) int {
	if i := slices.Index(campaign.All, sc); i >= 0 {
		return i
	}
	return len(campaign.All)
}

// scoreScenarios returns the rows of all scenarios, in the order of campaign.All.
func scoreScenarios(run *runResult) (list []*scenarioResult) {
	by := map[*campaign.Scenario][]*hostResult{}
	var order []*campaign.Scenario
	for _, o := range run.hosts {
		sc := o.host.Scenario
		if by[sc] == nil {
			order = append(order, sc)
		}
		by[sc] = append(by[sc], o)
	}
	slices.SortStableFunc(order, func(a, b *campaign.Scenario) int {
		return reportOrder(a) - reportOrder(b)
	})
	for _, sc := range order {
		list = append(list, scoreScenario(sc, by[sc], run.references))
	}
	return list
}

// sensor is the name of the sensor among the references.
const sensor = "sensor, likely"

// referenceTotals returns the totals of the sensor and of the references. Declared hosts are left
// out, because the references have no declarations.
func referenceTotals(run *runResult) map[string]total {
	totals := map[string]total{}
	list := slices.DeleteFunc(slices.Clone(run.hosts), func(o *hostResult) bool {
		return o.host.Declared
	})
	totals[sensor] = totalOf(list, atLikely)
	for i, name := range run.references {
		totals[name] = totalOf(list, func(o *hostResult) bool {
			return i < len(o.references) && o.references[i] != 0
		})
	}
	return totals
}

// add adds a variant; base is the plain campaign.
func (r *report) add(v *campaign.Variant, base, run *runResult) {
	list := scoreScenarios(run)
	n, where := changedVerdicts(base, run)
	r.Variants = append(r.Variants,
		variantResult{Name: v.Name, About: v.About, Likely: totalOf(run.hosts, atLikely),
			Bots: totalOf(withoutServers(run.hosts), atLikely),
			Suspect: totalOf(run.hosts, func(o *hostResult) bool {
				return o.highestLevel() >= verdict.Suspect
			}),
			Ten: tenDiagnosed(list), AttemptsExact: attemptAccuracy(run.hosts),
			Misses: misses(run.hosts), Changed: n, ChangedIn: where, Scenarios: list,
			Targets: judgeTargets(run.hosts), References: referenceTotals(run)})
}

// tenDiagnosed is the number of the ten scenarios in which at least 95 of 100 hosts were diagnosed
// as expected.
func tenDiagnosed(list []*scenarioResult) (n int) {
	for _, s := range list {
		if s.Ten != "" && s.Right.Share >= 0.95 {
			n++
		}
	}
	return n
}

// print prints all tables.
func (r *report) print(out io.Writer, listMisses bool) {
	fmt.Fprintf(out, "seed %s: %d hosts, %.0f host-days, %d packets, %.0f s\n", r.Seed, r.Hosts,
		r.Days, r.Packets, r.Took)
	r.printInfected(out)
	r.printClean(out)
	r.printTotals(out)
	r.printReferences(out)
	r.printVariants(out)
	r.printGoals(out)
	if listMisses {
		fmt.Fprintln(out, "\nEvery host of which not all was right: what was drawn, the highest "+
			"score, what was said, and the reasons of the latest finding.")
		printMisses(out, r.Misses)
		for _, v := range r.Variants {
			fmt.Fprintf(out, "\nThe same, %s.\n", v.Name)
			printMisses(out, v.Misses)
		}
	}
}

// printInfected prints the scenarios of hosts that should be found.
func (r *report) printInfected(out io.Writer) {
	fmt.Fprintln(out, "\nHosts that should be found. Attempts and seconds since the first bad "+
		"moment: median / 95th percentile over all hosts, - is never.")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "scenario\thosts\tsuspect\tlikely\tconfirmed\trecall at likely\tright\t"+
		"attempts to suspect\tlikely\tconfirmed\tseconds to suspect\tlikely\tconfirmed\t"+
		"wrong classes")
	for _, s := range r.Scenarios {
		if !s.Infected {
			continue
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\t%s\t", s.title(), s.Hosts, s.Reached["suspect"],
			s.Reached["likely"], s.Reached["confirmed"], shareBounds(s.Likely), percent(s.Right))
		for _, l := range levels {
			fmt.Fprintf(w, "%s\t", s.Attempts[l.String()])
		}
		for _, l := range levels {
			fmt.Fprintf(w, "%s\t", s.Seconds[l.String()])
		}
		fmt.Fprintf(w, "%s\n", countsText(s.Wrong))
	}
	w.Flush()
}

// printClean prints the scenarios of hosts that should not be accused.
func (r *report) printClean(out io.Writer) {
	fmt.Fprintln(out, "\nHosts that should be left alone.")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "scenario\thosts\thost-days\tsuspect\tlikely\tconfirmed\taccused at likely\t"+
		"per 1,000 host-days\twrong classes\tsaid")
	for _, s := range r.Scenarios {
		if s.Infected {
			continue
		}
		fmt.Fprintf(w, "%s\t%d\t%.0f\t%d\t%d\t%d\t%s\t%.1f\t%s\t%s\n", s.title(), s.Hosts, s.Days,
			s.Reached["suspect"], s.Reached["likely"], s.Reached["confirmed"],
			shareBounds(s.Likely), s.FalsePer1000, countsText(s.Wrong), countsText(s.Classes))
	}
	w.Flush()
}

// title is the name of the scenario, with its letter if it is one of the ten.
func (s *scenarioResult) title() string {
	if s.Ten != "" {
		return s.Ten + " " + s.Name
	}
	return s.Name
}

// goal is a figure that a release must reach.
type goal struct {
	Name     string `json:"name"`
	Goal     string `json:"goal"`
	Measured string `json:"measured"`
	State    string `json:"state"` // met, not met, not run
}

// unchangedBy are the variants that must not change a verdict, beside the encapsulations.
var unchangedBy = []string{"doubled", "loss-1", "ipv6"}

// goals compares the run with the figures that a release must reach.
func (r *report) goals() (list []goal) {
	add := func(name, want, measured string, run, met bool) {
		g := goal{name, want, measured, "not met"}
		switch {
		case !run:
			g.State = "not run"
		case met:
			g.State = "met"
		}
		list = append(list, g)
	}
	t := r.Likely
	add("precision at likely, all scenarios, servers as expected", ">= 0.99", interval(t.Precision),
		t.Precision.N > 0, t.Precision.Share >= 0.99)
	add("recall at likely, all scenarios, servers as expected", ">= 0.98", interval(t.Recall),
		t.Recall.N > 0, t.Recall.Share >= 0.98)
	hard, days := 0, 0.0
	for _, s := range r.Scenarios {
		if !s.Infected {
			hard += s.Reached["likely"]
			days += s.Days
		}
	}
	add("clean hosts at likely or above", "0 in >= 10,000 host-days",
		fmt.Sprintf("%d in %.0f host-days", hard, days), hard > 0 || days >= 10_000, hard == 0)
	ran := 0
	for _, s := range r.Scenarios {
		if s.Ten != "" {
			ran++
		}
	}
	add("the ten scenarios", "10 of 10", fmt.Sprintf("%d of %d", tenDiagnosed(r.Scenarios), ran),
		ran == 10, tenDiagnosed(r.Scenarios) == 10)
	for _, row := range r.Targets {
		add(row.Name+": "+row.Want, "95 of 100 hosts", percent(row.Within), row.State != "not run",
			row.State == "met")
	}
	for _, v := range r.Variants {
		if v.Name == "syn-only" {
			p, c := v.Bots.Precision, v.Bots.Recall
			add("precision and recall of bots at likely from SYNs alone", ">= 0.97",
				interval(p)+", "+interval(c), true, p.Share >= 0.97 && c.Share >= 0.97)
		}
		if slices.Contains(unchangedBy, v.Name) ||
			slices.ContainsFunc(campaign.Encapsulations, func(e *campaign.Encapsulation) bool {
				return e.Name == v.Name
			}) {
			add("the same verdicts: "+v.Name, "all hosts",
				fmt.Sprintf("%d of %d differ", v.Changed, r.Hosts), true, v.Changed == 0)
		}
	}
	return list
}

// printGoals prints the figures that a release must reach.
func (r *report) printGoals(out io.Writer) {
	fmt.Fprintln(out, "\nWhat a release must reach.")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, g := range r.Goals {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", g.Name, g.Goal, g.Measured, g.State)
	}
	w.Flush()
}

// printTotals prints the totals, the calibration and the targets.
func (r *report) printTotals(out io.Writer) {
	fmt.Fprintln(out, "\nAll hosts but the declared limits (95 % intervals by Wilson). The "+
		"share of bots here is that of the scenarios, not that of a real network.")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tprecision\trecall\tclean hosts left alone\tfalse per 1,000 host-days\t"+
		"limits found")
	row := func(name string, t total) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f\t%s\n", name, interval(t.Precision),
			interval(t.Recall), interval(t.Specific), t.Per1000, percent(t.Limits))
	}
	for _, l := range levels {
		row(l.String(), r.Levels[l.String()])
	}
	row("likely, servers as expected", r.Likely)
	row("likely, without servers", r.Bots)
	w.Flush()
	fmt.Fprintln(out, "\nCalibration: the highest score of a host, and the share of bots among "+
		"those with such a score.")
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, b := range r.Bins {
		fmt.Fprintf(w, "L %s\t%s\n", b.Range, interval(b.Bots))
	}
	w.Flush()
	fmt.Fprintln(out,
		"\nTime to detect (DETECTION 2.8). Met: 95 of 100 hosts are within the bound.")
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, t := range r.Targets {
		fmt.Fprintf(w, "%s\t%s\tmeasured %s\twithin %s\t%s\t%s\n", t.Name, t.Want, t.Measure,
			percent(t.Within), t.State, sharesText(t.Each))
	}
	w.Flush()
	fmt.Fprintf(out, "\nThe ten scenarios of DETECTION 3.2: %d of 10 diagnosed as expected (95 "+
		"of 100 hosts or more).\n", tenDiagnosed(r.Scenarios))
	fmt.Fprintf(out, "The sensor's own count of attempts at its decisions is the true one in %s.\n",
		interval(r.AttemptsExact))
	if r.UnknownHosts > 0 {
		fmt.Fprintf(out, "%d findings name an address that no host had.\n", r.UnknownHosts)
	}
}

// printReferences prints the reference detectors beside the sensor.
func (r *report) printReferences(out io.Writer) {
	fmt.Fprintln(out, "\nReference detectors on the same packets: hosts found, and the median "+
		"of seconds. Precision and recall are those of hosts that are not declared.")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "scenario\thosts\t"+sensor+"\t%s\n", strings.Join(r.references, "\t"))
	for _, s := range r.Scenarios {
		fmt.Fprintf(w, "%s\t%d\t%s", s.Name, s.Hosts,
			foundText(s.Reached["likely"], s.Seconds["likely"], s.Infected))
		for _, a := range r.references {
			fmt.Fprintf(w, "\t%s", foundText(s.References[a].Found, s.References[a].Seconds,
				s.Infected))
		}
		fmt.Fprintln(w)
	}
	for _, row := range []struct {
		name string
		of   func(total) share
	}{
		{"precision", func(t total) share { return t.Precision }},
		{"recall", func(t total) share { return t.Recall }},
	} {
		fmt.Fprintf(w, "%s\t\t%s", row.name, percent(row.of(r.References[sensor])))
		for _, a := range r.references {
			fmt.Fprintf(w, "\t%s", percent(row.of(r.References[a])))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}

// printVariants prints a row for each variant.
func (r *report) printVariants(out io.Writer) {
	if len(r.Variants) == 0 {
		return
	}
	fmt.Fprintln(out, "\nThe same hosts, seen differently. Another verdict: another class or "+
		"level than in the plain campaign.")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "variant\t\tprecision at likely\trecall at likely\trecall at suspect\t"+
		"without servers: precision\trecall\tten\ttargets met\tanother verdict\twhere\t"+
		"clean hosts at likely")
	for _, v := range r.Variants {
		met, of := 0, 0
		for _, t := range v.Targets {
			if t.State != "not run" {
				of++
			}
			if t.State == "met" {
				met++
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d/10\t%d/%d\t%d of %d\t%s\t%s\n", v.Name,
			v.About, interval(v.Likely.Precision), interval(v.Likely.Recall),
			percent(v.Suspect.Recall), percent(v.Bots.Precision), percent(v.Bots.Recall),
			v.Ten, met, of, v.Changed, r.Hosts, firstNames(v.ChangedIn, 6),
			falseScenarios(v.Scenarios))
	}
	w.Flush()
}

// sharesText lists shares by name.
func sharesText(m map[string]share) string {
	var list []string
	for name, s := range m {
		list = append(list, name+" "+percent(s))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// falseScenarios names the scenarios of clean hosts that were accused at likely or above, with
// counts.
func falseScenarios(list []*scenarioResult) string {
	m := map[string]int{}
	for _, s := range list {
		if n := s.Reached["likely"]; !s.Infected && n > 0 {
			m[s.Name] = n
		}
	}
	return countsText(m)
}

// firstNames lists the first n names and the number of the others.
func firstNames(list []string, n int) string {
	if len(list) > n {
		return strings.Join(list[:n], " ") + fmt.Sprintf(" and %d more", len(list)-n)
	}
	return strings.Join(list, " ")
}

// foundText is the number of hosts found, and for infected hosts the median of seconds.
func foundText(n int, s percentiles, infected bool) string {
	switch {
	case n == 0:
		return "-"
	case !infected || s.Median < 0:
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d %ss", n, shortNumber(s.Median))
}

// countsText lists counts by name.
func countsText(m map[string]int) string {
	var list []string
	for k, n := range m {
		list = append(list, fmt.Sprintf("%d %s", n, k))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// percent is a share in percent, "-" for a share of nothing.
func percent(s share) string {
	if s.N == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*s.Share)
}

// shareBounds is a share with its interval, without the counts.
func shareBounds(s share) string { return fmt.Sprintf("%.2f [%.2f-%.2f]", s.Share, s.Low, s.High) }

// interval is a share with its interval and its counts.
func interval(s share) string {
	if s.N == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f [%.3f-%.3f] %d/%d", s.Share, s.Low, s.High, s.K, s.N)
}

// String is the median and the 95th percentile, "-" for never.
func (s percentiles) String() string { return shortNumber(s.Median) + " / " + shortNumber(s.P95) }

// shortNumber formats a number with few digits, -1 (never) as "-".
func shortNumber(v float64) string {
	switch {
	case v < 0:
		return "-"
	case v == math.Trunc(v) && v < 1e6:
		return fmt.Sprintf("%.0f", v)
	case v < 100:
		return fmt.Sprintf("%.2g", v)
	}
	return fmt.Sprintf("%.0f", v)
}
