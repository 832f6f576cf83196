package lookups

import (
	"spamsensor/sensor/sketch"
)

// Log is the DNS queries of a host that are about mail. A log is kept also for a host that never
// tried to send any, because the query comes before the attempt. It takes about two kilobytes. The
// zero value is empty.
type Log struct {
	MX       uint32 // queries for mail servers
	Lists    uint32 // queries to blocklists
	List     string // the latest of them
	LastUsed int64
	// Hosts are the domains with a mail host that was looked up by name.
	Hosts Names
	// Resolver is set if the host answers queries of others: it asks for its clients.
	Resolver bool
	// Linked is the first name whose address the host then connected to, LinkedAfter how long after
	// the answer, in nanoseconds. Linked is empty if there was none.
	Linked      string
	LinkedAfter int64

	mx      [MaxDomains]sketch.Slot // domains whose servers were asked for, of mxWindow
	answers [8]answer
	next    uint8
	last    [4]uint32 // ids of the latest queries
	servers servers
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
	MX   Question = iota // for the mail servers of a domain
	Host                 // for the address of a mail host
	List                 // to a blocklist, about an address
)

// mxWindow is how long the domains whose mail servers were asked for are kept, in seconds.
const mxWindow = 3600

// Asked records a query. domain is the hash of the registered domain, name the whole name; id is
// the same for a query, its copies and its repetitions.
func (l *Log) Asked(q Question, domain uint32, name string, id uint32, now int64) {
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
	case MX:
		sketch.Increment(&l.MX)
		sketch.AddRecent(l.mx[:], domain, sketch.Stamp(now), mxWindow)
	case Host:
		l.Hosts.Add(domain, now)
	case List:
		sketch.Increment(&l.Lists)
		l.List = name
	}
}

// MXDomains is how many domains the host asked for mail servers of within an hour, MaxDomains at
// most.
func (l *Log) MXDomains(now int64) int {
	return sketch.CountRecent(l.mx[:], sketch.Stamp(now), mxWindow)
}

// Answered records an answer that names an address.
func (l *Log) Answered(name string, addr [16]byte, now int64) {
	l.LastUsed = now
	l.answers[l.next%uint8(len(l.answers))] = answer{addr, name, now}
	l.next++
}

// linkTime is how long after an answer an attempt at its address belongs to it.
const linkTime = 60 * second

// Connected records an attempt at an address. It reports whether an answer had just named it.
func (l *Log) Connected(addr *[16]byte, now int64) bool {
	// Eight answers are kept. Any within the time will do: the latest for an address is not looked
	// for.
	for i := range l.answers {
		if a := &l.answers[i]; a.addr == *addr && a.at != 0 && now >= a.at && now-a.at <= linkTime {
			if l.Linked == "" {
				l.Linked, l.LinkedAfter = a.name, now-a.at
			}
			return true
		}
	}
	return false
}
