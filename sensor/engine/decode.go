package engine

import (
	"spamsensor/sensor/frame"
	"spamsensor/sensor/track"
	"spamsensor/sensor/wire"
)

// decodeBatch holds the packets of frames that were decoded one after the other, by shard. Several
// batches can be decoded side by side: a batch writes to nothing but its own memory.
type decodeBatch struct {
	e          *Engine
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
	b.times, b.bytes = b.times[:0], b.bytes[:0]
	b.decoded, b.needsOrder = 0, false
	b.syns, b.wrongSYNs = b.syns[:0], 0
	b.outcome = [wire.Outcomes]uint64{}
	b.side.Clear()
	for i := range b.queues {
		b.queues[i] = b.queues[i][:0]
	}
}

// decode decodes frames. o holds the state that needs packets in their order: the opener of each
// connection between two mail ports, and fragments. Without o decoding stops at the first packet
// that needs this state, and needsOrder is set. A frame that panics is counted, and the next one is
// decoded.
func (b *decodeBatch) decode(frames []frame.Frame, o *orderedDecode) {
	b.decoder.SetFragments(nil)
	if o != nil {
		b.decoder.SetFragments(&o.fragments)
	}
	for len(frames) > 0 && !b.needsOrder { // each time but the last drops a frame
		frames = frames[b.decodeRest(frames, o):]
	}
}

// decodeRest decodes frames up to one that panics or needs order, and returns their number, with
// the one that panicked.
func (b *decodeBatch) decodeRest(frames []frame.Frame, o *orderedDecode) (n int) {
	before := b.decoded
	defer func() {
		if r := recover(); r != nil {
			b.e.recordPanic(describe(r))
			b.outcome[wire.Panicked]++
			b.decoded++
		}
		n = b.decoded - before
	}()
	for i := range frames {
		if !b.decodeFrame(&frames[i], o) {
			b.needsOrder = true
			break
		}
	}
	return 0
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
				return false
			}
			toServer = o.toServer(w)
		}
		b.enqueue(w, f, toServer)
	} else if outcome == wire.TCPFragment && o == nil {
		return false
	} else if outcome == wire.DNSMessage || outcome == wire.DNSSegment {
		b.enqueueDNS(w, f)
	}
	b.outcome[outcome]++
	b.decoded++
	return true
}
