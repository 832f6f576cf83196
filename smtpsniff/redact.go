package smtpsniff

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Replies repeat what the client said: the user's name that may not use this sender, the line that
// was no command, the mailbox that does not exist. What their texts may show depends on that.
//
//	nothing secret was said        words of the recipients, and of the senders unless they are shown, are hidden
//	something may have been        words of a closed vocabulary, addresses of the network and the names of
//	                               blocklists are shown, if the client did not say them
//	more was said than is known    the names of well-known blocklists are shown
//
// The words that a client said are known by keyed hashes of their first six letters, so that a
// reply with a part of one is hidden, too. Letters are compared without their case, and after each
// way to write them that servers have.

// Bounds of what is known of a client's words.
const (
	maxWords   = 12 // of each kind
	wordPrefix = 6  // letters of a word that are compared
)

// wordSet is a set of words that the client said, by their hashes. A place more is taken where they
// were too many.
type wordSet struct {
	hash [maxWords]uint32
	n    uint8
}

func (w *wordSet) full() bool { return w.n > maxWords }

// fill has the set be one that is not known.
func (w *wordSet) fill() { w.n = maxWords + 1 }

func (w *wordSet) add(h uint32) {
	if w.full() || w.has(h) {
		return
	}
	if w.n < maxWords {
		w.hash[w.n] = h
	}
	w.n++
}

// has is bounded by maxWords.
func (w *wordSet) has(h uint32) bool {
	for _, x := range w.hash[:min(w.n, maxWords)] {
		if x == h {
			return true
		}
	}
	return false
}

// clientWords is what the client of a session said that replies may repeat.
type clientWords struct {
	localParts wordSet   // of recipients, of senders, of the transaction in hand
	sensitive  wordSet   // of all else that must not be shown
	lastHashes [2]uint64 // the hashes of the secrets that were noted last
}

// nextWord cuts the next word off b: letters, digits, and what is not ASCII. hash is that of its
// beginning in small letters; n is how many letters it has, up to wordBegin, zero where there is no
// more.
func (l *Listener) nextWord(b []byte) (word, rest []byte, hash uint32, n int) {
	for len(b) > 0 && !letter(b[0]) { // each round takes a byte
		b = b[1:]
	}
	h := l.seed()
	i := 0
	for i < len(b) && letter(b[i]) { // each round takes a byte at least
		r, size := rune(b[i]), 1
		switch {
		case r >= 0x80:
			r, size = utf8.DecodeRune(b[i:])
			r = unicode.ToLower(r)
		case r >= 'A' && r <= 'Z':
			r += 'a' - 'A'
		}
		if n < wordPrefix {
			h = (h ^ uint64(r)) * 0x100000001b3
			n++
		}
		i += size
	}
	return b[:i], b[i:], uint32(h>>32) ^ uint32(h), n
}

// seed is Seed, or one that is drawn now.
func (l *Listener) seed() uint64 {
	if l.Seed == 0 {
		l.Seed = rand.Uint64() | 1
	}
	return l.Seed
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}

// addWords adds the words of b. A single letter is one only where it is all.
func (l *Listener) addWords(w *wordSet, b []byte) {
	whole := b
	for !w.full() { // each round takes a word
		var word []byte
		var h uint32
		var n int
		word, b, h, n = l.nextWord(b)
		if n == 0 {
			return
		}
		if n > 1 || len(word) == len(whole) {
			w.add(h)
		}
	}
}

// addSensitive notes what must not be shown, as it is and decoded.
func (l *Listener) addSensitive(s *Session, b []byte) {
	w := &s.words.sensitive
	if w.full() || len(b) == 0 {
		return
	}
	if len(b) > maxCredential {
		w.fill()
		return
	}
	h := l.seed()
	for _, c := range b {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	last := &s.words.lastHashes
	if w.n > 0 && (h == last[0] || h == last[1]) { // a client that tries again and again costs no more than others
		return
	}
	last[0], last[1] = h, last[0]
	l.addWords(w, b)
	l.eachDecoding(b, func(plain []byte) bool {
		if isText(plain) {
			l.addWords(w, plain)
		}
		return false
	})
	clear(l.plainBuf[:])
}

// isText reports whether what was decoded is text, or fields of text that NUL and 1 separate, as
// credentials are (RFC 4616, RFC 7628).
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c > 1 && c != '\r' && c != '\n' && c != '\t' {
			return false
		}
	}
	return utf8.Valid(b)
}

// addLocalPart notes the local part of an address. Quotes and backslashes separate words, as dots do.
func (l *Listener) addLocalPart(s *Session, address []byte) {
	local := address
	if d := Domain(address); d != nil {
		local = address[:len(address)-len(d)-1]
	}
	l.addWords(&s.words.localParts, local)
}

