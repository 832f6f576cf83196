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
func (h *Profile) Save(f *Counters) Saved {
	o, s, m := &h.contacts, &h.mta, &h.behaviour
	d := Saved{Verdict: h.verdict, Decided: h.decided,
		Nets: h.nets.Save(), Addrs: h.addrs.Save(), HeloNames: h.heloNames.distinct.Save(), SenderDomains: h.envelope.distinct.Save(),
		External: h.external, Retransmitted: h.retransmitted, Answered: h.answered, Opened: h.sessions, Heard: h.spoken, Whole: h.twoSided, Attested: h.attested, Conflicting: h.conflicting,
		NewNetworks: SavedNewNetworks{slices.Clone(h.newNetworks.s[:]), h.newNetworks.at},
		Contacts:    SavedContacts{LLR: o.llr, Failed: o.failed, Worked: o.worked},
		Replies:     SavedReplies{h.refusalTest.save(), h.refusalTestUnlisted.save(), h.unknownUsers.recipients, h.unknownUsers.unknown, h.unknownUsers.llr, h.unknownUsers.proved},
		MTA:         SavedMTALike{s.name, s.sessions, s.severalNames, s.deferrals, s.retried, s.served},
		Behaviour: SavedBehaviour{m.internal, m.attempts, m.halfOpen, m.silentSessions, m.sessions, m.acceptedSessions, m.callouts, m.mailSessions, m.first, m.last, m.gaps, m.mean, m.squares,
			nil, m.ttls, m.addr, m.ports, m.sweeps},
		Names:    SavedNames{slices.Clone(h.heloNames.name[:h.heloNames.n]), h.heloNames.given, h.heloNames.worst},
		Lists:    SavedLists{slices.Clone(h.Blocklists()), Anonymous(h.blocklists.sample)},
		Oddities: slices.Clone(h.dialect[:]), Mails: h.envelope.mails, GuardNetworks: slices.Clone(h.guard.nets[:h.guard.n]), GuardServers: slices.Clone(h.guard.servers[:h.guard.m])}
	d.Verdict.Level = h.level
	for _, t := range m.ttl {
		d.Behaviour.TTL = append(d.Behaviour.TTL, [2]uint32{uint32(t.ttl), t.n})
	}
	for _, p := range h.ports {
		if p.port != 0 {
			d.Contacts.Ports = append(d.Contacts.Ports, SavedPort{p.port, p.attempts, p.answered, p.opened, p.refused, p.unreachable})
		}
	}
	for code := range h.reasons {
		if h.reasons[code].First != 0 {
			if d.Reasons == nil {
				d.Reasons = map[string]SavedReason{}
			}
			d.Reasons[Code(code).String()] = SavedReason{h.reasons[code], Anonymous(h.Text(Code(code), f))}
		}
	}
	return d
}

// Restore is the opposite of Memory. It is to be called for a Profile that has seen nothing yet.
// published says that a finding is open at its level; without one, the next observation publishes
// the verdict anew.
func (h *Profile) Restore(d *Saved, published bool) {
	for code := range h.reasons {
		if r, ok := d.Reasons[Code(code).String()]; ok && h.ignored>>code&1 == 0 {
			h.reasons[code] = r.Reason
			if h.restored == nil {
				h.restored = map[Code]SavedReason{}
			}
			h.restored[Code(code)] = r
		}
	}
	h.nets.Load(&d.Nets, h.Budget)
	h.addrs.Load(&d.Addrs, h.Budget)
	h.heloNames.distinct.Load(&d.HeloNames, nil)
	h.envelope.distinct.Load(&d.SenderDomains, nil)
	h.external, h.retransmitted, h.answered, h.sessions, h.spoken = d.External, d.Retransmitted, d.Answered, d.Opened, d.Heard
	h.twoSided, h.attested, h.conflicting = d.Whole, d.Attested, d.Conflicting
	if d.Verdict.Level > verdict.Suspect && d.Whole == 0 { // an older version counted no such sessions, and wanted one for its verdict
		h.twoSided, h.attested = min(1, d.Opened), min(1, d.Heard)
	}
	copy(h.newNetworks.s[:], d.NewNetworks.Sums)
	h.newNetworks.at = d.NewNetworks.At
	h.contacts.llr, h.contacts.failed, h.contacts.worked = d.Contacts.LLR, d.Contacts.Failed, d.Contacts.Worked
	for i, p := range d.Contacts.Ports[:min(len(d.Contacts.Ports), len(h.ports))] {
		h.ports[i] = portOutcome{p.Attempts, p.Answered, p.Opened, p.Refused, p.Unreachable, p.Port}
	}
	r := &d.Replies
	h.refusalTest, h.refusalTestUnlisted = r.refusal(), r.Unlisted.refusal()
	h.unknownUsers = unknownUsers{r.Recipients, r.Unknown, r.UnknownLLR, r.UnknownProved}
	s := &d.MTA
	h.mta.name, h.mta.sessions, h.mta.severalNames = s.Name, s.Sessions, s.Several
	h.mta.deferrals, h.mta.retried, h.mta.served = s.Deferrals, s.Retried, s.Served
	m := &d.Behaviour
	h.behaviour = behaviour{m.Internal, m.Attempts, m.HalfOpen, m.SilentSessions, m.Sessions, m.AcceptedSessions, m.Callouts, m.MailSessions, m.First, m.Last, m.Gaps, m.Mean, m.Squares,
		[4]ttlCount{}, m.TTLs, m.Addr, m.Ports, m.Sweeps}
	for i, t := range m.TTL[:min(len(m.TTL), len(h.behaviour.ttl))] {
		h.behaviour.ttl[i] = ttlCount{uint8(t[0]), t[1]}
	}
	h.heloNames.n = uint8(copy(h.heloNames.name[:], d.Names.Names))
	h.heloNames.given, h.heloNames.worst = d.Names.Given, d.Names.Worst
	h.blocklists.n = copy(h.blocklists.name[:], d.Lists.Names)
	h.blocklists.sample = d.Lists.Sample
	copy(h.dialect[:], d.Oddities)
	h.guard.n, h.guard.m = uint8(copy(h.guard.nets[:], d.GuardNetworks)), uint8(copy(h.guard.servers[:], d.GuardServers))
	h.envelope.mails = d.Mails
	h.verdict, h.decided = d.Verdict, d.Decided
	h.verdict.Level = min(d.Verdict.Level, verdict.Confirmed)
	if published {
		h.level = h.verdict.Level
	} else {
		h.changed = len(d.Reasons) > 0
	}
}

// told reports whether a reason stands as it was before a restart, and how it was told.
func (h *Profile) restoredText(code Code) (text string, ok bool) {
	r, ok := h.restored[code]
	return r.Text, ok && h.reasons[code].Last == r.Last
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
