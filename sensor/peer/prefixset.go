package peer

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/gaissmai/bart"

	"spamsensor/flowtable"
)

// prefixSet is a set of networks. It may be read by several goroutines once set has returned. The
// trie finds an address in a few memory accesses, whatever the number of networks.
type prefixSet struct {
	mu      sync.RWMutex
	table   bart.Lite
	size    int
	learned atomic.Pointer[bart.Lite] // networks that were added since; nil is none
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
	return s.Configured(a, v6) || s.Learned(a, v6)
}

// Configured reports whether an address is in one of the networks that set was given.
func (s *prefixSet) Configured(a flowtable.Addr, v6 bool) bool {
	return s.size > 0 && s.table.Contains(NetIP(a, v6))
}

// Learned reports whether an address is in one of the networks that Learn added.
func (s *prefixSet) Learned(a flowtable.Addr, v6 bool) bool {
	t := s.learned.Load()
	return t != nil && t.Contains(NetIP(a, v6))
}

// Learn adds a network and reports whether it did: it is new, and there are fewer than
// maxLearnedNetworks.
// Readers may go on meanwhile; two calls may not run at the same time.
func (s *prefixSet) Learn(p netip.Prefix) bool {
	t := s.learned.Load()
	if t == nil {
		t = &bart.Lite{}
	}
	if t.Size() >= maxLearnedNetworks || t.Get(p.Masked()) {
		return false
	}
	s.learned.Store(t.InsertPersist(p.Masked()))
	return true
}

// CountLearned returns the number of networks that Learn added.
func (s *prefixSet) CountLearned() int {
	if t := s.learned.Load(); t != nil {
		return t.Size()
	}
	return 0
}

// maxLearnedNetworks bounds the networks that are learned.
const maxLearnedNetworks = 256
