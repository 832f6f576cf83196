package notify

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// position is a place in the file of the events. It is saved.
type position struct {
	Path          string `json:"path"`
	Device, Inode uint64
	Offset        int64 `json:"offset"`
	// Head is a hash of the first HeadSize bytes: another file may get the inode of a former one.
	Head     uint64 `json:"head"`
	HeadSize int    `json:"head_size"`
}

// tail follows the file of the events as lines are appended. A rotation by rename is followed when
// the former file is read to its end and the sensor had time to write the last lines to it; after a
// rotation by copy and truncate the file is read from its beginning.
type tail struct {
	path       string
	f          *os.File
	at         position
	chain      []string  // rotated files that come after the open one
	replacedAt time.Time // when the name led to another file for the first time
	skip       bool      // the rest of a line that is too long is skipped
	buffer     []byte
	size       int64 // of the file at the last look

	// Counters.
	unreadable, truncated, gaps uint64
}

const (
	// maxLine is longer than any event, in bytes.
	maxLine = 64 << 10
	// readSize bounds the bytes of one call of read.
	readSize = 1 << 20
	// headSize is longer than the time stamp of the first event, which no two files share.
	headSize = 128
	// rotationGrace is the time that the sensor has to write its last lines to a renamed file.
	rotationGrace = 2 * time.Second
)

// newTail starts at a saved position. Without one it starts at the end of the file; a file that
// does not exist yet is read from its beginning.
func newTail(path string, saved *position) (*tail, error) {
	t := &tail{path: path, at: position{Path: path}}
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file: notify needs a file that it can go back in",
			path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("cannot read the events: %w", err)
	}
	if saved != nil && saved.Path == path {
		if err := t.resume(saved, info); err != nil {
			return nil, err
		}
		return t, nil
	}
	if info == nil {
		return t, nil
	}
	if err := t.open(path); err != nil {
		return nil, err
	}
	t.at.Offset = t.lastLine(info.Size())
	return t, t.mark()
}

func identity(info fs.FileInfo) [2]uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return [2]uint64{uint64(st.Dev), st.Ino}
	}
	return [2]uint64{}
}

// open opens a file at its beginning.
func (t *tail) open(name string) error {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("cannot read the events: %w", err)
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		f.Close()
		return errors.Join(err, fmt.Errorf("%s is no regular file", name))
	}
	t.close()
	id := identity(info)
	t.f, t.at = f, position{Path: t.path, Device: id[0], Inode: id[1]}
	t.replacedAt, t.skip = time.Time{}, false
	return nil
}

func (t *tail) close() {
	if t.f != nil {
		t.f.Close()
		t.f = nil
	}
}

// lastLine returns the beginning of the line that is not finished at the end of the file.
func (t *tail) lastLine(size int64) int64 {
	b := make([]byte, min(size, maxLine))
	n, _ := t.f.ReadAt(b, size-int64(len(b)))
	if i := bytes.LastIndexByte(b[:n], '\n'); i >= 0 {
		return size - int64(len(b)) + int64(i) + 1
	}
	return size - int64(len(b))
}

// mark takes the hash of the file's beginning, as far as it is read.
func (t *tail) mark() error {
	b := make([]byte, min(headSize, t.at.Offset))
	if _, err := t.f.ReadAt(b, 0); err != nil && err != io.EOF {
		return err
	}
	t.at.Head, t.at.HeadSize = hash(b), len(b)
	return nil
}

func hash(b []byte) uint64 {
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}

// changed reports whether the file is another one than the position is in: it was truncated.
func (t *tail) changed(size int64) bool {
	if size < t.at.Offset {
		return true
	}
	b := make([]byte, t.at.HeadSize)
	n, _ := t.f.ReadAt(b, 0)
	return hash(b[:n]) != t.at.Head && t.at.HeadSize > 0
}

// read calls each with the lines that are complete, at most readSize bytes of them. The line is
// valid until each returns. more reports that there is more to read at once.
func (t *tail) read(now time.Time, each func(line []byte)) (more bool, err error) {
	if t.f == nil {
		switch err := t.next(); {
		case errors.Is(err, fs.ErrNotExist):
			return false, nil // the sensor has not started yet
		case err != nil:
			return false, err
		}
	}
	info, err := t.f.Stat()
	if err != nil {
		return false, err
	}
	if t.size = info.Size(); t.changed(t.size) {
		t.truncated++
		t.at.Offset, t.at.Head, t.at.HeadSize, t.skip = 0, 0, 0, false
	}
	if t.buffer == nil {
		t.buffer = make([]byte, readSize)
	}
	n, err := t.f.ReadAt(t.buffer, t.at.Offset)
	if err != nil && err != io.EOF {
		return false, err
	}
	used := t.lines(t.buffer[:n], each)
	t.at.Offset += int64(used)
	if used > 0 {
		if t.at.HeadSize < headSize {
			if err := t.mark(); err != nil {
				return false, err
			}
		}
		return true, nil
	}
	return t.rotate(now, n)
}

// lines calls each with the lines of b and returns the bytes that need not be read again.
func (t *tail) lines(b []byte, each func(line []byte)) (used int) {
	for {
		i := bytes.IndexByte(b[used:], '\n')
		switch {
		case i < 0 && len(b)-used > maxLine:
			if !t.skip {
				t.unreadable++
			}
			t.skip = true
			return len(b)
		case i < 0 && t.skip:
			return len(b)
		case i < 0:
			return used
		case t.skip:
			t.skip = false
		case i > maxLine:
			t.unreadable++
		case i > 0:
			each(b[used : used+i])
		}
		used += i + 1
	}
}

// rotate goes on with the next file if the open one was replaced and is read to its end. torn is
// the size of its last line, which has no newline.
func (t *tail) rotate(now time.Time, torn int) (more bool, err error) {
	if len(t.chain) == 0 {
		info, err := os.Stat(t.path)
		if err != nil || identity(info) == [2]uint64{t.at.Device, t.at.Inode} {
			t.replacedAt = time.Time{}
			return false, nil // the new file is not there yet
		}
		if t.replacedAt.IsZero() || now.Before(t.replacedAt) {
			t.replacedAt = now
		}
		if now.Sub(t.replacedAt) < rotationGrace {
			return false, nil
		}
	}
	switch err := t.next(); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	if torn > 0 {
		t.unreadable++
	}
	return true, nil
}

// next opens the file that comes after the one that was read.
func (t *tail) next() error {
	for len(t.chain) > 0 {
		name := t.chain[0]
		t.chain = t.chain[1:]
		if err := t.open(name); err == nil {
			return nil
		}
		t.gaps++
	}
	return t.open(t.path)
}

// behind is the number of bytes that are not read yet.
func (t *tail) behind() int64 { return max(0, t.size-t.at.Offset) }
