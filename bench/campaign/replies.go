package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
)

// refusal is a refusing reply: the phase of the session, and the text, in which IP stands for the
// client's public address, NAME for the server, RCPT for the recipient and LIST for a blocklist.
type refusal struct {
	phase          phase
	text           string
	namesBlocklist bool
}

// botRefusals are replies to bots on submission ports. The weights are the frequencies in the 26
// error lines of Emotet's trace [M] (530 nine times, 503 twice, 550, 553, 554, three texts about
// relaying, two blocklists); the texts equal the texts of usual servers.
var botRefusals = []share[refusal]{
	{9, refusal{atMail, "530 authentication required", false}},
	{2, refusal{atMail, "530 5.7.0 Must issue a STARTTLS command first", false}},
	{2, refusal{atRcpt, "503 5.5.1 Authentication first", false}},
	{1, refusal{atRcpt, "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
		false}},
	{2, refusal{atRcpt, "554 5.7.1 <RCPT>: Relay access denied", false}},
	{1, refusal{atRcpt, "550 5.7.1 Relaying denied", false}},
	{1, refusal{atMail, "550 Authentication is required for relay", false}},
	{2, refusal{atRcpt, "554 5.7.1 Service unavailable; Client host [IP] blocked using LIST; " +
		"https://LIST/query/IP", true}},
	{1, refusal{atBanner, "554 NAME ESMTP server not available, Your address is not allowed to " +
		"our SMTP service", false}},
	{2, refusal{atMail, "550 SPF Error: please see http://www.openspf.org/Why?ip=IP", false}},
	{3, refusal{atHelo, "550 Administrative prohibition", false}},
}

// mailRefusals are replies on port 25 to bots that send to the recipients' servers. The weights are
// an assumption [A].
var mailRefusals = []share[refusal]{
	{4, refusal{atRcpt, "550 5.1.1 <RCPT>: Recipient address rejected: User unknown in virtual " +
		"mailbox table", false}},
	{2, refusal{atRcpt, "550 No such user here", false}},
	{3, refusal{atRcpt, "554 5.7.1 Service unavailable; Client host [IP] blocked using LIST",
		true}},
	{1, refusal{atBanner, "554 NAME Your access to this mail system has been rejected due to the " +
		"sending MTA's poor reputation", false}},
	{2, refusal{atData, "554 5.7.1 Message rejected as spam", false}},
	{2, refusal{atRcpt, "450 4.7.1 <RCPT>: Recipient address rejected: Greylisted, try again later",
		false}},
	{1, refusal{atMail, "550 5.7.1 Client host rejected: cannot find your reverse hostname, [IP]",
		false}},
}

// cleanRefusals are replies that clean servers get as well.
var cleanRefusals = []share[refusal]{
	{3, refusal{atRcpt, "550 5.1.1 <RCPT>: Recipient address rejected: User unknown", false}},
	{3, refusal{atRcpt, "450 4.7.1 <RCPT>: Recipient address rejected: Greylisted, " +
		"please try again",
		false}},
	{1, refusal{atRcpt, "452 4.2.2 Mailbox full", false}},
	{1, refusal{atData, "451 4.3.0 Temporary local problem, try again later", false}},
}

// randomBlocklist is the name of a blocklist: three in four are real, one in four is invented.
func randomBlocklist(r *rand.Rand) string {
	if r.IntN(4) == 0 {
		return oneOf(r, []string{"bl.", "dnsbl.", "rbl.", "black."}) + word(r, 2) + "." +
			oneOf(r, []string{"org", "net", "example"})
	}
	return oneOf(r, []string{"zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org",
		"psbl.surriel.com", "dnsbl.sorbs.net", "ix.dnsbl.manitu.net"})
}

// refuseWith makes the server refuse the session.
func (t *session) refuseWith(r *rand.Rand, n refusal, public netip.Addr, blocklist string) {
	t.refusePhase, t.namesBlocklist = n.phase, n.namesBlocklist
	t.reply = fillReply(n.text, public, t.to.name, blocklist)
	if t.heloOnly && n.phase == atHelo {
		t.refusePhase = atMail
	}
}

// fillReply replaces IP, NAME and LIST in a text; rcptReply replaces RCPT.
func fillReply(text string, public netip.Addr, name, blocklist string) string {
	return strings.NewReplacer("IP", public.String(), "NAME", name, "LIST", blocklist).Replace(text)
}

// heloStyle draws a bot's style of HELO names: a function that returns the name for each session.
//
// Source: half of the bots are like Emotet, with a bare private address that changes (17 in 26
// sessions [M]); the other half follow SpamAssassin's published statistics for spam [V]: a single
// word 14.65 %, an embedded address 13 %, localhost 2.14 %, a bare address 1.5 %, *.lan 0.9 %, and
// the rest a forged full name, which is the hard case.
func heloStyle(r *rand.Rand, public netip.Addr) (kind string, name func() string) {
	fixed := func(kind, s string) (string, func() string) {
		return kind, func() string { return s }
	}
	if r.IntN(2) == 0 {
		return "changing address", func() string { return fmt.Sprintf("10.0.0.%d", 2+r.IntN(60)) }
	}
	b := public.As4()
	kind = draw(r, share[string]{14.65, "word"}, share[string]{13, "dynamic"},
		share[string]{2.14, "localhost"}, share[string]{1.5, "address"},
		share[string]{0.9, "lan"}, share[string]{67.8, "forged"})
	switch kind {
	case "word":
		return kind, func() string { return word(r, 3) }
	case "dynamic":
		return fixed(kind, fmt.Sprintf("%d-%d-%d-%d.dsl.%s.net", b[0], b[1], b[2], b[3],
			word(r, 2)))
	case "localhost":
		return fixed(kind, "localhost")
	case "address":
		return fixed(kind, public.String())
	case "lan":
		return fixed(kind, "pc"+word(r, 1)+".lan")
	}
	return fixed(kind, "mail."+word(r, 3)+".com")
}
