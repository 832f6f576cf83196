package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"unicode"
)

// Bounds of the file of names: its bytes, its hosts, and the bytes of a name.
const (
	maxNamesFile = 16 << 20
	maxNamed     = 20_000
	maxName      = 64
)

// names reads the names that people know hosts by: those of the file, and of smtp_servers, which
// come first. A file that cannot be read or has a wrong line is an error, so that a reload keeps
// the names before.
func (r *resolver) names(c *config, f *fileConfig) {
	c.names = map[netip.Addr]string{}
	for i, s := range f.SMTPServers {
		if s.Name == "" {
			continue
		}
		if why := wrongName(s.Name); why != "" {
			r.warn(fmt.Sprintf("smtp_servers[%d].name", i), "%s: it is not shown", why)
		} else if a, err := netip.ParseAddr(s.IP); err == nil {
			c.names[a.Unmap()] = s.Name
		}
	}
	c.namesFile = f.Names
	if f.Names == "" || r.asks { // who asks a sensor gets them from it
		return
	}
	// A FIFO is opened at once this way, and then found to be none.
	file, err := os.OpenFile(f.Names, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		r.reject("names", "the file of names cannot be read: %v", err)
		return
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() ||
		info.Size() > maxNamesFile {
		r.reject("names", "%s is no file of names: want a regular file of at most %d MiB",
			f.Names, maxNamesFile>>20)
		return
	}
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		a, name, err := nameLine(lines.Text())
		switch {
		case err != nil:
			r.reject("names", "%s:%d: %v", f.Names, n, err)
			return
		case name == "" || c.names[a] != "":
		case len(c.names) == maxNamed:
			r.reject("names", "%s has more than %d hosts", f.Names, maxNamed)
			return
		default:
			c.names[a] = name
		}
	}
	if err := lines.Err(); err != nil {
		r.reject("names", "%s: %v", f.Names, err)
	}
}

// nameLine reads a line as hosts(5) has it: an address, a name, and further names, which are not
// used. A line without an address has no name.
func nameLine(line string) (a netip.Addr, name string, err error) {
	line, _, _ = strings.Cut(line, "#")
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return a, "", nil
	}
	if a, err = netip.ParseAddr(fields[0]); err != nil {
		return a, "", fmt.Errorf("%s is no IP address", printable(fields[0]))
	}
	if len(fields) == 1 {
		return a, "", fmt.Errorf("%s has no name", a)
	}
	if why := wrongName(fields[1]); why != "" {
		return a, "", errors.New(why)
	}
	return a.Unmap().WithZone(""), fields[1], nil
}

// wrongName says why a text cannot be the name of a host. Names stand in reports, rules and
// notices, so that they have nothing that any of these acts on.
func wrongName(name string) string {
	bad := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-._", r)
	}
	if len(name) > maxName || strings.ContainsFunc(name, bad) || strings.HasPrefix(name, "-") {
		return fmt.Sprintf("%s is no name of a host: want letters, digits, - . and _, at most %d "+
			"bytes", printable(name), maxName)
	}
	return ""
}
