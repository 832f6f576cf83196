package event

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// disk checks the free space of the disk of a file. The last of it is kept for findings, health and
// stats. A nil disk has no limit.
type disk struct {
	f     *os.File
	since int   // bytes written since the last check
	err   error // result of the last check
}

const (
	// checkInterval is the number of bytes between two checks of the free space.
	checkInterval = 16 << 10
	// reserve is the space that is kept for important events; of a disk of less than 16 times as
	// much, a sixteenth is kept.
	reserve = 16 << 20
)

var errNearlyFull = errors.New("the disk is almost full: what is left is kept for findings")

// newDisk returns nil if out is no regular file.
func newDisk(out io.Writer) *disk {
	f, ok := out.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return &disk{f: f, since: checkInterval}
}

// wrote records that n bytes were written.
func (d *disk) wrote(n int) {
	if d != nil {
		d.since += n
	}
}

// noSpace returns an error if the disk has no space for n bytes. It does not write.
func (d *disk) noSpace(n int) error {
	if d == nil {
		return nil
	}
	var st syscall.Statfs_t
	if syscall.Fstatfs(int(d.f.Fd()), &st) == nil && st.Blocks > 0 &&
		st.Bfree*uint64(st.Bsize) < uint64(n) {
		return syscall.ENOSPC
	}
	return nil
}

// takeBack removes the n bytes that were written last from the file. It reports false if that is
// not possible; a file to which another process has written since is not changed.
func (d *disk) takeBack(n int) bool {
	if d == nil {
		return false
	}
	info, err := d.f.Stat()
	if err != nil {
		return false
	}
	at, err := d.f.Seek(0, io.SeekCurrent)
	if err != nil || at != info.Size() || d.f.Truncate(at-int64(n)) != nil {
		return false
	}
	_, err = d.f.Seek(at-int64(n), io.SeekStart)
	return err == nil
}

// full returns an error if the free space is kept for important events, by a look at the disk now.
// Any goroutine may call it.
func (d *disk) full() error {
	if !d.hasRoom(0) {
		return errNearlyFull
	}
	return nil
}

// hasRoom reports whether n bytes leave the space that is kept for important events.
func (d *disk) hasRoom(n int) bool {
	if d == nil {
		return true
	}
	var st syscall.Statfs_t
	if syscall.Fstatfs(int(d.f.Fd()), &st) != nil {
		return true
	}
	size, left := st.Blocks*uint64(st.Bsize), st.Bavail*uint64(st.Bsize)
	return size == 0 || left >= min(reserve, size/16)+uint64(n)
}

// isDiskFull reports whether an error says that a disk has no space.
func isDiskFull(err error) bool {
	return errors.Is(err, errNearlyFull) || errors.Is(err, syscall.ENOSPC) ||
		errors.Is(err, syscall.EDQUOT)
}

// nearlyFull returns an error if the free space is kept for important events.
func (d *disk) nearlyFull() error {
	if d == nil || d.since < checkInterval && d.err == nil {
		return nil
	}
	d.since, d.err = 0, d.full()
	return d.err
}
