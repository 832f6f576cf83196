package capture

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// FilesConfig says what Files needs to know.
type FilesConfig struct {
	// KnownLink returns nil for a link type whose frames the caller can decode and
	// otherwise an error that names it. Required.
	KnownLink func(link uint16) error
	// Stdin is what the name "-" stands for. Zero means os.Stdin.
	Stdin io.Reader
}

// Files reads capture files in the order of their time. Files that overlap, such as
// the two directions of a tap written apart, are merged frame by frame.
// It implements [Source].
type Files struct {
	cfg    FilesConfig
	names  []string
	size   uint64
	done   uint64  // bytes on disk of the inputs that are closed
	future []*file // not yet reached, by the time of the first frame
	active []*file // being read
	faults []error // to be returned, oldest first
	stats  Stats   // of the closed inputs
	print  hash.Hash
}

// maxActive bounds how many files are merged at a time; each holds a block. Beyond
// it files wait for their turn, and their frames come late.
const maxActive = 64

// file is one input: its reader, and the frames that were read and not yet given.
type file struct {
	name  string
	index uint16
	first int64 // time of the first frame
	size  int64 // 0 where it is not known

	raw    *counter
	closer io.Closer
	unpack func() // frees the decompressor
	format format
	stats  Stats
	frames []Frame
	next   int // index into frames
}

// counter counts what is read from disk.
type counter struct {
	r io.Reader
	n uint64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += uint64(n)
	return n, err
}

// batch is how many frames a file decodes ahead while files are merged.
const batch = 256

// OpenFiles opens files, directories (all captures in and below them) and "-". It fails
// only when nothing can be read at all: a file that cannot be opened is reported by Next.
func OpenFiles(names []string, cfg FilesConfig) (*Files, error) {
	s := &Files{cfg: cfg, print: sha256.New()}
	for _, name := range names {
		if err := s.add(name); err != nil {
			s.faults = append(s.faults, err)
		}
	}
	if len(s.future) == 0 {
		return nil, errors.Join(s.faults...)
	}
	slices.SortStableFunc(s.future, func(a, b *file) int {
		switch {
		case a.first < b.first:
			return -1
		case a.first > b.first:
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	return s, nil
}

func (s *Files) add(name string) error {
	if name == "-" {
		r := s.cfg.Stdin
		if r == nil {
			r = os.Stdin
		}
		return s.probe(&file{name: "standard input", raw: &counter{r: r}})
	}
	info, err := os.Stat(name)
	if err != nil {
		return openError(name, err)
	}
	if !info.IsDir() {
		return s.addFile(name, info)
	}
	found := 0
	err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			s.faults = append(s.faults, openError(path, err))
			return nil
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			// What is no capture may well lie beside captures.
			switch err := s.addFile(path, info); {
			case errors.Is(err, errNotCapture):
			case err != nil:
				s.faults = append(s.faults, err)
				found++
			default:
				found++
			}
		}
		return nil
	})
	if err == nil && found == 0 {
		err = &NoInputError{Name: name, Reason: "the directory holds no capture file (pcap or pcapng, plain or compressed)"}
	}
	return err
}

func (s *Files) addFile(name string, info fs.FileInfo) error {
	f := &file{name: name, size: info.Size()}
	if !info.Mode().IsRegular() { // a named pipe can be opened once
		f.size = 0
		r, err := os.Open(name)
		if err != nil {
			return openError(name, err)
		}
		f.raw, f.closer = &counter{r: r}, r
	}
	return s.probe(f)
}

// probe opens f, reads its first frame and takes f into the future. A regular
// file is closed again until its time has come.
func (s *Files) probe(f *file) error {
	if len(s.names) > math.MaxUint16 {
		return &NoInputError{Name: f.name, Reason: "too many input files (65535 at a time)"}
	}
	reopen := f.raw == nil
	if err := f.open(s.cfg.KnownLink); err != nil {
		f.close()
		return partial(f.name, err)
	}
	f.index = uint16(len(s.names))
	f.frames = make([]Frame, batch)
	n, err := f.format.next(f.frames, &f.stats)
	switch {
	case n > 0:
		f.first = f.frames[0].Time
		fmt.Fprintf(s.print, "%d %d %d %d\n", f.size, f.first, f.frames[0].Len, f.frames[0].Link)
		s.print.Write(f.frames[0].Data)
	case err == io.EOF: // a capture that holds no frame is a capture
		f.first = math.MaxInt64
	default:
		e := partial(f.name, err)
		e.Offset = f.offset()
		f.close()
		return e
	}
	f.frames = f.frames[:n]
	if reopen {
		f.close()
		*f = file{name: f.name, index: f.index, first: f.first, size: f.size}
	}
	s.names = append(s.names, f.name)
	s.size += uint64(f.size)
	s.future = append(s.future, f)
	return nil
}

