// Package heloname classifies the names that SMTP clients give in HELO or EHLO.
//
// RFC 5321, sections 2.3.5 and 4.1.3, knows two: a full domain name, and an address literal in
// brackets. Mail servers give the former. The other classes are what workstations and the programs
// on them give. The package looks at the text alone: it asks no DNS and knows no host.
package heloname

import (
	"net/netip"
	"strings"
)

// Class is the kind of a name. The numbers are kept in checkpoints and do not change.
type Class uint8

// The classes.
const (
	Full        Class = iota // a full name, or an address literal in brackets
	Word                     // a single word
	BareAddress              // an address without brackets
	Localhost                // localhost, and names below it
	Home                     // *.home, *.lan, *.local
	Dynamic                  // an address embedded in a name
	Empty                    // nothing
)

// String describes the class, as what follows "which is" in a sentence.
func (c Class) String() string {
	return [...]string{"a full name", "a single word", "a bare address",
		"not its own name", "a name that is valid in a local network only",
		"the name of a dial-up address", "an empty name"}[c]
}

// Classify is the class of the argument of HELO or EHLO, in upper or lower case. An address literal
// counts as a full name whatever it holds: only the brackets are looked at.
func Classify(name string) Class {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	switch {
	case name == "":
		return Empty
	case strings.HasPrefix(name, "["): // an address literal
		return Full
	case name == "localhost", strings.HasSuffix(name, ".localhost"),
		strings.HasPrefix(name, "localhost.") && name != "localhost.localdomain":
		return Localhost
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return BareAddress
	}
	if !strings.Contains(name, ".") {
		return Word
	}
	// Names of home and office networks, which exist in no public zone.
	for _, suffix := range []string{".home", ".lan", ".local", ".localdomain", ".internal"} {
		if strings.HasSuffix(name, suffix) {
			return Home
		}
	}
	if embedsAddress(name) {
		return Dynamic
	}
	return Full
}

// maxOctet is the largest number in an IPv4 address.
const maxOctet = 255

// embedsAddress reports whether a name begins with the four numbers of an address, as the
// names of dial-up customers do: 173-66-46-112.wash.fios.example, 1.2.3.4.dsl.example.
func embedsAddress(name string) bool {
	// run counts numbers in a row; any character but a separator between two numbers ends it.
	run, digits, value := 0, 0, 0
	for i := range len(name) + 1 {
		c := byte('x') // behind the end
		if i < len(name) {
			c = name[i]
		}
		switch {
		case c >= '0' && c <= '9':
			digits++
			value = value*10 + int(c-'0')
			continue
		case digits > 0 && digits <= 3 && value <= maxOctet:
			run++
		case digits > 0:
			run = 0
		}
		if run >= 4 {
			return true
		}
		if c != '-' && c != '.' && c != '_' {
			run = 0
		}
		digits, value = 0, 0
	}
	return false
}
