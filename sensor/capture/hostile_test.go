package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"spamsensor/bench/fuzztime"
	"spamsensor/sensor/frame"
)

// long reports whether tests may take minutes.
func long() bool { return os.Getenv("SPAMSENSOR_LONG") != "" }

func gz(w io.Writer) (io.WriteCloser, error)  { return gzip.NewWriter(w), nil }
func zst(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }
func xzw(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) }

var packers = map[string]func(io.Writer) (io.WriteCloser, error){"gz": gz, "zst": zst, "xz": xzw}

// repeated reads b n times.
type repeated struct {
	b []byte
	n int
	r bytes.Reader
}

func (r *repeated) Read(p []byte) (int, error) {
	for r.r.Len() == 0 {
		if r.n == 0 {
			return 0, io.EOF
		}
		r.n--
		r.r.Reset(r.b)
	}
	return r.r.Read(p)
}

// TestZeroBombs checks that a file that unpacks to a thousand times its size is read in constant
// memory. After the file header, zeros are empty records.
func TestZeroBombs(t *testing.T) {
	const part = 32 << 20
	total := int64(256 << 20)
	if long() {
		total = 10 << 30
	}
	if raceEnabled {
		total = 64 << 20
	}
	head, zeros := pcapBytes(le, 0xa1b2c3d4, 1), make([]byte, part)
	for name, pack := range packers {
		input := io.MultiReader(bytes.NewReader(packed(t, head, pack)),
			&repeated{b: packed(t, zeros, pack), n: int(total / part)})
		runtime.GC()
		var before, now runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		s, err := OpenFiles([]string{"-"}, FilesConfig{KnownLink: anyLink, Stdin: input})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		peak := uint64(0)
		for n := 0; ; n++ {
			_, err := s.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if n%256 == 0 {
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapAlloc-min(before.HeapAlloc, now.HeapAlloc))
			}
		}
		if got := s.Stats().Frames; got != uint64(total/16) {
			t.Errorf("%s: %d records, want %d", name, got, total/16)
		}
		s.Close()
		if peak > 64<<20 {
			t.Errorf("%s: %d MiB of memory for a bomb of %d MiB", name, peak>>20, total>>20)
		}
		t.Logf("R20: a bomb of %d MiB in %s took %d MiB and %.1f s (goal: constant, at most 64 "+
			"MiB)", total>>20, name, peak>>20, time.Since(began).Seconds())
	}
}

// setDictionary changes the dictionary size that the first block of an xz file asks for.
func setDictionary(t *testing.T, b []byte, code byte) []byte {
	t.Helper()
	b = slices.Clone(b)
	h := b[12 : 12+(int(b[12])+1)*4]
	at := bytes.Index(h, []byte{0x21, 1})
	if at < 0 {
		t.Fatal("no filter in the block's header")
	}
	h[at+2] = code
	le.PutUint32(h[len(h)-4:], crc32.ChecksumIEEE(h[:len(h)-4]))
	return b
}

