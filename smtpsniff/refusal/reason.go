package refusal

// Reason is why a server refused, as far as its reply shows. Bounce processors distinguish these
// kinds (Sisimai has 29); the phrases are this package's own. The numbers are kept in checkpoints
// and do not change.
type Reason uint8

// The reasons.
const (
	Other        Reason = iota
	Greylisted          // a later attempt will succeed
	Busy                // the server has no resources now
	MailboxFull         // the recipient's
	TooBig              // the message
	NoReverse           // the client's address has no name, or one that does not match
	DynamicRange        // the client's address belongs to a range that should not send mail
	SenderPolicy        // the sender is not authenticated, in more than one way or unsaid how
	WantsTLS            // the server asks for STARTTLS
	UserUnknown         // no such recipient
	NoRelaying          // the server does not relay for this client
	WantsLogin          // authentication required
	LoginFailed         // authentication failed
	Blocklisted         // the client is on a blocklist
	SpamSeen            // the message is spam, or has a virus

	RateLimited        // too much mail in a time, of the client or to the recipient
	TooManyConnections // of the client
	TooManyRecipients  // of a message
	SPF                // RFC 7208
	DKIM               // RFC 6376
	DMARC              // RFC 7489
	SenderRejected     // the address of MAIL: its domain does not exist, or it was not verified
	BadHelo            // the name of HELO or EHLO
	Reputation         // the receiver's own opinion of the client
	ListedLink         // the message has a link or a sender's domain on a list, not the client
	Backscatter        // bounces to forged senders, or a list of those who send them
	ReceiverTrouble    // the server's own: its disk, its resolver, its filters, maintenance
	ProtocolError      // the command, or the form of the message
	AfterRefusal       // an earlier command of the transaction was refused: no valid recipients
	NoMail             // the server or domain accepts no mail (RFC 7504, RFC 7505)
	UserMoved          // the recipient has another address
	MailboxDisabled    // the recipient's
	Policy             // a rule of the receiver that it does not explain
	Reasons            // number of reasons
)

// names are the reasons in a few words. Events have them with underscores.
var names = [Reasons]string{"other", "greylisted", "busy", "mailbox full", "too big",
	"no reverse name", "dynamic address", "sender policy", "encryption required", "unknown user",
	"no relaying", "authentication required", "authentication failed", "on a blocklist", "spam",
	"rate limited", "too many connections", "too many recipients", "spf", "dkim", "dmarc",
	"sender rejected", "bad helo", "reputation", "listed link", "backscatter", "receiver trouble",
	"protocol error", "earlier command refused", "no mail accepted", "user moved",
	"mailbox disabled", "policy"}

// String is the reason in a few words.
func (c Reason) String() string { return names[c] }

// Neutral reports whether a refusal is no evidence of an infection: honest senders get refusals for
// this reason every day, or it only follows from an earlier refusal.
func (c Reason) Neutral() bool {
	switch c {
	case Greylisted, Busy, MailboxFull, TooBig, NoReverse, DynamicRange, SenderPolicy, WantsTLS,
		RateLimited, TooManyConnections, TooManyRecipients, SPF, DKIM, DMARC, SenderRejected,
		Backscatter, ReceiverTrouble, AfterRefusal:
		return true
	}
	return false
}

// Absent reports whether the recipient is not to be found at the address: a sender that works off a
// list of addresses meets many such.
func (c Reason) Absent() bool { return c == UserUnknown || c == UserMoved || c == MailboxDisabled }

// Stranger reports whether the server does not know the client as one of its users.
func (c Reason) Stranger() bool { return c == NoRelaying || c == WantsLogin || c == LoginFailed }

// AboutMail reports whether the text alone shows that mail or its sender was refused, whatever the
// command was.
func (c Reason) AboutMail() bool {
	switch c {
	case UserUnknown, NoRelaying, WantsLogin, Blocklisted, SpamSeen, Reputation, ListedLink,
		UserMoved, MailboxDisabled:
		return true
	}
	return false
}

// citesList reports whether a blocklist that the text names can be a list of the client's address.
func (c Reason) citesList() bool {
	return c == Blocklisted || c == DynamicRange || c == Backscatter
}
