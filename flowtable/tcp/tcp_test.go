package tcp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"spamsensor/bench/fuzztime"
)

// A connection in a test is a row of segments:
//
//	C0:abc^7   the client sends abc at offset 0 and has everything up to the server's offset 7
//	S3F        the server sends FIN at offset 3
//	C9R        the client resets at offset 9
//	C0^5       no payload
//	S0:xyz/5   the capture kept xyz of 5 bytes
//	C-1Y       a SYN, whose place is before the first byte
//	C0U~2:abc  urgent data: the pointer is 2, which is behind the b
//	C0B:ab     with a wrong checksum; P: with one for a card to finish; H: with a short life
//	C0@7:ab    with the timestamp 7
//	=C0:ab     a second copy of the frame before, delivered a millisecond later
//	...        a second in which nothing is sent
//
// and what comes out is written like this:
//
//	C:abc  bytes     C~4  a gap of four bytes     C|  the end of a half
type script struct {
	isn   [2]Seq
	clock int64
}

func (s *script) segment(t testing.TB, text string) *Segment {
	t.Helper()
	seg := &Segment{Flags: ACK}
	text, second := strings.CutPrefix(text, "=")
	switch text[0] {
	case 'C':
	case 'S':
		seg.Dir = Server
	default:
		t.Fatalf("%q", text)
	}
	rest := text[1:]
	if at := strings.IndexByte(rest, '^'); at >= 0 {
		n, _ := strconv.Atoi(rest[at+1:])
		seg.Ack = s.isn[1-seg.Dir].Add(1 + n)
		rest = rest[:at]
	} else {
		seg.Ack = s.isn[1-seg.Dir].Add(1)
	}
	head, payload, _ := strings.Cut(rest, ":")
	head, urgent, _ := strings.Cut(head, "~")
	if n, err := strconv.Atoi(urgent); err == nil {
		seg.Urgent = uint16(n)
	}
	head, stamp, stamped := strings.Cut(head, "@")
	if seg.Stamped = stamped; stamped {
		n, _ := strconv.ParseUint(stamp, 10, 32)
		seg.Stamp = uint32(n)
	}
	for _, c := range head {
		switch c {
		case 'F':
			seg.Flags |= FIN
		case 'R':
			seg.Flags |= RST
		case 'Y':
			seg.Flags |= SYN
			if seg.Dir == Client {
				seg.Flags &^= ACK
			}
		case 'U':
			seg.Flags |= URG
		case 'B':
			seg.DropRisk = BadChecksum
		case 'P':
			seg.DropRisk = PartialChecksum
		case 'H':
			seg.DropRisk = LowHops
		}
	}
	n, err := strconv.Atoi(strings.TrimRight(head, "FRYUBPH"))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	seg.Seq = s.isn[seg.Dir].Add(1 + n)
	payload, whole, cut := strings.Cut(payload, "/")
	seg.Payload, seg.Len = []byte(payload), len(payload)
	if cut {
		seg.Len, _ = strconv.Atoi(whole)
	}
	if s.clock += 10e6; second {
		s.clock -= 9e6
	}
	seg.Time = s.clock
	return seg
}

// open completes a handshake, or leaves parts of it out.
func (s *script) open(st *Stream, c *Conn) {
	c.Open(s.isn[Client], 1)
	st.Push(c, &Segment{Dir: Server, Flags: SYN | ACK, Seq: s.isn[Server],
		Ack: s.isn[Client].Add(1)})
	st.Push(c, &Segment{Dir: Client, Flags: ACK, Seq: s.isn[Client].Add(1),
		Ack: s.isn[Server].Add(1)})
}

// drain returns the results of Pop, with adjacent bytes of a half joined.
func drain(st *Stream, out *strings.Builder) {
	var c Chunk
	for st.Pop(&c) {
		d := "CS"[c.Dir : c.Dir+1]
		switch c.Kind {
		case Data:
			if s := out.String(); !strings.HasSuffix(s, "~") && lastIs(s, d) {
				out.Write(c.Bytes)
				continue
			}
			fmt.Fprintf(out, " %s:%s", d, c.Bytes)
		case Gap:
			fmt.Fprintf(out, " %s~%d", d, c.Len)
		case End:
			fmt.Fprintf(out, " %s|", d)
		}
	}
}

func lastIs(s, dir string) bool {
	i := strings.LastIndexByte(s, ' ')
	return i >= 0 && strings.HasPrefix(s[i+1:], dir+":")
}

