package track

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"spamsensor/flowtable"
	"spamsensor/sensor/wire"
	"spamsensor/smtpsniff"
)

// kindNames are the names of the kinds in their order.
var kindNames = [...]string{"NewSource", "CachedSYN", "CachedOutcome", "FirstSYN", "Attempt",
	"SYNRetransmit", "SYNACK", "AttemptFailed", "FlowBegan", "ServerAnswered", "Conflict",
	"FlowReset", "Established", "BothSides", "Said", "ConnectionOver", "ConnectionRevived",
	"SessionEnded", "SessionDropped"}

// rig is a tracker with one shard that writes down its events.
type rig struct {
	tracker Tracker[int]
	table   *Table[int]
	sides   Sides
	now     int64
	events  []string
	quiet   bool // events are not written down
	slow    bool // Next takes no row

	side      Side
	rowInHand Row
	found     Found
	wire      wire.Packet
}

const home = "10.0.0.5"

func newRig() *rig {
	r := &rig{now: 1000 * second}
	sizes := flowtable.Config{Flows: 64, Attempts: 64, SYNs: 64, Sources: 64, Shards: 1}
	r.table = flowtable.New(sizes,
		flowtable.Callbacks[Flow, int, SYNDetails]{
			FlowKeepPriority:   (*Flow).KeepPriority,
			SourceKeepPriority: func(*int) int64 { return 0 },
			FlowEvicted: func(_ int, x flowtable.Ref, k *flowtable.Key, f *Flow) {
				r.tracker.FlowEvicted(x, k, f)
			},
			AttemptExpired: func(_ int, a *flowtable.Attempt) { r.tracker.AttemptExpired(a) },
			SYNEvicted:     func(_ int, n *SYNEntry) { r.tracker.SYNEvicted(n) },
		})
	r.tracker.Init(Config[int]{
		Table: r.table.Shard(0), Secret: &r.table.Secret, Sides: &r.sides,
		MaxSessions: 16, MaxSessionBytes: 1 << 20, MaxHeldBytes: 1 << 20,
		External: func(k *flowtable.Key) bool {
			return k.Client != netip.MustParseAddr(home).As16()
		},
		Observe: r.observe,
		Fault:   func(reason any) { panic(reason) },
	})
	return r
}

func (r *rig) observe(ev *Event) {
	if r.quiet {
		return
	}
	name := kindNames[ev.Kind]
	switch ev.Kind {
	case Said:
		for _, x := range ev.SMTP {
			if x.Kind == smtpsniff.HeloCommand {
				name += " " + string(x.Text)
			}
		}
	case SessionEnded:
		if name += fmt.Sprintf(" %v", ev.Flow.Conn.State()); ev.Reason != "" {
			name += " " + ev.Reason
		}
	}
	r.events = append(r.events, name)
}

// side is one end of a connection.
type side struct {
	r        *rig
	key      flowtable.Key
	seq, ack uint32
	toServer bool
	links    [2]uint16 // Packet.ClientLink and PeerLink
}

// pair is a client and a server. The server's first sequence number is 9000.
func (r *rig) pair(client string, port uint16, isn uint32) (c, s *side) {
	a, b := netip.MustParseAddr(client).As16(), netip.MustParseAddr("192.0.2.25").As16()
	c = &side{r: r, seq: isn, toServer: true}
	c.key.Set((*wire.Addr)(&a), (*wire.Addr)(&b), port, 25, flowtable.NewScope(false, 0))
	s = &side{r: r, key: c.key, seq: 9000}
	return c, s
}

// send sends a segment, 10 ms after the one before.
func (x *side) send(to *side, flags wire.Flags, text string) {
	x.r.now += 10e6
	x.r.handle(x.packet(flags, text), []byte(text))
	x.seq += uint32(len(text))
	if flags&(wire.SYN|wire.FIN) != 0 {
		x.seq++
	}
	to.ack = x.seq
}

func (x *side) packet(flags wire.Flags, text string) *Packet {
	h := x.key.ClientKey()
	hash := x.r.table.Secret.HashHost(&h)
	return &Packet{Key: x.key, ClientHash: hash, FlowHash: x.r.table.Secret.HashFlow(hash, &x.key),
		Time: x.r.now, Seq: x.seq, Ack: x.ack, Len: uint32(len(text)), Kind: wire.TCP, Flags: flags,
		TTL: 64, ToServer: x.toServer, ClientLink: x.links[0], PeerLink: x.links[1]}
}

