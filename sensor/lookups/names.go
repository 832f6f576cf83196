package lookups

import "spamsensor/sensor/sketch"

// MaxDomains is how many domains are kept apart. With more, the oldest is dropped.
const MaxDomains = 16

// NamesWindow is how long Names are kept, in seconds.
const NamesWindow = 600

// Names are the domains whose mail servers were named within NamesWindow. The zero value is empty.
type Names [MaxDomains]sketch.Slot

// Add records that a mail server of a domain was named. domain is a keyed hash.
func (n *Names) Add(domain uint32, now int64) {
	sketch.AddRecent(n[:], domain, sketch.Stamp(now), NamesWindow)
}

// MaxDayDomains is how many domains are kept apart of a day.
const MaxDayDomains = 32

// Day are the domains whose mail servers were named within a day. The zero value is empty.
type Day [MaxDayDomains]sketch.Slot

// Add records that a mail server of a domain was named, and returns how many domains were named
// within the last day, MaxDayDomains at most.
func (d *Day) Add(domain uint32, now int64) int {
	n, _ := sketch.AddRecent(d[:], domain, sketch.Stamp(now), 86400)
	return n
}

// Count is how many domains were named within the last seconds, MaxDomains at most.
func (n *Names) Count(now int64, seconds uint32) int {
	return sketch.CountRecent(n[:], sketch.Stamp(now), seconds)
}
