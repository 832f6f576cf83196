package detect

import (
	"fmt"
	"math"

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

// observer is what a detector does with an observation.
type observer func(p *Profile, c *Config, n *Counters, o Observation)

// detector is one row of the table of detectors.
type detector struct {
	name   string // in events
	family Family
	sees   kindSet // observe is called for these kinds only
	// observe looks at an observation, and raises or lowers its own reason only.
	observe observer
	// holds is for the mitigating family: whether the sign is there at the moment, with its value
	// and threshold. It is asked at each verdict.
	holds func(p *Profile) (holds bool, value, threshold float64)
	text  func(p *Profile, n *Counters, r *verdict.Reason) string
}

// detectors is the table of contents of this package: each row is a file.
var detectors = [codes]detector{
	NewNetworks:      {"new_networks", Volume, sees(KindSYN, KindSYNACK, KindNamed, KindAccount), observeNewNetworks, nil, textNewNetworks},
	ManyNetworks:     {"many_networks", Volume, sees(KindSYN), observeManyNetworks, nil, textManyNetworks},
	Burst:            {"fast_attempts", Volume, sees(KindSYN), observeBurst, nil, textBurst},
	Concurrent:       {"concurrent", Volume, sees(KindSYN), observeConcurrent, nil, textConcurrent},
	SubmitSpread:     {"submission_spread", Volume, sees(KindSYN), observeSubmitSpread, nil, textSubmitSpread},
	Flood:            {"flood", Volume, sees(KindSYN), observeFlood, nil, textFlood},
	Sweep:            {"sweep", Volume, sees(KindSYN), observeSweep, nil, textSweep},
	ForeignMail:      {"foreign_mail", Volume, sees(KindHanded), observeForeignMail, nil, textForeignMail},
	Failures:         {"failed_contacts", Outcome, contactKinds, observeFailures, nil, textFailures},
	Refusals:         {"refusals", Replies, sees(KindDecided), observeRefusals, nil, textRefusals},
	UnknownUsers:     {"unknown_users", Replies, sees(KindRecipientReply), observeUnknownUsers, nil, textUnknownUsers},
	RelayDenials:     {"strangers", Replies, sees(KindRelayDenied), observeRelayDenials, nil, textRelayDenials},
	Blocklisted:      {"blocklisted", Replies, sees(KindListed), observeBlocklisted, nil, textBlocklisted},
	HeloName:         {"helo_name", Identity, sees(KindHelo), observeHeloName, nil, textHeloName},
	HeloNames:        {"helo_names", Identity, sees(KindHelo), observeHeloNames, nil, textHeloNames},
	Oddities:         {"oddities", Dialect, sees(KindDialect), observeOddities, nil, textOddities},
	Conflicts:        {"conflicting_data", Dialect, sees(KindConflict), observeConflicts, nil, textConflicts},
	SenderDomains:    {"sender_domains", Envelope, sees(KindSender, KindDecided), observeSenderDomains, nil, textSenderDomains},
	RecipientDomains: {"recipient_domains", Envelope, sees(KindRecipient), observeRecipientDomains, nil, textRecipientDomains},
	MXLookups:        {"mx_lookups", Names, sees(KindLookups), observeMXLookups, nil, textMXLookups},
	HostLookups:      {"mail_host_lookups", Names, sees(KindLookups), observeHostLookups, nil, textHostLookups},
	ListLookups:      {"list_lookups", Names, sees(KindLookups), observeListLookups, nil, textListLookups},
	TLSNames:         {"tls_names", Names, sees(KindTLSName), observeTLSNames, nil, textTLSNames},
	OneName:          {"one_name", Mitigating, sees(KindHelo), observeOneName, holdsOneName, textOneName},
	Welcome:          {"welcome", Mitigating, 0, nil, holdsWelcome, textWelcome},
	Retries:          {"retries", Mitigating, sees(KindDeferred, KindRefused, KindUnreachable, KindSYN), observeRetries, holdsRetries, textRetries},
	Serves:           {"serves", Mitigating, sees(KindServed), observeServes, holdsServes, textServes},
}

// observers are the detectors of each kind, in the order of the table. Most kinds have one or none:
// to ask each of the 25 rows for its kinds took 10 of the 25 ns of a SYN-ACK.
var observers = observersByKind()

func observersByKind() (by [kinds][]observer) {
	for i := range detectors {
		d := &detectors[i]
		for kind := range kinds {
			if d.sees.has(kind) {
				by[kind] = append(by[kind], d.observe)
			}
		}
	}
	return by
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
	if r.First == 0 {
		r.First = now
	}
	p.changed = p.changed || math.Abs(weight) > math.Abs(r.Weight)
	r.Last = max(r.Last, now)
	r.Value, r.Threshold = math.Max(r.Value, value), math.Max(r.Threshold, threshold)
	if math.Abs(weight) > math.Abs(r.Weight) {
		r.Weight = weight
	}
}

// has reports whether a detector found its reason.
func (p *Profile) has(code Code) bool { return p.reasons[code].First != 0 }

// foundLately reports whether a detector found its reason within the last minute. Then it need
// not look again so soon.
func (p *Profile) foundLately(code Code, now int64) bool {
	r := &p.reasons[code]
	return r.First != 0 && now-r.Last < minute
}

// orMore is a number that was not counted beyond a limit, as text.
func orMore(v float64, limit int) string {
	if int(v) >= limit {
		return fmt.Sprintf("%d or more", int(v))
	}
	return fmt.Sprint(int(v))
}

// atLeast is the value of a reason as text. It is not counted further once its weight is the
// largest.
func atLeast(r *verdict.Reason, most float64, limit int) string {
	if r.Weight >= most {
		limit = int(r.Value)
	}
	return orMore(r.Value, limit)
}

// inAll is the count of the whole time, which the counters show, behind a count within a window:
// empty if it is no more.
func inAll(total int, r *verdict.Reason) string {
	if total <= int(r.Value) {
		return ""
	}
	return fmt.Sprintf(", %d in all", total)
}
