package main

import (
	"bytes"
	"encoding/json"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spamsensor/bench/campaign"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// TestWilson compares with known values (Brown, Cai, DasGupta 2001, and textbooks): the upper bound
// of 0 of 10 is 0.2775.
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		k, n   int
		lo, hi float64
	}{
		{0, 10, 0, 0.2775}, {10, 10, 0.7225, 1}, {5, 10, 0.2366, 0.7634}, {1, 20, 0.0089, 0.2361},
		{95, 100, 0.8882, 0.9785}, {0, 0, 0, 1},
	} {
		lo, hi := wilson(c.k, c.n)
		if math.Abs(lo-c.lo) > 1e-4 || math.Abs(hi-c.hi) > 1e-4 {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", c.k, c.n, lo, hi, c.lo, c.hi)
		}
	}
}

func TestPercentiles(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		values []float64
		want   percentiles
	}{
		{[]float64{3, 1, 2}, percentiles{2, 3}},
		{[]float64{1, inf}, percentiles{1, -1}},
		{[]float64{inf, inf, 1}, percentiles{-1, -1}},
		{nil, percentiles{-1, -1}},
	} {
		if got := percentilesOf(c.values); got != c.want {
			t.Errorf("%v: %v, want %v", c.values, got, c.want)
		}
	}
	var twenty []float64
	for i := range 20 {
		twenty = append(twenty, float64(i+1))
	}
	if got := percentilesOf(twenty); got != (percentiles{10, 19}) { // one of twenty may be late
		t.Errorf("1 to 20: %v", got)
	}
}

func TestTotals(t *testing.T) {
	bad := &campaign.Scenario{Expect: campaign.Expect{Class: "spambot"}}
	limit := &campaign.Scenario{Expect: bad.Expect, Limit: true}
	clean := &campaign.Scenario{}
	made := func(sc *campaign.Scenario, found bool) *hostResult {
		o := &hostResult{host: &campaign.Host{Scenario: sc, Until: 86400e9}}
		if found {
			o.reached[verdict.Likely] = 1
		}
		return o
	}
	list := []*hostResult{made(bad, true), made(bad, true), made(bad, false), made(clean, true),
		made(clean, false), made(clean, false), made(limit, false), made(limit, true)}
	got := totalOf(list, atLikely)
	if got.Precision.K != 2 || got.Precision.N != 3 || got.Recall.N != 3 || got.Specific.K != 2 ||
		got.Correct.K != 4 || got.Correct.N != 6 || got.Limits.K != 1 || got.CleanDays != 3 ||
		math.Abs(got.Per1000-1000./3) > 1e-9 {
		t.Errorf("%+v", got)
	}
}

