package engine

import (
	"sync/atomic"

	"spamsensor/flowtable"
	"spamsensor/sensor/wire"
)

// Worker takes in the frames of one goroutine.
type Worker struct {
	e       *Engine
	decoder wire.Decoder
	orient  orient
	packet  wire.Packet // the one in hand
	queues  []queue     // one for each shard
	queued  int         // packets in all of them
	bytes   int         // payload bytes in all of them
	seq     uint64      // packets that were ours so far
	outcome [wire.Outcomes]atomic.Uint64
	frames  [wire.Outcomes]uint64 // since the last flush
	lo      int64                 // times from here for span nanoseconds need no thought
	span    uint64
	first   int64 // time of the first frame
	last    int64 // latest time of any frame
}

// queue holds the packets of a shard, one behind the other.
type queue struct {
	packets []packet
	bytes   []byte // their payloads
}

// packet is what the shards need of a wire.Packet; its payload is a copy.
type packet struct {
	key    flowtable.Key
	flow   uint64 // hash of key
	order  uint64 // among all packets
	time   int64
	seq    uint32
	ack    uint32
	sum    uint32
	length uint32 // of the payload on the wire
	at, n  uint32 // of the captured part in queue.bytes
	vlan   [2]uint16
	from   uint16
	mac    [6]byte
	flags  wire.Flags
	kind   wire.Kind
	tags   uint8
	// toServer says that the client sent it.
	toServer bool
}

// tickMark is the kind of an entry that is no packet: time has come to packet.time.
const tickMark wire.Kind = 255

// Queues are flushed when they hold this much. The more packets there are of a flow in
// one queue, the fewer times its state is fetched from memory.
const (
	maxQueued = 64 << 10
	maxBytes  = 8 << 20
)

// Worker makes a worker. All must be made before the first frame.
func (e *Engine) Worker() *Worker {
	w := &Worker{e: e, queues: make([]queue, len(e.shards))}
	w.decoder.SetPorts(e.cfg.Ports)
	e.workers = append(e.workers, w)
	return w
}

// Frame takes in a frame. data is borrowed for the call.
func (w *Worker) Frame(link uint16, data []byte, wireLen int, time int64, from uint16) {
	if w.first == 0 {
		w.first = time
	}
	w.last = max(w.last, time)
	p := &w.packet
	o := w.decoder.Decode(wire.LinkType(link), data, wireLen, p)
	w.frames[o]++
	if o > wire.MailError {
		return
	}
	w.seq++
	if uint64(time-w.lo) >= w.span {
		w.advance(time)
	}
	toServer := w.decoder.IsMailPort(p.DstPort)
	if toServer && p.Kind == wire.TCP && w.decoder.IsMailPort(p.SrcPort) {
		toServer = w.orient.toServer(p)
	}
	w.enqueue(p, time, from, toServer)
	if w.queued >= maxQueued || w.bytes >= maxBytes {
		w.Flush()
	}
}

// enqueue copies the packet in hand to the queue of its client's shard.
func (w *Worker) enqueue(p *wire.Packet, time int64, from uint16, toServer bool) {
	k := flowtable.Key{Client: p.Src, Server: p.Dst, ClientPort: p.SrcPort, ServerPort: p.DstPort, Scope: w.scope(p)}
	if !toServer {
		k.Client, k.Server, k.ClientPort, k.ServerPort = k.Server, k.Client, k.ServerPort, k.ClientPort
	}
	t := w.e.table
	host := k.Host()
	hash := t.Secret.Host(&host)
	q := &w.queues[t.ShardOf(hash)]
	q.packets = append(q.packets, packet{
		key: k, flow: t.Secret.Flow(hash, &k), order: w.seq, time: time,
		seq: p.Seq, ack: p.Ack, sum: p.Sum, length: p.Len, at: uint32(len(q.bytes)), n: uint32(len(p.Payload)),
		vlan: [2]uint16(p.VLAN[:2]), from: from, mac: p.MAC, flags: p.Flags, kind: p.Kind, tags: min(p.Tags, 2), toServer: toServer,
	})
	q.bytes = append(q.bytes, p.Payload...)
	w.queued++
	w.bytes += len(p.Payload)
}

// scope sets overlapping address spaces apart, if the site has them.
func (w *Worker) scope(p *wire.Packet) flowtable.Scope {
	space := uint32(0)
	if w.e.cfg.SeparateVLANs {
		for _, v := range p.VLAN[:p.Tags] {
			space = space*0x9e3779b1 + uint32(v) + 1
		}
	}
	if w.e.cfg.SeparateTunnels {
		space = space*0x85ebca6b + p.Tunnel
	}
	return flowtable.NewScope(p.V6, space<<1)
}

// advance moves the clock to the time of a packet.
func (w *Worker) advance(time int64) {
	if now, ok := w.e.clock.see(time, w.seq); ok {
		w.tick(now)
	}
	w.lo, w.span = w.e.clock.window()
}

// tick enters a tick behind the packets that came before it. What concerns all shards
// together is done when they have come that far.
func (w *Worker) tick(now int64) {
	if w.e.due(now) {
		w.Flush()
		w.e.tell(now)
	}
	for i := range w.queues {
		q := &w.queues[i]
		q.packets = append(q.packets, packet{kind: tickMark, time: now, order: w.seq})
	}
	w.queued += len(w.queues)
}
