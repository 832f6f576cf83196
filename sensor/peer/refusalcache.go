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
	word, _, _ := bytes.Cut(banner, []byte{' '})
	if name := string(mailname.AppendDomain(nil, word)); heloname.Classify(name) == heloname.Full {
		return name
	}
	return ""
}

// cachedReason is what the text of a refusal says. Servers repeat their texts, so each is parsed
// once.
type cachedReason struct {
	hash   uint64 // hash of code and text
	reason refusal.Reason
	// cites says that the text names a blocklist or an address: then it is parsed each time.
	cites bool
}

// RefusalCache holds what the texts of refusals say. It has 256 slots, and a text replaces another
// one in its slot: a provider has a few dozen texts.
type RefusalCache struct {
	Secret  *flowtable.Secret // of the hashes
	entries [256]cachedReason
}

// Reason parses a refusal of a session. The citation and the text may be shown to the
// administrator; the text is empty if it names no blocklist and no address.
func (s *RefusalCache) Reason(session *smtpsniff.Session,
	ev *smtpsniff.Event) (reason refusal.Reason, cited refusal.Citation,
	text string) {
	hash := s.Secret.HashBytes(ev.Text) ^ uint64(ev.Code)<<32 ^
		uint64(ev.Enhanced.Subject)<<16 ^ uint64(ev.Enhanced.Detail)
	// The code is part of the hash: the same text can come with 450 and 550.
	c := &s.entries[hash%uint64(len(s.entries))]
	if c.hash != hash || c.cites {
		full := string(ev.Text)
		if reason = c.reason; c.hash != hash {
			reason = refusal.Classify(ev.Code, Enhanced(ev.Enhanced), full)
		}
		cited = refusal.Cite(reason, full)
		text = full
		// The shown text has no addresses of users. A blocklist that only the full text names is
		// reported as hidden.
		if shown := string(ev.Redacted); shown != full {
			if text = shown; cited.List != "" && refusal.Cite(reason, shown).List != cited.List {
				cited.List = refusal.HiddenList
			}
		}
		*c = cachedReason{hash, reason, cited.List != "" || len(cited.Addrs) > 0}
		if session != nil {
			cited = DropHelpLink(cited, session.Banner())
		}
	}
	return c.reason, cited, text
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
