package refusal

import "strings"

// rule is a row of the grammar: the reason of a text that has one of the phrases any, one of the
// phrases with (if there are some), and none of the phrases not.
type rule struct {
	reason         Reason
	any, with, not phrases
	temporary      bool // for replies of 4xx only
}

// phrases are numbers of phrases. A phrase is a row of whole words of the line, see reading; the
// last word may be the beginning of one, with an asterisk.
type phrases []uint16

// maxPhrases is the number of different phrases that there can be.
const maxPhrases = 768

// vocabulary has the phrases, each with its number, and by their first three bytes. A text is gone
// through once, and the phrases that begin with its words are compared: a search for each phrase
// would take ten times as long.
var vocabulary = struct {
	number map[string]uint16
	begin  map[[3]byte][]string
}{map[string]uint16{}, map[[3]byte][]string{}}

// texts makes phrases of one text, in which they are separated by commas. Each ends with a blank,
// if it does not end within a word.
func texts(text string) (list []string) {
	for p := range strings.SplitSeq(text, ",") {
		list = append(list, strings.TrimSuffix(strings.Join(strings.Fields(p), " ")+" ", "* "))
	}
	return list
}

// list makes phrases of one text, as texts does, and adds them to the vocabulary.
func list(text string) (numbers phrases) {
	v := &vocabulary
	for _, p := range texts(text) {
		n, known := v.number[p]
		if !known {
			n = uint16(len(v.number))
			v.number[p] = n
			v.begin[[3]byte([]byte(p))] = append(v.begin[[3]byte([]byte(p))], p)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// find finds the phrases of the line.
func (r *reading) find() {
	line := r.line.String()
	for i := 0; i >= 0 && i+4 <= len(line); {
		i++ // behind the blank
		for _, p := range vocabulary.begin[[3]byte([]byte(line[i:i+3]))] {
			if strings.HasPrefix(line[i:], p) {
				n := vocabulary.number[p]
				r.found[n/64] |= 1 << (n % 64)
			}
		}
		next := strings.IndexByte(line[i:], ' ')
		if next < 0 {
			break
		}
		i += next
	}
}

// has reports whether the line has one of the phrases.
func (r *reading) has(list phrases) bool {
	for _, n := range list {
		if r.found[n/64]>>(n%64)&1 != 0 {
			return true
		}
	}
	return false
}

// match is the reason of the first rule that applies.
func (r *reading) match(rules []rule, code uint16) (Reason, bool) {
	for i := range rules {
		x := &rules[i]
		if x.temporary && code >= 500 || !r.has(x.any) || x.with != nil && !r.has(x.with) ||
			r.has(x.not) {
			continue
		}
		return x.reason, true
	}
	return Other, false
}

// failing are the words that make the name of a protocol the reason of a refusal.
var failing = list(`fail*, not pass, didnt pass, pass either, not accept*, not accepted, refus*,
	reject*, violat*, invalid, not permit*, not authorized, not allow*, require*, error, policy,
	blocked, denied, aligned, unauthenticated, no passing, no acceptable, no valid, does not,
	lists not, action set, neutral, none`)

// before are the rules that come before a list that the text names: their words explain why the
// list is named, or that it is none.
var before = []rule{
	{reason: ReceiverTrouble, any: list(`open resolver, public resolver, public open resolver,
		excessive number of queries, query refused, queries refused, too many queries,
		query limit exceeded`)},
	{reason: AfterRefusal, any: list(`no valid recipient*, no valid rcpt, no recipients,
		need rcpt, need recipient*, need mail before rcpt, need mail command, need rcpt command,
		rcpt command must precede data, no recipients specified, no recipient specified,
		sender not yet given, need mail from, mail first, rcpt first, all recipients refused,
		all recipients were rejected`)},
	{reason: Greylisted, any: list(`greylist*, graylist*, grey list*, gray list*, greylisted,
		postgrey*, postscreen, address verification in progress, come back in, retry after,
		retry in,
		rechazo temporal, first contact with, please retry in`)},
	{reason: NoMail, any: list(`null mx, nullmx, does not accept mail, does not accept any mail,
		do not accept mail for this domain, not accept email, accepts no mail, no mail accepted`),
		not: list(`from, over ipv6`)},
	{reason: Policy, any: list(`not authenticated when sending to, delivery restriction*,
		allowed senders list, restricted group`)},
	{reason: Backscatter, any: list(`backscatter*, not accept bounces, bounces are not accepted,
		bounce not accepted, no bounces, null sender not accepted, null sender is not`)},
}

// sender are the rules about the sender's address and its proofs.
var sender = []rule{
	{reason: SenderRejected, any: list(`sender verify fail*, sender verify, sender verification,
		domain of sender address, sender domain must, envelope sender domain,
		required for sender address, sender unknown, unknown sender, unauthorized sender address,
		email address is not verified, sender address does not exist, an a or mx record,
		sender domain does not exist, sender domain not found, sender address verification,
		invalid sender, bad sender, sender is invalid, sender address is invalid,
		absender unbekannt, sender not allowed, not owned by user`)},
	{reason: SenderRejected, any: list(`sender address rejected`), not: list(`access denied`)},
}

// client are the rules about the client's address and name that do not depend on a list.
var client = []rule{
	{reason: DynamicRange, any: list(`dynamic ip*, dynamic address*, dynamic range*, dynamic pool*,
		dynamically assigned, dynamischen ip*, dynamische ip*, ip dynamique*, dynamic or, dial up,
		dialup, dialup transient, dial in, residential, relay at your service provider,
		provider smtp, provider mail server, provider mail relay, provider relay, isp mail server,
		isp smtp, isp mail relay, isp relay, smarthost ihres, smarthost deines,
		via your provider*, via your isp*,
		through your provider*, through your isp*, to send email directly, send mail directly,
		transient ip, use a mailgateway, use a smarthost, end user ip, consumer ip, home user*,
		broadband*`), not: list(`not dynamic`)},
	{reason: NoRelaying, any: list(`relay access denied, relaying denied, relay denied,
		unable to relay, cannot relay, relay not permitted, relaying not permitted,
		not permitted to relay, permitted to relay through, not allowed to relay,
		relay not allowed,
		relaying not allowed, relaying is not, relaying prohibited, relay prohibited, rcpthosts,
		relaying to, not relay for, does not relay, do not relay, will not relay, no relaying,
		authorized to be relayed, relay access, relay zugriff, weiterleitung nicht erlaubt,
		relais refuse*, relayage, retransmisi*, delivery is not allowed to this address,
		local users only, not a local domain, non local e mail address, non local address,
		open relay attempt, mail relay denied, relay for this, relaying through this,
		domain not hosted here, we do not accept mail for, not local host`),
		not: list(`sender is open relay, open relay list`)},
	{reason: NoReverse, any: list(`ptr record*, ptr resource*, dns ptr, no ptr, reverse dns,
		reverse lookup, reverse hostname, reverse name, rdns, fcrdns, find your hostname,
		find your reverse, ip name lookup failed, no reverse, missing ptr, ptr check, rueckwaerts*,
		hostname does not resolve, forward dns entry`)},
	{reason: BadHelo, any: list(`helo command rejected, ehlo command rejected, invalid helo*,
		helo name, ehlo name, bad helo, helo host, helo is, ehlo is, in helo, in ehlo,
		helo invalid, helo rejected, your helo, your ehlo, helo ehlo, helo must, forged helo`)},
}

// login are the rules about TLS and authentication of the client.
var login = []rule{
	{reason: LoginFailed, any: list(`authentication failed, authentication unsuccessful,
		authentication failure, credentials invalid, invalid credentials, incorrect authentication,
		username and password not accepted, bad username, wrong password, invalid password,
		incorrect password, invalid login, login failed, authentication rejected,
		smtpclientauthentication is disabled`)},
	{reason: WantsTLS, any: list(`starttls, must use tls, encryption required, encryption needed,
		encryption is required, tls required, requires tls, require tls, tls is required,
		over a tls connection, requires encryption, tls connection required, use tls`)},
	{reason: WantsLogin, any: list(`authentication required, authentication is required,
		must authenticate, authenticate first, auth required, auth first, login required,
		must be authenticated, not authenticated, was not authenticated, requires authentication,
		need to authenticate, authorization required, log in first, need auth,
		smtp auth required`)},
}

// opinion are the rules about the receiver's own opinion of the client.
var opinion = []rule{
	{reason: Reputation, any: list(`reputation, user complaints, unsolicited mail originating,
		unusual rate of unsolicited, permanently deferred, banned sending ip, banned sender*,
		banned ip, unfavorable e mail, too much spam, too many spam*, many spams, spam abuse,
		low credit, ip frequency limited, too many complaints, unusual sending activity,
		traffic not accepted from this ip, s3140, s3150, as7771*, tss04, tss05, ts01, ts02, ts03,
		ts04,
		hme1, cs01, rly b1, pdr, access from ip address, spam rate, spam from your,
		sending spam from, your network is on our, poor sender, senderscore*, senderbase*,
		bad history, spammer*, spamming`), not: list(`nixspam, detected by, ix.dnsbl`)},
}

// listed are the rules for a client on a list that is not named by a host.
var listed = []rule{
	{reason: Blocklisted, any: list(`blocklist*, blacklist*, block list*, black list*, dnsbl*, rbl,
		rbls, rblsmtpd, realtime block, blackhole list*, spamhaus, spamcop, sorbs,
		barracudacentral, uceprotect, abusix, spamrats, schwarze liste, liste noire, lista negra,
		listed at, listed in, listed on, listed by, is listed, deny list, denylist, banned list`),
		not: list(`not listed, delisted, allowed senders list, may be blacklisted,
			blacklisted by recipient, listed in domino directory, not listed in`)},
}

// links are the rules about what the message links to.
var links = []rule{
	{reason: ListedLink, any: list(`blacklisted url*, url in this message, blacklisted link*,
		uribl, surbl, link to, contains a url, contains a link, contains url*, spamvertised,
		blocked url, listed url`), with: list(`list*, blacklist*, block*, uribl, surbl, dbl,
		refus*,
		reject*`)},
}

// amounts are the rules about too much of something.
var amounts = []rule{
	{reason: RateLimited, any: list(`mail at a rate, mail too quickly, too quickly,
		messages too fast,
		rate limit*, rate limited, ratelimit*, rate exceeded, throttl*, frequency limited,
		sending limit*, send limit, sending rate, per hour, this hour, per day, per minute,
		daily limit, hourly limit, daily message quota, max emails, too much mail,
		too many messages, too many mails, too many emails, too many recipients from,
		too many recipients received, trop de messages, zu viele nachrichten, new tls sessions,
		rate control, slow down, limit exceeded, message per connection,
		messages per connection, sent too many, demasiados mensajes`),
		not: list(`size limit exceeded, trop de connexions, too many connections`)},
	{reason: TooManyConnections, any: list(`too many connections, too many concurrent,
		too many open connections, too many sessions, concurrent connections,
		concurrent server connections, concurrent smtp connections, number of connections,
		trop de connexions, connection limit, simultaneous connections, too many simultaneous,
		zu viele verbindungen, maximum number of concurrent`)},
	{reason: TooManyRecipients, any: list(`too many recipients, recipient limit, reciplimit,
		too many rcpt*, maximum number of recipients, zu viele empf*`)},
	{reason: TooBig, any: list(`message size, size limit*, size exceeds, maximum size, too big,
		too large, message length exceeds, file too big, databytes, message exceeds,
		exceeded size`)},
	{reason: MailboxFull, any: list(`mailbox full, mailbox is full, inbox is full, over quota,
		overquota, quota exceeded, exceeded quota, quota of, mailbox quota, out of storage, out of
		storage space, exceeded storage allocation, exceeds storage, storage limit,
		insufficient storage, postfach voll, ist voll, pleine, buzón lleno, buzon lleno, lleno,
		over the allowed quota, quota full, exceeded its quota, mailbox size`)},
}

// recipient are the rules about the recipient.
var recipient = []rule{
	{reason: MailboxDisabled, any: list(`mailbox disabled, mailbox is disabled,
		account is disabled, account disabled, account has been disabled, user disabled,
		account suspended, is suspended, has been suspended, is inactive, account inactive,
		mailbox is inactive, mailbox inactive, account is locked, deactivated, has expired,
		disabled mailbox, mailbox is frozen, currently disabled, discontinued`)},
	{reason: UserMoved, any: list(`user has moved, has moved to, user not local, moved to,
		has changed address, new address, mailbox has moved, recipient has moved`)},
	{reason: UserUnknown, any: list(`user unknown, unknown user, unknown recipient*,
		recipient unknown, recipients unknown, unknown local, unknown address, unknown mailbox,
		no such user, no such user here, no such recipient, no such mailbox, no such address,
		no such person, no such account, user doesnt, user does not, doesnt have a,
		user not found, recipient not found, mailbox not found, address not found,
		account not found, not found by smtp address lookup, could not be found,
		user not exist, not exist, not exists, doesnt exist, does not exist, may not exist,
		no mailbox, mailbox unavailable, mailbox is unavailable, not a valid mailbox,
		invalid recipient*, invalid mailbox, invalid address, invalid user,
		no longer on server,
		unrouteable address, unroutable address, undeliverable address, unknown in,
		cannot deliver mail for, can not deliver, not listed in domino directory,
		no valid user, bad destination mailbox, not our customer, unbekannter empf*,
		empfänger unbekannt, empfaenger unbekannt, unbekannt, inconnu, inconnue,
		destinataire invalide,
		desconocido, no existe, user invalid, is not a valid, no account, user is unknown,
		recipient does not, not a known user, dont know, addressee unknown`),
		not: list(`domain name`)},
}

// content are the rules about the message.
var content = []rule{
	{reason: SpamSeen, any: list(`spam, spamassassin, spam*, virus*, malware, phish*, junk*,
		trojan,
		unsolicited, unwanted, bulk mail, bulk email, suspicious, mail content denied, gtube,
		security issue, security reasons, content presents, content rejected, content filter*,
		infected, bad content, dt spm, attachment, is considered junk, scam`)},
}

// trouble are the rules about the server and the protocol.
var trouble = []rule{
	{reason: ReceiverTrouble, any: list(`disk full, disk space, write error, system storage,
		system resources, insufficient system, resources temporarily, internal resources,
		temporary local, local problem, local error, configuration error, configuration problem,
		milter, maintenance, shutting down, database, timeout, timed out, lookup failure, servfail,
		unable to contact, temporary lookup, temporary server, temporary system, temporary failure,
		temporary problem, temporary error, temporarily rejected, internal error,
		internal server error, error in processing, could not complete, cannot process,
		technical problem*, dns error, dns failure, out of memory, service unavailable,
		currently unavailable, file system, no space left, qq temporary,
		temporarily unavailable`)},
	{reason: Busy, any: list(`too busy, server busy, are busy, is busy, system busy, load average,
		load too high, high load, overloaded, service not available, closing transmission channel,
		try again later, try later, busy`), temporary: true},
	{reason: Busy, any: list(`server busy, too busy, overloaded`)},
	{reason: ProtocolError, any: list(`syntax error, syntax, unrecognized command,
		command unrecognized, command not recognized, not recognized, unknown command,
		command not implemented, not implemented, pipelining, nested mail, bad sequence, out of
		sequence, synchronization error, protocol error, rfc 5322, rfc 2822, rfc 822, line length,
		line too long, too many errors, command is disabled, send hello first, polite people,
		improper
		use, invalid domain name, illegal command, missing a valid, bare lf, bare cr,
		invalid message id, header, command disabled, not available, invalid command`)},
}

// last are the rules for texts that say little: which command was refused, or that one was.
var last = []rule{
	{reason: UserUnknown, any: list(`recipient rejected, address rejected`),
		not: list(`sender address rejected, access denied, policy`)},
	{reason: Policy, any: list(`policy, policies, access denied, administrative prohibition,
		prohibited, not authorized, unauthorized, command rejected, rejected, refused, denied,
		blocked, forbidden, not allowed, not permitted, filtered, banned, abgelehnt, refuse,
		rechazado`)},
}
