// Package engine is the wiring of the sensor: it takes frames, has them decoded and tracked, hands
// the connection events to the detectors, and emits what they find.
//
// Words:
//   - A round is a row of at most 16384 frames that are processed together. At its end the shards
//     exchange their observations of one another's hosts.
//   - A batch is the packets of a round, as they were decoded.
//   - A shard is a part of the flow table, by the hash of the client, and what belongs to it: a
//     tracker (package track), the observers of the tracker's events, and a journal. All are under
//     the lock of the table's shard.
//   - A source is a host as a client. Its counters are in the table (package sources).
//   - A watched server is a mail server of ours (package servers). Its sessions are in the shards
//     of its clients, so it is judged at the end of the round.
//   - A tick is a second of packet time. It has a place among the packets.
//   - A journal is what a shard has to emit in a round. The journals are merged in packet order.
//   - A machine can have many addresses, one after the other. They are joined at the end of the
//     round (package machines).
//
// The way of a segment, from frame to finding, is one file after the other:
//
//	worker.go          Add, takeRound: a round of frames (ahead.go: windows of a file)
//	decode.go            decode: wire.Decode, a packet or an outcome that is counted
//	enqueue.go           enqueue: the packet becomes a row in the queue of its client's shard
//	process.go           runShards, process: for each shard, under its lock, packet after packet
//	shard.go               packet: to the tracker
//	track/next.go            Next: the next segment of an established connection (flowtable, tcp)
//	track/segment.go         Segment, push: any other; the flow, and its bytes in order
//	track/session.go         drain, said: the dialogue (smtpsniff)
//	observe.go             observer: to the observers of mail servers and of sources
//	sources/dialogue.go    ObserveDialogue: replies become observations (detect)
//	sources/profile.go     judge: the profile has changed
//	detect/verdict.go        Judge: its verdict
//	sources/finding.go     publish: the findings follow the verdict
//	finding/book.go          Apply, Commit: a finding is opened, updated or closed
//	journal.go           addEntry: the finding waits for the end of the round
//	                     exchange, drainJournals, handle: Output.Finding, in packet order
//	event/finding.go     Writer.Finding: a line of JSON; report/report.go has the report
//
// Other packets leave this way at shard.go. A SYN goes to track/syn.go (SYN: an attempt), a SYN-ACK
// to track/segment.go (begin: a flow); then both go through observe.go and sources/observe.go
// (Observe) to sources/contacts.go (observeAttempt, observeSYNACK). A DNS message about mail goes
// from enqueue.go (enqueueDNS) to observeDNS in shard.go.
//
// A verdict about a mail server comes this way: servers/observer.go, servers/transaction.go,
// journal.go, servers/dispatch.go, servers/finding.go. What our own hosts hand to it goes on from
// there: servers/handed.go, sources/handed.go (Handed), and the host's next packet judges it. A
// tick begins in tick.go.
//
// A worker belongs to the goroutine that captures. In a live capture there is one for each
// socket, and it takes in what has arrived. A file is read in long rounds: the memory that a
// shard's packets need stays in the processor's cache, and a wait for memory costs as much as the
// rest of the work on a packet. Shards share nothing, so helpers can process them side by side.
// Their journals are merged in packet order: any number of helpers gives the same events.
//
// Time is the time of the packets: over all workers, the highest plausible one; see clock.go. A
// tick has a place in the queues like a packet, so it comes at the same place for any length of the
// queues.
//
// Locks. A shard's lock is held while its packets are processed. tickMu is held at the end of a
// round, for the watched servers, and for each call of the Output; a shard's lock may be taken
// under it, and never the other way round.
//
// The engine does not read files or interfaces (capture), decode headers (wire), follow TCP
// (track), parse SMTP (smtpsniff), judge (detect, mailserver), write events (event) or checkpoints
// (state). On the way of a packet it does not log, read the wall clock, use channels or wait for
// anything but the shard's lock.
package engine
