package sources

import (
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
	"spamsensor/sensor/verdict"
)

// Which addresses are ours. A site has the configured networks, which are the private ones by
// default, and often addresses that nobody configured: global IPv6 beside private IPv4, public
// servers. So a network (a /24 or a /64) becomes a home network, too, if a machine in it is on the
// link that the capture shows; see machines.Tracker.TrackLinks for what proves that. What proves
// it is observed here: whose frames came straight from their machine, with an initial hop limit,
// and which link-layer addresses are routers'.
//
// An address in a learned network is ours only if its own packets come straight from its machine:
// a neighbour in the network of a provider comes in through the router.
//
// A source outside the home networks is not judged, and no finding is opened. It has a profile all
// the same if it may be a machine of the site: it is at most maxInside routers away, or nearer than
// the servers that answer it. If its verdict would be a spambot's, the sensor says so; see
// Unjudged.

// LinkNote is what one connection shows of the link: whose frames they are.
type LinkNote struct {
	Source     flowtable.HostKey // the sender
	MAC        [6]byte           // of the sender's frames
	Peer       [6]byte           // sender of the answers, zero if there is none
	NextHop    uint16            // hash of the receiver of the sender's frames
	Home       bool              // the sender is in a configured home network
	Routed     bool              // a router has forwarded the frames
	Outbound   bool              // the sender is the client of a server outside the home networks
	Suspicious bool              // the sender would have a level
	Time       int64
}

// maxLinkNotes bounds the notes of a round in a shard, linkMemory the notes that are remembered, so
// that the same one is not made for each connection.
const maxLinkNotes, linkMemory = 256, 64

// maxInside is how many routers there may be between the capture and a machine of the site: core,
// distribution and access, and one to spare.
const maxInside = 4

// Hops returns how many routers have forwarded a packet: its hop limit began as 64, 128 or 255, or
// as 32 in old systems.
func Hops(ttl uint8) uint8 {
	for _, initial := range []uint8{32, 64, 128} {
		if ttl <= initial {
			return initial - ttl
		}
	}
	return 255 - ttl
}

// noteHops notes how far away the machine is that sent the first packet of a source.
func (s *Source) noteHops(ttl uint8) {
	if detect.InitialTTL(ttl) {
		s.flags |= onLink
	}
	if ttl != 0 && Hops(ttl) <= maxInside {
		s.flags |= within
	}
}

// noteDistance compares how far the client and the server of a connection are away, with the first
// answer. The nearer one is on our side of the capture.
func (s *Source) noteDistance(client, server uint8) {
	switch a, b := Hops(client), Hops(server); {
	case client == 0 || server == 0:
	case a < b:
		s.flags |= nearer
	case a > b:
		s.flags |= farther
	}
}

// noteBothLinks notes the two ends of a connection at the first answer of the server.
func (s *Observer) noteBothLinks(src *Source, p *track.Packet, f *track.Flow) {
	if src == nil || src.mac == [6]byte{} || p.MAC == [6]byte{} || p.MAC == src.mac {
		return
	}
	k := &p.Key
	server := LinkNote{Source: flowtable.HostKey{Addr: k.Server, Scope: k.Scope}, MAC: p.MAC,
		Routed: !detect.InitialTTL(p.TTL),
		Home:   s.Peers.Of(k).Home, Time: p.Time}
	s.notes.addLink(&server)
	client := LinkNote{Source: k.ClientKey(), MAC: src.mac, Peer: p.MAC,
		Routed: src.flags&onLink == 0, Home: src.flags&configured != 0,
		Outbound: f.Noted(peer.External), NextHop: p.PeerLink, Time: p.Time}
	s.notes.addLink(&client)
}

// noteFirst notes the sender of the first packet of a source.
func (s *Observer) noteFirst(src *Source, p *track.Packet) {
	k, v6 := &p.Key, p.Key.Scope.V6()
	if src.mac != [6]byte{} && src.flags&home != 0 {
		s.notes.addLink(&LinkNote{Source: k.ClientKey(), MAC: src.mac, NextHop: p.PeerLink,
			Routed: src.flags&onLink == 0, Home: src.flags&configured != 0,
			Outbound: !s.all.cfg.Peers.Home.Has(k.Server, v6), Time: p.Time})
	}
}

// noteSuspicious notes a source outside the home networks that would have a level.
func (s *Observer) noteSuspicious(src *Source, k flowtable.HostKey, now int64) {
	if src.mac != [6]byte{} && src.flags&(onLink|outbound) == onLink|outbound {
		s.notes.addLink(&LinkNote{Source: k, MAC: src.mac, Outbound: true, Suspicious: true,
			NextHop: src.nextHop, Time: now})
	}
}

