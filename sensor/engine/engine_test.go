package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/verdict"
	"spamsensor/sensor/wire"
	. "spamsensor/sensor/wire/wiretest"
)

// timedFrame is a frame with its time.
type timedFrame struct {
	at   int64
	data []byte
}

// conn writes the frames of a connection; each step takes a millisecond.
type conn struct {
	client, server string
	cport, sport   uint16
	at             int64
	seq            [2]uint32 // next sequence numbers of client and server
	tags           [2][]Layer
	frames         []timedFrame
	id             uint16
}

const epoch = int64(1.7e18)

func newConn(client, server string, cport, sport uint16) *conn {
	return &conn{client: client, server: server, cport: cport, sport: sport, at: epoch, seq: [2]uint32{1000, 5000}}
}

// send writes a segment of the client (0) or the server (1) and advances its sequence number.
func (c *conn) send(dir int, flags uint8, text string) *conn {
	ip := IP{Src: c.client, Dst: c.server, ID: c.id}
	tcp := TCP{SrcPort: c.cport, DstPort: c.sport, Flags: flags, Seq: c.seq[dir], Ack: c.seq[1-dir]}
	if dir == 1 {
		ip.Src, ip.Dst, tcp.SrcPort, tcp.DstPort = ip.Dst, ip.Src, tcp.DstPort, tcp.SrcPort
	}
	if flags&ACK == 0 {
		tcp.Ack = 0
	}
	layers := append([]Layer{Ethernet{Src: [6]byte{2, 0, 0, 0, 0, byte(dir + 1)}}}, c.tags[dir]...)
	c.frames = append(c.frames, timedFrame{c.at, Frame(append(layers, ip, tcp, Text(text))...)})
	c.seq[dir] += uint32(len(text))
	if flags&(SYN|FIN) != 0 {
		c.seq[dir]++
	}
	c.at += 1e6
	c.id++
	return c
}

func (c *conn) syn() *conn                    { return c.send(0, SYN, "") }
func (c *conn) open() *conn                   { return c.syn().send(1, SYN|ACK, "").send(0, ACK, "") }
func (c *conn) reset() *conn                  { return c.syn().send(1, RST|ACK, "") }
func (c *conn) clientSends(text string) *conn { return c.send(0, ACK|PSH, text) }
func (c *conn) serverSends(text string) *conn { return c.send(1, ACK|PSH, text) }
func (c *conn) close() *conn                  { return c.send(0, FIN|ACK, "").send(1, FIN|ACK, "").send(0, ACK, "") }
func (c *conn) wait(ns int64) *conn           { c.at += ns; return c }

// mail is a whole dialogue with one message.
func (c *conn) mail() *conn {
	return c.serverSends("220 mx\r\n").clientSends("EHLO a.example.org\r\n").serverSends("250 mx\r\n").clientSends("MAIL FROM:<a@example.org>\r\n").serverSends("250 ok\r\n").
		clientSends("RCPT TO:<b@example.net>\r\n").serverSends("250 ok\r\n").clientSends("DATA\r\n").serverSends("354 go\r\n").clientSends("hello\r\n.\r\n").serverSends("250 taken\r\n").
		clientSends("QUIT\r\n").serverSends("221 bye\r\n")
}

// TestEvictedSessionsAreCountedOnce checks that sessions that were evicted between the greeting and
// EHLO continue, and count once.
func TestEvictedSessionsAreCountedOnce(t *testing.T) {
	const n = 5000
	var begun, rest [][]timedFrame
	for i := range n {
		c := newConn(fmt.Sprintf("10.0.%d.%d", i/250, 1+i%250), "192.0.2.25", 40000, 25).open().serverSends("220 mx\r\n")
		shift := int64(i) * 1e6
		begun = append(begun, at(c.frames, shift))
		c.frames, c.at = nil, epoch+20*second
		c.clientSends("EHLO a.example.org\r\n").serverSends("250 mx\r\n").clientSends("MAIL FROM:<a@example.org>\r\n").serverSends("250 ok\r\n").close()
		rest = append(rest, at(c.frames, shift))
	}
	r := analyse(Config{Limits: Limits{Sessions: 100}}, together(append(begun, rest...)...))
	if r.stats.Sessions != n || r.stats.Attempts != n {
		t.Errorf("%d sessions and %d attempts of %d", r.stats.Sessions, r.stats.Attempts, n)
	}
	early, evicted := 0, 0
	for _, s := range r.sessions {
		if slices.Contains(s.Flags, "early_talker") {
			early++
		}
		if s.Reason == "evicted" {
			evicted++
		}
	}
	if early > 0 || evicted < n/2 {
		t.Errorf("%d early talkers, %d sessions evicted", early, evicted)
	}
}

