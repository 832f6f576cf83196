package detect

import "math"

// Host is all that is known of a source that is judged. The zero value knows nothing. It takes
// about four kilobytes, however much the source does; see set for what may come on top.
type Host struct {
	// Room is what the sets may take beyond their share.
	Room *Room

	addrs, nets set // destinations ever tried

	spread   spread
	hour     [maxWindow]Slot // networks contacted lately
	submit   [maxSubmit]Slot // the same, for submission
	fast     fast
	flood    flood
	outcome  outcome
	ports    [4]portOutcome
	refusal  refusal
	unlisted refusal // the same, without those that name a blocklist
	unknown  unknown
	denied   [4]Slot // servers that wanted to know who it is
	lists    lists
	names    names
	dialect  dialect
	envelope envelope
	lookups  *Lookups
	servers  [maxDomains]Slot // domains of servers that TLS handshakes named
	server   serverLike
	manner   manner
	own      own
	hearsay  own // the same, with connections of which one side was seen

	external    uint32 // attempts to destinations that are not ours
	repeated    uint32 // attempts whose SYN a TCP sent again
	answered    uint32 // attempts that got a SYN-ACK
	opened      uint32 // sessions
	heard       uint32 // sessions in which the client said something
	whole       uint32 // sessions of which both sides were seen
	attested    uint32 // of these, in which the server answered what the client said
	conflicting uint32 // sessions in which the client sent other bytes in the same place
	oneSide     bool   // the capture shows one side of connections alone; see OneSide

	reasons [Codes]Reason
	changed bool // a reason is new, or weighs more
	// What was judged last.
	verdict Verdict
	level   Level
	decided Decision
	off     uint32 // codes that do not count for this host, by bit
	earlier earlier
	// recalled are the reasons of before a restart, nil if there was none.
	recalled map[Code]SavedReason
}

// Decision is when a verdict was reached.
type Decision struct {
	At       int64  `json:"At"`
	Attempts uint32 `json:"Attempts"`
}

// Verdict is the sum of what the detectors found.
type Verdict struct {
	Class    Class   `json:"Class"`
	Level    Level   `json:"Level"`
	Score    float64 `json:"Score"`
	Families int     `json:"Families"`
}

// Adopt takes over what was counted before there was a Host. It must be called before
// the observation that made one necessary is given to it.
func (h *Host) Adopt(c *Config, f *Facts) {
	for _, a := range f.addrs.hash[:f.addrs.n] {
		h.addrs.add(a, h.Room)
	}
	for _, n := range f.nets.hash[:f.nets.n] {
		if h.nets.add(n, h.Room) {
			h.spread.contact(c, h, f.First)
			Recently(h.hour[:], n, Stamp(f.First), 3600)
		}
	}
}

// Release gives back what the host took of the Room.
func (h *Host) Release() {
	h.Room.release(h.addrs.table)
	h.Room.release(h.nets.table)
}

// Ignore says that a family of detectors does not count for this host.
func (h *Host) Ignore(family Family) {
	for code := Code(0); code < Codes; code++ {
		if code.Family() == family {
			h.off |= 1 << code
		}
	}
}

// Attempted is the observation of an attempt, which Facts have counted already.
func (h *Host) Attempted(c *Config, f *Facts, a *Attempt) {
	unknown := h.addrs.add(a.Addr, h.Room)
	fresh := (unknown || h.addrs.rough) && h.nets.add(a.Net, h.Room) // a known address is in a known network
	if a.External {
		inc(&h.external)
	}
	h.manner.attempted(a, h.addrs.len() <= probed)
	if a.Relay {
		return // where mail is meant to go
	}
	if p := h.port(a.Port); p != nil {
		inc(&p.attempts)
	}
	if fresh {
		h.spread.contact(c, h, a.Time)
		if h.reasons[Failures].Weight < 4.6 {
			h.outcome.wait(a)
		}
	}
	h.server.tried(a)
	judgeWindow(c, h, a)
	judgeSubmit(c, h, a)
	judgeFast(c, h, f, a)
	judgeConcurrent(c, h, f, a.Time)
	if a.External && h.opened == 0 {
		h.flood.attempted(h, a, unknown)
	}
}

// found notes what a detector found.
func (h *Host) found(code Code, now int64, value, threshold, weight float64) {
	if h.off>>code&1 != 0 {
		return
	}
	r := &h.reasons[code]
	if r.First == 0 {
		r.First = now
	}
	h.changed = h.changed || math.Abs(weight) > math.Abs(r.Weight)
	r.Last = max(r.Last, now)
	r.Value, r.Threshold = math.Max(r.Value, value), math.Max(r.Threshold, threshold)
	if math.Abs(weight) > math.Abs(r.Weight) {
		r.Weight = weight
	}
}

// Lately reports whether a detector found something within the last minute: what it looks at
// need not be looked at again so soon.
func (h *Host) Lately(code Code, now int64) bool {
	r := &h.reasons[code]
	return r.First != 0 && now-r.Last < minute
}

// has reports whether a detector found something.
func (h *Host) has(code Code) bool { return h.reasons[code].First != 0 }

// Changed reports whether Judge can have something new to say.
func (h *Host) Changed() bool { return h.changed }

// Times of the verdict's life.
const (
	// holdLevel is how long a level is held without new evidence; then it drops by one.
	holdLevel = day
	// forgetReason is how long a reason counts after it was found for the last time: as long as
	// it takes the highest level to drop to none.
	forgetReason = 3 * holdLevel
)

