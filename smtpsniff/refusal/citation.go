package refusal

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
)

// GreetedAddress is the public address in a server's answer to EHLO. Many servers name the address
// that they see: "250 mx.example.org Hello pc [203.0.113.7]".
func GreetedAddress(text []byte) (a netip.Addr, ok bool) {
	from := bytes.IndexByte(text, '[')
	if from < 0 {
		return a, false
	}
	to := bytes.IndexByte(text[from:], ']')
	if to < 0 || to > len("[IPv6:ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]") {
		return a, false
	}
	a, err := netip.ParseAddr(strings.TrimPrefix(string(text[from+1:from+to]), "IPv6:"))
	return a.Unmap(), err == nil && global(a)
}

// HiddenList stands for the name of a list that is not shown, because the client may have sent it.
const HiddenList = "(not shown)"

// Citation is the part of a refusal about blocklists.
type Citation struct {
	List string // host name of the list; empty if the text names none
	// Link: List is the host of a link. If it belongs to the server's own domain, the link leads to
	// the server's help.
	Link  bool
	Addrs []netip.Addr // global addresses in the text
}

// ParseCitation reads the text of a refusal of which the codes are not known. The rules are asked
// only if the text can cite something: most texts of a storm of mail do not.
func ParseCitation(text string) Citation {
	if name, addr := mayCite(text); !name && !addr {
		return Citation{}
	}
	r := read(text)
	return r.cite(r.classify(0, [3]uint16{}))
}

// Cite reads the text of a refusal for this reason. It needs no table of lists: it takes the host
// behind a cue, or the host of a link that looks like a list's, and only if the client's address is
// on a list: a link in a refusal because of SPF leads to some help.
func Cite(reason Reason, text string) Citation {
	if name, addr := mayCite(text); !name && !addr {
		return Citation{}
	}
	return read(text).cite(reason)
}

func (r *reading) cite(reason Reason) (c Citation) {
	c.Addrs = r.addrs
	if n := len(c.Addrs); n > 0 && strings.Contains(r.line.String(), " dns ip @i ") {
		c.Addrs = c.Addrs[:n-1] // the receiver's resolver
	}
	if reason.citesList() {
		c.List, c.Link = r.list()
		if c.List == "" {
			c.List, c.Link = r.listLink()
		}
	}
	return c
}

// mayCite reports whether a text can hold a host name, whose last label begins behind a dot with a
// letter, or with a byte that can become one in small letters; and whether it can hold an address,
// which has three dots before digits or two colons. Most refusals hold neither, and are read only
// once here.
func mayCite(text string) (name, addr bool) {
	dots, colons := 0, 0
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == ':':
			colons++
		case text[i] != '.' || i+1 == len(text):
		case text[i+1] >= 'A': // letters, some signs and all bytes beyond ASCII
			name = true
		case text[i+1] >= '0' && text[i+1] <= '9':
			dots++
		}
	}
	return name, dots >= 3 || colons >= 2
}

// cues are the words that tie a list's name to a refusal, and stand before it. "blocked using" is
// Postfix's own text.
var cues = texts(`blocked using, blocked via, rejected using, refused using, denied using,
	listed at, listed in, listed on, listed by, found in, found on, found at, blacklisted by,
	blacklisted at, blacklisted in, blacklisted on, blacklisted using, blacklisted, blocklisted by,
	blocklisted, blacklistis, rbl, rbls, dnsbl, blacklist, blocklist, black list, block list,
	blackhole site, lookup site, rblsmtpd list, rbl list, rbl provider, denylist, listing in,
	listing at, list at, list on, database, liste, using`)

// doers are cues before the name of who refuses, which may be a list or the server.
var doers = texts(`blocked by, blocked at, rejected by, refused by, denied by`)

// plausible reports whether a name behind one of doers can be a list's, and not the server's.
func plausible(name string) bool {
	first, rest, _ := strings.Cut(name, ".")
	for _, p := range [...]string{"mx", "mail", "smtp", "in", "gw", "relay", "mta"} {
		if strings.HasPrefix(first, p) {
			return listLike(name)
		}
	}
	return strings.Contains(rest, ".") || listLike(name)
}

