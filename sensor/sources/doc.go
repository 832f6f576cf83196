// Package sources observes what our addresses do as clients, has the detectors judge it, and opens,
// updates and closes findings about it.
//
// Words:
//   - A source is a host as the client of flows. Its counters are an entry of the table, without
//     pointers.
//   - A source is confirmed if it is real: a single SYN may be spoofed. A confirmed source that is
//     eligible (ours) has a profile, which the detectors judge (package detect).
//   - An observation is one fact about a source. It is made at once, from one connection event.
//   - A note is an observation of a host that may be in another shard. Notes are exchanged at the
//     end of a round.
//   - An account is the profile of an address under one of its link-layer addresses; see
//     macchange.go.
//   - A finding is withheld if there are too many weak ones (withhold.go).
//   - The Set is the sources of all shards. An Observer follows the sources of one shard, under the
//     lock of that shard.
//
// From an event to a finding:
//
//	ObserveDialogue   Observe    what was said, and the other connection events
//	             \    /
//	          observations --> counters of the source (table)
//	               |
//	               v
//	            profile  --judge--> verdict (detect)
//	                                   |
//	            publish  <-------------+
//	               |    finding.Book: opened, updated, closed
//	               v
//	  FindingEvent, SessionEvent --> ObserverConfig.AddFinding, AddSession (the shard's journal)
//
// The engine gives an Observer and a Set the fields of their configurations: values, and functions
// that are set once. There is no call through an interface.
//
// The package does not follow connections (track), hold the thresholds (detect), word the advice
// (finding), join the addresses of one machine (machines), observe mail servers (servers), or order
// and write events (engine, event).
package sources
