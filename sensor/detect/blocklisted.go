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
	address [2]quotedAddress
}

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
	known := slices.Contains(l.name[:l.n], o.Listing.List)
	if !known && l.n < maxLists {
		l.name[l.n] = strings.Clone(o.Listing.List)
		l.n++
	}
	if l.sample == "" {
		l.sample = strings.Clone(o.Listing.Text)
	}
	p.changed = p.changed || !known
	weight := 2.3
	if o.Listing.Why == refusal.DynamicRange || o.Listing.Why == refusal.Backscatter {
		weight = 0
	}
	p.raise(Blocklisted, o.Time, float64(l.n), 1, weight)
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
	return fmt.Sprintf(" Your public address seems to be %s (%d servers quoted it).", addr, servers)
}

// Blocklists are the blocklists that servers named. The slice belongs to the profile.
func (p *Profile) Blocklists() []string { return p.blocklists.name[:p.blocklists.n] }

// textBlocklisted has the names of the lists and the first refusal that named one.
func textBlocklisted(p *Profile, _ *Counters, r *verdict.Reason) string {
	return fmt.Sprintf("A receiving server refused it and named the blocklist %s: \"%s\".%s",
		strings.Join(p.Blocklists(), ", "), p.blocklists.sample, p.publicText(r.Last))
}

// merge adds the lists and addresses of o, as far as there are places.
func (l *blocklists) merge(o *blocklists) {
	for _, name := range o.name[:o.n] {
		if l.n < maxLists && !slices.Contains(l.name[:l.n], name) {
			l.name[l.n] = name
			l.n++
		}
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
