package peer

import (
	"net/netip"
	"sync"

	"github.com/gaissmai/bart"

	"spamsensor/flowtable"
)

// prefixSet is a set of networks. It may be read by several goroutines once set has returned. The
// trie finds an address in a few memory accesses, whatever the number of networks.
type prefixSet struct {
	mu    sync.RWMutex
	table bart.Lite
	size  int
}

// set replaces the networks.
func (s *prefixSet) set(list []netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table = bart.Lite{}
	s.size = len(list)
	for _, p := range list {
		s.table.Insert(p.Masked())
	}
}

// Has reports whether an address is in one of the networks. An IPv4 address is stored as the mapped
// IPv6 address; v6 distinguishes the two.
func (s *prefixSet) Has(a flowtable.Addr, v6 bool) bool {
	if s.size == 0 {
		return false
	}
	addr := netip.AddrFrom16(a)
	if !v6 {
		addr = addr.Unmap()
	}
	return s.table.Contains(addr)
}
