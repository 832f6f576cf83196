package track

import (
	"encoding/binary"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/wire"
)

// Row is a packet in a queue. It takes 64 bytes, a line of the processor's cache, because queues
// are written and read once and each line is a wait for memory. What few packets need of a packet
// is in Side. Expand makes a Packet of a row; Next works on the row itself.
type Row struct {
	tcp.Header
	ClientHash uint64 // flowtable.Secret.HashAddr of the client: it chooses the shard
	Time       int64  // nanoseconds since 1970
	client     uint32 // the IPv4 addresses; or client is the place in Side.wide
	server     uint32
	ports      uint32 // the client's, and above it the server's
	from, to   uint16 // hashes of the link-layer addresses, see Packet.ClientLink
	numberTTL  uint32 // see Number; the lowest byte is the TTL
	Offset     uint32 // the owner's: where the payload is
}

// The bits of Header.Note: the packet's kind, its checksum, and flags.
const (
	kindBits      = 3
	checksumShift = 2
	checksumBits  = 3 << checksumShift
	signed        = 1 << (1 + iota)
	isWide        // see Side.wide
	// BadChecksum and Resolver are the owner's; Next takes no row with BadChecksum.
	BadChecksum
	Resolver
)

// Side holds what only few packets need of the rows of a batch.
type Side struct {
	Secret  *flowtable.Secret
	origins []origin // by Row.Number
	wide    []wide
	// hosts are the hashes of some clients, each at a place that its address chooses: a capture has
	// many packets of one client.
	hosts [1024]struct {
		hash uint64
		addr uint32
	}
}

// origin is where a packet was captured, and its sender on the link.
type origin struct {
	mac   uint64 // with the number of tags above it
	vlan  [2]uint16
	input uint16
}

// wide is what a row has no room for: addresses of IPv6 or with a scope, a payload that the capture
// cut, and an urgent pointer.
type wide struct {
	client, server flowtable.Addr
	scope          flowtable.Scope
	captured       uint32
	urgent         uint16
}

// Clear forgets all rows.
func (s *Side) Clear() { s.origins, s.wide = s.origins[:0], s.wide[:0] }

// HashClient is flowtable.Secret.HashAddr.
func (s *Side) HashClient(client *flowtable.Addr, scope flowtable.Scope) uint64 {
	if scope != 0 {
		return s.Secret.HashAddr(client, scope)
	}
	addr := binary.LittleEndian.Uint32(client[12:])
	h := &s.hosts[addr*0x9e3779b1>>22]
	if h.addr != addr || h.hash == 0 {
		h.addr, h.hash = addr, s.Secret.HashAddr(client, 0)
	}
	return h.hash
}

// Fill writes all of a row but ClientHash, Time and Offset. input is the number of the capture's
// interface.
func (s *Side) Fill(r *Row, p *wire.Packet, input uint16, toServer bool, scope flowtable.Scope) {
	client, server := &p.Src, &p.Dst
	r.Dir, r.ports = tcp.Client, uint32(p.SrcPort)|uint32(p.DstPort)<<16
	if !toServer {
		client, server = server, client
		r.Dir, r.ports = tcp.Server, uint32(p.DstPort)|uint32(p.SrcPort)<<16
	}
	r.Seq, r.Ack, r.Len, r.Sum = tcp.Seq(p.Seq), tcp.Seq(p.Ack), p.Len, p.Sum
	r.Stamp, r.Stamped, r.Flags = p.Stamp, p.Stamped, tcp.Flags(p.Flags)
	r.Note = uint8(p.Kind) | uint8(p.Checksum)<<checksumShift
	if p.Signed {
		r.Note |= signed
	}
	mac := address(&p.MAC)
	r.from, r.to = s.hash(mac), s.hash(address(&p.To))
	n := len(s.origins)
	if n == cap(s.origins) {
		s.origins = slices.Grow(s.origins, max(64, n))
	}
	s.origins = s.origins[:n+1]
	o := &s.origins[n] // in place: a literal would be made elsewhere and copied
	o.mac, o.input = mac|uint64(min(p.Tags, 2))<<48, input
	o.vlan[0], o.vlan[1] = p.VLAN[0], p.VLAN[1]
	r.numberTTL = uint32(n+1)<<8 | uint32(p.TTL)
	if scope == 0 && len(p.Payload) == int(p.Len) && p.Flags&wire.URG == 0 {
		r.client = binary.LittleEndian.Uint32(client[12:])
		r.server = binary.LittleEndian.Uint32(server[12:])
		return
	}
	r.Note |= isWide
	r.client, r.server = uint32(len(s.wide)), 0
	s.wide = append(s.wide, wide{*client, *server, scope, uint32(len(p.Payload)), p.Urgent})
}

