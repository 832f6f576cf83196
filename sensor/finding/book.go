package finding

import (
	"slices"

	"spamsensor/sensor/verdict"
)

// Entry is the life of one finding. A finding about a host stays when it is closed: a host that
// comes back after it was cleaned has its finding opened again.
type Entry struct {
	ID    string
	Seq   int // number of its latest event
	Class verdict.Class
	Level verdict.Level
	Open  bool
	// Suspended says that the sensor stopped while the finding was open: it goes on with the next
	// start.
	Suspended bool
	// Restored says that it was open before the sensor started and has no event since: after a
	// crash it was not suspended, and is resumed all the same.
	Restored bool
	Updated  int64  // time of its latest event
	Closed   int64  // when it was closed last; zero if never, or only because the sensor stopped
	Clean    int64  // how long it had been quiet when it was opened again
	Reopened uint32 // how often
	Lists    int    // blocklists in its latest event
	Ignored  bool   // in its latest event
	Decided  verdict.Decision
	Peak     Peak
	Periods  []Period // when its signs came, the earliest first
	Proof    *Proof   // of a finding about a mail server
}

// Unreported reports whether a finding was never opened, or was closed only because the sensor
// stopped.
func (f *Entry) Unreported() bool { return f == nil || !f.Open && f.Closed == 0 }

// UpdateEvery is how often an open finding has an event although its level is the same.
const UpdateEvery = 30 * minute

const (
	minute = 60 * int64(1e9)
	hour   = 60 * minute
)

// The actions of events.
const (
	Opened  = "opened"
	Updated = "updated"
	Closed  = "closed"
	// Suspended is the last event of an open finding when the sensor stops, Resumed its first one
	// after the next start: the finding is not over in between.
	Suspended = "suspended"
	Resumed   = "resumed"
	// Acknowledged is the event of an open finding that somebody has acknowledged.
	Acknowledged = "acknowledged"
	// Explained is the action of a finding that somebody asked for. It is never that of an event.
	Explained = "explained"
)

// Reasons why a finding is closed.
const (
	Quiet          = "quiet"           // the evidence is too old
	Withdrawn      = "withdrawn"       // other evidence spoke against it
	Reclassified   = "reclassified"    // a finding of another class replaces it
	Superseded     = "superseded"      // a finding that says more replaces it
	AddressChanged = "address_changed" // the machine has another address now
	MACChanged     = "mac_changed"     // another machine has the address now
	Evicted        = "evicted"         // the table of hosts was full
	EndOfInput     = "end_of_input"    // the capture ends
	Shutdown       = "shutdown"        // the sensor stops
)

// Over reports whether a finding has ended, by the action and the close_reason of its latest event.
// At the end of a capture, and when the sensor stops, nothing shows that the host has stopped.
func Over(action, closeReason string) bool {
	return action == Closed && closeReason != EndOfInput && closeReason != Shutdown
}

// Replaced reports whether a finding was closed because another one takes its place and says more.
func (f *Finding) Replaced() bool {
	return f.Action == Closed && (f.CloseReason == Superseded || f.CloseReason == Reclassified)
}

// Change is one event in the life of a finding that is due. [Book.Commit] makes it happen.
type Change struct {
	Class  verdict.Class
	Level  verdict.Level
	Action string
	Reason string // why it is closed or suspended
	// Aged says that a lower level than before is due to the age of the evidence alone.
	Aged bool
	// Admit says that the finding may have to wait, if there are too many new ones.
	Admit bool
}

// Book holds the findings of one owner, a host or a mail server, by their class. The zero value is
// empty. Its methods say which events are due and leave it to the caller to commit and emit them,
// one after the other.
type Book [verdict.Classes]*Entry

// sums are the classes that a host's verdict can have. A host has one of them at a time.
var sums = []verdict.Class{verdict.Spambot, verdict.UndeclaredServer, verdict.Scanner}

// IsSum reports whether verdicts of a class are sums of reasons about a host.
func IsSum(c verdict.Class) bool { return slices.Contains(sums, c) }

// Main is the open finding of a host's verdict, nil if there is none.
func (b *Book) Main() *Entry {
	for _, c := range sums {
		if f := b[c]; f != nil && f.Open {
			return f
		}
	}
	return nil
}

// Superseded reports whether an open verdict says more than that the host is on a blocklist. Of a
// mail server that is news of its own.
func (b *Book) Superseded() bool {
	f := b.Main()
	return f != nil && f.Class != verdict.UndeclaredServer
}

// AnyOpen reports whether a finding is open.
func (b *Book) AnyOpen() bool {
	return slices.ContainsFunc(b[:], func(f *Entry) bool { return f != nil && f.Open })
}

func (b *Book) open(c verdict.Class) bool { return b[c] != nil && b[c].Open }

