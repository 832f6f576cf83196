package finding

import (
	"net/netip"
	"slices"

	"spamsensor/sensor/verdict"
)

// Proof is what a finding about a mail server rests on: its reasons, and the sessions that are
// evidence.
type Proof struct {
	Last    int64 // time of the latest verdict
	Reasons []ReasonText
	Relay   *verdict.RelayProof
	Client  netip.Addr // whose sessions are evidence
	// where the server passed on at ToAt what the client had brought: evidence, too
	To     netip.Addr
	ToAt   int64
	Events []uint64 // numbers of the sessions' events
	Shown  int      // how many of them the latest event has
}

const (
	maxReasons = 8
	// MaxEvidence is how many session events a finding names.
	MaxEvidence = 10
	// calm is how long there must be no verdict until a finding about a mail server is closed.
	calm = 24 * hour
	// CalmRelay is the same for an open relay.
	CalmRelay = 7 * 24 * hour
)

// accumulate adds a verdict about a mail server to its finding.
func (b *Book) accumulate(v *verdict.Verdict) []Change {
	action := Updated
	if b[v.Class] == nil {
		action = Opened
		b[v.Class] = &Entry{Class: v.Class, Decided: verdict.Decision{At: v.Time, Attempts: 1},
			Proof: &Proof{}}
	}
	f := b[v.Class]
	p := f.Proof
	p.Last = v.Time
	level := max(f.Level, v.Level)
	if v.Relay != nil {
		p.Relay = v.Relay
	}
	if v.Client.IsValid() {
		p.Client = v.Client
	}
	if v.To.IsValid() && len(p.Events) < MaxEvidence {
		p.To, p.ToAt = v.To, v.Time
	}
	fresh := p.because(v)
	if action == Opened || level > f.Level || fresh || v.Time-f.Updated >= UpdateEvery {
		return []Change{{Class: v.Class, Level: level, Action: action}}
	}
	return nil
}

// because adds a reason, and reports whether it is a new one.
func (p *Proof) because(v *verdict.Verdict) (fresh bool) {
	for i := range p.Reasons {
		r := &p.Reasons[i]
		if r.Server == v.Code {
			r.Reason.Last, r.Text = v.Time, v.Text
			r.Reason.Value = max(r.Reason.Value, v.Value)
			return false
		}
	}
	if len(p.Reasons) < maxReasons {
		p.Reasons = append(p.Reasons, ReasonText{Server: v.Code, Text: v.Text,
			Reason: verdict.Reason{First: v.Time, Last: v.Time, Value: v.Value,
				Threshold: v.Threshold}})
	}
	return true
}

// Rewind has no verdict be later than a time: a clock was put back.
func (b *Book) Rewind(now int64) {
	for _, f := range b {
		if f != nil && f.Proof != nil {
			f.Proof.Last = min(f.Proof.Last, now)
		}
	}
}

// Calm closes findings about a mail server for which no verdict came any more.
func (b *Book) Calm(now int64) (due []Change) {
	for c, f := range b {
		wait := int64(calm)
		if verdict.Class(c) == verdict.OpenRelay {
			wait = CalmRelay
		}
		if f != nil && f.Proof != nil && now-f.Proof.Last > wait {
			due = append(due, Change{Class: verdict.Class(c), Level: f.Level, Action: Closed,
				Reason: "quiet"})
		}
	}
	return due
}

// NewEvidence updates findings with sessions that ended after their latest event: at the first one
// at once, and then every half an hour.
func (b *Book) NewEvidence(now int64) (due []Change) {
	for c, f := range b {
		if f == nil || f.Proof == nil {
			continue
		}
		if p := f.Proof; len(p.Events) > p.Shown && (p.Shown == 0 || now-f.Updated >= UpdateEvery) {
			due = append(due, Change{Class: verdict.Class(c), Level: f.Level, Action: Updated})
		}
	}
	return due
}

// evidence reports whether a session is evidence for a finding that has room for its event: a
// session of the client with the server (toServer), or one of the server's own in which the server
// passed on what the client had brought.
func (p *Proof) evidence(x *Session, toServer bool) bool {
	switch {
	case len(p.Events) >= MaxEvidence:
		return false
	case toServer:
		return p.Client == x.Client.Addr()
	}
	return p.To == x.Server.Addr() && p.ToAt >= x.Start && p.ToAt <= x.End
}

// IsEvidence reports whether a session of a mail server is evidence for one of its findings;
// toServer says that the session is one with the server, and not one of the server with another.
func (b *Book) IsEvidence(x *Session, toServer bool) bool {
	for _, f := range b {
		if f != nil && f.Proof != nil && f.Proof.evidence(x, toServer) {
			return true
		}
	}
	return false
}

// AddEvidence adds the number of a session's event to the findings that it is evidence for; see
// IsEvidence.
func (b *Book) AddEvidence(x *Session, toServer bool, event uint64) {
	for _, f := range b {
		if f != nil && f.Proof != nil && f.Proof.evidence(x, toServer) {
			f.Proof.Events = append(f.Proof.Events, event)
		}
	}
}

// SavedProof is an open finding about a mail server in a checkpoint.
type SavedProof struct {
	ID     string        `json:"ID"`
	Seq    int           `json:"Seq"`
	Level  verdict.Level `json:"Level"`
	Opened int64         `json:"Opened"`
	// Suspended says that the sensor's stop suspended it.
	Suspended bool                `json:"Suspended,omitempty"`
	Last      int64               `json:"Last"` // verdict
	Reasons   []ReasonText        `json:"Reasons"`
	Relay     *verdict.RelayProof `json:"Relay"`
	Client    netip.Addr          `json:"Client"`
	To        netip.Addr          `json:"To"`
	ToAt      int64               `json:"ToAt"`
	Events    []uint64            `json:"Events"` // none: numbers of one run
}

// SaveProofs copies a mail server's open findings.
func (b *Book) SaveProofs() map[verdict.Class]*SavedProof {
	d := map[verdict.Class]*SavedProof{}
	for c, f := range b {
		if f != nil && f.Proof != nil {
			p := f.Proof
			d[verdict.Class(c)] = &SavedProof{ID: f.ID, Seq: f.Seq, Level: f.Level,
				Opened: f.Decided.At, Suspended: f.Suspended, Last: p.Last,
				Reasons: slices.Clone(p.Reasons), Relay: p.Relay, Client: p.Client, To: p.To,
				ToAt: p.ToAt}
		}
	}
	return d
}

// RestoreProofs takes over what SaveProofs copied.
func (b *Book) RestoreProofs(saved map[verdict.Class]*SavedProof) {
	for c, d := range saved {
		if c >= verdict.OpenRelay && c < verdict.Classes && d != nil {
			b[c] = &Entry{ID: d.ID, Seq: d.Seq, Class: c, Level: min(d.Level, verdict.Confirmed),
				Open: true, Suspended: d.Suspended, Restored: true,
				Decided: verdict.Decision{At: d.Opened, Attempts: 1},
				Proof: &Proof{Last: d.Last, Reasons: d.Reasons, Relay: d.Relay, Client: d.Client,
					To: d.To, ToAt: d.ToAt, Events: d.Events}}
		}
	}
}