// TestHostileCompression checks that the memory that a compressed file asks for is bounded, and
// that each fault of the file is an error.
func TestHostileCompression(t *testing.T) {
	plain := pcapBytes(le, 0xa1b2c3d4, 1, three...)
	flip := func(b []byte, at int) []byte {
		b = slices.Clone(b)
		b[(at+len(b))%len(b)] ^= 1
		return b
	}
	x, g := packed(t, plain, xzw), packed(t, plain, gz)
	// an xz file of many blocks of one byte, each with a dictionary of 64 MiB
	var small bytes.Buffer
	one := setDictionary(t, packed(t, []byte{0}, xzw), 28)
	for range 2000 {
		small.Write(one)
	}
	// A frame whose header asks for a window of 512 MiB (exponent 19), and one empty block.
	wide := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 19 << 3, 1, 0, 0}
	for _, c := range []struct {
		name   string
		b      []byte
		frames int
		reason string
	}{
		{"xz, dictionary of 4 GiB", setDictionary(t, x, 40), 0,
			"MiB of memory to unpack, and 64 are allowed"},
		{"xz, dictionary of 96 MiB", setDictionary(t, x, 29), 0, "takes 96 MiB"},
		{"xz, dictionary of 64 MiB", setDictionary(t, x, 28), 3, ""},
		{"xz, dictionaries for nothing",
			slices.Concat(packed(t, plain[:fileHeader], xzw), small.Bytes()), 0,
			"ask for large dictionaries"},
		{"xz, block header damaged", flip(x, 14), 0, "damaged"},
		{"xz, stream header damaged", flip(x, 7), 0, "damaged"},
		{"xz, footer damaged", flip(x, -1), 3, "damaged"},
		{"xz cut", x[:len(x)-20], 3, "ends inside"},
		{"xz twice, with padding",
			slices.Concat(x, make([]byte, 8), packed(t, plain[fileHeader:], xzw)), 6, ""},
		{"zst, window of 512 MiB", wide, 0, "window size exceeded"},
		{"zst cut", packed(t, plain, zst)[:30], 0, "the file ends"},
		{"gz, checksum damaged", flip(packed(t, plain, gz), -6), 3, "checksum"},
		{"gz, padded with zeros", slices.Concat(g, make([]byte, 700_000)), 3, ""},
		{"gz, two members", slices.Concat(g, packed(t, plain[fileHeader:], gz)), 6, ""},
		{"gz, zeros between two members",
			slices.Concat(g, make([]byte, 5), packed(t, plain[fileHeader:], gz)), 6, ""},
		{"gz, something behind it", slices.Concat(g, []byte("hello")), 3,
			"something that is not compressed follows"},
		{"gz, zeros and something behind it", slices.Concat(g, make([]byte, 512), []byte{7}), 3,
			"something that is not compressed follows"},
		{"gz, a cut member behind it", slices.Concat(g, g[:15]), 3, "the file ends"},
		{"gz, a member of one byte", slices.Concat(g, g[:1]), 3, "the file ends"},
		{"gz, a member that is damaged",
			slices.Concat(g, []byte{0x1f, 0x8b, 9, 0, 0, 0, 0, 0, 0, 0}), 3, "invalid header"},
		{"gz twice", packed(t, packed(t, plain, gz), gz), 0, "no capture file"},
		{"gz of text", packed(t, []byte("Dear reader, this is no capture"), gz), 0,
			"no capture file"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		s, err := OpenFiles([]string{"-"},
			FilesConfig{KnownLink: anyLink, Stdin: bytes.NewReader(c.b)})
		var lines []string
		errs := []error{err}
		if err == nil {
			lines, errs = readAll(t, s)
			s.Close()
		}
		runtime.ReadMemStats(&after)
		switch {
		case c.reason == "" && (len(lines) != c.frames || errs != nil):
			t.Errorf("%s: %d frames, %v", c.name, len(lines), errs)
		case c.reason != "" &&
			(len(errs) != 1 || !strings.Contains(errs[0].Error(), c.reason) ||
				!errors.Is(errs[0], io.ErrUnexpectedEOF)):
			t.Errorf("%s: %v, want %q", c.name, errs, c.reason)
		case c.reason != "" && len(lines) != c.frames:
			t.Errorf("%s: %d frames of a damaged file", c.name, len(lines))
		}
		// An xz file may ask for a gigabyte of dictionaries before its first byte is unpacked.
		if n := after.TotalAlloc - before.TotalAlloc; n > 1200<<20 ||
			time.Since(began) > time.Minute {
			t.Errorf("%s: %d MiB allocated in %v", c.name, n>>20, time.Since(began))
		}
	}
}

