package capture

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"spamsensor/sensor/frame"
)

// StreamConfig configures Stream.
type StreamConfig struct {
	// Name names the stream in messages and events, such as "standard input".
	Name string
	// Reader delivers the stream. Required. If it is an io.Closer, Close closes it.
	Reader io.Reader
	// Reopened says that the end of input before the first byte is no end: a named pipe has it
	// while no process has opened it for writing.
	Reopened bool
	// KnownLink, Prefilter and Untimed are as for Files.
	KnownLink func(link frame.LinkType) error
	Prefilter *frame.Prefilter
	Untimed   uint8
	// Working is called with true when the reader begins to work on bytes that it has, and with
	// false when it waits: for input, or for the caller of Next. Nil means that nobody asks.
	Working func(bool)
}

// Stream reads a capture, pcap or pcapng, while another program writes it: it is live, as an
// interface is. A goroutine reads and walks the records in place; it waits for the caller of Next
// before it reads on. So a Stream holds at most one buffer of the input, and a caller that is slow
// holds the sender back: nothing is dropped.
//
//	sender > pipe > reader's buffer > Next
//
// Frames are returned as soon as their record is whole, however few they are. One goroutine uses a
// Stream; Stats, Passed and Problem may be called from any.
type Stream struct {
	cfg     StreamConfig
	file    file             // of the goroutine that reads
	batches chan streamBatch // to Next; closed at the end
	taken   chan struct{}    // from Next: the frames of the latest batch are not needed any more
	closed  chan struct{}
	close   func()      // closes closed, once
	err     error       // of the reader; to be read when batches is closed
	lent    bool        // the caller has frames of the reader
	timer   *time.Timer // bounds the wait of Next
	batch   Batch

	mu     sync.Mutex // guards what follows
	stats  Stats      // of the batches that Next returned
	passed uint64     // frames of these that the prefilter did not skip
}

// streamBatch is a batch, and the counters of the input behind it.
type streamBatch struct {
	batch *recordBatch
	read  uint64    // bytes
	lost  [2]uint64 // drops that the sender wrote, as ngFile.drops
	untimed
}

// StreamBatch is the most frames in a batch of Stream: the shortest record has 16 bytes.
const StreamBatch = readBufferSize / 16

// OpenStream starts reading. It does not wait for the first byte.
func OpenStream(cfg StreamConfig) *Stream {
	if cfg.Working == nil {
		cfg.Working = func(bool) {}
	}
	s := &Stream{cfg: cfg, batches: make(chan streamBatch), taken: make(chan struct{}),
		closed: make(chan struct{}), timer: time.NewTimer(readTimeout)}
	s.close = sync.OnceFunc(func() { close(s.closed) })
	files := FilesConfig{KnownLink: cfg.KnownLink}.withDefaults()
	s.file = file{name: cfg.Name, live: true, raw: files.counter(streamReader{s})}
	go s.read(&files)
	return s
}

// streamReader reads for a Stream, and says when it waits.
type streamReader struct{ s *Stream }

// reopenWait is the time between two looks whether a named pipe has a writer.
const reopenWait = 50 * time.Millisecond

// Read implements io.Reader.
func (r streamReader) Read(p []byte) (int, error) {
	s := r.s
	s.cfg.Working(false)
	defer s.cfg.Working(true)
	n, err := s.cfg.Reader.Read(p)
	for s.cfg.Reopened && n == 0 && err == io.EOF && s.file.raw.n == 0 {
		select {
		case <-s.closed:
			return 0, io.EOF
		case <-time.After(reopenWait):
		}
		n, err = s.cfg.Reader.Read(p)
	}
	return n, err
}

// read is the goroutine of the reader.
func (s *Stream) read(files *FilesConfig) {
	defer close(s.batches) // the last step: who sees it may rely on the reader's end
	s.cfg.Working(true)
	defer s.cfg.Working(false)
	frames, b := uint64(0), &s.file.batch
	err := s.guarded(func() error { return s.file.open(files) })
	opened := err == nil
	for err == nil {
		b.clear()
		b.prefilter = s.cfg.Prefilter
		err = s.guarded(func() error { return s.file.format.next(b) })
		if frames += b.count; err == nil && !s.hand(b) {
			return
		}
	}
	s.err = s.describe(err, opened, frames)
}

// guarded calls f. No frame may end the sensor.
func (s *Stream) guarded(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errFault
		}
	}()
	return f()
}

// hand waits until Next takes a batch and its caller does not need it any more. It reports false if
// the stream was closed.
func (s *Stream) hand(b *recordBatch) bool {
	c := streamBatch{batch: b, read: s.file.raw.n}
	if ng, ok := s.file.format.(*ngFile); ok {
		c.lost, c.untimed = ng.drops, ng.untimed
	}
	s.cfg.Working(false)
	defer s.cfg.Working(true)
	select {
	case s.batches <- c:
	case <-s.closed:
		return false
	}
	select {
	case <-s.taken:
		return true
	case <-s.closed:
		return false
	}
}

