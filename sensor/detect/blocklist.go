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

func init() {
	detectors[Blocklisted] = detector{"blocklisted", Replies, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("A receiving server refused it and named the blocklist %s: \"%s\".%s", strings.Join(h.Blocklists(), ", "), h.blocklists.sample, h.publicText(r.Last))
	}}
}

// maxLists is how many blocklists are remembered by name.
const maxLists = 4

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

// BlocklistNamed is the observation that a server named a blocklist in a refusal. The address
// on it may be shared with others, so this alone weighs little; and nothing when the list is of
// addresses that should not send mail, whoever uses them.
func (h *Profile) BlocklistNamed(list, text string, why refusal.Reason, now int64) {
	l := &h.blocklists
	known := false
	for _, name := range l.name[:l.n] {
		known = known || name == list
	}
	if !known && l.n < maxLists {
		l.name[l.n] = strings.Clone(list)
		l.n++
	}
	if l.sample == "" {
		l.sample = strings.Clone(text)
	}
	h.changed = h.changed || !known
	weight := 2.3
	if why == refusal.DynamicRange {
		weight = 0
	}
	h.raise(Blocklisted, now, float64(l.n), 1, weight)
}

// add: see Profile.add.
func (l *blocklists) add(from *blocklists) {
	for _, name := range from.name[:from.n] {
		if l.n < maxLists && !slices.Contains(l.name[:l.n], name) {
			l.name[l.n] = name
			l.n++
		}
	}
	if l.sample == "" {
		l.sample = from.sample
	}
	for _, x := range from.address {
		for i := range l.address {
			if q := &l.address[i]; x.addr.IsValid() && (q.addr == x.addr || !q.addr.IsValid()) {
				q.addr = x.addr
				for _, server := range x.servers {
					if server.At != 0 {
						sketch.AddRecent(q.servers[:], server.Hash, server.At, 30*86400)
					}
				}
				break
			}
		}
	}
}

// AddressQuoted is the observation that a server quoted a global address that is not its own: as the
// one it refuses, or as the one it greets. fresh says that this server had not yet.
func (h *Profile) AddressQuoted(addr netip.Addr, server uint32, now int64) (fresh bool) {
	for i := range h.blocklists.address {
		q := &h.blocklists.address[i]
		if q.addr == addr || !q.addr.IsValid() {
			q.addr = addr
			if _, fresh = sketch.AddRecent(q.servers[:], server, sketch.Stamp(now), 30*86400); fresh {
				h.changed = true
			}
			return fresh
		}
	}
	return false
}

// PublicAddress is the address under which the host appears on the Internet, as at least
// two servers quoted it, and how many did; none if it has to be translated by nobody.
func (h *Profile) PublicAddress(now int64) (addr netip.Addr, servers int) {
	for i := range h.blocklists.address {
		q := &h.blocklists.address[i]
		if n := sketch.CountRecent(q.servers[:], sketch.Stamp(now), 30*86400); n >= 2 && n > servers {
			addr, servers = q.addr, n
		}
	}
	return addr, servers
}

func (h *Profile) publicText(now int64) string {
	addr, servers := h.PublicAddress(now)
	if servers == 0 {
		return ""
	}
	return fmt.Sprintf(" Your public address seems to be %s (%d servers quoted it).", addr, servers)
}

// Blocklists are the blocklists that were named.
func (h *Profile) Blocklists() []string { return h.blocklists.name[:h.blocklists.n] }
