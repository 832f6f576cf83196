package detect

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

func init() {
	detectors[MXLookups] = detector{"mx_lookups", Names, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("It asked the DNS for the mail servers of %s domains within an hour; only a mail server needs to know them.%s", orMore(r.Value, maxDomains), h.lookups.example())
	}}
	detectors[HostLookups] = detector{"mail_host_lookups", Names, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("It looked up mail servers by name (mail., smtp., mx. ...) in %s domains within %s.%s", orMore(r.Value, maxDomains), within(r), h.lookups.example())
	}}
	detectors[ListLookups] = detector{"list_lookups", Names, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("It asked blocklists about addresses (%s): a bot checks whether it is listed already.", h.lookups.list)
	}}
	detectors[TLSNames] = detector{"tls_names", Names, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("In its TLS handshakes it asked for mail servers of %s domains within %s; a mail client has one to three accounts.", orMore(r.Value, maxDomains), within(r))
	}}
}

// Names of mail servers count when there are many within ten minutes, or half a dozen in one burst: even 500 people behind
// one address do not begin mails at so many providers within 20 s.
const namesTime, burstNames, burstTime = 600, 6, 20

// mailNames judges a list of domains whose mail servers were named.
func (h *Profile) mailNames(c *Config, code Code, list []sketch.Slot, now int64) {
	if n := sketch.CountRecent(list, sketch.Stamp(now), namesTime); n >= c.MailNames {
		h.raise(code, now, float64(n), float64(c.MailNames), 3)
	} else if n := sketch.CountRecent(list, sketch.Stamp(now), burstTime); n >= burstNames {
		h.raise(code, now, float64(n), burstNames, 3)
	}
}

// within is the time in which names were counted.
func within(r *verdict.Reason) string {
	if r.Threshold == burstNames {
		return fmt.Sprintf("%d s", burstTime)
	}
	return "ten minutes"
}

// TLSServerNamed is the observation of the server name in a TLS handshake, by the hash of its registered
// domain. It says what a lookup says, and is seen where the DNS is not.
func (h *Profile) TLSServerNamed(c *Config, domain uint32, now int64) {
	sketch.AddRecent(h.tlsServers[:], domain, sketch.Stamp(now), namesTime)
	h.mailNames(c, TLSNames, h.tlsServers[:], now)
}

// Lookups are what a host asked the DNS about mail. They are kept for hosts that
// never tried to send any, too, because the question comes before the attempt.
type Lookups struct {
	MX       uint32 // queries
	LastUsed int64
	mx       [maxDomains]sketch.Slot // domains whose servers were asked for
	hosts    [maxDomains]sketch.Slot // domains with a mail host that was looked up
	lists    uint32
	list     string
	answers  [8]answer
	next     uint8
	// linked is the first answer that led to an attempt.
	linked   string
	linkedIn int64
	resolver bool // it answers queries: a resolver asks for others
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
	AsksList                 // a blocklist for an address
)

// Asked is the observation of a query. domain is the hash of the registered domain, name the whole name, id tells a query
// from its copies and repetitions.
func (l *Lookups) Asked(q Question, domain uint32, name string, id uint32, now int64) {
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

// Answered is the observation of an answer that names an address.
func (l *Lookups) Answered(name string, addr [16]byte, now int64) {
	l.LastUsed = now
	l.answers[l.next%uint8(len(l.answers))] = answer{addr, name, now}
	l.next++
}

// linkTime is how long after an answer an attempt at its address belongs to it.
const linkTime = minute

// Connected is the observation of an attempt at an address. It reports whether an answer had just named it.
func (l *Lookups) Connected(addr *[16]byte, now int64) bool {
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

// ServesOthers is the observation that the host is asked by others: then its queries are theirs.
func (l *Lookups) ServesOthers() { l.resolver = true }

// Linked reports whether an answer has led to an attempt.
func (l *Lookups) Linked() bool { return l.linked != "" }

func (l *Lookups) example() string {
	if l.linked == "" {
		return ""
	}
	return fmt.Sprintf(" It looked up %s and connected there %s later.", l.linked, verdict.Span(l.linkedIn))
}

// setUp is how many domains more may be a mail client in which somebody sets up his accounts, one after the other: that counts
// half.
const setUp = 2

// LookedUp tells a host of its lookups, which changed.
func (h *Profile) LookedUp(c *Config, l *Lookups, now int64) {
	h.lookups = l
	if l.resolver {
		for _, code := range []Code{MXLookups, HostLookups, ListLookups} {
			h.changed = h.changed || h.has(code)
			h.reasons[code] = verdict.Reason{}
		}
		return
	}
	if l.lists > 0 {
		h.raise(ListLookups, now, float64(l.lists), 1, 3.9)
	}
	if h.maybeMTA() {
		return
	}
	if n := sketch.CountRecent(l.mx[:], sketch.Stamp(now), 3600); n >= c.MXDomains {
		weight := 4.6
		if n < c.MXDomains+setUp {
			weight = 2.3
		}
		h.raise(MXLookups, now, float64(n), float64(c.MXDomains), weight)
	}
	h.mailNames(c, HostLookups, l.hosts[:], now)
}

// Lookups is nil if the host asked nothing.
func (h *Profile) Lookups() *Lookups { return h.lookups }
