package engine

import (
	"net/netip"
	"sync"

	"github.com/gaissmai/bart"

	"spamsensor/flowtable"
)

// prefixes is a set of networks.
type prefixes struct {
	mu sync.RWMutex
	t  bart.Lite
	n  int
}

func (s *prefixes) set(list []netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t = bart.Lite{}
	s.n = len(list)
	for _, p := range list {
		s.t.Insert(p.Masked())
	}
}

// has reports whether an address is in one of the networks.
func (s *prefixes) has(a flowtable.Addr, v6 bool) bool {
	if s.n == 0 {
		return false
	}
	addr := netip.AddrFrom16(a)
	if !v6 {
		addr = addr.Unmap()
	}
	return s.t.Contains(addr)
}
