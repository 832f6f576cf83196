package traffic

import "time"

const ms = time.Millisecond

// The servers, with the words of their documentation and of public captures.
var (
	Postfix = &Server{Banner: "220 %n ESMTP Postfix (Debian/GNU)",
		Ehlo: []string{"%n", "PIPELINING", "SIZE 52428800", "ETRN", "STARTTLS", "AUTH PLAIN LOGIN",
			"ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING"},
		MailOK: "250 2.1.0 Ok", RcptOK: "250 2.1.5 Ok",
		DataOK: "354 End data with <CR><LF>.<CR><LF>", EndOK: "250 2.0.0 Ok: queued as %r",
		Bye: "221 2.0.0 Bye", NoRcpt: "554 5.5.1 Error: no valid recipients",
		NoMail: "503 5.5.1 Error: need MAIL command",
		AuthOK: "235 2.7.0 Authentication successful",
		AuthFail: "535 5.7.8 Error: authentication failed: " +
			"UGFzc3dvcmQ6", Think: [2]time.Duration{1 * ms, 60 * ms}}
	Exim = &Server{Banner: "220 %n ESMTP Exim 4.96 Mon, 06 Jan 2025 09:12:44 +0100",
		Ehlo: []string{"%n Hello %c [%a]", "SIZE 52428800", "8BITMIME", "PIPELINING",
			"PIPECONNECT", "CHUNKING", "STARTTLS", "AUTH PLAIN LOGIN", "PRDR", "HELP"},
		MailOK: "250 OK", RcptOK: "250 Accepted",
		DataOK: "354 Enter message, ending with \".\" on a line by itself", EndOK: "250 OK id=%r",
		Bye: "221 %n closing connection", NoRcpt: "503 Valid RCPT command must precede DATA",
		NoMail: "503 sender not yet given", AuthOK: "235 Authentication succeeded",
		AuthFail: "535 Incorrect authentication data", Think: [2]time.Duration{2 * ms, 90 * ms}}
	Exchange = &Server{
		Banner: "220 %n Microsoft ESMTP MAIL Service ready at Mon, 6 Jan 2025 09:12:44 +0100",
		Ehlo: []string{"%n Hello [%a]", "SIZE 37748736", "PIPELINING", "DSN",
			"ENHANCEDSTATUSCODES", "STARTTLS", "AUTH NTLM LOGIN", "8BITMIME", "BINARYMIME",
			"CHUNKING"},
		MailOK: "250 2.1.0 Sender OK", RcptOK: "250 2.1.5 Recipient OK",
		DataOK: "354 Start mail input; end with <CRLF>.<CRLF>",
		EndOK:  "250 2.6.0 <%r@%n> [InternalId=%r, Hostname=%n] Queued mail for delivery",
		Bye:    "221 2.0.0 Service closing transmission channel",
		NoRcpt: "503 5.5.2 Need rcpt command", NoMail: "503 5.5.2 Need mail command",
		AuthOK:   "235 2.7.0 Authentication successful",
		AuthFail: "535 5.7.3 Authentication unsuccessful",
		Think:    [2]time.Duration{2 * ms, 40 * ms}}
	M365 = &Server{
		Banner: "220 %n Microsoft ESMTP MAIL Service ready at Mon, 6 Jan 2025 08:12:44 +0000 " +
			"[08DD2C1B9C6F0B4C]",
		Ehlo: []string{"%n Hello [%a]", "SIZE 157286400", "PIPELINING", "DSN",
			"ENHANCEDSTATUSCODES", "STARTTLS", "AUTH LOGIN XOAUTH2", "8BITMIME", "BINARYMIME",
			"CHUNKING", "SMTPUTF8"},
		MailOK: "250 2.1.0 Sender OK", RcptOK: "250 2.1.5 Recipient OK",
		DataOK: "354 Start mail input; end with <CRLF>.<CRLF>",
		EndOK: "250 2.6.0 <%r@%d> [InternalId=%r, Hostname=%n] 9153 bytes in 0.182, 49.1 KB/sec " +
			"Queued mail for delivery -> 250 2.1.5",
		Bye:      "221 2.0.0 Service closing transmission channel",
		NoRcpt:   "503 5.5.2 Need rcpt command [%n]",
		NoMail:   "503 5.5.2 Need mail command [%n]",
		AuthOK:   "235 2.7.0 Authentication successful",
		AuthFail: "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria",
		Think:    [2]time.Duration{5 * ms, 120 * ms}}
	Gmail = &Server{Banner: "220 mx.google.com ESMTP %r - gsmtp",
		Ehlo: []string{"mx.google.com at your service, [%a]", "SIZE 157286400", "8BITMIME",
			"STARTTLS", "AUTH LOGIN PLAIN XOAUTH2 OAUTHBEARER", "ENHANCEDSTATUSCODES", "PIPELINING",
			"CHUNKING", "SMTPUTF8"},
		MailOK: "250 2.1.0 OK %r - gsmtp", RcptOK: "250 2.1.5 OK %r - gsmtp",
		DataOK: "354 Go ahead %r - gsmtp", EndOK: "250 2.0.0 OK  1736151164 %r - gsmtp",
		Bye:    "221 2.0.0 closing connection %r - gsmtp",
		NoRcpt: "503 5.5.1 RCPT first. %r - gsmtp",
		NoMail: "503 5.5.1 MAIL first. %r - gsmtp",
		AuthOK: "235 2.7.0 Accepted",
		AuthFail: "535-5.7.8 Username and Password not accepted. For more information, go to\r\n" +
			"535 5.7.8  https://support.google.com/mail/?p=BadCredentials %r - gsmtp",
		Think: [2]time.Duration{5 * ms, 80 * ms}}
	Yahoo = &Server{Banner: "220 %n ESMTP ready",
		Ehlo: []string{"%n", "PIPELINING", "SIZE 41943040", "8BITMIME", "STARTTLS",
			"AUTH PLAIN LOGIN XOAUTH2"},
		MailOK: "250 sender <%m> ok", RcptOK: "250 recipient <%m> ok", DataOK: "354 go ahead",
		EndOK: "250 ok dirdel", Bye: "221 %n", NoRcpt: "503 RCPT TO first",
		NoMail: "503 MAIL FROM first", AuthOK: "235 2.0.0 OK",
		AuthFail: "535 5.7.0 (#AUTH005) Too many bad auth attempts.",
		Think:    [2]time.Duration{5 * ms, 150 * ms}}
	SES = &Server{Banner: "220 email-smtp.amazonaws.com ESMTP SimpleEmailService-d-%r %r",
		Ehlo: []string{"email-smtp.amazonaws.com", "8BITMIME", "STARTTLS", "AUTH PLAIN LOGIN",
			"Ok"},
		MailOK: "250 Ok", RcptOK: "250 Ok", DataOK: "354 End data with <CR><LF>.<CR><LF>",
		EndOK: "250 Ok 0102019%r-000000", Bye: "221 Bye", NoRcpt: "503 Error: need RCPT command",
		NoMail: "503 Error: need MAIL command", AuthOK: "235 Authentication successful.",
		AuthFail: "535 Authentication Credentials Invalid",
		Think:    [2]time.Duration{3 * ms, 60 * ms}}
	Sendmail = &Server{Banner: "220 %n ESMTP Sendmail 8.17.1/8.17.1; Mon, 6 Jan 2025 09:12:44 GMT",
		Ehlo: []string{"%n Hello %c [%a], pleased to meet you", "ENHANCEDSTATUSCODES", "PIPELINING",
			"8BITMIME", "SIZE", "DSN", "AUTH LOGIN PLAIN", "STARTTLS", "DELIVERBY", "HELP"},
		MailOK: "250 2.1.0 <%m>... Sender ok", RcptOK: "250 2.1.5 <%m>... Recipient ok",
		DataOK:   "354 Enter mail, end with \".\" on a line by itself",
		EndOK:    "250 2.0.0 %r Message accepted for delivery",
		Bye:      "221 2.0.0 %n closing connection",
		NoRcpt:   "503 5.0.0 Need RCPT (recipient)",
		NoMail:   "503 5.0.0 Need MAIL before RCPT",
		AuthOK:   "235 2.0.0 OK Authenticated",
		AuthFail: "535 5.7.0 authentication failed",
		Think:    [2]time.Duration{2 * ms, 90 * ms}}
	MailHog = &Server{Banner: "220 mailhog.example ESMTP MailHog",
		Ehlo:  []string{"Hello %c", "PIPELINING", "AUTH PLAIN"},
		NoTLS: true, MailOK: "250 Sender %m ok", RcptOK: "250 Recipient %m ok",
		DataOK: "354 End data with <CR><LF>.<CR><LF>", EndOK: "250 Ok: queued as %r@mailhog",
		Bye: "221 Bye", NoRcpt: "503 no recipients", NoMail: "503 no sender",
		AuthOK: "235 Authentication successful", AuthFail: "535 Authentication failed",
		Think: [2]time.Duration{ms / 5, 2 * ms}}
	// gmailSubmit is Gmail for its customers.
	gmailSubmit = Gmail.greeting("220 %n ESMTP %r - gsmtp", "%n at your service, [%a]")
	// SelfHosted are the servers of domains that have their own.
	SelfHosted = []*Server{Postfix, Postfix, Postfix, Exim, Exim, Exchange, Sendmail}
)

