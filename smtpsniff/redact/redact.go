package redact

import (
	"bytes"
	"strings"
)

// Redactor removes from replies what the words of a client show there. It serves one goroutine; the
// zero value is ready. The words of one session must all be added by the same Redactor, because its
// seed is in their hashes.
type Redactor struct {
	// Seed makes the hashes of a client's words unpredictable. Zero means random: then a collision
	// of two hashes, once in four billion pairs of words, differs between two runs over a file.
	Seed uint64
	// KnownHost reports whether a host name belongs to a well-known blocklist or mail provider:
	// such a name is kept even if the client has sent it. Nil knows none.
	KnownHost func(host []byte) bool
	// ListName is the name of the blocklist that the text of a refusal cites, in small letters;
	// empty if it cites none. Nil finds none.
	ListName func(text []byte) string

	decoded [maxText]byte // empty between calls, but for texts of servers
	shown   []byte        // the latest result of Redact
	known   [knownTexts]knownText
}

// Level is how much of a reply is removed.
type Level uint8

// The levels. Each removes more than the one before.
const (
	LocalPartsOnly   Level = iota // the words of local parts
	AllButVocabulary              // all but the vocabulary, addresses, and lists
	AllButLists                   // all but the names of well-known lists
)

// ellipsis stands for text that was removed.
const ellipsis = "..."

// Redact returns a reply's text without what must not be kept or shown. banner is the greeting of
// the server, which begins with its name (RFC 5321, section 4.2): the text may show that name. The
// result may be longer than the text, because an ellipsis may be longer than a word. It is the text
// itself, or borrowed until the next call.
func (r *Redactor) Redact(w *Words, text []byte, level Level, banner []byte) []byte {
	if len(text) == 0 || level == LocalPartsOnly && w.localParts.n == 0 {
		return text
	}
	if r.unchanged(w, text, level) {
		return text
	}
	list, server := "", []byte(nil)
	if level == AllButVocabulary {
		server, _, _ = bytes.Cut(banner, []byte(" "))
		if r.ListName != nil {
			list = r.ListName(text)
		}
	}
	r.shown = r.shown[:0]
	for i := 0; i < len(text); { // each round takes a byte at least
		if blank(text[i]) {
			r.shown = append(r.shown, text[i])
			i++
			continue
		}
		end := i
		for end < len(text) && !blank(text[end]) {
			end++
		}
		r.redactPart(w, text[i:end], level, list, server)
		i = end
	}
	return r.shown
}

// writeEllipsis writes one ellipsis for all parts in a row that are removed.
func (r *Redactor) writeEllipsis() {
	if !bytes.HasSuffix(bytes.TrimRight(r.shown, " "), []byte(ellipsis)) {
		r.shown = append(r.shown, ellipsis...)
	} else {
		r.shown = bytes.TrimRight(r.shown, " ")
	}
}

// redactPart writes what may be shown of a part of a text without blanks. list and server are the
// names of the blocklist that the text cites and of the server, which a text may show.
func (r *Redactor) redactPart(w *Words, part []byte, level Level, list string, server []byte) {
	if isEnhanced(part) {
		r.shown = append(r.shown, part...)
		return
	}
	if level == LocalPartsOnly {
		r.redactLocalParts(w, part)
		return
	}
	host, link := hostIn(part)
	keep := level == AllButVocabulary
	named := keep && host != nil && (equalLower(host, list) || bytes.Equal(host, server))
	switch {
	case host != nil && r.KnownHost != nil && r.KnownHost(host),
		named && !r.quotesClient(w, part):
		if link {
			r.shown = append(r.shown, "https://"...)
		}
		r.shown = append(r.shown, host...)
		if link {
			r.shown = append(r.shown, "/..."...)
		}
	case keep && (isAddress(part) || r.isCommon(part)) && !r.quotesClient(w, part):
		r.shown = append(r.shown, part...)
	default:
		r.writeEllipsis()
	}
}

// redactLocalParts writes a part of a text without the words of local parts.
func (r *Redactor) redactLocalParts(w *Words, part []byte) {
	if isVocabulary(part) { // the word "service" does not show the mailbox of that name
		r.shown = append(r.shown, part...)
		return
	}
	name := func(_ []byte, hash uint32) bool { return w.localParts.has(hash) }
	if r.eachDecoding(part, func(plain []byte) bool { return r.hasWord(plain, 3, name) }) {
		r.writeEllipsis()
		return
	}
	// named reports whether b has a word of a local part. In the domain of an address, behind its
	// @, ordinary words are none.
	named := func(b []byte) bool {
		domain := bytes.HasSuffix(r.shown, []byte("@")) && bytes.IndexByte(b, '.') > 0
		return r.hasWord(b, 1, func(word []byte, hash uint32) bool {
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
			r.shown = append(r.shown, part[0])
			end = 1
		case named(part[:end]):
			r.writeEllipsis()
		default:
			r.shown = append(r.shown, part[:end]...)
		}
		part = part[end:]
	}
}

// isVocabulary reports whether a part of a text is one word of the vocabulary, but for punctuation
// at its end.
func isVocabulary(part []byte) bool {
	word := bytes.TrimRight(part, ".,:;!?")
	for _, c := range word {
		if !letter(c) {
			return false
		}
	}
	return inVocabulary(word)
}

// hasWord reports whether b has a word of at least so many letters for which in returns true.
func (r *Redactor) hasWord(b []byte, least int, in func(word []byte, hash uint32) bool) bool {
	for { // each round takes a word
		word, rest, h, n := r.nextWord(b)
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
func (r *Redactor) quotesClient(w *Words, part []byte) bool {
	in := func(_ []byte, h uint32) bool {
		return w.sensitive.has(h) || w.localParts.has(h)
	}
	return r.hasWord(part, 2, in) ||
		r.eachDecoding(part, func(plain []byte) bool { return r.hasWord(plain, 3, in) })
}

// isCommon reports whether all words of a part of a text are in the vocabulary or short numbers.
func (r *Redactor) isCommon(part []byte) bool {
	for { // each round takes a word
		word, rest, _, n := r.nextWord(part)
		if n == 0 {
			return true
		}
		if !inVocabulary(word) && !shortNumber(word) {
			return false
		}
		part = rest
	}
}
