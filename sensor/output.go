package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"spamsensor/sensor/event"
	"spamsensor/sensor/state"
)

// readerWait is how long a named pipe may lack a reader: a shell starts both at once.
var readerWait = 5 * time.Second

// untouchable are files that no output may go to: what the command reads, and the state of a
// sensor.
type untouchable struct {
	files    []touched
	stateDir string
	captures func(fs.FileInfo) (name string, ok bool) // of capture.Files; nil if there are none
}

// touched is a file, and what the command uses it for.
type touched struct {
	use, name string
	info      fs.FileInfo
}

// untouchable collects what the command reads beside captures.
func (a *app) untouchable(cfg *config) *untouchable {
	u := &untouchable{stateDir: cfg.state.dir}
	u.add("the configuration", a.opt.file)
	u.add("the key of the hashes", cfg.hashKeyFile)
	return u
}

// add takes in a file by its name. One that is not there, and a directory, cannot be overwritten.
func (u *untouchable) add(use, name string) {
	if info, err := os.Stat(name); err == nil && !info.IsDir() {
		u.files = append(u.files, touched{use, name, info})
	}
}

// addStream takes in an open file, if it is one.
func (u *untouchable) addStream(use, name string, stream any) {
	if f, ok := stream.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			u.files = append(u.files, touched{use, name, info})
		}
	}
}

// check refuses an output, by the file that it is: links of both kinds lead to it as well as its
// names do. The error has the exit code of wrong usage.
func (u *untouchable) check(name string, info fs.FileInfo) error {
	for _, t := range u.files {
		if os.SameFile(t.info, info) {
			return exit(exitUsage, fmt.Errorf("nothing can be written to %s: it is %s %s, which would be destroyed", shown(name), t.use, shown(t.name)))
		}
	}
	if u.captures != nil {
		if input, ok := u.captures(info); ok {
			return exit(exitUsage, fmt.Errorf("nothing can be written to %s: it is the input %s, which would be destroyed", shown(name), shown(input)))
		}
	}
	if state.Owns(u.stateDir, name, info) {
		return exit(exitUsage, fmt.Errorf("nothing can be written to %s: it is part of the state of a sensor", shown(name)))
	}
	return nil
}

// checkOutputs refuses a file for the events, "" for none, and standard output and standard error,
// if they are files. Nothing was opened for writing yet.
func (u *untouchable) checkOutputs(events string, streams ...io.Writer) error {
	at, err := os.Stat(events)
	if err == nil {
		if err := u.check(events, at); err != nil {
			return err
		}
	} else {
		at = nil
	}
	for _, w := range streams {
		f, ok := w.(*os.File)
		if !ok {
			continue
		}
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			if at != nil && os.SameFile(info, at) {
				return exit(exitUsage, fmt.Errorf("events cannot go to %s: standard output or standard error goes there, too (--events - writes events to standard output)", shown(events)))
			}
			if err := u.check(strings.TrimPrefix(f.Name(), "/dev/"), info); err != nil {
				return err
			}
		}
	}
	return nil
}

// openEvents opens where events go: "-" is standard output. fresh empties a file that is there; a
// device or a pipe stays what it is, and a named pipe may lack a reader for so long. check refuses
// a file before anything is changed. A regular file is locked (flock) until it is closed, so that
// no two processes write to one; a file that another process holds is refused, with the exit code
// of wrong usage.
func openEvents(name string, fresh bool, wait time.Duration, stdout io.Writer, check func(string, fs.FileInfo) error) (io.Writer, io.Closer, error) {
	if name == "-" {
		return stdout, hold(stdout), nil
	}
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if at, err := os.Stat(name); err == nil {
		if err := check(name, at); err != nil {
			return nil, nil, err
		}
		switch mode := at.Mode(); {
		case mode.IsDir(), mode&fs.ModeSocket != 0, mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0:
			return nil, nil, exit(exitUsage, fmt.Errorf("nothing can be written to %s: it is no file", shown(name)))
		case mode&fs.ModeNamedPipe != 0:
			flags |= syscall.O_NONBLOCK // to open it would last until somebody reads, and no signal would end that
		}
	}
	f, err := os.OpenFile(name, flags, 0o640)
	for ; errors.Is(err, syscall.ENXIO) && wait > 0; wait -= 50 * time.Millisecond {
		time.Sleep(50 * time.Millisecond)
		f, err = os.OpenFile(name, flags, 0o640)
	}
	if errors.Is(err, syscall.ENXIO) {
		return nil, nil, fmt.Errorf("cannot write events: nobody reads the named pipe %s (start the reader first)", name)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot write events: %w", err)
	}
	if err := claim(f, name, fresh, check); err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, f, nil
}

