package finding

import (
	"cmp"
	"slices"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/verdict"
)

// Peak is the highest level that a finding has had since it was opened, with what it rested on. A
// level that falls because its evidence grew old does not lower the peak; other evidence that
// speaks against the verdict does.
type Peak struct {
	Level   verdict.Level `json:"Level"`
	At      int64         `json:"At"`    // when the level was reached, ns since 1970
	Score   float64       `json:"Score"` // at its latest event of that level
	Reasons []ReasonText  `json:"-"`     // their texts may quote the wire: they are not saved
}

// Restored is a saved peak, with a level that exists.
func (p Peak) Restored() Peak {
	p.Level = min(p.Level, verdict.Confirmed)
	return p
}

// Lower lowers the peak to a level: evidence spoke against the higher one.
func (p *Peak) Lower(level verdict.Level) { p.Level = min(p.Level, level) }

// Follow takes in an event of the finding before it is emitted, and gives it the peak, and the
// peak's reasons if its own are gone.
func (p *Peak) Follow(d *Finding) {
	if d.Action != Closed && d.Level >= p.Level {
		if d.Level > p.Level {
			p.At = d.Decided.At
		}
		p.Level, p.Score, p.Reasons = d.Level, d.Score, slices.Clone(d.Reasons)
	}
	d.Highest, d.HighestAt = max(p.Level, d.Level), p.At
	if d.Action == Closed && p.Level >= d.Level && len(p.Reasons) > len(d.Reasons) {
		d.Reasons, d.Score = p.Reasons, p.Score
	}
}

// Sign notes when a detector found a reason for the last time, in ns since 1970.
func (f *Entry) Sign(at int64) {
	n := len(f.Periods)
	if n == 0 || n < maxPeriods && at-f.Periods[n-1].Last > quietGap {
		f.Periods = append(f.Periods, Period{at, at})
		return
	}
	p := &f.Periods[n-1]
	if at > p.Last {
		p.Last = at
	} else if n == 1 || at-f.Periods[n-2].Last > quietGap {
		p.First = min(p.First, at)
	}
}

// Period is a time in which signs of a finding came, with no silence of more than a day.
type Period struct{ First, Last int64 }

const (
	quietGap   = 24 * hour
	maxPeriods = 8
)

// Revoked reports whether the finding does not stand: other evidence spoke against it, or another
// finding says what it said.
func (f *Finding) Revoked() bool {
	switch f.CloseReason {
	case Withdrawn, Reclassified, Superseded, AddressChanged:
		return true
	}
	return false
}

// LastSign is when the latest sign of the finding came, in ns since 1970: when a detector found a
// reason against the host.
func (f *Finding) LastSign() (at int64) {
	for i := range f.Reasons {
		if r := &f.Reasons[i]; r.Server != "" || r.Code.Family() != detect.Mitigating {
			at = max(at, r.Reason.Last)
		}
	}
	if n := len(f.Periods); n > 0 {
		at = max(at, f.Periods[n-1].Last)
	}
	return at
}

// Began is when the first sign of the finding came, in ns since 1970, or else the first attempt of
// the host, or the decision.
func (f *Finding) Began() int64 {
	if len(f.Periods) > 0 {
		return f.Periods[0].First
	}
	return cmp.Or(f.Source.Counters.First, f.Decided.At)
}

// Worst is the severity of the finding at its highest level.
func (f *Finding) Worst() verdict.Severity {
	if f.Highest <= f.Level {
		return f.Severity
	}
	return Severity(f.Class, f.Highest, false)
}