// The programs that send.
var (
	PostfixClient = &Client{Helo: "EHLO", Pipelining: true, Size: true,
		Think: [2]time.Duration{ms / 5, 3 * ms}}
	EximClient = &Client{Helo: "EHLO", Pipelining: true, Size: true, Chunking: true,
		Think: [2]time.Duration{ms / 5, 4 * ms}}
	ExchangeClient = &Client{Helo: "EHLO", Pipelining: true, Size: true, Chunking: true,
		Think: [2]time.Duration{ms / 2, 12 * ms}}
	Outlook     = &Client{Helo: "EHLO", Think: [2]time.Duration{2 * ms, 40 * ms}}
	Thunderbird = &Client{Helo: "EHLO", Size: true, Think: [2]time.Duration{2 * ms, 30 * ms}}
	Phone       = &Client{Helo: "EHLO", Think: [2]time.Duration{5 * ms, 80 * ms}}
	Library     = &Client{Helo: "EHLO", Size: true, Think: [2]time.Duration{ms / 5, 5 * ms}}
	PHPMailer   = &Client{Helo: "EHLO", Think: [2]time.Duration{ms / 5, 3 * ms}}
	Device      = &Client{Helo: "EHLO", Think: [2]time.Duration{10 * ms, 150 * ms}}
	OldDevice   = &Client{Helo: "HELO", Think: [2]time.Duration{10 * ms, 150 * ms}}
	BotEhlo     = &Client{Helo: "EHLO", Think: [2]time.Duration{ms, 60 * ms}}
	BotHelo     = &Client{Helo: "HELO", NoQuit: true, Think: [2]time.Duration{ms, 30 * ms}}
)

