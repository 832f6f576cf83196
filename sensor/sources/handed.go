package sources

import (
	"net/netip"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/handover"
	"spamsensor/sensor/peer"
)

// What a host hands to a server of ours is known at the end of a round, like what it accepts: the
// server's observations are in other shards. The next packet of the host judges it.

// profileOf calls f with the source and the profile of a host, if there is one, under the lock of
// its shard.
func (all *Set) profileOf(k *flowtable.HostKey, f func(src *Source, prof *profile)) {
	all.withSource(k, func(_ *Observer, _ flowtable.Ref, src *Source, prof *profile) {
		if prof != nil {
			f(src, prof)
		}
	})
}

// sends reports whether a host connects to servers outside, or is declared as a server that does.
func (all *Set) sends(k *flowtable.HostKey) (is bool) {
	if all.cfg.Peers.DetectRole(k.Addr).Server() {
		return true
	}
	all.profileOf(k, func(src *Source, _ *profile) {
		is = src.flags&triedOutside != 0
	})
	return is
}

// Handed takes in a mail that a host of ours handed to a server of ours. Mail that is not of such a
// host is judged as if the server were not ours. The caller holds tickMu.
func (all *Set) Handed(client flowtable.HostKey, m *handover.Mail, server flowtable.HostKey) {
	m.Relays = all.sends(&server)
	all.profileOf(&client, func(src *Source, prof *profile) {
		prof.handedInAll++
		if prof.takenInAll >= fewTaken && prof.takenInAll*takenEach >= prof.handedInAll {
			return // it passes on what others bring
		}
		if prof.handed == nil {
			if m.Sender == 0 || m.Local {
				return
			}
			prof.handed = &handover.Log{}
		}
		due := prof.handed.Add(m)
		if len(due) == 0 {
			return
		}
		for i := range due {
			all.observeHanded(prof, &due[i], &server)
		}
		domains, certain := prof.handed.Reach(m.Time)
		prof.Observe(&all.cfg.Detect, &src.Counters, &detect.Observation{Kind: detect.KindHanded,
			Time: m.Time, Reach: domains, Certain: certain,
			Text: []byte(peer.NetIP(server.Addr, server.Scope.V6()).String())})
	})
}

// fewTaken is how many messages others must have brought to a host that passes mail on, and
// takenEach how many mails it hands on for each of them at most, on average.
const fewTaken, takenEach = 3, 3

// observeHanded gives a mail to the detectors as one to a server outside.
func (all *Set) observeHanded(prof *profile, m *handover.Mail, server *flowtable.HostKey) {
	see := func(o detect.Observation) {
		o.Time, o.External, o.Own = m.Time, true, true
		prof.Observe(&all.cfg.Detect, nil, &o)
	}
	if m.Helo != "" {
		see(detect.Observation{Kind: detect.KindHelo, Hash: m.Hash, Text: []byte(m.Helo), Port: 25})
	}
	see(detect.Observation{Kind: detect.KindSender, Hash: m.Sender})
	refused, about := m.Refused, detect.AboutClient
	if refused && m.Content {
		about = detect.AboutContent
	}
	for _, r := range m.Rcpts {
		if !r.Local {
			see(detect.Observation{Kind: detect.KindRecipient, Hash: r.Domain})
		}
		if r.Accepted || r.Unknown || r.Refused {
			see(detect.Observation{Kind: detect.KindRecipientReply, Unknown: r.Unknown})
		}
		refused = refused || r.Refused || r.Unknown
		if r.Unknown {
			about = detect.AboutRecipient
		}
	}
	if m.Accepted || refused {
		see(detect.Observation{Kind: detect.KindDecided, Refused: !m.Accepted, About: about,
			NewFrom: m.Fresh, Net: all.cfg.Peers.Net(server.Addr, server.Scope.V6())})
	}
}

// Taken notes that a server of ours took n messages from a client. The caller holds tickMu.
func (all *Set) Taken(server, client flowtable.HostKey, n uint32, own bool) {
	all.profileOf(&server, func(_ *Source, prof *profile) {
		for range min(n, 100) { // RFC 5321, section 4.5.3.1.8
			prof.Observe(&all.cfg.Detect, nil, &detect.Observation{Kind: detect.KindTaken,
				Time: all.cfg.Now()})
		}
		if own {
			prof.brought.add(peer.NetIP(client.Addr, client.Scope.V6()), n)
		}
		prof.takenInAll += uint64(n)
	})
}

// bringer is the host of ours that brought most of what a server took, by majority vote (Boyer and
// Moore 1981): a host that brought more than half is found.
type bringer struct {
	addr  netip.Addr
	votes uint64
	n     uint64 // messages of addr since it is the candidate
}

// add counts n messages of a host.
func (b *bringer) add(a netip.Addr, n uint32) {
	switch {
	case b.votes == 0:
		*b = bringer{a, uint64(n), uint64(n)}
	case b.addr == a:
		b.votes += uint64(n)
		b.n += uint64(n)
	default:
		b.votes -= min(b.votes, uint64(n))
	}
}

// mostBrought is the host of ours that brought a third or more of all that the host took, as far as
// it was counted, invalid if there is none.
func (h *profile) mostBrought() netip.Addr {
	if h.brought.n*3 < max(h.takenInAll, 6) {
		return netip.Addr{}
	}
	return h.brought.addr
}
