package refusal

import (
	"bytes"
	"net/netip"
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

// Citation is the part of a refusal about blocklists.
type Citation struct {
	List string // host name of the list; empty if the text names none
	// Link: List is the host of a link. If it belongs to the server's own domain, the link leads to
	// the server's help.
	Link  bool
	Addrs []netip.Addr // global addresses in the text
}

// cues are the words before a list's name. "blocked using" is Postfix's own text.
var cues = []string{"blocked using ", "blocked by ", "blocked via ", "rejected by ", "listed at ",
	"listed in ", "listed on ", "listed by ",
	"found in ", "found on ", "blacklisted by ", "blacklisted at ", "blacklisted in ",
	"blacklisted on ", "blocklisted by ", "rbl ", "dnsbl ", "rbl:", "dnsbl:", "rbl=",
	"blacklist:", "blacklist ", "blocklist:", "blocklist ", "black list ", "block list ",
	"refused by ", "denied by ", "using "}

// ParseCitation reads the text of a refusal. It needs no table of lists: it takes the host behind a
// cue, or the host of a link in a text about lists.
func ParseCitation(text string) (c Citation) {
	name, addr := mayCite(text)
	if name {
		c.List, c.Link = citedList(strings.ToLower(text))
	}
	if addr {
		c.Addrs = citedAddrs(text)
	}
	return c
}

// citedAddrs are the global addresses in a text.
func citedAddrs(text string) (list []netip.Addr) {
	separator := func(r rune) bool { return strings.ContainsRune(" []()<>\"';,=", r) }
	for _, word := range strings.FieldsFunc(text, separator) {
		if a, err := netip.ParseAddr(strings.TrimRight(word, ".:")); err == nil && global(a) {
			list = append(list, a.Unmap())
		}
	}
	return list
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

// citedList is the list that a text in small letters names; link reports that it is the host of a
// link.
func citedList(low string) (list string, link bool) {
	for _, cue := range cues {
		for rest := low; list == ""; { // each round leaves a cue behind, of a reply of 256 bytes
			i := strings.Index(rest, cue)
			if i < 0 {
				break
			}
			rest = rest[i+len(cue):]
			name := hostName(firstWord(rest))
			if name != "" && (cue != "using " || speaksOfList(low)) {
				list = name
			}
		}
	}
	if list == "" && speaksOfList(low) {
		for _, scheme := range []string{"https://", "http://", "www."} {
			i := strings.Index(low, scheme)
			if i < 0 {
				continue
			}
			list = hostName(firstWord(strings.TrimPrefix(low[i+len(scheme):], "www.")))
			if list != "" {
				return list, true
			}
		}
	}
	return list, false
}

// HiddenList stands for the name of a list that is not shown, because the client may have sent it.
const HiddenList = "(not shown)"

// speaksOfList reports whether a text is about blocklists.
func speaksOfList(low string) bool {
	low = strings.ReplaceAll(low, "greylist", "") // a temporary refusal, no list of offenders
	for _, w := range []string{"blocklist", "blacklist", "block list", "black list", "dnsbl", "rbl",
		"listed", "blocked"} {
		if strings.Contains(low, w) {
			return true
		}
	}
	return false
}

func firstWord(s string) string {
	s = strings.TrimLeft(s, " \"'([<")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://")
	if i := strings.IndexAny(s, " \t\"')]>;,/?:"); i >= 0 {
		s = s[:i]
	}
	return strings.TrimRight(s, ".")
}

// hostName returns s if it looks like a full host name.
func hostName(s string) string {
	labels := strings.Split(s, ".")
	if len(labels) < 2 || len(s) > 253 {
		return ""
	}
	const letters = "abcdefghijklmnopqrstuvwxyz"
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(l, letters+"0123456789-_") != "" {
			return ""
		}
	}
	if top := labels[len(labels)-1]; len(top) < 2 || strings.Trim(top, letters) != "" {
		return "" // a number, or an address
	}
	return s
}

// global reports whether an address is one of the public Internet.
func global(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !sharedSpace.Contains(a.Unmap())
}

// sharedSpace is the address space of carriers' NAT (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")
