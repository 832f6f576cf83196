// Package machines follows what link-layer addresses say: which networks are on the link that the
// capture shows, and so ours, and which addresses belong to one machine. A machine that changes its
// address has one profile and one finding of each class, however many addresses it takes.
//
// Words:
//   - A host is a machine that is known by its link-layer address. It uses IPv4 and IPv6 side by
//     side, and gets another IPv4 address from time to time.
//   - A link-layer address is shared if several machines send with it: a router, a bridge.
//   - A chain is a machine that takes another IP address for each mail, or for each day (temporary
//     IPv6 addresses), and is known by its link-layer address.
//   - A rotation is a machine that changes its link-layer address, too. It is known by the network
//     of its addresses and by what its frames share.
//   - A link is the sender of frames, by its link-layer address: a machine, or a router.
//   - A member is an address of a chain or of a rotation.
//   - A finding about a member is held back for some minutes if it may turn out to be a rotation's.
//
// The observers of sources note what the Tracker needs, and the engine has it do its work at the
// end of a round:
//
//	notes on links  --TrackLinks------> networks that are ours, see links.go
//	new addresses   --TrackAddresses--> chains    \
//	                                               address changes --MergeAddresses--> profiles
//	brief senders   --TrackRotations--> rotations /
//
//	new addresses, changed profiles --JoinAddresses--> hosts, each judged by all of its addresses
//
//	finding of one address --Admit--> held back, merged with the machine's finding, or emitted
//
// A Tracker reads the sources of all shards, each under the lock of its shard, and belongs to the
// holder of the engine's tickMu. Everything is handled in an order that does not depend on the
// number of helpers. All of it is bounded: at most 1024 links, hosts and chains, 128 rotations and
// 64 held findings.
//
// The addresses of a host keep their profiles, and the verdict is that of their sum, at one of
// them: a host can be taken apart again when its link-layer address turns out to be shared. A chain
// or a rotation has many addresses, each with one mail or two; there the profile moves from each
// address to the next.
//
// The package does not observe packets, judge profiles (detect) or know what a source did: it asks
// package sources. Two machines that share one address are the concern of sources/macchange.go.
package machines
