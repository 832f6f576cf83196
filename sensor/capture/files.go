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
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"spamsensor/sensor/frame"
)

// FilesConfig says what Files needs to know.
type FilesConfig struct {
	// KnownLink returns nil for a link type whose frames the caller can decode and
	// otherwise an error that names it. Required.
	KnownLink func(link frame.LinkType) error
	// Stdin is what the name "-" stands for. Zero means os.Stdin.
	Stdin io.Reader
	// Prefilter leaves frames out. Nil means none.
	Prefilter Prefilter
	// Untimed is the class of Batch.Skipped under which frames are counted that are left out
	// because of their time; below Classes. See Stats.Untimed.
	Untimed uint8
	// Workers is how many goroutines walk a file. Zero means one.
	Workers int
	// Steps counts whatever is read, so that a long file without a frame is not taken for a hang,
	// in OpenFiles as in Next. Nil means that nobody wants to know.
	Steps *atomic.Uint64
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
	stats  Stats   // of what was given
	print  hash.Hash
	batch  Batch
	merged []frame.Frame
	found  []found
}

// found is a file of a directory that is an input.
type found struct {
	name string
	info fs.FileInfo
}

// maxActive bounds how many files are merged at a time; each holds a block. Beyond
// it files wait for their turn, and their frames come late.
const maxActive = 64

// file is one input: its reader, and the frames that were read and not yet given.
type file struct {
	name      string
	index     uint16
	first     int64       // time of the first frame
	size      int64       // 0 where it is not known
	info      fs.FileInfo // of a regular file when it was looked at first
	prefilter Prefilter

	raw    *counter
	closer io.Closer
	unpack func() // frees the decompressor
	format format
	frames uint64 // that were read
	chunk  chunk
	told   bool            // what chunk left out was told
	late   untimed         // what of the format's untimed frames was told
	wait   [][]frame.Frame // what of chunk was not given yet
}

// counter counts what is read from disk.
type counter struct {
	r     io.Reader
	n     uint64
	steps *atomic.Uint64 // may be nil
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += uint64(n)
	if c.steps != nil {
		c.steps.Add(1)
	}
	return n, err
}

// OpenFiles opens files, directories (all captures in and below them) and "-". It fails
// only when there is nothing to read: a file that is no capture, or a damaged one, is reported by Next.
func OpenFiles(names []string, cfg FilesConfig) (*Files, error) {
	if cfg.Steps == nil {
		cfg.Steps = new(atomic.Uint64)
	}
	s := &Files{cfg: cfg, print: sha256.New()}
	for _, name := range names {
		if err := s.add(name); err != nil {
			s.faults = append(s.faults, err)
		}
	}
	if len(s.future) == 0 {
		err := errors.Join(s.faults...)
		if missing := new(NoInputError); errors.As(err, &missing) {
			return nil, err
		}
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
		return s.probe(&file{name: "standard input", raw: s.cfg.counter(r)})
	}
	info, err := os.Stat(name)
	if err != nil {
		return openError(name, err)
	}
	if !info.IsDir() {
		return s.addFile(name, info)
	}
	before := len(s.found)
	err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			s.faults = append(s.faults, openError(path, err))
			return nil
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			// What is no capture may well lie beside captures.
			err := s.addFile(path, info)
			if errors.Is(err, errNotCapture) {
				return nil
			}
			if err != nil {
				s.faults = append(s.faults, err)
			}
			s.found = append(s.found, found{path, info})
		}
		return nil
	})
	if err == nil && len(s.found) == before {
		err = &NoInputError{Name: name, Reason: "the directory holds no capture file (pcap or pcapng, plain or compressed)"}
	}
	return err
}

func (cfg *FilesConfig) counter(r io.Reader) *counter { return &counter{r: r, steps: cfg.Steps} }

