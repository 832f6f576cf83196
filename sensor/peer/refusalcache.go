package peer

import (
	"bytes"

	"spamsensor/flowtable"
	"spamsensor/sensor/dns"
	"spamsensor/smtpsniff"
	"spamsensor/smtpsniff/heloname"
	"spamsensor/smtpsniff/mailname"
	"spamsensor/smtpsniff/refusal"
)

// GreetingName returns the name in a server's greeting (RFC 5321, section 4.2: it is the first
// word) in the spelling of package mailname, empty if there is none.
func GreetingName(banner []byte) string {
	var buf [256]byte
	word, _, _ := bytes.Cut(banner, []byte{' '})
	name := string(mailname.AppendDomain(buf[:0], word))
	if heloname.Classify(name) == heloname.Full {
		return name
	}
	return ""
}

// cachedReason is what the text of a refusal says. Servers repeat their texts, so each is parsed
// once.
type cachedReason struct {
	hash   uint64 // hash of code and text
	reason refusal.Reason
	// If the text names a blocklist or an address:
	text  string
	cited refusal.Citation
}

// RefusalCache holds what the texts of refusals say. It has 256 slots, and a text replaces another
// one in its slot: a provider has a few dozen texts.
type RefusalCache struct {
	Secret  *flowtable.Secret // of the hashes
	entries [256]cachedReason
}

// entry returns what a text says.
func (s *RefusalCache) entry(code uint16, enhanced smtpsniff.Enhanced, text []byte) *cachedReason {
	// The code is part of the hash: the same text can come with 450 and 550.
	hash := s.Secret.HashBytes(text) ^ uint64(code)<<32 ^
		uint64(enhanced.Subject)<<16 ^ uint64(enhanced.Detail)
	c := &s.entries[hash%uint64(len(s.entries))]
	if c.hash == hash && (c.text == "" || c.text == string(text)) {
		return c
	}
	*c = cachedReason{hash: hash, text: string(text)}
	c.reason = refusal.Classify(code, Enhanced(enhanced), c.text)
	c.cited = refusal.Cite(c.reason, c.text)
	if c.cited.List == "" && len(c.cited.Addrs) == 0 {
		c.text, c.cited = "", refusal.Citation{}
	}
	return c
}

// Reason parses a refusal of a session. The citation and the text may be shown to the
// administrator; the text is empty if it names no blocklist and no address.
func (s *RefusalCache) Reason(session *smtpsniff.Session,
	ev *smtpsniff.Event) (reason refusal.Reason, cited refusal.Citation,
	text string) {
	c := s.entry(ev.Code, ev.Enhanced, ev.Text)
	reason, cited, text = c.reason, c.cited, c.text
	if text == "" {
		return reason, cited, text
	}
	// The shown text has no addresses of users. A blocklist that only the full text names is
	// reported as hidden.
	if string(ev.Redacted) != text {
		text = string(ev.Redacted)
		if cited.List != "" && refusal.Cite(reason, text).List != cited.List {
			cited.List = refusal.HiddenList
		}
	}
	if session != nil {
		cited = DropHelpLink(cited, session.Banner())
	}
	return reason, cited, text
}

// Shown returns the reason of a refusal by its shown text, and the blocklist that the text names,
// empty if it names none. banner is the server's greeting.
func (s *RefusalCache) Shown(r smtpsniff.Refusal, text, banner []byte) (why refusal.Reason,
	list string) {
	c := s.entry(r.Code, r.Enhanced, text)
	return c.reason, DropHelpLink(c.cited, banner).List
}

// DropHelpLink drops a list that is only the host of a link to the server's own help, by the name
// in its greeting: Gmail's support.google.com is no blocklist.
func DropHelpLink(c refusal.Citation, banner []byte) refusal.Citation {
	if !c.Link {
		return c
	}
	name := GreetingName(banner)
	if name != "" && dns.Registered(name) == dns.Registered(c.List) {
		c.List, c.Link = "", false
	}
	return c
}

// Enhanced converts an enhanced status code (RFC 3463: class, subject, detail).
func Enhanced(e smtpsniff.Enhanced) [3]uint16 { return [3]uint16{e.Class, e.Subject, e.Detail} }
