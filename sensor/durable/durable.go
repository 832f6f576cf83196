// Package durable replaces files so that neither a reader nor a crash ever finds half of one.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Suffix ends the name of the new file until it takes the place of the old one. A crash may leave
// such a file; the next Replace removes it.
const Suffix = ".tmp"

// Replace replaces a file, or makes it: at every moment, also after a crash, there is the old file
// or the new one, whole. The functions of prepare may change the new file, such as its owner,
// before it takes the name. With an error the old file stays, except that of the last flush of the
// directory. One goroutine at a time replaces a file.
func Replace(name string, content []byte, mode fs.FileMode, prepare ...func(*os.File) error) error {
	fresh := name + Suffix
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(fresh, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	for _, change := range prepare {
		if err == nil {
			err = change(f)
		}
	}
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(fresh, name)
	}
	if err != nil {
		os.Remove(fresh)
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
