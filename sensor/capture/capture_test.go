package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcap"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"spamsensor/bench/corpus"
	"spamsensor/sensor/frame"
)

// record is a frame for a test file.
type record struct {
	at   int64
	data string
}

func pcapBytes(order binary.AppendByteOrder, magic uint32, link uint32, records ...record) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(order.AppendUint16(b, 2), 4)
	b = order.AppendUint32(append(b, 0, 0, 0, 0, 0, 0, 0, 0), 65535)
	b = order.AppendUint32(b, link)
	unit := int64(1000)
	if magic == 0xa1b23c4d {
		unit = 1
	}
	for _, r := range records {
		b = order.AppendUint32(b, uint32(r.at/1e9))
		b = order.AppendUint32(b, uint32(r.at%1e9/unit))
		b = order.AppendUint32(b, uint32(len(r.data)))
		b = append(order.AppendUint32(b, uint32(len(r.data)+1)), r.data...)
	}
	return b
}

// ngBlock is a pcapng block.
func ngBlock(order binary.AppendByteOrder, typ uint32, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	n := uint32(12 + len(body))
	b := order.AppendUint32(order.AppendUint32(nil, typ), n)
	return order.AppendUint32(append(b, body...), n)
}

func ngSectionBlock(order binary.AppendByteOrder) []byte {
	b := order.AppendUint32(nil, 0x1a2b3c4d)
	b = order.AppendUint16(order.AppendUint16(b, 1), 0)
	return ngBlock(order, ngSection, append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
}

func ngInterfaceBlock(order binary.AppendByteOrder, link frame.LinkType, options ...byte) []byte {
	b := order.AppendUint16(order.AppendUint16(nil, uint16(link)), 0)
	return ngBlock(order, ngInterface, append(order.AppendUint32(b, 0), options...))
}

func ngPacketBlock(order binary.AppendByteOrder, id uint32, ticks uint64, data string) []byte {
	b := order.AppendUint32(order.AppendUint32(nil, id), uint32(ticks>>32))
	b = order.AppendUint32(order.AppendUint32(b, uint32(ticks)), uint32(len(data)))
	return ngBlock(order, ngEnhanced, append(order.AppendUint32(b, uint32(len(data))), data...))
}

var (
	le, be = binary.LittleEndian, binary.BigEndian
	three  = []record{{1e18 + 1000, "one"}, {1e18 + 2000, "two"}, {1e18 + 3000, "three"}}
)

func anyLink(frame.LinkType) error { return nil }

func onlyEthernet(link frame.LinkType) error {
	if link != 1 {
		return fmt.Errorf("link type %d is not known", link)
	}
	return nil
}

func put(t *testing.T, dir, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readAll reads a source to its end and returns one line for each frame.
func readAll(t *testing.T, s *Files) (lines []string, errs []error) {
	t.Helper()
	for {
		b, err := s.Next()
		for _, f := range b.Frames {
			lines = append(lines,
				fmt.Sprintf("%d %s %d/%d", f.Time-1e18, f.Data, f.Link, f.Len))
		}
		if err == io.EOF {
			return lines, errs
		}
		if err != nil {
			if errs = append(errs, err); len(errs) > 10 {
				t.Fatal("it never ends")
			}
		}
	}
}

func open(t *testing.T, known func(frame.LinkType) error, names ...string) *Files {
	t.Helper()
	s, err := OpenFiles(names, FilesConfig{KnownLink: known})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func packed(t *testing.T, b []byte, pack func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := pack(&out)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func TestFormats(t *testing.T) {
	plain := pcapBytes(le, 0xa1b2c3d4, 1, three...)
	want := []string{"1000 one 1/4", "2000 two 1/4", "3000 three 1/6"}
	ng := func(order binary.AppendByteOrder, resolution ...byte) []byte {
		b := append(ngSectionBlock(order), ngBlock(order, 0x0bad, []byte("unknown"))...)
		b = append(b, ngInterfaceBlock(order, 1, resolution...)...)
		unit := uint64(1000)
		if len(resolution) > 0 {
			unit = 1
		}
		for _, r := range three {
			b = append(b, ngPacketBlock(order, 0, uint64(r.at)/unit, r.data)...)
		}
		return b
	}
	wantNG := []string{"1000 one 1/3", "2000 two 1/3", "3000 three 1/5"}
	for _, c := range []struct {
		name string
		b    []byte
		want []string
	}{
		{"little-endian", plain, want},
		{"big-endian", pcapBytes(be, 0xa1b2c3d4, 1, three...), want},
		{"nanoseconds", pcapBytes(le, 0xa1b23c4d, 1, three...), want},
		{"nanoseconds, big-endian", pcapBytes(be, 0xa1b23c4d, 1, three...), want},
		{"frame check sequence length", pcapBytes(le, 0xa1b2c3d4, 1|0x50000000, three...), want},
		{"pcapng", ng(le), wantNG},
		{"pcapng, big-endian", ng(be), wantNG},
		{"pcapng, nanoseconds", ng(le, 9, 0, 1, 0, 9, 0, 0, 0), wantNG},
		{"gzip", packed(t, plain,
			func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }), want},
		{"zstd", packed(t, plain,
			func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }), want},
		{"zstd behind what is to be skipped",
			append([]byte("\x5f\x2a\x4d\x18\x03\x00\x00\x00abc"), packed(t, plain, zst)...), want},
		{"xz", packed(t, plain,
			func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) }), want},
	} {
		path := put(t, t.TempDir(), "capture", c.b)
		s := open(t, anyLink, path)
		got, errs := readAll(t, s)
		if !slices.Equal(got, c.want) || errs != nil {
			t.Errorf("%s: %q %v", c.name, got, errs)
		}
		if st := s.Stats(); st.Frames != 3 || st.Bytes != 11 || st.BytesRead != uint64(len(c.b)) ||
			st.BytesTotal != st.BytesRead {
			t.Errorf("%s: %+v", c.name, st)
		}
		s, err := OpenFiles([]string{"-"},
			FilesConfig{KnownLink: anyLink, Stdin: bytes.NewReader(c.b)})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := readAll(t, s); !slices.Equal(got, c.want) {
			t.Errorf("%s from standard input: %q", c.name, got)
		}
	}
}

