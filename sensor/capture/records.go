package capture

import "spamsensor/sensor/frame"

// format is a file format: classic pcap or pcapng.
type format interface {
	// next adds frames to the batch, up to the end of the window. Errors other than io.EOF become
	// a PartialError; a call that adds frames returns no error.
	next(c *recordBatch) error
	offset() int64 // of the next record, in the decompressed input
}

// DefaultWindow is the usual size of a window in bytes of the decompressed input. A window holds
// the records that begin in it. Counters are output between windows.
const DefaultWindow = 4 << 20

// shortWindowSize is the window of an input that is merged with two or more others.
const shortWindowSize = 64 << 10

// maxFrames is the most frames of a batch: they stay in the L1 cache until they are decoded.
const maxFrames = 256

// recordBatch holds the records that one walk found.
type recordBatch struct {
	frames      []frame.Frame
	skipped     [frame.Classes]uint64
	count       uint64 // frames, skipped ones included
	bytes       uint64
	badTimes    uint64
	first, last int64
	end         bool // of the window
	prefilter   *frame.Prefilter
	from        uint16
	window      int64 // size of the windows in bytes
	only        TimeSpan
}

// clear empties the batch and keeps its memory.
func (c *recordBatch) clear() {
	*c = recordBatch{frames: c.frames[:0], prefilter: c.prefilter, from: c.from, window: c.window,
		only: c.only}
}

// add appends a frame whose record has this time, or counts it as skipped.
func (c *recordBatch) add(data []byte, time int64, wire int, link frame.LinkType) {
	time = frame.ReadTime(time)
	if !c.only.holds(time) {
		c.count++
		c.bytes += uint64(len(data))
		c.skipped[c.only.Class%frame.Classes]++
		return
	}
	class, skip := c.skips(data, wire, link)
	c.cover(time, time)
	c.count++
	c.bytes += uint64(len(data))
	if skip {
		c.skipped[class%frame.Classes]++
		return
	}
	// The frame is filled in where it stays: a frame made elsewhere would be copied, and the copy
	// would wait for its memory.
	c.frames = append(c.frames, frame.Frame{})
	f := &c.frames[len(c.frames)-1]
	f.Data, f.Time, f.Len, f.Link, f.From = data, time, wire, link, c.from
}

// cover extends the times of the batch to those of records that are being added. Zero is no time;
// see frame.ReadTime.
func (c *recordBatch) cover(first, last int64) {
	if c.first == 0 || first < c.first {
		c.first = first
	}
	c.last = max(c.last, last)
}

// latest is the highest time of the frames that were not skipped.
func (c *recordBatch) latest() (t int64) {
	for i := range c.frames {
		t = max(t, c.frames[i].Time)
	}
	return t
}

// skips asks the prefilter. If it panics, the frame is passed on and the prefilter is off for the
// rest of the batch: the engine meets the same frame with a guard of its own, and counts it.
func (c *recordBatch) skips(data []byte, wire int, link frame.LinkType) (class uint8, skip bool) {
	if c.prefilter == nil {
		return 0, false
	}
	defer func() {
		if recover() != nil {
			c.prefilter, class, skip = nil, 0, false
		}
	}()
	return c.prefilter.Skip(link, data, max(wire, len(data)))
}
