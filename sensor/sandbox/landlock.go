package sandbox

import (
	"errors"
	"fmt"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	"github.com/landlock-lsm/go-landlock/landlock/syscall"
)

const (
	readFile    = landlock.AccessFSSet(syscall.AccessFSReadFile)
	readDir     = readFile | landlock.AccessFSSet(syscall.AccessFSReadDir)
	writeInside = readDir | landlock.AccessFSSet(syscall.AccessFSWriteFile|
		syscall.AccessFSTruncate|syscall.AccessFSRemoveFile|syscall.AccessFSRemoveDir|
		syscall.AccessFSMakeReg|syscall.AccessFSMakeDir|syscall.AccessFSMakeSock)
)

// landlockVersion is the version of Landlock that is used at most. The next one cuts off abstract
// sockets of others, where a service manager may listen.
const landlockVersion = 5

// systemPlaces are read at any time: time zones, names of users, and the kernel's data about
// interfaces and about the process.
var systemPlaces = []string{"/etc", "/usr/share/zoneinfo", "/sys", "/proc/self", "/dev/null",
	"/dev/urandom"}

// restrictFiles restricts access to files, and returns the version of Landlock that does it.
func restrictFiles(cfg *Config) (abi int, err error) {
	abi, err = syscall.LandlockGetABIVersion()
	if err != nil || abi < 1 {
		return 0, errors.New("this kernel has no Landlock, or it is off (lsm= of the kernel's " +
			"command line)")
	}
	rules := []landlock.Rule{landlock.PathAccess(writeInside, cfg.Write...).IgnoreIfMissing()}
	for _, name := range append(systemPlaces, cfg.Read...) {
		rights := readFile
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			rights = readDir
		}
		rules = append(rules, landlock.PathAccess(rights, name).IgnoreIfMissing())
	}
	if err := landlock.V5.BestEffort().Restrict(rules...); err != nil {
		return 0, fmt.Errorf("files cannot be restricted: %w", err)
	}
	return min(abi, landlockVersion), nil
}
