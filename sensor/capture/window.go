package capture

import (
	"os"
	"sync"

	"spamsensor/sensor/frame"
)

// Several goroutines read a plain pcap file side by side, a window of it each:
//
//	file   [ window 0 | window 1 | window 2 | ... ]
//	         ^          ^          ^
//
// The first record of a window is guessed: the first place from which a few headers in a row make
// sense. Afterwards the windows are taken in order, and each must begin where the one before it
// ended. One that does not, or that has a fault, is read again with Files.Next. So the result is
// the same as of reading from end to end, for any number of goroutines.

// Window is a window of a file. One goroutine calls Next, while no method of Files runs.
type Window struct {
	pcap    pcapFile
	reader  countingReader
	buffer  *windowBuffer // nil when the window was read
	opened  bool
	guess   bool        // start is to be found
	start   int64       // of the first record
	batch   recordBatch // with the counters of the whole window
	latest  int64       // the highest time of a frame that was not skipped
	invalid bool        // nothing of the window counts
}

// windowBuffer is the memory in which a window is read. A goroutine that reads one window after the
// other stays in one buffer, and in its L2 cache.
type windowBuffer struct {
	block  [readBufferSize]byte
	frames [maxFrames]frame.Frame
}

var windowBuffers = sync.Pool{New: func() any { return new(windowBuffer) }}

// plainReader reads a file from a place on, whatever others read of it.
type plainReader struct {
	f  *os.File
	at int64
}

// Read implements io.Reader.
func (r *plainReader) Read(p []byte) (int, error) {
	n, err := r.f.ReadAt(p, r.at)
	r.at += int64(n)
	return n, err
}

// Windows returns the windows that follow what was read so far, n at most: whole ones of one plain
// file. There are none in front of the last part of a file, and while files are merged; Next reads
// these. The caller calls Windows behind a batch with End, has goroutines read the windows, and
// then calls Take for each, in order and as long as Follows is true.
func (s *Files) Windows(n int) []*Window {
	if len(s.active) != 1 || len(s.errs) > 0 {
		return nil
	}
	f := s.active[0]
	p, ok := f.format.(*pcapFile)
	if !ok || f.plain == nil || f.closeUnpacker != nil || f.batch.window != s.cfg.Window ||
		!f.batch.end || len(f.queue) > 0 {
		return nil
	}
	first := p.offset() / s.cfg.Window
	if n = min(n, int(f.size/s.cfg.Window-first)); n < 2 {
		return nil
	}
	for len(s.windows) < n {
		s.windows = append(s.windows, &Window{})
	}
	for i, w := range s.windows[:n] {
		at := (first + int64(i)) * s.cfg.Window
		if i == 0 {
			at = p.offset()
		}
		*w = Window{pcap: *p, guess: i > 0, start: at,
			reader: countingReader{r: &plainReader{f.plain.f, at}, steps: f.raw.steps},
			batch: recordBatch{prefilter: f.prefilter, from: f.index, window: s.cfg.Window,
				only: f.only}}
	}
	return s.windows[:n]
}

// Next returns the next frames of the window, nil at its end. They are borrowed until the next
// call.
func (w *Window) Next() []frame.Frame {
	if !w.opened {
		w.open()
	}
	c := &w.batch
	for c.frames = c.frames[:0]; !w.invalid && !c.end; {
		w.read()
		if len(c.frames) > 0 {
			w.latest = max(w.latest, c.latest())
			return c.frames
		}
	}
	if w.buffer != nil {
		windowBuffers.Put(w.buffer)
		w.buffer, w.pcap.b.buf, c.frames = nil, nil, nil
	}
	return nil
}

// open gives the window its memory, and finds its first record.
func (w *Window) open() {
	w.opened, w.buffer = true, windowBuffers.Get().(*windowBuffer)
	w.batch.frames = w.buffer.frames[:0]
	b := &readBuffer{r: &w.reader, buf: w.buffer.block[:], base: w.start}
	w.pcap.b = b
	if w.guess {
		b.fill(1)
		at := w.pcap.findRecord(b.bytes())
		w.invalid = at < 0
		b.start = max(0, at)
		w.start = b.offset()
	}
}

// read adds records to the batch. A window that cannot be read is read again by Files.Next, which
// says why.
func (w *Window) read() {
	defer func() { w.invalid = w.invalid || recover() != nil }()
	w.invalid = w.pcap.next(&w.batch) != nil
}

// plausibleHeaders is the number of plausible headers in a row at the beginning of a window.
const plausibleHeaders = 5

// findRecord finds a place where records may begin, -1 if there is none.
func (r *recordLayout) findRecord(b []byte) int {
	for at := range b {
		if r.plausible(b[at:]) {
			return at
		}
	}
	return -1
}

// plausible reports whether the record headers at the beginning of b make sense, as far as it goes.
func (r *recordLayout) plausible(b []byte) bool {
	var before uint32
	for i := range plausibleHeaders {
		if len(b) < r.header {
			return i > 0
		}
		sec, frac, caplen, wire := r.head(b)
		if int64(frac)*r.unit >= 1e9 || caplen > maxCaplen || wire < caplen || wire > 1<<24 ||
			i > 0 && sec-before+3600 > 7200 {
			return false
		}
		before = sec
		b = b[min(len(b), r.header+int(caplen)):]
	}
	return true
}

// Follows reports whether a window that was read begins where reading stands, so that Take can be
// called. Otherwise Next reads on from there.
func (s *Files) Follows(w *Window) bool {
	return w.batch.end && !w.invalid && w.start == s.active[0].format.offset() &&
		(len(s.pending) == 0 || w.latest < s.pending[0].first)
}

// Take counts a window as read. The batch has all but its frames.
func (s *Files) Take(w *Window) *Batch {
	f, c := s.active[0], &w.batch
	f.frames += c.count
	s.stats.Frames += c.count
	for _, n := range c.skipped {
		s.stats.Frames -= n // addCounts adds them
	}
	b := &s.batch
	*b = Batch{Round: true, End: true}
	s.addCounts(b, c)
	at := w.pcap.offset()
	f.format.(*pcapFile).b.seek(at)
	f.plain.at, f.raw.n = at, uint64(at)
	return b
}
