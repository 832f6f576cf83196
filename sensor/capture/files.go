package capture

import (
	"cmp"
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

	"spamsensor/sensor/frame"
)

// FilesConfig configures Files.
type FilesConfig struct {
	// KnownLink returns nil for a link type whose frames the caller can decode and
	// otherwise an error that names it. Required.
	KnownLink func(link frame.LinkType) error
	// Stdin is read for the name "-". Nil means os.Stdin.
	Stdin io.Reader
	// Prefilter skips frames. Nil means none.
	Prefilter *frame.Prefilter
	// Untimed is the class of Batch.Skipped for frames that are skipped because of their time; it
	// is below frame.Classes. See Stats.Untimed.
	Untimed uint8
	// Window is the size of a window in bytes, see Batch.Round. Zero means DefaultWindow. Who keeps
	// the packets of a window needs less memory with a smaller one.
	Window int64
	// Only is the time of the frames that are wanted; others are skipped under its class.
	Only TimeSpan
	// Steps counts reads, in OpenFiles and in Next, so that a watchdog does not mistake a long
	// file without a frame for a hang. Nil means no counter.
	Steps *atomic.Uint64
}

// withDefaults fills in what is left to defaults.
func (cfg FilesConfig) withDefaults() FilesConfig {
	if cfg.Steps == nil {
		cfg.Steps = new(atomic.Uint64)
	}
	cfg.Window = cmp.Or(cfg.Window, DefaultWindow)
	return cfg
}

// Files reads capture files in the order of their time. Files that overlap, such as the two
// directions of a tap in a file each, are merged frame by frame. One goroutine uses it.
type Files struct {
	cfg     FilesConfig
	names   []string
	size    uint64  // bytes on disk of all inputs
	closed  uint64  // bytes on disk of the inputs that are closed
	pending []*file // not yet opened, by the time of the first frame
	active  []*file // being read
	errs    []error // to be returned, oldest first
	stats   Stats   // of the frames that Next returned
	batch   Batch
	merged  []frame.Frame
	windows []*Window // of the latest call of Windows, and others that keep their memory
	listed  []listedFile

	leftOut      int
	leftOutNames []string

	fingerprint hash.Hash
}

// listedFile is a file of a directory that is an input.
type listedFile struct {
	name string
	info fs.FileInfo
}

// maxActive bounds the files that are merged at a time; each holds a buffer. Further files wait
// for their turn, and their frames come late.
const maxActive = 64

// OpenFiles opens files, directories (all captures in and below them) and "-". It fails only when
// there is nothing to read: Next reports files that are damaged or no capture.
func OpenFiles(names []string, cfg FilesConfig) (*Files, error) {
	cfg = cfg.withDefaults()
	s := &Files{cfg: cfg, fingerprint: sha256.New(), merged: make([]frame.Frame, 0, maxFrames)}
	for _, name := range names {
		if err := s.add(name); err != nil {
			s.errs = append(s.errs, err)
		}
	}
	if len(s.pending) == 0 {
		err := errors.Join(s.errs...)
		if missing := new(NoInputError); errors.As(err, &missing) {
			return nil, err
		}
	}
	slices.SortStableFunc(s.pending, func(a, b *file) int {
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

// add probes the input with this name, or all inputs of a directory.
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
	before, leftOut := len(s.listed), s.leftOut
	err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			s.errs = append(s.errs, openError(path, err))
			return nil
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			err := s.addFile(path, info)
			var other *foreignError
			if errors.As(err, &other) && !other.holds { // as may well lie beside captures
				s.leaveOut(path)
				return nil
			}
			if err != nil {
				s.errs = append(s.errs, err)
			}
			s.listed = append(s.listed, listedFile{path, info})
		}
		return nil
	})
	if err == nil && len(s.listed) == before {
		others := ""
		if n := s.leftOut - leftOut; n > 0 {
			others = fmt.Sprintf("; it holds other files: %d", n)
		}
		err = &NoInputError{Name: name, Reason: "the directory holds no capture file " +
			"(pcap or pcapng, plain or compressed)" + others}
	}
	return err
}

// maxLeftOut bounds the names that LeftOut returns.
const maxLeftOut = 8

// leaveOut notes a file of a directory that is no capture.
func (s *Files) leaveOut(name string) {
	if s.leftOut++; len(s.leftOutNames) < maxLeftOut {
		s.leftOutNames = append(s.leftOutNames, name)
	}
}

