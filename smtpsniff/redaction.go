package smtpsniff

import (
	"bytes"

	"spamsensor/smtpsniff/redact"
)

// redaction is the level for a reply to this command, with the bytes that the client has sent so
// far. Only a dialogue that was captured without a gap, and in which the client has sent nothing
// but commands, shows replies with their own words: in any other the server may quote bytes that
// the listener has not read, or has read as something else.
func (s *Session) redaction(v Verb) redact.Level {
	const unclear = Midstream | GapClient | GapServer | TooManyPending | UnknownCommand | LongLine |
		PlainAfterSTARTTLS | AfterSTARTTLS | CutShort
	p := &s.client
	switch {
	case s.words.Full():
		return redact.AllButLists
	case v == connect && s.Commands == 0 && s.Flags&(Midstream|GapClient) == 0:
		return redact.LocalPartsOnly // the client has sent nothing yet
	case v == NoVerb && !s.onlyCommands(), v == endOfData, v == bdatLast, v == BDAT,
		s.words.Sensitive(), s.Auth >= AuthTried,
		p.seen.sentMessage, p.seen.ambiguous, !p.seen.client,
		p.alt.bytes != nil, p.held.lenientEnd, p.held.uncertain, s.Flags&unclear != 0:
		return redact.AllButVocabulary
	}
	return redact.LocalPartsOnly
}

// redact returns a reply's text without what must not be kept or shown. It is borrowed until the
// next call. It has 256 bytes at most, although an ellipsis may be longer than the word it stands
// for.
func (l *Listener) redact(s *Session, text []byte, v Verb) []byte {
	shown := l.Redactor.Redact(&s.words, text, s.redaction(v), s.Banner())
	return shown[:min(len(shown), maxReply)]
}

// Servers quote what the client sent: addresses of MAIL and RCPT, the argument of a command, a line
// that is no command. Each of these is added when it is read, before the reply to it comes. Nothing
// is taken back when bytes are read again: the server may have read them in either way.

// addLocalPart adds the words of an address's local part.
func (l *Listener) addLocalPart(s *Session, address []byte) {
	local := address
	if d := Domain(address); d != nil {
		local = address[:len(address)-len(d)-1]
	}
	l.Redactor.AddLocalPart(&s.words, local)
}

// addSensitive adds the words of a text of the client that must not be shown.
func (l *Listener) addSensitive(s *Session, b []byte) { l.Redactor.AddSensitive(&s.words, b) }

// addParameters adds the words behind the path of MAIL or RCPT, without the parameters that
// describe the message and no person (RFC 1870, 6152, 3461).
func (l *Listener) addParameters(s *Session, params []byte) {
	for b := trim(params); len(b) > 0; b = trimLeft(b) { // each round takes a byte at least
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
	if i := bytes.LastIndexByte(name, '@'); i >= 0 {
		return name[:i], name[i+1:]
	}
	if bytes.IndexByte(name, '%') >= 0 {
		if i := bytes.LastIndex(name, []byte("%40")); i >= 0 {
			return name[:i], name[i+3:]
		}
	}
	return nil, name
}
