package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"spamsensor/sensor/frame"
)

// openStream opens a stream of a reader.
func openStream(t *testing.T, r io.Reader) *Stream {
	t.Helper()
	s := OpenStream(StreamConfig{Name: "it", Reader: r, KnownLink: onlyEthernet})
	t.Cleanup(func() { s.Close() })
	return s
}

// linesOf are the frames of a batch, as text.
func linesOf(b *Batch) (lines []string) {
	for _, f := range b.Frames {
		lines = append(lines, fmt.Sprintf("%d %s %d/%d", f.Time-1e18, f.Data, f.Link, f.Len))
	}
	return lines
}

// readStream reads a stream to its end.
func readStream(s *Stream) (lines []string, err error) {
	for {
		b, err := s.Next()
		if lines = append(lines, linesOf(b)...); err != nil {
			return lines, err
		}
	}
}

// TestStreamFormats reads every form of a capture as a stream: in one piece, and byte by byte.
func TestStreamFormats(t *testing.T) {
	want := []string{"1000 one 1/4", "2000 two 1/4", "3000 three 1/6"} // as pcapBytes writes them
	nanoseconds := []byte{0, 9, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0}
	ng := slices.Concat(ngSectionBlock(be), ngInterfaceBlock(be, 1), ngInterfaceBlock(be, 101, nanoseconds...),
		ngPacketBlock(be, 0, 1e15+1, "one"), ngPacketBlock(be, 1, 1e18+2000, "two"), ngBlock(be, 0xbad, []byte("skipped")),
		ngPacketBlock(be, 0, 1e15+3, "three"))
	for _, c := range []struct {
		name string
		b    []byte
		want []string
	}{
		{"little-endian", pcapBytes(le, 0xa1b2c3d4, 1, three...), want},
		{"big-endian", pcapBytes(be, 0xa1b2c3d4, 1, three...), want},
		{"nanoseconds", pcapBytes(be, 0xa1b23c4d, 1, three...), want},
		{"pcapng, two interfaces of two link types", ng,
			[]string{"1000 one 1/3", "2000 two 101/3", "3000 three 1/5"}},
	} {
		for _, r := range []io.Reader{bytes.NewReader(c.b), byteByByte{bytes.NewReader(c.b)}} {
			s := OpenStream(StreamConfig{Name: "it", Reader: r, KnownLink: anyLink})
			got, err := readStream(s)
			e := new(StreamError)
			if !errors.As(err, &e) || e.Fault != nil || e.Frames != 3 || err.Error() != "the stream on it has ended after 3 frames" {
				t.Errorf("%s: %v", c.name, err)
			}
			if n := s.Stats(); !slices.Equal(got, c.want) || n.Frames != 3 || n.Errors != 0 || n.BytesRead != uint64(len(c.b)) {
				t.Errorf("%s: %q, want %q; %+v", c.name, got, c.want, n)
			}
		}
	}
}

// byteByByte is a reader whose calls return a byte each.
type byteByByte struct{ r io.Reader }

func (b byteByByte) Read(p []byte) (int, error) { return b.r.Read(p[:1]) }

// TestStreamIsLive feeds a pipe slowly: a frame is returned within 100 ms of its last byte, also
// when it came in two parts, and silence is an empty batch.
func TestStreamIsLive(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s := openStream(t, r)
	b := pcapBytes(le, 0xa1b2c3d4, 1, three...)
	at := fileHeader
	w.Write(b[:at])
	for i, r := range three {
		end := at + 16 + len(r.data)
		w.Write(b[at : end-2])
		for range 2 {
			if b, err := s.Next(); err != nil || len(b.Frames) > 0 {
				t.Fatalf("frame %d is not whole yet: %v %v", i, linesOf(b), err)
			}
		}
		began := time.Now()
		w.Write(b[end-2 : end])
		got, err := s.Next()
		took := time.Since(began)
		if l := linesOf(got); err != nil || len(l) != 1 || !strings.Contains(l[0], r.data) || took > 100*time.Millisecond {
			t.Errorf("frame %d: %q %v, after %v", i, l, err, took)
		}
		at = end
	}
}

