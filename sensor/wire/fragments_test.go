package wire_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"spamsensor/bench/fuzztime"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
	. "spamsensor/sensor/wire/wiretest"
)

// part is a fragment: its first byte, its end, and its flag "more fragments".
type part struct {
	from, to int
	more     bool
}

// pieces are fragments of an IP packet that carries a segment.
func pieces(ip IP, segment []byte, parts ...part) (frames [][]byte) {
	for _, p := range parts {
		body := Bytes(segment[p.from:p.to])
		field := uint16(p.from)
		if (ip.Src == ip6.Src) && p.more {
			field |= 1
		}
		if ip.Src == ip6.Src {
			frames = append(frames,
				Frame(eth, ip,
					Ext{Type: 44, Next: 6,
						Body: []byte{byte(field >> 8), byte(field), 0, 0, byte(ip.ID >> 8),
							byte(ip.ID)}},
					body))
			continue
		}
		ip.Protocol, ip.Frag = 6, field/8
		if p.more {
			ip.Frag |= 0x2000
		}
		frames = append(frames, Frame(eth, ip, body))
	}
	return frames
}

// segmentOf is a TCP segment with the right checksum.
func segmentOf(ip IP, t TCP, text string) []byte {
	header := 20
	if ip.Src == ip6.Src {
		header = 40
	}
	return Frame(ip, t, Text(text))[header:]
}

type joiner struct {
	*wire.Decoder
	frags wire.Fragments
}

func newJoiner() *joiner {
	j := &joiner{Decoder: decoder()}
	j.SetFragments(&j.frags)
	return j
}

// TestFragmentsInAnyOrder checks that fragments in every order give the same packet, once, with its
// payload and a checksum that can be verified.
func TestFragmentsInAnyOrder(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789"), 150)
	for _, ip := range []IP{ip4, ip6} {
		for _, text := range []string{"", "EHLO a\r\n", string(long)} {
			segment := segmentOf(ip, syn, text)
			size := max(24, len(segment)/4&^7)
			var parts []part
			for at := 0; at < len(segment); at += size {
				parts = append(parts, part{at, min(at+size, len(segment)), at+size < len(segment)})
			}
			if len(parts) == 1 {
				parts = []part{{0, len(segment), false}}
			}
			rng := rand.New(rand.NewPCG(1, 1))
			for round := range 30 {
				rng.Shuffle(len(parts), func(a, b int) { parts[a], parts[b] = parts[b], parts[a] })
				if parts[0].to-parts[0].from < 24 && ip.Src == ip6.Src {
					continue
				}
				j := newJoiner()
				var p wire.Packet
				whole := 0
				for _, f := range pieces(ip, segment, parts...) {
					switch o := j.Decode(frame.Ethernet, f, 0, &p); o {
					case wire.Mail:
						whole++
						if string(p.Payload) != text || p.Seq != 7 || p.SrcPort != 40000 ||
							p.Checksum != wire.Right || int(p.Len) != len(text) {
							t.Errorf("%s, %d bytes, round %d: %+v", ip.Src, len(text), round, p)
						}
					case wire.TCPFragment:
					default:
						t.Errorf("%s, %d bytes: %s", ip.Src, len(text), o)
					}
				}
				if whole != 1 || j.frags.Waiting != 0 {
					t.Fatalf("%s, %d bytes in %d parts: %d packets, %d waiting", ip.Src, len(text),
						len(parts), whole, j.frags.Waiting)
				}
			}
		}
	}
}