func delivery() *conn { return newConn("10.0.0.5", "192.0.2.25", 40000, 25).open().mail().close() }

// feeder passes frames to a worker, a few at a time.
type feeder struct {
	w    *Worker
	size int
	list []frame.Frame
	none [wire.Outcomes]uint64
}

func (f *feeder) take(x timedFrame) {
	if f.list = append(f.list, frame.Frame{Data: x.data, Time: x.at, Link: 1}); len(f.list) == f.size {
		f.flush()
	}
}

func (f *feeder) flush() {
	first, last := f.list[0].Time, f.list[0].Time
	for i := range f.list {
		first, last = min(first, f.list[i].Time), max(last, f.list[i].Time)
	}
	f.w.Skip(f.none[:], first, last)
	f.w.Take(f.list)
	f.w.EmitDue()
	f.list = f.list[:0]
}

// results are the events of an engine.
type results struct {
	sessions []finding.Session
	sources  map[string]finding.SourceRecord
	findings []finding.Finding
	stats    Stats
}

func analyse(cfg Config, frames []timedFrame) *results { return analyseRows(cfg, frames, 1) }

// analyseRows passes so many frames at a time.
func analyseRows(cfg Config, frames []timedFrame, row int) *results {
	r := &results{sources: map[string]finding.SourceRecord{}}
	cfg.AllSessions = true
	cfg.Limits = Limits{Attempts: 4096, Flows: 4096, Sources: 4096, Sessions: 1024, Hosts: 1024}
	e := New(cfg, Output{
		Session: func(s *finding.Session) uint64 { r.sessions = append(r.sessions, *s); return uint64(len(r.sessions)) },
		Source:  func(s *finding.SourceRecord) { r.sources[s.Addr.String()] = *s },
		Finding: func(f *finding.Finding) { r.findings = append(r.findings, *f) },
	})
	w := feeder{w: e.Worker(), size: row}
	for _, f := range frames {
		w.take(f)
	}
	if len(w.list) > 0 {
		w.flush()
	}
	e.Finish("end_of_input")
	r.stats = e.Stats()
	return r
}

// brief is a source's counts in one line.
func (r *results) brief(addr string) string {
	s, ok := r.sources[addr]
	if !ok {
		return "none"
	}
	f := s.Counters
	return fmt.Sprintf("attempts %d retransmits %d sessions %d refused %d unreachable %d silent %d messages %d", f.Attempts, f.Retransmits, f.Sessions, f.Refused, f.Unreachable, s.Silent, f.Messages)
}

// doubled delivers each frame twice, the second time a moment later.
func doubled(frames []timedFrame) (out []timedFrame) {
	for _, f := range frames {
		out = append(out, f, timedFrame{f.at + 1e5, f.data})
	}
	return out
}

// swapped delivers each pair of frames in reverse order, from the first or the second frame on.
func swapped(frames []timedFrame, from int) []timedFrame {
	out := slices.Clone(frames)
	for i := from; i+1 < len(out); i += 2 {
		out[i].data, out[i+1].data = out[i+1].data, out[i].data
	}
	return out
}

// only keeps the frames of one direction.
func only(frames []timedFrame, dir byte) (out []timedFrame) {
	for _, f := range frames {
		if f.data[11] == dir+1 {
			out = append(out, f)
		}
	}
	return out
}

func shuffled(seed uint64, frames []timedFrame) []timedFrame {
	out := slices.Clone(frames)
	rng := rand.New(rand.NewPCG(seed, seed))
	for i := 0; i+3 <= len(out); i += 3 {
		rng.Shuffle(3, func(a, b int) { out[i+a].data, out[i+b].data = out[i+b].data, out[i+a].data })
	}
	return out
}