// addParameters notes what stands behind the path of MAIL or RCPT, but for what is about the message
// and no person (RFC 1870, 6152, 3461).
func (l *Listener) addParameters(s *Session, rest []byte) {
	_, path, _ := bytes.Cut(rest, []byte(":"))
	path = trimLeft(path)
	end := bytes.IndexByte(path, '>') + 1
	if end == 0 {
		for end < len(path) && !blank(path[end]) {
			end++
		}
	}
	for b := trim(path[end:]); len(b) > 0; b = trimLeft(b) { // each round takes a byte at least
		n := 0
		for n < len(b) && !blank(b[n]) {
			n++
		}
		key, value, _ := bytes.Cut(b[:n], []byte("="))
		switch {
		case equalFold(key, "SIZE"), equalFold(key, "BODY"), equalFold(key, "RET"), equalFold(key, "NOTIFY"):
		case len(value) > 0:
			l.addSensitive(s, value)
		case !equalFold(key[:min(len(key), 7)], "SMTPUTF"): // and 8; equalFold is for letters
			l.addSensitive(s, key)
		}
		b = b[n:]
	}
}

// splitHelo takes a HELO name apart that is the address of a person. Person is nil where it is
// none.
func splitHelo(name []byte) (person, host []byte) {
	for _, at := range []string{"@", "%40"} {
		if i := bytes.LastIndex(name, []byte(at)); i >= 0 {
			return name[:i], name[i+len(at):]
		}
	}
	return nil, name
}

// redaction is how much of a reply may be shown.
type redaction uint8

const (
	localPartsOnly redaction = iota
	allButVocabulary
	allButLists
)

// redaction tells it for a reply to this command, at this moment.
func (s *Session) redaction(v Verb) redaction {
	p := &s.client
	switch {
	case s.words.sensitive.full():
		return allButLists
	case v == connect && s.Commands == 0 && s.Flags&(Midstream|GapClient) == 0: // nobody said anything yet
		return localPartsOnly
	case v == NoVerb && !s.onlyCommands(), v == endOfData, v == bdatLast, v == BDAT, p.seen.message, s.words.sensitive.n > 0, s.words.localParts.full(), s.Auth >= AuthTried, p.seen.ambiguous, !p.seen.client,
		p.alt.bytes != nil, p.held.lenientEnd, p.held.uncertain,
		s.Flags&(Midstream|GapClient|GapServer|TooManyPending|UnknownCommand|LongLine|PlainAfterSTARTTLS|AfterSTARTTLS|CutShort) != 0:
		return allButVocabulary
	}
	return localPartsOnly
}

// ellipsis stands for what is not shown.
const ellipsis = "..."

// redact is a reply's text as it may be shown. It is borrowed until the next call.
func (l *Listener) redact(s *Session, text []byte, v Verb) []byte {
	how := s.redaction(v)
	if len(text) == 0 || how == localPartsOnly && s.words.localParts.n == 0 {
		return text
	}
	list, server := "", []byte(nil)
	if how == allButVocabulary {
		server, _, _ = bytes.Cut(s.Banner(), []byte(" "))
		if l.ListName != nil {
			list = l.ListName(text)
		}
	}
	l.redacted = l.redacted[:0]
	for i := 0; i < len(text); { // each round takes a byte at least
		if blank(text[i]) {
			l.redacted = append(l.redacted, text[i])
			i++
			continue
		}
		end := i
		for end < len(text) && !blank(text[end]) {
			end++
		}
		l.redactPart(s, text[i:end], how, list, server)
		i = end
	}
	return l.redacted[:min(len(l.redacted), maxReply)]
}

// writeEllipsis writes that something is hidden, once for all that is in a row.
func (l *Listener) writeEllipsis() {
	if !bytes.HasSuffix(bytes.TrimRight(l.redacted, " "), []byte(ellipsis)) {
		l.redacted = append(l.redacted, ellipsis...)
	} else {
		l.redacted = bytes.TrimRight(l.redacted, " ")
	}
}

// redactPart writes what may be shown of a part of a text without blanks. A text may name the list
// that it cites, and the server that says it.
func (l *Listener) redactPart(s *Session, part []byte, how redaction, list string, server []byte) {
	if isEnhanced(part) {
		l.redacted = append(l.redacted, part...)
		return
	}
	if how == localPartsOnly {
		l.redactLocalParts(s, part)
		return
	}
	host, link := hostIn(part)
	own := how == allButVocabulary && host != nil && (equalLower(host, list) || bytes.Equal(host, server))
	switch {
	case host != nil && l.KnownHost != nil && l.KnownHost(host), own && !l.quotesClient(s, part):
		if link {
			l.redacted = append(l.redacted, "https://"...)
		}
		l.redacted = append(l.redacted, host...)
		if link {
			l.redacted = append(l.redacted, "/..."...)
		}
	case how == allButVocabulary && (isAddress(part) || l.isCommon(part)) && !l.quotesClient(s, part):
		l.redacted = append(l.redacted, part...)
	default:
		l.writeEllipsis()
	}
}

