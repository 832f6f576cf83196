package refusal

import "strings"

// Reason is why a server refused, as far as its reply shows. Bounce processors distinguish these
// kinds (Sisimai has 29); the phrases are this package's own.
type Reason uint8

// The reasons.
const (
	Other        Reason = iota
	Greylisted          // a later attempt will succeed
	Busy                // too many connections, too fast, no resources now
	MailboxFull         // the recipient's
	TooBig              // the message
	NoReverse           // the client's address has no name, or one that does not match
	DynamicRange        // the client's address belongs to a range that should not send mail
	SenderPolicy        // SPF, DKIM, DMARC, a sender domain that does not exist
	WantsTLS            // the server asks for STARTTLS
	UserUnknown         // no such recipient
	NoRelaying          // the server does not relay for this client
	WantsLogin          // authentication required
	LoginFailed         // authentication failed
	Blocklisted         // the client is on a blocklist
	SpamSeen            // the message, or the client's reputation
	Reasons             // number of reasons
)

// String is the reason in a few words.
func (c Reason) String() string {
	return [...]string{"other", "greylisted", "busy", "mailbox full", "too big", "no reverse name",
		"dynamic address", "sender policy", "encryption required",
		"unknown user", "no relaying", "authentication required", "authentication failed",
		"on a blocklist", "spam"}[c]
}

// Neutral reports whether a refusal is no evidence of an infection: honest senders get refusals for
// this reason every day.
func (c Reason) Neutral() bool { return c >= Greylisted && c <= WantsTLS }

// enhancedReasons maps subject and detail of an enhanced status code (RFC 3463, RFC 7372, RFC 7505)
// to a reason.
var enhancedReasons = map[[2]uint16]Reason{
	{1, 1}: UserUnknown, {1, 2}: UserUnknown, {1, 6}: UserUnknown, {1, 10}: UserUnknown,
	{2, 1}: UserUnknown, {1, 8}: SenderPolicy, {1, 7}: SenderPolicy,
	{2, 2}: MailboxFull, {2, 3}: TooBig, {3, 4}: TooBig, {3, 2}: Busy, {4, 5}: Busy, {3, 1}: Busy,
	{7, 8}: LoginFailed, {7, 9}: LoginFailed, {7, 27}: SenderPolicy,
	{7, 20}: SenderPolicy, {7, 21}: SenderPolicy, {7, 22}: SenderPolicy, {7, 23}: SenderPolicy,
	{7, 24}: SenderPolicy, {7, 26}: SenderPolicy, {7, 25}: NoReverse,
}

// phrases are searched in this order.
var phrases = []struct {
	reason Reason
	any    []string
}{
	{Greylisted, []string{"greylist", "graylist", "grey list", "try again in", "come back later",
		"postgrey"}},
	{DynamicRange, []string{"pbl.", "/pbl", "dynamic ip", "dynamic address", "dynamic range",
		"dial-up", "dialup", "dul.", "residential ip", "dynamically assigned", "dynamic pool"}},
	{Blocklisted, []string{"blocklist", "blacklist", "block list", "black list", "dnsbl", "rbl",
		"blocked using", "listed at", "listed in", "listed on", "listed by", "is listed",
		"spamhaus", "spamcop", "barracuda", "sorbs.net"}},
	{NoReverse, []string{"reverse dns", "reverse lookup", "reverse hostname", "rdns", "ptr record",
		"ptr resource", "no ptr", "cannot find your hostname", "cannot find your reverse"}},
	{SenderPolicy, []string{"spf ", "spf:", "spf-", "dkim", "dmarc", "domain of sender address",
		"sender address rejected: domain", "sender domain must", "sender verify failed",
		"domain not found", "domain does not exist"}},
	{WantsTLS, []string{"starttls", "must use tls", "encryption required", "tls required",
		"requires tls"}},
	{NoRelaying, []string{"relay", "rcpthosts", "not permitted to send", "not a local",
		"local users only", "we do not accept mail for"}},
	{LoginFailed, []string{"authentication failed", "authentication failure",
		"authentication credentials invalid", "incorrect authentication",
		"username and password not accepted", "bad username or password"}},
	{WantsLogin, []string{"authentication required", "authentication is required",
		"must authenticate", "authenticate first", "auth required", "login required",
		"must be authenticated", "not authenticated"}},
	{MailboxFull, []string{"mailbox full", "mailbox is full", "over quota", "quota exceeded",
		"out of storage", "insufficient storage"}},
	// A limit because of earlier mail is no question of resources. Yahoo, Gmail and Outlook set
	// such limits.
	{SpamSeen, []string{"user complaints", "unsolicited mail originating", "due to ip reputation",
		"banned send", "permanently deferred"}},
	{Busy, []string{"too many", "mail too quickly", "mail at a rate", "rate limit", "ratelimit",
		"throttl", "connection limit", "exceeded the", "system resources",
		"temporarily unavailable", "server busy", "load too high",
		"local problem", "local error", "temporary failure", "temporary problem",
		"temporary error"}},
	{UserUnknown, []string{"user unknown", "unknown user", "no such user", "no such recipient",
		"no such mailbox", "does not exist", "doesn't exist", "no mailbox", "mailbox unavailable",
		"mailbox not found",
		"recipient rejected", "recipient address rejected", "unknown recipient",
		"invalid recipient", "unknown address", "user not found", "recipnotfound", "doesn't have a",
		"unrouteable address", "not a valid mailbox", "unknown local"}},
	{SpamSeen, []string{"spam", "reputation", "unsolicited", "bulk", "blocked", "abuse", "virus",
		"malware", "suspicious", "poor sender"}},
}

// Classify is why a server refused: by the enhanced code where that is clear, else by the text,
// else by the reply code.
func Classify(code uint16, enhanced [3]uint16, text string) Reason {
	low := strings.ToLower(text)
	byCode, clear := enhancedReasons[[2]uint16{enhanced[1], enhanced[2]}]
	if enhanced[0] != 0 && clear && byCode != UserUnknown {
		return byCode
	}
	for _, p := range phrases {
		for _, word := range p.any {
			if strings.Contains(low, word) {
				if p.reason == Blocklisted && strings.Contains(low, "not listed") {
					continue
				}
				return p.reason
			}
		}
	}
	switch {
	case enhanced[0] != 0 && clear:
		return byCode
	case enhanced[0] == 4 && enhanced[1] == 3: // state of the mail system (RFC 3463, 3.4)
		return Busy
	case code == 530:
		return WantsLogin
	case code == 535:
		return LoginFailed
	case code == 552, code == 452:
		return MailboxFull
	case code == 551:
		return UserUnknown
	case code == 421:
		return Busy
	}
	return Other
}
