package peer

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"sync/atomic"

	"spamsensor/flowtable"
)

// An IPv6 host reaches IPv4 servers through a translator, NAT64. The server's address is a prefix
// with the IPv4 address behind it (RFC 6052, section 2.2). Bits 64 to 71 are zero, so that the
// IPv4 address is in two parts unless the prefix has 96 bits:
//
//	prefix   IPv4 address in the bytes
//	/32      4 5 6 7
//	/40      5 6 7 9
//	/48      6 7 9 10
//	/56      7 9 10 11
//	/64      9 10 11 12
//	/96      12 13 14 15
//
// All other bytes are zero. Without that all IPv4 servers of the world would be one network. A
// prefix that is wrong hides nothing: hardly an address has those zeros, and the networks of those
// that have are smaller than a /48.

// nat64 holds the prefixes beside the well-known ones. Learned ones are added at the end of a
// round; several goroutines read them.
type nat64 struct {
	list    atomic.Pointer[[]netip.Prefix]
	learned int
}

// maxLearned bounds the prefixes that are learned: a site has one translator, or a few.
const maxLearned = 4

// The well-known prefix, and the prefix for use within a site, of which the site chooses a part
// (RFC 8215).
var (
	wellKnownNAT64 = [12]byte{0x00, 0x64, 0xff, 0x9b}
	localNAT64     = [6]byte{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}
)

// IsNAT64 reports whether a prefix can hold IPv4 addresses.
func IsNAT64(p netip.Prefix) bool {
	return p.Addr().Is6() && !p.Addr().Is4In6() && slices.Contains(nat64Lengths[:], p.Bits())
}

var nat64Lengths = [...]int{32, 40, 48, 56, 64, 96}

// add adds prefixes, limit of them at most. Only one goroutine adds at a time.
func (n *nat64) add(list []netip.Prefix, limit int) {
	have := n.prefixes()
	for _, p := range list {
		if p = p.Masked(); limit > 0 && IsNAT64(p) && !slices.Contains(have, p) {
			have = append(slices.Clip(have), p)
			limit--
		}
	}
	n.list.Store(&have)
}

func (n *nat64) prefixes() []netip.Prefix {
	if list := n.list.Load(); list != nil {
		return *list
	}
	return nil
}

// LearnNAT64 adds prefixes that answers for ipv4only.arpa have shown. Of more than four the lowest
// are learned, in whatever order they come.
func (d *Directory) LearnNAT64(list []netip.Prefix) {
	slices.SortFunc(list, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	before := len(d.nat64.prefixes())
	d.nat64.add(list, maxLearned-d.nat64.learned)
	if n := len(d.nat64.prefixes()) - before; n > 0 {
		d.nat64.learned += n
		d.version.Add(1)
	}
}

// PrefixOf returns the prefix of an address that holds one of the two addresses of ipv4only.arpa,
// 192.0.0.170 and 192.0.0.171 (RFC 7050, section 3). It reports false if there is none, or if the
// address can be read in several ways.
func PrefixOf(a flowtable.Addr) (p netip.Prefix, ok bool) {
	for _, bits := range nat64Lengths {
		v4, fits := embedded(&a, bits)
		if !fits || v4 != [4]byte{192, 0, 0, 170} && v4 != [4]byte{192, 0, 0, 171} {
			continue
		}
		if ok {
			return p, false
		}
		p, ok = netip.PrefixFrom(netip.AddrFrom16(a), bits).Masked(), true
	}
	return p, ok
}

// Translated returns the IPv4 address that an address of NAT64 holds; any other address as it is.
func (d *Directory) Translated(a flowtable.Addr, v6 bool) (to flowtable.Addr, isV6 bool) {
	if !v6 {
		return a, v6
	}
	for _, p := range d.nat64.prefixes() {
		if v4, fits := embedded(&a, p.Bits()); fits && p.Contains(netip.AddrFrom16(a)) {
			return mapped(v4), false
		}
	}
	length := 96
	switch {
	case [6]byte(a[:6]) == localNAT64:
		length = localLength(&a)
	case [12]byte(a[:12]) != wellKnownNAT64:
		return a, v6
	}
	v4, _ := embedded(&a, length)
	return mapped(v4), false
}

// localLength guesses the length of the site's part of 64:ff9b:1::/48: the bytes behind the IPv4
// address are zero (RFC 6052, section 2.2).
func localLength(a *flowtable.Addr) int {
	switch {
	case a[8] != 0 || [3]byte(a[9:12]) == [3]byte{}:
		return 96
	case a[12] != 0:
		return 64
	case a[11] != 0:
		return 56
	}
	return 48
}

// embedded is the IPv4 address behind a prefix of so many bits. fits reports whether the bytes that
// must be zero are.
func embedded(a *flowtable.Addr, bits int) (v4 [4]byte, fits bool) {
	at := bits / 8
	for i := range v4 {
		if at == 8 { // the zero byte
			at++
		}
		v4[i] = a[at]
		at++
	}
	rest := a[at:]
	return v4, a[8] == 0 && bytes.Count(rest, []byte{0}) == len(rest)
}

// mapped is an IPv4 address as the table stores it.
func mapped(v4 [4]byte) flowtable.Addr { return netip.AddrFrom4(v4).As16() }