// LeftOut returns the first names of files in directories that are no captures, eight at most, and
// how many there are. They are no error.
func (s *Files) LeftOut() (names []string, n int) { return s.leftOutNames, s.leftOut }

func (cfg *FilesConfig) counter(r io.Reader) *countingReader {
	return &countingReader{r: r, steps: cfg.Steps}
}

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

// probe opens f, reads its first frame and appends f to the pending files. A regular file is closed
// again until its turn.
func (s *Files) probe(f *file) error {
	if len(s.names) > math.MaxUint16 {
		return &NoInputError{Name: f.name, Reason: "too many input files (65535 at a time)"}
	}
	reopen := f.raw == nil
	if reopen { // the first frame is enough
		f.batch.window = min(shortWindowSize, s.cfg.Window)
	}
	if err := f.open(&s.cfg); err != nil {
		f.close()
		return partial(f.name, err)
	}
	f.index = uint16(len(s.names))
	f.batch.from = f.index
	err := f.read()
	for err == nil && len(f.queue) == 0 { // a window without a frame; ends with the input
		err = f.read()
	}
	switch {
	case len(f.queue) > 0:
		first := &f.queue[0]
		f.first = first.Time
		fmt.Fprintf(s.fingerprint, "%d %d %d %d\n", f.size, f.first, first.Len, first.Link)
		s.fingerprint.Write(first.Data)
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
	s.pending = append(s.pending, f)
	return nil
}

// Reads returns the name of the input in a directory that is this file, if one is: a capture, or a
// damaged one. The caller knows the inputs that it named itself.
func (s *Files) Reads(info fs.FileInfo) (name string, ok bool) {
	for _, f := range s.listed {
		if os.SameFile(f.info, info) {
			return f.name, true
		}
	}
	return "", false
}

// Fingerprint is 32 bytes that are the same when the same captures are read again. The senders of
// the captured traffic cannot know them.
func (s *Files) Fingerprint() []byte { return s.fingerprint.Sum(nil) }

// NoInputError reports a name under which nothing can be read.
type NoInputError struct {
	Name, Reason string
	Err          error
}

// Error implements error.
func (e *NoInputError) Error() string { return fmt.Sprintf("cannot read %s: %s", e.Name, e.Reason) }

// Unwrap returns Err.
func (e *NoInputError) Unwrap() error { return e.Err }

// openError is the NoInputError of a file that cannot be opened.
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

// Next returns frames, or io.EOF at the end, or *PartialError or *NoInputError for an input that
// cannot be read to its end; another call goes on with the next input. A call that returns frames
// returns no error.
func (s *Files) Next() (*Batch, error) {
	b := &s.batch
	*b = Batch{}
	for {
		if len(s.errs) > 0 {
			err := s.errs[0]
			s.errs = s.errs[1:]
			s.stats.Errors++
			return b, err
		}
		if len(s.active) == 0 {
			if len(s.pending) == 0 {
				return b, io.EOF
			}
			s.openNext()
			continue
		}
		if s.fill(b) {
			return b, nil
		}
	}
}

// openNext opens the next pending file.
func (s *Files) openNext() {
	f := s.pending[0]
	s.pending = s.pending[1:]
	f.prefilter, f.batch.from, f.batch.window = s.cfg.Prefilter, f.index, s.cfg.Window
	if len(s.active) >= 2 {
		f.batch.window = min(shortWindowSize, s.cfg.Window)
	}
	f.only = s.cfg.Only
	if f.dropQueued() && len(f.queue) == 0 { // the next reading clears the batch
		f.counted = true
		f.frames += f.batch.count
		s.addCounts(&s.batch, &f.batch)
	}
	if f.format == nil {
		if err := f.open(&s.cfg); err != nil {
			s.errs = append(s.errs, partial(f.name, err))
			f.close()
			return
		}
	}
	s.active = append(s.active, f)
}

// fill adds the next frames to the batch, and reports whether the batch is to be returned: there
// were frames, also skipped ones, or a window or a file ended.
func (s *Files) fill(b *Batch) bool {
	for i, f := range s.active {
		if len(f.queue) == 0 {
			err := f.read()
			s.addUntimed(b, f)
			if err != nil {
				b.Round, b.End = true, len(s.active) > 1
				s.retire(i, err)
				return true
			}
		}
		if !f.counted {
			f.counted = true
			f.frames += f.batch.count
			s.addCounts(b, &f.batch)
		}
	}
	if f := s.active[0]; len(s.active) == 1 &&
		(len(s.pending) == 0 || f.batch.latest() < s.pending[0].first) {
		// The usual case: files that follow each other.
		s.give(b, f.queue)
		f.queue, b.End = nil, f.batch.end
	} else {
		s.merge(b)
	}
	b.Round = b.End
	return len(b.Frames) > 0 || b.First != 0 || b.End
}

// give sets the frames of the batch.
func (s *Files) give(b *Batch, frames []frame.Frame) {
	b.Frames = frames
	s.stats.Frames += uint64(len(frames))
}

// addCounts adds the counters of a file's batch.
func (s *Files) addCounts(b *Batch, c *recordBatch) {
	if c.count == 0 {
		return
	}
	if b.First == 0 || c.first != 0 && c.first < b.First {
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

// addUntimed adds the frames that a file skipped because of their time.
func (s *Files) addUntimed(b *Batch, f *file) {
	ng, ok := f.format.(*ngFile)
	if !ok {
		return
	}
	frames := ng.untimed.frames - f.untimed.frames
	b.Skipped[s.cfg.Untimed] += frames
	s.stats.Frames += frames
	s.stats.Untimed += frames
	s.stats.Bytes += ng.untimed.bytes - f.untimed.bytes
	f.untimed = ng.untimed
}

// merge returns frames in the order of their time over all active files, and opens pending files
// whose first frame is due. It stops as soon as a file has no frame left, because a further read
// moves the bytes of the frames in the batch. A window of the merged files ends where a window of
// one of them ends, and where a file is opened.
func (s *Files) merge(b *Batch) {
	out := s.merged[:0]
	for len(out) < cap(out) {
		oldest := s.oldest()
		if oldest == nil {
			break
		}
		if len(s.pending) > 0 && len(s.active) < maxActive &&
			s.pending[0].first < oldest.queue[0].Time {
			if b.End = true; len(out) == 0 {
				s.openNext()
			}
			break
		}
		out = append(out, oldest.queue[0])
		oldest.queue = oldest.queue[1:]
	}
	for _, f := range s.active {
		b.End = b.End || len(f.queue) == 0 && f.batch.end
	}
	s.give(b, out)
}

// oldest is the active file with the oldest frame, nil if a file has none in its queue.
func (s *Files) oldest() (oldest *file) {
	for _, f := range s.active {
		if len(f.queue) == 0 {
			return nil
		}
		if oldest == nil || f.queue[0].Time < oldest.queue[0].Time {
			oldest = f
		}
	}
	return oldest
}

// retire closes the i-th active file, which ended with err.
func (s *Files) retire(i int, err error) {
	f := s.active[i]
	s.active = slices.Delete(s.active, i, i+1)
	if err != io.EOF {
		e := partial(f.name, err)
		e.Offset, e.Frames = f.format.offset(), f.frames
		s.errs = append(s.errs, e)
	}
	if n := f.untimed.frames; n > 0 {
		s.errs = append(s.errs, partial(f.name, fmt.Errorf("%d of its frames were left out: "+
			"their times lie before 1970-01-01 or after 2262-04-10", n)))
	}
	if ng, ok := f.format.(*ngFile); ok {
		s.stats.InterfaceDrops += ng.drops[0]
		s.stats.KernelDrops += ng.drops[1]
	}
	s.closed += f.consumed()
	f.close()
}

// Input is the name of the input with this index.
func (s *Files) Input(from uint16) string { return s.names[from] }

// Stats are the counters so far.
func (s *Files) Stats() Stats {
	t := s.stats
	t.BytesRead, t.BytesTotal = s.closed, s.size
	for _, f := range s.active {
		t.BytesRead += f.consumed()
		if ng, ok := f.format.(*ngFile); ok {
			t.InterfaceDrops += ng.drops[0]
			t.KernelDrops += ng.drops[1]
		}
	}
	return t
}

// Close closes all inputs.
func (s *Files) Close() error {
	for _, f := range s.active {
		f.close()
	}
	for _, f := range s.pending {
		f.close()
	}
	s.active, s.pending = nil, nil
	return nil
}
