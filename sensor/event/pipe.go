package event

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// pipe remembers what was written to a pipe and may be in it still. When its reader goes away, what
// nobody took is taken back: the next reader of a named pipe would otherwise begin within a line.
type pipe struct {
	f    *os.File
	size int    // what the pipe holds, in bytes
	sent []line // the latest, at least as much as the pipe holds if there was as much
	n    int    // bytes of sent
}

// newPipe is nil for what is no pipe.
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

// control calls f with the descriptor, which stays as it is.
func (p *pipe) control(f func(fd int)) {
	if c, err := p.f.SyscallConn(); err == nil {
		c.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// wrote takes in a line that was written.
func (p *pipe) wrote(l line) {
	if p == nil {
		return
	}
	p.sent = append(p.sent, l)
	p.n += len(l.text)
	for p.n-len(p.sent[0].text) >= p.size {
		p.n -= len(p.sent[0].text)
		p.sent = p.sent[1:]
	}
}

// recall empties the pipe, which has no reader, and gives the lines of which a part was in it. The
// last bytes that were written, half of them, are of a line that is none of these. It reports false
// if the pipe could not be emptied.
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

// drain reads what is in a pipe, at most size bytes, and says how much that was; -1 if it cannot.
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
