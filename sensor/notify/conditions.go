package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// blinding are the checks of the sensor that are told: with each of them it sees less, or cannot
// say what it sees. In the first group it sees nothing of what it should.
var blinding = []string{"link", "no_packets", "one_way", "encapsulated", "home_net_unseen",
	"truncated", silentCheck}

var impairing = []string{"drops", "loss", "table_full", "output", "disk", "state", "memory",
	"panic", "account", "clock", "config"}

const (
	// silentCheck is raised when the sensor writes no event; it writes counters every minute.
	silentCheck = "sensor_silent"
	silentAfter = 10 * time.Minute
	// clearAfter is the time that a condition stays away before it is said to be over;
	// restartAfter is the same when the sensor was started again and has not said so.
	clearAfter, restartAfter = time.Minute, 5 * time.Minute
	// flapTime is the least time between two notices that a check was raised.
	flapTime = time.Hour
)

// health follows a condition of the sensor.
func (r *rules) health(rec *record, now time.Time) {
	h := rec.Health
	if !slices.Contains(blinding, h.Check) && !slices.Contains(impairing, h.Check) {
		return
	}
	id := strings.TrimSpace(h.Check + " " + h.Interface)
	if h.State != "raised" {
		r.clearCheck(id, h.Text, rec.Timestamp, now.Add(clearAfter))
		return
	}
	r.raiseCheck(Item{Kind: itemHealth, ID: id, Class: h.Check, Severity: "high", Since: h.Since,
		Headline: h.Text, Advice: h.Hint, Event: rec.raw}, now)
}

func (r *rules) raiseCheck(item Item, now time.Time) {
	c := r.Health[item.ID]
	if c == nil {
		if len(r.Health) >= maxConditions {
			r.Week.LeftOut++
			return
		}
		c = &condition{}
		r.Health[item.ID] = c
	}
	if !c.Raised {
		c.Flaps++
		if item.Kind == itemHealth {
			r.Week.Health++
		}
	}
	c.Item, c.Raised, c.ClearAt = item, true, time.Time{}
	r.conditions(now)
}

// clearCheck notes the end of a condition. A notice says so at a time, unless the condition comes
// back before.
func (r *rules) clearCheck(id, why string, over, at time.Time) {
	if c := r.Health[id]; c != nil && c.Raised {
		c.Raised, c.ClearAt = false, at
		c.Item.Until, c.Item.Why = over, why
	}
}

// restarted follows a new run of the sensor: it raises again what is still the case.
func (r *rules) restarted(now time.Time) {
	for id, c := range r.Health {
		if c.Item.Kind == itemListed { // lists do not depend on the sensor
			continue
		}
		r.clearCheck(id, "the sensor was started again", now, now.Add(restartAfter))
	}
}

// conditions gives the channels the conditions that were raised or are over.
func (r *rules) conditions(now time.Time) {
	for id, c := range r.Health {
		sinceTold := now.Sub(c.ToldAt)
		waited := c.ToldAt.IsZero() || sinceTold >= flapTime || sinceTold < 0
		cleared := !c.Raised && (!now.Before(c.ClearAt) || c.ClearAt.Sub(now) > restartAfter)
		switch {
		case c.Raised && !c.Told && waited:
			item := c.Item
			if c.Flaps > 1 {
				item.Headline += fmt.Sprintf(" (raised %d times since the last notice)", c.Flaps)
			}
			c.Told, c.ToldAt, c.Flaps = true, now, 0
			r.tell(item, now)
		case cleared && c.Told:
			item := c.Item
			item.Kind, item.Advice = itemCleared, ""
			if c.Item.Kind == itemListed {
				item.Kind = itemDelisted
			}
			item.Headline, item.Why = item.Why, ""
			c.Told = false
			r.tell(item, now)
		case cleared && !c.Told && waited:
			delete(r.Health, id)
		}
	}
}

// tell gives an item of the sensor itself to all channels.
func (r *rules) tell(item Item, now time.Time) {
	for i := range r.channels {
		c := &r.channels[i]
		m := r.channel(c.Name)
		switch {
		case c.Kind == "alertmanager":
			m.alert(item, now)
		case (item.Kind == itemCleared || item.Kind == itemDelisted) && m.over(&item):
		default:
			m.add(c, item)
		}
	}
}

// checkSilence raises and clears the check of the sensor's events.
func (r *rules) checkSilence(now time.Time) {
	if r.lastTick.IsZero() {
		r.lastTick, r.lastLine = now, now
	}
	if gap := now.Sub(r.lastTick); gap < 0 || gap > time.Minute {
		r.lastLine = r.lastLine.Add(gap) // the clock was set, or this machine slept
	} else if r.blind() {
		r.Week.Blind += gap
	}
	if c := r.Health[silentCheck]; now.Sub(r.lastLine) < silentAfter {
		r.clearCheck(silentCheck, "the sensor writes events again", r.lastLine, now)
	} else if c == nil || !c.Raised {
		r.raiseCheck(Item{Kind: itemHealth, ID: silentCheck, Class: silentCheck, Severity: "high",
			Since: r.lastLine, Headline: fmt.Sprintf("the sensor has written no event for %.0f "+
				"minutes", now.Sub(r.lastLine).Minutes()),
			Advice: "does spamsensor run still run, and is its output.file the file that notify " +
				"reads? systemctl status spamsensor"}, now)
	}
}

// blind reports whether the sensor sees nothing of what it should.
func (r *rules) blind() bool {
	for _, c := range r.Health {
		if c.Raised && c.Item.Kind == itemHealth && slices.Contains(blinding, c.Item.Class) {
			return true
		}
	}
	return false
}

// weekly makes the weekly message, so that silence means something.
func (r *rules) weekly(now time.Time) {
	if r.limits.Weekly.Off || now.Before(r.Week.Next) {
		return
	}
	w := r.Week
	r.Week = week{Since: now, Next: r.limits.Weekly.next(now)}
	headline := "all quiet from %s to %s"
	if w.Findings > 0 || w.Health > 0 || len(r.Health) > 0 {
		headline = "weekly summary from %s to %s"
	}
	item := Item{Kind: itemWeekly, ID: "weekly", Class: "weekly", Severity: "info", Since: w.Since,
		Headline: fmt.Sprintf(headline, when(w.Since), when(now))}
	say := func(format string, args ...any) {
		item.Reasons = append(item.Reasons, fmt.Sprintf(format, args...))
	}
	if n := w.Hosts.count(); n > 0 {
		say("hosts that contacted mail servers: about %d", n)
	}
	say("findings: %d, of these confirmed: %d", w.Findings, w.Confirmed)
	say("faults of the sensor: %d; it was blind for %s", w.Health, w.Blind.Round(time.Second))
	say("notices left out: %d; messages given up: %d", w.LeftOut, w.GivenUp)
	for id, c := range r.Health {
		if c.Raised {
			say("still: %s since %s", id, when(c.Item.Since))
		}
	}
	for i := range r.channels {
		if r.channels[i].Kind != "alertmanager" {
			r.message(r.channels[i].Name, []Item{item}, 0, now)
		}
	}
}
