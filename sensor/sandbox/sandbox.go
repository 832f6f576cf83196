// Package sandbox takes from the process, for good, what a capture that is open does not need. A
// fault in the code that reads hostile bytes then gives nobody a shell, a connection to the
// Internet, or the files of the machine.
//
// # Parts
//
//	no new privileges   a program that is executed gains none (prctl PR_SET_NO_NEW_PRIVS)
//	capabilities        CAP_NET_RAW is kept, to open an interface again that comes back
//	Landlock            writing below the named directories only; reading what is read again;
//	                    no TCP (Linux 5.13, TCP with 6.7)
//	seccomp             no socket but AF_PACKET, AF_NETLINK and AF_UNIX; no execution of programs,
//	                    no tracing, mounting, kernel modules, BPF, or io_uring
//	core limit          no core dump: it would hold mail
//
// A system call that is refused returns an error and does not end the process. Each part holds for
// all threads, those of C included. A part that the system lacks is named in the Result; the others
// hold all the same.
//
// # What it does not do
//
// It changes neither user nor root directory, and does not limit memory or processor time; a
// service manager does.
package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Config says what the process still needs. Paths that do not exist are left out.
type Config struct {
	// Capture keeps CAP_NET_RAW, if the process has it.
	Capture bool
	// Write are directories in and below which files are made, changed and removed.
	Write []string
	// Read are files and directories that are read again, beside those of the system.
	Read []string
	// Owned are files that are written again, and directories of these. Without CAP_DAC_OVERRIDE
	// root cannot write to those of other users: if one of them belongs to another user, root
	// keeps that capability.
	Owned []string
}

// Result is what holds of the sandbox.
type Result struct {
	Capabilities []string // that are left, such as cap_net_raw
	NoNewPrivs   bool
	LandlockABI  int // version of Landlock in force, 0 if none is
	Seccomp      bool
	CoreLimit    uint64 // bytes
	// Missing says of each part that does not hold in full why that is so.
	Missing []string
}

// Enter enters the sandbox. The process cannot leave it.
func Enter(cfg Config) *Result {
	r := new(Result)
	note := func(part string, err error) {
		if err != nil {
			r.Missing = append(r.Missing, fmt.Sprintf("%s: %v", part, err))
		}
	}
	note("core limit", unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}))
	abi, err := restrictFiles(&cfg)
	note("landlock", err)
	r.LandlockABI = abi
	note("capabilities", dropCapabilities(&cfg))
	note("seccomp", refuseCalls())
	r.Capabilities = effective()
	if on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil {
		r.NoNewPrivs = on == 1
	}
	if !r.NoNewPrivs {
		r.Missing = append(r.Missing, "no new privileges: the system refused to set it")
	}
	mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	r.Seccomp = err == nil && mode == unix.SECCOMP_MODE_FILTER
	var core unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &core) == nil {
		r.CoreLimit = core.Cur
	}
	return r
}
