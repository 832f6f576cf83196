package detect

import (
	"bytes"
	"slices"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// Saved is what of a Profile survives a restart. Windows of minutes and hours do not: a host that
// still sends fills them again. What the windows had proved is in the reasons. Hashes need the
// same secret.
type Saved struct {
	Verdict verdict.Verdict  `json:"Verdict"`
	Decided verdict.Decision `json:"Decided"`
	// Reasons by name, because their numbers are those of one version.
	Reasons map[string]SavedReason `json:"Reasons,omitempty"`

	Nets          sketch.Saved `json:"Nets"` // so that they are not new again
	Addrs         sketch.Saved `json:"Addrs"`
	HeloNames     sketch.Saved `json:"HeloNames"`
	SenderDomains sketch.Saved `json:"SenderDomains"`

	External      uint32           `json:"External"`
	Retransmitted uint32           `json:"Repeated"`
	Answered      uint32           `json:"Answered"`
	Opened        uint32           `json:"Opened"`
	Heard         uint32           `json:"Heard"`
	Whole         uint32           `json:"Whole"`
	Attested      uint32           `json:"Attested"`
	Conflicting   uint32           `json:"Conflicting"`
	NewNetworks   SavedNewNetworks `json:"Spread"`
	Contacts      SavedContacts    `json:"Contacts"`
	Replies       SavedReplies     `json:"Replies"`
	MTA           SavedMTALike     `json:"Server"`
	Behaviour     SavedBehaviour   `json:"Manner"`
	Names         SavedNames       `json:"Names"`
	Lists         SavedLists       `json:"Lists"`
	Oddities      []uint16         `json:"Oddities,omitempty"`
	GuardNetworks []uint32         `json:"Own,omitempty"` // networks and servers that it turned to itself
	GuardServers  []uint32         `json:"OwnServers,omitempty"`
	Mails         uint32           `json:"Mails"`
}

// SavedReason is a reason, and how it was told: what the text is made of is not all kept.
type SavedReason struct {
	verdict.Reason
	Text string `json:"Text,omitempty"`
}

// SavedNewNetworks is the test of new networks.
type SavedNewNetworks struct {
	Sums []float64 `json:"Sums"`
	At   int64     `json:"At"`
}

// SavedContacts is the test of first contacts, but for those that wait for an answer.
type SavedContacts struct {
	LLR    float64     `json:"LLR"`
	Failed int         `json:"Failed"`
	Worked int         `json:"Worked"`
	Ports  []SavedPort `json:"Ports,omitempty"`
}

// SavedPort is what became of the attempts to a port.
type SavedPort struct {
	Port        uint16 `json:"Port"`
	Attempts    uint32 `json:"Attempts"`
	Answered    uint32 `json:"Answered"`
	Opened      uint32 `json:"Opened"`
	Refused     uint32 `json:"Refused"`
	Unreachable uint32 `json:"Unreachable"`
}

// SavedReplies is the test of refusals, and the count of unknown recipients.
type SavedReplies struct {
	SavedRefusals
	Unlisted      SavedRefusals `json:"Unlisted"` // without those that name a blocklist
	Recipients    uint32        `json:"Recipients"`
	Unknown       uint32        `json:"Unknown"`
	UnknownLLR    float64       `json:"UnknownLLR"`
	UnknownProved bool          `json:"UnknownProved"`
}

// SavedRefusals is one test of refusals.
type SavedRefusals struct {
	LLR      float64 `json:"LLR"`
	Sessions int     `json:"Sessions"`
	Refused  int     `json:"Refused"`
	Accepted uint32  `json:"Taken"`
	Total    uint32  `json:"All"`
}

func (t *refusalTest) save() SavedRefusals {
	return SavedRefusals{t.llr, t.sessions, t.refused, t.accepted, t.total}
}

func (r *SavedRefusals) refusal() refusalTest {
	return refusalTest{r.LLR, r.Sessions, r.Refused, r.Accepted, r.Total}
}

// SavedMTALike is what speaks for a mail server.
type SavedMTALike struct {
	Name      uint32 `json:"Name"`
	Sessions  uint32 `json:"Sessions"`
	Several   bool   `json:"Several"`
	Deferrals uint32 `json:"Deferrals"`
	Retried   uint32 `json:"Retried"`
	Served    uint32 `json:"Served"`
}

// SavedBehaviour is how the host goes about it.
type SavedBehaviour struct {
	Internal         uint32      `json:"Internal"`
	Attempts         uint32      `json:"Attempts"`
	HalfOpen         uint32      `json:"HalfOpen"`
	SilentSessions   uint32      `json:"Mute"`
	Sessions         uint32      `json:"Sessions"`
	AcceptedSessions uint32      `json:"Welcomed"`
	Callouts         uint32      `json:"Checks"`
	MailSessions     uint32      `json:"Mails"`
	First            uint32      `json:"First"`
	Last             int64       `json:"Last"`
	Gaps             float64     `json:"Gaps"`
	Mean             float64     `json:"Mean"`
	Squares          float64     `json:"Squares"`
	TTL              [][2]uint32 `json:"TTL"` // and how often
	TTLs             uint32      `json:"TTLs"`
	Addr             uint32      `json:"Addr"`
	Ports            uint8       `json:"Ports"`
	Sweeps           uint32      `json:"Swept"`
}

// SavedNames are the names that it introduced itself with.
type SavedNames struct {
	Names []string `json:"Names,omitempty"`
	Given uint32   `json:"Given"`
	Worst string   `json:"Worst,omitempty"`
}

// SavedLists are the blocklists that servers named.
type SavedLists struct {
	Names  []string `json:"Names,omitempty"`
	Sample string   `json:"Sample,omitempty"`
}

// Saved is what is to be kept of a host.
func (p *Profile) Save(n *Counters) Saved {
	o, s, m := &p.contacts, &p.mta, &p.behaviour
	d := Saved{Verdict: p.verdict, Decided: p.decided,
		Nets: p.nets.Save(), Addrs: p.addrs.Save(), HeloNames: p.heloNames.distinct.Save(), SenderDomains: p.envelope.distinct.Save(),
		External: p.external, Retransmitted: p.retransmitted, Answered: p.answered, Opened: p.sessions, Heard: p.spoken, Whole: p.twoSided, Attested: p.attested, Conflicting: p.conflicting,
		NewNetworks: SavedNewNetworks{slices.Clone(p.newNetworks.s[:]), p.newNetworks.at},
		Contacts:    SavedContacts{LLR: o.llr, Failed: o.failed, Worked: o.worked},
		Replies:     SavedReplies{p.refusalTest.save(), p.refusalTestUnlisted.save(), p.unknownUsers.recipients, p.unknownUsers.unknown, p.unknownUsers.llr, p.unknownUsers.proved},
		MTA:         SavedMTALike{s.name, s.sessions, s.severalNames, s.deferrals, s.retried, s.served},
		Behaviour: SavedBehaviour{m.internal, m.attempts, m.halfOpen, m.silentSessions, m.sessions, m.acceptedSessions, m.callouts, m.mailSessions, m.first, m.last, m.gaps, m.mean, m.squares,
			nil, m.ttls, m.addr, m.ports, m.sweeps},
		Names:    SavedNames{slices.Clone(p.heloNames.name[:p.heloNames.n]), p.heloNames.given, p.heloNames.worst},
		Lists:    SavedLists{slices.Clone(p.Blocklists()), Anonymous(p.blocklists.sample)},
		Oddities: slices.Clone(p.dialect[:]), Mails: p.envelope.mails, GuardNetworks: slices.Clone(p.guard.nets[:p.guard.n]), GuardServers: slices.Clone(p.guard.servers[:p.guard.m])}
	d.Verdict.Level = p.level
	for _, t := range m.ttl {
		d.Behaviour.TTL = append(d.Behaviour.TTL, [2]uint32{uint32(t.ttl), t.n})
	}
	for _, at := range p.ports {
		if at.port != 0 {
			d.Contacts.Ports = append(d.Contacts.Ports, SavedPort{at.port, at.attempts, at.answered, at.opened, at.refused, at.unreachable})
		}
	}
	for code := range p.reasons {
		if p.reasons[code].First != 0 {
			if d.Reasons == nil {
				d.Reasons = map[string]SavedReason{}
			}
			d.Reasons[Code(code).String()] = SavedReason{p.reasons[code], Anonymous(p.Text(Code(code), n))}
		}
	}
	return d
}

// Restore is the opposite of Memory. It is to be called for a Profile that has seen nothing yet.
// published says that a finding is open at its level; without one, the next observation publishes
// the verdict anew.
func (p *Profile) Restore(d *Saved, published bool) {
	for code := range p.reasons {
		if r, ok := d.Reasons[Code(code).String()]; ok && p.ignored>>code&1 == 0 {
			p.reasons[code] = r.Reason
			if p.restored == nil {
				p.restored = map[Code]SavedReason{}
			}
			p.restored[Code(code)] = r
		}
	}
	p.nets.Load(&d.Nets, p.Budget)
	p.addrs.Load(&d.Addrs, p.Budget)
	p.heloNames.distinct.Load(&d.HeloNames, nil)
	p.envelope.distinct.Load(&d.SenderDomains, nil)
	p.external, p.retransmitted, p.answered, p.sessions, p.spoken = d.External, d.Retransmitted, d.Answered, d.Opened, d.Heard
	p.twoSided, p.attested, p.conflicting = d.Whole, d.Attested, d.Conflicting
	if d.Verdict.Level > verdict.Suspect && d.Whole == 0 { // an older version counted no such sessions, and wanted one for its verdict
		p.twoSided, p.attested = min(1, d.Opened), min(1, d.Heard)
	}
	copy(p.newNetworks.s[:], d.NewNetworks.Sums)
	p.newNetworks.at = d.NewNetworks.At
	p.contacts.llr, p.contacts.failed, p.contacts.worked = d.Contacts.LLR, d.Contacts.Failed, d.Contacts.Worked
	for i, at := range d.Contacts.Ports[:min(len(d.Contacts.Ports), len(p.ports))] {
		p.ports[i] = portOutcome{at.Attempts, at.Answered, at.Opened, at.Refused, at.Unreachable, at.Port}
	}
	r := &d.Replies
	p.refusalTest, p.refusalTestUnlisted = r.refusal(), r.Unlisted.refusal()
	p.unknownUsers = unknownUsers{r.Recipients, r.Unknown, r.UnknownLLR, r.UnknownProved}
	s := &d.MTA
	p.mta.name, p.mta.sessions, p.mta.severalNames = s.Name, s.Sessions, s.Several
	p.mta.deferrals, p.mta.retried, p.mta.served = s.Deferrals, s.Retried, s.Served
	m := &d.Behaviour
	p.behaviour = behaviour{m.Internal, m.Attempts, m.HalfOpen, m.SilentSessions, m.Sessions, m.AcceptedSessions, m.Callouts, m.MailSessions, m.First, m.Last, m.Gaps, m.Mean, m.Squares,
		[4]ttlCount{}, m.TTLs, m.Addr, m.Ports, m.Sweeps}
	for i, t := range m.TTL[:min(len(m.TTL), len(p.behaviour.ttl))] {
		p.behaviour.ttl[i] = ttlCount{uint8(t[0]), t[1]}
	}
	p.heloNames.n = uint8(copy(p.heloNames.name[:], d.Names.Names))
	p.heloNames.given, p.heloNames.worst = d.Names.Given, d.Names.Worst
	p.blocklists.n = copy(p.blocklists.name[:], d.Lists.Names)
	p.blocklists.sample = d.Lists.Sample
	copy(p.dialect[:], d.Oddities)
	p.guard.n, p.guard.m = uint8(copy(p.guard.nets[:], d.GuardNetworks)), uint8(copy(p.guard.servers[:], d.GuardServers))
	p.envelope.mails = d.Mails
	p.verdict, p.decided = d.Verdict, d.Decided
	p.verdict.Level = min(d.Verdict.Level, verdict.Confirmed)
	if published {
		p.level = p.verdict.Level
	} else {
		p.changed = len(d.Reasons) > 0
	}
}

// told reports whether a reason stands as it was before a restart, and how it was told.
func (p *Profile) restoredText(code Code) (text string, ok bool) {
	r, ok := p.restored[code]
	return r.Text, ok && p.reasons[code].Last == r.Last
}

// Anonymous is a text from the wire as a checkpoint holds it: servers quote addresses, and of
// these the names of people are left out.
func Anonymous(text string) string {
	var b []byte
	for i := range len(text) {
		if text[i] == '@' {
			name := bytes.LastIndexAny(b, " \t<>()[]:;,='") + 1
			b = append(b[:name], '*')
		}
		b = append(b, text[i])
	}
	return string(b)
}
