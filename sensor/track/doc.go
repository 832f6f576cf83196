// Package track follows TCP connections: it turns packets into connection events. It knows TCP and
// the SMTP dialogue, and nothing of detection: an event says what happened, and the observer of the
// events decides what that means.
//
// Words:
//   - A flow is one TCP connection, known by its 5-tuple (flowtable.Key). It begins with the answer
//     to an attempt, or in the middle if the capture begins later than the connection.
//   - An attempt is the first SYN of a connection; its outcome is answered, refused, unreachable,
//     or waiting until it expires.
//   - A source is a host as the client of flows. The tracker makes its entry in the table and
//     refers to it. The value S of the entry belongs to the observer: the tracker does not read it.
//   - A session is the SMTP dialogue of one flow (package smtpsniff). A flow is established, and
//     its session is believed, once its handshake is complete and both sides were seen.
//   - The SYN cache holds single SYNs of unknown external hosts, which anybody can forge.
//   - A port reuse is a second handshake with the ports of a flow that is still open.
//
// The way of a packet, read downward in next.go, syn.go or segment.go, then session.go and flow.go.
// In a queue a packet is a Row, and most rows end in Next; of others Expand makes a Packet:
//
//	   row ──── next segment: Next ──────────> smtpsniff.Listener: Said
//
//	packet ──┬─ ICMP error: Unreachable > resolveAttempt > AttemptFailed
//	         │
//	         ├─ client's SYN: SYN ──> SYN cache ───────> CachedSYN
//	         │                        attempt log ─────> FirstSYN, Attempt, SYNRetransmit
//	         │                        Fast Open (7413) > FlowBegan
//	         │
//	         └─ any other: Segment ─> no flow: begin ──> SYNACK, FlowBegan, AttemptFailed
//	                                  another SYN-ACK ─> reopen (portreuse.go): FlowBegan
//	                                  flow: push ──────> tcp.Stream: the bytes in order
//	                                    handshake ─────> ServerAnswered, Established, BothSides
//	                                    reset ─────────> FlowReset, ConnectionOver
//	                                    drain ─────────> smtpsniff.Listener: Said
//	                                    both ends over > SessionEnded
//
//	Tick, eviction ─────────────────> closeFlow ───────> Said, SessionEnded, ConnectionOver
//
// The seam. A Tracker calls Config.Observe for each event at once, in the middle of its work on a
// packet, with an Event that it uses again for the next one. The direct call keeps the order of
// what happens inside one packet (an eviction closes another flow before the packet's own flow is
// made) and needs no copies of SMTP events, whose texts the Listener owns. The observer must not
// call the tracker. An event is one indirect call: most segments of a session cause none, each SYN
// of a flood causes one.
//
// Trackers share nothing but Sides. There is one for each shard of the flow table, under the
// shard's lock, and it allocates only sessions. Time is the time of the packets.
//
// Bounds. The table bounds flows, attempts, sources and the SYN cache. Config.MaxSessions and
// Config.MaxSessionBytes bound the dialogues, Config.MaxHeldBytes the segments that wait for
// missing ones. Each eviction is counted in Counters.
//
// The package does not judge sources, emit records, decode frames, follow DNS, keep an order among
// shards, or write and save anything.
package track
