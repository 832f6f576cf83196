// Package detect turns observations about a source into a verdict: does this host send spam, how
// sure is that, and why.
//
// # Words
//
// A source is a host as sender of mail. An observation is one fact about it: a SYN, a HELO name, a
// reply; it has a [Kind]. The [Counters] are kept of every source. A [Profile] is what is known of
// a source that is judged. A detector looks at observations of some kinds and finds one reason,
// with its numbers. A reason has a [Code], a weight and a [Family]. A mitigation is a case in which
// one thing that was seen weakens another. The verdict is the sum of the reasons.
//
//	observation > Counters > Profile > detectors > reasons > mitigations > verdict
//	                (all)    (judged)  detectors.go          mitigate.go   verdict.go
//
// The table in detectors.go is the table of contents: one row and one file for each detector. The
// cases in which reasons weaken each other are the rows of mitigate.go. The predicates that decide
// the level and the class are in verdict.go, in the order in which [Profile.Judge] asks them.
//
// State that means something by itself is in leaf packages: which networks of servers are one
// provider and how fast new ones come in providers, the DNS queries of a host in lookups,
// its first contacts and its egress in contacts, how it uses connections in behaviour, which of its
// attempts are its own in spoof, the classes of HELO names in heloname, and sets of distinct hashes
// in sketch.
//
// # The idea
//
// The idea is a calibrated sum. Each detector is one test with a known error rate and gives
// a weight in natural logarithms of a likelihood ratio. Detectors that look at the same
// thing are a family, and a family's sum is capped, so that no single aspect can convict
// alone:
//
//	L = prior + sum over families of min(cap, sum of weights)
//
//	suspect    L >= 0
//	likely     L >= 4.6 and two families, and the source is a machine with a TCP of its own; one
//	           family if the source floods and only SYNs can be seen, see flood.go
//	confirmed  L >= 9.2 and three families, and a session that both sides opened and in which the
//	           server answered the client; see KindAttested and, for captures of one side,
//	           Profile.SetOneSided
//
// The prior is -6.9: one host in a thousand. A verdict is reached when the packet comes that
// decides, not at the next tick, and its [verdict.Decision] has the time and the number of
// attempts. A level is held for a day after the latest evidence and then drops by one. Where the
// past is judged (Profile.Keep), likely and confirmed stay until evidence speaks against them.
//
// Signs of a mail server are a family with negative weights. A host that is neither a bot nor a
// workstation is of another class: an undeclared mail server, a scanner.
//
// SYNs alone prove little, because anybody can send them with any source address. Ten thousand of
// them with an innocent host's address make that address suspect and no more, also if it has mail
// sessions of its own. For a higher level a reason must have been read in a session, or the source
// itself must have chosen some networks; see package spoof.
//
// # What it does not do
//
// The package has no clock, no input or output, no lock, and no list of bad addresses or names.
// Time is the time of the packets, in nanoseconds since 1970. It does not read packets or
// dialogues: package engine does, and hashes addresses and names with a secret. It does not open
// findings, and it does not judge mail servers of ours that are watched: see package mailserver.
package detect

const (
	second = int64(1e9)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)