// TestXZIsChecked checks that a change of any byte of an xz file is an error, unless the contents
// stay the same.
func TestXZIsChecked(t *testing.T) {
	x := packed(t, pcapBytes(le, 0xa1b2c3d4, 1, three...), xzw)
	for at := range x {
		b := slices.Clone(x)
		b[at] ^= 0x10
		s, err := OpenFiles([]string{"-"},
			FilesConfig{KnownLink: anyLink, Stdin: bytes.NewReader(b)})
		if err != nil {
			continue
		}
		if lines, errs := readAll(t, s); errs == nil &&
			strings.Join(lines, ",") != "1000 one 1/4,2000 two 1/4,3000 three 1/6" {
			t.Errorf("byte %d of %d: nothing is noticed: %q", at, len(x), lines)
		}
		s.Close()
	}
}

// unpacked reads a compressed capture and returns the number of frames, and the errors.
func unpacked(t *testing.T, b []byte) (frames int, errs []error) {
	t.Helper()
	s, err := OpenFiles([]string{"-"}, FilesConfig{KnownLink: anyLink, Stdin: bytes.NewReader(b)})
	if err != nil {
		return 0, []error{err}
	}
	defer s.Close()
	lines, errs := readAll(t, s)
	return len(lines), errs
}

// TestEndsOfCompressedFiles checks that a wrong checksum, length or end mark is an error although
// all frames are read, and that a missing end is one, wherever the file is cut.
func TestEndsOfCompressedFiles(t *testing.T) {
	plain := pcapBytes(le, 0xa1b2c3d4, 1, three...)
	x := packed(t, plain, xzw)
	index := (int(le.Uint32(x[len(x)-8:])) + 1) * 4
	check := [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}[x[7]&15]
	if check == 0 {
		t.Fatal("the xz file has no checks")
	}
	z := packed(t, plain, zst)
	if z[4]&4 == 0 {
		t.Fatal("the zst file has no checksum")
	}
	for _, c := range []struct {
		name string
		b    []byte
		tail int // bytes after the contents
		read int // frames that are read nevertheless
		// zst returns the last 128 KiB after the checksum
	}{{"xz", x, 12 + index + check, 3}, {"gz", packed(t, plain, gz), 8, 3}, {"zst", z, 4, 0}} {
		if n, errs := unpacked(t, c.b); n != 3 || errs != nil {
			t.Fatalf("%s: %d frames, %v", c.name, n, errs)
		}
		for at := len(c.b) - c.tail; at < len(c.b); at++ {
			for bit := range 8 {
				b := slices.Clone(c.b)
				b[at] ^= 1 << bit
				if n, errs := unpacked(t, b); n != c.read || len(errs) != 1 ||
					!errors.Is(errs[0], io.ErrUnexpectedEOF) {
					t.Errorf("%s, bit %d of byte %d of %d: %d frames, %v", c.name, bit, at,
						len(c.b), n, errs)
				}
			}
		}
		for n := range len(c.b) {
			if frames, errs := unpacked(t, c.b[:n]); frames > 3 || len(errs) != 1 || n > 0 &&
				!errors.Is(errs[0], io.ErrUnexpectedEOF) {
				t.Errorf("%s, %d of %d bytes: %d frames, %v", c.name, n, len(c.b), frames, errs)
			}
		}
	}
}

// xzSaying is an xz file of one block with fields for the length of its contents (-1: no field) and
// the number of blocks, with right checksums.
func xzSaying(t *testing.T, contents []byte, size int64, blocks uint64) []byte {
	t.Helper()
	x := packed(t, contents, xzw)
	index := (int(le.Uint32(x[len(x)-8:])) + 1) * 4
	head := (int(x[12]) + 1) * 4
	block := x[12+head : len(x)-12-index]
	sealed := func(b []byte, pad int) []byte { // with padding and checksum
		for len(b)%4 != pad {
			b = append(b, 0)
		}
		return le.AppendUint32(b, crc32.ChecksumIEEE(b))
	}
	h := []byte{0, 0}
	if size >= 0 {
		h[1] = 0x80
		h = binary.AppendUvarint(h, uint64(size))
	}
	h = append(h, 0x21, 1, 22)
	for len(h)%4 != 0 {
		h = append(h, 0)
	}
	h[0] = byte(len(h) / 4)
	i := binary.AppendUvarint([]byte{0}, blocks)
	for range blocks {
		i = append(i, 20, 20)
	}
	i = sealed(i, 0)
	footer := append(le.AppendUint32(nil, uint32(len(i)/4-1)), x[6], x[7])
	footer = append(le.AppendUint32(nil, crc32.ChecksumIEEE(footer)), append(footer, "YZ"...)...)
	return slices.Concat(x[:12], sealed(h, 0), block, i, footer)
}

