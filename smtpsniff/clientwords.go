package smtpsniff

import (
	"bytes"
	"math/rand/v2"
	"unicode"
	"unicode/utf8"
)

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
