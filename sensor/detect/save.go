package detect

import (
	"cmp"
	"slices"

	"spamsensor/sensor/behaviour"
	"spamsensor/sensor/contacts"
	"spamsensor/sensor/providers"
	"spamsensor/sensor/recipients"
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

	External      uint32              `json:"External"`
	Retransmitted uint32              `json:"Repeated"`
	Answered      uint32              `json:"Answered"`
	Opened        uint32              `json:"Opened"`
	Greeted       uint32              `json:"Greeted,omitempty"`
	Heard         uint32              `json:"Heard"`
	Whole         uint32              `json:"Whole"`
	Attested      uint32              `json:"Attested"`
	Conflicting   uint32              `json:"Conflicting"`
	NewNetworks   providers.Rate      `json:"Spread"`
	Contacts      contacts.Saved      `json:"Contacts"`
	Units         int                 `json:"Units,omitempty"` // see providers.Ledger
	Replies       savedReplies        `json:"Replies"`
	MTA           mtaLike             `json:"Server"`
	Behaviour     behaviour.Behaviour `json:"Manner"`
	Names         savedNames          `json:"Names"`
	Lists         SavedLists          `json:"Lists"`
	Oddities      []uint16            `json:"Oddities,omitempty"`
	GuardNetworks []uint32            `json:"Own,omitempty"` // see package spoof
	GuardServers  []uint32            `json:"OwnServers,omitempty"`
	Mails         uint32              `json:"Mails"`
	Taken         uint32              `json:"Taken,omitempty"`
	SubmitNets    uint32              `json:"SubmitNets,omitempty"`
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

// savedReplies are both tests of refusals, because Serves can appear after a restart, and the test
// of unknown recipients.
type savedReplies struct {
	refusalTest
	Unlisted refusalTest `json:"Unlisted"` // without those that name a blocklist
	Refusers []refuser   `json:"Refusers,omitempty"`
	recipients.Test
	Own *recipients.Test `json:"Own,omitempty"` // without returned mail, if there was some
}

// savedOwn is the test of recipients without those of returned mail, nil if it has all.
func (p *Profile) savedOwn() *recipients.Test {
	if p.unknownOfOwn == p.unknownUsers {
		return nil
	}
	t := p.unknownOfOwn
	return &t
}

// savedNames are the HELO names of the source.
type savedNames struct {
	Names []string `json:"Names,omitempty"`
	Given uint32   `json:"Given"`
	Worst string   `json:"Worst,omitempty"`
}

// SavedLists are the blocklists that servers named.
type SavedLists struct {
	Names   []string `json:"Names,omitempty"`
	Sample  string   `json:"Sample,omitempty"`
	Servers []uint32 `json:"Servers,omitempty"` // hashes of those that named one
}

// Save is the profile as a checkpoint keeps it. It shares nothing with the profile.
func (p *Profile) Save(n *Counters) Saved {
	w := &p.heloNames
	v := &p.verdict
	d := Saved{Verdict: SavedVerdict{v.Class, v.Level, v.Score, v.Families}, Decided: p.decided,
		Nets: p.nets.Save(), Addrs: p.addrs.Save(),
		HeloNames: p.heloNames.distinct.Save(), SenderDomains: p.envelope.distinct.Save(),
		External: p.external, Retransmitted: p.retransmitted, Answered: p.answered,
		Opened: p.sessions, Greeted: p.greeted, Heard: p.spoken,
		Whole: p.twoSided, Attested: p.attested,
		Conflicting: p.conflicting,
		NewNetworks: providers.Rate{Sums: p.newNetworks.Sums, At: p.newNetworks.At},
		Units:       p.providers.Units(),
		Contacts:    contacts.Save(&p.contacts, &p.share, &p.ports),
		Replies: savedReplies{p.refusalTest, p.refusalTestUnlisted, p.refusers.saved(),
			p.unknownUsers, p.savedOwn()},
		MTA:       p.mta.withoutWindows(),
		Behaviour: p.behaviour,
		Names:     savedNames{slices.Clone(w.name[:w.n]), w.given, w.worst},
		Lists: SavedLists{slices.Clone(p.Blocklists()),
			refusal.Anonymous(p.blocklists.sample),
			slices.Clone(p.blocklists.servers[:p.blocklists.naming])},
		Oddities:      slices.Clone(p.dialect[:]),
		GuardNetworks: slices.Clone(p.guard.Networks()),
		GuardServers:  slices.Clone(p.guard.Servers()),
		Mails:         p.envelope.mails,
		Taken:         p.taken, SubmitNets: p.submitNets}
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
	p.greeted, p.conflicting = d.Greeted, d.Conflicting
	if d.Verdict.Level > verdict.Suspect && d.Whole == 0 {
		// Older versions counted no such sessions, and needed one for this verdict.
		p.twoSided, p.attested = min(1, d.Opened), min(1, d.Heard)
	}
	p.newNetworks = d.NewNetworks
	p.providers.Restore(cmp.Or(d.Units, p.nets.Len()))
	d.Contacts.Restore(&p.contacts, &p.share, &p.ports)
	p.refusalTest, p.refusalTestUnlisted = d.Replies.refusalTest, d.Replies.Unlisted
	copy(p.refusers[:], d.Replies.Refusers)
	p.unknownUsers, p.unknownOfOwn = d.Replies.Test, d.Replies.Test
	if own := d.Replies.Own; own != nil {
		p.unknownOfOwn = *own
	}
	p.mta, p.behaviour = d.MTA, d.Behaviour
	p.heloNames.n = uint8(copy(p.heloNames.name[:], d.Names.Names))
	p.heloNames.given, p.heloNames.worst = d.Names.Given, d.Names.Worst
	p.blocklists.n = copy(p.blocklists.name[:], d.Lists.Names)
	p.blocklists.sample = d.Lists.Sample
	p.blocklists.naming = uint8(copy(p.blocklists.servers[:], d.Lists.Servers))
	copy(p.dialect[:], d.Oddities)
	p.guard.Restore(d.GuardNetworks, d.GuardServers)
	p.envelope.mails, p.taken, p.submitNets = d.Mails, d.Taken, d.SubmitNets
	v := &d.Verdict
	p.verdict = verdict.Verdict{Class: v.Class, Level: min(v.Level, verdict.Confirmed),
		Score: v.Score, Families: v.Families}
	p.decided = d.Decided
	if published {
		p.level = p.verdict.Level
	} else {
		p.changed = len(d.Reasons) > 0
	}
}

// restoreReasons takes over the reasons with their texts.
func (p *Profile) restoreReasons(d *Saved) {
	for code := range p.reasons {
		if r, ok := d.Reasons[Code(code).String()]; ok {
			p.reasons[code] = r.Reason
			p.raised |= Code(code).bit()
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

// withoutWindows is the counts alone. Windows of hours and days are not saved.
func (s mtaLike) withoutWindows() mtaLike {
	s.deferred, s.clients = [16]sketch.Slot{}, [2]sketch.Slot{}
	s.indexDeferred()
	return s
}
