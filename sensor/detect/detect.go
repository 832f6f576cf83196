// Package detect turns observations about a host into a verdict: does this machine send
// spam, how sure is that, and why.
//
// Words: an observation is one fact (an attempt, a HELO name, a reply); Counters are the
// counts kept of every source; a Profile is all that is known of a source that is
// judged; a reason is what one detector found, with its numbers; a verdict is the sum.
//
// The idea is a calibrated sum. Each detector is one test with a known error rate and gives
// a weight in natural logarithms of a likelihood ratio. Detectors that look at the same
// thing are a family, and a family's sum is capped, so that no single aspect can convict
// alone:
//
//	L = prior + sum over families of min(cap, sum of weights)
//
//	suspect    L >= 0
//	likely     L >= 4.6 and two families, and the source is a machine with a TCP of its own; one
//	           family if it is a flood and nothing but SYNs can be seen, see flood.go
//	confirmed  L >= 9.2 and three families, and a session that both sides opened and in which the server
//	           answered what the client said; see Attested and, for captures of one side, OneSide
//
// The prior is -6.9: one host in a thousand. Verdicts are reached when the packet
// comes that decides, not at the next tick, and say so: how many attempts, how many
// seconds. A level is held for a day after the last evidence and then drops by one.
//
// What speaks for a host, because it behaves as a mail server does, is a family with
// negative weights. A host that is no bot but no workstation either is of another class:
// an undeclared mail server, a scanner.
//
// SYNs alone prove little, because anybody can send them in anybody's name. Ten
// thousand of them with an innocent's address make that address suspect and no more, also if it has mail sessions
// of its own: for a higher level what speaks against it must have been said in a session, or it must have turned to
// some networks itself; see own.
//
// The package is pure: no clock, no input or output, no lock. Time is the time of the packets, in
// nanoseconds since 1970. One detector is one file.
package detect

