package track

import (
	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/wire"
)

// Packet is what tracking needs of a decoded packet. It takes 112 bytes: with 12 bytes of the
// caller's own it fits two lines of the processor's cache.
type Packet struct {
	Key        flowtable.Key
	ClientHash uint64 // flowtable.Secret.HashAddr of the client: it chooses the shard
	FlowHash   uint64 // flowtable.Secret.HashFlow of Key
	Time       int64  // nanoseconds since 1970
	Seq        uint32 // for an ICMP error: of the quoted SYN
	Ack        uint32
	Sum        uint32 // see tcp.Segment
	Len        uint32 // of the payload on the wire, in bytes
	Stamp      uint32 // the TCP timestamp, if Stamped
	VLAN       [2]uint16
	Input      uint16  // number of the capture's interface
	MAC        [6]byte // link-layer sender
	// ClientLink is a hash of the link-layer address on the client's side, PeerLink of the address
	// on the other side: the receiver of the client's frames, and the sender of the server's. Zero
	// is no address.
	ClientLink, PeerLink uint16
	Urgent               uint16 // see wire.Packet
	Checksum             wire.Checksum
	Flags                wire.Flags
	Kind                 wire.Kind
	Tags                 uint8 // how many of VLAN are set
	TTL                  uint8
	ToServer             bool // the client sent it
	Stamped              bool // it has a TCP timestamp
	Signed               bool // see wire.Packet
}

// IsSYN reports whether a packet is a client's SYN, first or retransmitted.
func (p *Packet) IsSYN() bool {
	return p.ToServer && p.Flags&(wire.SYN|wire.ACK|wire.RST) == wire.SYN
}

// Dir is the sender's side of the connection.
func (p *Packet) Dir() tcp.Dir {
	if p.ToServer {
		return tcp.Client
	}
	return tcp.Server
}

// Found is the flow of a packet as Find has found it: it holds until the flow is removed or moved.
type Found struct {
	ref flowtable.Ref // zero if there was none
	gen uint16
}

// Find looks for the flow of a packet, and reads the memory that Segment reads first, so that the
// waits for the memory of many packets overlap. It does so some packets before its own is in hand.
// A SYN has no flow usually, and is not looked up.
func (t *Tracker[S]) Find(p *Packet) (x Found, sum uint32) {
	if p.IsSYN() {
		return Found{}, 0
	}
	r := t.table.Flows.Find(p.FlowHash, &p.Key)
	if r == 0 {
		return Found{}, 0
	}
	f := t.table.Flows.At(r)
	sum = f.Conn.Prefetch(p.Dir()) + uint32(f.flags)
	if session := t.sessions.At(f.Session); session != nil {
		sum += uint32(session.Prefetch())
	}
	return Found{r, t.table.Flows.Gen(r)}, sum
}

// flowOf is the flow of a packet now, zero if there is none; x is what Find found.
func (t *Tracker[S]) flowOf(p *Packet, x Found) flowtable.Ref {
	if x.ref != 0 && t.table.Flows.Holds(x.ref, x.gen, p.FlowHash) {
		return x.ref
	}
	return t.table.Flows.Find(p.FlowHash, &p.Key)
}
