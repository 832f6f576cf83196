//go:build linux

package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// inside is the environment variable with which the test binary enters the sandbox; its value is a
// directory.
const inside = "SPAMSENSOR_TEST_SANDBOX"

// TestMain runs attempts in a process of their own: nobody leaves a sandbox.
func TestMain(m *testing.M) {
	if dir := os.Getenv(inside); dir != "" {
		attempts(dir)
		return
	}
	os.Exit(m.Run())
}

// attempts enters the sandbox while several threads run, and prints how attempts on each end.
func attempts(dir string) {
	enter := make(chan bool)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range 8 {
		wg.Go(func() {
			runtime.LockOSThread() // a thread that was there before
			<-enter
			_, inet := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
			_, err := os.ReadFile(filepath.Join(dir, "other", "file"))
			mu.Lock()
			defer mu.Unlock()
			fmt.Println("thread:", errors.Is(inet, unix.EPERM), errors.Is(err, os.ErrPermission))
		})
	}
	file, err := os.OpenFile(filepath.Join(dir, "open"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	r := Enter(Config{Write: []string{filepath.Join(dir, "mine"), filepath.Join(dir, "none")}, Read: []string{filepath.Join(dir, "read")}})
	fmt.Printf("result: %+v\n", *r)
	close(enter)
	wg.Wait()
	say := func(what string, err error) { fmt.Printf("%s: %v\n", what, err == nil) }
	_, err = file.WriteString("x")
	say("open file", err)
	mine := filepath.Join(dir, "mine", "a")
	say("write", os.WriteFile(mine, []byte("x"), 0o600))
	say("rename", os.Rename(mine, mine+"2"))
	say("mkdir", os.Mkdir(mine, 0o700))
	say("remove", errors.Join(os.Remove(mine), os.Remove(mine+"2")))
	say("symlink", os.Symlink("/etc/passwd", mine))
	_, err = os.ReadFile(filepath.Join(dir, "read"))
	say("read", err)
	say("write what is read", os.WriteFile(filepath.Join(dir, "read"), nil, 0o600))
	_, err = net.InterfaceByName("lo")
	say("interfaces", err)
	l, err := net.Listen("unix", filepath.Join(dir, "mine", "socket"))
	say("unix socket", err)
	l.Close()
	_, err = net.Listen("tcp", "127.0.0.1:0")
	say("tcp", err)
	say("execute", unix.Exec("/bin/true", nil, nil))
}

// TestEnter checks what holds after Enter, on threads that ran before, and what still works.
func TestEnter(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"mine", "other"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	os.WriteFile(filepath.Join(dir, "read"), []byte("x"), 0o600)
	os.WriteFile(filepath.Join(dir, "other", "file"), []byte("x"), 0o600)
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), inside+"="+dir)
	b, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	said := string(b)
	if strings.Contains(said, "no Landlock") {
		t.Skip("this kernel has no Landlock")
	}
	result := "result: {Capabilities:[] NoNewPrivs:true LandlockABI:5 Seccomp:true CoreLimit:0 Missing:[]}\n"
	if !strings.Contains(said, result) || strings.Count(said, "thread: true true\n") != 8 {
		t.Errorf("%s", said)
	}
	for what, works := range map[string]bool{"open file": true, "write": true, "rename": true, "mkdir": true, "remove": true,
		"symlink": false, "read": true, "write what is read": false, "interfaces": true, "unix socket": true, "tcp": false, "execute": false} {
		if line := fmt.Sprintf("%s: %v\n", what, works); !strings.Contains(said, line) {
			t.Errorf("lacks %q in:\n%s", line, said)
		}
	}
}

// TestCallFilter checks that the filter begins with the refusal of other architectures, and that
// names are not listed twice.
func TestCallFilter(t *testing.T) {
	program, err := callFilter()
	if err != nil {
		t.Fatal(err)
	}
	if load, jump, ret := program[0], program[1], program[2]; load.K != 4 || jump.Jt != 1 || jump.Jf != 0 ||
		ret.Code != unix.BPF_RET || ret.K != unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS) {
		t.Errorf("%+v", program[:3])
	}
	list := slices.Clone(refusedCalls)
	slices.Sort(list)
	if n := len(slices.Compact(list)); n != len(refusedCalls) {
		t.Errorf("%d of %d names are distinct", n, len(refusedCalls))
	}
}
