package flowtable

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Addr is an IP address in 16 bytes, IPv4 in its mapped form. An IPv6 packet can carry such an
// address too, so that keys have a Scope.
type Addr = [16]byte

// Scope distinguishes addresses with equal bytes. Zero is IPv4 without a distinction of address
// spaces.
type Scope uint32

// NewScope makes a scope. space is zero, or identifies the VLANs and the tunnel where address
// spaces overlap; its lowest bit is not used.
func NewScope(v6 bool, space uint32) Scope {
	s := Scope(space &^ 1)
	if v6 {
		s |= 1
	}
	return s
}

// V6 reports whether the addresses are IPv6 ones.
func (s Scope) V6() bool { return s&1 != 0 }

// Set fills the key in. It copies addresses in words of eight bytes, in the widths in which they
// were written: a processor cannot forward a read of sixteen bytes from two recent writes of eight,
// and would wait until both have reached the cache.
func (k *Key) Set(client, server *Addr, clientPort, serverPort uint16, scope Scope) {
	putAddr(k.Client[:], client)
	putAddr(k.Server[:], server)
	k.ClientPort, k.ServerPort, k.Scope = clientPort, serverPort, scope
}

// Set4 is Set for IPv4 without a scope: the addresses are words in little-endian order, ports has
// the server's above the client's.
func (k *Key) Set4(client, server, ports uint32) {
	const mapped = 0xffff << 16 // ::ffff:0:0/96
	binary.LittleEndian.PutUint64(k.Client[:], 0)
	binary.LittleEndian.PutUint64(k.Client[8:], mapped|uint64(client)<<32)
	binary.LittleEndian.PutUint64(k.Server[:], 0)
	binary.LittleEndian.PutUint64(k.Server[8:], mapped|uint64(server)<<32)
	k.ClientPort, k.ServerPort, k.Scope = uint16(ports), uint16(ports>>16), 0
}

func putAddr(b []byte, a *Addr) {
	binary.LittleEndian.PutUint64(b, le64(a[:8]))
	binary.LittleEndian.PutUint64(b[8:], le64(a[8:]))
}

// HostKey identifies a host.
type HostKey struct {
	Addr  Addr
	Scope Scope
}

// Compare orders hosts by address, then by scope.
func (h HostKey) Compare(o HostKey) int {
	return cmp.Or(bytes.Compare(h.Addr[:], o.Addr[:]), cmp.Compare(h.Scope, o.Scope))
}

// Key identifies a flow. Both directions of a flow have the same key.
type Key struct {
	Client, Server         Addr
	ClientPort, ServerPort uint16
	Scope                  Scope
}

// ClientKey is the key of the flow's client.
func (k *Key) ClientKey() HostKey { return HostKey{k.Client, k.Scope} }

// Secret makes hashes unpredictable. Without a secret, 100,000 keys that all have the same hash can
// be written down in closed form.
type Secret [2]uint64

// NewSecret draws a random secret.
func NewSecret() (s Secret) {
	var b [16]byte
	rand.Read(b[:])
	return SecretFrom(b[:])
}

// SecretFrom derives a secret from bytes that an attacker of the traffic does not choose, so that
// the same capture file gives the same hashes again.
func SecretFrom(b []byte) (s Secret) {
	s[0] = xxhash.Sum64(b)
	var again [8]byte
	binary.LittleEndian.PutUint64(again[:], s[0])
	s[1] = xxhash.Sum64(append(again[:], b...))
	return s
}

// HashHost is the hash of a host. Its upper bits select the shard, so that one lock guards a source
// and all its flows.
func (s *Secret) HashHost(h *HostKey) uint64 { return s.HashAddr(&h.Addr, h.Scope) }

// HashAddr is HashHost for the host with this address and scope.
func (s *Secret) HashAddr(a *Addr, scope Scope) uint64 { return sum(s[0], a, uint32(scope), scope) }

// sum is the hash of an address and 32 bits more. For IPv4 it takes the four bytes that differ: the
// input is half as long, and no two addresses have the same hash.
func sum(secret uint64, a *Addr, more uint32, scope Scope) uint64 {
	var b [28]byte
	binary.LittleEndian.PutUint64(b[0:], secret)
	if !scope.V6() {
		binary.LittleEndian.PutUint64(b[8:], le64(a[8:])&^(1<<32-1)|uint64(more))
		return xxhash.Sum64(b[:16])
	}
	putAddr(b[8:], a)
	binary.LittleEndian.PutUint32(b[24:], more)
	return xxhash.Sum64(b[:])
}

// HashFlow is the hash of a flow; host is the hash of its client. It extends that one by keyed
// multiplications, because a second xxhash would cost five times as much. Two of them follow
// what a client chooses last: after one alone, ports in sequence fill some buckets twice as much.
func (s *Secret) HashFlow(host uint64, k *Key) uint64 {
	ports := uint32(k.ClientPort) | uint32(k.ServerPort)<<16
	if !k.Scope.V6() {
		return s.HashFlow4(host, binary.LittleEndian.Uint32(k.Server[12:]), ports)
	}
	h := mix(le64(k.Server[:])^s[0], host^s[1]^uint64(ports))
	return mix(mix(le64(k.Server[8:])^h, s[0]|1), s[1]|1)
}

// HashFlow4 is HashFlow for IPv4; see Key.Set4.
func (s *Secret) HashFlow4(host uint64, server, ports uint32) uint64 {
	return mix(mix((uint64(server)<<32|uint64(ports))^s[0], host^s[1]), s[1]|1)
}

// SumFlow is a hash of a flow by xxhash alone, for a number that others see.
func (s *Secret) SumFlow(host uint64, k *Key) uint64 {
	return sum(host^s[1], &k.Server, uint32(k.ClientPort)|uint32(k.ServerPort)<<16, k.Scope)
}

// HashBytes is a hash of any bytes, for sets of names and networks.
func (s *Secret) HashBytes(b []byte) uint64 {
	if len(b) > 24 {
		return s.hashLong(b)
	}
	// Most names are short, and to clear the longer buffer costs as much as the hash.
	var buf [8 + 24]byte
	binary.LittleEndian.PutUint64(buf[:], s[1])
	return xxhash.Sum64(buf[:8+copy(buf[8:], b)])
}

func (s *Secret) hashLong(b []byte) uint64 {
	var buf [8 + 256]byte
	binary.LittleEndian.PutUint64(buf[:], s[1])
	n := copy(buf[8:], b)
	if n < len(b) {
		return xxhash.Sum64(buf[:]) ^ xxhash.Sum64(b[n:])
	}
	return xxhash.Sum64(buf[:8+n])
}
