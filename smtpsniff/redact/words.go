package redact

import (
	"math/rand/v2"
	"unicode"
	"unicode/utf8"
)

// Bounds of the words of a client that are kept. Most sessions have one sender, a few recipients
// and one HELO name, so that 12 words are enough. Where they are not, [Words] counts as full, and
// more of each reply is removed.
const (
	maxWords   = 12 // in each set
	wordPrefix = 6  // letters of a word that are compared
)

// Words are the words of one client that replies may quote. The zero value has none. It takes 120
// bytes of each session, and keeps no text: a word is a keyed hash of 32 bits.
type Words struct {
	localParts wordSet   // of recipients and senders
	sensitive  wordSet   // of all other text that must not be shown
	lastHashes [2]uint64 // hashes of the latest sensitive texts
}

// Full reports whether the client has sent more sensitive words than can be kept. Then a part of a
// reply cannot be compared with them: the level of each reply is [AllButLists].
func (w *Words) Full() bool { return w.sensitive.full() }

// Sensitive reports whether the client has sent sensitive words, or more local parts than can be
// kept. Then the level of each reply is [AllButVocabulary] at least.
func (w *Words) Sensitive() bool { return w.sensitive.n > 0 || w.localParts.full() }

// AddLocalPart adds the words of an address's local part. Quotes and backslashes separate words, as
// dots do. The bytes are borrowed for the call.
func (r *Redactor) AddLocalPart(w *Words, local []byte) { r.addWords(&w.localParts, local) }

// AddSensitive adds the words of a text that must not be shown, and the words of its decodings. The
// bytes are borrowed for the call. A text of more than 512 bytes makes the set full.
func (r *Redactor) AddSensitive(w *Words, b []byte) {
	set := &w.sensitive
	if set.full() || len(b) == 0 {
		return
	}
	if len(b) > maxText {
		set.fill()
		return
	}
	h := r.seed()
	for _, c := range b {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	last := &w.lastHashes
	if set.n > 0 && (h == last[0] || h == last[1]) {
		return // bounds the cost of a client that repeats its AUTH
	}
	last[0], last[1] = h, last[0]
	r.addWords(set, b)
	r.eachDecoding(b, func(plain []byte) bool {
		if isText(plain) {
			r.addWords(set, plain)
		}
		return false
	})
	clear(r.decoded[:])
}

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

// nextWord cuts the next word off b: letters, digits, and bytes beyond ASCII. hash is the hash of
// its beginning in small letters; n is the number of its letters, up to wordPrefix, zero at the end
// of b.
func (r *Redactor) nextWord(b []byte) (word, rest []byte, hash uint32, n int) {
	from := 0
	for from < len(b) && wordByte[b[from]] == 0 {
		from++
	}
	b = b[from:]
	h := r.seed()
	i := 0
	for i < len(b) { // each round takes a byte at least
		c, size := rune(wordByte[b[i]]), 1
		if c == 0 {
			break
		}
		if c >= 0x80 {
			c, size = utf8.DecodeRune(b[i:])
			c = unicode.ToLower(c)
		}
		if n < wordPrefix {
			h = (h ^ uint64(c)) * 0x100000001b3
			n++
		}
		i += size
	}
	return b[:i], b[i:], uint32(h>>32) ^ uint32(h), n
}

// wordByte is the byte of a word in small letters; zero for those of no word.
var wordByte = func() (t [256]byte) {
	for i := range t {
		if c := byte(i); letter(c) {
			t[i] = c
			if c >= 'A' && c <= 'Z' {
				t[i] += 'a' - 'A'
			}
		}
	}
	return t
}()

// seed is Seed, drawn at random if it is zero.
func (r *Redactor) seed() uint64 {
	if r.Seed == 0 {
		r.Seed = rand.Uint64() | 1
	}
	return r.Seed
}

// letter reports whether c belongs to a word: a letter, a digit, or a byte beyond ASCII.
func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}

// asciiLetter reports whether c is an ASCII letter or digit.
func asciiLetter(c byte) bool { return c < 0x80 && letter(c) }

// addWords adds the words of b. A single letter counts only where it is all of b.
func (r *Redactor) addWords(w *wordSet, b []byte) {
	whole := b
	for !w.full() { // each round takes a word
		var word []byte
		var h uint32
		var n int
		word, b, h, n = r.nextWord(b)
		if n == 0 {
			return
		}
		if n > 1 || len(word) == len(whole) {
			w.add(h)
		}
	}
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
