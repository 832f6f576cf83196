package smtpsniff

// Verb is a command.
type Verb uint8

// The commands of RFC 5321 and its extensions, and pseudo commands that also wait for a reply.
const (
	NoVerb Verb = iota
	HELO
	EHLO
	LHLO // LMTP (RFC 2033)
	MAIL
	RCPT
	DATA
	BDAT // RFC 3030
	RSET
	NOOP
	VRFY
	EXPN
	HELP
	AUTH // RFC 4954
	STARTTLS
	QUIT
	ETRN
	TURN
	XCLIENT
	XFORWARD
	BURL // RFC 4468

	connect    // the connection itself: the banner answers it
	endOfData  // the line with the dot
	bdatLast   // BDAT with LAST
	notCommand // a line that is no command; servers answer those too
	verbsTotal // number of verbs
)

var verbNames = [verbsTotal]string{HELO: "HELO", EHLO: "EHLO", LHLO: "LHLO", MAIL: "MAIL",
	RCPT: "RCPT", DATA: "DATA", BDAT: "BDAT", RSET: "RSET", NOOP: "NOOP", VRFY: "VRFY",
	EXPN: "EXPN", HELP: "HELP", AUTH: "AUTH", STARTTLS: "STARTTLS", QUIT: "QUIT", ETRN: "ETRN",
	TURN: "TURN", XCLIENT: "XCLIENT", XFORWARD: "XFORWARD", BURL: "BURL"}

// String is the verb as it is written.
func (v Verb) String() string { return verbNames[v] }

// phase is the part of the dialogue to which the verb's reply belongs.
func (v Verb) phase() Phase {
	switch v {
	case connect:
		return Banner
	case HELO, EHLO, LHLO:
		return Helo
	case AUTH:
		return AuthPhase
	case STARTTLS:
		return TLSPhase
	case MAIL:
		return Mail
	case RCPT:
		return Rcpt
	case DATA, BDAT:
		return Data
	case endOfData, bdatLast:
		return EndOfData
	}
	return OtherPhase
}

// parseVerb finds the verb at the start of a line, and returns what follows it. It skips leading
// blanks, as servers do. The verb must match in full: a blank, a tab, a colon or the end of the
// line ends it.
func parseVerb(line []byte) (v Verb, rest []byte) {
	line = trimLeft(line)
	n := 0
	for n < len(line) && n <= 8 && line[n]|0x20 >= 'a' && line[n]|0x20 <= 'z' {
		n++
	}
	if n < 4 || n > 8 || n < len(line) && line[n] != ' ' && line[n] != '\t' && line[n] != ':' {
		return NoVerb, nil
	}
	for v := HELO; v <= BURL; v++ {
		if name := verbNames[v]; len(name) == n && equalFold(line[:n], name) {
			return v, line[n:]
		}
	}
	return NoVerb, nil
}

// equalFold compares letters without case; upper is in upper case.
func equalFold(b []byte, upper string) bool {
	if len(b) != len(upper) {
		return false
	}
	for i := range b {
		if b[i]&^0x20 != upper[i] {
			return false
		}
	}
	return true
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

func trimLeft(b []byte) []byte {
	for len(b) > 0 && blank(b[0]) {
		b = b[1:]
	}
	return b
}

func trim(b []byte) []byte {
	b = trimLeft(b)
	for len(b) > 0 && blank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}
