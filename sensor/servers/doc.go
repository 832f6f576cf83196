// Package servers observes the mail servers of ours: what they receive, what they send, and what
// follows for their findings.
//
// Words:
//   - A watched server is a declared mail server, or an internal host that replied to a recipient.
//   - A transaction is one MAIL command, its recipients, and the replies to them.
//   - An Observation is a completed transaction, the end of a session, an attempt to connect, or a
//     DNS answer.
//   - The Set is all watched servers. An Observer follows the sessions of one shard.
//
// Mail servers are watched as receivers, too. A server's sessions are in the shards of its clients,
// so the observers of the shards add their observations to the journals of the shards. At the end
// of a round the servers are judged in packet order, by the one goroutine that holds the engine's
// tickMu. So the result does not depend on the number of workers.
//
//	shard 1  Observer --+                         +-- DNS answer: all servers
//	shard 2  Observer --+-> journal -> Dispatch --+-- its server, its client  (mailserver)
//	shard n  Observer --+  packet order           |
//	                                              v
//	                             verdicts -> finding.Book -> Config.Finding
//
// The observer of sources reads some of the notes (package peer) that an Observer sets on a flow:
// an Observer gets each event first.
//
// Mail that a host of ours hands to a server goes on to the sources: see handed.go, and package
// handover.
//
// The package does not judge (mailserver), write events (event) or order the journals (engine), and
// it knows no source: which host brought what is the concern of package sources.
package servers