// stops are words that end the way from a list's name back to its cue.
var stops = texts(`see, visit, contact, help, please, to, more, further, from, client, sender,
	greylist*`)

// cueWords is how many words there can be from the beginning of a cue to the name.
const cueWords = 5

// list is the host that stands behind a cue. A provider's service that has an opinion of its own
// about addresses is no list.
func (r *reading) list() (host string, link bool) {
	line := r.line.String()
	for _, h := range r.hosts {
		if cue := r.cued(h.at, cues) || r.cued(h.at, doers) && plausible(h.name); cue &&
			!slices.ContainsFunc(ownServices, func(s string) bool {
				return strings.HasSuffix(h.name, s)
			}) {
			return h.name, false
		}
	}
	// a list may be named by its link: "blacklisted at http://www.backscatterer.org/?ip=..."
	at := 0
	for _, l := range r.links {
		i := strings.Index(line[at:], " @l ")
		if i < 0 {
			break
		}
		at += i + 1
		if endsWith(line[:at], cues) && !strings.Contains(line[:at], " @h ") {
			if host := linkHost(l); host != "" {
				return host, true
			}
		}
	}
	return "", false
}

var ownServices = []string{"cloudmark.com", "proofpoint.com", "postini.com"}

// cued reports whether the words before a place of the line tie what stands there to a refusal by a
// list, in the same sentence.
func (r *reading) cued(at int, cues []string) bool {
	line := r.line.String()[:at]
	if i, _ := slices.BinarySearch(r.ends, at); i > 0 {
		line = line[r.ends[i-1]:]
	}
	from := len(line) - 1 // the blank at the end
	for range cueWords {
		i := strings.LastIndexByte(line[:max(0, from)], ' ')
		if i < 0 {
			break
		}
		if word := line[i : from+1]; word[1] == '@' || ends(word, stops) {
			break
		}
		from = i
	}
	return ends(line[from:], cues)
}

// endsWith reports whether a line ends with one of the phrases.
func endsWith(line string, phrases []string) bool {
	for _, p := range phrases {
		if strings.HasSuffix(line, " "+p) {
			return true
		}
	}
	return false
}

// ends reports whether one of the phrases stands in a row of words.
func ends(words string, phrases []string) bool {
	for _, p := range phrases {
		if strings.Contains(words, " "+p) {
			return true
		}
	}
	return false
}

// listLink is the host of a link, if it looks like a list's.
func (r *reading) listLink() (host string, link bool) {
	for _, l := range r.links {
		if host := linkHost(l); listLike(host) {
			return host, true
		}
	}
	return "", false
}

// listLike reports whether a name looks like a list's.
func listLike(name string) bool {
	for _, word := range [...]string{"bl.", "rbl", "dnsbl", "spam", "blocklist", "blacklist",
		"uceprotect", "sorbs", "barracuda", "abus", "block", "lookup", "manitu.net", "surriel"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// label reports whether one of a name's labels is in a list.
func label(name string, labels ...string) bool {
	for l := range strings.SplitSeq(name, ".") {
		if slices.Contains(labels, l) {
			return true
		}
	}
	return false
}

// IsSiteOf reports whether a name is the domain of a list's operator, as links have it: what cites
// https://www.spamhaus.org and no list names the same refusal as zen.spamhaus.org, and no list of
// its own.
func IsSiteOf(name, list string) bool {
	return strings.Count(name, ".") == 1 && strings.HasSuffix(list, "."+name)
}

// domainList reports whether a list has domains, of links and senders, and no addresses.
func domainList(name string) bool {
	return label(name, "dbl", "uribl", "surbl", "rhsbl", "ivmuri", "dblack")
}

// rangeList reports whether a list has ranges of addresses that should not send mail, whoever uses
// them.
func rangeList(name string) bool { return label(name, "pbl", "dul", "dynablock", "dialup", "dyna") }