func address(mac *[6]byte) uint64 {
	return uint64(binary.LittleEndian.Uint32(mac[:])) |
		uint64(binary.LittleEndian.Uint16(mac[4:]))<<32
}

// hash returns a hash of a link-layer address under the table's secret, zero for no address. 16
// bits are enough to compare the frames of one connection.
func (s *Side) hash(address uint64) uint16 {
	if address == 0 {
		return 0
	}
	return uint16((address^s.Secret[1])*0x9e3779b97f4a7c15>>48) | 1
}

// Number is the place of the row in its batch, from 1.
func (r *Row) Number() uint32 { return r.numberTTL >> 8 }

func (r *Row) ttl() uint8 { return uint8(r.numberTTL) }

// Captured is how many bytes of its payload a row has.
func (s *Side) Captured(r *Row) uint32 {
	if r.Note&isWide != 0 {
		return s.wide[r.client].captured
	}
	return r.Len
}

// Key writes the flow of a row.
func (s *Side) Key(k *flowtable.Key, r *Row) {
	if r.Note&isWide != 0 {
		w := &s.wide[r.client]
		k.Set(&w.client, &w.server, uint16(r.ports), uint16(r.ports>>16), w.scope)
		return
	}
	k.Set4(r.client, r.server, r.ports)
}

// FlowHash is flowtable.Secret.HashFlow of a row's flow.
func (s *Side) FlowHash(r *Row) uint64 {
	if r.Note&isWide != 0 {
		var k flowtable.Key
		s.Key(&k, r)
		return s.Secret.HashFlow(r.ClientHash, &k)
	}
	return s.Secret.HashFlow4(r.ClientHash, r.server, r.ports)
}

// Expand makes a packet of a row; flowHash is that of its key.
func (s *Side) Expand(p *Packet, r *Row, flowHash uint64) {
	s.Key(&p.Key, r)
	o := &s.origins[r.Number()-1]
	p.ClientHash, p.FlowHash, p.Time = r.ClientHash, flowHash, r.Time
	p.Seq, p.Ack, p.Sum, p.Len = uint32(r.Seq), uint32(r.Ack), r.Sum, r.Len
	p.Stamp, p.VLAN, p.Input = r.Stamp, o.vlan, o.input
	binary.LittleEndian.PutUint32(p.MAC[:], uint32(o.mac))
	binary.LittleEndian.PutUint16(p.MAC[4:], uint16(o.mac>>32))
	p.ToServer = r.Dir == tcp.Client
	p.Kind, p.Flags = r.kind(), wire.Flags(r.Flags)
	p.ClientLink, p.PeerLink = r.from, r.to
	if !p.ToServer || p.Kind == wire.ICMPError { // an error has the direction of what it quotes
		p.ClientLink, p.PeerLink = r.to, r.from
	}
	p.Urgent = 0
	if r.Note&isWide != 0 {
		p.Urgent = s.wide[r.client].urgent
	}
	p.Checksum = wire.Checksum(r.Note & checksumBits >> checksumShift)
	p.Tags, p.TTL = uint8(o.mac>>48), r.ttl()
	p.Stamped, p.Signed = r.Stamped, r.Note&signed != 0
}

func (r *Row) kind() wire.Kind { return wire.Kind(r.Note & kindBits) }

// IsSYN is Packet.IsSYN.
func (r *Row) IsSYN() bool {
	return r.Dir == tcp.Client && r.Flags&(tcp.SYN|tcp.ACK|tcp.RST) == tcp.SYN
}

// Found is the flow of a row, as Find has found it.
type Found struct {
	FlowHash uint64
	ref      flowtable.Ref // zero if there was none; it holds until the flow is removed or moved
	gen      uint16
}

// Find looks for the flow of a row, and reads the memory that Next reads first, so that the waits
// for the memory of many packets overlap. x has nothing but FlowHash yet. A SYN has no flow
// usually, and needs no Find.
func (t *Tracker[S]) Find(r *Row, x *Found) (sum uint32) {
	if r.kind() != wire.TCP {
		return 0
	}
	if x.ref = t.table.Flows.FindHash(x.FlowHash); x.ref == 0 {
		return 0
	}
	x.gen = t.table.Flows.Gen(x.ref)
	f := t.table.Flows.At(x.ref)
	sum = f.Conn.Prefetch(r.Dir) + uint32(f.flags)
	if session := t.sessions.At(f.Session); session != nil {
		sum += uint32(session.Prefetch())
	}
	return sum
}

// flow is the flow that Find has found, or nil if it had found none or that is gone since.
func (t *Tracker[S]) flow(x *Found) *Flow {
	if x.ref == 0 {
		return nil
	}
	return t.table.Flows.Still(x.ref, x.gen, x.FlowHash)
}
