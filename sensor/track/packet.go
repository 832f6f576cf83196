package track

import (
	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/wire"
)

// Packet is what tracking needs of a decoded packet; see Row.
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
