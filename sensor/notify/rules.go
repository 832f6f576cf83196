package notify

import (
	"fmt"
	"strings"
	"time"
)

// rules decide what is told, to whom, and when. They only change the state and make messages, so
// that a crash before both are saved changes nothing.
type rules struct {
	channels []Channel
	limits   Limits
	*state
	ready    []*Message // for the outbox
	serial   int        // of messages, so that two of the same time differ
	lastTick time.Time
	lastLine time.Time // of any event, by the clock of this machine
}

// The limits that hold if none is set.
const (
	DefaultGroup   = 5 * time.Minute
	DefaultPerHour = 12
	DefaultWeekly  = "Monday 08:00"
)

const (
	// maxItems bounds the items of a message, maxPending those that wait for one.
	maxItems, maxPending = 20, 100
	// repeatAfter is the time after which the same class about the same host is news again.
	repeatAfter = time.Hour
)

// event follows an event of the sensor.
func (r *rules) event(rec *record, now time.Time) {
	r.Sensor = rec.Host
	if run, _, ok := strings.Cut(rec.EventID, "/"); ok && run != r.Run {
		if r.Run != "" {
			r.restarted(now)
		}
		r.Run = run
	}
	switch {
	case rec.EventType == "source":
		r.Week.Hosts.add(rec.SrcIP)
	case rec.Site != nil && rec.Site.PublicIP != "":
		if r.PublicIP == "" {
			r.Asked = time.Time{} // now there is something to ask for
		}
		r.PublicIP = clean(rec.Site.PublicIP, maxName)
	case rec.Finding != nil:
		r.finding(rec, now)
	case rec.Health != nil:
		r.health(rec, now)
	}
}

// finding follows a finding. News are: one that was not told yet, and a level that rose.
func (r *rules) finding(rec *record, now time.Time) {
	f := rec.Finding
	if f.Action == "closed" || f.Ignored != nil {
		r.close(rec, now)
		return
	}
	// Whoever acknowledged it knows of it, and the stop of the sensor is no news of the host.
	if f.Action == "acknowledged" || f.Action == "suspended" {
		if k := r.Findings[f.ID]; k != nil {
			k.Seen = now
		}
		return
	}
	k := r.state.finding(f.ID)
	k.reopen(now)
	if k.Level == "" {
		r.Week.Findings++
	}
	if levelOf(f.Level) > levelOf(k.Level) {
		k.Level = f.Level
		if f.Level == "confirmed" {
			r.Week.Confirmed++
		}
	}
	k.Host, k.Class, k.Seen = rec.SrcIP, f.Class, now
	item := findingItem(rec)
	for i := range r.channels {
		c := &r.channels[i]
		m := r.channel(c.Name)
		if c.Kind == "alertmanager" {
			if _, firing := m.Firing[item.ID]; firing || c.wants(f.Class, f.Level) {
				m.alert(item, now)
			}
			continue
		}
		was, told := k.Told[c.Name]
		rises := levelOf(f.Level) > levelOf(was.Level)
		overdue := !was.Silent.IsZero() && !now.Before(was.Silent)
		switch {
		case !c.wants(f.Class, f.Level) || told && !rises && !overdue:
		case !told && r.repeated(c.Name, f.ID, k, now):
			k.Told[c.Name] = mark{f.Level, now.Add(repeatAfter)}
			m.LeftOut++
		default:
			k.Told[c.Name] = mark{Level: f.Level}
			m.add(c, item)
		}
	}
}

// reopen follows a finding that was closed and comes back. If that was a short time ago it is no
// news until repeatAfter is over.
func (k *known) reopen(now time.Time) {
	if k.Closed.IsZero() {
		return
	}
	for c, was := range k.Told {
		if was.Silent = k.Closed.Add(repeatAfter); now.Before(was.Silent) {
			k.Told[c] = was
		} else {
			delete(k.Told, c)
		}
	}
	k.Closed, k.Level = time.Time{}, ""
}

// repeated reports whether a channel was told about the same class of the same host, at this level
// or a higher one, a short time ago: a finding that is closed and opened in turn is no news.
func (r *rules) repeated(channel, id string, k *known, now time.Time) bool {
	for other, x := range r.Findings {
		was, told := x.Told[channel]
		if other != id && told && x.Host == k.Host && x.Class == k.Class &&
			levelOf(was.Level) >= levelOf(k.Level) && now.Sub(x.Seen) < repeatAfter {
			return true
		}
	}
	return false
}

// close follows the end of a finding, or an exception for its host. It is told to those who know of
// the finding, unless another finding takes its place and says more.
func (r *rules) close(rec *record, now time.Time) {
	f := rec.Finding
	k := r.Findings[f.ID]
	if k == nil || !k.Closed.IsZero() {
		return
	}
	item := findingItem(rec)
	item.Kind, item.Why, item.Until = itemResolved, f.CloseReason, rec.Timestamp
	if f.Ignored != nil && f.Action != "closed" {
		item.Why = "the configuration ignores the host now"
	}
	replaced := f.CloseReason == "superseded" || f.CloseReason == "reclassified"
	for i := range r.channels {
		c := &r.channels[i]
		m := r.channel(c.Name)
		was, told := k.Told[c.Name]
		switch {
		case c.Kind == "alertmanager":
			m.alert(item, now)
		case told && was.Silent.IsZero() && !m.over(&item) && !replaced:
			m.add(c, item)
		}
	}
	k.Seen, k.Closed = now, now
}

// forget removes a finding that nobody hears of any more.
func (r *rules) forget(id string, now time.Time) {
	for i := range r.channels {
		if m := r.channel(r.channels[i].Name); r.channels[i].Kind == "alertmanager" {
			if item, firing := m.Firing[id]; firing {
				item.Kind, item.Until = itemResolved, now
				item.Why = "the sensor says nothing of it any more"
				m.alert(item, now)
			}
		}
	}
	delete(r.Findings, id)
}

// message makes a message for the outbox.
func (r *rules) message(channel string, items []Item, more int, now time.Time) {
	r.serial++
	r.ready = append(r.ready, &Message{
		ID:      fmt.Sprintf("%016x%04x", now.UnixNano(), r.serial&0xffff),
		Channel: channel, Sensor: r.Sensor, Created: now, Items: items, More: more})
	r.Week.LeftOut += more
}

// tick does what is due: messages whose time has come, conditions, the weekly message.
func (r *rules) tick(now time.Time) {
	r.checkSilence(now)
	r.conditions(now)
	r.weekly(now)
	for i := range r.channels {
		c := &r.channels[i]
		m := r.channel(c.Name)
		if c.Kind == "alertmanager" {
			r.alerts(c, m, now)
			continue
		}
		if items, more := m.due(now, &r.limits); len(items) > 0 {
			r.message(c.Name, items, more, now)
		}
	}
	for id, k := range r.Findings {
		if now.Sub(k.Seen) > forgetAfter {
			r.forget(id, now)
		}
	}
	r.lastTick = now
}

// findingItem makes an item of a finding's event.
func findingItem(rec *record) Item {
	f := rec.Finding
	item := Item{Kind: itemFinding, ID: f.ID, Host: rec.SrcIP, Name: rec.SrcName, MAC: rec.MAC,
		Class: f.Class, Level: f.Level, Severity: f.Severity, Since: f.Since,
		Headline: rec.Message,
		Advice:   f.Advice, Event: rec.raw}
	if item.Since.IsZero() {
		item.Since = f.FirstSeen
	}
	for _, x := range f.Reasons {
		item.Reasons = append(item.Reasons, x.Text)
	}
	return item
}
