package engine

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
)

// observer returns the function that the tracker calls for each connection event, at once. The mail
// servers come first: their transactions do not depend on sources. The events of a dialogue are the
// most frequent by far, and go the shortest way. It is not made part of init, a function so large
// that nothing in it is made part of the caller any more.
//
//go:noinline
func (s *shard) observer() func(*track.Event) {
	return func(ev *track.Event) {
		if ev.Kind != track.Said {
			if s.servers.Concerns(ev.Kind) {
				s.servers.Observe(ev)
			}
			s.sources.Observe(ev)
		} else if s.believes(ev.Flow) {
			if ev.Flow.Noted(peer.Watched) {
				s.servers.ObserveDialogue(ev)
			}
			s.sources.ObserveDialogue(ev)
		}
	}
}

// believes reports whether what is said in a flow counts. Without a session no server accepted it;
// a self-made connection is no evidence if the senders of other connections differ.
func (s *shard) believes(f *track.Flow) bool {
	return (f.Established() || f.Midstream()) &&
		!(f.Noted(peer.SelfMade) && s.e.sources.SendersDiffer())
}

// isExternal reports whether a client is neither ours nor declared. Anybody can send a SYN in the
// name of an external host, and there are 2^32 of them.
func (e *Engine) isExternal(k *flowtable.Key) bool {
	return !e.peers.Home.Has(k.Client, k.Scope.V6()) && !e.peers.IsDeclared(k.Client) &&
		!e.servers.Watches(k.Client)
}
