package refusal

import "strings"

// detail is the subject and the detail of an enhanced status code, without its class (RFC 3463).
type detail [2]uint16

// clear are the codes that say the reason whatever the text says. Beside RFC 3463, RFC 7372 and the
// registry of RFC 5248 these are Microsoft's codes from 7.50 on.
var clear = map[detail]Reason{
	{1, 7}: SenderRejected, {1, 8}: SenderRejected,
	{2, 2}: MailboxFull, {2, 3}: TooBig, {3, 4}: TooBig,
	{7, 139}: LoginFailed,
	{7, 10}:  WantsTLS, {7, 11}: WantsTLS, {7, 57}: WantsLogin,
	{7, 20}: DKIM, {7, 21}: DKIM, {7, 22}: DKIM, {7, 23}: SPF, {7, 24}: SPF, {7, 25}: NoReverse,
	{7, 28}: Reputation, {7, 31}: DMARC, {7, 32}: DMARC, {7, 40}: DMARC,
	{7, 54}: NoRelaying, {7, 64}: NoRelaying, {7, 124}: Policy, {7, 133}: Policy,
	{7, 134}: Policy, {7, 135}: Policy, {7, 136}: Policy,
	{7, 232}: RateLimited, {7, 233}: RateLimited, {7, 236}: RateLimited, {7, 705}: RateLimited,
	{7, 501}: Reputation, {7, 502}: Reputation, {7, 503}: Reputation, {7, 508}: RateLimited,
	{7, 509}: DMARC, {7, 511}: Reputation, {7, 515}: DMARC, {7, 650}: Reputation,
	{7, 651}: Reputation, {7, 652}: Reputation, {7, 708}: Reputation, {7, 750}: Reputation,
}

// banned is the range of Microsoft's codes for addresses that it bans.
const bannedFirst, bannedLast = 606, 649

// vague are the codes that say the reason if the text does not.
var vague = map[detail]Reason{
	{1, 1}: UserUnknown, {1, 2}: UserUnknown, {1, 3}: ProtocolError, {1, 6}: UserMoved,
	{1, 10}: NoMail, {2, 1}: MailboxDisabled, {3, 1}: ReceiverTrouble, {3, 2}: Busy,
	{3, 5}: ReceiverTrouble, {4, 3}: ReceiverTrouble, {4, 4}: ReceiverTrouble, {4, 5}: Busy,
	{5, 1}: ProtocolError, {5, 2}: ProtocolError, {5, 3}: TooManyRecipients, {5, 4}: ProtocolError,
	{6, 0}: SpamSeen, {7, 13}: MailboxDisabled, {7, 17}: UserMoved, {7, 18}: UserMoved,
	{7, 0}: Policy, {7, 1}: Policy, {7, 26}: SenderPolicy, {7, 27}: SPF, {7, 29}: SenderPolicy,
	{7, 30}: DKIM,
}

// byCode are the reply codes that say the reason if nothing else does (RFC 5321, RFC 4954, RFC
// 7504).
var byCode = map[uint16]Reason{421: Busy, 452: MailboxFull, 500: ProtocolError, 501: ProtocolError,
	502: ProtocolError, 503: ProtocolError, 504: ProtocolError, 521: NoMail, 530: WantsLogin,
	535: LoginFailed, 551: UserMoved, 552: MailboxFull, 555: ProtocolError, 556: NoMail}

// Classify is why a server refused: by the enhanced code where that is clear, else by the text,
// else by the codes. A text has one reason. The time is bounded by the length of the text.
func Classify(code uint16, enhanced [3]uint16, text string) Reason {
	return read(text).classify(code, enhanced)
}

// classify asks in the order of how sure an answer is: the receiver's own trouble explains
// everything else, a clear code the text, and words about one thing come before a general word.
func (r *reading) classify(code uint16, enhanced [3]uint16) Reason {
	d := detail{enhanced[1], enhanced[2]}
	if r.lookupFailed() {
		return ReceiverTrouble
	}
	if reason, ok := r.match(before, code); ok {
		return reason
	}
	if reason, ok := r.proof(d); ok {
		return reason
	}
	if enhanced[0] != 0 {
		if reason, ok := clear[d]; ok {
			return reason
		}
		// Yahoo has 5.7.9 for refusals of mail, and RFC 4954 for those of AUTH.
		if (d == detail{7, 8} || d == detail{7, 9}) && (code/10 == 53 || code == 454 || code == 0) {
			return LoginFailed
		}
		if d[0] == 7 && d[1] >= bannedFirst && d[1] <= bannedLast {
			return Reputation
		}
	}
	if reason, ok := r.aboutClient(code, d); ok {
		return reason
	}
	for _, rules := range [...][]rule{login, opinion, amounts, recipient, listed} {
		if reason, ok := r.match(rules, code); ok {
			return reason
		}
	}
	if r.has(refusing) && r.asksList() {
		return Blocklisted
	}
	if reason, ok := r.match(content, code); ok {
		return reason
	}
	if r.ownOpinion() {
		return Reputation
	}
	return r.fallback(code, enhanced)
}

