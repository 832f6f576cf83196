package sources

import (
	"sync/atomic"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
)

// linkSenders follows whether the frames of two ends of a connection have different link-layer
// senders, as they do unless a capture was rewritten. If they do, a connection of a machine of ours
// (no router has passed on its frames) whose other end has the same sender is self-made: the
// machine plays both ends, in its own name, so that it seems to be a mail server, or in another
// host's name. A self-made connection counts neither for nor against a host.
type linkSenders struct {
	n     [2]uint64 // connections with the same sender and with different ones; under tickMu
	state atomic.Uint32
}

// The states of linkSenders.
const (
	noPair          uint32 = iota // no connection was seen
	mostlyDifferent               // senders differ
	sameSoFar                     // they are the same, in a few connections
	alwaysSame                    // and in many
)

// sendersShown is how many connections must have the same sender, and hardly one a different one,
// before an accusation may rest on such connections.
const sendersShown = 64

// noteSender compares the sender of the first answer of a flow's server with its client's.
func (s *Observer) noteSender(src *Source, p *track.Packet, f *track.Flow) {
	if src != nil {
		src.noteDistance(f.Trace.TTL, p.TTL)
	}
	s.noteBothLinks(src, p, f)
	if src == nil || src.mac == [6]byte{} || p.MAC == [6]byte{} {
		return
	}
	switch {
	case p.MAC != src.mac:
		s.pairs[1]++
	case src.flags&home != 0 && src.flags&onLink != 0,
		src.flags&home == 0 && !f.Noted(peer.External) && detect.InitialTTL(p.TTL):
		s.pairs[0]++
		f.Notes |= peer.SelfMade
	}
}

// add adds connections of a round. The caller holds tickMu.
func (x *linkSenders) add(all *Set, n [2]uint64) {
	x.n[0] += n[0]
	x.n[1] += n[1]
	state := noPair
	switch {
	case x.n[1]*16 >= max(1, x.n[0]):
		state = mostlyDifferent
	case x.n[0] >= sendersShown:
		state = alwaysSame
	case x.n[0] > 0:
		state = sameSoFar
	}
	if x.state.Swap(state) == sameSoFar && state == mostlyDifferent {
		all.withdrawAttestations()
	}
}

// withdrawAttestations takes back what self-made connections said in favour of hosts. It is called
// when senders turn out to differ; until then all but one connection in 16 had the same one.
func (all *Set) withdrawAttestations() {
	for i := range all.shards {
		s := all.shards[i]
		s.Table.Lock()
		s.profiles.All(func(prof *profile) { prof.Disown() })
		clear(s.notes.pendingInbound)
		s.Table.Unlock()
	}
}

// sendersDiffer reports whether senders are known to differ.
func (x *linkSenders) sendersDiffer() bool { return x.state.Load() == mostlyDifferent }

// finish says that no more connections come.
func (x *linkSenders) finish() { x.state.CompareAndSwap(sameSoFar, alwaysSame) }

// acceptsOneSide reports whether a connection counts whose two sides were not seen from two
// machines: the capture shows no other ones.
func (all *Set) acceptsOneSide() bool {
	return all.cfg.Sides.OneSideShown() || all.pairs.state.Load() == alwaysSame
}

// oneSideSoFar reports whether the capture has shown one side of connections alone until now.
func (all *Set) oneSideSoFar() bool { return all.cfg.Sides.OneSideSoFar() }

// DrainSides adds up what the shards counted in a round, for Sides and linkSenders. The caller
// holds tickMu.
func (all *Set) DrainSides() {
	var sides [2]int64
	var pairs [2]uint64
	for i := range all.shards {
		s := all.shards[i]
		s.Table.Lock()
		for j, n := range s.Tracker.TakeSides() {
			sides[j] += n
			pairs[j] += s.pairs[j]
		}
		s.pairs = [2]uint64{}
		s.Table.Unlock()
	}
	if sides != [2]int64{} {
		all.cfg.Sides.Add(sides)
	}
	if pairs != [2]uint64{} {
		all.pairs.add(all, pairs)
	}
}
