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

// pipeReaderWait bounds the time that a named pipe may lack a reader: a shell starts both ends at
// the same time.
var pipeReaderWait = 5 * time.Second

// protectedFiles are the files that no output may overwrite: the inputs of the command, and the
// state of a sensor.
type protectedFiles struct {
	files    []protectedFile
	stateDir string
	captures func(fs.FileInfo) (name string, ok bool) // capture.Files.Reads; nil without files
}

// protectedFile is a file, and its use in the command.
type protectedFile struct {
	use, name string
	info      fs.FileInfo
}

// protectedFiles collects the files that the command reads beside captures.
func (a *app) protectedFiles(cfg *config) *protectedFiles {
	u := &protectedFiles{stateDir: cfg.state.dir}
	for _, t := range cfg.layers.texts {
		if t.isFile {
			u.add("the configuration", t.name)
		}
	}
	u.add("the key of the hashes", cfg.hashKeyFile)
	u.add("the names of hosts", cfg.namesFile)
	if cfg.streamName() == "-" {
		u.addStream("an input,", "standard input", a.stdin)
	}
	return u
}

// add protects a file by its name. A missing file and a directory cannot be overwritten.
func (u *protectedFiles) add(use, name string) {
	if info, err := os.Stat(name); err == nil && !info.IsDir() {
		u.files = append(u.files, protectedFile{use, name, info})
	}
}

// addStream protects a stream, if it is a file.
func (u *protectedFiles) addStream(use, name string, stream any) {
	if f, ok := stream.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			u.files = append(u.files, protectedFile{use, name, info})
		}
	}
}

// check refuses an output that is a protected file. Files are compared by device and inode, so that
// hard and symbolic links are found as well. The error has the exit code of wrong usage.
func (u *protectedFiles) check(name string, info fs.FileInfo) error {
	for _, t := range u.files {
		if os.SameFile(t.info, info) {
			return refuseOutput(name, fmt.Sprintf("it is %s %s, which would be destroyed",
				t.use, printable(t.name)))
		}
	}
	if u.captures != nil {
		if input, ok := u.captures(info); ok {
			return refuseOutput(name, fmt.Sprintf("it is the input %s, which would be destroyed",
				printable(input)))
		}
	}
	if state.Owns(u.stateDir, name, info) {
		return refuseOutput(name, "it is part of the state of a sensor")
	}
	return nil
}

// refuseOutput makes the error of an output that must not be written, with the exit code of wrong
// usage.
func refuseOutput(name, why string) error {
	return exit(exitUsage, fmt.Errorf("nothing can be written to %s: %s", printable(name), why))
}

// namedOutput is an output file by its option. The name "" is none, and "-" standard output.
type namedOutput struct{ what, option, name string }

// checkOutputs checks the files of outputs, and standard output and standard error where they are
// files, before anything is opened for writing. No two of them may be one file.
func (u *protectedFiles) checkOutputs(outputs []namedOutput, streams ...io.Writer) error {
	infos := make([]fs.FileInfo, len(outputs)) // of those that exist
	for i, o := range outputs {
		at, err := os.Stat(o.name)
		if err != nil || o.name == "" || o.name == "-" {
			continue
		}
		if err := u.check(o.name, at); err != nil {
			return err
		}
		infos[i] = at
	}
	for i, o := range outputs {
		for j, other := range outputs[:i] {
			if o.name != "" && (o.name == other.name || infos[i] != nil && infos[j] != nil &&
				infos[i].Mode().IsRegular() && os.SameFile(infos[i], infos[j])) {
				return exit(exitUsage, fmt.Errorf("%s and %s cannot both go to %s", other.what,
					o.what, printable(o.name)))
			}
		}
	}
	for _, w := range streams {
		f, ok := w.(*os.File)
		if !ok {
			continue
		}
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			for i, o := range outputs {
				if infos[i] != nil && os.SameFile(info, infos[i]) {
					return exit(exitUsage, fmt.Errorf("%s cannot go to %s: standard output or "+
						"standard error goes there, too (%s - writes %s to standard output)",
						o.what, printable(o.name), o.option, o.what))
				}
			}
			if err := u.check(strings.TrimPrefix(f.Name(), "/dev/"), info); err != nil {
				return err
			}
		}
	}
	return nil
}

// outputCheck refuses a file as output; see protectedFiles.check.
type outputCheck func(name string, info fs.FileInfo) error

