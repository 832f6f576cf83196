package detect

import (
	"fmt"
	"math"

	"spamsensor/sensor/verdict"
)

// unknownUsers counts recipients that servers decided about. The share that is unknown has a small
// weight: two of the first ten happen to one honest server in fifty. Wald's test decides whether no
// honest server has such a share.
type unknownUsers struct {
	recipients, unknown uint32
	llr                 float64
	proved              bool // the test has decided against the source
}

// The test's assumptions: the share of recipients that do not exist, of an honest server and of a
// source that works off a list. Newsletter providers warn customers to clean their lists from 2 to
// 5 % on.
const unknownToHonest, unknownToBot = 0.05, 0.3

// observeUnknownUsers counts the replies to recipients, and moves Wald's test on. A source that
// works off a bought or guessed list of addresses meets many that do not exist. The thresholds of
// the share are Config.UnknownShare of Config.UnknownRecipients recipients or more.
func observeUnknownUsers(p *Profile, c *Config, _ *Counters, o Observation) {
	t := &p.unknownUsers
	inc(&t.recipients)
	step := math.Log((1 - unknownToBot) / (1 - unknownToHonest))
	if o.Unknown {
		inc(&t.unknown)
		step = math.Log(unknownToBot / unknownToHonest)
	}
	upper, lower := c.bounds()
	t.llr = math.Max(lower, t.llr+step)
	t.proved = t.llr >= upper || t.proved && t.llr > lower
	if o.Unknown {
		p.judgeUnknownUsers(c, o.Time)
	}
}

// judgeUnknownUsers is for a recipient that was unknown.
func (p *Profile) judgeUnknownUsers(c *Config, now int64) {
	t := &p.unknownUsers
	enough := int(t.recipients) >= c.UnknownRecipients
	if enough && float64(t.unknown) >= c.UnknownShare*float64(t.recipients) {
		p.raise(UnknownUsers, now, float64(t.unknown)/float64(t.recipients), c.UnknownShare, 2.3)
	}
}

// textUnknownUsers has the counts of now; r.Value is the share when it was largest.
func textUnknownUsers(p *Profile, _ *Counters, _ *verdict.Reason) string {
	return fmt.Sprintf("%d of the %s that servers decided about do not exist there: it works off "+
		"a list of addresses.", p.unknownUsers.unknown,
		verdict.Plural(p.unknownUsers.recipients, "recipient"))
}

// merge adds the recipients of o.
func (t *unknownUsers) merge(c *Config, o *unknownUsers) {
	_, lower := c.bounds()
	t.recipients += o.recipients
	t.unknown += o.unknown
	t.llr = math.Max(lower, t.llr+o.llr)
	t.proved = t.proved || o.proved
}
