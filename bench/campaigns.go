package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"spamsensor/bench/campaign"
)

// campaigns draws campaigns, passes their packets to the sensor and the reference detectors, and
// prints the share of right verdicts, the wrong ones, and the time until each was given.
//
//	go run ./bench campaigns                              all scenarios, one day, usual variants
//	go run ./bench campaigns -scenario ten -variants none the ten of DETECTION 3.2
//	go run ./bench campaigns -seed held-out-1         a seed that no threshold was chosen on
//	go run ./bench campaigns -scenario clean -hosts 100 -days 6 -variants none -suricata=false
func campaigns(args []string, stdout, stderr io.Writer) int {
	o, err := parseCampaignOptions(args, stderr)
	if errors.Is(err, errUsage) {
		return 2
	}
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 2
	}
	r, err := o.run()
	if err == nil && o.asJSON {
		e := json.NewEncoder(stdout)
		e.SetIndent("", " ")
		err = e.Encode(r)
	}
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	if !o.asJSON {
		r.print(stdout, o.listMisses)
	}
	return 0
}

// campaignOptions are the options of campaigns.
type campaignOptions struct {
	cfg        campaign.Config
	seed       string
	variants   []*campaign.Variant // beside the plain campaign
	workers    int
	suricata   bool
	write      string
	listMisses bool
	asJSON     bool
}

// errUsage means that the flag package has printed the error.
var errUsage = errors.New("usage")

// parseCampaignOptions reads the command line. stderr gets the usage.
func parseCampaignOptions(args []string, stderr io.Writer) (o campaignOptions, err error) {
	flags := newFlags("bench campaigns", "", stderr)
	flags.StringVar(&o.seed, "seed", "1",
		"1, 2, ... are for calibrating; held-out-1, held-out-2, ... are for reporting only")
	scenarios := flags.String("scenario", "all",
		"all, ten, bots, clean, limits, or names separated by commas")
	flags.IntVar(&o.cfg.Hosts, "hosts", 10, "hosts of each scenario")
	flags.Float64Var(&o.cfg.Days, "days", 1, "days that hosts live")
	variants := flags.String("variants", "usual",
		"usual, encapsulations, all, none, or names separated by commas")
	flags.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0),
		"sites that live at a time; the result does not depend on it")
	flags.BoolVar(&o.suricata, "suricata", true, "run suricata too, where it is installed")
	flags.StringVar(&o.write, "write", "",
		"write the frames of each site, and the truth about its hosts, to this directory")
	flags.BoolVar(&o.listMisses, "misses", false, "list every host of which not all was right")
	flags.BoolVar(&o.asJSON, "json", false, "print JSON")
	usage := flags.Usage
	flags.Usage = func() {
		usage()
		fmt.Fprintln(stderr, "\nscenarios:")
		for _, sc := range campaign.All {
			fmt.Fprintf(stderr, "  %-22s %s\n", sc.Name, sc.About)
		}
	}
	if flags.Parse(args) != nil || flags.NArg() > 0 {
		return o, errUsage
	}
	if o.cfg.Seed, err = parseSeed(o.seed); err != nil {
		return o, err
	}
	if o.cfg.Scenarios, err = pickScenarios(*scenarios); err != nil {
		return o, err
	}
	if o.variants, err = pickVariants(*variants); err != nil {
		return o, err
	}
	if o.cfg.Hosts < 1 || o.cfg.Days <= 0 || o.cfg.Days > 60 || o.workers < 1 {
		err = fmt.Errorf("hosts and workers must be at least 1, days between 0 and 60")
	}
	return o, err
}

// run runs the plain campaign and its variants.
func (o *campaignOptions) run() (*report, error) {
	began := time.Now()
	program, err := exec.LookPath("suricata")
	if err != nil || !o.suricata {
		program = ""
	}
	base, err := runVariant(o.cfg, campaign.Plain, o.workers, copyOptions{program, o.write})
	if err != nil {
		return nil, err
	}
	r := newReport(o.seed, base)
	for _, v := range o.variants {
		run, err := runVariant(o.cfg, v, o.workers, copyOptions{dir: o.write})
		if err != nil {
			return nil, err
		}
		r.add(v, base, run)
	}
	r.Goals = r.goals()
	r.Took = time.Since(began).Seconds()
	return r, nil
}

// parseSeed returns the number of a seed. Seeds for calibration and held-out seeds never have the
// same number: a seed whose results somebody has looked at is a seed for calibration.
func parseSeed(s string) (uint64, error) {
	base := uint64(0)
	n, held := strings.CutPrefix(s, "held-out-")
	if held {
		base = 1 << 40
	}
	v, err := strconv.ParseUint(n, 10, 32)
	if err != nil || v == 0 {
		return 0, fmt.Errorf("%q is no seed: say 1, 2 and so on, or held-out-1, held-out-2 and "+
			"so on", s)
	}
	return base + v, nil
}

// pickScenarios returns the scenarios of a list of names and groups, each once.
func pickScenarios(names string) (list []*campaign.Scenario, err error) {
	for _, name := range strings.Split(names, ",") {
		found := false
		for _, sc := range campaign.All {
			infected := sc.Expect.Class != ""
			if name == "all" || name == sc.Name || name == "ten" && sc.Ten != "" ||
				name == "bots" && infected && !sc.Limit ||
				name == "clean" && !infected || name == "limits" && sc.Limit {
				found = true
				if !slices.Contains(list, sc) {
					list = append(list, sc)
				}
			}
		}
		if !found {
			return nil, fmt.Errorf("no scenario %q; -help lists them", name)
		}
	}
	return list, nil
}

// pickVariants returns the variants of a list of names and groups.
func pickVariants(names string) (list []*campaign.Variant, err error) {
	for _, name := range strings.Split(names, ",") {
		found := name == "none"
		for i, v := range slices.Concat(campaign.Variants, campaign.EncapsulationVariants()) {
			usual := i < len(campaign.Variants)
			if name == "all" || name == v.Name || name == "usual" && usual ||
				name == "encapsulations" && !usual {
				found = true
				list = append(list, v)
			}
		}
		if !found {
			return nil, fmt.Errorf("no variant %q: usual, encapsulations, all, none, or names "+
				"separated by commas", name)
		}
	}
	return list, nil
}
