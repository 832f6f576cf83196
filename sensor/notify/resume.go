package notify

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// resume finds the file of a saved position, which may have been renamed since.
func (t *tail) resume(saved *position, now fs.FileInfo) error {
	if now != nil && identity(now) == [2]uint64{saved.Device, saved.Inode} {
		if err := t.open(t.path); err != nil {
			return err
		}
		t.at = *saved // read notices if the content is another one
		return nil
	}
	if saved.Inode == 0 { // no file was there
		return nil
	}
	list := t.rotated()
	i := slices.IndexFunc(list, func(name string) bool {
		info, err := os.Stat(name)
		return err == nil && identity(info) == [2]uint64{saved.Device, saved.Inode}
	})
	if i < 0 {
		t.gaps++
		return nil
	}
	if err := t.open(list[i]); err != nil {
		return err
	}
	t.at, t.chain = *saved, list[i+1:]
	return nil
}

// rotated lists the plain files that log rotation made of the file, the oldest first.
func (t *tail) rotated() []string {
	all, err := os.ReadDir(filepath.Dir(t.path))
	if err != nil {
		return nil
	}
	type file struct {
		name string
		at   time.Time
	}
	var files []file
	base := filepath.Base(t.path)
	for _, e := range all {
		info, err := e.Info()
		rest, ok := strings.CutPrefix(e.Name(), base)
		compressed := slices.Contains([]string{".gz", ".xz", ".zst", ".bz2"}, filepath.Ext(rest))
		if err == nil && ok && rest != "" && !compressed && info.Mode().IsRegular() {
			files = append(files, file{filepath.Join(filepath.Dir(t.path), e.Name()),
				info.ModTime()})
		}
	}
	slices.SortFunc(files, func(a, b file) int { return a.at.Compare(b.at) })
	var names []string
	for _, f := range files {
		names = append(names, f.name)
	}
	return names
}