// Fingerprint is 32 bytes that are the same when the same captures are read again, and
// that whoever sent the captured traffic cannot know.
func (s *Files) Fingerprint() []byte { return s.print.Sum(nil) }

// NoInputError says that a name leads to nothing that could be read.
type NoInputError struct {
	Name, Reason string
	Err          error
}

func (e *NoInputError) Error() string { return fmt.Sprintf("cannot read %s: %s", e.Name, e.Reason) }
func (e *NoInputError) Unwrap() error { return e.Err }

func openError(name string, err error) error {
	reason := err.Error()
	var path *fs.PathError
	if errors.As(err, &path) {
		reason = path.Err.Error()
	}
	if errors.Is(err, fs.ErrNotExist) {
		reason = "there is no such file or directory"
	}
	return &NoInputError{Name: name, Reason: reason, Err: err}
}

// open finds out how the input is written. An error is the reason why it cannot be read.
func (f *file) open(known func(uint16) error) error {
	if f.raw == nil {
		r, err := os.Open(f.name)
		if err != nil {
			var path *fs.PathError
			if errors.As(err, &path) {
				err = path.Err
			}
			return err
		}
		f.raw, f.closer = &counter{r: r}, r
	}
	b := newBlock(f.raw)
	for {
		if err := b.fill(6); err != nil && err != io.EOF {
			return errors.New(b.damage(err, "at its beginning"))
		}
		h := b.have()
		switch {
		case len(h) == 0:
			return errEmpty
		case len(h) < 4:
			return errNotCapture
		}
		switch magic := [4]byte(h[:4]); magic {
		case [4]byte{0xd4, 0xc3, 0xb2, 0xa1}, [4]byte{0xa1, 0xb2, 0xc3, 0xd4}, [4]byte{0x4d, 0x3c, 0xb2, 0xa1},
			[4]byte{0xa1, 0xb2, 0x3c, 0x4d}, [4]byte{0x34, 0xcd, 0xb2, 0xa1}, [4]byte{0xa1, 0xb2, 0xcd, 0x34}:
			p, err := openPcap(b, known)
			f.format = p
			return err
		case [4]byte{0x0a, 0x0d, 0x0d, 0x0a}:
			p, err := openNg(b, known)
			f.format = p
			return err
		}
		if f.unpack != nil { // compressed twice is nobody's habit
			return errNotCapture
		}
		r, unpack, err := decompress(io.MultiReader(strings.NewReader(string(h)), f.raw), h)
		if err != nil {
			return err
		}
		f.unpack = unpack
		b = newBlock(r)
	}
}

// decompress wraps r by what its first bytes are.
func decompress(r io.Reader, head []byte) (io.Reader, func(), error) {
	switch {
	case head[0] == 0x1f && head[1] == 0x8b:
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, fmt.Errorf("gzip: %w", err)
		}
		return z, func() { z.Close() }, nil
	case [4]byte(head[:4]) == [4]byte{0x28, 0xb5, 0x2f, 0xfd}:
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, nil, fmt.Errorf("zstd: %w", err)
		}
		return z, z.Close, nil
	case len(head) >= 6 && string(head[:6]) == "\xfd7zXZ\x00":
		z, err := xz.NewReader(r)
		if err != nil {
			return nil, nil, fmt.Errorf("xz: %w", err)
		}
		return z, func() {}, nil
	}
	return nil, nil, errNotCapture
}

func (f *file) close() {
	if f.unpack != nil {
		f.unpack()
	}
	if f.closer != nil {
		f.closer.Close()
	}
}

