package notify

import (
	"cmp"
	"slices"
	"time"
)

// add gives an item to the next message of a channel. If too many wait, the least of them is left
// out.
func (m *channelMemory) add(c *Channel, item Item) {
	if !c.showsEvents() {
		item.Event = nil
	}
	for i := range m.Pending { // a level that rose says all that the lower one did
		if was := &m.Pending[i]; was.Kind == itemFinding && item.Kind == itemFinding &&
			was.ID == item.ID {
			*was = item
			return
		}
	}
	if len(m.Pending) < maxPending {
		m.Pending = append(m.Pending, item)
		return
	}
	m.LeftOut++
	least := 0
	for i := range m.Pending {
		if m.Pending[i].rank() < m.Pending[least].rank() {
			least = i
		}
	}
	if m.Pending[least].rank() < item.rank() {
		m.Pending[least] = item
	}
}

// showsEvents reports whether messages of the channel may have the events themselves.
func (c *Channel) showsEvents() bool {
	_, builtIn := Templates[c.Template]
	return c.Kind == "webhook" && (!builtIn || c.Template == "json")
}

// over notes in an item that still waits that its cause is over. It reports false if none waits.
func (m *channelMemory) over(end *Item) bool {
	for i := range m.Pending {
		it := &m.Pending[i]
		if it.ID == end.ID && (it.Kind == itemFinding || it.Kind == itemHealth ||
			it.Kind == itemListed) {
			it.Until, it.Why = end.Until, end.Why
			return true
		}
	}
	return false
}

// due returns the items of the message whose time has come, and how many were left out: the first
// at once, then one message for each group interval, at most so many in an hour, and in the quiet
// hours what is confirmed only.
func (m *channelMemory) due(now time.Time, l *Limits) (items []Item, more int) {
	if len(m.Pending) == 0 {
		return nil, 0
	}
	if m.Last.After(now) { // the clock was set back
		m.Last = time.Time{}
	}
	m.Hour = slices.DeleteFunc(m.Hour, func(t time.Time) bool {
		return now.Sub(t) >= time.Hour || t.After(now)
	})
	if now.Sub(m.Last) < cmp.Or(l.Group, DefaultGroup) ||
		len(m.Hour) >= cmp.Or(l.PerHour, DefaultPerHour) {
		return nil, 0
	}
	if l.Quiet.Holds(now) {
		var rest []Item
		for _, it := range m.Pending {
			if it.Kind == itemFinding && it.Level == "confirmed" {
				items = append(items, it)
			} else {
				rest = append(rest, it)
			}
		}
		if len(items) == 0 {
			return nil, 0
		}
		m.Pending = rest
	} else {
		items, m.Pending = m.Pending, nil
	}
	worstFirst(items)
	if len(items) > maxItems {
		more = len(items) - maxItems
		items = items[:maxItems:maxItems]
	}
	more += m.LeftOut
	m.LeftOut, m.Last, m.Hour = 0, now, append(m.Hour, now)
	return items, more
}

// alert gives Alertmanager an alert that fires, or the end of one. Alertmanager groups, limits and
// silences by itself, so that the limits of the other channels do not hold here.
func (m *channelMemory) alert(item Item, now time.Time) {
	item.Event = nil
	was, firing := m.Firing[item.ID]
	if item.Kind == itemResolved || item.Kind == itemCleared || item.Kind == itemDelisted {
		if firing {
			item.Severity = was.Severity // a label: with another one it is another alert
			delete(m.Firing, item.ID)
			m.Pending = append(m.Pending, item)
		}
		return
	}
	if firing && was.Severity == item.Severity && was.Level == item.Level {
		return
	}
	if firing && was.Severity != item.Severity {
		was.Kind, was.Until = itemResolved, now
		m.Pending = append(m.Pending, was)
	}
	if !firing && len(m.Firing) >= maxFiring {
		m.LeftOut++
		return
	}
	if m.Firing == nil {
		m.Firing = map[string]Item{}
	}
	m.Firing[item.ID] = item
	m.Pending = append(m.Pending, item)
}

// alerts makes messages of the alerts that changed.
func (r *rules) alerts(c *Channel, m *channelMemory, now time.Time) {
	for part := range slices.Chunk(m.Pending, maxPending) {
		r.message(c.Name, slices.Clone(part), 0, now)
	}
	m.Pending = nil
	r.Week.LeftOut += m.LeftOut
	m.LeftOut = 0
}
