package detect

import (
	"slices"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff/refusal"
)

// Saved is the part of a Profile that a checkpoint keeps. Windows of minutes and hours are left
// out: a host that still sends fills them again, and what they had proved is in the reasons. The
// hashes are good for the same secret only. The tags are the format: fields may be renamed, tags
// may not.
type Saved struct {
	Verdict SavedVerdict     `json:"Verdict"`
	Decided verdict.Decision `json:"Decided"`
	// Reasons have their names as keys, because the numbers of codes change between versions.
	Reasons map[string]SavedReason `json:"Reasons,omitempty"`

	Nets          sketch.Saved `json:"Nets"` // so that they are not new after a restart
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
	NewNetworks   savedNewNetworks `json:"Spread"`
	Contacts      savedContacts    `json:"Contacts"`
	Replies       savedReplies     `json:"Replies"`
	MTA           savedMTALike     `json:"Server"`
	Behaviour     savedBehaviour   `json:"Manner"`
	Names         savedNames       `json:"Names"`
	Lists         SavedLists       `json:"Lists"`
	Oddities      []uint16         `json:"Oddities,omitempty"`
	GuardNetworks []uint32         `json:"Own,omitempty"` // see spoofGuard
	GuardServers  []uint32         `json:"OwnServers,omitempty"`
	Mails         uint32           `json:"Mails"`
}

// SavedVerdict is a verdict about a host.
type SavedVerdict struct {
	Class    verdict.Class `json:"Class"`
	Level    verdict.Level `json:"Level"`
	Score    float64       `json:"Score"`
	Families int           `json:"Families"`
}

// SavedReason is a reason with its text. The profile does not keep all that the text is made of.
type SavedReason struct {
	verdict.Reason
	Text string `json:"Text,omitempty"`
}

// savedNewNetworks is the test of new networks: the sum of each time scale, and the time of the
// latest new network, in nanoseconds since 1970.
type savedNewNetworks struct {
	Sums []float64 `json:"Sums"`
	At   int64     `json:"At"`
}

// savedContacts is the test of first contacts, without the contacts that wait for an answer.
type savedContacts struct {
	LLR    float64     `json:"LLR"`
	Failed int         `json:"Failed"`
	Worked int         `json:"Worked"`
	Ports  []savedPort `json:"Ports,omitempty"`
}

// savedPort counts the attempts to a port by their outcome.
type savedPort struct {
	Port        uint16 `json:"Port"`
	Attempts    uint32 `json:"Attempts"`
	Answered    uint32 `json:"Answered"`
	Opened      uint32 `json:"Opened"`
	Refused     uint32 `json:"Refused"`
	Unreachable uint32 `json:"Unreachable"`
}

// savedReplies is the test of refusals, and the test of unknown recipients.
type savedReplies struct {
	SavedRefusals
	Unlisted      SavedRefusals `json:"Unlisted"` // without those that name a blocklist
	Recipients    uint32        `json:"Recipients"`
	Unknown       uint32        `json:"Unknown"`
	UnknownLLR    float64       `json:"UnknownLLR"`
	UnknownProved bool          `json:"UnknownProved"`
}

// SavedRefusals is one test of refusals, with the counts that Welcome shows.
type SavedRefusals struct {
	LLR      float64 `json:"LLR"`
	Sessions int     `json:"Sessions"`
	Refused  int     `json:"Refused"`
	Accepted uint32  `json:"Taken"`
	Total    uint32  `json:"All"`
}

// savedMTALike holds the signs of a mail server.
type savedMTALike struct {
	Name      uint32 `json:"Name"`
	Sessions  uint32 `json:"Sessions"`
	Several   bool   `json:"Several"`
	Deferrals uint32 `json:"Deferrals"`
	Retried   uint32 `json:"Retried"`
	Served    uint32 `json:"Served"`
}