func TestConnections(t *testing.T) {
	const whole = "attempts 1 retransmits 0 sessions 1 refused 0 unreachable 0 silent 0 messages 1"
	quoted := func(c *conn) Bytes {
		return Bytes(Frame(IP{Src: c.client, Dst: c.server}, TCP{SrcPort: c.cport, DstPort: c.sport, Seq: 1000, Flags: SYN}))
	}
	refusedConn := newConn("10.0.0.5", "192.0.2.25", 40000, 25).syn().send(1, RST|ACK, "")
	icmpConn := newConn("10.0.0.5", "192.0.2.25", 40000, 25).syn()
	icmpConn.frames = append(icmpConn.frames, timedFrame{icmpConn.at, Frame(Ethernet{}, IP{Src: "10.0.0.1", Dst: "10.0.0.5"}, ICMP{Type: 3, Code: 13}, quoted(icmpConn))})
	retried := newConn("10.0.0.5", "192.0.2.25", 40000, 25)
	for i := range 6 {
		retried.seq[0] = 1000
		retried.syn().wait(second << i)
	}
	reused := delivery()
	reused.seq = [2]uint32{90000, 80000}
	reused.wait(second / 2).open().mail().close()
	afterReset := newConn("10.0.0.5", "192.0.2.25", 40000, 25).open().serverSends("220 mx\r\n").send(0, RST|ACK, "")
	afterReset.seq = [2]uint32{90000, 80000}
	afterReset.wait(second / 2).open().mail().close()
	otherISN := newConn("10.0.0.5", "192.0.2.25", 40000, 25).syn()
	otherISN.seq[0] = 77
	otherISN.open().mail().close()
	fastOpen := newConn("10.0.0.5", "192.0.2.25", 40000, 25).send(0, SYN, "EHLO a.example.org\r\n").send(1, SYN|ACK, "").send(0, ACK, "").
		serverSends("220 mx\r\n").serverSends("250 mx\r\n").clientSends("MAIL FROM:<a@example.org>\r\n").serverSends("250 ok\r\n").clientSends("RCPT TO:<b@example.net>\r\n").serverSends("250 ok\r\n").
		clientSends("DATA\r\n").serverSends("354 go\r\n").clientSends("x\r\n.\r\n").serverSends("250 taken\r\n").close()
	notTaken := newConn("10.0.0.5", "192.0.2.25", 40000, 25).send(0, SYN, "EHLO a.example.org\r\n")
	notTaken.seq[0] = 1001
	notTaken.send(1, SYN|ACK, "").send(0, ACK, "").mail().close()
	decoy := newConn("10.0.0.5", "192.0.2.25", 40000, 25).send(0, SYN, strings.Repeat("NOOP\r\n", 200))
	decoy.seq[0] = 1001
	decoy.send(1, SYN|ACK, "").send(0, ACK, "").mail().close()
	plainAgain := newConn("10.0.0.5", "192.0.2.25", 40000, 25).send(0, SYN, "EHLO a.example.org\r\n")
	plainAgain.seq[0] = 1000
	plainAgain.wait(second).open().mail().close()
	oddOption := delivery()
	oddOption.frames[0].data = Frame(Ethernet{Src: [6]byte{2, 0, 0, 0, 0, 1}}, IP{Src: oddOption.client, Dst: oddOption.server},
		TCP{SrcPort: oddOption.cport, DstPort: oddOption.sport, Flags: SYN, Seq: 1000, Options: append([]byte{8, 0}, make([]byte, 18)...)})
	keepAlives := newConn("10.0.0.5", "192.0.2.25", 40000, 25).open().serverSends("220 mx\r\n")
	for range 5000 {
		keepAlives.seq[0]--
		keepAlives.send(0, ACK, "").seq[0]++
	}
	keepAlives.clientSends("QUIT\r\n").serverSends("221 bye\r\n").close()
	forged := newConn("10.0.0.5", "192.0.2.25", 40000, 25).open().serverSends("220 mx\r\n")
	forged.seq[0] += 5_000_000
	forged.send(0, RST|ACK, "").send(0, FIN|ACK, "")
	forged.seq[0] -= 5_000_001
	forged.mail().close()
	wraps := newConn("10.0.0.5", "192.0.2.25", 40000, 25)
	wraps.seq = [2]uint32{0xfffffff0, 0xfffffffe}
	wraps.open().mail().close()
	bothMail := newConn("10.0.0.5", "192.0.2.25", 25, 25).open().mail().close()
	v6 := newConn("fd00::5", "2001:db8::25", 40000, 25).open().mail().close()
	idle := newConn("10.0.0.5", "192.0.2.25", 40000, 25).open().serverSends("220 mx\r\n").wait(20 * minute).clientSends("EHLO late\r\n")
	scanned := newConn("10.0.0.5", "192.0.2.25", 40000, 25).syn().send(1, SYN|ACK, "").send(0, RST, "")
	simultaneous := newConn("10.0.0.5", "192.0.2.25", 40000, 25).syn().send(1, SYN, "")
	simultaneous.seq = [2]uint32{1000, 5000}
	simultaneous.send(0, SYN|ACK, "").send(1, SYN|ACK, "").send(0, ACK, "").mail().close()

	for _, c := range []struct {
		name   string
		frames []timedFrame
		source string
		want   string
		seen   string // of the first session
	}{
		{"whole", delivery().frames, "10.0.0.5", whole, "both"},
		{"IPv6", v6.frames, "fd00::5", whole, "both"},
		{"every frame twice", doubled(delivery().frames), "10.0.0.5", whole, "both"},
		{"pairs swapped", swapped(delivery().frames, 0), "10.0.0.5", whole, "both"},
		{"pairs swapped, from the second", swapped(delivery().frames, 1), "10.0.0.5", whole, "both"},
		{"shuffled by threes", shuffled(1, delivery().frames), "10.0.0.5", whole, "both"},
		{"twice and swapped", swapped(doubled(delivery().frames), 1), "10.0.0.5", whole, "both"},
		{"client only", only(delivery().frames, 0), "10.0.0.5", whole, "client"},
		{"server only", only(delivery().frames, 1), "10.0.0.5", whole, "server"},
		{"SYN lost", delivery().frames[1:], "10.0.0.5", whole, "both"},
		{"SYN-ACK lost", slices.Delete(delivery().frames, 1, 2), "10.0.0.5", whole, "both"},
		{"ACK lost", slices.Delete(delivery().frames, 2, 3), "10.0.0.5", whole, "both"},
		{"midstream", delivery().frames[4:], "10.0.0.5", "none", "both"},
		{"refused", refusedConn.frames, "10.0.0.5", "attempts 1 retransmits 0 sessions 0 refused 1 unreachable 0 silent 0 messages 0", ""},
		{"prohibited", icmpConn.frames, "10.0.0.5", "attempts 1 retransmits 0 sessions 0 refused 0 unreachable 1 silent 0 messages 0", ""},
		{"never answered", retried.frames, "10.0.0.5", "attempts 1 retransmits 5 sessions 0 refused 0 unreachable 0 silent 1 messages 0", ""},
		{"scanned", scanned.frames, "10.0.0.5", "attempts 1 retransmits 0 sessions 0 refused 0 unreachable 0 silent 1 messages 0", ""},
		{"port used again", reused.frames, "10.0.0.5", "attempts 2 retransmits 0 sessions 2 refused 0 unreachable 0 silent 0 messages 2", "both"},
		{"port used again, client only", only(reused.frames, 0), "10.0.0.5", "attempts 2 retransmits 0 sessions 2 refused 0 unreachable 0 silent 0 messages 2", "client"},
		{"port used again after a reset", afterReset.frames, "10.0.0.5", "attempts 2 retransmits 0 sessions 2 refused 0 unreachable 0 silent 0 messages 1", "both"},
		{"a SYN with another number first", otherISN.frames, "10.0.0.5", "attempts 2 retransmits 0 sessions 1 refused 0 unreachable 0 silent 1 messages 1", "both"},
		{"data in the SYN", fastOpen.frames, "10.0.0.5", whole, "both"},
		{"data in the SYN, not taken", notTaken.frames, "10.0.0.5", whole, "both"},
		{"data in the SYN, not taken, client only", only(notTaken.frames, 0), "10.0.0.5", whole, "client"},
		{"other data in the SYN than the server takes", decoy.frames, "10.0.0.5", whole, "both"},
		{"other data in the SYN than the server takes, client only", only(decoy.frames, 0), "10.0.0.5", whole, "client"},
		{"data in the SYN, which is lost, and none in the next", plainAgain.frames, "10.0.0.5", strings.Replace(whole, "retransmits 0", "retransmits 1", 1), "both"},
		{"port used again, server only", only(reused.frames, 1), "10.0.0.5", "attempts 2 retransmits 0 sessions 2 refused 0 unreachable 0 silent 0 messages 2", "server"},
		{"port used again after a reset, server only", only(afterReset.frames, 1), "10.0.0.5", "attempts 2 retransmits 0 sessions 2 refused 0 unreachable 0 silent 0 messages 1", "server"},
		{"an option for which later kernels drop a SYN, answered", oddOption.frames, "10.0.0.5", whole, "both"},
		{"the same, not answered", oddOption.frames[:1], "10.0.0.5", "none", ""},
		{"keep-alives", keepAlives.frames, "10.0.0.5", "attempts 1 retransmits 0 sessions 1 refused 0 unreachable 0 silent 0 messages 0", "both"},
		{"forged end out of the window", forged.frames, "10.0.0.5", whole, "both"},
		{"sequence numbers wrap", wraps.frames, "10.0.0.5", whole, "both"},
		{"both ports are mail ports", bothMail.frames, "10.0.0.5", whole, "both"},
		{"both ports, ACK lost", slices.Delete(slices.Clone(bothMail.frames), 2, 3), "10.0.0.5", whole, "both"},
		{"idle beyond any timeout", idle.frames, "10.0.0.5", "attempts 1 retransmits 0 sessions 1 refused 0 unreachable 0 silent 0 messages 0", "both"},
		{"simultaneous open", simultaneous.frames, "10.0.0.5", whole, "both"},
	} {
		r := analyse(Config{}, c.frames)
		if got := r.brief(c.source); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		if c.seen != "" && (len(r.sessions) == 0 || r.sessions[0].Seen != c.seen) {
			t.Errorf("%s: sessions %+v, want one seen from %s", c.name, r.sessions, c.seen)
		}
		if n := r.stats.Frames; n != uint64(len(c.frames)) {
			t.Errorf("%s: %d frames of %d", c.name, n, len(c.frames))
		}
		for _, s := range r.sessions {
			if s.End < s.Start {
				t.Errorf("%s: a session ends before it starts", c.name)
			}
		}
	}
}

