package engine

import "spamsensor/sensor/wire"

// checksums decides whether a first SYN with a wrong checksum counts. No receiver would take
// it; but a host that captures itself sees checksums that its network card was yet to write.
// So a wrong one is refused only while those of this input are generally right, and never
// that of a host of which nothing else is seen.
//
// Decoding says of each SYN whether it is right, in any order and in several pieces; the
// decision is made here, in the order of the packets. Where all are right, which is usual,
// it is an addition for each piece.
type checksums struct {
	right, wrong    uint32 // of late: both are halved at every full window
	inWindow        uint32 // of the window
	suspects        [256]suspect
	suspected       bool   // there is one
	judged, ignored uint64 // SYNs that could be judged, and those that were wrong and counted
}

// suspect is a source that sent a wrong checksum. Others may take its place.
type suspect struct {
	src   wire.Addr
	sum   uint32 // of its latest, because a mirror may deliver it twice
	wrong uint8  // in a row
}

const (
	window = 1024
	// offloadRun is how many wrong checksums in a row make a source one whose card writes them.
	offloadRun = 3
	// wrongAllowance is how many wrong ones there may be before there are as many right ones to compare with.
	wrongAllowance = 4
)

// checkedSYN is a first SYN of a piece that could be judged.
type checkedSYN struct {
	queue, index uint32
	checksum     wire.Checksum
}

// add takes in n SYNs of one kind, as if one by one.
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
// marked badChecksum.
func (c *checksums) judge(p *decodeBatch) {
	c.judged += uint64(len(p.syns))
	if p.wrongSYNs == 0 && !c.suspected {
		c.add(uint32(len(p.syns)), &c.right)
		return
	}
	for _, s := range p.syns {
		x := &p.queues[s.queue][s.index]
		if s.checksum == wire.Right {
			c.add(1, &c.right)
			if at := c.suspect(&x.key.Client); at.src == x.key.Client {
				at.wrong = 0
			}
			continue
		}
		if s.checksum == wire.Wrong && c.rejects(x) {
			x.badChecksum = true
			p.outcome[wire.Mail]--
			p.outcome[wire.BadChecksum]++
		} else {
			c.ignored++
		}
		c.add(1, &c.wrong)
	}
}

// rejects decides about a wrong checksum.
func (c *checksums) rejects(x *packet) bool {
	at := c.suspect(&x.key.Client)
	if at.src != x.key.Client {
		*at = suspect{src: x.key.Client}
		c.suspected = true
	}
	if at.wrong == 0 || at.sum != x.sum {
		at.wrong, at.sum = min(at.wrong+1, offloadRun+1), x.sum
	}
	return c.right > 0 && c.wrong < wrongAllowance+c.right/4 && at.wrong <= offloadRun
}

func (c *checksums) suspect(src *wire.Addr) *suspect {
	return &c.suspects[(uint(src[15])^uint(src[14])*31^uint(src[13])*61^uint(src[7])*17)%uint(len(c.suspects))]
}
