package detect

import (
	"fmt"
	"math"

	"spamsensor/sensor/contacts"
	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// unknownUsers counts recipients that servers decided about. The share that is unknown has a small
// weight: two of the first ten happen to one honest server in fifty. Wald's test decides whether no
// honest server has such a share.
type unknownUsers struct {
	Recipients uint32  `json:"Recipients"`
	Unknown    uint32  `json:"Unknown"`
	LLR        float64 `json:"UnknownLLR"`
	Proved     bool    `json:"UnknownProved"` // the test has decided against the source
}

// The test's assumptions: the share of recipients that do not exist, of an honest server and of a
// source that works off a list. Newsletter providers warn customers to clean their lists from 2 to
// 5 % on.
const unknownToHonest, unknownToBot = 0.05, 0.3

// forgedUnknown unknown recipients, and this share of all, are enough for a source that has another
// sender for each mail.
const forgedUnknown, forgedShare = 10, 0.08

// observeUnknownUsers counts the replies to recipients, and moves Wald's test on. A source that
// works off a bought or guessed list of addresses meets many that do not exist. The thresholds of
// the share are Config.UnknownShare of Config.UnknownRecipients recipients or more.
func observeUnknownUsers(p *Profile, c *Config, _ *Counters, o Observation) {
	t := &p.unknownUsers
	sketch.Increment(&t.Recipients)
	step := math.Log((1 - unknownToBot) / (1 - unknownToHonest))
	if o.Unknown {
		sketch.Increment(&t.Unknown)
		step = math.Log(unknownToBot / unknownToHonest)
	}
	upper, lower := contacts.Bounds(c.Alpha)
	t.LLR = math.Max(lower, t.LLR+step)
	// A decision stands until the test has gone all the way back.
	t.Proved = t.LLR >= upper || t.Proved && t.LLR > lower
	if o.Unknown {
		p.judgeUnknownUsers(c, o.Time)
	}
}

// judgeUnknownUsers is for a recipient that was unknown.
func (p *Profile) judgeUnknownUsers(c *Config, now int64) {
	t := &p.unknownUsers
	enough := int(t.Recipients) >= c.UnknownRecipients
	share := float64(t.Unknown) / float64(t.Recipients)
	// Forged senders to a list of addresses are spam by themselves, on a single connection, too.
	if t.Unknown >= forgedUnknown && share >= forgedShare && p.newSenderEachTime() {
		p.raise(UnknownUsers, now, share, forgedShare, familyCap[Replies])
		return
	}
	if enough && float64(t.Unknown) >= c.UnknownShare*float64(t.Recipients) {
		p.raise(UnknownUsers, now, share, c.UnknownShare, 2.3)
	}
}

// textUnknownUsers has the counts of now; r.Value is the share when it was largest.
func textUnknownUsers(p *Profile, _ *Counters, _ *verdict.Reason) string {
	return fmt.Sprintf("%d of the %s that servers accepted or refused do not exist: it works "+
		"through a list of addresses.", p.unknownUsers.Unknown,
		verdict.Plural(p.unknownUsers.Recipients, "recipient"))
}

// merge adds the recipients of o.
func (t *unknownUsers) merge(c *Config, o *unknownUsers) {
	_, lower := contacts.Bounds(c.Alpha)
	t.Recipients += o.Recipients
	t.Unknown += o.Unknown
	t.LLR = math.Max(lower, t.LLR+o.LLR)
	t.Proved = t.Proved || o.Proved
}
