package capture

import "spamsensor/sensor/frame"

// format is a way of writing frames to a file: classic pcap or pcapng.
type format interface {
	// next gives more frames, up to the end of the stretch. Errors other than io.EOF are reasons
	// for a PartialError; nothing is given together with one.
	next(c *chunk) error
	offset() int64 // of the next record, in the (decompressed) input
}

// stretch is how much of an input is a unit for everything that is told between batches: a
// stretch holds the records that begin in it. It is counted on the decompressed input.
const stretch = 4 << 20

// shortStretch is that of inputs that are merged with more than two others: each holds one, and
// there may be maxActive.
const shortStretch = 64 << 10

// maxFrames is how many frames a stream gives at a time.
const maxFrames = 4096

// chunk is what was walked at a time.
type chunk struct {
	frames      []frame.Frame
	skipped     [Classes]uint64
	count       uint64 // frames, those left out included
	bytes       uint64
	badTimes    uint64
	first, last int64
	end         bool // of the stretch
	prefilter   Prefilter
	from        uint16
	more        [][]frame.Frame // frames of further lanes
	short       bool            // stretches are short
}

// clear begins anew, with the same memory.
func (c *chunk) clear() {
	*c = chunk{frames: c.frames[:0], prefilter: c.prefilter, from: c.from, more: c.more[:0], short: c.short}
}

// stretch is how long stretches of this input are, in bytes.
func (c *chunk) stretch() int64 {
	if c.short {
		return shortStretch
	}
	return stretch
}

// add takes in a frame, or counts that it was left out. If the prefilter panics nothing was done.
func (c *chunk) add(data []byte, time int64, wire int, link frame.LinkType) {
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
	c.frames = append(c.frames, frame.Frame{}) // filled in where it stays: one made elsewhere would wait to be copied
	f := &c.frames[len(c.frames)-1]
	f.Data, f.Time, f.Len, f.Link, f.From = data, time, wire, link, c.from
}

// latest is the highest time of the frames that were not left out.
func (c *chunk) latest() (t int64) {
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