// TestPcapngInterfaces checks that the interfaces of one pcapng file can differ, and that a second
// section starts without interfaces.
func TestPcapngInterfaces(t *testing.T) {
	b := slices.Concat(ngSectionBlock(le), ngInterfaceBlock(le, 1),
		ngInterfaceBlock(le, 113, 9, 0, 1, 0, 0x8a, 0, 0, 0),
		ngPacketBlock(le, 0, 1e15, "a"), ngPacketBlock(le, 1, 1e9<<10, "b"),
		ngSectionBlock(be), ngInterfaceBlock(be, 101), ngPacketBlock(be, 0, 1e15+5, "c"))
	s := open(t, anyLink, put(t, t.TempDir(), "capture", b))
	want := []string{"0 a 1/1", "0 b 113/1", "5000 c 101/1"}
	if got, errs := readAll(t, s); !slices.Equal(got, want) || errs != nil {
		t.Errorf("%q %v", got, errs)
	}
	statistics := ngBlock(le, ngStatistics,
		slices.Concat(make([]byte, 12),
			[]byte{5, 0, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 7, 0, 8, 0, 9, 0, 0, 0, 0, 0, 0, 0}))
	s = open(t, anyLink,
		put(t, t.TempDir(), "capture",
			slices.Concat(ngSectionBlock(le), ngInterfaceBlock(le, 1),
				ngPacketBlock(le, 0, 1e15, "a"),
				statistics, statistics)))
	readAll(t, s)
	if st := s.Stats(); st.InterfaceDrops != 7 || st.KernelDrops != 9 {
		t.Errorf("the capturing program's drops: %+v", st)
	}
}

