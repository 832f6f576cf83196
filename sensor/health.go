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
	since  map[string]int64 // raised checks
	before engine.Stats
	drops  uint64
}

// check looks at what changed since the last time.
func (h *health) check(now int64, st *engine.Stats, c *capture.Stats, q *event.Queue) (changes []event.Health) {
	if h.since == nil {
		h.since = map[string]int64{}
	}
	set := func(name string, bad bool, value, threshold float64, text, hint string) {
		since, raised := h.since[name]
		switch {
		case bad && !raised:
			h.since[name] = now
			changes = append(changes, event.Health{Check: name, State: "raised", Value: value, Threshold: threshold, Since: now, Text: text, Hint: hint})
		case !bad && raised:
			delete(h.since, name)
			changes = append(changes, event.Health{Check: name, State: "cleared", Value: value, Threshold: threshold, Since: since, Text: "over: " + text})
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
	odd := st.OddTimes - h.before.OddTimes
	set("clock", odd > 0, float64(odd), 0, fmt.Sprintf("the time of %d frames was not believed", odd), "the capturing machine's clock jumped")
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
	h.before, h.drops = *st, c.KernelDrops+c.InterfaceDrops
	return changes
}

func ratio(a, b uint64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
