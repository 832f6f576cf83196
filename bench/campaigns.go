package main

import (
	"encoding/json"
	"flag"
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

// campaigns draws campaigns, has the sensor and the reference detectors listen to them, and prints
// what was right, what was wrong and how long it took.
//
//	go run ./bench campaigns                              all scenarios, one day, the usual variants
//	go run ./bench campaigns -scenario ten -variants none the ten of DETECTION 3.2
//	go run ./bench campaigns -seed held-out-1             a seed that no threshold was looked at with
//	go run ./bench campaigns -scenario clean -hosts 100 -days 6 -variants none -suricata=false
func campaigns(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("campaigns", flag.ContinueOnError)
	flags.SetOutput(stderr)
	seed := flags.String("seed", "1", "1, 2, ... are for calibrating; held-out-1, held-out-2, "+
		"... are for reporting only")
	scenarios := flags.String("scenario", "all",
		"all, ten, bots, clean, limits, or names separated by commas")
	hosts := flags.Int("hosts", 10, "hosts of each scenario")
	days := flags.Float64("days", 1, "days that hosts live")
	variants := flags.String("variants", "usual",
		"usual, encapsulations, all, none, or names separated by commas")
	workers := flags.Int("workers", runtime.GOMAXPROCS(0),
		"sites that live at a time; the result does not depend on it")
	suricata := flags.Bool("suricata", true, "run suricata too, where it is installed")
	write := flags.String("write", "", "write the frames of each site, and the truth about its "+
		"hosts, to this directory")
	listMisses := flags.Bool("misses", false, "list every host of which not all was right")
	asJSON := flags.Bool("json", false, "print JSON")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: bench campaigns [options]")
		flags.PrintDefaults()
		fmt.Fprintln(stderr, "\nscenarios:")
		for _, sc := range campaign.All {
			fmt.Fprintf(stderr, "  %-22s %s\n", sc.Name, sc.About)
		}
	}
	if flags.Parse(args) != nil || flags.NArg() > 0 {
		return 2
	}
	number, err := parseSeed(*seed)
	cfg := campaign.Config{Seed: number, Hosts: *hosts, Days: *days}
	if err == nil {
		cfg.Scenarios, err = pickScenarios(*scenarios)
	}
	var variantList []*campaign.Variant
	if err == nil {
		variantList, err = pickVariants(*variants)
	}
	if err == nil && (*hosts < 1 || *days <= 0 || *days > 60 || *workers < 1) {
		err = fmt.Errorf("hosts and workers must be at least 1, days between 0 and 60")
	}
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 2
	}
	began := time.Now()
	tool, err := exec.LookPath("suricata")
	if err != nil || !*suricata {
		tool = ""
	}
	base, err := runVariant(cfg, campaign.Plain, *workers, copyOptions{tool, *write})
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	r := newReport(*seed, cfg, base)
	for _, v := range variantList {
		run, err := runVariant(cfg, v, *workers, copyOptions{dir: *write})
		if err != nil {
			fmt.Fprintf(stderr, "bench: %v\n", err)
			return 1
		}
		r.add(v, base, run)
	}
	r.Goals = r.goals()
	r.Took = time.Since(began).Seconds()
	if *asJSON {
		e := json.NewEncoder(stdout)
		e.SetIndent("", " ")
		if err := e.Encode(r); err != nil {
			fmt.Fprintf(stderr, "bench: %v\n", err)
			return 1
		}
		return 0
	}
	r.print(stdout, *listMisses)
	return 0
}

// parseSeed keeps the two kinds of seeds apart: whoever has looked at a seed has calibrated on it.
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

func pickVariants(names string) (list []*campaign.Variant, err error) {
	for _, name := range strings.Split(names, ",") {
		found := name == "none"
		for i, v := range slices.Concat(campaign.Variants, campaign.Wrapped()) {
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
