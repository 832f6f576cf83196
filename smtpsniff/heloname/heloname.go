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
// counts as a full name whatever it holds: only the brackets are looked at. Names of mail servers
// come most often: their bytes are looked at once, and what they cannot be is not asked.
func Classify(name string) Class {
	name = strings.TrimSuffix(name, ".")
	if name == "" {
		return Empty
	}
	if name[0] == '[' { // an address literal
		return Full
	}
	look := lookAt(name)
	if look.other {
		name = strings.ToLower(name)
	}
	dot := strings.LastIndexByte(name, '.')
	last := name[dot+1:] // the last label
	if last == "localhost" ||
		strings.HasPrefix(name, "localhost.") && name != "localhost.localdomain" {
		return Localhost
	}
	// Of an IPv4 address the last byte is a digit, and an IPv6 address has colons.
	if end := name[len(name)-1]; look.colon || digit(end) {
		if _, err := netip.ParseAddr(name); err == nil {
			return BareAddress
		}
	}
	if dot < 0 {
		return Word
	}
	switch last { // names of home and office networks, which exist in no public zone
	case "home", "lan", "local", "localdomain", "internal":
		return Home
	}
	if look.digits >= 4 && embedsAddress(name) {
		return Dynamic
	}
	return Full
}

// look is what the bytes of a name are.
type look struct {
	digits int
	colon  bool // there is a colon
	other  bool // there is a byte but small letters, digits, dots, hyphens and colons
}

// lookAt looks once at each byte of a name.
func lookAt(name string) (l look) {
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c == '.', c == '-':
		case digit(c):
			l.digits++
		case c == ':':
			l.colon = true
		default:
			l.other = true
		}
	}
	return l
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

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
		case digit(c):
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
