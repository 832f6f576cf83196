package machines

import (
	"bytes"
	"cmp"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/sources"
)

// link is what is known of the sender of frames, by its link-layer address.
type link struct {
	mac    [6]byte
	latest int64 // of its latest note, ns
	home   bool  // a configured home address sent with it, straight from its machine
	routed bool  // it forwarded frames of another machine
	nets   []flowtable.HostKey
	peers  [linkPeers][6]byte // of the connections of its clients
	// Networks of its clients that are not ours yet.
	waiting []sources.LinkNote
}

const (
	// routerNetworks is from how many networks outside the configured ones a sender is a router,
	// whatever the hop limits of its frames: a machine has one or two, and an old one.
	routerNetworks = 4
	// linkPeers bounds the peers of a link that are remembered, maxLinks the links, maxHops the
	// link-layer addresses to which home machines send.
	linkPeers, maxLinks, maxHops = 4, 1024, 16
)

// isRouter reports whether a sender forwards frames of others.
func (l *link) isRouter() bool { return l != nil && (l.routed || len(l.nets) >= routerNetworks) }

// isShared reports whether a link-layer address belongs to a group of machines that stand in for
// one another (VRRP, RFC 9568; CARP is the same; HSRP), or is none.
func isShared(mac [6]byte) bool {
	four, five := [4]byte(mac[:4]), [5]byte(mac[:5])
	return four == [4]byte{0, 0, 0x5e, 0} || four == [4]byte{0, 5, 0x73, 0xa0} ||
		five == [5]byte{0, 0, 0xc, 7, 0xac} || five == [5]byte{0, 0, 0xc, 0x9f, 0xf0} ||
		mac[0]&1 != 0 || mac == [6]byte{}
}

// TrackLinks handles the notes of a round about links, and returns addresses whose networks are
// ours, because a machine in them shares the link with the machines of the site. The caller holds
// tickMu.
func (t *Tracker) TrackLinks() (learned []flowtable.HostKey) {
	t.linkNotes = t.sources.TakeLinks(t.linkNotes[:0])
	list := t.linkNotes
	if len(list) == 0 {
		return nil
	}
	// Shards run in any order, so the notes of a round are sorted.
	t.merger.Reset()
	for i := range list {
		t.merger.Add(timeRank(list[i].Time))
	}
	for _, p := range t.merger.Merged(func(x, y uint32) int {
		a, b := &list[x], &list[y]
		return cmp.Or(bytes.Compare(a.Source.Addr[:], b.Source.Addr[:]),
			bytes.Compare(a.MAC[:], b.MAC[:]), bytes.Compare(a.Peer[:], b.Peer[:]))
	}) {
		t.trackLink(&list[p.At])
	}
	if !t.sources.MayLearn() {
		return nil
	}
	t.waiting = slices.DeleteFunc(t.waiting, func(l *link) bool {
		if !l.isRouter() && !isShared(l.mac) {
			learned = t.takeOurs(l, learned)
		}
		return len(l.waiting) == 0
	})
	slices.SortFunc(learned, flowtable.HostKey.Compare)
	return learned
}

// takeOurs takes the addresses from a link whose networks are ours now, and appends them to a list.
func (t *Tracker) takeOurs(l *link, list []flowtable.HostKey) []flowtable.HostKey {
	l.waiting = slices.DeleteFunc(l.waiting, func(n sources.LinkNote) bool {
		ours := t.isOurs(l, &n)
		if ours {
			list = append(list, n.Source)
		}
		return ours
	})
	return list
}

// trackLink handles one note.
func (t *Tracker) trackLink(n *sources.LinkNote) {
	l := t.link(n)
	if l == nil {
		return
	}
	l.latest = max(l.latest, n.Time)
	l.routed = l.routed || n.Routed
	if n.Home {
		if l.home = l.home || !n.Routed; n.Outbound && n.NextHop != 0 && !n.Routed &&
			!slices.Contains(t.nextHops, n.NextHop) && len(t.nextHops) < maxHops {
			t.nextHops = append(t.nextHops, n.NextHop)
		}
		return
	}
	if net := sources.LocalNetwork(n.Source); !slices.Contains(l.nets, net) &&
		len(l.nets) < routerNetworks {
		l.nets = append(l.nets, net)
	}
	if !n.Outbound || n.Routed {
		return
	}
	if !slices.Contains(l.peers[:], n.Peer) {
		copy(l.peers[1:], l.peers[:])
		l.peers[0] = n.Peer
	}
	// A note of each network and kind waits. A network is one more, or one too many; see isRouter.
	if !slices.ContainsFunc(l.waiting, func(x sources.LinkNote) bool {
		return sources.LocalNetwork(x.Source) == sources.LocalNetwork(n.Source) &&
			x.Suspicious == n.Suspicious
	}) && len(l.waiting) < 2*routerNetworks {
		if len(l.waiting) == 0 {
			t.waiting = append(t.waiting, l)
		}
		l.waiting = append(l.waiting, *n)
	}
}

// sweepEvery is how often links without a note for a day are looked for at maxLinks.
const sweepEvery = hour

// link returns the link of a note. At maxLinks those without a note for a day are dropped; if there
// is none, the note is. Many more link-layer addresses than that are looked through once an hour.
func (t *Tracker) link(n *sources.LinkNote) *link {
	if l := t.links[macKey(n.MAC)]; l != nil {
		return l
	}
	if t.links == nil {
		t.links = map[uint64]*link{}
	}
	if len(t.links) >= maxLinks && n.Time >= t.nextSweep {
		t.nextSweep = n.Time + sweepEvery
		for mac, l := range t.links {
			if n.Time-l.latest >= maxSilence {
				delete(t.links, mac)
				t.forgotten.Add(1)
			}
		}
		t.waiting = slices.DeleteFunc(t.waiting, func(l *link) bool {
			return t.links[macKey(l.mac)] != l
		})
	}
	if len(t.links) >= maxLinks {
		t.forgotten.Add(1)
		return nil
	}
	l := &link{mac: n.MAC}
	t.links[macKey(n.MAC)] = l
	return l
}

// ForgetLinks forgets the senders of frames, because which machines are ours has changed. They are
// noted again with their next connections. The caller holds tickMu.
func (t *Tracker) ForgetLinks() { t.links, t.waiting, t.nextHops = nil, nil, nil }

// isOurs reports whether the network of a sender is ours. Its frames come straight from the
// machine, and its link-layer address is no router's. Besides one of these holds:
//
//   - The same machine has a configured home address.
//   - Its connections go through a router: so it is on the near side. A client that a load balancer
//     or a proxy shows with a full hop limit reaches its server without one.
//   - It sends to the same next hop as a home machine, and would have a level: without answers the
//     link shows no more.
//
// Where an administrator has named the networks of its family, only the first one counts.
func (t *Tracker) isOurs(l *link, n *sources.LinkNote) bool {
	if l.home {
		return true
	}
	if !t.sources.MayLearnFamily(n.Source.Scope.V6()) {
		return false
	}
	if n.Suspicious && n.NextHop != 0 && slices.Contains(t.nextHops, n.NextHop) {
		return true
	}
	return slices.ContainsFunc(l.peers[:], func(mac [6]byte) bool {
		return t.links[macKey(mac)].isRouter()
	})
}