// addLink adds a note for the end of the round, unless the same one was made lately.
func (s *shardNotes) addLink(n *LinkNote) {
	same := *n
	same.Time = 0
	same.Source = LocalNetwork(n.Source)
	hash := uint(n.MAC[5]) + uint(n.Source.Addr[14])*31 + uint(n.Source.Addr[7])*7
	slot := &s.links[hash%linkMemory]
	if *slot == same {
		return
	}
	if len(s.linkNotes) >= maxLinkNotes {
		s.dropped++
		return
	}
	*slot = same
	s.linkNotes = append(s.linkNotes, *n)
}

// LocalNetwork returns the network of an internal address: its /24 or /64.
func LocalNetwork(h flowtable.HostKey) flowtable.HostKey {
	if h.Scope.V6() {
		clear(h.Addr[8:])
	} else {
		h.Addr[15] = 0
	}
	return h
}

// TakeLinks appends the notes about links of the round to a list, in no order.
func (all *Set) TakeLinks(list []LinkNote) []LinkNote {
	return drainShards(all, list, func(s *Observer) *[]LinkNote { return &s.notes.linkNotes })
}

// MayLearn reports whether home networks may be learned at all: live, and in a file that shows an
// address of the configured ones. A file without one is judged as a whole at its end.
func (all *Set) MayLearn() bool { return all.cfg.Live || all.homeSeen.Load() }

// MayLearnFamily reports whether networks of a family may be learned; see peer.Directory.
func (all *Set) MayLearnFamily(v6 bool) bool { return all.cfg.Peers.MayLearn(v6) }

// Learn makes the networks of addresses home networks, and judges their sources from now on. The
// caller holds tickMu.
func (all *Set) Learn(nets []flowtable.HostKey) {
	now := all.cfg.Now()
	news := false
	for _, h := range nets {
		if all.cfg.Peers.LearnNetwork(h) {
			news = true
		}
	}
	if !news {
		return
	}
	for i := range all.shards {
		s := all.shards[i]
		all.cfg.Guarded(func() { s.locked(func() { s.adopt(now) }) })
	}
}

// adopt makes the sources in learned networks ours. The caller holds the shard's lock.
func (s *Observer) adopt(now int64) {
	s.Table.Sources.All(func(r flowtable.Ref, k *flowtable.HostKey, src *Source) {
		if src.flags&home != 0 || !s.all.isLearned(src, k) {
			return
		}
		src.flags |= home | changed
		prof := s.profiles.At(src.profile)
		if prof == nil || !s.eligible(src) {
			return
		}
		s.notes.addNewAddress(NewAddress{Source: *k, MAC: src.mac, Time: now})
		if src.flags&triedOutside != 0 {
			s.pendingDirect = append(s.pendingDirect, r)
		}
		prof.SetOneSided(s.all.acceptsOneSide(), s.all.oneSideSoFar())
		s.publish(src, prof, *k, prof.Judge(&src.Counters, now), now)
	})
}

// isLearned reports whether a source is in a learned network, and on the link itself.
func (all *Set) isLearned(src *Source, k *flowtable.HostKey) bool {
	return src.flags&onLink != 0 && all.cfg.Peers.Home.Learned(k.Addr, k.Scope.V6())
}

// maxUnjudged bounds the sources that Unjudged names live, where it is asked in each round. Of
// files it names all: a report about some hosts must find each of its hosts.
const maxUnjudged = 8

// Unjudged are the sources outside the home networks whose verdict would be a spambot's, and which
// are nearer to the capture than the servers that they contact, or few hops away: they may be
// machines of the site. It returns the number of all, and the first in the order of their levels
// and addresses; see maxUnjudged.
func (all *Set) Unjudged() (list []finding.Unjudged, n int) {
	if !all.cfg.Live && !all.homeSeen.Load() {
		return nil, 0 // then every source is judged
	}
	for i := range all.shards {
		s := all.shards[i]
		s.locked(func() {
			for r := range s.profiles.Owners() {
				src, prof := s.profileAt(r)
				v := prof.Verdict()
				if src.flags&(home|declared|farther|outbound) != outbound ||
					src.flags&(within|nearer) == 0 ||
					prof.Level() == verdict.NoLevel || v.Class != verdict.Spambot {
					continue
				}
				k := s.Table.Sources.KeyOf(r)
				n++
				list = append(list, finding.Unjudged{Addr: peer.NetIP(k.Addr, k.Scope.V6()),
					Level: prof.Level(), Attempts: src.Counters.Attempts})
			}
		})
		if all.cfg.Live {
			slices.SortFunc(list, finding.Unjudged.Compare)
			list = list[:min(len(list), maxUnjudged)]
		}
	}
	slices.SortFunc(list, finding.Unjudged.Compare)
	return list, n
}
