package detect

import (
	"fmt"

	"spamsensor/sensor/recipients"
	"spamsensor/sensor/verdict"
)

// forgedUnknown unknown recipients, and this share of all, are enough for a source that has another
// sender for each mail.
const forgedUnknown, forgedShare = 10, 0.08

// observeUnknownUsers counts the replies to recipients; see package recipients. The thresholds of
// the share are Config.UnknownShare of Config.UnknownRecipients recipients or more.
func observeUnknownUsers(p *Profile, c *Config, o *Observation) {
	p.unknownUsers.Step(o.Unknown, c.Alpha)
	if !o.Returned {
		p.unknownOfOwn.Step(o.Unknown, c.Alpha)
	}
	if o.Unknown {
		p.judgeUnknownUsers(c, o.Time)
	}
}

// unknownInForce is the test of unknown recipients that counts. What a mail server returns goes to
// senders that spammers forged, so for a host that takes mail in the recipients of returned mail
// are left out, as in refusalTestInForce.
func (p *Profile) unknownInForce() *recipients.Test {
	if p.has(Serves) {
		return &p.unknownOfOwn
	}
	return &p.unknownUsers
}

// judgeUnknownUsers is for a recipient that was unknown.
func (p *Profile) judgeUnknownUsers(c *Config, now int64) {
	t := p.unknownInForce()
	// Forged senders to a list of addresses are spam by themselves, on a single connection, too.
	if t.Unknown >= forgedUnknown && t.Share() >= forgedShare && p.newSenderEachTime() {
		p.raise(UnknownUsers, now, t.Share(), forgedShare, familyCap[Replies])
		return
	}
	if int(t.Recipients) >= c.UnknownRecipients && t.Share() >= c.UnknownShare {
		p.raise(UnknownUsers, now, t.Share(), c.UnknownShare, 2.3)
	}
}

// unknownOfReturned reports whether recipients of returned mail alone made the reason.
func (p *Profile) unknownOfReturned() bool {
	return p.has(Serves) && p.unknownOfOwn.Recipients < p.unknownUsers.Recipients &&
		p.unknownOfOwn.Share() < p.reasons[UnknownUsers].Threshold
}

// textUnknownUsers has the counts of now; r.Value is the share when it was largest.
func textUnknownUsers(p *Profile, _ *Counters, _ *verdict.Reason) string {
	t := p.unknownInForce()
	return fmt.Sprintf("%d of the %s that servers accepted or refused do not exist: it works "+
		"through a list of addresses.", t.Unknown, verdict.Plural(t.Recipients, "recipient"))
}