// TestXZThatLies checks that wrong sizes in an xz file are errors although their checksums are
// right.
func TestXZThatLies(t *testing.T) {
	plain := pcapBytes(le, 0xa1b2c3d4, 1, three...)
	n := int64(len(plain))
	for _, c := range []struct {
		name   string
		size   int64
		blocks uint64
		sound  bool
	}{
		{"nothing of its size", -1, 1, true}, {"its size", n, 1, true},
		{"one byte less", n - 1, 1, false}, {"one byte more", n + 1, 1, false},
		{"nothing in it", 0, 1, false},
		{"much more", 1 << 40, 1, false}, {"no block", -1, 0, false}, {"two blocks", -1, 2, false},
		{"blocks without end", -1, 1 << 20, false},
	} {
		frames, errs := unpacked(t, xzSaying(t, plain, c.size, c.blocks))
		if sound := errs == nil; sound != c.sound || frames != 3 {
			t.Errorf("%s: %d frames, %v", c.name, frames, errs)
		}
	}
}

// TestXZEndsAsItBegan checks that an xz stream whose footer differs from its header, with right
// checksums, is an error: two files were joined.
func TestXZEndsAsItBegan(t *testing.T) {
	x := packed(t, pcapBytes(le, 0xa1b2c3d4, 1, three...), xzw)
	footer := x[len(x)-12:]
	footer[9] ^= 1 // the type of check
	le.PutUint32(footer, crc32.ChecksumIEEE(footer[4:10]))
	if n, errs := unpacked(t, x); n != 3 || len(errs) != 1 ||
		!errors.Is(errs[0], io.ErrUnexpectedEOF) {
		t.Errorf("%d frames, %v", n, errs)
	}
}

