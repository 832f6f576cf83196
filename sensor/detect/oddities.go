package detect

import (
	"fmt"
	"strings"

	"spamsensor/sensor/verdict"
)

// Oddity is something that a correct client does not do. Oddities of one session are or-ed
// together. Package engine finds them in the dialogue, which must have been read in clear from the
// greeting on.
type Oddity uint16

// The oddities.
const (
	Early         Oddity = 1 << iota // the client spoke before the greeting
	OldHello                         // HELO although the greeting offers ESMTP
	BareLineFeed                     // lines ended by LF alone
	NoSuchCommand                    // a line that is no command
	NoHello                          // MAIL without HELO or EHLO before it
	NoGoodbye                        // the client hung up without QUIT
	LooseSyntax                      // a blank behind the colon of MAIL FROM:, or no brackets
	WentOn                           // DATA although all recipients were refused
	Impatient                        // commands before replies, without PIPELINING
	Unencrypted                      // MAIL in clear though STARTTLS was offered
)

// oddities are their weights: small, because careless programs have one or two of them, and
// because each is known to be rare among servers but no published figure says how rare. Postfix'
// postscreen refuses a client for the first alone, and can refuse one that does not wait.
var oddities = [...]struct {
	weight float64
	text   string
}{
	{2.3, "speaks before the server's greeting"},
	{0.7, "says HELO where EHLO was offered"},
	{1.2, "ends lines incorrectly"},
	{1.2, "sends lines that are not commands"},
	{1.6, "sends neither EHLO nor HELO"},
	{0.7, "disconnects without QUIT"},
	{0.7, "does not write MAIL FROM:<...> as RFC 5321 requires"},
	{1.2, "sends the message although every recipient was refused"},
	{1.6, "does not wait for replies although the server does not offer PIPELINING"},
	{0.7, "does not use STARTTLS although the server offers it"},
}

// dialect counts the sessions with each oddity.
type dialect [len(oddities)]uint16

// minOddSessions is how many sessions must show an oddity: once is an accident.
const minOddSessions = 2

// list has a text for each oddity that enough sessions have shown.
func (d *dialect) list() (list []string) {
	for i, n := range d {
		if n >= minOddSessions {
			list = append(list, fmt.Sprintf("%s (%s)", oddities[i].text,
				verdict.Plural(uint32(n), "session")))
		}
	}
	return list
}

// observeOddities counts a session on port 25 with an external server. Its oddities count only in
// dialogues that were read in clear from the beginning.
func observeOddities(p *Profile, o *Observation) {
	for i := range p.dialect {
		if n := &p.dialect[i]; o.Oddities>>i&1 != 0 && *n < 65535 {
			*n++
		}
	}
	if o.Oddities != 0 {
		p.judgeOddities(o.Time)
	}
}

// judgeOddities is for a session with an oddity.
func (p *Profile) judgeOddities(now int64) {
	// The weight is the sum over the kinds of oddities, not over the sessions.
	weight, kinds := 0.0, 0
	for i, n := range p.dialect {
		if n >= minOddSessions {
			weight += oddities[i].weight
			kinds++
		}
	}
	if kinds > 0 {
		p.raise(Oddities, now, float64(kinds), 1, weight)
	}
}

// textOddities lists the oddities with their sessions.
func textOddities(p *Profile, _ *Counters, _ *verdict.Reason) string {
	return fmt.Sprintf("It speaks SMTP as spam programs do and mail servers do not: it %s.",
		strings.Join(p.dialect.list(), ", "))
}