// redactLocalParts writes a part of a text without the words of names.
func (l *Listener) redactLocalParts(s *Session, part []byte) {
	word := bytes.TrimRight(part, ".,:;!?")
	bare := true // but for the end, it is one word
	for _, c := range word {
		bare = bare && letter(c)
	}
	if bare && inVocabulary(word) { // "service" says nothing of the mailbox of that name
		l.redacted = append(l.redacted, part...)
		return
	}
	name := func(_ []byte, hash uint32) bool { return s.words.localParts.has(hash) }
	if l.eachDecoding(part, func(plain []byte) bool { return l.hasWord(plain, 3, name) }) {
		l.writeEllipsis()
		return
	}
	// named reports whether b has a word of a name. In the domain of an address, behind its @,
	// ordinary words are none.
	named := func(b []byte) bool {
		domain := bytes.HasSuffix(l.redacted, []byte("@")) && bytes.IndexByte(b, '.') > 0
		return l.hasWord(b, 1, func(word []byte, hash uint32) bool {
			return name(word, hash) && !(domain && inVocabulary(word))
		})
	}
	for len(part) > 0 { // each round takes a byte at least
		end := 0
		for end < len(part) && (letter(part[end]) || strings.IndexByte(`._-+"\~`, part[end]) >= 0) {
			end++
		}
		switch {
		case end == 0:
			l.redacted = append(l.redacted, part[0])
			end = 1
		case named(part[:end]):
			l.writeEllipsis()
		default:
			l.redacted = append(l.redacted, part[:end]...)
		}
		part = part[end:]
	}
}

// hasWord reports whether a word of at least so many letters is one of a set.
func (l *Listener) hasWord(b []byte, least int, in func(word []byte, hash uint32) bool) bool {
	for { // each round takes a word
		word, rest, h, n := l.nextWord(b)
		if n == 0 {
			return false
		}
		if n >= least && in(word, h) {
			return true
		}
		b = rest
	}
}

// quotesClient reports whether a word that the client said is in a part of a text.
func (l *Listener) quotesClient(s *Session, part []byte) bool {
	in := func(_ []byte, h uint32) bool { return s.words.sensitive.has(h) || s.words.localParts.has(h) }
	return l.hasWord(part, 2, in) || l.eachDecoding(part, func(plain []byte) bool { return l.hasWord(plain, 3, in) })
}

// isCommon reports whether a part of a text has no other words than those of the vocabulary and short
// numbers, and nothing that is written in another way.
func (l *Listener) isCommon(part []byte) bool {
	for { // each round takes a word
		word, rest, _, n := l.nextWord(part)
		if n == 0 {
			return true
		}
		if !inVocabulary(word) && !shortNumber(word) {
			return false
		}
		part = rest
	}
}

func shortNumber(word []byte) bool {
	for _, c := range word {
		if !digit(c) {
			return false
		}
	}
	return len(word) <= 3
}

// isEnhanced reports whether a part of a text is an enhanced status code.
func isEnhanced(part []byte) bool {
	if bytes.IndexByte(part, '.') < 0 { // most words: told at once
		return false
	}
	part = bytes.Trim(part, "#()[]:")
	n := 0
	for i, c := range part {
		switch {
		case c == '.' && i > 0 && part[i-1] != '.':
			n++
		case !digit(c):
			return false
		}
	}
	return n == 2 && len(part) >= 5 && len(part) <= 9 && part[1] == '.' && digit(part[len(part)-1])
}

// isAddress reports whether a part of a text is an address of IP, with what servers put around it.
func isAddress(part []byte) bool {
	if bytes.IndexByte(part, '.') < 0 && bytes.IndexByte(part, ':') < 0 { // most words: told at once
		return false
	}
	part = bytes.Trim(part, "[](){}<>\"',;.")
	part = bytes.TrimRight(part, ":")
	for _, prefix := range []string{"IPv6:", "ip=", "IP=", "address=", "client="} {
		part = bytes.TrimPrefix(part, []byte(prefix))
	}
	part = bytes.Trim(part, "[]")
	if len(part) < 2 || len(part) > 45 {
		return false
	}
	_, err := netip.ParseAddr(string(part))
	return err == nil
}