// TestLyingRecordsAllocateNothing checks that a record with a wrong length does not allocate more
// memory than a sound file.
func TestLyingRecordsAllocateNothing(t *testing.T) {
	plain := pcapBytes(le, 0xa1b2c3d4, 1, three...)
	ng := slices.Concat(ngSectionBlock(le), ngInterfaceBlock(le, 1),
		ngPacketBlock(le, 0, 1e15, "one"), ngPacketBlock(le, 0, 1e15, "two"))
	allocated := func(b []byte, stream bool) uint64 {
		path := put(t, t.TempDir(), "capture", b)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		cfg, name := FilesConfig{KnownLink: anyLink}, path
		if stream {
			cfg.Stdin, name = bytes.NewReader(b), "-"
		}
		if s, err := OpenFiles([]string{name}, cfg); err == nil {
			for {
				if _, err := s.Next(); err == io.EOF {
					break
				}
			}
			s.Close()
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	most := uint64(0)
	for _, stream := range []bool{false, true} {
		for _, lie := range []uint32{maxCaplen + 1, 300_000, 1 << 30, 1<<31 - 1, 1 << 31, 1<<32 - 1,
			1<<32 - 16} {
			for _, c := range []struct {
				b  []byte
				at int
			}{{plain, 16}, {plain, 24 + 8}, {plain, 24 + 16 + 3 + 8}, {ng, 4}, {ng, 28 + 4},
				{ng, 28 + 20 + 4}, {ng, 28 + 20 + 20}, {ng, 28 + 20 + 36 + 4}} {
				b, at := c.b, c.at
				honest := allocated(b, stream)
				b = slices.Clone(b)
				le.PutUint32(b[at:], lie)
				if n := allocated(b, stream); n > honest+1<<20 {
					t.Errorf("%d at byte %d: %d bytes allocated, %d for a sound file", lie, at, n,
						honest)
				} else if n > honest {
					most = max(most, n-honest)
				}
			}
		}
	}
	t.Logf("R20: a lying length costs %d bytes of memory (goal: at most 1048576)", most)
}

// TestNamedPipe checks that a named pipe is read to its end, and that one that closes inside a
// record is partial.
func TestNamedPipe(t *testing.T) {
	plain := pcapBytes(le, 0xa1b2c3d4, 1, three...)
	for cutOff, want := range map[int]int{0: 3, 2: 2, 5 + 16 + 7: 1} {
		pipe := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Skip(err)
		}
		go func() {
			w, err := os.OpenFile(pipe, os.O_WRONLY, 0)
			if err != nil {
				return
			}
			defer w.Close()
			for _, c := range plain[:len(plain)-cutOff] { // one byte at a time
				w.Write([]byte{c})
			}
		}()
		lines, errs := readAll(t, open(t, anyLink, pipe))
		if len(lines) != want || (len(errs) == 1) != (cutOff > 0) || len(errs) > 1 {
			t.Errorf("without the last %d bytes: %q %v", cutOff, lines, errs)
		}
	}
}

// TestFilesThatChange checks that a file that replaces another after the check is not read as the
// other, and that a file that is still written is read up to its present end.
func TestFilesThatChange(t *testing.T) {
	for _, pack := range []func(io.Writer) (io.WriteCloser, error){nil, gz} {
		dir := t.TempDir()
		b := pcapBytes(le, 0xa1b2c3d4, 1, three...)
		if pack != nil {
			b = packed(t, b, pack)
		}
		path := put(t, dir, "capture", b)
		s := open(t, anyLink, path)
		os.Rename(put(t, dir, "next", b), path)
		if lines, errs := readAll(t, s); len(lines) != 0 || len(errs) != 1 ||
			!strings.Contains(errs[0].Error(), "taken its place") {
			t.Errorf("replaced: %q %v", lines, errs)
		}
		s = open(t, anyLink, path)
		os.Remove(path)
		if lines, errs := readAll(t, s); len(lines) != 0 || len(errs) != 1 ||
			!strings.Contains(errs[0].Error(), "no such file") {
			t.Errorf("removed: %q %v", lines, errs)
		}
	}
	b := manyFrames(2, 6<<20)
	path := put(t, t.TempDir(), "capture", b[:5<<20])
	s := open(t, anyLink, path)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	f.Write(b[5<<20:])
	f.Close()
	_, errs := readAll(t, s)
	whole := open(t, anyLink, put(t, t.TempDir(), "capture", b))
	readAll(t, whole)
	if got, want := s.Stats().Frames, whole.Stats().Frames; errs != nil || got != want {
		t.Errorf("grown: %d frames of %d, %v", got, want, errs)
	}
}

// TestPrefilterThatPanics checks that a prefilter that panics is not called again for the rest of
// the window, and that all frames are emitted, exactly once and in order, in every way of reading.
func TestPrefilterThatPanics(t *testing.T) {
	b := manyFrames(3, 18<<20)
	var ng []byte
	ng = append(ngSectionBlock(le), ngInterfaceBlock(le, 1)...)
	for i := range 20_000 {
		ng = append(ng, ngPacketBlock(le, 0, 1e15+uint64(i), strings.Repeat("x", i%100))...)
	}
	for name, b := range map[string][]byte{"pcap": b, "pcapng": ng} {
		path := put(t, t.TempDir(), "capture", b)
		for _, ahead := range []int{0, 2, 8} {
			for _, stream := range []bool{false, true} {
				count := func(skip func(frame.LinkType, []byte, int) (uint8, bool)) (frames, bytes uint64) {
					cfg, input := FilesConfig{KnownLink: anyLink,
						Prefilter: &frame.Prefilter{Skip: skip}}, path
					if stream {
						f, err := os.Open(path)
						if err != nil {
							t.Fatal(err)
						}
						defer f.Close()
						cfg.Stdin, input = f, "-"
					}
					s, err := OpenFiles([]string{input}, cfg)
					if err != nil {
						t.Fatal(err)
					}
					defer s.Close()
					readSums(t, s, ahead)
					return s.Stats().Frames, s.Stats().Bytes
				}
				frames, size := count(func(link frame.LinkType, data []byte, _ int) (uint8, bool) {
					return 1, len(data)%2 == 0
				})
				got, gotSize := count(func(link frame.LinkType, data []byte, _ int) (uint8, bool) {
					if len(data)%97 == 13 {
						panic("no")
					}
					return 1, len(data)%2 == 0
				})
				if got != frames || gotSize != size {
					t.Errorf("%s, %d at a time: %d frames and %d bytes, want %d and %d", name,
						ahead, got, gotSize, frames, size)
				}
			}
		}
	}
}

// FuzzFiles passes any bytes to the opener: it never panics, no more frames come out than bytes
// went in, and a file gives the same as a stream.
func FuzzFiles(f *testing.F) {
	plain := pcapBytes(le, 0xa1b2c3d4, 1, three...)
	f.Add(plain)
	f.Add(pcapBytes(be, 0xa1b23c4d, 1, three...))
	f.Add(slices.Concat(ngSectionBlock(le), ngInterfaceBlock(le, 1, 9, 0, 1, 0, 9, 0, 0, 0),
		ngPacketBlock(le, 0, 1e18, "one"), ngBlock(le, ngStatistics, make([]byte, 12))))
	f.Add(slices.Concat(ngSectionBlock(be), ngInterfaceBlock(be, 1),
		ngPacketBlock(be, 0, 1e15, "one"), ngSectionBlock(le), ngInterfaceBlock(le, 113),
		ngBlock(le, ngSimple, []byte{3, 0, 0, 0, 1, 2, 3})))
	for _, pack := range packers {
		var b bytes.Buffer
		w, _ := pack(&b)
		w.Write(plain)
		w.Close()
		f.Add(b.Bytes())
	}
	path := filepath.Join(f.TempDir(), "capture")
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztime.Check(t, func() int {
			unpacked := len(b) + 32<<10 // decompressors allocate some MiB at their start
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			read := func(name string) (frames []frame.Frame, errs []string) {
				s, err := OpenFiles([]string{name},
					FilesConfig{KnownLink: anyLink, Stdin: bytes.NewReader(b)})
				if err != nil {
					return nil, []string{strings.ReplaceAll(err.Error(), path, "standard input")}
				}
				defer s.Close()
				for size := 0; ; {
					batch, err := s.Next()
					for _, f := range batch.Frames {
						size += len(f.Data)
						f.Data = slices.Clone(f.Data)
						unpacked += 16 + len(f.Data)
						if frames = append(frames, f); len(frames) > 10_000 || size > 64<<20 {
							return nil, nil // the unpacked size may be anything
						}
					}
					if err == io.EOF {
						return frames, errs
					}
					if err != nil {
						if errs = append(errs,
							strings.ReplaceAll(err.Error(), path,
								"standard input")); len(errs) > 3 {
							t.Fatal("it never ends")
						}
					}
				}
			}
			stream, streamErrs := read("-")
			plain, plainErrs := read(path)
			if !slices.Equal(streamErrs, plainErrs) {
				t.Errorf("as a stream %q, as a file %q", streamErrs, plainErrs)
			}
			if !slices.EqualFunc(stream, plain, func(a, b frame.Frame) bool {
				return bytes.Equal(a.Data, b.Data) && a.Time == b.Time && a.Len == b.Len &&
					a.Link == b.Link
			}) {
				t.Errorf("as a stream %d frames, as a file %d", len(stream), len(plain))
			}
			return unpacked
		})
	})
}