// lookupFailed reports whether the server could not ask a blocklist. Lists answer so who asks them
// in a way that they do not allow: 127.255.255.252 to .255 (Spamhaus), links to an explanation.
func (r *reading) lookupFailed() bool {
	return strings.Contains(r.low, "127.255.255.") || strings.Contains(r.low, "/returnc/") ||
		strings.Contains(r.low, "refused.shtml")
}

// proof is for refusals because of SPF, DKIM or DMARC. A text that names one of them beside DMARC
// explains how that failed; one that names SPF and DKIM wants either.
func (r *reading) proof(d detail) (Reason, bool) {
	if d == (detail{7, 28}) || d == (detail{7, 29}) || !r.has(failing) || r.has(unproved) {
		return Other, false
	}
	spf, dkim := r.has(spfWords) || strings.Contains(r.low, "open-spf.org") ||
		strings.Contains(r.low, "openspf."), r.has(dkimWords)
	switch {
	case r.has(dmarcWords), d == detail{7, 32}:
		return DMARC, true
	case spf && dkim:
		return SenderPolicy, true
	case spf:
		return SPF, true
	case dkim:
		return DKIM, true
	case r.has(unauthenticated):
		return SenderPolicy, true
	}
	return Other, false
}

var (
	unproved        = list(`not checked, spf pass, spf ok, dkim pass`)
	spfWords        = list(`spf, spf1, spf01, sender policy framework`)
	dkimWords       = list(`dkim, domainkeys`)
	dmarcWords      = list(`dmarc`)
	unauthenticated = list(`sender is unauthenticated, unauthenticated email,
		unauthenticated domain, is unauthenticated, not authenticated domain,
		no authentication information, multiple authentication checks`)
	tls    = list(`tls`)
	rated  = list(`limit, rate, quota, frequency`)
	denied = list(`recipient address rejected access denied`)
	// refusing are the words of a refusal that a link to a list explains.
	refusing = list(`blocked, rejected, refused, denied, not accepted`)
	// tied are the words that tie a link to a list, whose name may be no host.
	tied    = list(`blocked using, blocked by, blacklisted, listed at, listed in, listed on, rbl`)
	further = list(`later, again`)
)

// aboutClient is for refusals because of the client's or the sender's address or name, and of
// lists that name them.
func (r *reading) aboutClient(code uint16, d detail) (Reason, bool) {
	if reason, ok := r.match(sender, code); ok {
		return reason, true
	}
	switch name, _ := r.list(); {
	case domainList(name):
		return ListedLink, true
	case strings.Contains(name, "backscatter"):
		return Backscatter, true
	case name != "" && (rangeList(name) || strings.Contains(r.low, "/pbl")):
		return DynamicRange, true
	case name != "" && !r.has(notList):
		return Blocklisted, true
	}
	if reason, ok := r.match(links, code); ok {
		return reason, true
	}
	if r.has(tied) && r.asksList() {
		return Blocklisted, true
	}
	if d == (detail{4, 1}) && r.has(denied) { // Microsoft's directory does not know the recipient
		return UserUnknown, true
	}
	return r.match(client, code)
}

// notList are words after which a host name is no list of addresses.
var notList = list(`not listed, delisted`)

// asksList reports whether a link asks a list about an address.
func (r *reading) asksList() bool {
	for _, l := range r.links {
		asks := strings.Contains(l, "query") || strings.Contains(l, "lookup") ||
			strings.Contains(l, "ip=") || strings.Contains(l, "?")
		if asks && listLike(linkHost(l)) {
			return true
		}
	}
	return false
}

// ownOpinion reports whether a link leads to a provider's page about the client's address.
func (r *reading) ownOpinion() bool {
	for _, l := range r.links {
		for _, host := range [...]string{"ipcheck.proofpoint.com", "csi.cloudmark.com",
			"sender.office.com", "senderscore.", "talosintelligence.com"} {
			if strings.Contains(l, host) {
				return true
			}
		}
	}
	return strings.Contains(r.low, "tosa@rx.t-online.de")
}

// fallback is for texts without a phrase that says more.
func (r *reading) fallback(code uint16, enhanced [3]uint16) Reason {
	d := detail{enhanced[1], enhanced[2]}
	// A server that asks for a later attempt, and gives a rule as the only reason, greylists.
	if code/100 == 4 && enhanced[0] == 4 && d == (detail{7, 1}) && r.has(further) &&
		!r.has(unavailable) {
		return Greylisted
	}
	switch {
	case d == (detail{7, 29}) && r.has(tls), d == (detail{7, 30}) && r.has(tls):
		return WantsTLS
	case d == (detail{4, 5}) && r.has(rated):
		return RateLimited
	}
	reason, ok := vague[d]
	if enhanced[0] == 0 {
		ok = false
	}
	// The subjects 3 and 4 are the system and the network: the text may say what is wrong there.
	if ok && reason != Policy && d[0] != 3 && d[0] != 4 {
		return reason
	}
	if found, has := r.match(trouble, code); has {
		return found
	}
	if found, has := r.match(last, code); has && !ok {
		return found
	}
	switch {
	case ok:
		return reason
	case enhanced[0] == 4 && enhanced[1] == 3: // state of the mail system (RFC 3463, 3.4)
		return ReceiverTrouble
	}
	return byCode[code]
}

var unavailable = list(`unavailable, not available, busy, problem, error`)
