package sandbox

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// refusedCalls are system calls that a capture does not need, and that an attacker would.
var refusedCalls = []string{
	// Programs, and other processes.
	"execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp",
	"uselib", "personality", "userfaultfd",
	// Other users.
	"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid",
	"setgroups",
	// File systems and namespaces.
	"mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen",
	"fsconfig", "fsmount", "fspick", "mount_setattr", "unshare", "setns", "swapon", "swapoff",
	"quotactl", "quotactl_fd", "open_by_handle_at", "acct", "mknod", "mknodat",
	// The kernel.
	"bpf", "perf_event_open", "init_module", "finit_module", "delete_module", "kexec_load",
	"kexec_file_load", "reboot", "add_key", "request_key", "keyctl", "iopl", "ioperm",
	"lookup_dcookie", "syslog",
	// It makes sockets, and opens files, past this filter.
	"io_uring_setup", "io_uring_enter", "io_uring_register",
	// The machine's clock and names.
	"settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "sethostname", "setdomainname",
}

// refuseCalls installs the filter of system calls for all threads. It also sets no_new_privs.
func refuseCalls() error {
	program, err := callFilter()
	if err != nil {
		return err
	}
	runtime.LockOSThread() // no_new_privs is of a thread, until the filter gives it to the others
	defer runtime.UnlockOSThread()
	if err := seccomp.SetNoNewPrivs(); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	code := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		uintptr(seccomp.FilterFlagTSync), uintptr(unsafe.Pointer(&code)))
	switch {
	case errno != 0:
		return fmt.Errorf("the filter of system calls is refused: %w", errno)
	case thread != 0:
		return fmt.Errorf("thread %d cannot take the filter of system calls", thread)
	}
	return nil
}

// callFilter assembles the filter. The library's own passes all calls of another architecture, such
// as int 0x80 on amd64; here they are refused.
func callFilter() ([]unix.SockFilter, error) {
	machine, err := arch.GetInfo("")
	if err != nil {
		return nil, err
	}
	refused := seccomp.SyscallGroup{Action: seccomp.ActionErrno}
	for _, name := range refusedCalls {
		if _, ok := machine.SyscallNames[name]; ok { // not every machine has all
			refused.Names = append(refused.Names, name)
		}
	}
	var families seccomp.ArgumentConditions // all of these
	for _, f := range []uint64{unix.AF_PACKET, unix.AF_NETLINK, unix.AF_UNIX} {
		families = append(families,
			seccomp.Condition{Argument: 0, Operation: seccomp.NotEqual, Value: f})
	}
	refused.NamesWithCondtions = []seccomp.NameWithConditions{
		{Name: "socket", Conditions: families}}
	policy := seccomp.Policy{DefaultAction: seccomp.ActionAllow,
		Syscalls: []seccomp.SyscallGroup{refused}}
	list, err := policy.Assemble()
	if err != nil {
		return nil, err
	}
	const atArch = 4 // in struct seccomp_data
	raw, err := bpf.Assemble(append([]bpf.Instruction{
		bpf.LoadAbsolute{Off: atArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(machine.ID), SkipTrue: 1},
		bpf.RetConstant{Val: uint32(seccomp.ActionErrno) | uint32(unix.ENOSYS)},
	}, list...))
	if err != nil {
		return nil, err
	}
	program := make([]unix.SockFilter, len(raw))
	for i, x := range raw {
		program[i] = unix.SockFilter{Code: x.Op, Jt: x.Jt, Jf: x.Jf, K: x.K}
	}
	return program, nil
}
