package event

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// pipe keeps the lines that were written to a pipe and may still be in it. When its reader goes
// away, recall returns the lines that were not read: the next reader of a named pipe would
// otherwise begin within a line. A nil pipe keeps none.
type pipe struct {
	f    *os.File
	size int    // capacity of the pipe in bytes
	sent []line // the latest lines, at least as many bytes as the pipe holds
	n    int    // bytes of sent
}

// newPipe returns nil if out is no pipe.
func newPipe(out io.Writer) *pipe {
	f, ok := out.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		return nil
	}
	p := &pipe{f: f}
	p.control(func(fd int) { p.size, _ = unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0) })
	return p
}

// control calls f with the descriptor, whose mode it does not change.
func (p *pipe) control(f func(fd int)) {
	if c, err := p.f.SyscallConn(); err == nil {
		c.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// wrote records lines that were written.
func (p *pipe) wrote(lines []line) {
	if p == nil || len(lines) == 0 {
		return
	}
	p.sent = append(p.sent, lines...)
	for _, l := range lines {
		p.n += len(l.text)
	}
	for p.n-len(p.sent[0].text) >= p.size {
		p.n -= len(p.sent[0].text)
		p.sent = p.sent[1:]
	}
}

// recall empties a pipe without a reader, and returns the lines of which a part was in it. The last
// half bytes in the pipe belong to a line that was not recorded. ok is false if the pipe could not
// be emptied.
func (p *pipe) recall(half int) (lines []line, ok bool) {
	if p == nil {
		return nil, false
	}
	left := -1
	p.control(func(fd int) { left = drain(fmt.Sprintf("/proc/self/fd/%d", fd), p.size) })
	if left < 0 {
		return nil, false
	}
	at := len(p.sent)
	for left -= half; left > 0 && at > 0; {
		at--
		left -= len(p.sent[at].text)
	}
	lines = p.sent[at:]
	p.sent, p.n = nil, 0
	return lines, true
}

// drain reads the content of a pipe, at most size bytes, and returns its length; -1 on failure.
func drain(name string, size int) (n int) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	defer unix.Close(fd)
	b := make([]byte, 64<<10)
	for n < size {
		m, err := unix.Read(fd, b)
		if err == unix.EINTR {
			continue
		}
		if m <= 0 {
			break
		}
		n += m
	}
	return n
}
