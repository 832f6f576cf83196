package detect

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

func init() {
	detectors[SenderDomains] = detector{"sender_domains", Envelope, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("It %s in the name of %s domains within a day; a workstation has one or two.", tries(f, "sends", "tries to send"), atLeast(r, 4.6, maxDomains))
	}}
	detectors[RecipientDomains] = detector{"recipient_domains", Envelope, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("It %s to recipients in %s domains within an hour.", tries(f, "mails", "tries to mail"), atLeast(r, 2.3, maxWindow))
	}}
}

// tries is what a host does, or only tries: none of its messages was seen to be taken.
func tries(f *Counters, does, only string) string {
	if f.Messages == 0 {
		return only
	}
	return does
}

// envelope holds in whose name a host sends, and to whom.
type envelope struct {
	distinct   sketch.Set // domains ever sent from
	senders    [maxDomains]sketch.Slot
	recipients [maxWindow]sketch.Slot
	mails      uint32
}

// fewMails is how many senders must have been seen before several domains among them mean
// something. A mail server has by then been taken for one by its recipients. Where two recipients refused it
// and nearly every mail has another sender, manyOfFew domains say as much: an honest server with many
// domains is refused in one session of fifty, and two of its first nine hardly ever are.
const fewMails, manyOfFew, refusedOfFew = 10, 4, 2

// Sender is the observation of a sender's domain, and reports whether it is new. direct says that
// the server is none of ours.
func (h *Profile) Sender(c *Config, hash uint32, direct bool, now int64) (fresh bool) {
	e := &h.envelope
	fresh = e.distinct.Add(hash, nil)
	if !direct {
		return fresh
	}
	inc(&e.mails)
	if int(h.reasons[SenderDomains].Value) >= c.MassSenderDomains && h.FoundLately(SenderDomains, now) {
		return fresh
	}
	n, _ := sketch.AddRecent(e.senders[:], hash, sketch.Stamp(now), 86400)
	h.judgeSenders(c, n, now)
	return fresh
}

// judgeSenders is for n domains of senders within a day.
func (h *Profile) judgeSenders(c *Config, n int, now int64) {
	e := &h.envelope
	early, refused := e.mails < fewMails, h.refusalTestInForce().refused
	if h.speaksOddly() {
		refused *= refusedOfFew
	}
	switch {
	case early && (refused < refusedOfFew || n*5 < int(e.mails)*4):
	case early && n >= manyOfFew:
		h.raise(SenderDomains, now, float64(n), manyOfFew, 4.6)
	case n >= c.MassSenderDomains:
		h.raise(SenderDomains, now, float64(n), float64(c.MassSenderDomains), 4.6)
	case n >= c.SenderDomains:
		h.raise(SenderDomains, now, float64(n), float64(c.SenderDomains), 2.3)
	}
}

// Recipient is the observation of a recipient's domain.
func (h *Profile) Recipient(c *Config, hash uint32, direct bool, now int64) {
	if !direct {
		return
	}
	if n, _ := sketch.AddRecent(h.envelope.recipients[:], hash, sketch.Stamp(now), 3600); n >= c.RecipientDomains {
		h.raise(RecipientDomains, now, float64(n), float64(c.RecipientDomains), 2.3)
	}
}
