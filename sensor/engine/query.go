package engine

import (
	"net/netip"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/timeline"
)

// What a running engine answers. Any goroutine may ask. A question waits for the end of a round,
// and locks one shard after the other, so that the numbers of several hosts are not of one moment.

// Now is the time of the engine, in ns since 1970; zero before the first frame.
func (e *Engine) Now() int64 { return e.clock.Now() }

// OddTimes counts the frames whose time is surely wrong, and the jumps of the clock in either
// direction, so far.
func (e *Engine) OddTimes() uint64 {
	e.clock.mu.Lock()
	defer e.clock.mu.Unlock()
	return e.clock.odd
}

// Sources gives the records of the hosts that are judged to output, at most most of them, the worst
// first, and returns how many there are. output must not keep the record.
func (e *Engine) Sources(most int, output func(*finding.SourceRecord)) (total int) {
	e.Between(func() { total = e.sources.Records(e.clock.Now(), most, output) })
	return total
}

// Explain returns what is known of the hosts that match, once for each VLAN or tunnel that one is
// in: the reasons for and against it, the blind spots, the advice. Its Action is "explained".
func (e *Engine) Explain(match func(netip.Addr) bool) (list []*finding.Finding) {
	e.Between(func() { list = e.sources.Explain(match, e.clock.Now()) })
	return list
}

// IsHome reports whether a host is in a network of ours, configured or learned: it is judged.
func (e *Engine) IsHome(addr netip.Addr) (home bool) {
	a := addr.Unmap()
	e.Between(func() { home = e.peers.Home.Has(a.As16(), a.Is6()) })
	return home
}

// Times calls host with the attempts over time of each host of ours and each host that is judged,
// once for each VLAN or tunnel that it is in, and rest with those of hosts beyond the bound.
// Neither may keep or change a series. The caller is in a function of the Output, or in Between.
func (e *Engine) Times(host func(netip.Addr, *timeline.Series), rest func(*timeline.Series)) {
	e.sources.Times(host, rest)
}
