package peer

import (
	"encoding/binary"

	"spamsensor/flowtable"
)

// Server is what a Directory says about the server of a connection.
type Server struct {
	// Addr and Net are the hashes of its address and of its network, see Directory.Destination and
	// Directory.Net.
	Addr, Net uint32
	// External says that it is outside the home networks, Home that it is in a configured one, and
	// Allowed that it is in a network of allowed relays. The first and the last are about the
	// address that a translated one holds.
	External, Home, Allowed bool

	relay, relayKnown bool // see ServerCache.IsRelay
	v6                bool
	version           uint32 // of the directory; zero for an empty slot
	key               flowtable.Addr
}

// ServerCache keeps what a Directory says about servers: a connection asks five times or more.
// Another server in the same slot takes its place. It belongs to one shard.
type ServerCache struct {
	Directory *Directory
	slots     [cachedServers]Server
}

// cachedServers is the number of slots, of 36 bytes each: a shard has fewer connections in
// hand.
const (
	cacheBits     = 9
	cachedServers = 1 << cacheBits
)

// Of returns what is known of the server of k, in 20 instructions if it is in its slot. The result
// is valid until the next call.
func (c *ServerCache) Of(k *flowtable.Key) *Server {
	x := binary.LittleEndian.Uint64(k.Server[:8]) ^ binary.LittleEndian.Uint64(k.Server[8:])
	s := &c.slots[x*0x9e3779b97f4a7c15>>(64-cacheBits)]
	if s.key != k.Server || s.version != c.Directory.version.Load() || s.v6 != k.Scope.V6() {
		c.fill(s, k)
	}
	return s
}

// fill asks the directory. The version comes first: if the directory learns meanwhile, it is asked
// again with the next call.
func (c *ServerCache) fill(s *Server, k *flowtable.Key) {
	d, v6 := c.Directory, k.Scope.V6()
	*s = Server{version: d.version.Load(), key: k.Server, v6: v6}
	s.Home = d.Home.Configured(k.Server, v6)
	s.External = !s.Home && !d.Home.Learned(k.Server, v6)
	to, toV6 := d.Translated(k.Server, v6)
	if toV6 != v6 {
		s.External = !d.Home.Has(to, toV6)
	}
	s.Allowed = d.Relays.Has(to, toV6)
	s.Addr, s.Net = d.Destination(&k.Server), d.Net(k.Server, v6)
}

// IsRelay is Directory.IsRelay for a server of this cache. It counts as a use of the relay's entry,
// so that it is asked for attempts only.
func (c *ServerCache) IsRelay(s *Server) bool {
	if !s.relayKnown {
		s.relay, s.relayKnown = c.Directory.IsRelay(s.key, s.v6), true
	}
	return s.relay
}