// handle hands a packet to the tracker, as the engine does.
func (r *rig) handle(p *Packet, payload []byte) {
	row, x := r.row(p, payload)
	if !r.slow && r.tracker.Next(row, payload, x) {
		return
	}
	if p.IsSYN() {
		r.tracker.SYN(p, payload)
	} else {
		r.tracker.Segment(p, payload, x)
	}
}

// row makes the row of a packet, whose link-layer addresses are hashes alone, and looks for its
// flow.
func (r *rig) row(p *Packet, payload []byte) (*Row, *Found) {
	w := &r.wire
	*w = wire.Packet{Src: p.Key.Client, Dst: p.Key.Server, SrcPort: p.Key.ClientPort,
		DstPort: p.Key.ServerPort, Kind: p.Kind, Flags: p.Flags, Seq: p.Seq, Ack: p.Ack, Sum: p.Sum,
		Len: p.Len, Payload: payload, TTL: p.TTL, Checksum: p.Checksum, Stamp: p.Stamp,
		Stamped: p.Stamped, Signed: p.Signed, Urgent: p.Urgent}
	if !p.ToServer {
		w.Src, w.Dst, w.SrcPort, w.DstPort = w.Dst, w.Src, w.DstPort, w.SrcPort
	}
	row, x := &r.rowInHand, &r.found
	row.ClientHash, row.Time, *x = p.ClientHash, p.Time, Found{FlowHash: p.FlowHash}
	r.side.Secret = &r.table.Secret
	r.side.Clear()
	r.side.Fill(row, w, p.Input, p.ToServer, p.Key.Scope)
	if row.from, row.to = p.ClientLink, p.PeerLink; !p.ToServer {
		row.from, row.to = row.to, row.from
	}
	r.tracker.Find(row, x)
	return row, x
}

func (r *rig) open(c, s *side) {
	c.send(s, wire.SYN, "")
	s.send(c, wire.SYN|wire.ACK, "")
	c.send(s, wire.ACK, "")
}

func (r *rig) tick(after int64) {
	r.now += after
	r.tracker.Tick(r.now, false)
}

