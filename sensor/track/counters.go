package track

// Counters are what a tracker counted.
type Counters struct {
	// SYNs counts clients' SYNs with retransmissions, Attempts those that began a connection,
	// Flows what came of them, and Sessions the flows that were established.
	SYNs, Attempts, Flows, Sessions uint64
	// Duplicates are packets that the mirror delivered twice, Retransmits segments and SYNs that
	// the sender repeated, OutOfWindow segments that cannot belong to their flow, Doubtful those
	// that may be decoys, Conflicts those with other bytes than an earlier copy, Strays segments of
	// no known flow.
	Duplicates, Retransmits, OutOfWindow, Doubtful, Conflicts, Strays uint64
	// SYNUnseen counts flows that began with a SYN-ACK, Midstream those that began later.
	SYNUnseen, Midstream uint64
	// Gaps counts holes in the dialogues, Missing their bytes, Streamed the bytes that were heard.
	Gaps, Missing, Streamed uint64
	// SYNsEvicted counts entries of the SYN cache that were overwritten and forgotten,
	// SessionsEvicted dialogues that made room for others, Broken flows that were dropped after a
	// panic.
	SYNsEvicted, SessionsEvicted, Broken uint64
}

// Add adds the counters of another tracker.
func (c *Counters) Add(o *Counters) {
	c.SYNs += o.SYNs
	c.Attempts += o.Attempts
	c.Flows += o.Flows
	c.Sessions += o.Sessions
	c.Duplicates += o.Duplicates
	c.Retransmits += o.Retransmits
	c.OutOfWindow += o.OutOfWindow
	c.Doubtful += o.Doubtful
	c.Conflicts += o.Conflicts
	c.Strays += o.Strays
	c.SYNUnseen += o.SYNUnseen
	c.Midstream += o.Midstream
	c.Gaps += o.Gaps
	c.Missing += o.Missing
	c.Streamed += o.Streamed
	c.SYNsEvicted += o.SYNsEvicted
	c.SessionsEvicted += o.SessionsEvicted
	c.Broken += o.Broken
}