// TestCampaigns runs the whole command on a small campaign: it prints every table, and the numbers
// do not depend on the number of sites that run at a time.
func TestCampaigns(t *testing.T) {
	args := []string{"campaigns", "-scenario", "plaintext-bot,blocked-drop,mobile,printer",
		"-hosts", "2", "-days", "0.1", "-variants", "doubled,syn-only,vlan", "-suricata=false",
		"-misses"}
	var out, errs bytes.Buffer
	if code := run(args, &out, &errs); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	for _, want := range []string{"A plaintext-bot", "blocked-drop", "printer", "Calibration",
		"Time to detect", "Reference detectors", "netstat >2", "syn-only", "vlan",
		"What a release must reach", "Every host of which not all was right"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nothing about %q:\n%s", want, out.String())
		}
	}
	var reports [2]report
	for i, workers := range []string{"1", "3"} {
		var out bytes.Buffer
		if code := run(append(args, "-json", "-workers", workers), &out, &errs); code != 0 {
			t.Fatal(errs.String())
		}
		if err := json.Unmarshal(out.Bytes(), &reports[i]); err != nil {
			t.Fatal(err)
		}
		reports[i].Took = 0
	}
	a, _ := json.Marshal(reports[0])
	b, _ := json.Marshal(reports[1])
	if !bytes.Equal(a, b) {
		t.Errorf("one worker and three differ:\n%s\n%s", a, b)
	}
	for _, v := range reports[0].Variants {
		if v.Name != "syn-only" && v.Changed != 0 {
			t.Errorf("%s: %d hosts have another verdict (%v)", v.Name, v.Changed, v.ChangedIn)
		}
	}
	for _, args := range [][]string{{"-seed", "0"}, {"-seed", "held-out-x"}, {"-scenario", "none"},
		{"-variants", "x"}, {"-hosts", "0"}, {"-days", "-1"}, {"more"}, {"-nonsense"}} {
		if code := run(append([]string{"campaigns"}, args...), &out, &errs); code != 2 {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestSeeds(t *testing.T) {
	a, _ := parseSeed("1")
	b, _ := parseSeed("held-out-1")
	if a == b || a == 0 || b == 0 {
		t.Errorf("seeds 1 and held-out-1 are %d and %d", a, b)
	}
}

// TestWholeProcess compares with the sensor's command on a capture file of the same frames: it has
// the same findings as the engine that the benchmark calls directly.
func TestWholeProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the command")
	}
	dir := t.TempDir()
	cfg := campaign.Config{Seed: 2, Hosts: 1, Days: 0.3,
		Scenarios: must(pickScenarios(
			"plaintext-bot,starttls-bot,slow-bot,undeclared-server,mobile"))}
	run, err := runVariant(cfg, campaign.Plain, 1, copyOptions{dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	tool := filepath.Join(dir, "spamsensor")
	if out, err := exec.Command("go", "build", "-o", tool,
		"spamsensor/sensor").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(tool, "read", "--events", "-", "-q",
		filepath.Join(dir, "plain-0.pcap")).Output()
	if err != nil {
		t.Fatal(err)
	}
	classes := map[string]map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var e struct {
			Type    string `json:"event_type"`
			Src     string `json:"src_ip"`
			Finding struct{ Action, Class, Level string }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Type == "finding" && e.Finding.Action != "closed" {
			if classes[e.Src] == nil {
				classes[e.Src] = map[string]string{}
			}
			classes[e.Src][e.Finding.Class] = e.Finding.Level // the last is the gravest
		}
	}
	for _, o := range run.hosts {
		got := classes[o.host.WireAddr().String()]
		if len(got) != len(o.classes) {
			t.Errorf("%s: the command says %v, the engine %v", o.host.Scenario.Name, got, o.classes)
		}
		for class, level := range o.classes {
			if got[class] != level.String() {
				t.Errorf("%s: the command says %s %q, the engine %s", o.host.Scenario.Name, class,
					got[class], level)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "plain-0.pcap.truth.json")); err != nil {
		t.Error(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestEncapsulations checks that no encapsulation changes a verdict.
func TestEncapsulations(t *testing.T) {
	cfg := campaign.Config{Seed: 4, Hosts: 1, Days: 0.1,
		Scenarios: must(pickScenarios("burst-2009,blocked-icmp"))}
	plain, err := runVariant(cfg, campaign.Plain, 1, copyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if plain.hosts[0].highestLevel() == verdict.NoLevel {
		t.Fatal("the plain campaign finds nothing: there is nothing to compare")
	}
	for _, v := range campaign.EncapsulationVariants() {
		wrapped, err := runVariant(cfg, v, 1, copyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if n, where := changedVerdicts(plain, wrapped); n > 0 {
			t.Errorf("%s: %d hosts have another verdict (%v)", v.Name, n, where)
		}
	}
	silent := must(runVariant(cfg, &campaign.Variant{Name: "lost", Loss: 1}, 1, copyOptions{}))
	if n, _ := changedVerdicts(plain, silent); n == 0 {
		t.Error("when everything is lost the verdicts are the same: differ sees nothing")
	}
}

// TestSuricata checks that Suricata and the reference detector of the same rule agree on the host
// and on the time, to a microsecond, which is the resolution of Suricata's clock.
func TestSuricata(t *testing.T) {
	tool, err := exec.LookPath("suricata")
	if err != nil {
		t.Skip("suricata is not installed")
	}
	cfg := campaign.Config{Seed: 2, Hosts: 2, Days: 0.15,
		Scenarios: must(pickScenarios("hammerer,rcpt-rejected,slow-bot"))}
	r, err := runVariant(cfg, campaign.Plain, 1, copyOptions{suricata: tool})
	if err != nil {
		t.Fatal(err)
	}
	own, real, alarms := slices.Index(r.references, "ET 10 MAIL/120 s"),
		slices.Index(r.references, "suricata"), 0
	for _, o := range r.hosts {
		a, b := o.references[own], o.references[real]
		if (a == 0) != (b == 0) || math.Abs(float64(a-b)) > 1e3 {
			t.Errorf("%s: ours says %d, suricata %d", o.host.Scenario.Name, a, b)
		}
		if b != 0 {
			alarms++
		}
	}
	if alarms == 0 {
		t.Error("suricata finds nobody")
	}
}

// TestListed checks that an undeclared mail server on a blocklist has both findings.
func TestListed(t *testing.T) {
	cfg := campaign.Config{Seed: 3, Hosts: 2, Days: 0.7,
		Scenarios: must(pickScenarios("undeclared-listed"))}
	for _, o := range must(runVariant(cfg, campaign.Plain, 1, copyOptions{})).hosts {
		if o.classes["undeclared_server"] == verdict.NoLevel ||
			o.classes["blocklisted"] == verdict.NoLevel || o.classes["spambot"] > verdict.Suspect {
			t.Errorf("%s: %v", o.host.Kind, o.classes)
		}
	}
}

// TestJudge checks how a finding is judged: by its class, level, reason, text and time, and by the
// host that had the address at that time.
func TestJudge(t *testing.T) {
	const at = campaign.Epoch
	sc := &campaign.Scenario{Expect: campaign.Expect{Class: "spambot", Level: "likely", Family: "C",
		Pattern: "(?i)unknown"}, Allowed: []string{"direct_smtp"}}
	clean := &campaign.Scenario{Allowed: []string{"direct_smtp"}}
	addr := netip.MustParseAddr("10.0.0.1")
	bot := &campaign.Host{Addr: addr, Scenario: sc, From: at, Until: at + 100, Bad: at + 10,
		MustName: "bl.example"}
	heir := &campaign.Host{Addr: addr, Scenario: clean, From: at + 200, Until: at + 300}
	good := finding.ReasonText{Code: detect.Blocklisted, Text: "User Unknown; bl.example"}
	for _, c := range []struct {
		name         string
		time         int64
		action       string
		class        verdict.Class
		level        verdict.Level
		reason       finding.ReasonText
		reached      verdict.Level // of the bot
		right, wrong bool          // of the bot
		heir         verdict.Level
	}{
		{"as expected", at + 20, "opened", verdict.Spambot, verdict.Likely, good, verdict.Likely,
			true,
			false, 0},
		{"updated", at + 20, "updated", verdict.Spambot, verdict.Confirmed, good, verdict.Confirmed,
			true, false, 0},
		{"closed", at + 20, "closed", verdict.Spambot, verdict.Likely, good, 0, false, false, 0},
		{"level too low", at + 20, "opened", verdict.Spambot, verdict.Suspect, good,
			verdict.Suspect,
			false, false, 0},
		{"another family", at + 20, "opened", verdict.Spambot, verdict.Likely,
			finding.ReasonText{Code: detect.NewNetworks, Text: good.Text}, verdict.Likely, false,
			false, 0},
		{"does not say it", at + 20, "opened", verdict.Spambot, verdict.Likely,
			finding.ReasonText{Code: detect.Blocklisted, Text: "bl.example"}, verdict.Likely, false,
			false, 0},
		{"does not name it", at + 20, "opened", verdict.Spambot, verdict.Likely,
			finding.ReasonText{Code: detect.Blocklisted, Text: "unknown"}, verdict.Likely, false,
			false, 0},
		{"before it was bad", at + 5, "opened", verdict.Spambot, verdict.Likely, good, 0, false,
			true,
			0},
		{"allowed class", at + 20, "opened", verdict.DirectSMTP, verdict.Suspect, good, 0, false,
			false, 0},
		{"of who had the address before", at + 250, "updated", verdict.Spambot, verdict.Likely,
			good,
			0, false, false, verdict.Likely},
	} {
		site := &campaign.Site{Hosts: []*campaign.Host{bot, heir}}
		run := newSiteRun(site)
		run.finding(&finding.Finding{Action: c.action, Class: c.class, Level: c.level, Time: c.time,
			Source: finding.SourceRecord{Addr: addr}, Reasons: []finding.ReasonText{c.reason}})
		b, h := run.results[bot], run.results[heir]
		if b.highestLevel() != c.reached || (b.diagnosedAt != 0) != c.right ||
			(len(b.wrongClasses) > 0) != c.wrong || h.highestLevel() != c.heir ||
			(len(h.wrongClasses) > 0) != (c.heir > 0) {
			t.Errorf("%s: bot %s, right %t, wrong %v; heir %s", c.name, b.highestLevel(),
				b.diagnosedAt != 0, b.wrongClasses, h.highestLevel())
		}
	}
	run := newSiteRun(&campaign.Site{Hosts: []*campaign.Host{bot}})
	run.finding(&finding.Finding{Action: "opened", Time: at,
		Source: finding.SourceRecord{Addr: netip.MustParseAddr("192.0.2.1")}})
	if run.unknownHosts != 1 {
		t.Error("a finding about nobody is not counted")
	}
}