// TestStreamEnds checks the error of each kind of end, and that the frames before it are returned.
func TestStreamEnds(t *testing.T) {
	whole := pcapBytes(le, 0xa1b2c3d4, 1, three...)
	long := slices.Clone(whole)
	le.PutUint32(long[fileHeader+16+3+8:], 1<<30)
	for _, c := range []struct {
		name   string
		b      []byte
		frames int
		none   bool // no capture
		errs   uint64
		want   string
	}{
		{"nothing", nil, 0, false, 1, "has ended before a capture began"},
		{"a cut header", whole[:20], 0, false, 1, "it was cut inside its header (byte 20)"},
		{"no frame", whole[:fileHeader], 0, false, 0, "has ended after 0 frames"},
		{"a cut record", whole[:len(whole)-1], 2, false, 1, "after 2 frames: it was cut inside a record: 4 of 5 bytes are there"},
		{"a cut record header", whole[:fileHeader+16+3+7], 1, false, 1, "it was cut inside a record header"},
		{"a record of 1 GiB", long, 1, false, 1, "a record claims 1073741824 bytes"},
		{"text", []byte("Welcome to gw\n"), 0, true, 1, "it: this is no capture file (pcap or pcapng), but text\n  a capture comes"},
		{"gzip", packed(t, whole, gz), 0, true, 1, "the capture is compressed; decompress it on its way"},
		{"another link type", pcapBytes(le, 0xa1b2c3d4, 9, three...), 0, true, 1, "link type 9 is not known"},
	} {
		s := openStream(t, bytes.NewReader(c.b))
		lines, err := readStream(s)
		e := new(StreamError)
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || e.NoCapture != c.none {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if st := s.Stats(); len(lines) != c.frames || st.Frames != uint64(c.frames) || st.Errors != c.errs {
			t.Errorf("%s: %q, %+v", c.name, lines, st)
		}
		if b, again := s.Next(); len(b.Frames) > 0 || again != err {
			t.Errorf("%s, and then: %v", c.name, again)
		}
	}
	// What is no capture is refused while the sender goes on.
	r, w := io.Pipe()
	go w.Write([]byte("hello\n"))
	if _, err := readStream(openStream(t, r)); !strings.Contains(err.Error(), "but text") {
		t.Error(err)
	}
}

// endless repeats a capture's records, and counts what was read.
type endless struct {
	head, records []byte
	at            int
	read          atomic.Int64
}

func (e *endless) Read(p []byte) (n int, err error) {
	if len(e.head) > 0 {
		n = copy(p, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	n = copy(p, e.records[e.at:])
	e.at = (e.at + n) % len(e.records)
	e.read.Add(int64(n))
	return n, nil
}

// TestStreamHoldsTheSender checks that a stream reads no further than one buffer while nobody asks
// for frames, takes constant memory, and counts what the prefilter skips.
func TestStreamHoldsTheSender(t *testing.T) {
	b := pcapBytes(le, 0xa1b2c3d4, 1, three...)
	e := &endless{head: b[:fileHeader], records: bytes.Repeat(b[fileHeader:], 1000)}
	s := OpenStream(StreamConfig{Name: "it", Reader: e, KnownLink: anyLink, Prefilter: &frame.Prefilter{
		Skip: func(_ frame.LinkType, data []byte, _ int) (uint8, bool) { return 7, string(data) == "two" }}})
	defer s.Close()
	time.Sleep(50 * time.Millisecond)
	if n := e.read.Load(); n > readBufferSize {
		t.Errorf("%d bytes were read ahead", n)
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var frames, skipped uint64
	for e.read.Load() < 200<<20 {
		b, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		skipped += b.Skipped[7]
		frames += uint64(len(b.Frames))
		for i := range b.Frames {
			if d := string(b.Frames[i].Data); d != "one" && d != "three" {
				t.Fatalf("frame %q", d)
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("%d bytes more memory", grown)
	}
	if st := s.Stats(); st.Frames != frames+skipped || s.Passed() != frames || frames/skipped != 2 || st.Arrived != st.Frames {
		t.Errorf("%d frames, %d skipped, %+v", frames, skipped, st)
	}
}

// TestStreamFIFO checks that a stream waits for the first writer of a named pipe, and ends with it.
func TestStreamFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var working atomic.Int64
	s := OpenStream(StreamConfig{Name: path, Reader: f, Reopened: true, KnownLink: anyLink, Working: func(on bool) {
		if on {
			working.Add(1)
		} else {
			working.Add(-1)
		}
	}})
	defer s.Close()
	for range 2 {
		if b, err := s.Next(); err != nil || len(b.Frames) > 0 {
			t.Fatalf("nobody writes: %v %v", linesOf(b), err)
		}
	}
	if n := working.Load(); n != 0 {
		t.Errorf("a reader that waits works: %d", n)
	}
	for range 2 { // the first writer goes away without a byte
		w, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
		time.Sleep(2 * reopenWait)
	}
	go os.WriteFile(path, pcapBytes(le, 0xa1b2c3d4, 1, three...), 0)
	lines, err := readStream(s)
	if len(lines) != 3 || !strings.HasSuffix(err.Error(), "has ended after 3 frames") {
		t.Errorf("%q %v", lines, err)
	}
	if n := working.Load(); n != 0 {
		t.Errorf("a reader that has ended works: %d", n)
	}
}

// TestStreamDrain checks that frames that have arrived are taken at the end, and that Close ends a
// reader that waits.
func TestStreamDrain(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s := openStream(t, r)
	w.Write(pcapBytes(le, 0xa1b2c3d4, 1, slices.Repeat(three, 1000)...))
	n := 0
	began := time.Now()
	s.Drain(func(b *Batch) { n += len(linesOf(b)) })
	if took := time.Since(began); n != 3000 || took > time.Second {
		t.Errorf("%d frames of 3000 after %v", n, took)
	}
	s.Close()
	for range s.batches {
	}
}