// TestVLANs checks a mirror port that shows one connection before and after routing, with two tags,
// and its two directions with different tags. This is one connection, unless the configuration says
// that address spaces overlap.
func TestVLANs(t *testing.T) {
	twice := func() (frames []timedFrame) {
		for _, vlan := range []uint16{10, 20} {
			c := newConn("10.0.0.5", "192.0.2.25", 40000, 25)
			c.at += int64(vlan) * 1e5
			c.tags = [2][]Layer{{VLAN{ID: vlan}}, {VLAN{ID: vlan}}}
			frames = append(frames, c.open().mail().close().frames...)
		}
		slices.SortStableFunc(frames, func(a, b timedFrame) int { return int(a.at - b.at) })
		return frames
	}
	c := newConn("10.0.0.5", "192.0.2.25", 40000, 25)
	c.tags = [2][]Layer{{VLAN{ID: 10}}, {VLAN{ID: 20}}}
	directions := c.open().mail().close().frames
	for _, r := range []struct {
		name     string
		frames   []timedFrame
		separate bool
		want     string // total attempts and sessions
	}{
		{"two VLANs", twice(), false, "1 1"},
		{"two VLANs, told apart", twice(), true, "2 2"},
		{"a VLAN for each direction", directions, false, "1 1"},
		{"a VLAN for each direction, told apart", directions, true, "2 2"},
	} {
		got := analyse(Config{SeparateVLANs: r.separate}, r.frames)
		if s := fmt.Sprintf("%d %d", got.stats.Attempts, got.stats.Sessions); s != r.want {
			t.Errorf("%s: %s attempts and sessions, want %s", r.name, s, r.want)
		}
	}
	tunnels := func(network uint32) []timedFrame {
		c := newConn("10.0.0.5", "192.0.2.25", 40000, 25)
		outer := []Layer{IP{Src: "203.0.113.1", Dst: "203.0.113.2"}, UDP{SrcPort: 1, DstPort: 4789}, VXLAN{Network: network}, Ethernet{}}
		c.tags = [2][]Layer{outer, outer}
		c.at += int64(network) * 1e5
		return c.open().mail().close().frames
	}
	both := append(tunnels(1), tunnels(2)...)
	slices.SortStableFunc(both, func(a, b timedFrame) int { return int(a.at - b.at) })
	if got := analyse(Config{}, both); got.stats.Attempts != 1 {
		t.Errorf("two tunnels: %d attempts, want 1", got.stats.Attempts)
	}
	if got := analyse(Config{SeparateTunnels: true}, both); got.stats.Attempts != 2 {
		t.Errorf("two tunnels told apart: %d attempts, want 2", got.stats.Attempts)
	}
}

