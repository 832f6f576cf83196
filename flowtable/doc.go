// Package flowtable is a bounded table of connection attempts, flows and sources. Every mail packet
// looks entries up in it, and an attacker may try to fill it.
//
// Words:
//
//	flow     one TCP connection, identified by its Key, which is the same for both directions
//	attempt  the first SYN of a flow, before any answer
//	source   a host as the client of flows
//	entry    a record of one of these; a Ref is its number
//	expired  an entry that became too old; evicted: one that made room in a full table
//
// All entries of one source lie in one shard. A packet needs one lock, and no source is shared
// between two shards.
//
//	           hash of the client            hash of the flow
//	packet --> shard --+--> SYNs      [index | ring of 72-byte records]  one SYN, unknown host
//	                   +--> Sources   [index | slab]                     hosts with several SYNs
//	                   +--> Attempts  [index | ring of 32-byte records]  first SYNs of sources
//	                   +--> Flows     [index | slab | wheel]             answered attempts
//
// The four parts are separate because their entries differ in worth. A single host can cause SYN
// entries and attempts without limit; a flow needs two hosts that agree; a source is what detection
// is about. A flood of SYNs overwrites the oldest SYN entries and attempts and nothing else.
//
// The hash of a host is xxhash over a secret prefix; keyed multiplications extend it over a flow. A
// hash selects the bucket, and the full key is compared.
// Memory is allocated once. When a part is full, the entry of the lowest priority near the new one
// is evicted (Pool.Add in pool.go), its owner is called back, and the eviction is counted. Time is
// the time of the packets.
//
// Entries refer to each other by number and hold no Go pointers: the garbage collector never scans
// the tables, and a batch of packets can prefetch the cache lines that it needs, so that the waits
// for memory overlap.
//
// Measured on one core: in a flood of SYNs a source for each sender costs 1,060 ns a packet, an
// entry of the SYN cache 245 ns. Records that are filled in place, and not copied from a literal,
// save another 17 % there and 8 % of a storm of short sessions (see Key.Set). Half as many SYN
// entries reduce the memory of the flood from 100 to 85 MB, and are enough. A hash of four bytes
// of an IPv4 address instead of sixteen saves no measurable time: the waits for memory hide it.
//
// Objects has the Go objects to which entries refer by number where a value needs pointers.
//
// The package does not know TCP or SMTP (values belong to the caller), does not grow a table, and
// does not keep an exact order of use.
package flowtable
