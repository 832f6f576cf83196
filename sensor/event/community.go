package event

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
)

// communityID is the Community ID v1 of a TCP flow (https://github.com/corelight/community-id-spec):
// both directions have the same, and Zeek, Suricata and Wireshark write it too.
func communityID(a, b netip.AddrPort) string {
	if b.Addr().Less(a.Addr()) || a.Addr() == b.Addr() && b.Port() < a.Port() {
		a, b = b, a
	}
	h := sha1.New()
	h.Write([]byte{0, 0}) // seed
	h.Write(a.Addr().AsSlice())
	h.Write(b.Addr().AsSlice())
	h.Write([]byte{6, 0}) // TCP, padding
	var ports [4]byte
	binary.BigEndian.PutUint16(ports[:], a.Port())
	binary.BigEndian.PutUint16(ports[2:], b.Port())
	h.Write(ports[:])
	return "1:" + base64.StdEncoding.EncodeToString(h.Sum(nil))
}