// TestEvents: what happens to a connection, and the events in their order.
func TestEvents(t *testing.T) {
	for name, c := range map[string]struct {
		client string
		play   func(r *rig, c, s *side)
		want   string
	}{
		"a session": {home, func(r *rig, c, s *side) {
			r.open(c, s)
			s.send(c, wire.ACK, "220 mx ESMTP\r\n")
			c.send(s, wire.ACK, "EHLO pc\r\n")
			s.send(c, wire.ACK, "250 mx\r\n")
			c.send(s, wire.FIN|wire.ACK, "")
			s.send(c, wire.FIN|wire.ACK, "")
			c.send(s, wire.ACK, "")
		}, "NewSource FirstSYN Attempt FlowBegan SYNACK ServerAnswered Established Said " +
			"Said pc Said ConnectionOver SessionEnded closed"},
		"a retransmitted SYN": {home, func(r *rig, c, s *side) {
			c.send(s, wire.SYN, "")
			c.seq--
			r.now += second
			c.send(s, wire.SYN, "")
		}, "NewSource FirstSYN Attempt SYNRetransmit"},
		"a duplicate frame": {home, func(r *rig, c, s *side) {
			c.send(s, wire.SYN, "")
			c.seq--
			r.now -= 10e6
			c.send(s, wire.SYN, "")
		}, "NewSource FirstSYN Attempt"},
		"a refused SYN": {home, func(r *rig, c, s *side) {
			c.send(s, wire.SYN, "")
			s.send(c, wire.RST|wire.ACK, "")
		}, "NewSource FirstSYN Attempt AttemptFailed"},
		"no answer": {home, func(r *rig, c, s *side) {
			c.send(s, wire.SYN, "")
			r.tick(AttemptTime + second)
		}, "NewSource FirstSYN Attempt ConnectionOver"},
		"a reset after the SYN-ACK": {home, func(r *rig, c, s *side) {
			c.send(s, wire.SYN, "")
			s.send(c, wire.SYN|wire.ACK, "")
			s.send(c, wire.RST, "")
			r.tick(lingerTime + second)
		}, "NewSource FirstSYN Attempt FlowBegan SYNACK ServerAnswered FlowReset " +
			"ConnectionOver SessionEnded reset timeout"},
		"the client's half of a session": {home, func(r *rig, c, s *side) {
			c.send(s, wire.SYN, "")
			c.ack = 9001
			c.send(s, wire.ACK, "")
			c.ack += 14
			c.send(s, wire.ACK, "EHLO pc\r\n")
			c.send(s, wire.FIN|wire.ACK, "")
			r.tick(lingerTime + second)
		}, "NewSource FirstSYN Attempt FlowBegan Established Said pc ConnectionOver " +
			"SessionEnded closing fin"},
		"the client's half, without its end": {home, func(r *rig, c, s *side) {
			c.send(s, wire.SYN, "")
			c.ack = 9001
			c.send(s, wire.ACK, "")
			c.ack += 14
			c.send(s, wire.ACK, "EHLO pc\r\n")
			r.tick(idleOneSide - second)
			r.events = append(r.events, "|")
			r.tick(2 * second)
		}, "NewSource FirstSYN Attempt FlowBegan Established Said pc | SessionEnded established " +
			"timeout ConnectionOver"},
		"the server's half of a session": {home, func(r *rig, c, s *side) {
			s.ack = 101
			s.send(c, wire.SYN|wire.ACK, "")
			s.send(c, wire.ACK, "220 mx ESMTP\r\n")
			s.send(c, wire.FIN|wire.ACK, "")
			r.tick(lingerTime + second)
		}, "FlowBegan ServerAnswered NewSource Attempt Established Said ConnectionOver " +
			"SessionEnded closing fin"},
		"one FIN where both sides are seen": {home, func(r *rig, c, s *side) {
			r.open(c, s)
			s.send(c, wire.ACK, "220 mx ESMTP\r\n")
			c.send(s, wire.FIN|wire.ACK, "")
			r.tick(lingerTime + second)
		}, "NewSource FirstSYN Attempt FlowBegan SYNACK ServerAnswered Established Said"},
		"the other side is seen after the end": {home, func(r *rig, c, s *side) {
			s.ack = 101
			s.send(c, wire.SYN|wire.ACK, "")
			s.send(c, wire.ACK, "220 mx ESMTP\r\n")
			s.send(c, wire.FIN|wire.ACK, "")
			c.seq++
			c.send(s, wire.ACK, "EHLO pc\r\n")
			r.tick(lingerTime + second)
		}, "FlowBegan ServerAnswered NewSource Attempt Established Said ConnectionOver " +
			"BothSides Said pc ConnectionRevived"},
		"one number for all segments": {home, func(r *rig, c, s *side) {
			c.seq, s.seq = 500, 500
			constant := func(x *side, flags wire.Flags, text string) {
				x.seq, x.ack = 500, 500
				x.send(&side{}, flags, text)
			}
			constant(c, wire.SYN, "")
			constant(s, wire.SYN|wire.ACK, "")
			constant(c, wire.ACK, "")
			constant(c, wire.ACK, "EHLO pc\r\n")
			constant(s, wire.ACK, "250 mx\r\n")
		}, "NewSource FirstSYN Attempt FlowBegan SYNACK ServerAnswered Established Said pc Said"},
		"an external SYN": {"203.0.113.9", func(r *rig, c, s *side) {
			c.send(s, wire.SYN, "")
		}, "CachedSYN"},
		"an external SYN that is answered": {"203.0.113.9", func(r *rig, c, s *side) {
			c.send(s, wire.SYN, "")
			s.send(c, wire.SYN|wire.ACK, "")
		}, "CachedSYN NewSource Attempt FlowBegan SYNACK ServerAnswered"},
		"a connection that began before the capture": {home, func(r *rig, c, s *side) {
			s.send(c, wire.ACK, "220 mx ESMTP\r\n")
		}, "FlowBegan ServerAnswered Said"},
		"the ports are used again after the end": {home, func(r *rig, c, s *side) {
			r.open(c, s)
			r.tick(idleOpen + second)
			r.events = nil
			again, answer := r.pair(home, 40000, 777)
			r.open(again, answer)
		}, "FirstSYN Attempt FlowBegan SYNACK ServerAnswered Established"},
		"the ports are used again at once": {home, func(r *rig, c, s *side) {
			r.open(c, s)
			r.events = nil
			again, answer := r.pair(home, 40000, 777)
			r.open(again, answer)
			r.tracker.CloseAll("shutdown")
		}, "FirstSYN Attempt FlowBegan SYNACK ServerAnswered Established SessionEnded " +
			"established shutdown ConnectionOver SessionEnded established shutdown " +
			"ConnectionOver"},
	} {
		r := newRig()
		client, server := r.pair(c.client, 40000, 100)
		c.play(r, client, server)
		if got := strings.Join(r.events, " "); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

// TestFlood: single SYNs of external hosts make no sources until the table has room for them, and
// none of them is forgotten without being counted.
func TestFlood(t *testing.T) {
	r := newRig()
	const n = 1000
	for i := range n {
		c, s := r.pair(fmt.Sprintf("203.0.%d.%d", i/250, 1+i%250), 40000, uint32(i))
		c.send(s, wire.SYN, "")
	}
	shard := r.table.Shard(0)
	if got := shard.SYNs.Len() + shard.Sources.Len() + int(r.tracker.Count.SYNsEvicted); got != n {
		t.Errorf("%d of %d SYNs are known or counted", got, n)
	}
	if r.tracker.Count.Attempts != n || shard.Sources.Len() != shard.Sources.Cap()/2 {
		t.Errorf("%d attempts, %d sources", r.tracker.Count.Attempts, shard.Sources.Len())
	}
}

// TestEvictedSession: the flow whose session makes room is closed before the packet in hand goes
// on, so its events come first.
func TestEvictedSession(t *testing.T) {
	r := newRig()
	for i := range 17 { // one more than there may be
		c, s := r.pair(home, uint16(40000+i), uint32(100*i))
		r.open(c, s)
		r.events = nil
		s.send(c, wire.ACK, "220 mx ESMTP\r\n")
	}
	want := []string{"SessionEnded established evicted", "ConnectionOver", "Said"}
	if !slices.Equal(r.events, want) {
		t.Errorf("events %q, want %q", r.events, want)
	}
	if r.tracker.Count.SessionsEvicted != 1 || r.tracker.Sessions() != 16 {
		t.Errorf("%d evicted, %d left", r.tracker.Count.SessionsEvicted, r.tracker.Sessions())
	}
}

// TestSizes: the memory limit divides by these sizes, so a change of one changes how many entries
// there are, and with them what is evicted.
func TestSizes(t *testing.T) {
	if n := unsafe.Sizeof(Flow{}); n != 224 {
		t.Errorf("a flow takes %d bytes, want 224", n)
	}
	if n := unsafe.Sizeof(Packet{}); n != 112 {
		t.Errorf("a packet takes %d bytes, want 112", n)
	}
	if n := unsafe.Sizeof(SYNDetails{}); n != 16 {
		t.Errorf("what the SYN cache keeps takes %d bytes, want 16", n)
	}
}

// TestNoAllocations: neither SYNs nor the segments of a dialogue allocate.
func TestNoAllocations(t *testing.T) {
	r := newRig()
	r.quiet = true
	c, s := r.pair(home, 40000, 100)
	r.open(c, s)
	s.send(c, wire.ACK, "220 mx ESMTP\r\n")
	c.send(s, wire.ACK, "EHLO pc\r\n")
	s.send(c, wire.ACK, "250 mx\r\n")
	line := []byte("NOOP\r\n")
	reply := []byte("250 ok\r\n")
	command, answer := c.packet(wire.ACK, string(line)), s.packet(wire.ACK, string(reply))
	syn, _ := r.pair("203.0.113.9", 40000, 1)
	first := syn.packet(wire.SYN, "")
	if n := testing.AllocsPerRun(100, func() {
		r.now += 10e6
		command.Time, answer.Time, first.Time = r.now, r.now+1e6, r.now+2e6
		r.handle(command, line)
		command.Seq += uint32(len(line))
		answer.Ack = command.Seq
		r.handle(answer, reply)
		answer.Seq += uint32(len(reply))
		command.Ack = answer.Seq
		first.Key.Client[14]++
		h := first.Key.ClientKey()
		first.ClientHash = r.table.Secret.HashHost(&h)
		first.FlowHash = r.table.Secret.HashFlow(first.ClientHash, &first.Key)
		r.handle(first, nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if r.tracker.Count.Streamed < 1400 {
		t.Errorf("only %d bytes were heard: this tests nothing", r.tracker.Count.Streamed)
	}
}