func play(t testing.TB, isn [2]Seq, segments string) (string, *Conn) {
	var st Stream
	var c Conn
	var out strings.Builder
	s := &script{isn: isn}
	s.open(&st, &c)
	for _, text := range strings.Fields(segments) {
		st.Push(&c, s.segment(t, text))
		drain(&st, &out)
	}
	st.Flush(&c)
	drain(&st, &out)
	return strings.TrimSpace(out.String()), &c
}

var rows = []struct{ name, in, out string }{
	{"in order", "C0:ab S0:x^2 C2:cd^1", "C:ab S:x C:cd"},
	{"out of order", "C2:cd C0:ab", "C:abcd"},
	{"three swapped", "C4:ef C2:cd C0:ab", "C:abcdef"},
	{"retransmission", "C0:ab C0:ab C2:c", "C:abc"},
	{"overlap, the first copy wins", "C0:abc C1:XXd", "C:abcd"},
	{"overlap of what waits", "C2:cd C3:XX C0:ab", "C:abcdX"},
	{"overlap of what waits, by what covers it", "C4:ef C2:cdXXg C0:ab", "C:abcdXXg"},
	{"overlap of what waits, by what fills the hole", "C4:ef C0:abcdXXg", "C:abcdXXg"},
	{"overlap of two that wait", "C4:ef C8:ij C3:dXXghXXk C0:abc", "C:abcdXXghXXk"},
	{"overlap of what waits, from before it, not to its end", "C4:efg C2:cdX C0:ab", "C:abcdXfg"},
	{"overlap of what waits, to behind it", "C2:cd C3:Xe C0:ab", "C:abcde"},
	{"within what waits", "C2:cdef C3:XX C0:ab", "C:abcdef"},
	{"the same beginning, longer", "C2:cd C2:XXef C0:ab", "C:abXXef"},
	{"the same beginning, shorter", "C2:cdef C2:XX C0:ab", "C:abcdef"},
	{"what fills the hole ends in what waits", "C4:efg C0:abcdX", "C:abcdXfg"},
	{"overlap of what waits for a reply", "S0:xy^4 C0:ab^2 C0:XXcd", "C:abcd S:xy"},
	{"a longer retransmission", "C0:a C0:abc", "C:abc"},
	{"keep-alives", "C0:ab C1 C1:b C2:c", "C:abc"},
	{"a reply waits for its command", "S0:x^2 C0:ab", "C:ab S:x"},
	{"every pair of frames swapped", "S0:x^2 C0:ab S1:y^4 C2:cd^1", "C:ab S:x C:cd S:y"},
	{"lost and acknowledged", "C2:cd S0^4 S0^4 S0^4 C4:ef", "C~2 C:cdef"},
	{"lost with its reply waiting", "S0:x^2 C2:cd^1 S1:y^4 C4:ef^2", "C~2 S:x C:cd S:y C:ef"},
	{"lost and never filled", "C2:cd", "C~2 C:cd"},
	{"reply lost", "C0:ab C2:cd^5 S5:z^4 C4:e^6 C5:f^6", "C:ab S~5 C:cd S:z C:ef"},
	{"each acknowledges the other", "S2:yz^4 C2:cd^4 C4^0 C4^0 C4^0", "S~2 C~2 C:cd S:yz"},
	{"end", "C0:ab S0:x^2 C2F^1 S1F^3 C3^2", "C:ab S:x C| S|"},
	{"end before its bytes", "C2F C0:ab", "C:ab C|"},
	{"reset flushes", "C2:cd C4R", "C~2 C:cd"},
	{"cut by the capture", "C0:ab/5 C5:fg", "C:ab C~3 C:fg"},
	{"cut, and repeated whole", "C0:ab/5 C0:abcde C5:f", "C:ab C~3 C:f"},
}

