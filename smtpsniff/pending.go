package smtpsniff

// pendingQueue holds the commands that wait for a reply, as runs of equal commands, so that ten
// thousand pipelined recipients take one place. Only commands whose reply decides how to read the
// client's next bytes may take the last place: those must not be missing.
//
// A server replies to each command, in their order (RFC 5321, section 4.3.2; RFC 2920, section
// 3.2), so that a queue is enough. EHLO, DATA, VRFY, EXPN, TURN, QUIT and NOOP end a group of
// pipelined commands (RFC 2920, section 3.1): the largest group of a usual client, RSET, MAIL, RCPT
// and DATA, has four runs. A queue of 12 runs is full only with four messages in chunks, or if a
// client ignores the standard.
type pendingQueue struct {
	runs  [maxRuns + 1]run
	n     uint8
	total uint32 // commands of all runs
}

type run struct {
	verb  Verb
	count uint32
}

// push appends a command and reports whether there was room.
func (q *pendingQueue) push(v Verb) bool { return q.pushN(v, 1) }

// pushN is push of the same command n times, n > 0: all of them or none.
func (q *pendingQueue) pushN(v Verb, n uint32) bool {
	if q.total > ^uint32(0)-n {
		return false
	}
	if q.n > 0 && q.runs[q.n-1].verb == v {
		q.runs[q.n-1].count += n
	} else {
		decides := v == DATA || v == STARTTLS || v == AUTH
		if int(q.n) >= maxRuns && (int(q.n) == len(q.runs) || !decides) {
			return false
		}
		q.runs[q.n] = run{v, n}
		q.n++
	}
	q.total += n
	return true
}

// front is the command that has waited longest; NoVerb if none waits.
func (q *pendingQueue) front() Verb {
	if q.n == 0 {
		return NoVerb
	}
	return q.runs[0].verb
}

// last is the latest command; NoVerb if none waits.
func (q *pendingQueue) last() Verb {
	if q.n == 0 {
		return NoVerb
	}
	return q.runs[q.n-1].verb
}

func (q *pendingQueue) pop() {
	if q.n == 0 {
		return
	}
	q.total--
	if q.runs[0].count--; q.runs[0].count == 0 {
		if q.n > 1 {
			copy(q.runs[:], q.runs[1:q.n])
		}
		q.n--
	}
}

// answers reports whether the code is a reply to one command only, and such a command waits: 354 to
// DATA, 221 to QUIT, 220 to STARTTLS or the connection, 235 and 334 to AUTH.
func (q *pendingQueue) answers(code uint16) bool {
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

func (q *pendingQueue) clear() { q.n, q.total = 0, 0 }

// fits reports whether a server can answer a command with this code (RFC 5321, section 4.3.2; RFC
// 3207, section 4; RFC 4954, section 6). Refusals fit all commands: a server may send 421 at any
// time (RFC 5321, section 3.8), and servers refuse with codes that the standard has for other
// commands. All 2xx codes but these say no more than "accepted", and servers mix them up.
func fits(v Verb, code uint16) bool {
	if code >= 400 {
		return true
	}
	switch v {
	case connect:
		return code == 220
	case DATA:
		return code == 354
	case QUIT:
		return code == 221
	case STARTTLS:
		return code == 220
	case AUTH:
		return code == 235 || code == 334
	}
	return code/100 == 2 && code != 220 && code != 221 && code != 235
}