// Refusals by kind. The words are those of public documentation and of logs that people published.
var Refusals = map[string][]string{
	"greylist": {
		"450 4.2.0 <%m>: Recipient address rejected: Greylisted, see " +
			"http://postgrey.schweikert.ch/help/%d.html",
		"451 4.7.1 Greylisting in action, please come back later",
		"451 Temporarily greylisted - please try again later.",
		"450 4.7.1 <%m>: Recipient address rejected: Policy Rejection- Please try later.",
		"451 4.7.1 <%m>: Recipient address rejected: Intentional policy rejection, please try " +
			"again later",
		"450 4.7.1 Try again later: you have been greylisted for 300 seconds"},
	"unknown": {
		"550 5.1.1 <%m>: Recipient address rejected: User unknown in virtual mailbox table",
		"550 5.1.1 User unknown", "550 No such user here", "550 Unrouteable address",
		"550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
		"550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n" +
			"550-5.1.1 double-checking the recipient's email address for typos or\r\n" +
			"550 5.1.1  https://support.google.com/mail/?p=NoSuchUser %r - gsmtp"},
	"full": {
		"452 4.2.2 <%m>: Recipient address rejected: Mailbox is full / over quota",
		"552 5.2.2 <%m>: user is over quota",
		"452-4.2.2 The recipient's inbox is out of storage space. Please direct the\r\n" +
			"452-4.2.2 recipient to\r\n" +
			"452 4.2.2  https://support.google.com/mail/?p=OverQuotaTemp %r - gsmtp"},
	"listed": {
		"554 5.7.1 Service unavailable; Client host [%a] blocked using zen.spamhaus.org; " +
			"https://www.spamhaus.org/query/ip/%a",
		"550 5.7.1 Service unavailable, Client host [%a] blocked using Spamhaus. To request " +
			"removal from this list see https://www.spamhaus.org/query/ip/%a (AS3130). [%n]",
		"554 5.7.1 Service unavailable; Client host [%a] blocked using bl.spamcop.net; Blocked - " +
			"see https://www.spamcop.net/bl.shtml?%a",
		"550-\"JunkMail rejected - (%c) [%a] is in an RBL: \r\n" +
			"550 https://www.spamhaus.org/query/ip/%a\"",
		"554 Your IP [%a] is blacklisted at b.barracudacentral.org: " +
			"http://www.barracudanetworks.com/reputation/?pr=1&ip=%a"},
	"spf": {
		"550 5.7.23 <%m>: Recipient address rejected: Message rejected due to: SPF fail - not " +
			"authorized. Please see http://www.openspf.net/Why?s=mfrom;id=x;ip=%a;r=<%m>",
		"550 5.7.1 SPF check failed: %a is not allowed to send mail from this domain",
		"550-5.7.26 This mail has been blocked because the sender is unauthenticated.\r\n" +
			"550-5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM.\r\n" +
			"550 5.7.26  https://support.google.com/mail/answer/81126#authentication %r - gsmtp"},
	"dmarc": {
		"550 5.7.509 Access denied, sending domain does not pass DMARC verification and has a " +
			"DMARC policy of reject. [%n]",
		"550-5.7.26 Unauthenticated email from this domain is not accepted due to domain's\r\n" +
			"550-5.7.26 DMARC policy. Please contact the administrator of the domain if this\r\n" +
			"550 5.7.26  was a legitimate mail. " +
			"https://support.google.com/mail/?p=DmarcRejection %r - gsmtp",
		"554 5.7.1 Email rejected per DMARC policy for the sending domain"},
	"noptr": {
		"550-5.7.25 [%a] The IP address sending this message does not have a PTR\r\n" +
			"550-5.7.25 record setup, or the corresponding forward DNS entry does not point\r\n" +
			"550 5.7.25  to the sending IP. " +
			"https://support.google.com/mail/answer/81126 %r - gsmtp",
		"450 4.7.25 Client host rejected: cannot find your hostname, [%a]",
		"554 5.7.1 <unknown[%a]>: Client host rejected: cannot find your reverse hostname"},
	"rate": {
		"421 4.7.28 Gmail has detected an unusual rate of mail. To protect our users, mail has " +
			"been temporarily rate limited. %r - gsmtp",
		"451 4.7.500 Server busy. Please try again later from [%a]. (S77719) [%n]",
		"421 4.7.0 [TSS04] Messages from %a temporarily deferred due to unexpected volume or " +
			"user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes"},
	"spam": {
		"554 5.7.1 Message contains spam or virus. (Mode: normal)",
		"550 5.7.1 Spam message rejected; If this is not spam contact abuse",
		"554 5.7.1 This message has been blocked because it contains spam (score 14.2)",
		"550-5.7.1 [%a] Our system has detected that this message is likely\r\n" +
			"550-5.7.1 unsolicited mail. To reduce the amount of spam sent to Gmail, this\r\n" +
			"550 5.7.1  message has been blocked. %r - gsmtp"},
	"dynamic": {
		"554 5.7.1 <%c[%a]>: Client host rejected: Dynamic IP addresses are not allowed to send " +
			"mail directly",
		"550-5.7.1 [%a] The IP you're using to send mail is not authorized to\r\n" +
			"550-5.7.1 send email directly to our servers. Please use the SMTP relay at\r\n" +
			"550 5.7.1  your service provider instead. %r - gsmtp"},
	"relay": {
		"554 5.7.1 <%m>: Relay access denied", "550 relay not permitted",
		"550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
		"550 5.7.1 <%m>... Relaying denied"},
	"auth": {"530 5.7.0 Authentication Required", "530 5.7.57 Client not authenticated to send " +
		"mail.", "550 5.7.1 Client was not authenticated", "503 AUTH command must be given first"},
	"busy": {
		"421 4.3.2 Service not available, closing transmission channel",
		"451 4.3.0 Error: queue file write error", "452 4.3.1 Insufficient system storage",
		"421 %n Service not available, too many connections"},
	"size": {"552 5.3.4 Message size exceeds fixed limit"},
}

// Refusal is a refusal of a kind.
func (w *World) Refusal(kind string) string {
	list := Refusals[kind]
	return list[w.R.IntN(len(list))]
}

// greeting is the same server with another banner and answer to EHLO.
func (s *Server) greeting(banner, ehlo string) *Server {
	other := *s
	other.Banner = banner
	other.Ehlo = append([]string{ehlo}, s.Ehlo[1:]...)
	return &other
}
