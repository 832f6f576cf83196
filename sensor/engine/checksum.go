package engine

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/track"
	"spamsensor/sensor/wire"
)

// checksums decides whether a first SYN with a wrong checksum counts. No receiver accepts it, but a
// host that captures its own traffic sees checksums that its network card has yet to write. So a
// wrong checksum is rejected only while the checksums of this input are generally right, and never
// if it is all that is seen of its source.
//
// Decoding reports for each SYN whether its checksum is right, in any order and in several batches.
// The decision is made here, in packet order. If all checksums are right, which is usual, it is one
// addition for each batch.
type checksums struct {
	right, wrong    uint32 // in recent windows: both are halved when a window is full
	inWindow        uint32 // SYNs in the current window
	suspects        [256]suspect
	suspected       bool   // suspects is not empty
	judged, ignored uint64 // SYNs that could be verified, and wrong ones that counted all the same
}

// suspect is a source that sent a wrong checksum. The table keeps one source for each slot, and the
// latest replaces the one before.
type suspect struct {
	src   wire.Addr
	sum   uint32 // the checksum of its latest SYN, because a mirror may deliver it twice
	wrong uint8  // in a row
}

const (
	// window is the number of SYNs after which earlier ones count half.
	window = 1024
	// offloadRun is the number of wrong checksums in a row after which a source counts as one whose
	// network card writes them.
	offloadRun = 3
	// wrongAllowance is the number of wrong checksums that are rejected before there are right ones
	// to compare with.
	wrongAllowance = 4
)

// checkedSYN is a first SYN of a batch whose checksum was verified: its place in the queues.
type checkedSYN struct {
	queue, index uint32
	checksum     wire.Checksum
}

// add adds n SYNs to count, with the same result as one at a time: a window that fills up within
// them halves both counters.
func (c *checksums) add(n uint32, count *uint32) {
	for n > 0 { // once for each window of SYNs
		k := min(n, window-c.inWindow)
		*count += k
		c.inWindow += k
		n -= k
		if c.inWindow == window {
			c.right, c.wrong, c.inWindow = c.right/2, c.wrong/2, 0
		}
	}
}

// judge decides about the SYNs of a batch. A rejected SYN keeps its place in the queue and is
// marked BadChecksum.
func (c *checksums) judge(b *decodeBatch) {
	c.judged += uint64(len(b.syns))
	// The usual case: nothing to decide, and no suspect to clear.
	if b.wrongSYNs == 0 && !c.suspected {
		c.add(uint32(len(b.syns)), &c.right)
		return
	}
	var k flowtable.Key
	for _, s := range b.syns {
		x := &b.queues[s.queue][s.index]
		if s.checksum == wire.Right {
			c.add(1, &c.right)
			// A right checksum ends the run of wrong ones of this source.
			b.side.Key(&k, x)
			if at := c.suspect(&k.Client); at.src == k.Client {
				at.wrong = 0
			}
			continue
		}
		// A rejected SYN does not count as mail. An incomplete checksum, as a card leaves it,
		// counts.
		b.side.Key(&k, x)
		if s.checksum == wire.Wrong && c.rejects(&k.Client, x.Sum) {
			x.Note |= track.BadChecksum
			b.outcome[wire.Mail]--
			b.outcome[wire.BadChecksum]++
		} else {
			c.ignored++
		}
		c.add(1, &c.wrong)
	}
}

// rejects reports whether a SYN with a wrong checksum is rejected.
func (c *checksums) rejects(src *wire.Addr, sum uint32) bool {
	at := c.suspect(src)
	if at.src != *src {
		*at = suspect{src: *src}
		c.suspected = true
	}
	// Two copies of one frame count once.
	if at.wrong == 0 || at.sum != sum {
		at.wrong, at.sum = min(at.wrong+1, offloadRun+1), sum
	}
	// Rejected while wrong ones are few against the right ones, and the source has no run of them.
	return c.right > 0 && c.wrong < wrongAllowance+c.right/4 && at.wrong <= offloadRun
}

// suspect returns the slot of a source.
func (c *checksums) suspect(src *wire.Addr) *suspect {
	hash := uint(src[15]) ^ uint(src[14])*31 ^ uint(src[13])*61 ^ uint(src[7])*17
	return &c.suspects[hash%uint(len(c.suspects))]
}
