package smtpsniff

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// last feeds a dialogue that begins with a greeting, and returns all its texts after redaction.
func last(senders bool, lines ...string) string {
	h := &recorder{}
	h.l.ShowSenders = senders
	h.l.Redactor.KnownHost = func(host []byte) bool {
		return strings.HasSuffix(string(host),
			"spamhaus.org")
	}
	h.l.Redactor.ListName = func(text []byte) string {
		_, list, _ := strings.Cut(string(text), "blocked using ")
		return strings.TrimRight(list, ".")
	}
	h.s = h.l.New(false, false)
	for _, line := range append([]string{"S: 220 mx.example.net ESMTP", "C: EHLO pc.example.org",
		"S: 250 mx.example.net"}, lines...) {
		h.feed(sideOf(line[0]), []byte(line[3:]+"\r\n"))
	}
	h.l.Finish(h.s)
	var b strings.Builder
	h.s.Refusals(func(r Refusal, text []byte) { fmt.Fprintf(&b, "%d %s\n", r.Code, text) })
	fmt.Fprintf(&b, "last %s\n", h.l.LastReply(h.s))
	fmt.Fprintf(&b, "banner %s helo %s\n", h.s.Banner(), h.s.Helo())
	for _, e := range h.l.Events {
		fmt.Fprintf(&b, "shown %s\n", e.Redacted)
	}
	return b.String()
}

// quotations are forms in which servers write the address of a person; only the local part counts.
// The first are of Postfix, pypolicyd-spf, sendmail, Exim, qmail, Exchange, and large providers.
var quotations = []string{
	"5.1.1 <LOCAL@DOMAIN>: Recipient address rejected: User unknown in virtual mailbox table",
	"5.7.1 <LOCAL@DOMAIN>: Sender address rejected: not owned by user LOCAL",
	"5.7.23 Message rejected due to: SPF fail - not authorized. Please see http://www.openspf.net/Why?s=mfrom;id=LOCAL%40DOMAIN;ip=203.0.113.9;r=mx.example.net",
	"see https://www.openspf.org/Why?id=LOCAL%2540DOMAIN&ip=203.0.113.9",
	"5.1.1 <LOCAL>... User unknown",
	"5.1.1 LOCAL... User unknown",
	"5.1.1 LOCAL: no such user",
	"No such user (LOCAL)",
	"sorry, no mailbox here by the name of LOCAL. (#5.1.1)",
	"The email account LOCAL does not exist",
	"5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; LOCAL@DOMAIN [mx.example.net]",
	"requested action not taken: mailbox unavailable: 'LOCAL'",
	`mailbox "LOCAL" unavailable`,
	"LOCAL (at) DOMAIN unknown", "LOCAL[at]DOMAIN unknown", "LOCAL at DOMAIN unknown", "LOCAL {at} DOMAIN", "LOCAL&#64;DOMAIN",
	"user LOCAL is over quota", "Mailbox,LOCAL,full", "LOCAL,other@DOMAIN refused",
	"<@relay.example:LOCAL@DOMAIN> refused", "LOCAL%DOMAIN@relay.example refused", "DOMAIN!LOCAL refused", "LOCAL+tag@DOMAIN refused",
	"LOCAL=40DOMAIN refused", "SRS0=x=y=DOMAIN=LOCAL@relay.example refused", "prvs=123=LOCAL@DOMAIN refused", "LOCAL (a comment)@DOMAIN",
	"/home/LOCAL/Maildir: quota exceeded", "uid=LOCAL,ou=people not found", "LOCAL.forward: loop", "cannot find LOCAL/inbox", "mailto:LOCAL@DOMAIN",
	"rfc822;LOCAL@DOMAIN", "to=<LOCAL@DOMAIN>, proto=ESMTP", "x-LOCAL-y", "_LOCAL_", "~LOCAL is full",
}

// spellings are forms of a local part.
var spellings = map[string]func(string) string{
	"as it is": func(s string) string { return s }, "upper case": strings.ToUpper, "first letter": func(s string) string { return strings.ToUpper(s[:1]) + s[1:] },
	"quoted": func(s string) string { return `"` + s + `"` }, "escaped": func(s string) string { return s[:1] + `"\` + s[1:] },
	"base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }, "hexadecimal": func(s string) string { return hex.EncodeToString([]byte(s)) },
	"percent signs":    func(s string) string { return fmt.Sprintf("%%%02X%s", s[0], s[1:]) },
	"quoted printable": func(s string) string { return fmt.Sprintf("=%02X%s", s[0], s[1:]) },
}

// betrays reports whether a text has a word of a local part, or the beginning of one.
func betrays(text, local string) bool {
	low := strings.ToLower(text)
	for _, w := range strings.FieldsFunc(local, func(r rune) bool { return strings.ContainsRune(`."\+-_`, r) }) {
		if len(w) < 2 {
			continue
		}
		for _, form := range []string{w, base64.RawStdEncoding.EncodeToString([]byte(w)),
			hex.EncodeToString([]byte(w))} {
			if strings.Contains(low, strings.ToLower(form[:min(len(form), 6)])) {
				return true
			}
		}
	}
	return false
}

