package detect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff/refusal"
)

// maxLists is how many blocklists are kept by name.
const maxLists = 4

// quotedTime is how long a quoted address counts, in seconds: 30 days.
const quotedTime = 30 * 86400

// blocklists are the blocklists that servers named, and the addresses that they quoted.
type blocklists struct {
	name    [maxLists]string
	n       int
	sample  string
	servers [maxNaming]uint32 // hashes of those that named one
	naming  uint8             // how many these are
	address [2]quotedAddress
}

// maxNaming is how many servers that named a blocklist are kept apart.
const maxNaming = 16

// quotedAddress is an address in refusals, and the servers that quoted it.
type quotedAddress struct {
	addr    netip.Addr
	servers [8]sketch.Slot
}

// observeBlocklisted takes in that a server named a blocklist in a refusal. Others may share the
// address on the list, so this alone has a small weight. It has none if the list is of addresses
// that should not send mail whoever uses them, or of servers that bounce to forged senders.
func observeBlocklisted(p *Profile, o *Observation) {
	l := &p.blocklists
	if l.add(o.Listing.List) {
		p.changed = true
	}
	l.namedBy(o.Addr)
	if l.sample == "" {
		l.sample = strings.Clone(o.Listing.Text)
	}
	weight := 2.3
	if o.Listing.Why == refusal.DynamicRange || o.Listing.Why == refusal.Backscatter {
		weight = 0
	}
	p.raise(Blocklisted, o.Time, float64(l.n), 1, weight)
}

// add adds a list if it has a place and is not known, also by the domain of its operator (see
// refusal.IsSiteOf), and reports whether it did.
func (l *blocklists) add(name string) bool {
	known := l.name[:l.n]
	if slices.ContainsFunc(known, func(s string) bool {
		return s == name || refusal.IsSiteOf(name, s)
	}) {
		return false
	}
	i := slices.IndexFunc(known, func(s string) bool { return refusal.IsSiteOf(s, name) })
	if i < 0 {
		if l.n == maxLists {
			return false
		}
		i = l.n
		l.n++
	}
	l.name[i] = strings.Clone(name)
	return true
}

// namedBy records a server that named a list.
func (l *blocklists) namedBy(server uint32) {
	if int(l.naming) < maxNaming && !slices.Contains(l.servers[:l.naming], server) {
		l.servers[l.naming] = server
		l.naming++
	}
}

// AddressQuoted records that a server quoted a global address that is not its own: as the one it
// refuses, or as the one it greets. fresh reports whether this server had not quoted it yet.
func (p *Profile) AddressQuoted(addr netip.Addr, server uint32, now int64) (fresh bool) {
	// A third address finds no place.
	for i := range p.blocklists.address {
		q := &p.blocklists.address[i]
		if q.addr == addr || !q.addr.IsValid() {
			q.addr = addr
			_, fresh = sketch.AddRecent(q.servers[:], server, sketch.Stamp(now), quotedTime)
			p.changed = p.changed || fresh
			return fresh
		}
	}
	return false
}

// publicAddress is the address with which the source appears on the Internet, as at least two
// servers quoted it, and how many servers did; zero if no NAT is known.
func (p *Profile) publicAddress(now int64) (addr netip.Addr, servers int) {
	for i := range p.blocklists.address {
		q := &p.blocklists.address[i]
		n := sketch.CountRecent(q.servers[:], sketch.Stamp(now), quotedTime)
		if n >= 2 && n > servers {
			addr, servers = q.addr, n
		}
	}
	return addr, servers
}

// publicText is a sentence with the public address, empty if none is known.
func (p *Profile) publicText(now int64) string {
	addr, servers := p.publicAddress(now)
	if servers == 0 {
		return ""
	}
	if servers == len(p.blocklists.address[0].servers) {
		return fmt.Sprintf(" Your public address seems to be %s (at least %d servers quoted it).",
			addr, servers)
	}
	return fmt.Sprintf(" Your public address seems to be %s (%d servers quoted it).", addr, servers)
}

// Blocklists are the blocklists that servers named. The slice belongs to the profile.
func (p *Profile) Blocklists() []string { return p.blocklists.name[:p.blocklists.n] }

// textBlocklisted has the names of the lists and the first refusal that named one.
func textBlocklisted(p *Profile, _ *Counters, r *verdict.Reason) string {
	l := &p.blocklists
	which := fmt.Sprintf("the blocklist %s", strings.Join(p.Blocklists(), ", "))
	if l.n > 1 {
		which = fmt.Sprintf("the blocklists %s", strings.Join(p.Blocklists(), ", "))
	}
	if l.naming < 2 {
		return fmt.Sprintf("A receiving server refused it and named %s: \"%s\".%s", which,
			l.sample, p.publicText(r.Last))
	}
	return fmt.Sprintf("%s receiving servers refused it and named %s: \"%s\".%s",
		leading(float64(l.naming), maxNaming), which, l.sample, p.publicText(r.Last))
}

// merge adds the lists and addresses of o, as far as there are places.
func (l *blocklists) merge(o *blocklists) {
	for _, name := range o.name[:o.n] {
		l.add(name)
	}
	for _, server := range o.servers[:o.naming] {
		l.namedBy(server)
	}
	if l.sample == "" {
		l.sample = o.sample
	}
	for _, x := range o.address {
		for i := range l.address {
			if q := &l.address[i]; x.addr.IsValid() && (q.addr == x.addr || !q.addr.IsValid()) {
				q.addr = x.addr
				for _, server := range x.servers {
					if server.At != 0 {
						sketch.AddRecent(q.servers[:], server.Hash, server.At, quotedTime)
					}
				}
				break
			}
		}
	}
}
