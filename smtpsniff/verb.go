package smtpsniff

// Verb is a command.
type Verb uint8

// The commands of RFC 5321 and its extensions, and pseudo commands that also wait for a
// reply.
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

	connect    // waits for the banner
	endOfData  // the line with the dot
	bdatLast   // the last chunk
	someLine   // a line that is no command; servers answer those too
	verbsTotal // how many there are
)

var verbNames = [verbsTotal]string{HELO: "HELO", EHLO: "EHLO", LHLO: "LHLO", MAIL: "MAIL", RCPT: "RCPT", DATA: "DATA",
	BDAT: "BDAT", RSET: "RSET", NOOP: "NOOP", VRFY: "VRFY", EXPN: "EXPN", HELP: "HELP", AUTH: "AUTH", STARTTLS: "STARTTLS",
	QUIT: "QUIT", ETRN: "ETRN", TURN: "TURN", XCLIENT: "XCLIENT", XFORWARD: "XFORWARD"}

// String is the verb as it is written.
func (v Verb) String() string { return verbNames[v] }

// phase is the part of the dialogue that the verb's reply belongs to.
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

// parseVerb finds the verb at the start of a line and what follows it. Leading blanks are
// skipped, as servers do. The verb must match in full: it ends at a blank, a tab, a
// colon, or the end of the line.
func parseVerb(line []byte) (v Verb, rest []byte) {
	line = trimLeft(line)
	n := 0
	for n < len(line) && n <= 8 && line[n]|0x20 >= 'a' && line[n]|0x20 <= 'z' {
		n++
	}
	if n < 4 || n > 8 || n < len(line) && line[n] != ' ' && line[n] != '\t' && line[n] != ':' {
		return NoVerb, nil
	}
	for v := HELO; v <= XFORWARD; v++ {
		if name := verbNames[v]; len(name) == n && equalFold(line[:n], name) {
			return v, line[n:]
		}
	}
	return NoVerb, nil
}

// equalFold compares letters; upper is in upper case.
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

// queue holds the commands that wait for a reply, as runs of the same command, so that
// ten thousand pipelined recipients take one place. The last place is only for commands whose
// reply decides what the client's next bytes are: those must not be missing.
type queue struct {
	runs [maxRuns + 1]run
	n    uint8
	all  uint32 // how many wait
}

type run struct {
	verb  Verb
	count uint32
}

// push reports whether there was room.
func (q *queue) push(v Verb) bool { return q.pushAll(v, 1) }

// pushAll is push of the same command n times, n > 0: all of them or none.
func (q *queue) pushAll(v Verb, n uint32) bool {
	if q.all > ^uint32(0)-n {
		return false
	}
	if q.n > 0 && q.runs[q.n-1].verb == v {
		q.runs[q.n-1].count += n
	} else {
		if int(q.n) >= maxRuns && (int(q.n) == len(q.runs) || v != DATA && v != STARTTLS && v != AUTH) {
			return false
		}
		q.runs[q.n] = run{v, n}
		q.n++
	}
	q.all += n
	return true
}

// front is the command that waits longest; NoVerb if none does.
func (q *queue) front() Verb {
	if q.n == 0 {
		return NoVerb
	}
	return q.runs[0].verb
}

// last is the command that was pushed last.
func (q *queue) last() Verb {
	if q.n == 0 {
		return NoVerb
	}
	return q.runs[q.n-1].verb
}

func (q *queue) pop() {
	if q.n == 0 {
		return
	}
	q.all--
	if q.runs[0].count--; q.runs[0].count == 0 {
		copy(q.runs[:], q.runs[1:q.n])
		q.n--
	}
}

// answers reports whether a command in the queue can be answered with a code that only
// one command is answered with.
func (q *queue) answers(code uint16) bool {
	if code != 354 && code != 221 && code != 220 && code != 235 && code != 334 {
		return false
	}
	for _, r := range q.runs[:q.n] {
		if fits(r.verb, code) {
			return true
		}
	}
	return false
}

func (q *queue) clear() { q.n, q.all = 0, 0 }