// TestSwappedOnAShortPath checks swapped frames. On a path of 40 us a mirror port that swaps frames
// within a third of a millisecond lets a dialogue continue by many segments; on a path of 40 ms a
// frame that is behind by as many does not come.
func TestSwappedOnAShortPath(t *testing.T) {
	const in = "S0:x^2 C2:cd^1 S1:y^4 C4:ef^2 S2:z^6 C6:gh^3 S3:w^8 C8:ij^4 C0:ab"
	for _, r := range []struct {
		step int64
		out  string
	}{{40e3, "C:ab S:x C:cd S:y C:ef S:z C:gh S:w C:ij"},
		{40e6, "C~2 S:x C:cd S:y C:ef S:z C:gh S:w C:ij"}} {
		var st Stream
		var c Conn
		var out strings.Builder
		s := &script{isn: [2]Seq{1000, 2000}}
		s.open(&st, &c)
		for i, text := range strings.Fields(in) {
			seg := s.segment(t, text)
			seg.Time = int64(i) * r.step
			st.Push(&c, seg)
			drain(&st, &out)
		}
		if got := strings.TrimSpace(out.String()); got != r.out {
			t.Errorf("%d us: %s, want %s", r.step/1e3, got, r.out)
		}
	}
}

func TestOrder(t *testing.T) {
	for _, isn := range [][2]Seq{{1000, 2000}, {0xfffffff0, 0xfffffffe}, {0xffffffff, 0},
		{0x7ffffffe, 0x80000000}} {
		for _, r := range rows {
			if out, _ := play(t, isn, r.in); out != r.out {
				t.Errorf("%s, initial sequence numbers %x: %s\n got %s\nwant %s", r.name, isn, r.in,
					out, r.out)
			}
		}
	}
}

func TestState(t *testing.T) {
	for _, r := range []struct {
		name, in string
		want     State
	}{
		{"nothing said", "", Established},
		{"one end", "C0F", Closing},
		{"both ends", "C0F S0F^1", Closed},
		{"reset", "C0R", Reset},
		{"reset by the server", "C0:ab S0R^2", Reset},
		{"forged reset far off", "C0:ab C2000000R", Established},
		{"forged reset behind", "C0:abcdef C0R", Established},
		{"forged reset near, and the client goes on", "C0:ab C4R C2:cdefgh S0:x^8", Established},
		{"reset before the last bytes", "C4R C0:quit", Reset},
		{"reset, and bytes of the other side are on their way", "C0R S0:x", Reset},
		{"forged end far off", "C0:ab C2000000F", Established},
	} {
		if _, c := play(t, [2]Seq{100, 200}, r.in); c.State() != r.want {
			t.Errorf("%s: %s is %s, want %s", r.name, r.in, c.State(), r.want)
		}
	}
}