// StreamError is the end of a stream.
type StreamError struct {
	Name   string
	Frames uint64 // that were read, skipped ones included
	// Fault is the reason if the stream did not end behind a record.
	Fault error
	// NoCapture says that the stream is no capture that can be read.
	NoCapture bool
}

// Error implements error.
func (e *StreamError) Error() string {
	switch {
	case e.NoCapture:
		return fmt.Sprintf("%s: %v\n  a capture comes, for example, from: "+
			"tcpdump -i IF -U -s0 -w - (nothing else may write to its standard output)",
			e.Name, e.Fault)
	case e.Fault == errEmpty:
		return fmt.Sprintf("the stream on %s has ended before a capture began: what did the "+
			"program say that sends it?", e.Name)
	case e.Fault != nil:
		return fmt.Sprintf("the stream on %s has ended after %d frames: %v; what follows is lost",
			e.Name, e.Frames, e.Fault)
	}
	return fmt.Sprintf("the stream on %s has ended after %d frames", e.Name, e.Frames)
}

// Unwrap returns Fault.
func (e *StreamError) Unwrap() error { return e.Fault }

// describe makes the StreamError of an error of the format. opened says that the beginning was
// that of a capture.
func (s *Stream) describe(err error, opened bool, frames uint64) error {
	e := &StreamError{Name: s.cfg.Name, Frames: frames, Fault: err}
	rest, cut := strings.CutPrefix(err.Error(), fileEnds)
	switch {
	case err == io.EOF:
		e.Fault = nil
	case cut:
		e.Fault = fmt.Errorf("it was cut %s (byte %d)", rest, s.file.raw.n)
	case opened:
		e.Fault = fmt.Errorf("%w (byte %d)", err, s.file.format.offset())
	default:
		e.NoCapture = err != errEmpty
	}
	return e
}

// Next returns frames, or an empty batch after 100 ms without a frame, or a *StreamError at the end
// of the stream.
func (s *Stream) Next() (*Batch, error) { return s.next(readTimeout) }

// next is Next with another bound of the wait.
func (s *Stream) next(wait time.Duration) (*Batch, error) {
	s.batch = Batch{End: true}
	s.release()
	s.timer.Reset(wait)
	select {
	case c, ok := <-s.batches:
		if !ok {
			s.countEnd()
			return &s.batch, s.err
		}
		s.take(&c)
	case <-s.timer.C:
	}
	return &s.batch, nil
}

// release gives the frames of the latest batch back to the reader.
func (s *Stream) release() {
	if s.lent {
		s.lent = false
		select {
		case s.taken <- struct{}{}:
		case <-s.closed:
		}
	}
}

// take makes the batch that Next returns of one of the reader, and counts it.
func (s *Stream) take(c *streamBatch) {
	s.lent = true
	b, from := &s.batch, c.batch
	b.Skipped, b.First, b.Last = from.skipped, from.first, from.last
	b.Frames = from.frames
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &s.stats
	untimed := c.untimed.frames - st.Untimed
	b.Skipped[s.cfg.Untimed] += untimed
	st.Untimed += untimed
	st.Frames += from.count + untimed
	st.Bytes += from.bytes
	st.BytesRead, st.BadTimes = c.read, st.BadTimes+from.badTimes
	st.InterfaceDrops, st.KernelDrops = c.lost[0], c.lost[1]
	st.Arrived = st.Frames
	s.passed += uint64(len(from.frames))
}

// countEnd counts the end of a stream that is not behind a record.
func (s *Stream) countEnd() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := new(StreamError); errors.As(s.err, &e) && e.Fault != nil {
		s.stats.Errors = 1
	}
}

// drainWait is how long Drain waits for a further frame: the pipe has what the sender has written.
const drainWait = 20 * time.Millisecond

// Drain calls take for the frames that have arrived; it ends when none comes for drainWait, or
// after drainTime.
func (s *Stream) Drain(take func(*Batch)) {
	for end := time.Now().Add(drainTime); time.Now().Before(end); {
		b, err := s.next(drainWait)
		if take(b); err != nil || len(b.Frames) == 0 && b.First == 0 {
			return
		}
	}
}

// Passed counts the frames that the prefilter did not skip.
func (s *Stream) Passed() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.passed
}

// Stats are the counters of the batches that Next returned.
func (s *Stream) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Problem is empty: a stream has no link that could be down.
func (s *Stream) Problem() string { return "" }

// Input is the name of the stream.
func (s *Stream) Input(uint16) string { return s.cfg.Name }

// MethodStream is the Method of a Stream; no configuration chooses it.
const MethodStream Method = "stream"

// Method is MethodStream.
func (s *Stream) Method() Method { return MethodStream }

// Close ends the reading. A reader that is no io.Closer may wait for its next byte for ever.
func (s *Stream) Close() error {
	s.close()
	if c, ok := s.cfg.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