// savedBehaviour is how the source uses its connections.
type savedBehaviour struct {
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

// savedNames are the HELO names of the source.
type savedNames struct {
	Names []string `json:"Names,omitempty"`
	Given uint32   `json:"Given"`
	Worst string   `json:"Worst,omitempty"`
}

// SavedLists are the blocklists that servers named.
type SavedLists struct {
	Names  []string `json:"Names,omitempty"`
	Sample string   `json:"Sample,omitempty"`
}

// Save is the profile as a checkpoint keeps it. It shares nothing with the profile.
func (p *Profile) Save(n *Counters) Saved {
	d := Saved{Verdict: SavedVerdict{p.verdict.Class, p.verdict.Level, p.verdict.Score, p.verdict.Families}, Decided: p.decided,
		Nets: p.nets.Save(), Addrs: p.addrs.Save(),
		HeloNames: p.heloNames.distinct.Save(), SenderDomains: p.envelope.distinct.Save(),
		External: p.external, Retransmitted: p.retransmitted, Answered: p.answered,
		Opened: p.sessions, Heard: p.spoken, Whole: p.twoSided, Attested: p.attested,
		Conflicting:   p.conflicting,
		NewNetworks:   savedNewNetworks{slices.Clone(p.newNetworks.s[:]), p.newNetworks.at},
		Contacts:      p.saveContacts(),
		Replies:       p.saveReplies(),
		MTA:           p.mta.save(),
		Behaviour:     p.behaviour.save(),
		Names:         p.heloNames.save(),
		Lists:         SavedLists{slices.Clone(p.Blocklists()), refusal.Anonymous(p.blocklists.sample)},
		Oddities:      slices.Clone(p.dialect[:]),
		GuardNetworks: slices.Clone(p.guard.nets[:p.guard.n]),
		GuardServers:  slices.Clone(p.guard.servers[:p.guard.m]),
		Mails:         p.envelope.mails}
	d.Verdict.Level = p.level
	for code := range p.reasons {
		if p.reasons[code].First != 0 {
			if d.Reasons == nil {
				d.Reasons = map[string]SavedReason{}
			}
			text := refusal.Anonymous(p.Text(Code(code), n))
			d.Reasons[Code(code).String()] = SavedReason{p.reasons[code], text}
		}
	}
	return d
}

// Restore is the opposite of Save. The profile must be new. published says that a finding is open
// at the level of the verdict; without one, the next observation publishes the verdict again.
func (p *Profile) Restore(d *Saved, published bool) {
	p.restoreReasons(d)
	p.nets.Load(&d.Nets, p.Budget)
	p.addrs.Load(&d.Addrs, p.Budget)
	p.heloNames.distinct.Load(&d.HeloNames, nil)
	p.envelope.distinct.Load(&d.SenderDomains, nil)
	p.external, p.retransmitted, p.answered = d.External, d.Retransmitted, d.Answered
	p.sessions, p.spoken, p.twoSided, p.attested = d.Opened, d.Heard, d.Whole, d.Attested
	p.conflicting = d.Conflicting
	if d.Verdict.Level > verdict.Suspect && d.Whole == 0 {
		// Older versions counted no such sessions, and needed one for this verdict.
		p.twoSided, p.attested = min(1, d.Opened), min(1, d.Heard)
	}
	copy(p.newNetworks.s[:], d.NewNetworks.Sums)
	p.newNetworks.at = d.NewNetworks.At
	p.restoreContacts(&d.Contacts)
	p.restoreReplies(&d.Replies)
	p.mta.restore(&d.MTA)
	p.behaviour.restore(&d.Behaviour)
	p.heloNames.n = uint8(copy(p.heloNames.name[:], d.Names.Names))
	p.heloNames.given, p.heloNames.worst = d.Names.Given, d.Names.Worst
	p.blocklists.n = copy(p.blocklists.name[:], d.Lists.Names)
	p.blocklists.sample = d.Lists.Sample
	copy(p.dialect[:], d.Oddities)
	p.guard.n = uint8(copy(p.guard.nets[:], d.GuardNetworks))
	p.guard.m = uint8(copy(p.guard.servers[:], d.GuardServers))
	p.envelope.mails = d.Mails
	p.verdict = verdict.Verdict{Class: d.Verdict.Class, Level: min(d.Verdict.Level, verdict.Confirmed), Score: d.Verdict.Score, Families: d.Verdict.Families}
	p.decided = d.Decided
	if published {
		p.level = p.verdict.Level
	} else {
		p.changed = len(d.Reasons) > 0
	}
}

// restoreReasons takes over the reasons that count for the source, with their texts.
func (p *Profile) restoreReasons(d *Saved) {
	for code := range p.reasons {
		if r, ok := d.Reasons[Code(code).String()]; ok && p.ignored>>code&1 == 0 {
			p.reasons[code] = r.Reason
			if p.restored == nil {
				p.restored = map[Code]SavedReason{}
			}
			p.restored[Code(code)] = r
		}
	}
}

// restoredText is the text of a reason from before a restart; ok reports whether the detector has
// not found the reason again since.
func (p *Profile) restoredText(code Code) (text string, ok bool) {
	r, ok := p.restored[code]
	return r.Text, ok && p.reasons[code].Last == r.Last
}

// saveContacts keeps the test and the ports. Contacts that wait are left out: after a restart their
// answers would be missed, and each would seem a failure.
func (p *Profile) saveContacts() savedContacts {
	t := &p.contacts
	d := savedContacts{LLR: t.llr, Failed: t.failed, Worked: t.worked}
	for _, at := range p.ports {
		if at.port != 0 {
			d.Ports = append(d.Ports, savedPort{at.port, at.attempts, at.answered, at.opened,
				at.refused, at.unreachable})
		}
	}
	return d
}

// restoreContacts is the opposite of saveContacts. A checkpoint may hold more ports than there are
// places; they are left out.
func (p *Profile) restoreContacts(d *savedContacts) {
	p.contacts.llr, p.contacts.failed, p.contacts.worked = d.LLR, d.Failed, d.Worked
	for i, at := range d.Ports[:min(len(d.Ports), len(p.ports))] {
		p.ports[i] = portOutcome{at.Attempts, at.Answered, at.Opened, at.Refused, at.Unreachable,
			at.Port}
	}
}

// saveReplies keeps both tests of refusals, because Serves can appear after a restart.
func (p *Profile) saveReplies() savedReplies {
	u := &p.unknownUsers
	return savedReplies{p.refusalTest.save(), p.refusalTestUnlisted.save(),
		u.recipients, u.unknown, u.llr, u.proved}
}

// restoreReplies is the opposite of saveReplies.
func (p *Profile) restoreReplies(d *savedReplies) {
	p.refusalTest, p.refusalTestUnlisted = d.restore(), d.Unlisted.restore()
	p.unknownUsers = unknownUsers{d.Recipients, d.Unknown, d.UnknownLLR, d.UnknownProved}
}

// save is the test as a checkpoint keeps it.
func (t *refusalTest) save() SavedRefusals {
	return SavedRefusals{t.llr, t.sessions, t.refused, t.accepted, t.total}
}

// restore is the opposite of save.
func (d *SavedRefusals) restore() refusalTest {
	return refusalTest{d.LLR, d.Sessions, d.Refused, d.Accepted, d.Total}
}

// save keeps the counts. The servers that deferred and the clients that brought mail are windows,
// and left out.
func (s *mtaLike) save() savedMTALike {
	return savedMTALike{s.name, s.sessions, s.severalNames, s.deferrals, s.retried, s.served}
}

// restore is the opposite of save.
func (s *mtaLike) restore(d *savedMTALike) {
	s.name, s.sessions, s.severalNames = d.Name, d.Sessions, d.Several
	s.deferrals, s.retried, s.served = d.Deferrals, d.Retried, d.Served
}

// save keeps all of the behaviour, with the hop limits as pairs of a TTL and its count.
func (b *behaviour) save() savedBehaviour {
	d := savedBehaviour{b.internal, b.attempts, b.halfOpen, b.silentSessions, b.sessions,
		b.acceptedSessions, b.callouts, b.mailSessions, b.first, b.last, b.gaps, b.mean, b.squares,
		nil, b.ttls, b.addr, b.ports, b.sweeps}
	for _, t := range b.ttl {
		d.TTL = append(d.TTL, [2]uint32{uint32(t.ttl), t.n})
	}
	return d
}

// restore is the opposite of save.
func (b *behaviour) restore(d *savedBehaviour) {
	*b = behaviour{d.Internal, d.Attempts, d.HalfOpen, d.SilentSessions, d.Sessions,
		d.AcceptedSessions, d.Callouts, d.MailSessions, d.First, d.Last, d.Gaps, d.Mean, d.Squares,
		[4]ttlCount{}, d.TTLs, d.Addr, d.Ports, d.Sweeps}
	for i, t := range d.TTL[:min(len(d.TTL), len(b.ttl))] {
		b.ttl[i] = ttlCount{uint8(t[0]), t[1]}
	}
}

// save keeps the first names as texts. Saved.HeloNames has the hashes of all.
func (w *heloNames) save() savedNames {
	return savedNames{slices.Clone(w.name[:w.n]), w.given, w.worst}
}
