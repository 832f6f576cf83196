package main

import (
	"fmt"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/event"
)

// health watches the sensor's own condition: whatever keeps it from seeing or telling
// something is raised once, and cleared when it is over.
type health struct {
	live   bool
	raised map[string]event.Health
	before engine.Stats
	// Of the sources, as of the last look.
	drops, badTimes uint64
}

// check looks at what changed since the last time.
func (h *health) check(now int64, st *engine.Stats, c *capture.Stats, q *event.Queue) (changes []event.Health) {
	if h.raised == nil {
		h.raised = map[string]event.Health{}
	}
	set := func(name string, bad bool, value, threshold float64, text, hint string) {
		was, raised := h.raised[name]
		switch {
		case bad && !raised:
			is := event.Health{Check: name, State: "raised", Value: value, Threshold: threshold, Since: now, Text: text, Hint: hint}
			h.raised[name] = is
			changes = append(changes, is)
		case !bad && raised:
			delete(h.raised, name)
			was.State, was.Value, was.Text, was.Hint = "cleared", value, "no longer: "+was.Text, ""
			changes = append(changes, was)
		}
	}
	frames := st.Frames - h.before.Frames
	drops := c.KernelDrops + c.InterfaceDrops - h.drops
	set("drops", drops > 0, float64(drops), 0,
		fmt.Sprintf("%d of %d frames were dropped before we could read them", drops, frames+drops),
		"a larger capture.buffer helps against bursts; see the kernel's and the card's counters with: ip -s link")
	if h.live {
		set("no_packets", frames == 0, 0, 0, "no frame arrived since the last look", "is the mirror session up? spamsensor interfaces shows the link")
		set("home_net_unseen", frames > 0 && !st.HomeSeen && st.Attempts > 0, 0, 0, "no address of ours was seen in any mail connection",
			"name your networks: home_net in the configuration, or --home")
	}
	sessions := st.SeenBoth + st.SeenClient + st.SeenServer - h.before.SeenBoth - h.before.SeenClient - h.before.SeenServer
	oneWay := st.SeenClient + st.SeenServer - h.before.SeenClient - h.before.SeenServer
	share := ratio(oneWay, sessions)
	set("one_way", sessions >= 10 && share > 0.9, share, 0.9, fmt.Sprintf("of %d sessions, %d were seen in one direction only", sessions, oneWay),
		"mirror both directions of the port: rx alone hides the replies")
	refused := st.Refused - h.before.Refused
	share = ratio(refused, frames)
	set("encapsulated", frames >= 100 && share > 0.5, share, 0.5, fmt.Sprintf("%d of %d frames could not be decoded", refused, frames),
		"the decode counters of the stats event name the reasons")
	duplicates := st.Duplicates - h.before.Duplicates
	share = ratio(duplicates, frames)
	set("duplicates", frames >= 100 && share > 0.2, share, 0.2, fmt.Sprintf("%d of %d frames came twice", duplicates, frames),
		"the mirror copies a port in both directions, or two ports of one path; nothing is counted twice")
	judged, ignored := st.ChecksumsJudged-h.before.ChecksumsJudged, st.ChecksumsIgnored-h.before.ChecksumsIgnored
	share = ratio(ignored, judged)
	set("checksum_offload", share > 0.5, share, 0.5, fmt.Sprintf("%d of %d connection attempts have a wrong checksum: this looks like a capture on the sending host, whose network card writes them (offload); they were counted all the same", ignored, judged),
		"nothing is lost; a forged packet that no receiver would take is counted as well. ethtool -K INTERFACE tx off on that host shows the real ones")
	odd := st.OddTimes - h.before.OddTimes + c.BadTimes - h.badTimes
	set("clock", odd > 0, float64(odd), 0, fmt.Sprintf("%d frames have a time that cannot be right", odd), "the capturing machine's clock jumped, or the file is damaged")
	evicted := st.FlowsEvicted + st.AttemptsEvicted + st.SourcesEvicted + st.TalksEvicted - h.before.FlowsEvicted - h.before.AttemptsEvicted - h.before.SourcesEvicted - h.before.TalksEvicted
	set("table_full", evicted > 0, float64(evicted), 0, fmt.Sprintf("%d entries had to make room for others", evicted),
		"a flood, or limits that are too low for this network")
	if q != nil {
		err := q.Failing()
		text := "events cannot be written"
		if err != nil {
			text += ": " + err.Error()
		}
		set("output", err != nil, 0, 0, text, "capture goes on, and what is lost is counted")
	}
	h.before, h.drops, h.badTimes = *st, c.KernelDrops+c.InterfaceDrops, c.BadTimes
	return changes
}

func ratio(a, b uint64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