// TestOpened checks which segments complete a handshake, for each part of it that is seen.
func TestOpened(t *testing.T) {
	syn := &Segment{Dir: Client, Flags: SYN, Seq: 100}
	synAck := &Segment{Dir: Server, Flags: SYN | ACK, Seq: 200, Ack: 101}
	ack := &Segment{Dir: Client, Flags: ACK, Seq: 101, Ack: 201}
	early := &Segment{Dir: Client, Flags: ACK, Seq: 101, Ack: 201, Len: 4, Payload: []byte("HELO")}
	banner := &Segment{Dir: Server, Flags: ACK, Seq: 201, Ack: 101, Len: 3, Payload: []byte("220")}
	rst := &Segment{Dir: Client, Flags: RST | ACK, Seq: 101, Ack: 201}
	blind := &Segment{Dir: Client, Flags: ACK, Seq: 101, Ack: 77_000_000, Len: 4,
		Payload: []byte("HELO")}
	forged := &Segment{Dir: Server, Flags: SYN | ACK, Seq: 50_000_000, Ack: 101}
	low := &Segment{Dir: Client, Flags: ACK, Seq: 101, Ack: 200}
	refusal := &Segment{Dir: Server, Flags: RST, Seq: 77_000_000}
	off := func(n int) *Segment {
		return &Segment{Dir: Client, Flags: ACK, Seq: 101, Ack: Seq(201).Add(n), Len: 4,
			Payload: []byte("HELO")}
	}
	for _, r := range []struct {
		name string
		in   []*Segment
		want bool
	}{
		{"whole", []*Segment{syn, synAck, ack}, true},
		{"data instead of the ACK", []*Segment{syn, synAck, early}, true},
		{"client only", []*Segment{syn, ack}, true},
		{"server only", []*Segment{synAck, banner}, true},
		{"SYN lost", []*Segment{synAck, ack}, true},
		{"SYN-ACK before the SYN", []*Segment{synAck, syn, ack}, true},
		{"SYN only", []*Segment{syn}, false},
		{"one off", []*Segment{syn, synAck, off(1), off(-1)}, false},
		{"one off, then right", []*Segment{syn, synAck, off(1), ack}, true},
		{"far off", []*Segment{syn, synAck, off(100_000), off(-100_000), off(1 << 30)}, false},
		{"off, and the server's answer", []*Segment{syn, synAck, off(9), {Dir: Server, Flags: RST, Seq: 210}, synAck}, false},
		{"off, the server's answer, then right", []*Segment{syn, synAck, off(9), {Dir: Server, Flags: RST, Seq: 210}, ack}, true},
		{"off before the server speaks", []*Segment{syn, synAck, off(3), banner}, true},
		{"the first of two SYN-ACKs", []*Segment{syn, synAck, forged, ack}, true},
		{"the second of two SYN-ACKs", []*Segment{syn, forged, synAck, ack}, true},
		{"neither of two SYN-ACKs", []*Segment{syn, synAck, forged, off(1)}, false},
		{"SYN-ACK four times", []*Segment{syn, synAck, synAck, synAck, synAck, early}, true},
		{"the server acknowledges what was not seen", []*Segment{syn, synAck, {Dir: Server, Flags: ACK, Seq: 201, Ack: 105}}, true},
		{"the server acknowledges the SYN again", []*Segment{syn, synAck, {Dir: Server, Flags: ACK, Seq: 201, Ack: 101}}, false},
		{"the server ends", []*Segment{syn, synAck, {Dir: Server, Flags: FIN | ACK, Seq: 201, Ack: 101}}, true},
		{"scanner hangs up", []*Segment{syn, synAck, rst}, false},
		{"SYN-ACK only", []*Segment{synAck}, false},
		{"midstream", []*Segment{ack, banner}, false},
		{"a client that does not know the server's number", []*Segment{syn, synAck, blind, blind, refusal}, false},
		{"a client that acknowledges the number before", []*Segment{syn, synAck, low, low}, false},
		{"it is forged, and then the client comes", []*Segment{syn, synAck, blind, ack}, true},
		{"a forged SYN-ACK", []*Segment{syn, forged, synAck, ack}, true},
		{"a forged SYN-ACK behind the server's", []*Segment{syn, synAck, forged, ack, banner}, true},
	} {
		var st Stream
		var c Conn
		got := false
		for i, s := range r.in {
			one := *s
			one.Time = int64(i) * 1e9
			got = got || st.Push(&c, &one)&Opened != 0
			drain(&st, new(strings.Builder))
		}
		if got != r.want {
			t.Errorf("%s: opened %v", r.name, got)
		}
	}
}

func TestSecondCopies(t *testing.T) {
	s := &script{isn: [2]Seq{100, 200}}
	var st Stream
	var c Conn
	s.open(&st, &c)
	var out strings.Builder
	for i, text := range strings.Fields("C0:ab S0:x^2 C2:cd^1 S1:y^4") {
		seg := s.segment(t, text)
		seg.Sum = uint32(i + 1)
		for range 2 { // the mirror port delivers it twice
			seg.Time += 1e6
			st.Push(&c, seg)
			drain(&st, &out)
		}
	}
	if got := strings.TrimSpace(out.String()); got != "C:ab S:x C:cd S:y" {
		t.Error(got)
	}
	if n, b := c.Counts(Client); n != 4 || b != 4 { // SYN, ACK, two with data
		t.Errorf("%d segments with %d bytes", n, b)
	}
}

// TestAnySegmentation checks that a stream that is cut in any way, shuffled within bounds, repeated
// and overlapped, is delivered with the same bytes.
func TestAnySegmentation(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 3000)
	for i := range text {
		text[i] = byte('a' + i%26)
	}
	for range 500 {
		isn := [2]Seq{Seq(rng.Uint32()), Seq(rng.Uint32())}
		var segs []*Segment
		for at := 0; at < len(text); {
			n := min(1+rng.IntN(200), len(text)-at)
			from := max(0, at-rng.IntN(20))
			segs = append(segs, &Segment{Flags: ACK, Seq: isn[0].Add(1 + from), Ack: isn[1].Add(1),
				Payload: text[from : at+n], Len: at + n - from})
			at += n
		}
		for i := 0; i+4 <= len(segs); i += 4 { // shuffled within every four
			rng.Shuffle(4, func(a, b int) { segs[i+a], segs[i+b] = segs[i+b], segs[i+a] })
		}
		var st Stream
		var c Conn
		(&script{isn: isn}).open(&st, &c)
		var got bytes.Buffer
		for i, s := range segs {
			for range 1 + rng.IntN(2) {
				one := *s
				one.Time = int64(i) * 20e6
				st.Push(&c, &one)
				var ch Chunk
				for st.Pop(&ch) {
					if ch.Kind == Gap {
						t.Fatalf("a gap of %d where nothing is missing", ch.Len)
					}
					got.Write(ch.Bytes)
				}
			}
		}
		if !bytes.Equal(got.Bytes(), text) {
			t.Fatalf("%d bytes came out, %d went in", got.Len(), len(text))
		}
		if st.heldBytes != 0 || c.held != 0 {
			t.Fatalf("%d bytes still wait", st.heldBytes)
		}
	}
}