// openEvents opens the output of the events; "-" is standard output. truncate empties an existing
// regular file. A named pipe may lack a reader for as long as wait. check refuses a file before
// anything is changed. A regular file is locked (flock) until it is closed, so that no two
// processes write to it; a file with another process's lock is refused, with the exit code of wrong
// usage.
func openEvents(name string, truncate bool, wait time.Duration, stdout io.Writer,
	check outputCheck) (io.Writer, io.Closer, error) {
	if name == "-" {
		return stdout, lockStdout(stdout), nil
	}
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if at, err := os.Stat(name); err == nil {
		if err := check(name, at); err != nil {
			return nil, nil, err
		}
		switch mode := at.Mode(); {
		case mode.IsDir(), mode&fs.ModeSocket != 0,
			mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0:
			return nil, nil, refuseOutput(name, "it is no file")
		case mode&fs.ModeNamedPipe != 0:
			// Otherwise the call would wait for a reader, and no signal would end it.
			flags |= syscall.O_NONBLOCK
		}
	}
	f, err := os.OpenFile(name, flags, 0o640)
	for ; errors.Is(err, syscall.ENXIO) && wait > 0; wait -= 50 * time.Millisecond {
		time.Sleep(50 * time.Millisecond)
		f, err = os.OpenFile(name, flags, 0o640)
	}
	if errors.Is(err, syscall.ENXIO) {
		return nil, nil, fmt.Errorf("cannot write events: nobody reads the named pipe %s "+
			"(start the reader first)", name)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot write events: %w", err)
	}
	if err := lockOutput(f, name, truncate, check); err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, f, nil
}

// failedToOpen gives an error of openEvents the exit code 1, unless it has a code of its own.
func failedToOpen(err error) error {
	if e := new(exitError); errors.As(err, &e) {
		return err
	}
	return exit(exitFailed, err)
}

// lockOutput checks and locks an open file before it is changed: another file may have taken its
// name since the first check.
func lockOutput(f *os.File, name string, truncate bool, check outputCheck) error {
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
		return refuseOutput(name, "another process is writing to it")
	}
	if !truncate {
		return repairLastLine(f, name, info.Size())
	}
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("cannot write events: %w", err)
	}
	return nil
}

// maxLine is longer than any event, in bytes.
const maxLine = 64 << 10

// repairLastLine completes a file whose last line has no newline, because the sensor or the machine
// died while it was written. A partial event is removed, so that each line is an event; a line of
// another program gets its newline.
func repairLastLine(f *os.File, name string, size int64) error {
	r, err := os.Open(name)
	if err != nil || size == 0 {
		return nil // the file cannot be read
	}
	defer r.Close()
	at := max(0, size-maxLine)
	b := make([]byte, size-at)
	if n, err := r.ReadAt(b, at); err != nil && err != io.EOF || n < len(b) {
		return nil
	}
	i := bytes.LastIndexByte(b, '\n')
	last, start := b[i+1:], []byte(event.Start)
	whole := i >= 0 || at == 0 // last starts at the start of a line
	switch {
	case len(last) == 0:
	case whole && (bytes.HasPrefix(last, start) || bytes.HasPrefix(start, last)):
		err = f.Truncate(at + int64(i) + 1)
	default:
		_, err = f.Write([]byte{'\n'})
	}
	if err != nil {
		return fmt.Errorf("cannot write events: %w", err)
	}
	return nil
}

// lock takes the advisory lock of a file. Some file systems have no locks.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// lockStdout locks standard output if it is a regular file, and returns the closer that unlocks it:
// the process that started the command may keep the file open. Several sensors may append to one
// file, so that another process's lock is no error.
func lockStdout(stdout io.Writer) io.Closer {
	f, ok := stdout.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || lock(f) != nil {
		return nil
	}
	return unlocker{f}
}

// unlocker releases the lock of a file, and leaves the file open.
type unlocker struct{ f *os.File }

// Close implements io.Closer.
func (u unlocker) Close() error { return syscall.Flock(int(u.f.Fd()), syscall.LOCK_UN) }

// reopen opens the output of the events by its name again, because log rotation may have moved the
// file. It reports false if the name still leads to the open file.
func (p *pipeline) reopen(name string, wait time.Duration,
	check outputCheck) (opened bool, err error) {
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