// TestTimescale checks that times of an interface are exact or refused, for every resolution,
// offset and tick.
func TestTimescale(t *testing.T) {
	const last = uint64(endOfTime)*1e9 - 1
	for _, c := range []struct {
		what  string
		scale timescale
		ticks uint64
		want  int64 // -1 means refused
	}{
		{"microseconds", timescale{exp: 6}, 1e15 + 1, 1e18 + 1000},
		{"seconds", timescale{exp: 0}, 1e9, 1e18},
		{"nanoseconds", timescale{exp: 9}, 1e18 + 1, 1e18 + 1},
		{"picoseconds", timescale{exp: 12}, 1<<64 - 1, 18446744073709551},
		{"10^-19 s", timescale{exp: 19}, 1<<64 - 1, 1844674407},
		{"10^-20 s", timescale{exp: 20}, 1<<64 - 1, 184467440},
		{"10^-28 s", timescale{exp: 28}, 1<<64 - 1, 1},
		{"10^-29 s", timescale{exp: 29}, 1<<64 - 1, 0},
		{"10^-127 s", timescale{exp: 127}, 1<<64 - 1, 0},
		{"2^-0 s", timescale{exp: 0, binary: true}, 1e9, 1e18},
		{"2^-10 s", timescale{exp: 10, binary: true}, 1e9<<10 | 512, 1e18 + 5e8},
		{"2^-63 s", timescale{exp: 63, binary: true}, 3 << 62, 1_500_000_000},
		{"2^-64 s", timescale{exp: 64, binary: true}, 1 << 63, 500_000_000},
		{"2^-65 s", timescale{exp: 65, binary: true}, 1 << 63, 250_000_000},
		{"2^-127 s", timescale{exp: 127, binary: true}, 1<<64 - 1, 0},
		{"the first nanosecond", timescale{exp: 9}, 0, 0},
		{"the last nanosecond", timescale{exp: 9}, last, int64(last)},
		{"one later", timescale{exp: 9}, last + 1, -1},
		{"beyond 63 bits", timescale{exp: 9}, 1 << 63, -1},
		{"beyond 64 bits", timescale{exp: 0}, 1<<64 - 1, -1},
		{"the last microsecond", timescale{exp: 6}, uint64(endOfTime)*1e6 - 1, int64(last) - 999},
		{"a microsecond later", timescale{exp: 6}, uint64(endOfTime) * 1e6, -1},
		{"all ticks set", timescale{exp: 6}, 1<<64 - 1, -1},
		{"an offset", timescale{exp: 6, offset: 100}, 1e6 + 1, 101_000_001_000},
		{"an offset to 1970", timescale{exp: 6, offset: -1e9}, 1e15, 0},
		{"an offset to 1969", timescale{exp: 6, offset: -1e9}, 1e15 - 1, -1},
		{"an offset to the end", timescale{exp: 6, offset: endOfTime - 1}, 999_999,
			int64(last) - 999},
		{"an offset beyond the end", timescale{exp: 6, offset: endOfTime - 1}, 1e6, -1},
		{"the lowest offset", timescale{exp: 6, offset: math.MinInt64}, 1e15, -1},
		{"the lowest offset, outweighed", timescale{exp: 0, offset: math.MinInt64}, 1<<63 + 7, 7e9},
		{"the highest offset", timescale{exp: 6, offset: math.MaxInt64}, 1e15, -1},
		{"an offset that wraps", timescale{exp: 0, offset: math.MaxInt64}, 1<<64 - 1, -1},
	} {
		ns, ok := c.scale.nanoseconds(c.ticks)
		if !ok {
			ns = -1
		}
		if ns != c.want {
			t.Errorf("%s: %d, want %d", c.what, ns, c.want)
		}
	}
}

