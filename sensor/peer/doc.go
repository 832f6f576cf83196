// Package peer says what the two ends of a flow are to the site, before any detector.
//
// Words:
//   - The home networks are the ones whose hosts are judged. An address outside them is external.
//   - A declared host has a role in the configuration: a mail server, a scanner, a NAT gateway.
//   - A relay is an external server that hosts may use for port 25.
//   - A note is a flag that an observer sets on a flow, and that another one reads.
//   - A destination and a net are keyed hashes of a server's address and of its network.
//   - A translated address is the IPv4 address that an address behind NAT64 holds. It is the
//     server's.
//
// An observer asks in the order of a connection's life:
//
//	address    Directory     home, declared, a relay, or none of them
//	flow       External ...  the notes: what is known of it so far
//	greeting   GreetingName  the server's name
//	refusal    RefusalCache  the reason, and the blocklist or the address that its text cites
//
// The package follows no flow, holds no counters of hosts and decides nothing. A Directory may be
// used by several goroutines; a RefusalCache belongs to one shard.
package peer
