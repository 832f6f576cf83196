package capture

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// mappedFile reads a plain pcap file on a disk. A window of the file at a time is mapped, so that
// nothing is copied, and walked in lanes; see lanes.go.
type mappedFile struct {
	recordLayout
	f       *os.File
	read    *uint64 // bytes consumed so far
	size    int64
	pos     int64 // of the next record
	workers int
	shrunk  bool
	data    []byte // the mapped window
	lanes   []lane
}

// newMappedFile reads a file whose header was read; workers is the number of goroutines that walk
// a window.
func newMappedFile(f *os.File, size int64, read *uint64, layout recordLayout,
	workers int) *mappedFile {
	*read = fileHeader
	return &mappedFile{recordLayout: layout, f: f, read: read, size: size, pos: fileHeader,
		workers: max(1, workers)}
}

func (m *mappedFile) offset() int64 { return m.pos }

// next walks a window.
func (m *mappedFile) next(c *recordBatch) error {
	m.unmap()
	if info, err := m.f.Stat(); err == nil && info.Size() > m.size {
		m.size = info.Size() // the file is still being written
	}
	for m.pos < m.size {
		if err := m.walkWindow(c); err != errShrunk {
			return err
		}
		info, err := m.f.Stat()
		if err != nil || info.Size() >= m.size {
			return errShrunk
		}
		m.unmap()
		m.size, m.shrunk = info.Size(), true
	}
	if m.shrunk {
		return errShrunk
	}
	return io.EOF
}

var errShrunk = errors.New("the file became shorter while it was read")

// walkWindow maps the next window and walks it. The error is errShrunk if a part of it is not
// there.
func (m *mappedFile) walkWindow(c *recordBatch) error {
	// Records that begin in the window may end behind it.
	page := m.pos &^ int64(os.Getpagesize()-1)
	size := c.windowSize()
	limit := m.pos/size*size + size
	length := min(limit+int64(m.header)+maxCaplen, m.size) - page
	data, err := unix.Mmap(int(m.f.Fd()), page, int(length), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mapping the file: %w", err)
	}
	m.data = data
	m.divide(c, int(m.pos-page), int(min(limit, m.size)-page))
	m.walkLanes()
	last, err := m.stitchGuarded()
	if err != nil {
		return err
	}
	if last.faulted {
		return errShrunk
	}
	for i := range m.lanes {
		m.lanes[i].appendTo(c, i == 0)
	}
	m.pos = page + int64(last.pos)
	c.end = m.pos >= limit
	*m.read = uint64(m.pos)
	if last.stopped && c.count == 0 {
		return m.recordFault(m.data[last.pos:], nil)
	}
	return nil
}

func (m *mappedFile) unmap() {
	if m.data != nil {
		unix.Munmap(m.data)
		m.data = nil
	}
}
