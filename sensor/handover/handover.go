// Package handover looks at the mail that one host of ours hands to mail servers of ours, and says
// when it is not the mail of such a host.
//
// To be welcome at the own server proves nothing: it accepts mail from all of us. What an honest
// host hands over has one property that the mail of a bot does not have: one end is ours.
//
//	people, applications, copiers          few senders, anybody's recipients
//	newsletters, ticket systems            one sender, recipients of many domains
//	gateways, load balancers, connectors   senders of many domains, our recipients
//	a bot                                  senders of many domains, recipients of many domains
//
// Mailing lists and forwarding servers pass on mail of strangers to strangers. They take in what
// they hand over, and the caller leaves them out: nobody brings mail to a bot.
//
// A domain is ours if it is configured, if strangers of several networks deliver mail for it, or if
// it is the domain of the server itself. Where nothing is configured, twice as many domains of
// recipients are needed.
//
// Refusals of the own server count if the refused mail has no end of ours either. Mail from
// strangers to recipients of ours that is refused comes through each gateway; it counts if the host
// never gives a full name and half of the mail is refused: no gateway for all the world does so.
//
// The package does not judge: mail that is of such a host is judged by the detectors (package
// detect) as mail to a server outside.
package handover

import (
	"slices"

	"spamsensor/sensor/sketch"
)

// Mail is one transaction with a mail server of ours.
type Mail struct {
	// Time is the end of the transaction, in ns since 1970.
	Time int64
	// Sender is the hash of the domain of the sender, zero for the null sender.
	Sender uint32
	// Local says that the sender is ours.
	Local bool
	// Helo is the name that the client gave, Hash its hash, Full whether it is a full name.
	Helo string
	Hash uint32
	Full bool
	// Accepted says that the server accepted the message, Refused that it refused the mail for a
	// reason that lies in the client or the mail.
	Accepted, Refused bool
	// Content says that the message was refused, and not its sender.
	Content bool
	// Fresh says that the sender is new for the host within a day; Add sets it.
	Fresh bool
	// Relays says that the server sends mail to servers outside.
	Relays bool
	Rcpts  []Recipient
}

// Recipient is a recipient of a Mail.
type Recipient struct {
	// Domain is the hash of its domain.
	Domain uint32
	// Local says that the domain is ours, Foreign that it certainly is not. Neither is set if it is
	// not known.
	Local, Foreign bool
	// Accepted, Refused and Unknown are the reply: a refusal counts if its reason lies in the
	// client or the mail, and Unknown says that there is no such recipient.
	Accepted, Refused, Unknown bool
}

// Strange reports whether no end of the mail is ours.
func (m *Mail) Strange() bool {
	return m.Sender != 0 && !m.Local &&
		slices.ContainsFunc(m.Rcpts, func(r Recipient) bool { return !r.Local })
}

// wasRefused reports whether the mail was refused, or each of its recipients.
func (m *Mail) wasRefused() bool {
	return !m.Accepted && (m.Refused ||
		slices.ContainsFunc(m.Rcpts, func(r Recipient) bool { return r.Refused || r.Unknown }))
}

// The thresholds, of domains within a day. Ten senders are those of the detector for mail to
// servers outside. Ten recipients' domains that are certainly not ours are more than people write
// to who forward mail by hand; twenty are needed if none is known to be ours.
const (
	ManySenders    = 10
	ManyRecipients = 10
	ManyUnsure     = 20
	// fewMails is how many mails must have been refused.
	fewMails = 20
)

const (
	maxSenders    = 16
	maxRecipients = 32
	// maxHeld bounds the mails that wait until there are enough to judge them, and maxRcpts the
	// recipients of each.
	maxHeld, maxRcpts = 32, 8
	day               = 86400 // seconds
)

// Log is what a host handed over within a day. The zero value is empty. It takes at most about
// eight kilobytes.
type Log struct {
	// Domains of senders and recipients of strange mail: of all of it, and of what the server
	// passes on.
	triedSenders, senders [maxSenders]sketch.Slot
	triedRcpts, rcpts     [maxRecipients]sketch.Slot
	held                  []Mail
	since                 uint32 // begin of the day that the counts are for
	mails                 uint32 // of this day
	strange               uint32 // of these, mails with no end of ours
	refused               uint32 // of these, the refused ones
	received              uint32 // mails from strangers, whoever is to get them
	turnedAway            uint32 // of these, the refused ones
	named, fullNamed      uint32 // mails with a name, and with a full one
	certain               bool   // what is ours is configured
	open                  bool   // the mails are judged
}