// TestClockSetBack checks that the counters of a live capture are emitted every minute after its
// clock was set ahead and back, and that both jumps are counted.
func TestClockSetBack(t *testing.T) {
	emitted := 0
	e := New(Config{Live: true}, Output{Stats: func(int64) { emitted++ }})
	w := e.Worker()
	at := epoch
	for i, offset := range []int64{0, hour, 0, -hour} {
		emitted = 0
		for range 180 { // frames of three minutes
			at += second
			f := newConn("10.0.0.5", "192.0.2.25", 40000, 25).syn().frames[0].data
			w.Take([]frame.Frame{{Data: f, Len: len(f), Time: at + offset, Link: frame.Ethernet}})
			w.EmitDue()
		}
		if emitted < 2 || emitted > 3 {
			t.Errorf("clock %d s ahead: %d times in three minutes", offset/second, emitted)
		}
		if odd := e.OddTimes(); odd != uint64(i) {
			t.Errorf("%d jumps are counted, there were %d", odd, i)
		}
	}
	f := newConn("10.0.0.5", "192.0.2.25", 40000, 25).syn().frames[0].data
	for _, far := range []int64{year, 0} {
		w.Take([]frame.Frame{{Data: f, Len: len(f), Time: at - hour + second + far, Link: frame.Ethernet}})
	}
	if odd := e.OddTimes(); odd != 4 {
		t.Errorf("with a frame a year ahead it is %d, want 4", odd)
	}
}

