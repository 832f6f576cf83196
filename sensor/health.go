package main

import (
	"errors"
	"fmt"
	"syscall"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/event"
	"spamsensor/sensor/finding"
)

// health checks the sensor's own condition. A fault that keeps the sensor from seeing or reporting
// is raised once, and cleared when it is over.
type health struct {
	live   bool
	raised map[string]event.Health
	before engine.Stats // of the last check
	// Counters of the sources and of the output, as of the last check.
	drops, badTimes uint64
	dropped         event.Dropped
	droppedAtRaise  event.Dropped // losses before the check "output" was raised
	outputFailedAt  int64         // last failure of the output, see steadyTime
	recoveryTime    int64         // without a failure, until the output has recovered
	// polled says that links, silence, output and clock are checked between the stats events, see
	// healthpoll.go.
	polled   bool
	clock    clockState
	final    bool           // this is the last check: every frame is counted
	arrivals []arrivals     // of each interface
	changes  []event.Health // of the check in hand
}

// check returns the changes since the last check. unaccounted is the number of frames that are in
// no part of the account.
func (h *health) check(now int64, st *engine.Stats, c *capture.Stats, q *event.Queue,
	unaccounted int64) (changes []event.Health) {
	h.changes = nil
	h.checkCapture(now, st, c)
	h.checkFrames(now, st, c)
	h.checkEngine(now, st)
	h.set(now, "account", unaccounted != 0, float64(unaccounted), 0,
		fmt.Sprintf("%d frames are in no part of the account", unaccounted),
		"this is a fault of spamsensor; please report it with the stats events")
	if q != nil && (!h.polled || h.final) {
		h.output(now, steadyTime(), q)
	}
	h.before, h.drops, h.badTimes = *st, c.KernelDrops+c.InterfaceDrops, c.BadTimes+c.Untimed
	return h.changes
}

// checkCapture checks what reaches the sensor: drops, silence, our networks, both directions.
func (h *health) checkCapture(now int64, st *engine.Stats, c *capture.Stats) {
	was := &h.before
	frames := st.Frames - was.Frames
	drops := c.KernelDrops + c.InterfaceDrops - h.drops
	h.set(now, "drops", drops > 0, float64(drops), 0,
		fmt.Sprintf("%d of %d frames were dropped before we could read them", drops, frames+drops),
		"a larger capture.buffer helps against bursts; "+
			"see the kernel's and the card's counters with: ip -s link")
	if h.live {
		h.set(now, "home_net_unseen", frames > 0 && !st.HomeSeen && st.Attempts > 0, 0, 0,
			"no address of ours was seen in any mail connection",
			"name your networks: home_net in the configuration, or --home")
	}
	text, hint := finding.UnjudgedText(st.Unjudged, st.UnjudgedCount, st.Home)
	h.set(now, "hosts_not_judged", st.UnjudgedCount > 0, float64(st.UnjudgedCount), 0, text, hint)
	oneWay := st.SeenClient + st.SeenServer - was.SeenClient - was.SeenServer
	sessions := oneWay + st.SeenBoth - was.SeenBoth
	share := ratio(oneWay, sessions)
	h.set(now, "one_way", sessions >= 10 && share > 0.9, share, 0.9,
		fmt.Sprintf("of %d sessions, %d were seen in one direction only", sessions, oneWay),
		"mirror both directions of the port: rx alone hides the replies")
}

// checkFrames checks the frames themselves: encapsulation, duplicates, checksums, times.
func (h *health) checkFrames(now int64, st *engine.Stats, c *capture.Stats) {
	was := &h.before
	frames := st.Frames - was.Frames
	refused, hidden := st.Refused-was.Refused, st.Hidden-was.Hidden
	share := ratio(refused+hidden, frames)
	h.set(now, "encapsulated", frames >= 100 && share > 0.5, share, 0.5,
		fmt.Sprintf("%d of %d frames could not be looked into: %d are in a tunnel or behind "+
			"an ethertype that is not known, %d could not be decoded",
			refused+hidden, frames, hidden, refused),
		"mail in them is not seen; the decode counters of the stats event name the reasons. "+
			"Mirror the traffic where it is outside of the tunnel")
	duplicates := st.Duplicates - was.Duplicates
	share = ratio(duplicates, frames)
	h.set(now, "duplicates", frames >= 100 && share > 0.2, share, 0.2,
		fmt.Sprintf("%d of %d frames came twice", duplicates, frames),
		"the mirror copies a port in both directions, or two ports of one path; "+
			"nothing is counted twice")
	judged := st.ChecksumsJudged - was.ChecksumsJudged
	ignored := st.ChecksumsIgnored - was.ChecksumsIgnored
	share = ratio(ignored, judged)
	h.set(now, "checksum_offload", share > 0.5, share, 0.5,
		fmt.Sprintf("%d of %d connection attempts have a wrong checksum: this looks like "+
			"a capture on the sending host, whose network card writes them (offload); "+
			"they were counted all the same", ignored, judged),
		"nothing is lost; a forged packet that no receiver would take is counted as well. "+
			"ethtool -K INTERFACE tx off on that host shows the real ones")
	if !h.live {
		h.set(now, "no_times", h.final && st.Frames >= 16 && st.First != 0 && st.First == st.Last,
			0, 0,
			fmt.Sprintf("all %d frames have the time %s: the capture has no times", st.Frames,
				event.Timestamp(st.First)),
			"what was said and how often is right; how long it took, and what the sensor says "+
				"of rates and of times, is not known")
	}
	if odd := st.OddTimes - was.OddTimes + c.BadTimes + c.Untimed - h.badTimes; !h.polled {
		h.set(now, "clock", odd > 0, float64(odd), 0, fmt.Sprintf(oddTimesText, odd),
			"the capturing machine's clock jumped, or the file is damaged")
	}
}

