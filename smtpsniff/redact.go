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

// Replies quote the client: the name of a user who may not use this sender, a line that is no
// command, a mailbox that does not exist. Redaction removes such quotations. How much it removes
// depends on the bytes that the client has sent:
//
//	no sensitive bytes         the words of recipients' local parts are removed, and of senders'
//	                           unless Listener.ShowSenders is set
//	perhaps sensitive bytes    all is removed but a closed vocabulary, network addresses and the
//	                           names of blocklists, and of these what the client has sent
//	more than can be kept      all is removed but the names of well-known blocklists
//
// Sensitive are credentials, lines that are no command, and parameters that may name a person. The
// words of a client are kept as keyed hashes of their first six letters, so that a reply with a
// part of a word is redacted too. Letters are compared without case, and after each encoding that
// servers use.

// Bounds of the words of a client that are kept.
const (
	maxWords   = 12 // in each set
	wordPrefix = 6  // letters of a word that are compared
)

// wordSet is a set of words of a client, by their hashes. n is one more than maxWords where there
// were too many.
type wordSet struct {
	hash [maxWords]uint32
	n    uint8
}

func (w *wordSet) full() bool { return w.n > maxWords }

// fill makes the set a full one, whose words are not known.
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

// has reports whether a hash is in the set; maxWords bounds it.
func (w *wordSet) has(h uint32) bool {
	for _, x := range w.hash[:min(w.n, maxWords)] {
		if x == h {
			return true
		}
	}
	return false
}

// clientWords are the words of the client of a session that replies may quote.
type clientWords struct {
	localParts wordSet   // of recipients and senders
	sensitive  wordSet   // of all other text that must not be shown
	lastHashes [2]uint64 // hashes of the latest sensitive texts
}

// nextWord cuts the next word off b: letters, digits, and bytes beyond ASCII. hash is the hash of
// its beginning in small letters; n is the number of its letters, up to wordPrefix, zero at the end
// of b.
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

// seed is Seed, drawn at random if it is zero.
func (l *Listener) seed() uint64 {
	if l.Seed == 0 {
		l.Seed = rand.Uint64() | 1
	}
	return l.Seed
}

// letter reports whether c belongs to a word: a letter, a digit, or a byte beyond ASCII.
func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}

// asciiLetter reports whether c is an ASCII letter or digit.
func asciiLetter(c byte) bool { return c < 0x80 && letter(c) }

// addWords adds the words of b. A single letter counts only where it is all of b.
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

// addSensitive adds the words of a text that must not be shown, and the words of its decodings.
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
	if w.n > 0 && (h == last[0] || h == last[1]) {
		return // bounds the cost of a client that repeats its AUTH
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

// isText reports whether a decoding is text, or fields of text that the bytes 0 and 1 separate, as
// in credentials (RFC 4616, RFC 7628).
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c > 1 && c != '\r' && c != '\n' && c != '\t' {
			return false
		}
	}
	return utf8.Valid(b)
}

// addLocalPart adds the words of an address's local part. Quotes and backslashes separate words, as
// dots do.
func (l *Listener) addLocalPart(s *Session, address []byte) {
	local := address
	if d := Domain(address); d != nil {
		local = address[:len(address)-len(d)-1]
	}
	l.addWords(&s.words.localParts, local)
}

// addParameters adds the words behind the path of MAIL or RCPT, without the parameters that
// describe the message and no person (RFC 1870, 6152, 3461).
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
		case equalFold(key, "SIZE"), equalFold(key, "BODY"), equalFold(key, "RET"),
			equalFold(key, "NOTIFY"):
		case len(value) > 0:
			l.addSensitive(s, value)
		case !equalFold(key[:min(len(key), 7)], "SMTPUTF"): // SMTPUTF8; equalFold is for letters
			l.addSensitive(s, key)
		}
		b = b[n:]
	}
}

// splitHelo splits a HELO name that is the address of a person. Person is nil for other names.
func splitHelo(name []byte) (person, host []byte) {
	for _, at := range []string{"@", "%40"} {
		if i := bytes.LastIndex(name, []byte(at)); i >= 0 {
			return name[:i], name[i+len(at):]
		}
	}
	return nil, name
}

// redaction is how much of a reply is removed.
type redaction uint8

const (
	localPartsOnly   redaction = iota // the words of local parts
	allButVocabulary                  // all but the vocabulary, addresses, and lists
	allButLists                       // all but the names of well-known lists
)

// redaction is the level for a reply to this command, with the bytes that the client has sent so
// far.
func (s *Session) redaction(v Verb) redaction {
	const unclear = Midstream | GapClient | GapServer | TooManyPending | UnknownCommand | LongLine |
		PlainAfterSTARTTLS | AfterSTARTTLS | CutShort
	p, w := &s.client, &s.words
	switch {
	case w.sensitive.full():
		return allButLists
	case v == connect && s.Commands == 0 && s.Flags&(Midstream|GapClient) == 0:
		return localPartsOnly // the client has sent nothing yet
	case v == NoVerb && !s.onlyCommands(), v == endOfData, v == bdatLast, v == BDAT,
		w.sensitive.n > 0, w.localParts.full(), s.Auth >= AuthTried,
		p.seen.sentMessage, p.seen.ambiguous, !p.seen.client,
		p.alt.bytes != nil, p.held.lenientEnd, p.held.uncertain, s.Flags&unclear != 0:
		return allButVocabulary
	}
	return localPartsOnly
}