// No form of a quotation shows the local part of a sender or a recipient, in the reply to any
// command; with ShowSenders it shows senders.
func TestLocalPartsAreHidden(t *testing.T) {
	n := 0
	for _, local := range []string{"anna", "zacharias.quimby", "x.wolfgang-amadeus", "o_tto99",
		`qxu"zoted\wilma`} {
		for _, q := range quotations {
			for name, spell := range spellings {
				if name == "escaped" && len(local) < 6 || strings.Contains(local, `"`) &&
					(name == "quoted" || name == "escaped") {
					continue // a"\nna are two words, and neither is the local part
				}
				text := strings.ReplaceAll(strings.ReplaceAll(q, "LOCAL", spell(local)), "DOMAIN",
					"corp.example")
				if name == "escaped" {
					text = strings.ReplaceAll(strings.ReplaceAll(q, "LOCAL",
						`"`+strings.ReplaceAll(local, ".", `\.`)+`"`), "DOMAIN", "corp.example")
				}
				path := local
				if strings.Contains(local, `"`) {
					path = `"` + strings.ReplaceAll(strings.ReplaceAll(local, `\`, `\\`), `"`,
						`\"`) + `"`
				}
				for at, lines := range map[string][]string{
					"MAIL": {"C: MAIL FROM:<" + path + "@corp.example> SIZE=5", "S: 550 " + text, "C: QUIT", "S: 221 bye " + text},
					"RCPT": {"C: MAIL FROM:<x1@corp.example>", "S: 250 ok", "C: RCPT TO:<" + path + "@corp.example>", "S: 450 " + text},
					"next": {"C: MAIL FROM:<" + path + "@corp.example>", "S: 250 ok", "C: RCPT TO:<z1@corp.example>", "S: 550-" + text + "\r\n550 " + text},
					"end": {"C: MAIL FROM:<" + path + "@corp.example>", "S: 250 ok", "C: RCPT TO:<z1@corp.example>", "S: 250 ok", "C: DATA", "S: 354 go", "C: hi", "C: .",
						"S: 554 " + text},
					"HELO": {"C: HELO " + path + "@corp.example", "S: 501 " + text},
					"VRFY": {"C: VRFY " + path, "S: 252 " + text, "C: NOOP " + path, "S: 250 ok " + text, "C: MAIL FROM:<x1@corp.example>", "S: 554 " + text},
				} {
					n++
					if got := last(false, lines...); betrays(got, local) {
						t.Errorf("%s, %s: %q is shown as\n%s", at, name, text, got)
						return
					}
					if senders := at == "MAIL" || at == "next" || at == "end" ||
						at == "HELO"; !senders {
						if got := last(true, lines...); betrays(got, local) {
							t.Errorf("%s, senders shown, %s: %q is shown as\n%s", at, name, text,
								got)
							return
						}
					}
				}
			}
		}
	}
	got := last(true, "C: MAIL FROM:<zacharias@corp.example>",
		"S: 550 5.1.8 <zacharias@corp.example>: Sender address rejected")
	if !strings.Contains(got, "zacharias@corp.example") {
		t.Errorf("the sender is not shown: %s", got)
	}
	t.Logf("R13: %d dialogues in which servers quote a local part, none shown (goal 0)", n)
}

// Redacted replies still show why a server refused.
func TestShown(t *testing.T) {
	mail := []string{"C: MAIL FROM:<anna@corp.example>", "S: 250 ok", "C: RCPT TO:<user@x.example>"}
	auth := append([]string{"C: AUTH LOGIN", "S: 334 VXNlcm5hbWU6", "C: amRvZTc3",
		"S: 334 UGFzc3dvcmQ6", "C: c2VzYW1lIG9wZW4=", "S: 235 ok"}, mail...)
	message := append(append([]string{}, mail...), "S: 250 ok", "C: DATA", "S: 354 go",
		"C: Subject: tremendous offer", "C: .")
	for _, c := range []struct {
		before     []string
		text, want string
	}{
		{mail, "550 5.7.1 Service unavailable; Client host [203.0.113.9] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/203.0.113.9",
			"5.7.1 Service unavailable; Client host [203.0.113.9] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/203.0.113.9"},
		{mail, "550 5.1.1 <user@x.example>: Recipient address rejected: User unknown", "5.1.1 <...@x.example>: Recipient address rejected: User unknown"},
		{mail, "450 4.2.0 <user@x.example>: Greylisted for 300 seconds (see http://postgrey.schweikert.ch/help/x.html)",
			"4.2.0 <...@x.example>: Greylisted for 300 seconds (see http://postgrey.schweikert.ch/help/x.html)"},
		{auth, "553 5.7.1 <anna@corp.example>: Sender address rejected: not owned by user jdoe77", "5.7.1 ... Sender address rejected: not owned by ..."},
		{auth, "553 5.7.1 SESAME, is that you, Open? sesame", "5.7.1 ... is that you, ..."},
		{auth, "554 5.7.1 Client host [203.0.113.9] blocked using dnsbl.corp.example", "5.7.1 Client host [203.0.113.9] blocked using dnsbl.corp.example"},
		{auth, "554 5.7.1 blocked using zen.spamhaus.org, mx.example.net said at 2026-11-29", "5.7.1 blocked using zen.spamhaus.org mx.example.net said at ..."},
		{message, "554 5.7.1 Message rejected as spam: subject \"tremendous offer\", http://offer.example/x blocked", "5.7.1 Message rejected as spam: subject ... blocked"},
		{message, "250 2.0.0 Ok: queued as 4F3A2B1", "2.0.0 Ok: queued as ..."},
		{[]string{"C: PASS sesame", "S: 500 what", "C: MAIL FROM:<a@corp.example>"}, "421 4.7.0 too many errors after PASS sesame", "4.7.0 too many errors after ..."},
		{[]string{"C: " + strings.Repeat("word1 word2 xyz ", 9), "S: 500 what", "C: " + strings.Repeat("one two three four five six seven eight nine ten ", 2), "S: 500 no",
			"C: MAIL FROM:<a@corp.example>"}, "554 5.7.1 refused, see https://www.spamhaus.org/lookup?x=word1", "5.7.1 ... https://www.spamhaus.org/..."},
	} {
		got := last(false, append(append([]string{}, c.before...), "S: "+c.text)...)
		if !strings.Contains(got, "last "+c.want+"\n") {
			t.Errorf("%s\n is shown as %s\n want %s", c.text, got, c.want)
		}
	}
}

// Parameters of MAIL and RCPT name persons too: with brackets and without, behind blanks of any
// kind. Parameters about the message are not sensitive.
func TestParametersAreHidden(t *testing.T) {
	for _, mail := range []string{"MAIL FROM:<x1@corp.example> AUTH=zebulon",
		"MAIL FROM:<x1@corp.example>\tAUTH=zebulon", "MAIL FROM:x1@corp.example AUTH=zebulon",
		"MAIL FROM:<x1@corp.example AUTH=zebulon", "MAIL FROM: <x1@corp.example> SIZE=5 AUTH=z+65bulon BODY=7BIT", "MAIL FROM:<> zebulon", "MAIL FROM:<x1@corp.example> ENVID=zebulon"} {
		for _, senders := range []bool{false, true} {
			if got := last(senders, "C: "+mail, "S: 550 zebulon may not", "C: QUIT",
				"S: 221 bye, ZEBULON"); strings.Contains(strings.ToLower(got), "zebul") {
				t.Errorf("%s: %s", mail, got)
			}
		}
	}
	h := play("S: 220 mx", "C: MAIL FROM:<a=b@x.example> SIZE=1 BODY=8BITMIME SMTPUTF8 RET=HDRS",
		"C: RCPT TO:<b=c@x.example> NOTIFY=NEVER")
	if h.s.words.Sensitive() {
		t.Error("a parameter about the message is sensitive")
	}
	addresses := ""
	play("S: 220 mx", `C: MAIL FROM:<anna@x.example AUTH=jdoe`,
		`C: MAIL FROM:< otto@y.example >`).s.Senders(func(a []byte) { addresses += string(a) + "|" })
	if addresses != "anna@x.example|otto@y.example|" {
		t.Errorf("addresses %s", addresses)
	}
}

// A line of a refused message is no HELO, even if it begins like one; behind a refused DATA without
// a message HELO is one.
func TestHeloInARefusedMessage(t *testing.T) {
	mail := []string{"C: MAIL FROM:<a@corp.example>", "S: 250 ok", "C: RCPT TO:<b@x.example>",
		"S: 250 ok", "C: DATA"}
	for _, lines := range [][]string{
		append(mail, "S: 554 no", "C: Helo Zebulon", "S: 250 mx", "C: Mail Zebulon soon",
			"S: 501 no", "C: QUIT", "S: 221 bye Zebulon"),
		append(mail, "S: 554 no", "C: Subject: Zebulon", "S: 500 no", "C: Ehlo Zebulon",
			"S: 250 hello Zebulon", "C: .", "S: 554 what is Zebulon"),
		append(mail, "S: 554 no", "C: Help me, Zebulon", "S: 214 Zebulon", "C: RSET Zebulon",
			"S: 501 Zebulon"),
	} {
		if got := last(true, lines...); strings.Contains(strings.ToLower(got), "zebulo") ||
			!strings.Contains(got, "helo pc.example.org") {
			t.Errorf("%q: %s", lines, got)
		}
	}
	if h := play("S: 220 mx", "C: DATA", "S: 503 no", "C: EHLO a.example",
		"S: 250 mx"); string(h.s.Helo()) != "a.example" {
		t.Errorf("the name is %q", h.s.Helo())
	}
}
