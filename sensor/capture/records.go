package capture

import "spamsensor/sensor/frame"

// format is a file format: classic pcap or pcapng.
type format interface {
	// next adds frames to the batch, up to the end of the window. Errors other than io.EOF become
	// a PartialError; a call that adds frames returns no error.
	next(c *recordBatch) error
	offset() int64 // of the next record, in the decompressed input
}

// windowSize is the size of a window in bytes of the decompressed input. A window holds the records
// that begin in it. Counters are output between windows.
const windowSize = 4 << 20

// shortWindowSize is the window of an input that is merged with two or more others: each of up to
// maxActive inputs holds one.
const shortWindowSize = 64 << 10

// maxFrames is the most frames that a stream adds to a batch.
const maxFrames = 4096

// recordBatch holds the records that one walk found.
type recordBatch struct {
	frames      []frame.Frame
	skipped     [Classes]uint64
	count       uint64 // frames, skipped ones included
	bytes       uint64
	badTimes    uint64
	first, last int64
	end         bool // of the window
	prefilter   Prefilter
	from        uint16
	more        [][]frame.Frame // frames of further lanes
	short       bool            // windows are short
}

// clear empties the batch and keeps its memory.
func (c *recordBatch) clear() {
	*c = recordBatch{frames: c.frames[:0], prefilter: c.prefilter, from: c.from, more: c.more[:0],
		short: c.short}
}

// windowSize is the size of this input's windows in bytes.
func (c *recordBatch) windowSize() int64 {
	if c.short {
		return shortWindowSize
	}
	return windowSize
}

// add appends a frame whose record has this time, or counts it as skipped. If the prefilter panics,
// the batch is unchanged.
func (c *recordBatch) add(data []byte, time int64, wire int, link frame.LinkType) {
	time = frame.ReadTime(time)
	var class uint8
	var skip bool
	if c.prefilter != nil {
		class, skip = c.prefilter(link, data, wire)
	}
	if c.count == 0 || time < c.first {
		c.first = time
	}
	c.last = max(c.last, time)
	c.count++
	c.bytes += uint64(len(data))
	if skip {
		c.skipped[class%Classes]++
		return
	}
	// The frame is filled in where it stays: a frame made elsewhere would be copied, and the copy
	// would wait for its memory.
	c.frames = append(c.frames, frame.Frame{})
	f := &c.frames[len(c.frames)-1]
	f.Data, f.Time, f.Len, f.Link, f.From = data, time, wire, link, c.from
}

// latest is the highest time of the frames that were not skipped.
func (c *recordBatch) latest() (t int64) {
	for i := range c.frames {
		t = max(t, c.frames[i].Time)
	}
	for _, part := range c.more {
		for i := range part {
			t = max(t, part[i].Time)
		}
	}
	return t
}
