package event

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
)

// appendCommunityID appends the Community ID v1 of a TCP flow
// (https://github.com/corelight/community-id-spec): both directions have the same, and Zeek,
// Suricata and Wireshark write it too.
func appendCommunityID(to []byte, a, b netip.AddrPort) []byte {
	if b.Addr().Less(a.Addr()) || a.Addr() == b.Addr() && b.Port() < a.Port() {
		a, b = b, a
	}
	var room [2 + 16 + 16 + 2 + 4]byte
	m := append(room[:0], 0, 0) // seed
	m = appendAddr(appendAddr(m, a.Addr()), b.Addr())
	m = append(m, 6, 0) // TCP, padding
	sum := sha1.Sum(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(m, a.Port()),
		b.Port()))
	return base64.StdEncoding.AppendEncode(append(to, "1:"...), sum[:])
}

// appendAddr appends the 4 or 16 bytes of an address.
func appendAddr(b []byte, a netip.Addr) []byte {
	if a.Is4() {
		x := a.As4()
		return append(b, x[:]...)
	}
	x := a.As16()
	return append(b, x[:]...)
}
