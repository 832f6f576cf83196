package flowtable

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Addr is an IP address in 16 bytes, IPv4 in its mapped form. A real IPv6 packet can
// carry such an address too: that is why the keys have a Scope.
type Addr = [16]byte

// Scope sets addresses apart that look the same. Zero is IPv4 with nothing told apart.
type Scope uint32

// NewScope makes a scope. space is zero, or identifies the VLANs and the tunnel when
// overlapping address spaces are to be told apart; its lowest bit is lost.
func NewScope(v6 bool, space uint32) Scope {
	s := Scope(space &^ 1)
	if v6 {
		s |= 1
	}
	return s
}

// V6 reports whether the addresses are IPv6 ones.
func (s Scope) V6() bool { return s&1 != 0 }

// Set fills the key in. Addresses are copied in words of eight bytes, as they were written: a
// processor cannot read sixteen that it has just written in parts before all of them have reached the cache.
func (k *Key) Set(client, server *Addr, clientPort, serverPort uint16, scope Scope) {
	putAddr(k.Client[:], client)
	putAddr(k.Server[:], server)
	k.ClientPort, k.ServerPort, k.Scope = clientPort, serverPort, scope
}

func putAddr(b []byte, a *Addr) {
	binary.LittleEndian.PutUint64(b, le64(a[:8]))
	binary.LittleEndian.PutUint64(b[8:], le64(a[8:]))
}

// HostKey identifies a host as the sender of mail.
type HostKey struct {
	Addr  Addr
	Scope Scope
}

// Key identifies a flow; both directions have the same one.
type Key struct {
	Client, Server         Addr
	ClientPort, ServerPort uint16
	Scope                  Scope
}

// ClientKey is the client of the flow.
func (k *Key) ClientKey() HostKey { return HostKey{k.Client, k.Scope} }

// Secret makes hashes unpredictable. Without one, 100,000 keys that all have the same
// hash can be written down in closed form.
type Secret [2]uint64

// NewSecret draws a secret.
func NewSecret() (s Secret) {
	var b [16]byte
	rand.Read(b[:])
	return SecretFrom(b[:])
}

// SecretFrom derives a secret from bytes that an attacker of the traffic does not choose,
// so that the same capture file gives the same hashes again.
func SecretFrom(b []byte) (s Secret) {
	s[0] = xxhash.Sum64(b)
	var again [8]byte
	binary.LittleEndian.PutUint64(again[:], s[0])
	s[1] = xxhash.Sum64(append(again[:], b...))
	return s
}

// HashHost is the hash of a host: its upper bits choose the shard, so that a source and all its flows
// are under one lock.
func (s *Secret) HashHost(h *HostKey) uint64 { return s.HashAddr(&h.Addr, h.Scope) }

// HashAddr is the same for the host with an address.
func (s *Secret) HashAddr(a *Addr, scope Scope) uint64 { return sum(s[0], a, uint32(scope), scope) }

// sum is the hash of an address and 32 bits more. Of IPv4 it takes the four bytes that differ: it is half as
// long then, and no two addresses have the same hash.
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

// HashFlow is the hash of a flow whose client has the hash host.
func (s *Secret) HashFlow(host uint64, k *Key) uint64 {
	return sum(host^s[1], &k.Server, uint32(k.ClientPort)|uint32(k.ServerPort)<<16, k.Scope)
}

// HashBytes is a hash of any bytes, for sets of names and networks.
func (s *Secret) HashBytes(b []byte) uint64 {
	var buf [8 + 256]byte
	binary.LittleEndian.PutUint64(buf[:], s[1])
	n := copy(buf[8:], b)
	if n < len(b) {
		return xxhash.Sum64(buf[:]) ^ xxhash.Sum64(b[n:])
	}
	return xxhash.Sum64(buf[:8+n])
}
