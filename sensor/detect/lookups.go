package detect

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// Lookups are the DNS queries of a host that are about mail. They are kept also for hosts that
// never tried to send any, because the query comes before the attempt.
type Lookups struct {
	MX       uint32 // queries for mail servers
	LastUsed int64
	mx       [maxDomains]sketch.Slot // domains whose servers were asked for
	hosts    [maxDomains]sketch.Slot // domains with a mail host that was looked up
	lists    uint32
	list     string
	answers  [8]answer
	next     uint8
	// linked is the first name whose address the host then connected to.
	linked   string
	linkedIn int64
	resolver bool // the host answers queries: it asks for its clients
	last     [4]uint32
}

// answer is a name and one of its addresses.
type answer struct {
	addr [16]byte
	name string
	at   int64
}

// Question is the kind of a query.
type Question uint8

// The kinds of queries that count.
const (
	AsksMX   Question = iota // for the mail servers of a domain
	AsksHost                 // for the address of a mail host
	AsksList                 // of a blocklist, for an address
)

// Names of mail servers count when there are many within ten minutes, or half a dozen in one burst:
// even 500 people behind one address do not begin mails to so many providers within 20 s.
const namesTime, burstNames, burstTime = 600, 6, 20

// Asked records a query. domain is the hash of the registered domain, name the whole name; id is
// the same for a query, its copies and its repetitions.
func (l *Lookups) Asked(q Question, domain uint32, name string, id uint32, now int64) {
	// A mirror port may show a query twice, and clients repeat queries.
	for _, have := range l.last {
		if have == id {
			return
		}
	}
	copy(l.last[1:], l.last[:3])
	l.last[0] = id
	l.LastUsed = now
	switch q {
	case AsksMX:
		inc(&l.MX)
		sketch.AddRecent(l.mx[:], domain, sketch.Stamp(now), 3600)
	case AsksHost:
		sketch.AddRecent(l.hosts[:], domain, sketch.Stamp(now), namesTime)
	case AsksList:
		inc(&l.lists)
		l.list = name
	}
}

// Answered records an answer that names an address.
func (l *Lookups) Answered(name string, addr [16]byte, now int64) {
	l.LastUsed = now
	l.answers[l.next%uint8(len(l.answers))] = answer{addr, name, now}
	l.next++
}

// linkTime is how long after an answer an attempt at its address belongs to it.
const linkTime = minute

// Connected records an attempt at an address. It reports whether an answer had just named it.
func (l *Lookups) Connected(addr *[16]byte, now int64) bool {
	// Eight answers are kept. The latest for an address is not looked for: any within the time will
	// do.
	for i := range l.answers {
		if a := &l.answers[i]; a.addr == *addr && a.at != 0 && now >= a.at && now-a.at <= linkTime {
			if l.linked == "" {
				l.linked, l.linkedIn = a.name, now-a.at
			}
			return true
		}
	}
	return false
}

// ServesOthers records that other hosts ask this one: its queries are theirs.
func (l *Lookups) ServesOthers() { l.resolver = true }

// example is a lookup that led to an attempt, as a sentence.
func (l *Lookups) example() string {
	if l.linked == "" {
		return ""
	}
	return fmt.Sprintf(" It looked up %s and connected there %s later.", l.linked,
		verdict.Span(l.linkedIn))
}

// judgeServerNames looks at domains whose mail servers were named, in lookups or in TLS.
func (p *Profile) judgeServerNames(c *Config, code Code, list []sketch.Slot, now int64) {
	if n := sketch.CountRecent(list, sketch.Stamp(now), namesTime); n >= c.MailNames {
		p.raise(code, now, float64(n), float64(c.MailNames), 3)
	} else if n := sketch.CountRecent(list, sketch.Stamp(now), burstTime); n >= burstNames {
		p.raise(code, now, float64(n), burstNames, 3)
	}
}

// namesSpan is the time in which names were counted.
func namesSpan(r *verdict.Reason) string {
	if r.Threshold == burstNames {
		return fmt.Sprintf("%d s", burstTime)
	}
	return "ten minutes"
}

// Lookups is nil if no query of the source is known.
func (p *Profile) Lookups() *Lookups { return p.lookups }
