package detect

import (
	"fmt"
	"strings"

	"spamsensor/sensor/verdict"
)

func init() {
	detectors[Conflicts] = detector{"conflicting_data", Dialect, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("In %s it sent bytes twice, and other bytes the second time. No TCP does that: it hides from whoever listens what the servers read.", verdict.Plural(uint32(r.Value), "session"))
	}}
	detectors[Oddities] = detector{"oddities", Dialect, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return "It speaks SMTP as spam programs do and mail servers do not: it " + strings.Join(h.dialect.list(), ", ") + "."
	}}
}

// Conflicting is the observation of a session in which the client sent bytes again, and others. It
// comes once per session.
func (h *Profile) Conflicting(now int64) {
	inc(&h.conflicting)
	if h.conflicting >= fewConflicts && h.conflicting*4 >= h.sessions {
		h.raise(Conflicts, now, float64(h.conflicting), fewConflicts, 4.6)
	}
}

// fewConflicts is how many sessions with other bytes in the same place are no accident, if it is a
// quarter of all.
const fewConflicts = 3

// Oddity is something that a correct client does not do.
type Oddity uint16

// The oddities.
const (
	Early         Oddity = 1 << iota // spoke before the greeting
	OldHello                         // HELO although the greeting offers ESMTP
	BareLineFeed                     // lines ended by LF alone
	NoSuchCommand                    // a line that is no command
	NoHello                          // MAIL without HELO or EHLO before it
	NoGoodbye                        // hung up without QUIT
	LooseSyntax                      // a blank behind the colon of MAIL FROM:, or no brackets
	WentOn                           // DATA although no recipient was accepted, and it had heard so
	Impatient                        // commands without waiting for replies, though PIPELINING was not offered
	Unencrypted                      // MAIL in clear though STARTTLS was offered
)

// oddities are their weights: small, because careless programs have one or two of them, and
// because each is known to be rare among servers but nobody has published how rare. Postfix' postscreen
// refuses a client for the first alone, and can for the one that does not wait.
var oddities = [...]struct {
	weight float64
	text   string
}{{2.3, "speaks before the server's greeting"}, {0.7, "says HELO where EHLO was offered"}, {1.2, "ends lines wrongly"},
	{1.2, "sends lines that are no command"}, {1.6, "leaves out the introduction"}, {0.7, "hangs up without QUIT"},
	{0.7, "does not write MAIL FROM:<...> as RFC 5321 has it"}, {1.2, "goes on with the message when every recipient was refused"},
	{1.6, "does not wait for answers although the server did not offer that"}, {0.7, "does not encrypt although the server offers it"}}

// dialect counts the sessions with each oddity.
type dialect [len(oddities)]uint16

// minOddSessions is how many sessions must show an oddity: once is an accident.
const minOddSessions = 2

func (d *dialect) list() (list []string) {
	for i, n := range d {
		if n >= minOddSessions {
			list = append(list, fmt.Sprintf("%s (%s)", oddities[i].text, verdict.Plural(uint32(n), "session")))
		}
	}
	return list
}

// Dialect is the observation of how a session on port 25 with a server that is not ours was
// spoken.
func (h *Profile) Dialect(o Oddity, now int64) {
	for i := range h.dialect {
		if n := &h.dialect[i]; o>>i&1 != 0 && *n < 65535 {
			*n++
		}
	}
	if o != 0 {
		h.judgeDialect(now)
	}
}

// judgeDialect is called when a session was odd.
func (h *Profile) judgeDialect(now int64) {
	weight, kinds := 0.0, 0
	for i, n := range h.dialect {
		if n >= minOddSessions {
			weight += oddities[i].weight
			kinds++
		}
	}
	if kinds > 0 {
		h.raise(Oddities, now, float64(kinds), 1, weight)
	}
}

// speaksOddly reports whether there are two oddities, or a grave one.
func (h *Profile) speaksOddly() bool { return h.reasons[Oddities].Weight >= 1.4 }