// TestUntimedFrames checks that frames whose time cannot be represented are counted and left out,
// that all other frames of that file and of the others are emitted, and that the input counts as
// partly unreadable.
func TestUntimedFrames(t *testing.T) {
	offset := func(sec int64) []byte { return le.AppendUint64([]byte{14, 0, 8, 0}, uint64(sec)) }
	beyond := slices.Concat(ngSectionBlock(le), ngInterfaceBlock(le, 1, offset(-1e10)...),
		ngInterfaceBlock(le, 1),
		ngPacketBlock(le, 0, 1e15, "x"), ngPacketBlock(le, 1, 1e15, "a"),
		ngPacketBlock(le, 0, 1e15, "yy"),
		ngPacketBlock(le, 1, 1<<63, "z"), ngPacketBlock(le, 1, 1e15+5, "c"))
	none := slices.Concat(ngSectionBlock(le), ngInterfaceBlock(le, 1, offset(1e10)...),
		ngPacketBlock(le, 0, 1e15, "only"))
	// no frame in the first window
	late := slices.Concat(ngSectionBlock(le), ngInterfaceBlock(le, 1),
		slices.Repeat(ngBlock(le, 0x0bad, make([]byte, 1<<20)), 9),
		ngPacketBlock(le, 0, 1e15+9, "d"))
	dir := t.TempDir()
	put(t, dir, "1", beyond)
	put(t, dir, "2", none)
	put(t, dir, "3", pcapBytes(le, 0xa1b23c4d, 1, record{1e18 + 3000, "b"}))
	put(t, dir, "4", late)
	put(t, dir, "5", append(slices.Clone(beyond[:len(beyond)-36]), 9, 9, 9)) // cut as well
	s, err := OpenFiles([]string{dir}, FilesConfig{KnownLink: anyLink, Untimed: 63})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var left uint64
	var got, said []string
	for {
		b, err := s.Next()
		left += b.Skipped[63]
		for _, f := range b.Frames {
			got = append(got, fmt.Sprintf("%d %s", f.Time-1e18, f.Data))
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			said = append(said, strings.TrimPrefix(err.Error(), dir))
		}
	}
	slices.Sort(said)
	times := "frames were left out: their times lie before 1970-01-01 or after 2262-04-10"
	if want := []string{"0 a", "0 a", "3000 b", "5000 c", "9000 d"}; !slices.Equal(got, want) {
		t.Errorf("given: %q, want %q", got, want)
	}
	if want := []string{"/1: 3 of its " + times, "/2: 1 of its " + times, "/5: 3 of its " + times,
		"/5: the file ends inside a block header (byte 224); the 1 frames before it were read"}; !slices.Equal(said, want) {
		t.Errorf("said: %q, want %q", said, want)
	}
	if st := s.Stats(); left != 7 || st.Untimed != 7 || st.Frames != 12 || st.Bytes != 17 {
		t.Errorf("%d left out: %+v", left, st)
	}
	// A long part without a frame is progress.
	var steps atomic.Uint64
	if s, err = OpenFiles([]string{filepath.Join(dir, "4")},
		FilesConfig{KnownLink: anyLink, Untimed: 63, Steps: &steps}); err != nil {
		t.Fatal(err)
	}
	opened := steps.Load()
	s.Next()
	if read := steps.Load() - opened; opened < 9 || read < 9 {
		t.Errorf("%d steps to open 9 MiB without a frame, %d to read them", opened, read)
	}
	s.Close()
	// The same from a stream, which can be read once.
	s, err = OpenFiles([]string{"-"},
		FilesConfig{KnownLink: anyLink, Untimed: 63, Stdin: bytes.NewReader(none)})
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Next()
	if err != nil || b.Skipped[63] != 1 || !b.Round {
		t.Errorf("a stream: %d, %v", b.Skipped[63], err)
	}
	if _, err := s.Next(); err == nil || err == io.EOF {
		t.Errorf("a stream: %v", err)
	}
}

