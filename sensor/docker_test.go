//go:build linux

package main

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDockerfile builds the image and runs its program. It needs no registry: the test makes the
// image in which the build runs, from the packages of Debian and the installed Go.
func TestDockerfile(t *testing.T) {
	if testing.Short() {
		t.Skip("building the image takes minutes")
	}
	if os.Getuid() != 0 {
		t.Skip("building the image without a container engine needs root")
	}
	for _, tool := range []string{"buildah", "debootstrap"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("building the image needs %s", tool)
		}
	}

	// The mounts of this test are in a namespace of their own, so that none stays behind, however
	// the test ends. The thread is never unlocked, so that no other goroutine runs on it.
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		t.Skipf("building the image needs mounts of its own: %v", err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}

	b := newBuild(t)
	b.builder("localhost/builder")
	b.run("buildah", "build", "--pull=never", "--build-arg", "BUILDER=localhost/builder", "--build-arg", "PGO=off",
		"--build-arg", "GOPROXY="+b.run("go", "env", "GOPROXY"), "--tag", "spamsensor", "..")

	var image struct {
		OCIv1 struct {
			Config struct {
				User            string
				Entrypoint, Cmd []string
				Labels          map[string]string
			}
		}
	}
	if err := json.Unmarshal([]byte(b.run("buildah", "inspect", "--type", "image", "spamsensor")), &image); err != nil {
		t.Fatal(err)
	}
	config := image.OCIv1.Config
	if !slices.Equal(config.Entrypoint, []string{"/usr/bin/spamsensor"}) || !slices.Equal(config.Cmd, []string{"--help"}) || config.User != "0" {
		t.Fatalf("the image runs %q %q as %q", config.Entrypoint, config.Cmd, config.User)
	}
	if l := config.Labels["org.opencontainers.image.licenses"]; l != "Apache-2.0" {
		t.Errorf("the image has the license %q", l)
	}

	root := b.run("buildah", "mount", b.run("buildah", "from", "--pull=never", "spamsensor"))
	var files []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(name, root))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(files, config.Entrypoint) {
		t.Fatalf("files in the image: %q, want the binary alone", files)
	}
	checkStatic(t, root+files[0])

	confine(t, root)
	for _, c := range []struct {
		args  []string
		stdin []byte
		want  string
	}{
		{config.Cmd, nil, "Usage:"},
		{[]string{"version"}, nil, "libpcap"},
		{[]string{"read", "-"}, oneSYN(t), "10.0.0.5"},
	} {
		cmd := exec.CommandContext(b.ctx, config.Entrypoint[0], c.args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		cmd.Dir, cmd.Env, cmd.Stdin = "/", []string{"PATH=/usr/bin"}, bytes.NewReader(c.stdin)
		out, err := cmd.CombinedOutput()
		t.Logf("spamsensor %s\n%s", strings.Join(c.args, " "), out)
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("spamsensor %s: %v, want %q in its output", strings.Join(c.args, " "), err, c.want)
		}
	}
}

// build has the tools of the test: commands, and a directory for their files.
type build struct {
	t   *testing.T
	ctx context.Context
	dir string
	env []string
}

func newBuild(t *testing.T) *build {
	// A test that exceeds its time cannot clean up: its commands end before.
	ctx := t.Context()
	if end, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-20*time.Second))
		t.Cleanup(cancel)
	}
	// vfs and chroot work if the test itself runs in a container: overlays cannot be nested, and a
	// container runtime needs control groups. The build uses the network of the machine.
	dir := t.TempDir()
	storage := filepath.Join(dir, "storage.conf")
	text := fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", dir+"/storage", dir+"/run")
	if err := os.WriteFile(storage, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "CONTAINERS_STORAGE_CONF="+storage, "STORAGE_DRIVER=vfs", "BUILDAH_ISOLATION=chroot", "TMPDIR="+dir)
	return &build{t, ctx, dir, env}
}

