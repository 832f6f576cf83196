package capture

import (
	"bufio"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

// gzipFile unpacks the members of a gzip file (RFC 1952, section 2.2). Zeros behind a member are padding, of tapes
// and of block devices, and gzip(1) says nothing of them either. Of anything else that is no member it warns, and
// ignores it; here it is an error, which comes when all before it was given.
type gzipFile struct {
	r   *bufio.Reader
	z   *gzip.Reader
	err error
}

var errBehindGzip = errors.New("gzip: something that is not compressed follows; it was not read")

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

// next goes on to the next member; io.EOF says that there is none.
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
	if head, err := g.r.Peek(2); err == nil && (head[0] != 0x1f || head[1] != 0x8b) || err == io.EOF && head[0] != 0x1f {
		return errBehindGzip
	}
	if err := g.z.Reset(g.r); err != nil {
		return cut(err)
	}
	g.z.Multistream(false)
	return nil
}
