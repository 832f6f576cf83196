package detect

import (
	"fmt"
	"math/bits"

	"spamsensor/sensor/verdict"
)

// Family is a group of detectors that look at the same aspect.
type Family uint8

// The families.
const (
	Volume     Family = iota // A: how many networks, how fast
	Outcome                  // B: whether first contacts work
	Replies                  // C: the replies of servers
	Identity                 // D: the names that the source introduces itself with
	Dialect                  // E: how the source speaks SMTP
	Envelope                 // F: senders and recipients
	Names                    // G: the names that the source looks up
	Mitigating               // N: signs of a mail server; the weights are negative
	families
)

// String is the letter that the documentation uses.
func (f Family) String() string { return [...]string{"A", "B", "C", "D", "E", "F", "G", "N"}[f] }

// familyCap bounds what a family can add to the score, mitigatingCap what can be taken off it.
var familyCap = [families]float64{Volume: 9.2, Outcome: 4.6, Replies: 6.9, Identity: 6.9,
	Dialect: 4.6, Envelope: 4.6, Names: 6.9}

const mitigatingCap = 6.9

// readable are the families whose detectors read the dialogue.
var readable = [families]bool{Replies: true, Identity: true, Dialect: true, Envelope: true}

// Code is a reason that a detector can give. Its number is also its place in the table of
// detectors, and the order in which events list reasons.
type Code uint8

// The reasons, with the letter of the family and the number that the documentation uses.
const (
	NewNetworks      Code = iota // A1
	ManyNetworks                 // A2
	Burst                        // A3
	Concurrent                   // A4
	SubmitSpread                 // A5
	Flood                        // A, where only SYNs are seen
	Sweep                        // A, of a scanner
	ForeignMail                  // A, through a server of ours
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
	codes
)

// codeSet is a set of reasons, one bit each. Few of them are there at a time, and each verdict goes
// over them several times.
type codeSet uint32

// bit is the set of one code.
func (c Code) bit() codeSet { return 1 << (c % 32) }

// first is the first code of a set that is not empty, and rest the set without it.
func (s codeSet) first() Code { return Code(bits.TrailingZeros32(uint32(s))) }

func (s codeSet) rest() codeSet { return s & (s - 1) }

// detector is one row of the table of detectors. What it does with an observation is in the file of
// its name; see Profile.detect.
type detector struct {
	name   string // in events
	family Family
	// holds is for the mitigating family: whether the sign is there at the moment, with its value
	// and threshold. It is asked at each verdict.
	holds func(p *Profile) (holds bool, value, threshold float64)
	text  func(p *Profile, n *Counters, r *verdict.Reason) string
}

// detectors is the table of contents of this package: each row is a file.
var detectors = [codes]detector{
	NewNetworks:      {"new_networks", Volume, nil, textNewNetworks},
	ManyNetworks:     {"many_networks", Volume, nil, textManyNetworks},
	Burst:            {"fast_attempts", Volume, nil, textBurst},
	Concurrent:       {"concurrent", Volume, nil, textConcurrent},
	SubmitSpread:     {"submission_spread", Volume, nil, textSubmitSpread},
	Flood:            {"flood", Volume, nil, textFlood},
	Sweep:            {"sweep", Volume, nil, textSweep},
	ForeignMail:      {"foreign_mail", Volume, nil, textForeignMail},
	Failures:         {"failed_contacts", Outcome, nil, textFailures},
	Refusals:         {"refusals", Replies, nil, textRefusals},
	UnknownUsers:     {"unknown_users", Replies, nil, textUnknownUsers},
	RelayDenials:     {"strangers", Replies, nil, textRelayDenials},
	Blocklisted:      {"blocklisted", Replies, nil, textBlocklisted},
	HeloName:         {"helo_name", Identity, nil, textHeloName},
	HeloNames:        {"helo_names", Identity, nil, textHeloNames},
	Oddities:         {"oddities", Dialect, nil, textOddities},
	Conflicts:        {"conflicting_data", Dialect, nil, textConflicts},
	SenderDomains:    {"sender_domains", Envelope, nil, textSenderDomains},
	RecipientDomains: {"recipient_domains", Envelope, nil, textRecipientDomains},
	MXLookups:        {"mx_lookups", Names, nil, textMXLookups},
	HostLookups:      {"mail_host_lookups", Names, nil, textHostLookups},
	ListLookups:      {"list_lookups", Names, nil, textListLookups},
	TLSNames:         {"tls_names", Names, nil, textTLSNames},
	OneName:          {"one_name", Mitigating, holdsOneName, textOneName},
	Welcome:          {"welcome", Mitigating, holdsWelcome, textWelcome},
	Retries:          {"retries", Mitigating, holdsRetries, textRetries},
	Serves:           {"serves", Mitigating, holdsServes, textServes},
}

// String is the name used in events.
func (c Code) String() string { return detectors[c].name }

// Family is the family that the reason belongs to.
func (c Code) Family() Family { return detectors[c].family }

// Text is a reason as a sentence.
func (p *Profile) Text(code Code, n *Counters) string {
	if text, ok := p.restoredText(code); ok {
		return text
	}
	return detectors[code].text(p, n, &p.reasons[code])
}

// raise records that a detector found its reason. The largest value, threshold and weight stay.
func (p *Profile) raise(code Code, now int64, value, threshold, weight float64) {
	r := &p.reasons[code]
	p.raised |= code.bit()
	if r.First == 0 {
		r.First = now
	}
	if now > r.Last {
		r.Last = now
	}
	if value > r.Value {
		r.Value = value
	}
	if threshold > r.Threshold {
		r.Threshold = threshold
	}
	if weight > r.Weight {
		r.Weight = weight
		p.changed = true
	}
}

// lower drops a reason.
func (p *Profile) lower(code Code) {
	p.reasons[code] = verdict.Reason{}
	p.raised &^= code.bit()
}

// has reports whether a detector found its reason.
func (p *Profile) has(code Code) bool { return p.reasons[code].First != 0 }

// foundLately reports whether a detector found its reason within the last minute. Then it need
// not look again so soon.
func (p *Profile) foundLately(code Code, now int64) bool {
	r := &p.reasons[code]
	return r.First != 0 && now-r.Last < minute
}

// bounded is a number that was not counted beyond a limit, as text.
func bounded(v float64, limit int) string {
	if int(v) >= limit {
		return fmt.Sprintf("at least %d", int(v))
	}
	return fmt.Sprint(int(v))
}

// leading is bounded at the beginning of a sentence.
func leading(v float64, limit int) string {
	if int(v) >= limit {
		return fmt.Sprintf("At least %d", int(v))
	}
	return fmt.Sprint(int(v))
}

// atLeast is the value of a reason as text. It is not counted further once its weight is the
// largest.
func atLeast(r *verdict.Reason, most float64, limit int) string {
	if r.Weight >= most {
		limit = int(r.Value)
	}
	return bounded(r.Value, limit)
}

// partOf is a count within a window as a part of that of the whole time, which the counters show:
// "118, at least 8 of them". It is the count alone if the whole is no more.
func partOf(total int, r *verdict.Reason, count string) (whole, part string) {
	if total <= int(r.Value) {
		return count, ""
	}
	return fmt.Sprint(total), fmt.Sprintf(", %s of them", count)
}
