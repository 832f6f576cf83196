package redact

import (
	"bytes"
	"encoding/binary"
)

// Servers repeat their texts, and most of these have no word that the client has sent. For a text
// that comes again, the Redactor keeps the hashes of the words that would be looked for in those of
// the client. If the client has sent none of them, the whole text may be shown: a hundred
// instructions instead of some thousand.

const (
	knownTexts = 32 // a text replaces another one in its place
	knownBytes = 96 // of a text
	knownWords = 16 // words of a text, and of its decodings
)

// knownText is what is known of a text at a level.
type knownText struct {
	text   [knownBytes]byte
	hashes [knownWords]uint32
	length uint8
	words  uint8
	level  Level
	state  knownState
}

type knownState uint8

const (
	seenOnce   knownState = iota // it is read when it comes again
	showsWords                   // it may be shown to a client that has sent none of its words
	showsLess                    // a part of it must not be shown, or depends on more than words
)

// unchanged reports whether it is known that all of a text may be shown.
func (r *Redactor) unchanged(w *Words, text []byte, level Level) bool {
	if len(text) < 8 || len(text) > knownBytes || level == AllButLists {
		return false
	}
	first := binary.LittleEndian.Uint64(text)
	last := binary.LittleEndian.Uint64(text[len(text)-8:])
	const factor = 0x9e3779b97f4a7c15
	at := (first*factor ^ last + uint64(len(text)) + uint64(level)<<8) * factor
	k := &r.known[at>>(64-5)%knownTexts]
	if k.level != level || !bytes.Equal(k.text[:k.length], text) {
		k.length, k.level, k.state = uint8(copy(k.text[:], text)), level, seenOnce
		return false
	}
	if k.state == seenOnce {
		k.state = showsLess
		if k.words = 0; r.learn(k, text) {
			k.state = showsWords
		}
	}
	if k.state == showsLess {
		return false
	}
	for _, h := range k.hashes[:k.words] {
		if w.localParts.has(h) || w.sensitive.has(h) {
			return false
		}
	}
	return true
}

// learn finds the words of a text for which [Redactor.redactPart] would look. It reports false if
// there are too many, or if the text would be changed for any client.
func (r *Redactor) learn(k *knownText, text []byte) bool {
	fits := true
	keep := func(_ []byte, hash uint32) bool {
		if int(k.words) == len(k.hashes) {
			fits = false
			return true
		}
		k.hashes[k.words] = hash
		k.words++
		return false
	}
	least := 1
	if k.level == AllButVocabulary {
		least = 2
	}
	blanks := func(c rune) bool { return c == ' ' || c == '\t' }
	for part := range bytes.FieldsFuncSeq(text, blanks) {
		switch {
		case isEnhanced(part):
			continue
		case k.level == LocalPartsOnly:
			if isVocabulary(part) {
				continue
			}
		default:
			host, _ := hostIn(part)
			if host != nil || !isAddress(part) && !r.isCommon(part) {
				return false
			}
		}
		if r.hasWord(part, least, keep) ||
			r.eachDecoding(part, func(plain []byte) bool { return r.hasWord(plain, 3, keep) }) {
			return false
		}
	}
	return fits
}
