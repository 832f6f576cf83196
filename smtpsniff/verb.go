package smtpsniff

import "encoding/binary"

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

// phases are the parts of the dialogue to which the verbs' replies belong.
var phases = [verbsTotal]Phase{NoVerb: NoPhase, connect: Banner, HELO: Helo, EHLO: Helo, LHLO: Helo,
	AUTH: AuthPhase, STARTTLS: TLSPhase, MAIL: Mail, RCPT: Rcpt, DATA: Data, BDAT: Data,
	endOfData: EndOfData, bdatLast: EndOfData, RSET: OtherPhase, NOOP: OtherPhase, VRFY: OtherPhase,
	EXPN: OtherPhase, HELP: OtherPhase, QUIT: OtherPhase, ETRN: OtherPhase, TURN: OtherPhase,
	XCLIENT: OtherPhase, XFORWARD: OtherPhase, BURL: OtherPhase, notCommand: OtherPhase}

// verbTable has the verbs by a hash of their first four letters, see verbIndex. A verb without
// letters is none.
var verbTable = func() (t [1 << verbBits]struct {
	letters uint32 // the first four, in upper case
	verb    Verb
	length  uint8
}) {
	for v := HELO; v <= BURL; v++ {
		letters := binary.LittleEndian.Uint32([]byte(verbNames[v]))
		e := &t[verbIndex(letters)]
		e.letters, e.verb, e.length = letters, v, uint8(len(verbNames[v]))
	}
	return t
}()

const verbBits = 5

// verbIndex is the place of a verb in the table. The factor gives each verb its own place.
func verbIndex(letters uint32) uint32 { return letters * 0xb1f8defb >> (32 - verbBits) }

// parseVerb finds the verb at the start of a line, and returns what follows it. It skips leading
// blanks, as servers do. The verb must match in full: a blank, a tab, a colon or the end of the
// line ends it. About 25 instructions.
func parseVerb(line []byte) (v Verb, rest []byte) {
	if len(line) > 0 && blank(line[0]) {
		line = trimLeft(line)
	}
	if len(line) < 4 {
		return NoVerb, nil
	}
	letters := binary.LittleEndian.Uint32(line) &^ 0x20202020 // no other byte becomes a letter
	e := &verbTable[verbIndex(letters)]
	if e.letters != letters || letters == 0 {
		return NoVerb, nil
	}
	n := 4
	if e.length > 4 {
		n = int(e.length)
		if name := verbNames[e.verb]; len(line) < n || !equalFold(line[4:n], name[4:]) {
			return NoVerb, nil
		}
	}
	if rest = line[n:]; len(rest) > 0 && !blank(rest[0]) && rest[0] != ':' {
		return NoVerb, nil
	}
	return e.verb, rest
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
