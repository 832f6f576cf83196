package smtpsniff

import (
	"bytes"
	"net/netip"
	"strings"
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
