package capture

import (
	"bufio"
	"cmp"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"spamsensor/sensor/frame"
)

// file is one input: its reader, and the frames that were read and not yet returned.
type file struct {
	name      string
	index     uint16      // Frame.From of its frames
	first     int64       // time of the first frame
	size      int64       // bytes on disk, 0 where unknown
	info      fs.FileInfo // of a regular file when it was probed
	prefilter *frame.Prefilter
	only      TimeSpan

	live          bool // more may come at any time: nothing waits for what is not needed
	raw           *countingReader
	plain         *plainReader // under raw, of a regular file
	closer        io.Closer
	closeUnpacker func() // frees the decompressor
	format        format
	frames        uint64 // that were read
	batch         recordBatch
	counted       bool          // Files has the counts of batch
	untimed       untimed       // untimed frames of the format that Files has counted
	queue         []frame.Frame // frames of batch that were not yet returned
}

// countingReader counts the bytes that are read from disk.
type countingReader struct {
	r     io.Reader
	n     uint64
	steps *atomic.Uint64 // may be nil
}

// Read implements io.Reader.
func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += uint64(n)
	if c.steps != nil {
		c.steps.Add(1)
	}
	return n, err
}

var errReplaced = errors.New("another file has taken its place since it was looked at; " +
	"what it held was not read")

// open finds the format of the input. The error is the reason why the input cannot be read.
func (f *file) open(cfg *FilesConfig) error {
	known := cfg.KnownLink
	f.batch.window = cmp.Or(f.batch.window, cfg.Window)
	if f.raw == nil {
		if err := f.openFile(cfg); err != nil {
			return err
		}
	}
	b := newReadBuffer(f.raw)
	for {
		if err := b.fill(6); err != nil && err != io.EOF {
			return errors.New(incomplete(err, "at its beginning"))
		}
		h := b.bytes()
		switch {
		case len(h) == 0:
			return errEmpty
		case len(h) < 4:
			return foreign(f.name, h)
		}
		switch magic := [4]byte(h[:4]); {
		case isPcap(magic):
			p, err := openPcap(b, known)
			f.format = p
			return err
		case magic == [4]byte{0x0a, 0x0d, 0x0d, 0x0a}:
			p, err := openNg(b, known)
			f.format = p
			return err
		}
		if f.live && isCompressed(h) {
			return errCompressedStream
		}
		if f.closeUnpacker != nil || !isCompressed(h) { // nobody compresses twice
			if !f.live {
				b.fill(probeLength) // as far as there is more
			}
			return foreign(f.name, b.bytes())
		}
		r, free, err := decompress(io.MultiReader(strings.NewReader(string(h)), f.raw), h)
		if err != nil {
			return err
		}
		f.closeUnpacker = free
		b = newReadBuffer(r)
	}
}

// errCompressedStream is the error of a compressed stream: a decompressor holds frames back, and
// may need more memory than a sensor has.
var errCompressedStream = &foreignError{what: "the capture is compressed",
	do: "decompress it on its way, for example with: zcat"}

// openFile opens the file for reading.
func (f *file) openFile(cfg *FilesConfig) error {
	r, err := os.Open(f.name)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return err
	}
	f.plain = &plainReader{f: r}
	f.raw, f.closer = cfg.counter(f.plain), r
	if now, err := r.Stat(); err != nil || !os.SameFile(f.info, now) {
		return errReplaced
	}
	return nil
}

// isZstd reports whether these bytes begin a zstd frame, or one that is to be skipped (RFC 8878,
// section 3.1.2).
func isZstd(head []byte) bool {
	return [4]byte(head[:4]) == [4]byte{0x28, 0xb5, 0x2f, 0xfd} ||
		head[0]&0xf0 == 0x50 && [3]byte(head[1:4]) == [3]byte{0x2a, 0x4d, 0x18}
}

// isCompressed reports whether decompress knows the compression of an input that begins with these
// bytes; at least four.
func isCompressed(head []byte) bool {
	return head[0] == 0x1f && head[1] == 0x8b || isZstd(head) || isXZ(head) || isBzip2(head)
}

// isXZ reports whether these bytes begin an xz stream.
func isXZ(head []byte) bool { return len(head) >= 6 && string(head[:6]) == "\xfd7zXZ\x00" }

// isBzip2 reports whether these bytes begin a bzip2 stream: the size of its blocks is a digit.
func isBzip2(head []byte) bool {
	return string(head[:3]) == "BZh" && head[3] >= '1' && head[3] <= '9'
}

// decompress returns a reader of what r holds and a function that frees it. head are the first
// bytes of r, which isCompressed knows.
func decompress(r io.Reader, head []byte) (io.Reader, func(), error) {
	switch {
	case isZstd(head):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, nil, fmt.Errorf("zstd: %w", err)
		}
		return z, z.Close, nil
	case isXZ(head):
		z, err := newXZ(r)
		if err != nil {
			return nil, nil, err
		}
		return z, func() {}, nil
	case isBzip2(head):
		return &bzip2File{bzip2.NewReader(bufio.NewReaderSize(r, 64<<10))}, func() {}, nil
	}
	z, err := newGzip(r)
	if err != nil {
		return nil, nil, fmt.Errorf("gzip: %w", err)
	}
	return z, func() {}, nil
}

// bzip2File names the errors of the decompressor.
type bzip2File struct{ r io.Reader }

// Read implements io.Reader.
func (f *bzip2File) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if _, ok := err.(bzip2.StructuralError); ok {
		err = errors.New("bzip2: the compressed data is damaged")
	}
	return n, err
}

// close frees all resources of the input.
func (f *file) close() {
	if f.closeUnpacker != nil {
		f.closeUnpacker()
	}
	if f.closer != nil {
		f.closer.Close()
	}
}

// consumed is the part of the input that was read, in bytes on disk. Of a plain file it ends with
// the last record.
func (f *file) consumed() uint64 {
	if p, ok := f.format.(*pcapFile); ok && f.closeUnpacker == nil && f.size > 0 {
		return uint64(p.offset())
	}
	return f.raw.n
}

// read reads until there are frames, or frames were skipped, or a window ended.
func (f *file) read() (err error) {
	f.batch.clear()
	f.batch.prefilter, f.batch.only = f.prefilter, f.only
	f.queue, f.counted = nil, false
	f.raw.steps.Add(1)
	defer func() {
		if recover() != nil { // no frame may end the sensor
			err = errFault
		}
	}()
	for f.batch.count == 0 && !f.batch.end {
		if err := f.format.next(&f.batch); err != nil {
			if err == io.EOF && f.closeUnpacker == nil && f.raw.n < uint64(f.size) {
				err = errShrunk
			}
			return err
		}
	}
	f.queue = f.batch.frames
	return nil
}

var errShrunk = errors.New("the file became shorter while it was read")