func TestFragmentOutcomes(t *testing.T) {
	segment := segmentOf(ip4,
		TCP{SrcPort: 40000, DstPort: 25, Seq: 7, Flags: SYN, Options: []byte{2, 4, 5, 180}},
		"12345678901234567890")
	n := len(segment) // 44
	for _, c := range []struct {
		name  string
		parts []part
		want  []wire.Outcome
	}{
		{"in order", []part{{0, 24, true}, {24, n, false}},
			[]wire.Outcome{wire.TCPFragment, wire.Mail}},
		{"the whole header first is no SYN yet", []part{{0, 24, true}},
			[]wire.Outcome{wire.TCPFragment}},
		{"a copy is ignored", []part{{0, 24, true}, {0, 24, true}, {8, 16, true}, {24, n, false}},
			[]wire.Outcome{wire.TCPFragment, wire.TCPFragment, wire.TCPFragment, wire.Mail}},
		{"overlap", []part{{0, 24, true}, {16, n, false}, {24, n, false}},
			[]wire.Outcome{wire.TCPFragment, wire.FragmentOverlap, wire.TCPFragment}},
		{"overlap in front", []part{{24, n, false}, {0, 32, true}},
			[]wire.Outcome{wire.TCPFragment, wire.FragmentOverlap}},
		{"two ends", []part{{24, n, false}, {24, 40, false}},
			[]wire.Outcome{wire.TCPFragment, wire.BadFragment}},
		{"behind the end", []part{{16, 32, false}, {32, 40, true}},
			[]wire.Outcome{wire.TCPFragment, wire.BadFragment}},
		{"nothing", []part{{0, 24, true}, {24, 24, false}},
			[]wire.Outcome{wire.TCPFragment, wire.BadFragment}},
		{"not a multiple of 8", []part{{0, 30, true}, {24, n, false}},
			[]wire.Outcome{wire.TCPFragment, wire.Mail}},
		{"a hole is no datagram", []part{{0, 24, true}, {32, n, false}},
			[]wire.Outcome{wire.TCPFragment, wire.TCPFragment}},
	} {
		j := newJoiner()
		var p wire.Packet
		for i, f := range pieces(ip4, segment, c.parts...) {
			if o := j.Decode(frame.Ethernet, f, 0, &p); o != c.want[i] {
				t.Errorf("%s: fragment %d is %s, want %s", c.name, i, o, c.want[i])
			}
		}
	}
	j := newJoiner()
	var p wire.Packet
	var last wire.Outcome
	apart := 0
	for at := 3200; at >= 16; at -= 16 {
		apart++
		last = j.Decode(frame.Ethernet, pieces(ip4, make([]byte, 3300), part{at, at + 8, true})[0],
			0, &p)
		if last.Refused() {
			break
		}
	}
	if last != wire.TooManyFragments || apart != 193 || j.frags.Waiting != 0 {
		t.Errorf("%d pieces apart: %s, %d waiting, want 193", apart, last, j.frags.Waiting)
	}
	// A packet has at most 65,535 bytes, with its header of 20 bytes.
	for length, want := range map[int]wire.Outcome{0xffff - 20: wire.Mail,
		0xffff - 19: wire.BadFragment} {
		long := append(segmentOf(ip4, TCP{SrcPort: 40000, DstPort: 25, Seq: 7, Flags: ACK}, ""),
			make([]byte, 0xffff)...)
		frames := pieces(ip4, long, part{0, 32768, true}, part{32768, length, false})
		j.Decode(frame.Ethernet, frames[0], 0, &p)
		if o := j.Decode(frame.Ethernet, frames[1], 0, &p); o != want {
			t.Errorf("%d bytes in fragments: %s, want %s", length, o, want)
		}
	}
}

// TestManyFragments divides the contents of one Ethernet frame into fragments of eight bytes: they
// are joined in any order, and not joined if another fragment overlaps them.
func TestManyFragments(t *testing.T) {
	text := string(bytes.Repeat([]byte("0123456789"), 146))
	rng := rand.New(rand.NewPCG(1, 1))
	for _, ip := range []IP{ip4, ip6} {
		segment := segmentOf(ip, syn, text)
		var parts []part
		for at := 0; at < len(segment); at += 8 {
			parts = append(parts, part{at, min(at+8, len(segment)), at+8 < len(segment)})
		}
		if ip.Src == ip6.Src { // the first fragment has the header
			parts = append([]part{{0, 24, true}}, parts[3:]...)
		}
		reversed := slices.Clone(parts)
		slices.Reverse(reversed)
		orders := [][]part{reversed}
		for range 30 {
			rng.Shuffle(len(parts), func(a, b int) { parts[a], parts[b] = parts[b], parts[a] })
			orders = append(orders, slices.Clone(parts))
		}
		for i, order := range orders {
			j := newJoiner()
			var p wire.Packet
			var o wire.Outcome
			frames := pieces(ip, segment, order...)
			for _, f := range frames {
				if o = j.Decode(frame.Ethernet, f, 0, &p); o.Refused() {
					t.Fatalf("%s, order %d: %s", ip.Src, i, o)
				}
			}
			if o != wire.Mail || string(p.Payload) != text || p.Checksum != wire.Right ||
				j.frags.Waiting != 0 {
				t.Errorf("%s, order %d: %s, %d bytes, %d waiting", ip.Src, i, o, len(p.Payload),
					j.frags.Waiting)
			}
			from := min(order[100].from, len(segment)-64) &^ 15
			overlap := pieces(ip, segment, part{from, from + 24, true})[0]
			for n, f := range append(slices.Clone(frames[:len(frames)-1]), overlap,
				frames[len(frames)-1]) {
				if o = j.Decode(frame.Ethernet, f, 0, &p); n == len(frames)-1 &&
					o != wire.FragmentOverlap || o == wire.Mail {
					t.Errorf("%s, order %d: fragment %d is %s", ip.Src, i, n, o)
				}
			}
		}
	}
}