// failedToOpen gives an error of openEvents its exit code, if it has none of its own.
func failedToOpen(err error) error {
	if e := new(exitError); errors.As(err, &e) {
		return err
	}
	return exit(exitFailed, err)
}

// claim makes sure that an open file is ours before it is emptied: another one may have taken its
// place since it was looked at.
func claim(f *os.File, name string, fresh bool, check func(string, fs.FileInfo) error) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("cannot write events: %w", err)
	}
	if err := check(name, info); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	if errors.Is(lock(f), syscall.EWOULDBLOCK) {
		return exit(exitUsage, fmt.Errorf("nothing can be written to %s: another process is writing to it", shown(name)))
	}
	if !fresh {
		return mend(f, name, info.Size())
	}
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("cannot write events: %w", err)
	}
	return nil
}

// maxLine is longer than any event.
const maxLine = 64 << 10

// mend ends a file whose last line has no end, because the sensor or the machine died while it was
// written: the half event is taken off, so that each line is an event, and a line of somebody else
// is ended.
func mend(f *os.File, name string, size int64) error {
	r, err := os.Open(name)
	if err != nil || size == 0 {
		return nil // it can be written and not read
	}
	defer r.Close()
	at := max(0, size-maxLine)
	b := make([]byte, size-at)
	if n, err := r.ReadAt(b, at); err != nil && err != io.EOF || n < len(b) {
		return nil
	}
	i := bytes.LastIndexByte(b, '\n')
	last := b[i+1:]
	begins := i >= 0 || at == 0 // last is a line from its beginning on
	switch {
	case len(last) == 0:
	case begins && (bytes.HasPrefix(last, []byte(event.Start)) || bytes.HasPrefix([]byte(event.Start), last)):
		err = f.Truncate(at + int64(i) + 1)
	default:
		_, err = f.Write([]byte{'\n'})
	}
	if err != nil {
		return fmt.Errorf("cannot write events: %w", err)
	}
	return nil
}

// lock takes the advisory lock of a file. Some file systems have none.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// hold locks standard output if that is a regular file, and gives what unlocks it: whoever started
// the command may keep it open. Several sensors may append to one, so that a lock of another's is
// no error.
func hold(stdout io.Writer) io.Closer {
	f, ok := stdout.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || lock(f) != nil {
		return nil
	}
	return unlocker{f}
}

// unlocker gives up the lock of a file, and leaves it open.
type unlocker struct{ f *os.File }

// Close implements io.Closer.
func (u unlocker) Close() error { return syscall.Flock(int(u.f.Fd()), syscall.LOCK_UN) }

// reopen has the events go to a file that is opened by its name again: the former may have been
// moved away. It reports false if the name still leads to the file that is open.
func (p *pipeline) reopen(name string, wait time.Duration, check func(string, fs.FileInfo) error) (again bool, err error) {
	if former, ok := p.closer.(*os.File); ok {
		was, errWas := former.Stat()
		is, errIs := os.Stat(name)
		if errWas == nil && errIs == nil && was.Mode().IsRegular() && os.SameFile(was, is) {
			return false, nil
		}
	}
	out, closer, err := openEvents(name, false, wait, nil, check)
	if err != nil {
		return false, err
	}
	former := p.closer
	p.closer = closer
	p.queue.Replace(out, func() { former.Close() })
	return true, nil
}
