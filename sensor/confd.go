package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// defaultConfig is the configuration of run, and of check, without -c, if it exists.
const defaultConfig = "/etc/spamsensor/spamsensor.yaml"

// Bounds of a configuration.
const (
	// maxConfig bounds the size of a file, in bytes. Real ones have a few kilobytes.
	maxConfig = 1 << 20
	// maxDropIns bounds the files of a directory that are read, maxNames those that it may have.
	maxDropIns, maxNames = 100, 1000
)

// configFiles are the files of a configuration, in the order in which they are read.
type configFiles struct {
	names []string
	// leftOut are the other files of the directory, with the reason; misnamed are those of them
	// that were surely meant to be read.
	leftOut, misnamed []string
}

// findConfig returns the files of the configuration -c name: the file and its drop-ins,
// conf.d/*.yaml beside it, or the *.yaml of a directory.
func findConfig(name string) (c configFiles, err error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return c, fmt.Errorf("cannot read the configuration: %w", err)
	case info.IsDir():
		if err := c.addDirectory(name); err != nil {
			return c, err
		}
		if len(c.names) == 0 {
			return c, &fault{Severity: "error", File: name,
				Text: "no name in this directory ends in .yaml"}
		}
		return c, nil
	}
	c.names = []string{name}
	err = c.addDirectory(filepath.Join(filepath.Dir(name), "conf.d"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return c, err
}

// addDirectory adds the *.yaml of a directory, in the order of their names.
func (c *configFiles) addDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot read the configuration: %w", err)
	}
	defer d.Close()
	entries, err := d.ReadDir(maxNames + 1)
	switch {
	case err != nil && err != io.EOF:
		return fmt.Errorf("cannot read the configuration: %w", err)
	case len(entries) > maxNames:
		return &fault{Severity: "error", File: dir, Text: fmt.Sprintf(
			"this directory has more than %d files; is it the right one?", maxNames)}
	}
	before := len(c.names)
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if reason := leftOut(e.Name()); reason != "" {
			c.leftOut = append(c.leftOut, fmt.Sprintf("%s is left out: %s", name, reason))
			if strings.HasSuffix(e.Name(), ".yml") {
				c.misnamed = append(c.misnamed, name)
			}
			continue
		}
		c.names = append(c.names, name)
	}
	if n := len(c.names) - before; n > maxDropIns {
		return &fault{Severity: "error", File: dir, Text: fmt.Sprintf(
			"%d files end in .yaml (at most %d are read)", n, maxDropIns)}
	}
	slices.Sort(c.names[before:])
	return nil
}

// leftOut says why a file of a directory is no part of the configuration, empty if it is.
func leftOut(name string) string {
	switch {
	case strings.HasPrefix(name, "."):
		return "it is hidden"
	case strings.HasSuffix(name, "~") || strings.HasSuffix(name, ".bak") ||
		strings.Contains(name, ".dpkg-") || strings.Contains(name, ".rpm") ||
		strings.Contains(name, ".ucf-"):
		return "it is a backup"
	case !strings.HasSuffix(name, ".yaml"):
		return "its name does not end in .yaml"
	}
	return ""
}

// readConfig reads a file of the configuration. only refuses what is no regular file, which could
// keep the reader waiting.
func readConfig(name string, only bool) (*settings, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && only && !info.Mode().IsRegular() {
		return nil, &fault{Severity: "error", File: name, Text: "this is no file"}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	if len(text) > maxConfig {
		return nil, &fault{Severity: "error", File: name, Text: fmt.Sprintf("a configuration of "+
			"more than %d bytes", maxConfig)}
	}
	return &settings{name: name, text: text, isFile: true}, nil
}