// run runs a command and returns its standard output.
func (b *build) run(name string, args ...string) string {
	b.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(b.ctx, name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = b.env, &stdout, &stderr
	// On SIGTERM the tools end the processes that they started.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	began := time.Now()
	err := cmd.Run()
	b.t.Logf("%5.1f s: %s %s", time.Since(began).Seconds(), name, strings.Join(args, " "))
	if err != nil {
		b.t.Fatalf("%v\n%s\n%s", err, stdout.Bytes(), stderr.Bytes())
	}
	return strings.TrimSpace(stdout.String())
}

// builder makes an image like the one in which the Dockerfile builds by default: Debian with a C
// compiler and Go.
func (b *build) builder(name string) {
	t := b.t
	file, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^ARG BUILDER=golang:[0-9.]+-([a-z]+)$`).FindSubmatch(file)
	if m == nil {
		t.Fatal("the Dockerfile does not say which Debian it builds in")
	}
	debian := b.debian(string(m[1]), "ca-certificates,gcc,libc6-dev,make")

	c := b.run("buildah", "from", "scratch")
	b.run("buildah", "add", "--quiet", c, debian, "/")
	b.run("buildah", "copy", "--quiet", c, b.run("go", "env", "GOROOT"), "/usr/local/go")
	// A machine behind a proxy that it trusts has a certificate that Debian does not have.
	const trusted = "/etc/ssl/certs/ca-certificates.crt"
	if _, err := os.Stat(trusted); err == nil {
		b.run("buildah", "copy", "--quiet", c, trusted, trusted)
	}
	b.run("buildah", "config", "--env", "GOTOOLCHAIN=local", "--env", "GOPATH=/go",
		"--env", "PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", c)
	b.run("buildah", "commit", "--quiet", "--rm", c, name)
}

// debian returns an archive of a small Debian with these packages. It is slow to make and needs many
// packages from the mirror, so that it is kept for the next run.
func (b *build) debian(suite, packages string) string {
	t := b.t
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache = filepath.Join(cache, "spamsensor-test")
	archive := filepath.Join(cache, "debian-"+suite+"-"+runtime.GOARCH+"-"+packages+".tar")
	if _, err := os.Stat(archive); err == nil {
		t.Logf("Debian is at %s, from an earlier run", archive)
		return archive
	}

	dir := filepath.Join(b.dir, "debian")
	args := []string{"--variant=minbase", "--include=" + packages, suite, dir}
	if m := mirror(suite); m != "" {
		args = append(args, m)
	}
	b.run("debootstrap", args...)
	// The official images of Debian list the sources of packages in this form.
	list := filepath.Join(dir, "etc/apt/sources.list")
	line, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(line)) // deb MIRROR SUITE main
	if len(fields) != 4 {
		t.Fatalf("debootstrap's sources.list is %q", line)
	}
	sources := "Types: deb\nURIs: " + fields[1] + "\nSuites: " + fields[2] + "\nComponents: " + fields[3] +
		"\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
	if err := os.WriteFile(filepath.Join(dir, "etc/apt/sources.list.d/debian.sources"), []byte(sources), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(list); err != nil {
		t.Fatal(err)
	}

	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	unfinished := fmt.Sprintf("%s.%d", archive, os.Getpid())
	t.Cleanup(func() { os.Remove(unfinished) })
	b.run("tar", "--create", "--file", unfinished, "--directory", dir, "--numeric-owner",
		"--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*", "--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*", ".")
	if err := os.Rename(unfinished, archive); err != nil {
		t.Fatal(err)
	}
	return archive
}

// mirror is the URL from which this machine gets the packages of a suite. Without one debootstrap
// uses its default; it does not know all kinds of URLs that apt knows.
func mirror(suite string) string {
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages").Output()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(out)) {
		if uri, ok := strings.CutPrefix(line, suite+" main "); ok && strings.HasPrefix(uri, "http") {
			return strings.TrimSpace(uri)
		}
	}
	return ""
}

func checkStatic(t *testing.T, name string) {
	t.Helper()
	f, err := elf.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a segment %v, so it is not static", p.Type)
		}
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the binary has %d bytes", info.Size())
}

// confine makes a directory read-only, and leaves only the capability NET_RAW to the programs that
// the calling thread starts from now on.
func confine(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	const prCapbsetDrop, capNetRaw = 24, 13
	for c := uintptr(0); c < 64; c++ {
		if c == capNetRaw {
			continue
		}
		// EINVAL means that the kernel has no capability of this number.
		if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prCapbsetDrop, c, 0); errno != 0 && errno != syscall.EINVAL {
			t.Fatal(errno)
		}
	}
}

// oneSYN is a capture of one packet, a SYN to a mail server.
func oneSYN(t *testing.T) []byte {
	capture, err := hex.DecodeString("" +
		"d4c3b2a1" + "02000400" + "0000000000000000" + "00000400" + "01000000" + // file: snaplen 262144, Ethernet
		"00e1f505" + "00000000" + "36000000" + "36000000" + // record: 1973-03-03, 54 bytes
		"020000000002" + "020000000001" + "0800" +
		"45000028" + "00004000" + "4006" + "0000" + "0a000005" + "c6336419" + // 10.0.0.5 to 198.51.100.25
		"9c40" + "0019" + "00000001" + "00000000" + "5002" + "ffff" + "0000" + "0000") // port 40000 to 25, SYN
	if err != nil {
		t.Fatal(err)
	}
	return capture
}
