package capture

import (
	"bufio"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

// gzipFile decompresses the members of a gzip file (RFC 1952, section 2.2). Zeros behind a member
// are padding of tapes and block devices, and are skipped without a warning, as gzip(1) does. Other
// data that is no member is an error after all members were read; gzip(1) warns and ignores it.
type gzipFile struct {
	r   *bufio.Reader
	z   *gzip.Reader
	err error
}

var errAfterGzip = errors.New("gzip: something that is not compressed follows; " +
	"it was not read")

func newGzip(r io.Reader) (*gzipFile, error) {
	g := &gzipFile{r: bufio.NewReaderSize(r, 64<<10)}
	z, err := gzip.NewReader(g.r)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	g.z = z
	return g, nil
}

// Read implements io.Reader.
func (g *gzipFile) Read(p []byte) (n int, err error) {
	for n == 0 && g.err == nil && len(p) > 0 {
		if n, g.err = g.z.Read(p); g.err == io.EOF {
			g.err = g.next()
		}
	}
	if n > 0 {
		return n, nil
	}
	return n, g.err
}

// next begins the next member; io.EOF if there is none.
func (g *gzipFile) next() error {
	for {
		c, err := g.r.ReadByte()
		if err != nil {
			return err
		}
		if c == 0 {
			continue
		}
		g.r.UnreadByte()
		break
	}
	head, err := g.r.Peek(2)
	if err == nil && (head[0] != 0x1f || head[1] != 0x8b) || err == io.EOF && head[0] != 0x1f {
		return errAfterGzip
	}
	if err := g.z.Reset(g.r); err != nil {
		return cut(err)
	}
	g.z.Multistream(false)
	return nil
}
