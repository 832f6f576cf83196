package durable

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// read returns the content and the mode of a file.
func read(t *testing.T, name string) (string, os.FileMode) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), info.Mode().Perm()
}

// TestReplace: a file is made and replaced, with its mode, and what a crash left is no obstacle.
func TestReplace(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := Replace(name, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, mode := read(t, name); s != "one" || mode != 0o600 {
		t.Errorf("%q with mode %o, want one with 600", s, mode)
	}
	if err := syscall.Mkfifo(name+Suffix, 0o600); err != nil { // an open of it would wait
		t.Fatal(err)
	}
	opened, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	var during string
	look := func(*os.File) error {
		during, _ = read(t, name)
		return nil
	}
	if err := Replace(name, []byte("two"), 0o644, look); err != nil {
		t.Fatal(err)
	}
	if s, mode := read(t, name); s != "two" || mode != 0o644 {
		t.Errorf("%q with mode %o, want two with 644", s, mode)
	}
	former := make([]byte, 8)
	if n, _ := opened.Read(former); during != "one" || string(former[:n]) != "one" {
		t.Errorf("the file had %q before its end, and an open one has %q; want one", during,
			former[:n])
	}
	if _, err := os.Lstat(name + Suffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary file is left: %v", err)
	}
}

// TestReplaceFails: the old file stays, and no other one.
func TestReplaceFails(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	if err := Replace(name, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	err := Replace(name, []byte("two"), 0o600, func(*os.File) error { return refused })
	if s, _ := read(t, name); !errors.Is(err, refused) || s != "one" {
		t.Errorf("error %v, content %q; want %v and one", err, s, refused)
	}
	taken := filepath.Join(dir, "directory")
	if err := os.Mkdir(taken, 0o700); err != nil {
		t.Fatal(err)
	}
	if Replace(taken, nil, 0o600) == nil {
		t.Error("a directory was replaced")
	}
	if Replace(filepath.Join(dir, "missing", "file"), nil, 0o600) == nil {
		t.Error("a file was made in a directory that does not exist")
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 2 {
		t.Errorf("the directory has %v (%v), want file and directory", list, err)
	}
}