// TestScatteredFlood checks that incomplete scattered datagrams evict one another, and allocate no
// memory of their own.
func TestScatteredFlood(t *testing.T) {
	j := newJoiner()
	var p wire.Packet
	segment := segmentOf(ip4, syn, string(bytes.Repeat([]byte("x"), 1000)))
	var parts, rest []part
	for at := 0; at < len(segment); at += 16 {
		parts = append(parts, part{at, at + 8, true})
		if at+8 < len(segment) {
			rest = append(rest, part{at + 8, min(at+16, len(segment)), at+16 < len(segment)})
		}
	}
	ip := ip4
	var before, after runtime.MemStats
	for i := range 2000 {
		if i == 100 {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
		ip.ID = uint16(i)
		j.frags.Now = int64(i) * 1000
		for _, f := range pieces(ip, segment, parts...) {
			if o := j.Decode(frame.Ethernet, f, 0, &p); o != wire.TCPFragment {
				t.Fatalf("datagram %d: %s", i, o)
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if j.frags.Waiting != 64 || j.frags.Evicted != 2000-64 {
		t.Errorf("%d waiting, %d evicted", j.frags.Waiting, j.frags.Evicted)
	}
	if live := int64(after.HeapAlloc) - int64(before.HeapAlloc); live > 8<<20 {
		t.Errorf("%d bytes more are in use", live)
	}
	for _, c := range []struct {
		id   uint16
		want wire.Outcome
	}{{1999, wire.Mail}, {1900, wire.TCPFragment}} {
		ip.ID = c.id
		var o wire.Outcome
		for _, f := range pieces(ip, segment, rest...) {
			o = j.Decode(frame.Ethernet, f, 0, &p)
		}
		if o != c.want {
			t.Errorf("datagram %d: %s, want %s", c.id, o, c.want)
		}
	}
}

// TestQuotedFragmentIsNotJoined checks that a fragment inside an ICMP error is no fragment of a
// packet.
func TestQuotedFragmentIsNotJoined(t *testing.T) {
	j := newJoiner()
	var p wire.Packet
	quote := pieces(ip4, segmentOf(ip4, syn, "12345678"), part{0, 24, true})[0][14:]
	if o := j.Decode(frame.Ethernet,
		Frame(eth, IP{Src: "10.0.0.254", Dst: "10.0.0.1"}, ICMP{Type: 3, Code: 4}, Bytes(quote)), 0,
		&p); o != wire.OtherICMP || j.frags.Waiting != 0 {
		t.Errorf("%s, %d waiting", o, j.frags.Waiting)
	}
}

// TestFragmentsCut checks that the bytes that the capture cut from a fragment are missing in the
// packet, and that the bytes after them count as cut as well.
func TestFragmentsCut(t *testing.T) {
	text := string(bytes.Repeat([]byte("0123456789"), 300))
	segment := segmentOf(ip4, data, text)
	frames := pieces(ip4, segment, part{0, 1000, true}, part{1000, 2000, true},
		part{2000, len(segment), false})
	for _, c := range []struct{ snaplen, want int }{{65535, 1536 - 20}, {500, 500 - 34 - 20},
		{48, 0}} {
		j := newJoiner()
		var p wire.Packet
		var o wire.Outcome
		for _, f := range frames {
			n := min(len(f), c.snaplen)
			o = j.Decode(frame.Ethernet, f[:n:n], len(f), &p)
		}
		if o != wire.Mail || int(p.Len) != len(text) || len(p.Payload) != c.want ||
			string(p.Payload) != text[:c.want] {
			t.Errorf("snapshot length %d: %s, %d of %d bytes, want %d", c.snaplen, o,
				len(p.Payload), p.Len, c.want)
		}
	}
}

// TestFragmentTimes checks that fragments are not joined if their times differ too much, in either
// direction; that a frame with a wrong time evicts no datagram of others; and that Expire takes a
// plausible time.
func TestFragmentTimes(t *testing.T) {
	const second = int64(1e9)
	segment := segmentOf(ip4, syn, "12345678")
	f := pieces(ip4, segment, part{0, 24, true}, part{24, 28, false})
	for _, c := range []struct {
		then, now int64
		joined    bool
	}{{100, 100, true}, {100, 105, true}, {100, 106, false}, {100, 97, true}, {3700, 100, false},
		{0, 0, true}, {100, 4291747200, false}, {100, -100, false}} {
		j := newJoiner()
		var p wire.Packet
		j.frags.Now = c.then * second
		j.Decode(frame.Ethernet, f[0], 0, &p)
		j.frags.Now = c.now * second
		if o := j.Decode(frame.Ethernet, f[1], 0, &p); (o == wire.Mail) != c.joined ||
			(j.frags.Expired == 1) == c.joined {
			t.Errorf("at %d and %d: %s, %d expired", c.then, c.now, o, j.frags.Expired)
		}
	}
	j := newJoiner()
	var p wire.Packet
	j.frags.Now = 100 * second
	j.Decode(frame.Ethernet, f[0], 0, &p)
	j.frags.Now = 1e18
	other := ip4
	other.ID = 9
	j.Decode(frame.Ethernet, pieces(other, segment, part{0, 24, true})[0], 0, &p)
	j.frags.Now = 101 * second
	if o := j.Decode(frame.Ethernet, f[1], 0, &p); o != wire.Mail {
		t.Errorf("after a frame with a wild time: %s", o)
	}
	j.frags.Expire(102 * second)
	if j.frags.Expired != 0 || j.frags.Waiting != 1 {
		t.Errorf("%d expired, %d waiting", j.frags.Expired, j.frags.Waiting)
	}
	j.frags.Expire(2e18)
	if j.frags.Expired != 1 || j.frags.Waiting != 0 {
		t.Errorf("%d expired, %d waiting", j.frags.Expired, j.frags.Waiting)
	}
}

// TestFragmentFlood checks that a million fragments of incomplete datagrams take the memory of the
// first few thousand, and that all are counted. A datagram whose fragments follow one another is
// still joined.
func TestFragmentFlood(t *testing.T) {
	j := newJoiner()
	var p wire.Packet
	segment := segmentOf(ip4, syn, "12345678")
	first := pieces(ip4, segment, part{0, 24, true})[0]
	mine := ip4
	mine.Src = "10.9.9.9"
	whole := pieces(mine, segmentOf(mine, syn, "12345678"), part{0, 24, true}, part{24, 28, false})
	var before, after runtime.MemStats
	clear(first[18:20])
	clear(first[26:28])
	clear(first[24:26])
	sum := uint32(0) // of the constant part of the header
	for i := 14; i < 34; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(first[i:]))
	}
	n, joined := 1_000_000, 0
	if testing.Short() {
		n = 50_000
	}
	for i := range n {
		if i == 10_000 {
			runtime.ReadMemStats(&before)
		}
		first[26], first[27], first[18], first[19] = byte(i>>24), byte(i>>16), byte(i>>8), byte(i)
		check := sum + uint32(i>>16) + uint32(i&0xffff)
		check = check&0xffff + check>>16
		binary.BigEndian.PutUint16(first[24:], ^uint16(check+check>>16))
		j.frags.Now = int64(i) * 1000
		j.Decode(frame.Ethernet, first, 0, &p)
		if i%1000 == 0 {
			j.Decode(frame.Ethernet, whole[0], 0, &p)
			if j.Decode(frame.Ethernet, whole[1], 0, &p) == wire.Mail {
				joined++
			}
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 100_000 {
		t.Errorf("%d bytes were allocated", grown)
	}
	if j.frags.Waiting > 4096 || j.frags.Waiting+j.frags.Evicted+j.frags.Expired != uint64(n) ||
		j.frags.Evicted == 0 {
		t.Errorf("%d waiting, %d evicted, %d expired of %d", j.frags.Waiting, j.frags.Evicted,
			j.frags.Expired, n)
	}
	if joined != n/1000 {
		t.Errorf("%d of %d datagrams were joined", joined, n/1000)
	}
}

// FuzzFragments divides a segment in every way: each joined packet is the segment, or its
// beginning. Each pair of bytes is a fragment: its offset and its length, whose last bit is the
// flag "more fragments".
func FuzzFragments(f *testing.F) {
	f.Add([]byte{0, 7, 3, 2})
	f.Add([]byte{3, 2, 0, 7, 0, 7})
	f.Add([]byte{0, 7, 2, 4, 3, 2})
	segment := segmentOf(ip4, data, fmt.Sprint(slices.Repeat([]int{1234567}, 40)))
	j := newJoiner()
	f.Fuzz(func(t *testing.T, program []byte) {
		fuzztime.Check(t, func() int {
			j.frags.Expire(1 << 62)
			var p wire.Packet
			for i := 0; i+1 < len(program); i += 2 {
				from := int(program[i]) % 32 * 8
				to := min(from+int(program[i+1]>>1)%8*8, len(segment))
				if from > to {
					continue
				}
				o := j.Decode(frame.Ethernet,
					pieces(ip4, segment, part{from, to, program[i+1]&1 != 0})[0], 0, &p)
				if o >= wire.Outcomes || j.frags.Waiting > 1 {
					t.Fatalf("%s, %d waiting", o, j.frags.Waiting)
				}
				if o == wire.Mail &&
					(p.SrcPort != 40000 || p.Seq != 8 ||
						!bytes.HasPrefix(segment[20:], p.Payload) || int(p.Len) != len(p.Payload)) {
					t.Fatalf("joined to %+v", p)
				}
			}
			return len(program) * len(segment)
		})
	})
}