// TestBounds checks that waiting segments are bounded, and that overflows are counted.
func TestBounds(t *testing.T) {
	st := Stream{MaxBytes: 10_000}
	s := &script{isn: [2]Seq{1, 2}}
	for range 1000 { // connections, each with a hole
		c := new(Conn)
		s.open(&st, c)
		st.Push(c, s.segment(t, "C5:"+strings.Repeat("x", 100)))
		drain(&st, new(strings.Builder))
	}
	if st.heldBytes > 10_000 || st.Overflows != 900 {
		t.Errorf("%d bytes wait, %d were not allowed to", st.heldBytes, st.Overflows)
	}
	var c Conn
	st = Stream{}
	s.open(&st, &c)
	gaps := 0
	for i := range 200 { // one connection with every other segment lost and never acknowledged
		st.Push(&c, &Segment{Flags: ACK, Seq: s.isn[0].Add(1 + 200*i + 100), Ack: s.isn[1].Add(1),
			Len: 100, Payload: make([]byte, 100), Time: int64(i) * 1e9})
		var ch Chunk
		for st.Pop(&ch) {
			if ch.Kind == Gap {
				gaps++
			}
		}
		if int(c.nheld) > maxHeld {
			t.Fatalf("%d segments wait", c.nheld)
		}
	}
	if gaps < 180 {
		t.Errorf("%d gaps told of 200", gaps)
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte{0, 0, 3, 1, 0, 1, 2, 0, 1, 4, 3, 9})
	f.Fuzz(func(t *testing.T, program []byte) {
		fuzztime.Check(t, func() int {
			program, n := program, len(program)
			st := Stream{MaxBytes: 4096}
			var c Conn
			var clock int64
			check := func() {
				var ch Chunk
				for i := 0; st.Pop(&ch); i++ {
					if i > 1000 {
						t.Fatal("it never ends")
					}
					if ch.Len < 0 || ch.Kind == Data && len(ch.Bytes) != ch.Len {
						t.Fatalf("%+v", ch)
					}
				}
				if st.heldBytes > 4096 || st.heldBytes < 0 || int(c.nheld) > maxHeld {
					t.Fatalf("%d bytes in %d segments wait", st.heldBytes, c.nheld)
				}
			}
			for ; len(program) >= 6; program = program[6:] {
				p := program
				clock += int64(p[5]) * 1e6
				seg := &Segment{Dir: Dir(p[0] & 1), Flags: Flags(p[1]) & (FIN | SYN | RST | ACK),
					Seq: Seq(uint32(p[2])<<uint(p[0]>>4)) - 3,
					Ack: Seq(p[3]), Len: int(p[4]), Time: clock,
					DropRisk: [...]DropRisk{0, BadChecksum, PartialChecksum, LowHops}[p[0]>>2&3]}
				seg.Payload = make([]byte, seg.Len/(1+int(p[0]>>1&1)))
				st.Push(&c, seg)
				check()
			}
			st.Flush(&c)
			check()
			if c.held != 0 || st.heldBytes != 0 {
				t.Fatalf("%d bytes wait after the end", st.heldBytes)
			}
			return 64 * n
		})
	})
}

// TestCloser checks which side ended a connection first.
func TestCloser(t *testing.T) {
	for in, want := range map[string]Dir{
		"C0F S0F^1":    Client,
		"S0F C0F^1":    Server,
		"C0R":          Client,
		"C0:ab S0R^2":  Server,
		"C0F S0R^1":    Client,
		"S0F C0R^1":    Server,
		"C0:ab C2F S0": Client,
	} {
		if _, c := play(t, [2]Seq{100, 200}, in); c.Closer() != want {
			t.Errorf("%s: side %d", in, c.Closer())
		}
	}
}