// Judge sums up.
func (h *Host) Judge(f *Facts, now int64) Verdict {
	h.changed = false
	h.favour(f, now)
	if h.maybeServer() {
		h.reasons[MXLookups], h.reasons[HostLookups] = Reason{}, Reason{}
		if h.has(OneName) { // by then its name speaks for it, and what it names in TLS is what it looked up
			h.reasons[TLSNames] = Reason{}
		}
	}
	if h.lineDown() {
		h.reasons[Failures] = Reason{}
	}
	if h.Several() { // many people have many providers
		h.reasons[TLSNames], h.reasons[SubmitSpread] = Reason{}, Reason{}
	}
	var sums [Families]float64
	latest := int64(0)
	for code := range h.reasons {
		r := &h.reasons[code]
		if r.First == 0 {
			continue
		}
		if now-r.Last > forgetReason {
			*r = Reason{}
			continue
		}
		family := Code(code).Family()
		sums[family] += r.Weight
		if family != Favour {
			latest = max(latest, r.Last)
		}
	}
	if h.failOver(now) {
		sums[Volume] /= 2
	}
	v := Verdict{Score: Prior}
	for i, s := range sums {
		limit := familyCap[i]
		if Family(i) == Volume && h.unheard() {
			limit += floodLift
		}
		v.Score += math.Min(s, limit)
		if s > 0 {
			v.Families++
		}
	}
	if s := sums[Favour]; s < -favourCap {
		v.Score += -favourCap - s
	}
	v.Score = math.Round(v.Score*100)/100 + 0 // no negative zero
	if h.hammers() {
		v.Score = max(v.Score, 0)
	}
	switch {
	case v.Score >= 9.2 && h.spoke() && (v.Families >= 3 || v.Families == 2 && h.names.given == 0 && h.nets.len() >= c25):
		v.Level = Confirmed
	case v.Score >= 4.6 && (v.Families >= 2 || h.unheard()) && h.real():
		v.Level = Likely
	case v.Score >= 0:
		v.Level = Suspect
	}
	switch v.Class = h.class(); {
	case h.probes():
		v.Level = NoLevel
	case v.Class == UndeclaredServer && (h.has(NewNetworks) || h.has(ManyNetworks)):
		v.Level = Suspect // whatever speaks for it: it is not declared
	case v.Class != Spambot:
		v.Level = min(v.Level, Suspect)
	}
	if v.Level < Suspect && h.level == Suspect && h.failOver(now) {
		v.Level = Suspect // until the day is over
	}
	v.Level -= min(v.Level, Level(max(0, now-latest)/holdLevel))
	if v.Level > h.level || v.Level == h.level && v.Level > NoLevel && v.Class != h.verdict.Class {
		h.decided = Decision{At: max(latest, h.since(f)), Attempts: h.attempts(f)}
	}
	h.level, h.verdict = v.Level, v
	return v
}

// c25 is how many networks stand in for the third family where nothing can be read.
const c25 = 25

// Heard is the observation that the client said something in a session.
func (h *Host) Heard() { inc(&h.heard) }

// Attested is the observation of a session in which the server answered what the client said. It
// comes once per session, after Heard.
func (h *Host) Attested() {
	inc(&h.attested)
	h.changed = h.changed || h.attested == 1 // see spoke
}

// OneSide says whether the capture shows one side of connections alone, and reports whether that is
// new for the host. Only then what one side says of a connection counts as much as what both do.
func (h *Host) OneSide(is bool) (news bool) {
	news = h.oneSide != is && h.opened > 0
	h.oneSide = is
	return news
}

// spoke reports whether the machine itself is known to have said something in a session.
func (h *Host) spoke() bool { return h.attested > 0 || h.oneSide && h.heard > 0 }

// Whole is the observation of the second side of a session, of which one was known.
func (h *Host) Whole(net uint32) {
	inc(&h.whole)
	h.Own(net)
	h.changed = h.changed || h.whole == 1 // see real
}

// Opened is the observation of a completed handshake; oneSide says that only one of its sides was
// seen so far. net needs to be known if the host is Unproved.
func (h *Host) Opened(c *Config, addr, net uint32, port uint16, oneSide bool, now int64) {
	inc(&h.opened)
	h.changed = h.changed || h.opened == 1 // see real
	if oneSide {
		h.changed = h.hearsay.turned(net) || h.changed
	} else {
		h.Whole(net)
	}
	if p := h.port(port); p != nil {
		inc(&p.opened)
	}
	h.letIn(c, addr, now)
}

// SeenWhole reports whether both sides of a session were seen.
func (h *Host) SeenWhole() bool { return h.whole > 0 }

// Sessions are how many there were.
func (h *Host) Sessions() uint32 { return h.opened }

// Level is the level in force.
func (h *Host) Level() Level { return h.level }

// Verdict is what was judged last.
func (h *Host) Verdict() Verdict { return h.verdict }

// Score is the sum that was reached last.
func (h *Host) Score() float64 { return h.verdict.Score }

// Decided is when the level was reached.
func (h *Host) Decided() Decision { return h.decided }

// Reasons calls f for what was found, in the order of the families.
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
	for code := range h.reasons {
		if h.reasons[code].First != 0 && readable[Code(code).Family()] {
			return "clear"
		}
	}
	if h.answered > 0 || f.Refused > 0 || f.Unreachable > 0 || f.Sessions > 0 {
		return "flow"
	}
	return "syn"
}

// readable are the families that need to read what was said.
var readable = [Families]bool{Replies: true, Identity: true, Dialect: true, Envelope: true}
