package sources

import (
	"sync/atomic"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/track"
)

// Whoever sends a SYN with the address of another machine does not get the answer: the router sends
// the RST or the ICMP error to the link-layer address that it knows for the source, which is the
// real owner's. So an attempt that is refused is the source's own if the answer goes to the
// link-layer address from which the SYN came; see package spoof.
//
// That holds on the segment of the source alone: the SYN has the hop limit with which systems
// begin, and its link-layer address is no router's. Behind a router all hosts have its address, and
// a forger far away could choose a hop limit that arrives as an initial one.

// routers are the link-layer addresses whose frames a router has forwarded, by their 16-bit hash.
// They are written at the end of a round, so that all shards know the same in a round.
type routers [1 << 16 / 64]atomic.Uint64

// has reports whether an address is a router's.
func (r *routers) has(link uint16) bool { return r[link>>6].Load()>>(link&63)&1 != 0 }

// maxRouters bounds the routers of a shard that a round can add. Further ones are found later.
const maxRouters = 16

// answerPath is the link-layer address of a source's SYNs.
type answerPath struct {
	link  uint16 // hash of the address of the latest SYN, zero if there is none
	since int64  // when SYNs had another one for the last time; zero if they always had this one
}

// noteLink notes the link-layer address of an attempt, and whether it is a router's.
func (s *Observer) noteLink(src *Source, p *track.Packet) {
	routed := src.flags&home == 0 || !detect.InitialTTL(p.TTL)
	if routed && !s.all.routers.has(p.ClientLink) && len(s.newRouters) < maxRouters {
		s.newRouters = append(s.newRouters, p.ClientLink)
	}
	prof := s.profiles.At(src.profile)
	if prof == nil || prof.path.link == p.ClientLink {
		return
	}
	if prof.path.link != 0 {
		prof.path.since = p.Time
	}
	prof.path.link = p.ClientLink
}

// isOwn reports whether a RST or an ICMP error shows that the SYN which it answers came from the
// source itself.
func (s *Observer) isOwn(prof *profile, answer *track.Packet) bool {
	a := &prof.path
	// A SYN with another address may still wait for its answer.
	changed := a.since != 0 && answer.Time-a.since < track.AttemptTime
	return a.link != 0 && answer.ClientLink == a.link && answer.PeerLink != a.link && !changed &&
		prof.OnLink() && !s.all.routers.has(a.link)
}

// addRouters adds the routers that the shards found in a round. The caller holds tickMu.
func (all *Set) addRouters() {
	for _, link := range drainShards(all, nil, func(s *Observer) *[]uint16 {
		return &s.newRouters
	}) {
		all.routers[link>>6].Or(1 << (link & 63))
	}
}
