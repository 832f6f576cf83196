package detect

import (
	"spamsensor/sensor/behaviour"
	"spamsensor/sensor/contacts"
	"spamsensor/sensor/lookups"
	"spamsensor/sensor/providers"
	"spamsensor/sensor/recipients"
	"spamsensor/sensor/sketch"
	"spamsensor/sensor/spoof"
	"spamsensor/sensor/verdict"
)

// Profile is what is known of a source that is judged. The zero value knows nothing. A profile
// takes about nine kilobytes, however much the source does; see sketch.Set for what may come on
// top.
type Profile struct {
	// Budget is the memory that sets may take beyond their own kilobyte; nil is none.
	Budget *sketch.Budget
	// Keep has a verdict that is likely or more stay, with its reasons, until other evidence
	// speaks against it: a report about the past says what was, however long ago.
	Keep bool

	// What every attempt and every verdict looks at, in a few cache lines.
	changed       bool       // a reason is new, or weighs more
	oneSided      bool       // the capture shows one side of connections alone; see SetOneSided
	oneSideSoFar  bool       // it has shown one side alone so far
	role          Role       // that the configuration declares
	raised        codeSet    // all other reasons are zero
	external      uint32     // attempts to external destinations
	retransmitted uint32     // attempts whose SYN a TCP sent again
	answered      uint32     // attempts with a SYN-ACK
	sessions      uint32     // with a completed handshake
	greeted       uint32     // of these, in which the server said something that could be read
	spoken        uint32     // sessions in which the client said something
	twoSided      uint32     // sessions of which both sides were seen
	attested      uint32     // of these, in which the server answered the client
	taken         uint32     // messages that others brought to the source
	submitNets    uint32     // networks that were new at an attempt to submit mail
	conflicting   uint32     // sessions in which the client sent other bytes in the same place
	addrs, nets   sketch.Set // destinations, at any time
	behaviour     behaviour.Behaviour
	ports         contacts.Ports
	flood         flood
	providers     providers.Ledger // of the networks that were contacted
	share         contacts.Share
	mta           mtaLike
	contacts      contacts.Test
	half          halfSessions

	hour                [maxWindow]sketch.Slot // providers and networks contacted lately
	burst               burst
	guard               spoof.Guard
	guardOneSided       spoof.Guard // the same, with connections of which one side was seen
	reasons             [codes]verdict.Reason
	newNetworks         providers.Rate
	accounts            providers.Accounts     // providers that let the source submit mail
	submit              [maxSubmit]sketch.Slot // as hour, for submission
	refusalTest         refusalTest
	refusalTestUnlisted refusalTest // the same, without refusals that name a blocklist
	refusers            refusers
	unknownUsers        recipients.Test
	unknownOfOwn        recipients.Test // the same, without returned mail
	relayDenied         [4]sketch.Slot  // servers that refused to relay
	blocklists          blocklists
	heloNames           heloNames
	dialect             dialect
	envelope            envelope
	lookups             *lookups.Log
	tlsServers          lookups.Names // domains of servers that TLS handshakes named
	tlsDay              lookups.Day   // the same, of a day

	through string // the server of ours that it hands mail of strangers to
	// Of the latest verdict.
	verdict verdict.Verdict
	level   verdict.Level
	decided verdict.Decision

	previous previous
	// restored are the reasons of before a restart, nil if there was none.
	restored map[Code]SavedReason
}

// Adopt takes over what the counters of the source hold. It comes before the observation that made
// a profile necessary.
func (p *Profile) Adopt(c *Config, n *Counters) {
	// The counters keep no time of each network: First stands for all.
	for _, a := range n.addrs.All() {
		p.addrs.Add(a, p.Budget)
	}
	for _, net := range n.nets.All() {
		if p.nets.Add(net, p.Budget) {
			if n.mailPort() == 0 {
				sketch.Increment(&p.submitNets)
			}
			unit, _ := p.providers.Contacted(net, 0, true, n.First)
			p.newUnit(c, unit, n.First)
			sketch.AddRecent(p.hour[:], unit, sketch.Stamp(n.First), 3600)
		}
	}
}

// Release gives back to the Budget what the profile took of it. The profile is not used afterwards.
func (p *Profile) Release() {
	p.addrs.Release(p.Budget)
	p.nets.Release(p.Budget)
}

// SetOneSided sets whether the capture shows one side of connections alone, and whether it has
// shown no more so far, in few connections perhaps. It reports whether that is new for the source.
// Only in the first case a connection of which one side was seen counts as much as others against
// the source, only in the second it counts in its favour.
func (p *Profile) SetOneSided(is, soFar bool) (news bool) {
	news = (p.oneSided != is || p.oneSideSoFar != soFar && p.half.Total > 0) && p.sessions > 0
	p.oneSided, p.oneSideSoFar = is, soFar
	return news
}

// Sides returns what SetOneSided was given last.
func (p *Profile) Sides() (oneSided, soFar bool) { return p.oneSided, p.oneSideSoFar }

// heard reports whether a word was said in a session. Without one, all that could speak for or
// against the source is hidden: only SYNs are seen, or a device on the way completes the handshakes
// and nobody answers behind it.
func (p *Profile) heard() bool { return p.greeted > 0 || p.spoken > 0 }

// Changed reports whether Judge can have a new verdict.
func (p *Profile) Changed() bool { return p.changed }

// Sessions is how many handshakes were completed.
func (p *Profile) Sessions() uint32 { return p.sessions }

// SeenBothSides reports whether both sides of a session were seen.
func (p *Profile) SeenBothSides() bool { return p.twoSided > 0 }

// Level is the level in force.
func (p *Profile) Level() verdict.Level { return p.level }

// Verdict is the latest verdict.
func (p *Profile) Verdict() verdict.Verdict { return p.verdict }

// Decided is when the level was reached.
func (p *Profile) Decided() verdict.Decision { return p.decided }

// Reasons calls f for each reason that was found, in the order of the families.
func (p *Profile) Reasons(f func(code Code, r *verdict.Reason)) {
	for set := p.raised; set != 0; set = set.rest() {
		if code := set.first(); p.has(code) {
			f(code, &p.reasons[code])
		}
	}
}

// Mode names the evidence of the verdict: "syn" for attempts alone, "flow" for their outcome too,
// "clear" for dialogues.
func (p *Profile) Mode(n *Counters) string {
	for set := p.raised; set != 0; set = set.rest() {
		if code := set.first(); p.has(code) && readable[code.Family()] {
			return "clear"
		}
	}
	if p.answered > 0 || n.Refused > 0 || n.Unreachable > 0 || n.Sessions > 0 {
		return "flow"
	}
	return "syn"
}