// TestClockOfStream checks that the first frame of a stream sets the clock, whatever day it is from,
// and that a jump behind it is counted.
func TestClockOfStream(t *testing.T) {
	for _, c := range []struct {
		offset int64 // of the first frame to the clock of the machine
		later  int64 // of the frames behind it to the first one
		odd    uint64
	}{{-year, second, 0}, {year, second, 0}, {-second, second, 0}, {second, year, 1}, {-year, -hour, 1}} {
		e := New(Config{Live: true}, Output{})
		e.StartStream(epoch)
		w := e.Worker()
		w.Idle(epoch + 5*second)
		at := epoch + 5*second + c.offset
		for i := range int64(6) {
			f := newConn("10.0.0.5", "192.0.2.25", 40000, 25).syn().frames[0].data
			w.Take([]frame.Frame{{Data: f, Len: len(f), Time: at, Link: frame.Ethernet}})
			if i == 0 && (e.OddTimes() != 0 || e.Now()/hour != at/hour) {
				t.Errorf("%+v: after the first frame the clock is %d, with %d odd times", c, e.Now(), e.OddTimes())
			}
			if i == 0 {
				at += c.later
			}
		}
		if odd := e.OddTimes(); odd != c.odd {
			t.Errorf("%+v: %d odd times", c, odd)
		}
	}
}

// TestClock checks that one frame with an impossible time expires nothing, and that a capture that
// was merged from two years continues in the second.
func TestClock(t *testing.T) {
	c := newConn("10.0.0.5", "192.0.2.25", 40000, 25).open().serverSends("220 mx\r\n")
	for _, jump := range []int64{10 * 365 * 24 * hour, -hour, -epoch} {
		frames := slices.Clone(c.frames)
		odd := newConn("10.0.0.6", "192.0.2.25", 40001, 25).syn().frames[0]
		odd.at = c.at + jump
		frames = append(frames, odd)
		late := *c
		late.frames = nil
		frames = append(frames, late.mail().close().frames...)
		r := analyse(Config{}, frames)
		if got := r.brief("10.0.0.5"); !strings.Contains(got, "sessions 1") || !strings.Contains(got, "messages 1") {
			t.Errorf("a frame that is off by %d s: %s", jump/second, got)
		}
		if r.stats.OddTimes != 1 {
			t.Errorf("a frame that is off by %d s: %d flagged", jump/second, r.stats.OddTimes)
		}
	}
	frames := slices.Clone(delivery().frames)
	later := newConn("10.0.0.5", "192.0.2.26", 40000, 25)
	later.at += 6 * 365 * 24 * hour
	frames = append(frames, later.open().mail().close().frames...)
	r := analyse(Config{}, frames)
	if got := r.brief("10.0.0.5"); !strings.Contains(got, "sessions 2") || r.stats.OddTimes != 0 || r.stats.Last < later.at-second {
		t.Errorf("six years on: %s, %d flagged", got, r.stats.OddTimes)
	}
	// A connection that is open at the end of the first part of such a capture ended there.
	open := newConn("10.0.0.5", "192.0.2.25", 40000, 25).open().serverSends("220 mx\r\n")
	r.sessions = append(r.sessions, analyse(Config{}, append(slices.Clone(open.frames), later.frames...)).sessions...)
	for _, s := range r.sessions {
		if s.End-s.Start > minute {
			t.Errorf("a session of %d s", (s.End-s.Start)/second)
		}
	}
}