// TestDamage checks that all frames before a damage are emitted, and that the error names its
// place.
func TestDamage(t *testing.T) {
	plain := pcapBytes(le, 0xa1b2c3d4, 1, three...)
	patched := func(at int, v uint32) []byte {
		b := slices.Clone(plain)
		le.PutUint32(b[at:], v)
		return b
	}
	second := 24 + 16 + 3 // offset of the second record
	ng := slices.Concat(ngSectionBlock(le), ngInterfaceBlock(le, 1),
		ngPacketBlock(le, 0, 1e15, "one"))
	lie := slices.Clone(ngPacketBlock(le, 0, 1e15, "two"))
	le.PutUint32(lie[4:], 0xfffffff0)
	foot := slices.Clone(ngPacketBlock(le, 0, 1e15, "two"))
	le.PutUint32(foot[len(foot)-4:], 12)
	caplen := slices.Clone(ngPacketBlock(le, 0, 1e15, "two"))
	le.PutUint32(caplen[20:], 5000)
	for _, c := range []struct {
		name   string
		b      []byte
		frames int
		reason string
	}{
		{"empty", nil, 0, "empty"},
		{"text", []byte("Dear reader, this is no capture"), 0, "no capture file"},
		{"header cut", plain[:10], 0, "inside its header"},
		{"record header cut", plain[:second+7], 1, "inside a record header"},
		{"record cut", plain[:second+17], 1, "inside a record: 1 of 3 bytes"},
		{"huge record", patched(second+8, 0xffffffff), 1, "claims 4294967295 bytes"},
		{"2 GiB record", patched(second+8, 0x7fffffff), 1, "claims 2147483647 bytes"},
		{"version 9", patched(4, 9), 0, "version 9.0"},
		{"other link type", patched(20, 147), 0, "link type 147"},
		{"gzip cut", packed(t, plain,
			func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil })[:40], 0,
			"ends inside"},
		{"pcapng, length lie", append(slices.Clone(ng), lie...), 1,
			"claims a length of 4294967280"},
		{"pcapng, head and foot differ", append(slices.Clone(ng), foot...), 1,
			"by its head and 12 by its foot"},
		{"pcapng, packet beyond its block", append(slices.Clone(ng), caplen...), 1,
			"claims 5000 bytes"},
		{"pcapng, unknown interface",
			append(slices.Clone(ng), ngPacketBlock(le, 7, 1e15, "two")...), 1, "names interface 7"},
		{"pcapng, no interface",
			slices.Concat(ngSectionBlock(le), ngPacketBlock(le, 0, 1e15, "one")), 0,
			"names interface 0"},
		{"pcapng cut", ng[:len(ng)-5], 0, "inside a block"},
		{"pcapng, only unknown links",
			slices.Concat(ngSectionBlock(le), ngInterfaceBlock(le, 147),
				ngPacketBlock(le, 0, 1e15, "one")), 1, "link type 147"},
	} {
		path := put(t, t.TempDir(), "capture", c.b)
		s, err := OpenFiles([]string{path}, FilesConfig{KnownLink: onlyEthernet})
		var lines []string
		errs := []error{err}
		if err == nil {
			lines, errs = readAll(t, s)
		}
		if len(lines) != c.frames || len(errs) != 1 ||
			!strings.Contains(errs[0].Error(), c.reason) ||
			!strings.Contains(errs[0].Error(), path) {
			t.Errorf("%s: %d frames, %v; want %d and %q", c.name, len(lines), errs, c.frames,
				c.reason)
		}
		if !errors.Is(errs[0], io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v is no partial input", c.name, errs[0])
		}
	}
	for at, v := range map[int]uint32{16: 0xffffffff, 17: 0} { // snapshot lengths without a meaning
		b := patched(16, v)
		if got, errs := readAll(t,
			open(t, anyLink, put(t, t.TempDir(), "capture", b))); len(got) != 3 || errs != nil {
			t.Errorf("snapshot length %d: %q %v (%d)", v, got, errs, at)
		}
	}
	late := pcapBytes(le, 0xa1b2c3d4, 1, three...)
	le.PutUint32(late[28:], 1_500_000)
	s := open(t, anyLink, put(t, t.TempDir(), "capture", late))
	if readAll(t, s); s.Stats().BadTimes != 1 {
		t.Errorf("1.5 million microseconds: %+v", s.Stats())
	}
}

