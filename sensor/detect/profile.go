package detect

import (
	"math"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// Profile is all that is known of a source that is judged. The zero value knows nothing. It takes
// about four kilobytes, however much the source does; see sketch.Set for what may come on top.
type Profile struct {
	// Budget is the memory that sets may take beyond their own kilobyte.
	Budget *sketch.Budget

	addrs, nets sketch.Set // destinations ever tried

	newNetworks         newNetworksTest
	hour                [maxWindow]sketch.Slot // networks contacted lately
	submit              [maxSubmit]sketch.Slot // the same, for submission
	burst               burst
	flood               flood
	contacts            contacts
	ports               [4]portOutcome
	refusalTest         refusalTest
	refusalTestUnlisted refusalTest // the same, without those that name a blocklist
	unknownUsers        unknownUsers
	relayDenied         [4]sketch.Slot // servers that wanted to know who it is
	blocklists          blocklists
	heloNames           heloNames
	dialect             dialect
	envelope            envelope
	lookups             *Lookups
	tlsServers          [maxDomains]sketch.Slot // domains of servers that TLS handshakes named
	mta                 mtaLike
	behaviour           behaviour
	guard               spoofGuard
	guardOneSided       spoofGuard // the same, with connections of which one side was seen

	external      uint32 // attempts to destinations that are not ours
	retransmitted uint32 // attempts whose SYN a TCP sent again
	answered      uint32 // attempts that got a SYN-ACK
	sessions      uint32 // sessions
	spoken        uint32 // sessions in which the client said something
	twoSided      uint32 // sessions of which both sides were seen
	attested      uint32 // of these, in which the server answered what the client said
	conflicting   uint32 // sessions in which the client sent other bytes in the same place
	oneSided      bool   // the capture shows one side of connections alone; see OneSide

	reasons [Codes]verdict.Reason
	changed bool // a reason is new, or weighs more
	// What was judged last.
	verdict  verdict.Verdict
	level    verdict.Level
	decided  verdict.Decision
	ignored  uint32 // codes that do not count for this host, by bit
	previous previous
	// restored are the reasons of before a restart, nil if there was none.
	restored map[Code]SavedReason
}

// Adopt takes over what was counted before there was a Profile. It must be called before
// the observation that made one necessary is given to it.
func (h *Profile) Adopt(c *Config, f *Counters) {
	for _, a := range f.addrs.All() {
		h.addrs.Add(a, h.Budget)
	}
	for _, n := range f.nets.All() {
		if h.nets.Add(n, h.Budget) {
			h.newNetworks.contact(c, h, f.First)
			sketch.AddRecent(h.hour[:], n, sketch.Stamp(f.First), 3600)
		}
	}
}

// Release returns what the host took of the budget.
func (h *Profile) Release() {
	h.addrs.Release(h.Budget)
	h.nets.Release(h.Budget)
}

// Ignore says that a family of detectors does not count for this host.
func (h *Profile) Ignore(family Family) {
	for code := Code(0); code < Codes; code++ {
		if code.Family() == family {
			h.ignored |= 1 << code
		}
	}
}

// Attempted is the observation of an attempt, which Counters have counted already.
func (h *Profile) Attempted(c *Config, f *Counters, a *Attempt) {
	unknown := h.addrs.Add(a.Addr, h.Budget)
	fresh := (unknown || h.addrs.Estimated()) && h.nets.Add(a.Net, h.Budget) // a known address is in a known network
	if a.External {
		inc(&h.external)
	}
	h.behaviour.attempted(a, h.addrs.Len() <= probeTargets)
	if a.Relay {
		return // where mail is meant to go
	}
	if p := h.port(a.Port); p != nil {
		inc(&p.attempts)
	}
	if fresh {
		h.newNetworks.contact(c, h, a.Time)
		if h.reasons[Failures].Weight < 4.6 {
			h.contacts.begin(a)
		}
	}
	h.mta.tried(a)
	judgeWindow(c, h, a)
	judgeSubmit(c, h, a)
	judgeBurst(c, h, f, a)
	judgeConcurrent(c, h, f, a.Time)
	if a.External && h.sessions == 0 {
		h.flood.attempted(h, a, unknown)
	}
}

// raise notes what a detector found.
func (h *Profile) raise(code Code, now int64, value, threshold, weight float64) {
	if h.ignored>>code&1 != 0 {
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

// FoundLately reports whether a detector found something within the last minute: what it looks at
// need not be looked at again so soon.
func (h *Profile) FoundLately(code Code, now int64) bool {
	r := &h.reasons[code]
	return r.First != 0 && now-r.Last < minute
}

// has reports whether a detector found something.
func (h *Profile) has(code Code) bool { return h.reasons[code].First != 0 }

// Changed reports whether Judge can have something new to say.
func (h *Profile) Changed() bool { return h.changed }

// Times of the verdict's life.
const (
	// holdLevel is how long a level is held without new evidence; then it drops by one.
	holdLevel = day
	// forgetReason is how long a reason counts after it was found for the last time: as long as
	// it takes the highest level to drop to none.
	forgetReason = 3 * holdLevel
)

// Judge sums up.
func (h *Profile) Judge(f *Counters, now int64) verdict.Verdict {
	h.changed = false
	h.judgeMitigating(f, now)
	if h.maybeMTA() {
		h.reasons[MXLookups], h.reasons[HostLookups] = verdict.Reason{}, verdict.Reason{}
		if h.has(OneName) { // by then its name speaks for it, and what it names in TLS is what it looked up
			h.reasons[TLSNames] = verdict.Reason{}
		}
	}
	if h.uplinkOutage() {
		h.reasons[Failures] = verdict.Reason{}
	}
	if h.BehindNAT() { // many people have many providers
		h.reasons[TLSNames], h.reasons[SubmitSpread] = verdict.Reason{}, verdict.Reason{}
	}
	var sums [Families]float64
	latest := int64(0)
	for code := range h.reasons {
		r := &h.reasons[code]
		if r.First == 0 {
			continue
		}
		if now-r.Last > forgetReason {
			*r = verdict.Reason{}
			continue
		}
		family := Code(code).Family()
		sums[family] += r.Weight
		if family != Mitigating {
			latest = max(latest, r.Last)
		}
	}
	if h.failOver(now) {
		sums[Volume] /= 2
	}
	v := verdict.Verdict{Score: Prior}
	for i, s := range sums {
		limit := familyCap[i]
		if Family(i) == Volume && h.synOnlyFlood() {
			limit += floodLift
		}
		v.Score += math.Min(s, limit)
		if s > 0 {
			v.Families++
		}
	}
	if s := sums[Mitigating]; s < -mitigatingCap {
		v.Score += -mitigatingCap - s
	}
	v.Score = math.Round(v.Score*100)/100 + 0 // no negative zero
	if h.suspectByRate() {
		v.Score = max(v.Score, 0)
	}
	switch {
	case v.Score >= 9.2 && h.dialogueProven() && (v.Families >= 3 || v.Families == 2 && h.heloNames.given == 0 && h.nets.Len() >= networksUnread):
		v.Level = verdict.Confirmed
	case v.Score >= 4.6 && (v.Families >= 2 || h.synOnlyFlood()) && h.notSpoofed():
		v.Level = verdict.Likely
	case v.Score >= 0:
		v.Level = verdict.Suspect
	}
	switch v.Class = h.class(); {
	case h.isProbe():
		v.Level = verdict.NoLevel
	case v.Class == verdict.UndeclaredServer && (h.has(NewNetworks) || h.has(ManyNetworks)):
		v.Level = verdict.Suspect // whatever speaks for it: it is not declared
	case v.Class != verdict.Spambot:
		v.Level = min(v.Level, verdict.Suspect)
	}
	if v.Level < verdict.Suspect && h.level == verdict.Suspect && h.failOver(now) {
		v.Level = verdict.Suspect // until the day is over
	}
	v.Level -= min(v.Level, verdict.Level(max(0, now-latest)/holdLevel))
	if v.Level > h.level || v.Level == h.level && v.Level > verdict.NoLevel && v.Class != h.verdict.Class {
		h.decided = verdict.Decision{At: max(latest, h.since(f)), Attempts: h.attempts(f)}
	}
	h.level, h.verdict = v.Level, v
	return v
}

// networksUnread is how many networks stand in for the third family where nothing can be read.
const networksUnread = 25

// ClientSpoke is the observation that the client said something in a session.
func (h *Profile) ClientSpoke() { inc(&h.spoken) }

// Attested is the observation of a session in which the server answered what the client said. It
// comes once per session, after Heard.
func (h *Profile) Attested() {
	inc(&h.attested)
	h.changed = h.changed || h.attested == 1 // see spoke
}

// SetOneSided says whether the capture shows one side of connections alone, and reports whether that is
// new for the host. Only then what one side says of a connection counts as much as what both do.
func (h *Profile) SetOneSided(is bool) (news bool) {
	news = h.oneSided != is && h.sessions > 0
	h.oneSided = is
	return news
}

// dialogueProven reports whether the machine itself is known to have said something in a session.
func (h *Profile) dialogueProven() bool { return h.attested > 0 || h.oneSided && h.spoken > 0 }

// TwoSided is the observation of the second side of a session, of which one was known.
func (h *Profile) TwoSided(net uint32) {
	inc(&h.twoSided)
	h.ConfirmNetwork(net)
	h.changed = h.changed || h.twoSided == 1 // see real
}

// Opened is the observation of a completed handshake; oneSide says that only one of its sides was
// seen so far. net needs to be known if the host is Unproved.
func (h *Profile) Opened(c *Config, addr, net uint32, port uint16, oneSide bool, now int64) {
	inc(&h.sessions)
	h.changed = h.changed || h.sessions == 1 // see real
	if oneSide {
		h.changed = h.guardOneSided.confirm(net) || h.changed
	} else {
		h.TwoSided(net)
	}
	if p := h.port(port); p != nil {
		inc(&p.opened)
	}
	h.contactSucceeded(c, addr, now)
}

// SeenTwoSided reports whether both sides of a session were seen.
func (h *Profile) SeenTwoSided() bool { return h.twoSided > 0 }

// Sessions are how many there were.
func (h *Profile) Sessions() uint32 { return h.sessions }

// Level is the level in force.
func (h *Profile) Level() verdict.Level { return h.level }

// Verdict is what was judged last.
func (h *Profile) Verdict() verdict.Verdict { return h.verdict }

// Score is the sum that was reached last.
func (h *Profile) Score() float64 { return h.verdict.Score }

// Decided is when the level was reached.
func (h *Profile) Decided() verdict.Decision { return h.decided }

// Reasons calls f for what was found, in the order of the families.
func (h *Profile) Reasons(f func(code Code, r *verdict.Reason)) {
	for code := range h.reasons {
		if h.reasons[code].First != 0 {
			f(Code(code), &h.reasons[code])
		}
	}
}

// Mode says what the verdict rests on: "syn" on attempts alone, "flow" on their outcome
// as well, "clear" on what was said.
func (h *Profile) Mode(f *Counters) string {
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
