package detect

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// maxDomains is how many domains of senders are kept apart.
const maxDomains = 16

// envelope holds the domains of senders and recipients.
type envelope struct {
	distinct   sketch.Set // domains of senders, at any time
	senders    [maxDomains]sketch.Slot
	recipients [maxWindow]sketch.Slot
	mails      uint32
}

// manySenders is how many domains of senders a source must have for a new one each time to mean
// something.
const manySenders = 32

// newSenderEachTime reports whether nearly each mail has another sender domain, and the source
// takes no mail in. Who forwards mail of others takes it in, and meets the large providers' domains
// again and again; so do the customers of a web server. A bot draws a sender for each mail.
func (p *Profile) newSenderEachTime() bool {
	n := p.envelope.distinct.Len()
	return n >= manySenders && uint32(n)*5 >= p.envelope.mails*4 && !p.has(Serves)
}

// fewMails is how many senders must have been seen before several domains among them mean
// something. By then the recipients of a mail server have accepted its mail. If two recipients
// refused it and nearly every mail has another sender, manyOfFew domains are as much: an honest
// server with many domains is refused in one session of fifty, and hardly ever in two of its first
// nine.
const fewMails, manyOfFew, refusedOfFew = 10, 4, 2

// observeSenderDomains counts the domains of senders within a day. A workstation has one or two, a
// bot draws them from its list. Mail to internal servers does not count. The thresholds are
// Config.SenderDomains, with half the weight, and Config.MassSenderDomains. A refused session can
// make few mails enough, see fewMails.
func observeSenderDomains(p *Profile, c *Config, o *Observation) {
	e := &p.envelope
	if !o.External {
		return
	}
	sketch.Increment(&e.mails)
	if int(p.reasons[SenderDomains].Value) >= c.MassSenderDomains &&
		p.foundLately(SenderDomains, o.Time) {
		return
	}
	n, _ := sketch.AddRecent(e.senders[:], o.Hash, sketch.Stamp(o.Time), 86400)
	p.judgeSenderDomains(c, n, o.Time)
}

// senderRefused looks at the domains again when a transaction was refused.
func senderRefused(p *Profile, c *Config, o *Observation) {
	if p.refusalCounts(o) {
		n := sketch.CountRecent(p.envelope.senders[:], sketch.Stamp(o.Time), 86400)
		p.judgeSenderDomains(c, n, o.Time)
	}
}

// judgeSenderDomains is for n domains within a day.
func (p *Profile) judgeSenderDomains(c *Config, n int, now int64) {
	e := &p.envelope
	early, refused := e.mails < fewMails, p.refusalTestInForce().Refused
	// With an odd dialect one refused session is enough.
	if p.speaksOddly() {
		refused *= refusedOfFew
	}
	switch {
	// Few mails: refusals must say that the source is no mail server, see fewMails.
	case early && (refused < refusedOfFew || n*5 < int(e.mails)*4):
	case early && n >= manyOfFew:
		p.raise(SenderDomains, now, float64(n), manyOfFew, 4.6)
	case n >= c.MassSenderDomains:
		p.raise(SenderDomains, now, float64(n), float64(c.MassSenderDomains), 4.6)
	case n >= c.SenderDomains:
		p.raise(SenderDomains, now, float64(n), float64(c.SenderDomains), 2.3)
	}
}

// textSenderDomains has the number of domains at any time and within a day, r.Value, which is not
// counted beyond the higher threshold.
func textSenderDomains(p *Profile, n *Counters, r *verdict.Reason) string {
	format := tries(n, "It sends in the name of %s domains%s within a day; a workstation uses "+
		"one or two.", "It tries to send in the name of %s domains%s within a day; a workstation "+
		"uses one or two.")
	all, part := partOf(n.SenderDomains(p), r, atLeast(r, 4.6, maxDomains))
	return fmt.Sprintf(format, all, part)
}

// tries is the sentence for a source, or the one for a source without an accepted message.
func tries(n *Counters, does, only string) string {
	if n.Messages == 0 {
		return only
	}
	return does
}
