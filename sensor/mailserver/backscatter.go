package mailserver

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// Backscatter finds a server that returns mail to forged senders: it accepts messages for
// recipients that it does not have, and then sends reports about that, with the null sender (RFC
// 5321, section 4.5.5), to whoever the spammer named as the sender. A server that checks recipients
// in the session has nothing to return (section 6.1 and 4.2.5 there).
//
// An honest server returns little: its own users' mail that the next server refused, and replies of
// absent people (RFC 3834). So the share of mails with the null sender decides, within a day. Few
// mails are enough if receivers refuse many of them: nobody forges the sender of a message that
// people really sent. Callouts, which name the null sender and then send no message, are no mails.
//
// The fields are the format of the checkpoint.
type Backscatter struct {
	Window     int64            `json:"Window"` // beginning of the half day of Halves[0]
	Halves     [2]returnedMails `json:"Halves"` // of this half day, and of the one before
	ReportedAt int64            `json:"ToldAt"`
}

// returnedMails are mails to external servers in half a day, taken or refused for good.
type returnedMails struct {
	Mails    uint32 `json:"Mails"` // with any sender
	Returned uint32 `json:"Returned"`
	Refused  uint32 `json:"Refused"`  // of these
	Callouts uint32 `json:"Callouts"` // with the null sender and without a message
}

const (
	// backscatterLeast is the number of mails within a day from which on a share of returned ones
	// means something.
	backscatterLeast = 50
	// backscatterShare is the share of returned mails, one in so many.
	backscatterShare = 5
	// backscatterFew is how many returned mails are enough if one in backscatterRefused of them,
	// and three or more, is refused.
	backscatterFew, backscatterRefused = 10, 10
	// backscatterClients is how many messages must have come in from strangers: what a server
	// returns, somebody brought.
	backscatterClients = 2
	// backscatterAgain is how often it is said again.
	backscatterAgain = day
)

// Backscatter reports whether many of the sent messages are bounces: the server accepts mail with
// forged senders, and then returns it to people who never sent it.
func (c *Counts) Backscatter() bool {
	return c.MessagesOut >= backscatterLeast && c.BouncesOut*backscatterShare > c.MessagesOut
}

// outbound observes a mail to an external server. brought is how many messages strangers brought.
func (b *Backscatter) outbound(m *Mail, brought uint64, out *verdicts) {
	b.advance(m.Time)
	x := &b.Halves[0]
	refused, open := m.refused()
	null := m.FromText == ""
	switch {
	case m.Accepted, refused:
		sketch.Increment(&x.Mails)
	case null && open && m.Over:
		sketch.Increment(&x.Callouts)
		return
	default: // deferred: another attempt follows
		return
	}
	if !null {
		return
	}
	sketch.Increment(&x.Returned)
	if refused {
		sketch.Increment(&x.Refused)
	}
	if brought >= backscatterClients && b.many() && m.Time-b.ReportedAt >= backscatterAgain {
		b.ReportedAt = m.Time
		out.add(b.verdict(m.Time))
	}
}

// refused reports whether all recipients, or the message, were refused for good; open whether a
// recipient was accepted.
func (m *Mail) refused() (refused, open bool) {
	for i := range m.Rcpts {
		code := m.Rcpts[i].Code
		open = open || code/100 == 2
		refused = refused || code >= 500
	}
	return m.Code >= 500 || refused && !open && !m.Accepted, open
}

// advance moves the window on.
func (b *Backscatter) advance(now int64) {
	const half = day / 2
	switch {
	case b.Window == 0 || now < b.Window-half || now >= b.Window+2*half:
		*b = Backscatter{Window: now, ReportedAt: min(b.ReportedAt, now)}
	case now >= b.Window+half:
		b.Halves[1], b.Halves[0] = b.Halves[0], returnedMails{}
		b.Window += half
	}
}

// sum is the mails of the day.
func (b *Backscatter) sum() (x returnedMails) {
	for _, h := range b.Halves {
		x.Mails += h.Mails
		x.Returned += h.Returned
		x.Refused += h.Refused
		x.Callouts += h.Callouts
	}
	return x
}

// many reports whether the server returns too much. A verifier of senders has its callouts refused
// as often as accepted, and sends no mail for most of the accepted ones.
func (b *Backscatter) many() bool {
	x := b.sum()
	switch {
	case x.Returned*backscatterShare <= x.Mails, x.Returned-x.Refused < 3*x.Callouts:
		return false
	case x.Mails >= backscatterLeast:
		return true
	}
	return x.Returned >= backscatterFew && x.Refused >= 3 &&
		x.Refused*backscatterRefused >= x.Returned
}

// verdict is suspect: the server is no bot, and does what it was told to do.
func (b *Backscatter) verdict(now int64) verdict.Verdict {
	x := b.sum()
	return verdict.Verdict{Class: verdict.Backscatter, Level: verdict.Suspect, Code: "bounces",
		Time: now, Value: float64(x.Returned) / float64(x.Mails), Threshold: 1. / backscatterShare,
		Text: fmt.Sprintf("%d of %s within a day had no sender (MAIL FROM:<>), and %d of these "+
			"were refused: it returns mail that others brought to senders that did not send it.",
			x.Returned, verdict.Plural(x.Mails, "mail"), x.Refused)}
}