// ellipsis stands for text that was removed.
const ellipsis = "..."

// redact returns a reply's text without what must not be kept or shown. It is borrowed until the
// next call.
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

// writeEllipsis writes one ellipsis for all parts in a row that are removed.
func (l *Listener) writeEllipsis() {
	if !bytes.HasSuffix(bytes.TrimRight(l.redacted, " "), []byte(ellipsis)) {
		l.redacted = append(l.redacted, ellipsis...)
	} else {
		l.redacted = bytes.TrimRight(l.redacted, " ")
	}
}

// redactPart writes what may be shown of a part of a text without blanks. list and server are the
// names of the blocklist that the text cites and of the server, which a text may show.
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
	keep := how == allButVocabulary
	named := keep && host != nil && (equalLower(host, list) || bytes.Equal(host, server))
	switch {
	case host != nil && l.KnownHost != nil && l.KnownHost(host),
		named && !l.quotesClient(s, part):
		if link {
			l.redacted = append(l.redacted, "https://"...)
		}
		l.redacted = append(l.redacted, host...)
		if link {
			l.redacted = append(l.redacted, "/..."...)
		}
	case keep && (isAddress(part) || l.isCommon(part)) && !l.quotesClient(s, part):
		l.redacted = append(l.redacted, part...)
	default:
		l.writeEllipsis()
	}
}

// redactLocalParts writes a part of a text without the words of local parts.
func (l *Listener) redactLocalParts(s *Session, part []byte) {
	word := bytes.TrimRight(part, ".,:;!?")
	bare := true // it is one word, but for punctuation at its end
	for _, c := range word {
		bare = bare && letter(c)
	}
	if bare && inVocabulary(word) { // the word "service" does not show the mailbox of that name
		l.redacted = append(l.redacted, part...)
		return
	}
	name := func(_ []byte, hash uint32) bool { return s.words.localParts.has(hash) }
	if l.eachDecoding(part, func(plain []byte) bool { return l.hasWord(plain, 3, name) }) {
		l.writeEllipsis()
		return
	}
	// named reports whether b has a word of a local part. In the domain of an address, behind its
	// @, ordinary words are none.
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

// hasWord reports whether b has a word of at least so many letters for which in returns true.
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

// quotesClient reports whether a part of a text has a word that the client has sent.
func (l *Listener) quotesClient(s *Session, part []byte) bool {
	in := func(_ []byte, h uint32) bool {
		return s.words.sensitive.has(h) || s.words.localParts.has(h)
	}
	return l.hasWord(part, 2, in) ||
		l.eachDecoding(part, func(plain []byte) bool { return l.hasWord(plain, 3, in) })
}

// isCommon reports whether all words of a part of a text are in the vocabulary or short numbers.
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
	if bytes.IndexByte(part, '.') < 0 { // most words end here
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

// isAddress reports whether a part of a text is an IP address, with the characters that servers put
// around it.
func isAddress(part []byte) bool {
	if bytes.IndexByte(part, '.') < 0 && bytes.IndexByte(part, ':') < 0 { // most words end here
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

// hostIn is the host name that a part of a text is or links to; nil if there is none. link reports
// that it is a link.
func hostIn(part []byte) (host []byte, link bool) {
	if bytes.IndexByte(part, '.') < 0 { // most words end here
		return nil, false
	}
	part = bytes.TrimLeft(part, "[](){}<>\"'")
	for _, scheme := range []string{"https://", "http://", "HTTPS://", "HTTP://"} {
		if rest, ok := bytes.CutPrefix(part, []byte(scheme)); ok {
			part, link = rest, true
		}
	}
	end := 0
	for end < len(part) && (asciiLetter(part[end]) || strings.IndexByte(".-_", part[end]) >= 0) {
		end++
	}
	rest := part[end:]
	host = bytes.TrimRight(part[:end], ".")
	more := len(bytes.Trim(rest, "[](){}<>\"',;:.!?")) > 0 && rest[0] != '/'
	if !link && more || bytes.IndexByte(host, '.') < 1 {
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

// eachDecoding calls f for each decoding of a part of a text, until f returns true: percent signs
// (RFC 3986, section 2.1), equals signs (RFC 2045, section 6.7), plus signs (RFC 3461, section 4),
// base64, hexadecimal digits. It reports whether f returned true.
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

// runExtra are the characters of base64 besides letters and digits, in both of its alphabets.
const runExtra = "+/-_"

// eachRun calls f for the decodings of the runs of letters, digits and the characters of more,
// until f returns true. With more it skips the runs without any of them.
func (l *Listener) eachRun(part []byte, more string, f func(plain []byte) bool) bool {
	for i := 0; i < len(part); { // each round takes a byte at least
		end, extra := i, more == ""
		for end < len(part) && (asciiLetter(part[end]) || strings.IndexByte(more, part[end]) >= 0) {
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

// eachBinary calls f for a run of letters and digits decoded as hexadecimal digits and as base64,
// with and without a beginning that is none.
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

// unquote decodes a mark and two hexadecimal digits, also several times over. ok reports that there
// was such a mark.
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
