package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"spamsensor/sensor/durable"
	"spamsensor/sensor/lang"
)

// ignoreFile is the file of the configuration that `ignore add` writes, and nothing else.
type ignoreFile struct {
	name string
	text []byte
	info fs.FileInfo // whose mode and owner the file gets: its own, or the configuration's
	dir  *os.File    // locked, so that no two commands write the file
	made bool        // the directory was made for the file, and is removed if nothing is written

	index    int        // of the exception that add has added
	replaced *newIgnore // that was there before; nil if there was none
}

// ignoreHead is the comment at the beginning of a new file.
const ignoreHead = "Exceptions, written by: spamsensor ignore add"

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
	busy := fmt.Errorf("another process changes %s; try again", printable(f.name))
	if lock(f.dir) != nil {
		f.made = false // that process may write into it
		return busy
	}
	is, errIs := f.dir.Stat()
	if there, err := os.Stat(f.dir.Name()); err != nil || errIs != nil || !os.SameFile(is, there) {
		return busy // which has removed the directory
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

// text is the entry of an exception in the file.
func (x *newIgnore) text() string {
	entry := fmt.Sprintf("  - ip: %s\n    why: %s\n", scalar(x.ip), scalar(x.why))
	if x.until != "never" && x.until != "" {
		entry += fmt.Sprintf("    until: %s\n", scalar(x.until))
	}
	return entry
}

// add appends an exception to the text, or puts it in the place of one that add wrote for the same
// host. What else is there stays as it is, comments included. p is the language of the comment at
// the head of a new file.
func (f *ignoreFile) add(x *newIgnore, p *lang.Printer) error {
	entry := x.text()
	var before, after fileConfig
	if err := decode(&settings{name: f.name, text: f.text}, &before); err != nil {
		return err
	}
	want := slices.Clone(before.Ignore)
	text := string(f.text)
	f.index = slices.IndexFunc(want, func(y ignoreConfig) bool { return sameNet(x.ip, y.IP) })
	switch {
	case f.index >= 0:
		y := want[f.index]
		f.replaced = &newIgnore{ip: y.IP, why: y.Why, until: y.Until}
		head, rest, found := strings.Cut(text, "\n"+f.replaced.text())
		if !found {
			return fmt.Errorf("nothing was written: %s is ignored already, by entry %d of %s; "+
				"replace it by hand with:\n%s", printable(x.ip), f.index+1, printable(f.name),
				entry)
		}
		text = head + "\n" + entry + rest
		want[f.index] = ignoreConfig{}
	case reflect.ValueOf(before).IsZero():
		text = "# " + noBreak.Replace(p.Text(ignoreHead)) + "\nignore:\n" + entry
	case text[len(text)-1] != '\n':
		text += "\n" + entry
	default:
		text += entry
	}
	if f.index < 0 {
		f.index = len(want)
		want = append(want, ignoreConfig{})
	}
	// The text must now have what it had, and the exception in its place.
	err := decode(&settings{name: f.name, text: []byte(text)}, &after)
	if err != nil || len(after.Ignore) != len(want) || after.Ignore[f.index].IP != x.ip ||
		after.Ignore[f.index].Why != x.why {
		return f.otherForm(entry)
	}
	want[f.index] = after.Ignore[f.index]
	before.Ignore = want
	if !reflect.DeepEqual(before, after) {
		return f.otherForm(entry)
	}
	f.text = []byte(text)
	return nil
}

// sameNet reports whether two texts name the same host or network.
func sameNet(a, b string) bool {
	r := resolver{layers: &layers{}}
	p, q := r.prefix("", a), r.prefix("", b)
	return len(r.errs) == 0 && p == q
}

// otherForm is the error for a file that was edited in a form to which nothing can be appended.
func (f *ignoreFile) otherForm(entry string) error {
	return fmt.Errorf("nothing was written: %s does not end in a list of ignore with an entry in "+
		"each line; add this by hand:\n%s", printable(f.name), entry)
}

// save replaces the file.
func (f *ignoreFile) save() error {
	mode := fs.FileMode(0o644)
	if f.info.Mode().IsRegular() {
		mode = f.info.Mode().Perm()
	}
	if err := durable.Replace(f.name, f.text, mode, f.giveOwner); err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	return nil
}

// giveOwner gives a new file the owner that the file has, or the configuration's.
func (f *ignoreFile) giveOwner(fresh *os.File) error {
	if owner, ok := f.info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		return fresh.Chown(int(owner.Uid), int(owner.Gid))
	}
	return nil
}
