package doctor

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine is the state of the machine that the sensor runs on.
type Machine struct {
	Disks []Disk
	// Available is the memory that programs can have, Needed what the sensor takes, in bytes; zero
	// where unknown.
	Available, Needed uint64
	// ClockKnown reports that the kernel was asked; Synchronised that a time server sets its clock.
	ClockKnown, Synchronised bool
}

// Disk is a directory that the sensor writes to.
type Disk struct {
	Path, Purpose string
	Free, Size    uint64 // bytes of its file system
	Err           error  // why it is not known
}

// ReadMachine reads the state of the machine. directories are those that the sensor writes to,
// with their purpose; needed is the memory that it takes.
func ReadMachine(directories []Disk, needed uint64) *Machine {
	m := &Machine{Needed: needed, Available: available()}
	for _, d := range directories {
		var fs unix.Statfs_t
		if d.Err = unix.Statfs(d.Path, &fs); d.Err == nil {
			d.Free, d.Size = fs.Bavail*uint64(fs.Bsize), fs.Blocks*uint64(fs.Bsize)
		}
		m.Disks = append(m.Disks, d)
	}
	var t unix.Timex
	if state, err := unix.Adjtimex(&t); err == nil {
		m.ClockKnown = true
		m.Synchronised = state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
	}
	return m
}

// available is MemAvailable of proc_meminfo(5), in bytes.
func available() uint64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:"); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}