// TestAbsurdTimes checks that frames whose times cannot be represented are counted and not decoded,
// and that the first hours of 1970 are valid times.
func TestAbsurdTimes(t *testing.T) {
	for _, helpers := range []int{0, 2} {
		c := delivery()
		frames := slices.Clone(c.frames)
		absurd := []int64{-1, -epoch, math.MinInt64, math.MaxInt64, endOfTime, -hour, -7 * 24 * hour}
		for i, at := range absurd {
			x := newConn("10.0.0.6", "192.0.2.25", uint16(41000+i), 25).syn().frames[0]
			x.at = at
			frames = slices.Insert(frames, len(frames)/2, x)
		}
		r := analyse(Config{Helpers: helpers}, frames)
		n := uint64(0)
		for _, o := range r.stats.Outcomes {
			if o.Name == "bad_time" && o.Refused {
				n = o.N
			}
		}
		if got := r.brief("10.0.0.5"); n != uint64(len(absurd)) || r.stats.Panics != 0 || r.stats.Frames != uint64(len(frames)) || r.stats.Attempts != 1 || !strings.Contains(got, "messages 1") {
			t.Errorf("%d helpers: %d of %d refused, %d panics (%s), %d attempts, %s", helpers, n, len(absurd), r.stats.Panics, r.stats.PanicAt, r.stats.Attempts, got)
		}
	}
	for first := int64(0); first < 14*hour; first += 37 * minute {
		server := netip.MustParseAddr("10.0.0.25")
		var frames []timedFrame
		for i := range int64(300) { // an internal mail server, through the day
			c := newConn("10.0.0.25", "192.0.2.25", uint16(42000+i), 25)
			c.at = first + i*11*minute
			frames = append(frames, c.open().mail().close().frames...)
		}
		r := analyse(Config{MailServers: []netip.Addr{server}}, frames)
		if r.stats.Panics != 0 || r.stats.Sessions != 300 {
			t.Errorf("beginning %d minutes after 1970: %d panics (%s), %d sessions", first/minute, r.stats.Panics, r.stats.PanicAt, r.stats.Sessions)
		}
	}
}