// offset is how far the (decompressed) input was consumed.
func (f *file) offset() int64 {
	switch p := f.format.(type) {
	case *pcapFile:
		return p.b.offset()
	case *ngFile:
		return p.b.offset()
	}
	return 0
}

// Next implements [Source].
func (s *Files) Next(frames []Frame) (int, error) {
	for {
		if len(s.faults) > 0 {
			err := s.faults[0]
			s.faults = s.faults[1:]
			s.stats.Errors++
			return 0, err
		}
		if len(s.active) == 0 {
			if len(s.future) == 0 {
				return 0, io.EOF
			}
			s.activate()
			continue
		}
		if len(s.active) == 1 && s.active[0].pending() == 0 && (len(s.future) == 0 || s.future[0].first == math.MaxInt64) {
			// The usual case, and the last file of a row: straight into the caller's frames.
			f := s.active[0]
			n, err := f.format.next(frames, &f.stats)
			if n > 0 {
				for i := range frames[:n] {
					frames[i].From = f.index
				}
				f.stats.Frames += uint64(n)
				return n, nil
			}
			s.retire(0, err)
			continue
		}
		if n := s.merge(frames); n > 0 {
			return n, nil
		}
	}
}

// activate moves the next file to those that are read.
func (s *Files) activate() {
	f := s.future[0]
	s.future = s.future[1:]
	if f.format == nil {
		if err := f.open(s.cfg.KnownLink); err != nil {
			s.faults = append(s.faults, partial(f.name, err))
			f.close()
			return
		}
	}
	s.active = append(s.active, f)
}

func (f *file) pending() int { return len(f.frames) - f.next }

// merge gives frames in the order of their time over all active files, and brings in
// those whose time has come. It stops as soon as a file runs out of decoded frames,
// because decoding on moves the bytes that were given out. 0 means: call again.
func (s *Files) merge(frames []Frame) (n int) {
	for i := 0; i < len(s.active); i++ {
		f := s.active[i]
		if f.pending() > 0 {
			continue
		}
		if f.frames == nil {
			f.frames = make([]Frame, batch)
		}
		m, err := f.format.next(f.frames[:cap(f.frames)], &f.stats)
		f.frames, f.next = f.frames[:m], 0
		if m == 0 {
			s.retire(i, err)
			i--
		}
	}
	for n < len(frames) && len(s.active) > 0 {
		oldest := s.active[0]
		for _, f := range s.active[1:] {
			if f.frames[f.next].Time < oldest.frames[oldest.next].Time {
				oldest = f
			}
		}
		if len(s.future) > 0 && len(s.active) < maxActive && s.future[0].first < oldest.frames[oldest.next].Time {
			if n == 0 {
				s.activate()
			}
			return n
		}
		frames[n] = oldest.frames[oldest.next]
		frames[n].From = oldest.index
		n++
		oldest.stats.Frames++
		if oldest.next++; oldest.pending() == 0 {
			return n
		}
	}
	return n
}

// retire closes the i-th active file, which ended with err.
func (s *Files) retire(i int, err error) {
	f := s.active[i]
	s.active = slices.Delete(s.active, i, i+1)
	if err != io.EOF {
		e := partial(f.name, err)
		e.Offset, e.Frames = f.offset(), f.stats.Frames
		s.faults = append(s.faults, e)
	}
	s.stats.add(f.stats)
	s.done += f.raw.n
	f.close()
}

func (s *Stats) add(o Stats) {
	s.Frames += o.Frames
	s.Bytes += o.Bytes
	s.KernelDrops += o.KernelDrops
	s.InterfaceDrops += o.InterfaceDrops
	s.Errors += o.Errors
	s.BadTimes += o.BadTimes
}

// Input implements [Source].
func (s *Files) Input(from uint16) string { return s.names[from] }

// Stats implements [Source].
func (s *Files) Stats() Stats {
	t := s.stats
	t.BytesRead, t.BytesTotal = s.done, s.size
	for _, f := range s.active {
		t.add(f.stats)
		t.BytesRead += f.raw.n
	}
	return t
}

// Close implements [Source].
func (s *Files) Close() error {
	for _, f := range s.active {
		f.close()
	}
	for _, f := range s.future {
		f.close()
	}
	s.active, s.future = nil, nil
	return nil
}
