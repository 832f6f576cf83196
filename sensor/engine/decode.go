package engine

import (
	"runtime/debug"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/track"
	"spamsensor/sensor/wire"
)

// decodeBatch is a row of frames that are decoded one after the other, and the packets that they
// held, by shard. Several batches can be decoded side by side: a batch writes to nothing but its
// own memory.
type decodeBatch struct {
	e          *Engine
	frames     [][]frame.Frame
	decoded    int // frames so far
	decoder    wire.Decoder
	packet     wire.Packet   // scratch of decodeFrame
	queues     [][]track.Row // the packets, one queue for each shard
	side       track.Side    // what the rows of the queues refer to
	bytes      []byte        // the payloads of the packets
	times      []int64       // the times of the packets, ns since 1970
	base       uint64        // the number of packets before the first of this batch
	outcome    [wire.Outcomes]uint64
	needsOrder bool // decoding stopped at a packet whose meaning depends on packets before it
	// SYNs whose checksum was verified
	syns      []checkedSYN
	wrongSYNs int // how many of syns are not right
}

// newDecodeBatch makes an empty batch.
func newDecodeBatch(e *Engine) decodeBatch {
	b := decodeBatch{e: e, queues: make([][]track.Row, len(e.shards))}
	b.side.Secret = &e.table.Secret
	// Each batch has a decoder of its own, because decoding has scratch memory.
	b.decoder.SetPorts(e.cfg.Ports)
	return b
}

// clear empties the batch and keeps its memory.
func (b *decodeBatch) clear() {
	b.frames, b.times, b.bytes = b.frames[:0], b.times[:0], b.bytes[:0]
	b.decoded, b.needsOrder = 0, false
	b.syns, b.wrongSYNs = b.syns[:0], 0
	b.outcome = [wire.Outcomes]uint64{}
	b.side.Clear()
	for i := range b.queues {
		b.queues[i] = b.queues[i][:0]
	}
}

// decode decodes the batch's frames. o holds the state that needs packets in their order: the
// opener of each connection between two mail ports, and fragments. Without o decoding stops at the
// first packet that needs this state, and needsOrder is set.
//
// Frames of a file are borrowed from a mapping. If the file is truncated meanwhile, reading them
// faults; the frames from there on are counted as vanished. A frame that panics is counted, and the
// next one is decoded.
func (b *decodeBatch) decode(o *orderedDecode) {
	for !b.decodeRest(o) { // each call but the last drops a frame
	}
}

// decodeRest decodes the frames that are not decoded yet. It reports false if some are left.
func (b *decodeBatch) decodeRest(o *orderedDecode) (over bool) {
	// A fault in the mapped file becomes a panic that can be recovered. The setting holds for this
	// goroutine until the function returns.
	b.decoder.SetFragments(nil)
	if o != nil {
		b.decoder.SetFragments(&o.fragments)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		switch {
		case r == nil:
		// The rest of the file is gone: every frame that is not decoded yet counts as vanished.
		case isFault(r):
			for _, list := range b.frames {
				b.outcome[wire.Vanished] += uint64(len(list))
			}
			b.outcome[wire.Vanished] -= uint64(b.decoded)
			over = true
		default:
			b.e.recordPanic(describe(r))
			b.outcome[wire.Panicked]++
			b.decoded++
		}
	}()
	// After a panic decoding goes on behind the frame that caused it.
	skip := b.decoded
	for _, list := range b.frames {
		n := min(skip, len(list))
		skip -= n
		list = list[n:]
		for i := range list {
			if !b.decodeFrame(&list[i], o) {
				return true
			}
		}
	}
	return true
}

// decodeFrame decodes one frame, counts its outcome, and enqueues its packet. It reports false if
// the frame needs order.
func (b *decodeBatch) decodeFrame(f *frame.Frame, o *orderedDecode) bool {
	// A negative time is a large unsigned number.
	if uint64(f.Time) >= endOfTime {
		b.outcome[wire.BadTime]++
		b.decoded++
		return true
	}
	w := &b.packet
	if o != nil {
		o.fragments.Now = f.Time
	}
	outcome := b.decoder.Decode(f.Link, f.Data, f.Len, w)
	if outcome <= wire.MailError {
		// Outcomes up to MailError are packets of mail connections: TCP segments, and ICMP errors
		// that quote one.
		toServer := b.decoder.IsMailPort(w.DstPort)
		// Both ports are mail ports: only the SYN shows which end is the client.
		if toServer && w.Kind == wire.TCP && b.decoder.IsMailPort(w.SrcPort) {
			if o == nil {
				b.needsOrder = true
				return false
			}
			toServer = o.toServer(w)
		}
		b.enqueue(w, f, toServer)
	} else if outcome == wire.TCPFragment && o == nil {
		b.needsOrder = true
		return false
	} else if outcome == wire.DNSMessage || outcome == wire.DNSSegment {
		b.enqueueDNS(w, f)
	}
	b.outcome[outcome]++
	b.decoded++
	return true
}