func TestDirectSMTP(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		want int
	}{
		{"undeclared", Config{}, 1},
		{"undeclared, after mail to a provider", Config{}, 1},
		{"declared", Config{MailServers: []netip.Addr{netip.MustParseAddr("10.0.0.5")}}, 0},
		{"through an allowed relay", Config{AllowedRelays: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, 0},
		{"within the house", Config{Home: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")}}, 0},
		{"not ours", Config{Home: []netip.Prefix{netip.MustParsePrefix("172.16.0.0/12")}, Live: true}, 0},
	} {
		opened, closed := 0, 0
		frames := delivery().frames
		if c.name == "undeclared, after mail to a provider" {
			frames = append(newConn("10.0.0.5", "192.0.2.99", 40001, 587).open().mail().close().frames, at(frames, second)...)
		}
		for _, f := range analyse(c.cfg, frames).findings {
			if f.Class != verdict.DirectSMTP || f.Severity != verdict.Info {
				t.Errorf("%s: %v %v", c.name, f.Class, f.Severity)
			}
			switch f.Action {
			case "opened":
				opened++
			case "closed":
				closed++
			}
		}
		if opened != c.want || closed != c.want {
			t.Errorf("%s: %d opened, %d closed, want %d", c.name, opened, closed, c.want)
		}
	}
}

// TestNoHome checks a file without any home address: every source is judged, at the end.
func TestNoHome(t *testing.T) {
	var frames []timedFrame
	for i := range 30 {
		c := newConn("203.0.113.9", fmt.Sprintf("198.51.%d.1", i), uint16(40000+i), 25)
		c.at += int64(i) * 100e6
		frames = append(frames, c.open().serverSends("554 blocked using zen.spamhaus.org\r\n").close().frames...)
	}
	r := analyse(Config{}, frames)
	var levels []string
	for _, f := range r.findings {
		levels = append(levels, f.Action+" "+f.Level.String())
	}
	if len(r.findings) < 2 || r.findings[0].Source.Addr.String() != "203.0.113.9" || r.findings[0].Level < verdict.Likely {
		t.Errorf("findings: %v", levels)
	}
	if r = analyse(Config{Live: true}, frames); len(r.findings) == 0 || r.findings[0].Level < verdict.Likely {
		t.Errorf("live, a source on the link of a router is not judged: %v", r.findings)
	}
	if r = analyse(Config{Live: true}, hop(frames, 63)); len(r.findings) != 0 {
		t.Errorf("live, a source behind a router is judged: %+v", r.findings[0])
	}
}

// TestNoAllocations checks that no packet causes an allocation after the start, including new
// connections, dialogues and verdicts.
func TestNoAllocations(t *testing.T) {
	e := New(Config{Live: true, Limits: Limits{Attempts: 4096, Flows: 4096, Sources: 1024, Sessions: 256, Hosts: 1024}}, Output{})
	w := feeder{w: e.Worker(), size: 100}
	var frames []timedFrame
	for i := range 200 {
		c := newConn(fmt.Sprintf("10.0.0.%d", i%20), fmt.Sprintf("198.51.%d.1", i%50), uint16(40000+i), 25)
		frames = append(frames, c.open().mail().close().frames...)
	}
	slices.SortStableFunc(frames, func(a, b timedFrame) int { return int(a.at - b.at) })
	round := func(n int64) {
		for _, f := range frames {
			w.take(timedFrame{f.at + n*minute, f.data})
		}
	}
	for n := range int64(35) { // and findings are updated every half hour
		round(n)
	}
	n := int64(35)
	per := testing.AllocsPerRun(20, func() { round(n); n++ }) / float64(len(frames))
	if per > 0.001 {
		t.Errorf("%.4f allocations per packet", per)
	}
}

// TestSessionHasAllPackets checks that all packets of a connection belong to its session, also the
// last acknowledgment, which comes after both FIN.
func TestSessionHasAllPackets(t *testing.T) {
	c := delivery()
	for _, cut := range []int{0, 1} { // with the last acknowledgment, and without
		frames := c.frames[:len(c.frames)-cut]
		r := analyse(Config{}, frames)
		if len(r.sessions) != 1 {
			t.Fatalf("%d sessions", len(r.sessions))
		}
		s := &r.sessions[0]
		if got := int(s.PktsToServer + s.PktsToClient); got != len(frames) || s.End != frames[len(frames)-1].at || s.Reason != "fin" {
			t.Errorf("%d packets until %d by %s, want %d until %d by fin", got, s.End, s.Reason, len(frames), frames[len(frames)-1].at)
		}
	}
}

// TestRefusedHello checks that the refusals of a source are the sum over its sessions.
func TestRefusedHello(t *testing.T) {
	for _, x := range []struct {
		reply              string
		rejected, deferred uint32
	}{{"550 5.7.1 no", 1, 0}, {"450 later", 0, 1}, {"502 what?", 0, 0}} {
		for _, verb := range []string{"EHLO", "HELO"} {
			c := newConn("10.0.0.5", "192.0.2.25", 40000, 25).open().serverSends("220 mx\r\n").clientSends(verb + " a.example.org\r\n").
				serverSends(x.reply + "\r\n").clientSends("QUIT\r\n").serverSends("221 bye\r\n").close()
			r := analyse(Config{}, c.frames)
			s, f := r.sessions[0], r.sources["10.0.0.5"].Counters
			if s.Rejected != x.rejected || s.Deferred != x.deferred || f.Rejected != x.rejected || f.Deferred != x.deferred {
				t.Errorf("%s, %s: session %d and %d, source %d and %d, want %d and %d", verb, x.reply, s.Rejected, s.Deferred, f.Rejected, f.Deferred, x.rejected, x.deferred)
			}
		}
	}
}