func (s *Files) addFile(name string, info fs.FileInfo) error {
	f := &file{name: name, size: info.Size(), info: info}
	if !info.Mode().IsRegular() { // a named pipe can be opened once
		f.size, f.info = 0, nil
		r, err := os.Open(name)
		if err != nil {
			return openError(name, err)
		}
		f.raw, f.closer = s.cfg.counter(r), r
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
	f.chunk.short = reopen // the first frame is enough
	if err := f.open(&s.cfg, 0); err != nil {
		f.close()
		return partial(f.name, err)
	}
	f.index = uint16(len(s.names))
	f.chunk.from = f.index
	err := f.read()
	for err == nil && len(f.wait) == 0 { // a stretch without a frame; ends with the input
		err = f.read()
	}
	switch {
	case len(f.wait) > 0:
		frame := &f.wait[0][0]
		f.first = frame.Time
		fmt.Fprintf(s.print, "%d %d %d %d\n", f.size, f.first, frame.Len, frame.Link)
		s.print.Write(frame.Data)
	case err == io.EOF: // a capture that holds no frame is a capture
		f.first = math.MaxInt64
	default:
		e := partial(f.name, err)
		e.Offset = f.format.offset()
		f.close()
		return e
	}
	if reopen {
		f.close()
		*f = file{name: f.name, index: f.index, first: f.first, size: f.size, info: f.info}
	}
	s.names = append(s.names, f.name)
	s.size += uint64(f.size)
	s.future = append(s.future, f)
	return nil
}

// read reads on until there are frames to give, or some were left out, or a stretch ended.
func (f *file) read() error {
	f.chunk.clear()
	f.chunk.prefilter = f.prefilter
	f.wait, f.told = f.wait[:0], false
	f.raw.steps.Add(1)
	for f.chunk.count == 0 && !f.chunk.end {
		if err := f.format.next(&f.chunk); err != nil {
			return err
		}
	}
	if len(f.chunk.frames) > 0 {
		f.wait = append(f.wait, f.chunk.frames)
	}
	f.wait = append(f.wait, f.chunk.more...)
	return nil
}

// Reads says which input in a directory is this file, if one is: a capture, or a damaged one.
// Inputs that were named themselves are the caller's to know.
func (s *Files) Reads(info fs.FileInfo) (name string, ok bool) {
	for _, f := range s.found {
		if os.SameFile(f.info, info) {
			return f.name, true
		}
	}
	return "", false
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

var errReplaced = errors.New("another file has taken its place since it was looked at; what it held was not read")

// open finds out how the input is written. With workers a plain file is mapped and walked by as many. An error is the
// reason why it cannot be read.
func (f *file) open(cfg *FilesConfig, workers int) error {
	known := cfg.KnownLink
	if f.raw == nil {
		r, err := os.Open(f.name)
		if err != nil {
			var path *fs.PathError
			if errors.As(err, &path) {
				err = path.Err
			}
			return err
		}
		f.raw, f.closer = cfg.counter(r), r
		if now, err := r.Stat(); err != nil || !os.SameFile(f.info, now) {
			return errReplaced
		}
	}
	b := newBlock(f.raw)
	for {
		if err := b.fill(6); err != nil && err != io.EOF {
			return errors.New(damage(err, "at its beginning"))
		}
		h := b.have()
		switch {
		case len(h) == 0:
			return errEmpty
		case len(h) < 4:
			return errNotCapture
		}
		switch magic := [4]byte(h[:4]); {
		case isPcap(magic):
			p, err := openPcap(b, known)
			f.format = p
			if disk, ok := f.closer.(*os.File); err == nil && workers > 0 && ok && f.unpack == nil && f.size > 0 {
				f.format = openMapped(disk, f.size, &f.raw.n, p.records, workers)
			}
			return err
		case magic == [4]byte{0x0a, 0x0d, 0x0d, 0x0a}:
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
		z, err := newGzip(r)
		if err != nil {
			return nil, nil, fmt.Errorf("gzip: %w", err)
		}
		return z, func() {}, nil
	case [4]byte(head[:4]) == [4]byte{0x28, 0xb5, 0x2f, 0xfd}, head[0]&0xf0 == 0x50 && [3]byte(head[1:4]) == [3]byte{0x2a, 0x4d, 0x18}: // the second is to be skipped (RFC 8878, section 3.1.2)
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, nil, fmt.Errorf("zstd: %w", err)
		}
		return z, z.Close, nil
	case len(head) >= 6 && string(head[:6]) == "\xfd7zXZ\x00":
		z, err := newXZ(r)
		if err != nil {
			return nil, nil, err
		}
		return z, func() {}, nil
	}
	return nil, nil, errNotCapture
}

func (f *file) close() {
	if m, ok := f.format.(*mapped); ok {
		m.unmap()
	}
	if f.unpack != nil {
		f.unpack()
	}
	if f.closer != nil {
		f.closer.Close()
	}
}

// Next implements [Source].
func (s *Files) Next() (*Batch, error) {
	b := &s.batch
	*b = Batch{Parts: b.Parts[:0]}
	for {
		if len(s.faults) > 0 {
			err := s.faults[0]
			s.faults = s.faults[1:]
			s.stats.Errors++
			return b, err
		}
		if len(s.active) == 0 {
			if len(s.future) == 0 {
				return b, io.EOF
			}
			s.activate()
			continue
		}
		if s.give(b) {
			return b, nil
		}
	}
}

// activate moves the next file to those that are read.
func (s *Files) activate() {
	f := s.future[0]
	s.future = s.future[1:]
	f.prefilter, f.chunk.from, f.chunk.short = s.cfg.Prefilter, f.index, len(s.active) >= 2
	if f.format == nil {
		if err := f.open(&s.cfg, max(1, s.cfg.Workers)); err != nil {
			s.faults = append(s.faults, partial(f.name, err))
			f.close()
			return
		}
	}
	s.active = append(s.active, f)
}

// give gives what comes next, and reports whether there was anything.
func (s *Files) give(b *Batch) bool {
	for i := 0; i < len(s.active); i++ {
		f := s.active[i]
		if len(f.wait) == 0 {
			err := f.read()
			s.leave(b, f)
			if err != nil {
				s.retire(i, err)
				i--
				continue
			}
		}
		if !f.told {
			f.told = true
			f.frames += f.chunk.count
			s.left(b, &f.chunk)
		}
	}
	switch {
	case len(s.active) == 1 && (len(s.future) == 0 || s.active[0].chunk.latest() < s.future[0].first):
		// The usual case: files that follow each other.
		f := s.active[0]
		b.Parts = append(b.Parts, f.wait...)
		b.End = b.End || f.chunk.end
		for _, part := range f.wait {
			s.stats.Frames += uint64(len(part))
		}
		f.wait = f.wait[:0]
		return true
	case len(s.active) > 0:
		s.merge(b)
	}
	return len(b.Parts) > 0 || b.First != 0
}

// left takes over what a file left out.
func (s *Files) left(b *Batch, c *chunk) {
	if c.count == 0 {
		return
	}
	if b.First == 0 || c.first < b.First {
		b.First = c.first
	}
	b.Last = max(b.Last, c.last)
	for i, n := range c.skipped {
		b.Skipped[i] += n
		s.stats.Frames += n
	}
	s.stats.Bytes += c.bytes
	s.stats.BadTimes += c.badTimes
}

// leave takes over which frames a file left out because of their time.
func (s *Files) leave(b *Batch, f *file) {
	ng, ok := f.format.(*ngFile)
	if !ok {
		return
	}
	frames := ng.untimed.frames - f.late.frames
	b.Skipped[s.cfg.Untimed] += frames
	s.stats.Frames += frames
	s.stats.Untimed += frames
	s.stats.Bytes += ng.untimed.bytes - f.late.bytes
	f.late = ng.untimed
}

// merge gives frames in the order of their time over all active files, and brings in
// those whose time has come. It stops as soon as a file runs out of frames, because reading on
// moves the bytes that were given out.
func (s *Files) merge(b *Batch) {
	if cap(s.merged) == 0 {
		s.merged = make([]frame.Frame, 0, maxFrames)
	}
	out := s.merged[:0]
	for len(out) < maxFrames {
		var oldest *file
		for _, f := range s.active {
			if len(f.wait) == 0 {
				oldest = nil // its frames were left out, or given
				break
			}
			if oldest == nil || f.wait[0][0].Time < oldest.wait[0][0].Time {
				oldest = f
			}
		}
		if oldest == nil {
			break
		}
		if len(s.future) > 0 && len(s.active) < maxActive && s.future[0].first < oldest.wait[0][0].Time {
			if len(out) == 0 {
				s.activate()
			}
			break
		}
		out = append(out, oldest.wait[0][0])
		s.stats.Frames++
		if oldest.wait[0] = oldest.wait[0][1:]; len(oldest.wait[0]) == 0 {
			oldest.wait = oldest.wait[1:]
		}
	}
	if b.End = true; len(out) > 0 {
		b.Parts = append(b.Parts, out)
	}
}

// retire closes the i-th active file, which ended with err.
func (s *Files) retire(i int, err error) {
	f := s.active[i]
	s.active = slices.Delete(s.active, i, i+1)
	if err != io.EOF {
		e := partial(f.name, err)
		e.Offset, e.Frames = f.format.offset(), f.frames
		s.faults = append(s.faults, e)
	}
	if n := f.late.frames; n > 0 {
		s.faults = append(s.faults, partial(f.name, fmt.Errorf("%d of its frames were left out: "+
			"their times lie before 1970-01-01 or after 2262-04-10", n)))
	}
	if ng, ok := f.format.(*ngFile); ok {
		s.stats.InterfaceDrops += ng.drops[0]
		s.stats.KernelDrops += ng.drops[1]
	}
	s.done += f.raw.n
	f.close()
}

// Input implements [Source].
func (s *Files) Input(from uint16) string { return s.names[from] }

// Stats implements [Source].
func (s *Files) Stats() Stats {
	t := s.stats
	t.BytesRead, t.BytesTotal = s.done, s.size
	for _, f := range s.active {
		t.BytesRead += f.raw.n
		if ng, ok := f.format.(*ngFile); ok {
			t.InterfaceDrops += ng.drops[0]
			t.KernelDrops += ng.drops[1]
		}
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
