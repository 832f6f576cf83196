package refusal

import (
	"net/netip"
	"strings"
)

// maxText is how many bytes of a text are read. Replies are cut to 256 bytes before, see smtpsniff.
const maxText = 1024

// reading is a text in the form in which the rules look at it. The line has the words in small
// letters, one blank around each, without punctuation. What is no word has a sign in its place, so
// that a word inside of it is none of the sentence:
//
//	@h  a host name              zen.spamhaus.org
//	@i  an address               203.0.113.7, 2001:db8::7
//	@l  a link                   https://www.spamhaus.org/query/ip/203.0.113.7
//	@m  a mailbox                spam@example.org
//
// So "Client host [203.0.113.7] blocked using zen.spamhaus.org; see <https://...>" becomes
// " client host @i blocked using @h see @l ".
type reading struct {
	low   string // the whole text, in small letters
	line  strings.Builder
	hosts []placed
	links []string
	addrs []netip.Addr // global ones
	ends  []int        // where sentences end in the line
	found [maxPhrases / 64]uint64
}

// placed is a host name, and where in the line its sign stands.
type placed struct {
	name string
	at   int
}

// parts are what separates the parts of a text that can be a word, a name, an address or a link.
const parts = " \t\r\n\"'`<>()[]{},;|*!"

// read reads a text. Each byte is looked at a fixed number of times.
func read(text string) *reading {
	r := &reading{low: strings.ToLower(text[:min(len(text), maxText)])}
	r.line.Grow(len(r.low) + 8)
	r.line.WriteByte(' ')
	low := apostrophes.Replace(r.low)
	for low != "" {
		i := strings.IndexAny(low, parts)
		if i < 0 {
			i = len(low)
		}
		r.part(low[:i])
		if i > 0 && low[i-1] == '.' {
			r.ends = append(r.ends, r.line.Len()-1)
		}
		low = low[min(i+1, len(low)):]
	}
	r.find()
	return r
}

// apostrophes joins the words that an apostrophe would separate: isn't, provider's.
var apostrophes = strings.NewReplacer("n't", "nt", "'s ", " ")

// part adds a part of the text, which may have several words joined by colons, signs of equality
// and the like.
func (r *reading) part(s string) {
	if i := linkAt(s); i >= 0 {
		r.part(s[:i])
		r.links = append(r.links, s[i:])
		r.queried(s[i:])
		r.line.WriteString("@l ")
		return
	}
	if r.address(s) {
		return
	}
	for s != "" {
		i := strings.IndexAny(s, ":=/&")
		if i < 0 {
			i = len(s)
		}
		word, rest := s[:i], s[min(i+1, len(s)):]
		switch {
		case word == "": // and not ::1
		case strings.IndexByte(word, '@') >= 0:
			r.line.WriteString("@m ")
		case r.address(word):
		case r.host(word):
		default:
			r.words(word)
		}
		if len(rest) <= maxAddress && r.address(rest) { // ip:2001:db8::7
			return
		}
		s = rest
	}
}

// queried keeps the addresses that a link asks about. One in its path may be of another machine.
func (r *reading) queried(link string) {
	_, query, _ := strings.Cut(link, "?")
	separator := func(c rune) bool { return c == '=' || c == '&' }
	for word := range strings.FieldsFuncSeq(query, separator) {
		if a, err := netip.ParseAddr(strings.TrimRight(word, ".:")); err == nil && global(a) {
			r.addrs = append(r.addrs, a.Unmap())
		}
	}
}

// linkAt is where a link begins in a part, negative if there is none.
func linkAt(s string) int {
	for _, scheme := range [...]string{"https://", "http://", "www."} {
		if i := strings.Index(s, scheme); i >= 0 {
			return i
		}
	}
	return -1
}

// maxAddress is the length up to which a part can be an address.
const maxAddress = 64

// address adds an address.
func (r *reading) address(s string) bool {
	if strings.Count(s, ".") < 3 && strings.Count(s, ":") < 2 || len(s) > maxAddress {
		return false
	}
	a, err := netip.ParseAddr(strings.Trim(strings.TrimPrefix(s, "ipv6:"), ".="))
	if err != nil {
		if a, err = netip.ParseAddr(strings.TrimRight(s, ".:-")); err != nil {
			return false
		}
	}
	if global(a) {
		r.addrs = append(r.addrs, a.Unmap())
	}
	r.line.WriteString("@i ")
	return true
}

// host adds a full host name.
func (r *reading) host(s string) bool {
	name := hostName(strings.Trim(s, ".-#?"))
	if name == "" {
		return false
	}
	r.hosts = append(r.hosts, placed{name, r.line.Len()})
	r.line.WriteString("@h ")
	return true
}

// words adds the words of a part: letters and digits, and a dot between digits (5.7.1).
func (r *reading) words(s string) {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c >= 0x80:
			r.line.WriteByte(c)
		case c == '.' && i > 0 && i+1 < len(s) && digit(s[i-1]) && digit(s[i+1]):
			r.line.WriteByte(c)
		default:
			r.blank()
		}
	}
	r.blank()
}

// blank ends a word.
func (r *reading) blank() {
	if line := r.line.String(); line[len(line)-1] != ' ' {
		r.line.WriteByte(' ')
	}
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// linkHost is the host of a link, without www; empty if it is no full name.
func linkHost(link string) string {
	link = strings.TrimPrefix(strings.TrimPrefix(link, "https://"), "http://")
	if i := strings.IndexAny(link, ":/?#&="); i >= 0 {
		link = link[:i]
	}
	return hostName(strings.TrimPrefix(strings.TrimRight(link, "."), "www."))
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