// Apply says what a verdict changes. That about a host replaces the host's verdict before; lists is
// how many blocklists named the host. That about a mail server adds a reason to its finding.
func (b *Book) Apply(v *verdict.Verdict, lists int) []Change {
	if v.Class >= verdict.OpenRelay {
		return b.accumulate(v)
	}
	was := b.Main()
	if v.Level == verdict.NoLevel {
		if was == nil {
			return nil
		}
		reason := Withdrawn
		if v.Aged {
			reason = Quiet
		}
		return []Change{{Class: was.Class, Level: was.Level, Action: Closed, Reason: reason}}
	}
	var due []Change
	if was != nil && was.Class != v.Class {
		due = append(due, Change{Class: was.Class, Level: was.Level, Action: Closed,
			Reason: Reclassified})
	}
	for _, c := range []verdict.Class{verdict.DirectSMTP, verdict.OnBlocklist} {
		if b.open(c) && (c == verdict.DirectSMTP || v.Class != verdict.UndeclaredServer) {
			due = append(due, Change{Class: c, Level: b[c].Level, Action: Closed,
				Reason: Superseded})
		}
	}
	if v.Class == verdict.UndeclaredServer && lists > 0 && !b.open(verdict.OnBlocklist) {
		due = append(due, Change{Class: verdict.OnBlocklist, Level: verdict.Suspect,
			Action: Opened, Admit: true})
	}
	switch f := b[v.Class]; {
	case !b.open(v.Class):
		due = append(due, Change{Class: v.Class, Level: v.Level, Action: Opened, Admit: was == nil})
	case v.Level != f.Level, lists > f.Lists: // a list is what the reader waits for: they are few
		due = append(due, Change{Class: v.Class, Level: v.Level, Action: Updated, Aged: v.Aged})
	}
	return due
}

// Report says what a single fact about a host changes that is no sum: it opens a finding, or
// updates it if there is news.
func (b *Book) Report(c verdict.Class, news bool) []Change {
	switch {
	case !b.open(c):
		return []Change{{Class: c, Level: verdict.Suspect, Action: Opened, Admit: true}}
	case news:
		return []Change{{Class: c, Level: verdict.Suspect, Action: Updated}}
	}
	return nil
}

// Commit makes a change. The entry of the change's class must have its ID.
func (b *Book) Commit(c *Change, now int64) *Entry {
	f := b[c.Class]
	switch c.Action {
	case Opened:
		f.Open = true
		if f.Closed != 0 {
			f.Reopened++
			f.Clean = max(0, now-f.Closed)
			f.Peak = Peak{}
		}
	case Closed:
		f.Open, f.Closed = false, now
		if f.Proof != nil { // a mail server's next finding of the class is another one
			b[c.Class] = nil
		}
	}
	f.Suspended, f.Restored = c.Action == Suspended, false
	if c.Level < f.Level && !c.Aged {
		f.Peak.Lower(c.Level)
	}
	f.Seq++
	f.Level, f.Updated = c.Level, now
	if f.Proof != nil {
		f.Proof.Shown = len(f.Proof.Events)
	}
	return f
}

// Due says which open findings have an event because the last one is long ago. last is when the
// owner was seen last: without news there is no event. ignored says that the owner is ignored:
// there is an event when that begins or ends.
func (b *Book) Due(now, last int64, ignored bool) (due []Change) {
	for c, f := range b {
		if f != nil && f.Open && (now-f.Updated >= UpdateEvery && last > f.Updated ||
			f.Ignored != ignored) {
			due = append(due, Change{Class: verdict.Class(c), Level: f.Level, Action: Updated})
		}
	}
	return due
}

// CloseAll closes what is open.
func (b *Book) CloseAll(reason string) (due []Change) {
	for c, f := range b {
		if f != nil && f.Open {
			due = append(due, Change{Class: verdict.Class(c), Level: f.Level, Action: Closed,
				Reason: reason})
		}
	}
	return due
}

// Suspend suspends what is open: the sensor stops, and the next start knows these findings.
func (b *Book) Suspend(reason string) (due []Change) {
	for c, f := range b {
		if f != nil && f.Open && !f.Suspended {
			due = append(due, Change{Class: verdict.Class(c), Level: f.Level, Action: Suspended,
				Reason: reason})
		}
	}
	return due
}

// Resume resumes what was open when the sensor stopped or crashed.
func (b *Book) Resume() (due []Change) {
	for c, f := range b {
		if f != nil && f.Open && (f.Suspended || f.Restored) {
			due = append(due, Change{Class: verdict.Class(c), Level: f.Level, Action: Resumed})
		}
	}
	return due
}

// Finding is the event of a finding's change, without its owner.
func (f *Entry) Finding(c *Change) *Finding {
	d := &Finding{ID: f.ID, Seq: f.Seq, Action: c.Action, Class: f.Class, Level: f.Level,
		Time: f.Updated, CloseReason: c.Reason,
		Reopened: f.Reopened, CleanFor: f.Clean, Decided: f.Decided, Highest: f.Level,
		Periods: slices.Clone(f.Periods)}
	if p := f.Proof; p != nil {
		d.Reasons, d.Relay, d.Evidence = slices.Clone(p.Reasons), p.Relay, slices.Clone(p.Events)
	}
	return d
}
