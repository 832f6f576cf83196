package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
)

// no is a refusal: where it is said, and the words. IP stands for the client's public address, NAME
// for the server, RCPT for the recipient, LIST for a blocklist.
type no struct {
	where  phase
	text   string
	listed bool
}

// botRefusals are drawn in proportion to the 26 error lines of Emotet's trace [M] (530 nine times,
// 503 twice, 550, 553, 554, three texts about relaying, two blocklists), written in the words that
// servers of these kinds use.
var botRefusals = []share[no]{
	{9, no{atMail, "530 authentication required", false}},
	{2, no{atMail, "530 5.7.0 Must issue a STARTTLS command first", false}},
	{2, no{atRcpt, "503 5.5.1 Authentication first", false}},
	{1, no{atRcpt, "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", false}},
	{2, no{atRcpt, "554 5.7.1 <RCPT>: Relay access denied", false}},
	{1, no{atRcpt, "550 5.7.1 Relaying denied", false}},
	{1, no{atMail, "550 Authentication is required for relay", false}},
	{2, no{atRcpt, "554 5.7.1 Service unavailable; Client host [IP] blocked using LIST; " +
		"https://LIST/query/IP", true}},
	{1, no{atBanner, "554 NAME ESMTP server not available, Your address is not allowed to use " +
		"our SMTP service", false}},
	{2, no{atMail, "550 SPF Error: please see http://www.openspf.org/Why?ip=IP", false}},
	{3, no{atHelo, "550 Administrative prohibition", false}},
}

// mailRefusals are what a server says to the world on port 25. They are for bots that mail straight
// to the recipients' servers; the shares are an assumption [A].
var mailRefusals = []share[no]{
	{4, no{atRcpt, "550 5.1.1 <RCPT>: Recipient address rejected: User unknown in virtual " +
		"mailbox table", false}},
	{2, no{atRcpt, "550 No such user here", false}},
	{3, no{atRcpt, "554 5.7.1 Service unavailable; Client host [IP] blocked using LIST", true}},
	{1, no{atBanner, "554 NAME Your access to this mail system has been rejected due to the " +
		"sending MTA's poor reputation", false}},
	{2, no{atData, "554 5.7.1 Message rejected as spam", false}},
	{2, no{atRcpt, "450 4.7.1 <RCPT>: Recipient address rejected: Greylisted, try again later",
		false}},
	{1, no{atMail, "550 5.7.1 Client host rejected: cannot find your reverse hostname, [IP]",
		false}},
}

// cleanRefusals happen to everybody.
var cleanRefusals = []share[no]{
	{3, no{atRcpt, "550 5.1.1 <RCPT>: Recipient address rejected: User unknown", false}},
	{3, no{atRcpt, "450 4.7.1 <RCPT>: Recipient address rejected: Greylisted, please try again",
		false}},
	{1, no{atRcpt, "452 4.2.2 Mailbox full", false}},
	{1, no{atData, "451 4.3.0 Temporary local problem, try again later", false}},
}

// lists are blocklists: real names, and one in four that nobody was told of.
func list(r *rand.Rand) string {
	if r.IntN(4) == 0 {
		return oneOf(r, []string{"bl.", "dnsbl.", "rbl.", "black."}) + word(r, 2) + "." +
			oneOf(r, []string{"org", "net", "example"})
	}
	return oneOf(r, []string{"zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org",
		"psbl.surriel.com", "dnsbl.sorbs.net", "ix.dnsbl.manitu.net"})
}

// refused has a talk end in a refusal.
func (t *talk) refused(r *rand.Rand, n no, public netip.Addr, blocklist string) {
	t.refuse, t.listed = n.where, n.listed
	t.reply = fill(n.text, public, t.to.name, blocklist)
	if t.old && n.where == atHelo {
		t.refuse = atMail
	}
}

// fill sets what a text leaves open; the recipient is set when it is known.
func fill(text string, public netip.Addr, name, blocklist string) string {
	return strings.NewReplacer("IP", public.String(), "NAME", name, "LIST", blocklist).Replace(text)
}

// heloStyle is how a bot introduces itself: a function that gives the name for each session.
//
// Ground: half as Emotet, a bare private address that changes (17 in 26 sessions [M]); half by the
// shares of SpamAssassin's published statistics for spam [V]: a single word 14.65 %, an embedded
// address 13 %, localhost 2.14 %, a bare address 1.5 %, *.lan 0.9 %, and the rest a forged full
// name, the hard case.
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
