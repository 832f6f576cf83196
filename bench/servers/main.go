// Command servers tests the detectors of mail servers on simulated servers: years of quiet traffic,
// rises of volume, open relays and legitimate forwarding, and queues of known length.
//
//	go run ./bench/servers [-seed N] [-years N]
//
// Words: a kind of server is its usual volume over the week; a rise is a multiple of that volume; a
// relay scenario is a series of transactions, in which an open relay is present or not; a queue
// case is a mix of destinations that accept, defer, or do not answer. A result has a goal, and the
// command exits with 1 if one is not reached.
//
// Volume is simulated as calls of package mailserver, because the frames of years do not fit on a
// disk; relays and queues are dialogues in frames, through the whole engine. The simulation shares
// no constant with the detectors; the comments beside its numbers name their sources. It does not
// simulate bots: package campaign does.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	seed := flag.Uint64("seed", 1, "draws other traffic")
	years := flag.Int("years", 4, "quiet years of each kind of server")
	flag.Parse()
	if !report(os.Stdout, *seed, *years) {
		os.Exit(1)
	}
}

// report prints all results and reports whether all goals are reached.
func report(out io.Writer, seed uint64, years int) (good bool) {
	good = true
	judge := func(ok bool) string {
		if ok {
			return "ok"
		}
		good = false
		return "FAIL"
	}
	fmt.Fprintf(out, "false alarms of quiet servers, the goal is at most one per metric and "+
		"year; seed %d\n", seed)
	for _, q := range quietYears(seed, years) {
		fmt.Fprintf(out, "  %-16s %3d metric-years  %2d alarms  worst metric-year %d  %s\n", q.name,
			q.metricYears, q.alarms, q.worst, judge(q.worst <= 1))
	}
	fmt.Fprintf(out, "rises, seconds until found, the goal is 3600 for ten times and 600 for "+
		"fifty\n")
	for _, r := range volumeRises(seed) {
		fmt.Fprintf(out, "  %-16s x%-3.0f  found %2d of %2d  median %4d  worst %4d  %s\n", r.name,
			r.factor, len(r.seconds), r.tried, r.median(), r.worst(), judge(r.good()))
	}
	fmt.Fprintf(out, "queues that are emptied after an outage, the goal is no alarm, and ten "+
		"times the usual volume at that moment found within two hours\n")
	for _, f := range queueFlushes(seed) {
		fmt.Fprintf(out, "  %-16s %2d alarms in %d  x10 found %2d of %2d  median %4d  worst %4d "+
			" %s\n", f.name, f.alarms, f.tried, len(f.rise.seconds), f.rise.tried, f.rise.median(),
			f.rise.worst(), judge(f.good()))
	}
	fmt.Fprintf(out, "relays, the goal is the first message, and none where there is none\n")
	for _, r := range relays(seed) {
		fmt.Fprintf(out, "  %-34s %4d messages  %-9s at relayed message %d  %s\n", r.name,
			r.messages, r.level, r.detectedAt, judge(r.good))
	}
	fmt.Fprintf(out, "queues, estimate against truth at every full hour, the goal is within 10 "+
		"%% (or one)\n")
	for _, q := range queues(seed) {
		fmt.Fprintf(out, "  %-34s truth up to %4d  median error %4.1f %%  within 10 %% in %5.1f "+
			"%% of %3d hours  %s\n", q.name, q.most, q.median, q.within, q.hours, q.verdict(judge))
	}
	return good
}