// Add takes in a mail, and returns the mails that are to be judged now. The result is valid until
// the next call. The Log keeps the mail.
func (l *Log) Add(m *Mail) []Mail {
	now := sketch.Stamp(m.Time)
	if now > l.since && now-l.since >= day {
		*l = Log{since: now, held: l.held[:0], triedSenders: l.triedSenders, senders: l.senders,
			triedRcpts: l.triedRcpts, rcpts: l.rcpts}
	}
	m.Rcpts = m.Rcpts[:min(len(m.Rcpts), maxRcpts)]
	l.count(m, now)
	if m.Sender == 0 || m.Local || !m.Strange() && !l.hasNoName() {
		return nil
	}
	if len(l.held) >= maxHeld {
		l.held = slices.Delete(l.held, 0, 1)
	}
	l.held = append(l.held, *m)
	l.open = l.open || l.relays(now) || l.isRefused(now) || l.isTurnedAway(now)
	if !l.open {
		return nil
	}
	due := l.held
	l.held = l.held[:0]
	return due
}

// count counts a mail.
func (l *Log) count(m *Mail, now uint32) {
	sketch.Increment(&l.mails)
	if m.Helo != "" {
		sketch.Increment(&l.named)
	}
	if m.Full {
		sketch.Increment(&l.fullNamed)
	}
	if m.Sender == 0 || m.Local {
		return
	}
	_, m.Fresh = sketch.AddRecent(l.triedSenders[:], m.Sender, now, day)
	sketch.Increment(&l.received)
	if m.wasRefused() {
		sketch.Increment(&l.turnedAway)
	}
	if m.Strange() {
		sketch.Increment(&l.strange)
		if m.wasRefused() {
			sketch.Increment(&l.refused)
		}
	}
	for _, r := range m.Rcpts {
		if r.Local {
			continue
		}
		l.certain = r.Foreign
		sketch.AddRecent(l.triedRcpts[:], r.Domain, now, day)
		if r.Accepted && m.Accepted && m.Relays {
			sketch.AddRecent(l.senders[:], m.Sender, now, day)
			sketch.AddRecent(l.rcpts[:], r.Domain, now, day)
		}
	}
}

// manyRecipients is how many domains of recipients are many.
func (l *Log) manyRecipients() int {
	if l.certain {
		return ManyRecipients
	}
	return ManyUnsure
}

// relays reports whether the server passes on mail of many strangers to many strangers.
func (l *Log) relays(now uint32) bool {
	return sketch.CountRecent(l.senders[:], now, day) >= ManySenders &&
		sketch.CountRecent(l.rcpts[:], now, day) >= l.manyRecipients()
}

// isRefused reports whether most of the mail has no end of ours, and the server refuses most of it.
func (l *Log) isRefused(now uint32) bool {
	return l.refused >= fewMails && l.refused*2 >= l.strange && l.strange*2 >= l.mails &&
		sketch.CountRecent(l.triedSenders[:], now, day) >= ManySenders &&
		sketch.CountRecent(l.triedRcpts[:], now, day) >= l.manyRecipients()
}

// hasNoName reports whether the host never gave a full name.
func (l *Log) hasNoName() bool { return l.named > 0 && l.fullNamed == 0 }

// isTurnedAway reports whether half of many mails from many strangers are refused, and the host has
// no name.
func (l *Log) isTurnedAway(now uint32) bool {
	return l.turnedAway >= fewMails && l.turnedAway*2 >= l.received && l.hasNoName() &&
		sketch.CountRecent(l.triedSenders[:], now, day) >= ManySenders
}

// Reach is how many domains of strangers the host reaches through the server within a day, zero as
// long as that proves nothing. certain says that what is ours is configured.
func (l *Log) Reach(now int64) (domains int, certain bool) {
	at := sketch.Stamp(now)
	if !l.relays(at) {
		return 0, l.certain
	}
	return sketch.CountRecent(l.rcpts[:], at, day), l.certain
}