// TestManyFiles checks that files come in the order of their times and are merged where they
// overlap, that files in a directory that are no captures are skipped, and that one damaged file
// does not hide the others.
func TestManyFiles(t *testing.T) {
	dir := t.TempDir()
	at := func(names ...string) (list []record) {
		for _, n := range names {
			list = append(list, record{1e18 + int64(n[0]-'0')*1000, n})
		}
		return list
	}
	put(t, dir, "b.pcap", pcapBytes(le, 0xa1b2c3d4, 1, at("2b", "4b", "6b")...))
	put(t, dir, "a.pcap", pcapBytes(le, 0xa1b2c3d4, 1, at("3a", "5a")...))
	put(t, dir, "z-first.pcap", pcapBytes(be, 0xa1b23c4d, 1, at("0z", "1z")...))
	put(t, dir, "y-last.pcap", pcapBytes(le, 0xa1b2c3d4, 1, at("7y", "8y")...))
	put(t, dir, "empty.pcap", pcapBytes(le, 0xa1b2c3d4, 1))
	put(t, dir, "notes.txt", []byte("captures of monday"))
	cut := pcapBytes(le, 0xa1b2c3d4, 1, at("9c", "9d")...)
	put(t, dir, "cut.pcap", cut[:len(cut)-1])
	for _, size := range []int{1, 3, 100} {
		s := open(t, anyLink, dir)
		lines, errs := readAll(t, s)
		var got string
		for _, l := range lines {
			got += strings.Fields(l)[1] + " "
		}
		if got != "0z 1z 2b 3a 4b 5a 6b 7y 8y 9c " {
			t.Errorf("%d at a time: %s", size, got)
		}
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), "cut.pcap") {
			t.Errorf("errors: %v", errs)
		}
		if st := s.Stats(); st.Frames != 10 || st.Errors != 1 {
			t.Errorf("%+v", st)
		}
	}
	for _, c := range []struct{ name, want string }{{filepath.Join(dir, "nowhere"), "no such file"},
		{t.TempDir(), "holds no capture"}} {
		_, err := OpenFiles([]string{c.name}, FilesConfig{KnownLink: anyLink})
		var missing *NoInputError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestLongRecords checks records that are longer than the rest of a read buffer, up to the longest
// possible record.
func TestLongRecords(t *testing.T) {
	var records []record
	for i, n := range []int{0, 1, 70000, maxCaplen, 5, maxCaplen - 1, 200000, 3} {
		records = append(records,
			record{1e18 + int64(i)*1000, strings.Repeat(string(rune('a'+i)), n)})
	}
	var ng []byte
	ng = append(ngSectionBlock(le), ngInterfaceBlock(le, 1)...)
	for _, r := range records {
		ng = append(ng, ngPacketBlock(le, 0, uint64(r.at/1000), r.data)...)
		ng = append(ng, ngBlock(le, 0x0bad, make([]byte, len(r.data)))...)
	}
	for name, b := range map[string][]byte{"pcap": pcapBytes(le, 0xa1b2c3d4, 1, records...),
		"pcapng": ng} {
		s := open(t, anyLink, put(t, t.TempDir(), "capture", b))
		var lengths []int
		for {
			batch, err := s.Next()
			for _, f := range batch.Frames {
				lengths = append(lengths, len(f.Data))
				for _, c := range f.Data {
					if int(c-'a') != len(lengths)-1 {
						t.Fatalf("%s: record %d holds another's bytes", name, len(lengths)-1)
					}
				}
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(lengths, []int{0, 1, 70000, maxCaplen, 5, maxCaplen - 1, 200000, 3}) {
			t.Errorf("%s: %v", name, lengths)
		}
	}
}

// manyFrames is a capture of several windows. Some frames hold the records of another capture, with
// plausible headers, at any offset: a goroutine that resynchronizes may take them for the beginning
// of its part.
func manyFrames(seed uint64, size int) []byte {
	rng := rand.New(rand.NewPCG(seed, 0))
	at := int64(1e18)
	next := func(data string) record {
		at += rng.Int64N(1e6) * 1000
		return record{at, data}
	}
	text := func(n int) string { return strings.Repeat(string(rune('a'+rng.IntN(26))), n) }
	b := pcapBytes(le, 0xa1b2c3d4, 1)
	for len(b) < size {
		r := next(text(rng.IntN(100)))
		switch rng.IntN(20) {
		case 0:
			r.data = text(1400)
		case 1:
			r.data = text(rng.IntN(70_000))
		case 2, 3:
			var inner []record
			for range rng.IntN(600) {
				inner = append(inner, next(text(rng.IntN(80))))
			}
			r.data = text(rng.IntN(30)) + string(pcapBytes(le, 0xa1b2c3d4, 1,
				inner...)[fileHeader:]) + text(rng.IntN(50))
		}
		b = append(b, pcapBytes(le, 0xa1b2c3d4, 1, r)[fileHeader:]...)
	}
	return b
}

// readWindows reads windows side by side, and returns a copy of the frames of each.
func readWindows(windows []*Window) [][]frame.Frame {
	frames := make([][]frame.Frame, len(windows))
	var group sync.WaitGroup
	for i, w := range windows {
		group.Go(func() {
			for list := w.Next(); list != nil; list = w.Next() {
				for _, f := range list {
					f.Data = slices.Clone(f.Data)
					frames[i] = append(frames[i], f)
				}
			}
		})
	}
	group.Wait()
	return frames
}

// readSums reads a source to its end and returns a hash of everything that it reports, at the end
// of each window. With ahead it reads as many windows at a time, and returns how many it took.
func readSums(t *testing.T, s *Files, ahead int) (sums []string, taken int) {
	t.Helper()
	h := fnv.New64a()
	var skipped [frame.Classes]uint64
	var first, last int64
	var windows []*Window
	var ofWindows [][]frame.Frame
	for {
		var b *Batch
		var err error
		var frames []frame.Frame
		if len(windows) == 0 {
			windows = s.Windows(ahead)
			ofWindows = readWindows(windows)
		}
		if len(windows) > 0 && s.Follows(windows[0]) {
			b, frames = s.Take(windows[0]), ofWindows[0]
			windows, ofWindows = windows[1:], ofWindows[1:]
			taken++
		} else {
			windows = nil
			b, err = s.Next()
			frames = b.Frames
		}
		for _, f := range frames {
			fmt.Fprintf(h, "%d %d %d %d %d\n", f.Time, f.Len, len(f.Data), f.Link, f.From)
			h.Write(f.Data)
		}
		for i, n := range b.Skipped {
			skipped[i] += n
		}
		if b.First != 0 {
			if first == 0 {
				first = b.First
			}
			first, last = min(first, b.First), max(last, b.Last)
		}
		if b.End || err != nil {
			st := s.Stats()
			st.BytesRead, st.BytesTotal = 0, 0
			sums = append(sums,
				fmt.Sprintf("%x %v %d %d %+v %v", h.Sum64(), skipped[:3], first, last, st, err))
		}
		if err == io.EOF {
			return sums, taken
		}
	}
}

// TestEveryWayOfReading checks that a file gives the same frames in every way of reading: by any
// number of goroutines, from a stream, compressed, and with its end cut off.
func TestEveryWayOfReading(t *testing.T) {
	prefilter := &frame.Prefilter{Skip: func(_ frame.LinkType, data []byte, _ int) (uint8, bool) {
		return uint8(len(data) % 3), len(data)%5 < 3
	}}
	for seed := range uint64(4) {
		b := manyFrames(seed, 18<<20)
		if seed > 0 {
			b = b[:len(b)-int(seed)*7]
		}
		path := put(t, t.TempDir(), "capture", b)
		read := func(cfg FilesConfig, name string, ahead int) []string {
			cfg.KnownLink = anyLink
			s, err := OpenFiles([]string{name}, cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			sums, taken := readSums(t, s, ahead)
			if name != "-" && (taken > 0) != (ahead > 1) {
				t.Errorf("%d windows are read at a time, %d of them are taken", ahead, taken)
			}
			return sums
		}
		for _, filter := range []*frame.Prefilter{nil, prefilter} {
			want := read(FilesConfig{Prefilter: filter}, path, 0)
			if len(want) < 5 {
				t.Fatalf("%d windows", len(want))
			}
			for _, ahead := range []int{2, 3, 8} {
				if got := read(FilesConfig{Prefilter: filter}, path, ahead); !slices.Equal(got, want) {
					t.Errorf("seed %d: %d windows at a time\n%q and one\n%q", seed, ahead, got, want)
				}
			}
			small := read(FilesConfig{Prefilter: filter, Window: 1 << 20}, path, 0)
			if ahead := read(FilesConfig{Prefilter: filter, Window: 1 << 20}, path, 3); len(small) < 3*len(want) || !slices.Equal(ahead, small) {
				t.Errorf("seed %d: windows of 1 MiB: %d, of 4 MiB: %d; three at a time\n%q and one\n%q", seed, len(small), len(want), ahead, small)
			}
			if filter != nil {
				continue // what is read of a stream to learn its first frame is not filtered
			}
			for i := range want {
				want[i] = strings.ReplaceAll(want[i], path, "standard input")
			}
			got := read(FilesConfig{Stdin: bytes.NewReader(b)}, "-", 2)
			if !slices.Equal(got, want) {
				t.Errorf("seed %d: from a stream\n%s\nfrom a file\n%s", seed,
					strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// TestShrinks checks that a file that is truncated while it is read, as by rotation, gives the
// frames that are left.
func TestShrinks(t *testing.T) {
	b := manyFrames(1, 13<<20)
	path := put(t, t.TempDir(), "capture", b)
	s := open(t, anyLink, path)
	if _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 6<<20); err != nil {
		t.Fatal(err)
	}
	var errs []error
	for len(errs) < 10 {
		_, err := s.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) != 1 || s.Stats().Bytes < 5<<20 {
		t.Errorf("%v, %d bytes read", errs, s.Stats().Bytes)
	}
}

func TestNoAllocationPerFrame(t *testing.T) {
	path := put(t, t.TempDir(), "capture", manyFrames(1, 24<<20))
	s := open(t, anyLink, path)
	s.Next()
	s.Next()
	if n := testing.AllocsPerRun(100, func() { s.Next() }); n > 0 {
		t.Errorf("%v allocations for a batch", n)
	}
}

// TestFilter checks that the kernel's filter compiles for every link type of live capture, and
// keeps the packets that plain `tcp port 25` loses.
func TestFilter(t *testing.T) {
	ports := []uint16{25, 465, 587, 2525}
	for _, link := range []layers.LinkType{layers.LinkTypeEthernet, layers.LinkTypeLinuxSLL, 12,
		layers.LinkTypeNull, layers.LinkTypePPP} {
		if _, err := pcap.CompileBPFFilter(link, 65536,
			Filter(frame.LinkType(link), ports)); err != nil {
			t.Errorf("%s: %v", link, err)
		}
	}
	frames := corpus.Path(t, "kernel", "frames.pcap")
	h, err := pcap.OpenOffline(frames)
	if err != nil {
		t.Skipf("the kernel's frames are not here: %v", err)
	}
	defer h.Close()
	if err := h.SetBPFFilter(Filter(1, ports)); err != nil {
		t.Fatal(err)
	}
	kept := 0
	for {
		if _, _, err := h.ReadPacketData(); err != nil {
			break
		}
		kept++
	}
	all, err := OpenFiles([]string{frames}, FilesConfig{KnownLink: anyLink})
	if err != nil {
		t.Fatal(err)
	}
	lines, _ := readAll(t, all)
	t.Logf("the filter keeps %d of %d hostile frames", kept, len(lines))
	if kept != len(lines) {
		t.Errorf("the filter loses %d of %d frames", len(lines)-kept, len(lines))
	}
}

func TestInterfaces(t *testing.T) {
	list, err := Interfaces()
	if err != nil || len(list) == 0 {
		t.Fatalf("%v %v", list, err)
	}
	if _, err := OpenLive(LiveConfig{Interface: "no-such-if", Ports: []uint16{25}}); !errors.Is(err,
		ErrNoInterface) || !strings.Contains(err.Error(), "there are: ") {
		t.Errorf("%v", err)
	}
}