// hostIn is the host name in a part of a text: that of a link, or all of it. Nil is none.
func hostIn(part []byte) (host []byte, link bool) {
	if bytes.IndexByte(part, '.') < 0 { // most words: told at once
		return nil, false
	}
	part = bytes.TrimLeft(part, "[](){}<>\"'")
	for _, scheme := range []string{"https://", "http://", "HTTPS://", "HTTP://"} {
		if rest, ok := bytes.CutPrefix(part, []byte(scheme)); ok {
			part, link = rest, true
		}
	}
	end := 0
	for end < len(part) && (letter(part[end]) && part[end] < 0x80 || part[end] == '.' || part[end] == '-' || part[end] == '_') {
		end++
	}
	rest := part[end:]
	host = bytes.TrimRight(part[:end], ".")
	if !link && len(bytes.Trim(rest, "[](){}<>\"',;:.!?")) > 0 && rest[0] != '/' || bytes.IndexByte(host, '.') < 1 {
		return nil, false
	}
	return host, link || len(rest) > 0 && rest[0] == '/'
}

// equalLower compares without case; lower is in small letters.
func equalLower(b []byte, lower string) bool {
	if len(b) != len(lower) || lower == "" {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// eachDecoding calls f for what a part of a text is when it is decoded: by percent signs (RFC 3986,
// section 2.1), equals signs (RFC 2045, section 6.7), plus signs (RFC 3461, section 4), from
// base64, from hexadecimal digits; until f says true. It reports whether that was so.
func (l *Listener) eachDecoding(part []byte, f func(plain []byte) bool) bool {
	if len(part) > maxCredential {
		part = part[:maxCredential]
	}
	quoting, extra := false, false
	for _, c := range part {
		switch c {
		case '%', '=':
			quoting = true
		case '+':
			quoting, extra = true, true
		case '/', '-', '_':
			extra = true
		}
	}
	if quoting {
		for _, mark := range []byte("%=+") {
			if bytes.IndexByte(part, mark) >= 0 {
				if plain, ok := unquote(l.plainBuf[:0], part, mark); ok && f(plain) {
					return true
				}
			}
		}
	}
	// The other characters of base64 may stand between words, or in one.
	return l.eachRun(part, "", f) || extra && l.eachRun(part, runExtra, f)
}

// runExtra is what base64 has besides letters and digits, in either of its alphabets.
const runExtra = "+/-_"

// eachRun calls f for what the runs of letters, digits and more are as base64 and hexadecimal digits,
// until f says true. Runs without any of more are left out where there is more.
func (l *Listener) eachRun(part []byte, more string, f func(plain []byte) bool) bool {
	for i := 0; i < len(part); { // each round takes a byte at least
		end, extra := i, more == ""
		for end < len(part) && (letter(part[end]) && part[end] < 0x80 || strings.IndexByte(more, part[end]) >= 0) {
			extra = extra || !letter(part[end])
			end++
		}
		if run := part[i:end]; len(run) >= 4 && extra && l.eachBinary(run, f) {
			return true
		}
		i = end + 1
	}
	return false
}

// eachBinary calls f for what a run of letters and digits is as base64, with and without a beginning
// that is none, and as hexadecimal digits.
func (l *Listener) eachBinary(run []byte, f func(plain []byte) bool) bool {
	room := l.plainBuf[:]
	if n, err := hex.Decode(room, run[:len(run)&^1]); err == nil && f(room[:n]) {
		return true
	}
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(run, "-_") {
		encoding = base64.RawURLEncoding // differs from the other in these two characters alone
	}
	whole := len(run) / 4 * 4
	if rest := len(run) % 4; rest > 1 {
		whole += rest
	}
	if n, err := encoding.Decode(room, run[:whole]); err == nil && n > 0 {
		plain := room[:n]
		if f(plain) {
			return true
		}
		if zeros := bytes.Count(plain, []byte{0}); zeros*4 > n { // letters in two bytes
			k := 0
			for _, c := range plain {
				if c != 0 {
					plain[k] = c
					k++
				}
			}
			if f(plain[:k]) {
				return true
			}
		}
	}
	return false
}

// unquote decodes a mark and two hexadecimal digits, also where that gives the same again. ok tells
// that there was one.
func unquote(room, b []byte, mark byte) (plain []byte, ok bool) {
	for i := 0; i < len(b); i++ {
		if b[i] == mark && i+2 < len(b) {
			for mark == '%' && i+4 < len(b) && b[i+1] == '2' && b[i+2] == '5' { // %2540 is %40 is @
				i += 2
			}
			var c [1]byte
			if _, err := hex.Decode(c[:], b[i+1:i+3]); err == nil {
				room = append(room, c[0])
				i += 2
				ok = true
				continue
			}
		}
		room = append(room, b[i])
	}
	return room, ok
}
