package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
)

// ignoreFile is the file of the configuration that `ignore add` writes, and nothing else.
type ignoreFile struct {
	name string
	text []byte
	info fs.FileInfo // whose mode and owner the file gets: its own, or the configuration's
	dir  *os.File    // locked, so that no two commands write the file
	made bool        // the directory was made for the file, and is removed if nothing is written
}

// ignoreHead is the beginning of a new file.
const ignoreHead = "# Exceptions, written by: spamsensor ignore add\nignore:\n"

// openIgnoreFile opens the file for a configuration -c, and makes its directory.
func openIgnoreFile(config string) (*ignoreFile, error) {
	info, err := os.Stat(config)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	f := &ignoreFile{name: ignorePath(config, info.IsDir()), info: info}
	dir := filepath.Dir(f.name)
	if !info.IsDir() && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", printable(config))
	}
	err = os.Mkdir(dir, 0o755)
	if f.made = err == nil; err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if f.dir, err = os.Open(dir); err != nil {
		return nil, err
	}
	if err := f.read(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// read locks the directory and reads the file, if there is one.
func (f *ignoreFile) read() error {
	if lock(f.dir) != nil {
		return fmt.Errorf("another process changes %s; try again", printable(f.name))
	}
	own, err := os.Lstat(f.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !own.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file", printable(f.name))
	}
	t, err := readConfig(f.name, true)
	if err == nil {
		f.text, f.info = t.text, own
	}
	return err
}

func (f *ignoreFile) close() {
	if f.made {
		os.Remove(f.dir.Name()) // fails if the file was written
	}
	f.dir.Close()
}

// add appends an exception to the text. What is there stays as it is, comments included.
func (f *ignoreFile) add(x *newIgnore) error {
	entry := fmt.Sprintf("  - ip: %s\n    why: %s\n", scalar(x.ip), scalar(x.why))
	if x.until != "never" {
		entry += fmt.Sprintf("    until: %s\n", scalar(x.until))
	}
	var before, after fileConfig
	if err := decode(&settings{name: f.name, text: f.text}, &before); err != nil {
		return err
	}
	text := string(f.text)
	switch {
	case reflect.ValueOf(before).IsZero():
		text = ignoreHead
	case text[len(text)-1] != '\n':
		text += "\n"
	}
	text += entry
	// The text must now have what it had, and the exception behind it.
	err := decode(&settings{name: f.name, text: []byte(text)}, &after)
	n := len(before.Ignore)
	if err != nil || len(after.Ignore) != n+1 || after.Ignore[n].IP != x.ip ||
		after.Ignore[n].Why != x.why {
		return f.otherForm(entry)
	}
	after.Ignore = after.Ignore[:n]
	if n == 0 {
		after.Ignore = before.Ignore
	}
	if !reflect.DeepEqual(before, after) {
		return f.otherForm(entry)
	}
	f.text = []byte(text)
	return nil
}

// otherForm is the error for a file that was edited in a form to which nothing can be appended.
func (f *ignoreFile) otherForm(entry string) error {
	return fmt.Errorf("nothing was written: %s does not end in a list of ignore with an entry in "+
		"each line; add this by hand:\n%s", printable(f.name), entry)
}

// save replaces the file: after a crash there is the old one or the new one.
func (f *ignoreFile) save() (err error) {
	t, err := os.CreateTemp(filepath.Dir(f.name), ".ignore.yaml.*") // hidden: no part of conf.d
	if err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(t.Name())
			err = fmt.Errorf("nothing was written: %w", err)
		}
	}()
	defer t.Close()
	mode := fs.FileMode(0o644)
	if f.info.Mode().IsRegular() {
		mode = f.info.Mode().Perm()
	}
	if owner, ok := f.info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := t.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	if err := t.Chmod(mode); err != nil {
		return err
	}
	if _, err := t.Write(f.text); err != nil {
		return err
	}
	if err := t.Sync(); err != nil {
		return err
	}
	if err := os.Rename(t.Name(), f.name); err != nil {
		return err
	}
	return f.dir.Sync()
}