import (
	"math"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// Family is a group of detectors that look at the same aspect.
type Family uint8

// The families.
const (
	Volume     Family = iota // A: how many networks, how fast
	Outcome                  // B: whether first contacts work
	Replies                  // C: what the servers say
	Identity                 // D: how it introduces itself
	Dialect                  // E: how it speaks SMTP
	Envelope                 // F: in whose name, and to whom
	Names                    // G: what it asks the DNS
	Mitigating               // N: what speaks for it; its weights are negative
	Families
)

// String is the letter that the documentation uses.
func (f Family) String() string { return [...]string{"A", "B", "C", "D", "E", "F", "G", "N"}[f] }

// familyCap bounds what a family can add to the score, favourCap what can be taken off it.
var familyCap = [Families]float64{Volume: 9.2, Outcome: 4.6, Replies: 6.9, Identity: 6.9, Dialect: 4.6, Envelope: 4.6, Names: 6.9}

const mitigatingCap = 6.9

// Prior is the logarithm of the odds that an arbitrary host sends spam.
const Prior = -6.9

// Code is a reason that a detector can give.
type Code uint8

// The reasons.
const (
	NewNetworks      Code = iota // A1
	ManyNetworks                 // A2
	Burst                        // A3
	Concurrent                   // A4
	SubmitSpread                 // A5
	Flood                        // A, where only SYNs are seen
	Failures                     // B
	Refusals                     // C1
	UnknownUsers                 // C2
	RelayDenials                 // C3
	Blocklisted                  // C4
	HeloName                     // D
	HeloNames                    // D2
	Oddities                     // E
	Conflicts                    // E
	SenderDomains                // F
	RecipientDomains             // F
	MXLookups                    // G, H1
	HostLookups                  // G, H2
	ListLookups                  // G, H4
	TLSNames                     // G, as H2
	OneName                      // N
	Welcome                      // N
	Retries                      // N
	Serves                       // N
	Codes
)

// String is the name used in events.
func (c Code) String() string { return detectors[c].name }

// Family is the family that the reason belongs to.
func (c Code) Family() Family { return detectors[c].family }

// detector is the table of what a reason is: its name, its family, and how it is told.
type detector struct {
	name   string
	family Family
	text   func(h *Profile, f *Counters, r *verdict.Reason) string
}

var detectors [Codes]detector

// Counters are what is counted of every source, judged or not. They hold no pointers.
type Counters struct {
	First              int64        `json:"First"` // attempts
	Last               int64        `json:"Last"`
	Attempts           uint32       `json:"Attempts"`
	Retransmits        uint32       `json:"Retransmits"` // SYNs of attempts that were made before
	Sessions           uint32       `json:"Sessions"`
	Refused            uint32       `json:"Refused"`
	Unreachable        uint32       `json:"Unreachable"`
	Concurrent         uint32       `json:"Concurrent"` // open now: attempts without an answer, and sessions
	ConcurrentMax      uint32       `json:"ConcurrentMax"`
	Messages           uint32       `json:"Messages"`
	Rejected           uint32       `json:"Rejected"`
	Deferred           uint32       `json:"Deferred"`
	Recipients         uint32       `json:"Recipients"`
	RecipientsRejected uint32       `json:"RecipientsRejected"`
	TLSSessions        uint32       `json:"TLSSessions"`
	AuthSessions       uint32       `json:"AuthSessions"`
	Ports              [4]PortCount `json:"Ports"`    // the first four ports; more are in Attempts only
	ToServer           uint64       `json:"ToServer"` // payload bytes
	ToClient           uint64       `json:"ToClient"`
	ErrorBound         uint32       `json:"ErrorBound"` // attempts that may have been counted and forgotten before
	recent             [8]uint32    // attempts by second, to know those that still wait
	recentAt           int64
	// Distinct values, exactly as long as they are few; with more a Profile takes over.
	addrs, nets, helos, senders sketch.SmallSet
}

// sums are the numbers that add up over addresses and times, each beside that of o.
func (f *Counters) sums(o *Counters) [12][2]*uint32 {
	return [...][2]*uint32{{&f.Attempts, &o.Attempts}, {&f.Retransmits, &o.Retransmits}, {&f.Sessions, &o.Sessions},
		{&f.Refused, &o.Refused}, {&f.Unreachable, &o.Unreachable}, {&f.Messages, &o.Messages}, {&f.Rejected, &o.Rejected},
		{&f.Deferred, &o.Deferred}, {&f.Recipients, &o.Recipients}, {&f.RecipientsRejected, &o.RecipientsRejected},
		{&f.TLSSessions, &o.TLSSessions}, {&f.AuthSessions, &o.AuthSessions}}
}

// Since are the facts of the machine that has had the address from a time on; before are those of that time.
func (f *Counters) Since(before *Counters, at int64) Counters {
	d := *f
	d.First = at
	for _, n := range d.sums(before) {
		*n[0] -= min(*n[0], *n[1])
	}
	for i := range d.Ports { // these keep their places
		d.Ports[i].Count -= min(d.Ports[i].Count, before.Ports[i].Count)
	}
	d.ToServer -= min(d.ToServer, before.ToServer)
	d.ToClient -= min(d.ToClient, before.ToClient)
	return d
}

// Plus are the facts of a machine that had another address before; its facts under that are added.
func (f *Counters) Plus(before *Counters) Counters {
	d := *f
	d.First, d.Last = min(d.First, before.First), max(d.Last, before.Last)
	for _, n := range d.sums(before) {
		*n[0] += min(*n[1], math.MaxUint32-*n[0])
	}
	d.ConcurrentMax = max(d.ConcurrentMax, before.ConcurrentMax)
	for _, p := range before.Ports {
		for i := range d.Ports {
			if to := &d.Ports[i]; p.Count > 0 && (to.Count == 0 || to.Port == p.Port) {
				to.Port = p.Port
				to.Count += min(p.Count, math.MaxUint32-to.Count)
				break
			}
		}
	}
	d.ToServer += before.ToServer
	d.ToClient += before.ToClient
	return d
}

// PortCount is the attempts to one port.
type PortCount struct {
	Port  uint16 `json:"Port"`
	Count uint32 `json:"Count"`
}

// AnswerTime is how long an attempt may wait for an answer before it counts as silent.
const AnswerTime = 5 * second

const (
	second = int64(1e9)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// Attempt is the observation of a first SYN.
type Attempt struct {
	Time      int64
	Addr, Net uint32 // hashes of the destination and of its network (/24, /48)
	Port      uint16
	TTL       uint8 // of the SYN, as it was captured
	External  bool  // the destination is none of ours
	Relay     bool  // the destination is an allowed relay
}

// Attempted counts an attempt. full says that the destinations are too many for Counters
// alone: a Profile is needed to count them.
func (f *Counters) Attempted(a *Attempt) (full bool) {
	if f.Attempts == 0 || a.Time < f.First {
		f.First = a.Time
	}
	f.Last = max(f.Last, a.Time)
	inc(&f.Attempts)
	for i := range f.Ports {
		p := &f.Ports[i]
		if p.Count == 0 || p.Port == a.Port {
			p.Port = a.Port
			inc(&p.Count)
			break
		}
	}
	f.tick(a.Time)
	f.recent[uint64(a.Time/second)%uint64(len(f.recent))]++
	f.Opened()
	return f.addrs.Add(a.Addr) || f.nets.Add(a.Net)
}

// Helo and Sender count HELO names and sender domains by their hashes; full is as in
// Attempted.
func (f *Counters) Helo(hash uint32) (full bool)   { return f.helos.Add(hash) }
func (f *Counters) Sender(hash uint32) (full bool) { return f.senders.Add(hash) }

// tick forgets the seconds between the last attempt and now.
func (f *Counters) tick(now int64) {
	n := int64(len(f.recent))
	at := now / second
	if at <= f.recentAt {
		return
	}
	for i := max(f.recentAt+1, at-n+1); i <= at; i++ { // as many as recent has at most
		f.recent[uint64(i)%uint64(n)] = 0
	}
	f.recentAt = at
}

// Opened and Closed follow how many connections are open.
func (f *Counters) Opened() {
	f.Concurrent++
	f.ConcurrentMax = max(f.ConcurrentMax, f.Concurrent)
}

// Closed is the opposite of Opened.
func (f *Counters) Closed() {
	if f.Concurrent > 0 {
		f.Concurrent--
	}
}

// Silent is how many attempts had no answer within five seconds. Sessions, refused,
// unreachable and silent ones add up to the attempts once all have had their time.
func (f *Counters) Silent(now int64) uint32 {
	settled := f.Sessions + f.Refused + f.Unreachable
	waiting := uint32(0)
	for i, n := range f.recent {
		at := f.recentAt - int64((uint64(f.recentAt)-uint64(i))%uint64(len(f.recent)))
		if now-at*second < AnswerTime+second {
			waiting += n
		}
	}
	all := f.Attempts - min(f.Attempts, settled)
	return all - min(all, waiting)
}

// DestIPs, DestNets, HeloNames and SenderDomains are how many different ones there were;
// h may be nil.
func (f *Counters) DestIPs(h *Profile) int {
	if h != nil {
		return h.addrs.Len()
	}
	return f.addrs.Len()
}

// DestNets: see DestIPs.
func (f *Counters) DestNets(h *Profile) int {
	if h != nil {
		return h.nets.Len()
	}
	return f.nets.Len()
}

// HeloNames: see DestIPs.
func (f *Counters) HeloNames(h *Profile) int {
	if h != nil {
		return max(h.heloNames.distinct.Len(), f.helos.Len())
	}
	return f.helos.Len()
}

// SenderDomains: see DestIPs.
func (f *Counters) SenderDomains(h *Profile) int {
	if h != nil {
		return max(h.envelope.distinct.Len(), f.senders.Len())
	}
	return f.senders.Len()
}

func inc(n *uint32) {
	if *n != math.MaxUint32 {
		*n++
	}
}
