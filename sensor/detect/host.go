package detect

import "math"

// Host is all that is known of a source that is judged. The zero value knows nothing.
type Host struct {
	addrs, nets    set // destinations ever tried
	helos, senders set // names ever given, domains ever sent from

	spread  spread
	window  window // networks contacted within the hour
	submit  window // the same, for submission
	fast    fast
	refusal refusal
	lists   lists
	names   names

	external uint32 // attempts to destinations that are not ours
	answered uint32 // attempts that got a SYN-ACK
	clear    uint32 // sessions that could be read

	reasons [Codes]Reason
	changed bool // a reason is new, or weighs more
	// What was published, and when it was decided.
	level   Level
	score   float64
	decided Decision
}

// Decision is when a verdict was reached.
type Decision struct {
	At       int64
	Attempts uint32
}

// Verdict is the sum of what the detectors found.
type Verdict struct {
	Class    Class
	Level    Level
	Score    float64
	Families int
}

// Adopt takes over what was counted before there was a Host. It must be called before
// the observation that made one necessary is given to it.
func (h *Host) Adopt(c *Config, f *Facts) {
	for _, a := range f.addrs.hash[:f.addrs.n] {
		h.addrs.add(a)
	}
	for _, n := range f.nets.hash[:f.nets.n] {
		if h.nets.add(n) {
			h.spread.contact(c, h, f.First)
			h.window.contact(n, f.First)
		}
	}
	for _, n := range f.helos.hash[:f.helos.n] {
		h.helos.add(n)
	}
	for _, n := range f.senders.hash[:f.senders.n] {
		h.senders.add(n)
	}
}

// Sender is the observation of a sender's domain.
func (h *Host) Sender(hash uint32) { h.senders.add(hash) }

// Attempted is the observation of an attempt, which Facts have counted already.
func (h *Host) Attempted(c *Config, f *Facts, a *Attempt) {
	h.addrs.add(a.Addr)
	fresh := h.nets.add(a.Net)
	if fresh && h.nets.len() == c25 {
		h.changed = true
	}
	if a.External {
		inc(&h.external)
	}
	if a.Relay {
		return // where mail is meant to go
	}
	if fresh {
		h.spread.contact(c, h, a.Time)
	}
	judgeWindow(c, h, a)
	judgeSubmit(c, h, a)
	judgeFast(c, h, a)
	judgeConcurrent(c, h, f, a.Time)
}

// Answered is the observation of a SYN-ACK.
func (h *Host) Answered() { inc(&h.answered) }

// found notes what a detector found.
func (h *Host) found(code Code, now int64, value, threshold, weight float64) {
	r := &h.reasons[code]
	if r.First == 0 {
		r.First = now
	}
	h.changed = h.changed || weight > r.Weight
	r.Last = max(r.Last, now)
	r.Value, r.Weight = math.Max(r.Value, value), math.Max(r.Weight, weight)
	r.Threshold = math.Max(r.Threshold, threshold)
}

// has reports whether a detector found something.
func (h *Host) has(code Code) bool { return h.reasons[code].First != 0 }

// Changed reports whether Judge can have something new to say.
func (h *Host) Changed() bool { return h.changed }

// Judge sums up. worse reports whether the level is higher than any before; the
// decision is noted then.
func (h *Host) Judge(f *Facts, now int64) (v Verdict, worse bool) {
	h.changed = false
	var sums [Families]float64
	for code := range h.reasons {
		if h.reasons[code].First != 0 {
			sums[Code(code).Family()] += h.reasons[code].Weight
		}
	}
	v.Score = Prior
	for i, s := range sums {
		v.Score += math.Min(s, familyCap[i])
		if s > 0 {
			v.Families++
		}
	}
	v.Score = math.Round(v.Score*100) / 100
	switch {
	case v.Score >= 9.2 && (v.Families >= 3 || v.Families == 2 && h.clear == 0 && h.nets.len() >= c25):
		v.Level = Confirmed
	case v.Score >= 4.6 && v.Families >= 2:
		v.Level = Likely
	case v.Score >= 0:
		v.Level = Suspect
	}
	h.score = v.Score
	if v.Level > h.level {
		h.level = v.Level
		h.decided = Decision{At: now, Attempts: f.Attempts}
		worse = true
	}
	return v, worse
}

// c25 is how many networks stand in for the third family where nothing can be read.
const c25 = 25

// Level is the highest level reached.
func (h *Host) Level() Level { return h.level }

// Score is the sum that was reached last.
func (h *Host) Score() float64 { return h.score }

// Decided is when it was reached.
func (h *Host) Decided() Decision { return h.decided }

// Reasons calls f for what was found, strongest first within the order of the families.
func (h *Host) Reasons(f func(code Code, r *Reason)) {
	for code := range h.reasons {
		if h.reasons[code].First != 0 {
			f(Code(code), &h.reasons[code])
		}
	}
}

// Mode says what the verdict rests on: "syn" on attempts alone, "flow" on their outcome
// as well, "clear" on what was said.
func (h *Host) Mode(f *Facts) string {
	switch {
	case h.has(Refusals) || h.has(Blocklisted) || h.has(HeloName) || h.has(HeloNames):
		return "clear"
	case h.answered > 0 || f.Refused > 0 || f.Unreachable > 0:
		return "flow"
	}
	return "syn"
}