// checkEngine checks the work on the frames: full tables, withheld findings, gaps, faults.
func (h *health) checkEngine(now int64, st *engine.Stats) {
	was := &h.before
	evicted := evictions(st) - evictions(was)
	h.set(now, "table_full", evicted > 0, float64(evicted), 0,
		fmt.Sprintf("%d entries had to make room for others", evicted),
		"a flood, or limits that are too low for this network")
	withheld := st.Withheld - was.Withheld
	h.set(now, "findings_withheld", withheld > 0, float64(withheld), 0,
		fmt.Sprintf("%d hosts are suspect by their connection attempts alone and were not "+
			"reported: too many at a time", withheld),
		"somebody sends SYNs with many forged addresses of yours, or there is an outbreak; "+
			"likely and confirmed findings are always reported, and the source events name the "+
			"hosts")
	missing, streamed := st.MissingBytes-was.MissingBytes, st.StreamBytes-was.StreamBytes
	share := ratio(missing, missing+streamed)
	h.set(now, "loss", streamed+missing >= 10_000 && share > 0.005, share, 0.005,
		fmt.Sprintf("%.1f %% of the bytes of mail connections were not captured", 100*share),
		"the mirror port or the capturing machine loses frames before anybody can count them: "+
			"sessions lack commands and replies")
	panics := st.Panics - was.Panics
	h.set(now, "panic", panics > 0, float64(panics), 0,
		fmt.Sprintf("%d packets or connections were dropped because of a fault in spamsensor: %s",
			panics, st.PanicAt),
		"everything else goes on; please report the fault with this text")
}

// evictions counts the entries that full tables gave up.
func evictions(st *engine.Stats) uint64 {
	return st.FlowsEvicted + st.AttemptsEvicted + st.SourcesEvicted +
		st.SMTPSessionsEvicted + st.SMTPSessionsCut
}

// set raises a check that became bad, or clears one that is good again.
func (h *health) set(now int64, check string, bad bool, value, threshold float64,
	text, hint string) {
	h.setKey(now, check, event.Health{Check: check, Value: value, Threshold: threshold,
		Text: text, Hint: hint}, bad)
}

// setKey is set for a check that watches several things; key names one of them. is describes the
// condition if it is bad.
func (h *health) setKey(now int64, key string, is event.Health, bad bool) {
	switch was, raised := h.raised[key]; {
	case bad && !raised:
		is.State, is.Since = "raised", now
		h.raise(key, is)
	case !bad && raised:
		h.clear(key, is.Value, fmt.Sprintf("no longer: %s", was.Text))
	}
}

func (h *health) raise(key string, is event.Health) {
	if h.raised == nil {
		h.raised = map[string]event.Health{}
	}
	h.raised[key] = is
	h.changes = append(h.changes, is)
}

func (h *health) clear(key string, value float64, text string) {
	was := h.raised[key]
	delete(h.raised, key)
	was.State, was.Value, was.Text, was.Hint = "cleared", value, text, ""
	h.changes = append(h.changes, was)
}

// output checks whether events can be written. The losses so far are reported when it is raised,
// and all losses when it is cleared. steady is the steadyTime.
func (h *health) output(now, steady int64, q *event.Queue) {
	_, dropped := q.Totals()
	err := q.Failing()
	_, raised := h.raised["output"]
	lost := dropped.Since(h.dropped)
	bad := err != nil || lost.Sum() > 0
	before := h.dropped
	h.dropped = dropped
	if bad {
		h.outputFailedAt = steady
	}
	switch {
	case bad && !raised:
		h.droppedAtRaise = before
		text := "events cannot be written"
		if errors.Is(err, syscall.EPIPE) {
			text = "no process reads the events; the sensor waits for a reader"
		} else if err != nil {
			text += ": " + err.Error()
		}
		if lost.Sum() > 0 {
			text += fmt.Sprintf("; lost so far: %s", lost)
		}
		h.raise("output", event.Health{Check: "output", State: "raised",
			Value: float64(lost.Sum()), Since: now, Text: text,
			Hint: "capture continues; lost events are counted by type, and findings are lost last"})
	case !bad && raised && (steady-h.outputFailedAt >= h.recoveryTime || h.final):
		lost = dropped.Since(h.droppedAtRaise)
		text := "events are written again; none was lost"
		if lost.Sum() > 0 {
			text = fmt.Sprintf("events are written again; lost in between: %s", lost)
		}
		h.clear("output", float64(lost.Sum()), text)
	}
}

// ratio returns a/b, and 0 if b is 0.
func ratio(a, b uint64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
