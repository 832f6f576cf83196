package smtpsniff

import (
	"bytes"
	"encoding/base64"
)

// authLine is the kind of the next line behind AUTH.
type authLine uint8

const (
	noName    authLine = iota // it holds no name
	saslPlain                 // identity NUL name NUL password (RFC 4616)
	saslLogin                 // the name alone; the password is the line after it
)

// maxCredential bounds the bytes of a credential that are decoded; addresses have 254 bytes at most
// (RFC 5321, section 4.5.3.1.3, less the brackets of the path).
const maxCredential = 512

// authArgument reads the argument of AUTH: a mechanism, and perhaps the first credential.
func (l *Listener) authArgument(s *Session, rest []byte) {
	p := &s.client
	p.auth.next = noName
	mechanism, first, _ := bytes.Cut(trim(rest), []byte(" "))
	switch {
	case equalFold(mechanism, "PLAIN"):
		p.auth.next = saslPlain
	case equalFold(mechanism, "LOGIN"):
		p.auth.next = saslLogin
	}
	if first = trim(first); len(first) > 0 {
		l.account(s, first)
	}
}

// account hashes the name of the account in a credential. Neither the name nor the rest of the line
// is kept.
func (l *Listener) account(s *Session, line []byte) {
	p := &s.client
	what := p.auth.next
	p.auth.next = noName
	if what == noName || l.Account == nil || len(line) > maxCredential {
		return
	}
	room := &l.decodeBuf // a local buffer would be allocated, because it is passed to Account
	n, err := base64.StdEncoding.Decode(room[:], line)
	name := room[:n]
	if what == saslPlain {
		_, after, ok := bytes.Cut(name, []byte{0})
		name, _, _ = bytes.Cut(after, []byte{0})
		if !ok {
			name = nil
		}
	}
	if err == nil && len(name) > 0 && len(name) <= maxName {
		for i, c := range name {
			if 'A' <= c && c <= 'Z' {
				name[i] = c + 'a' - 'A'
			}
		}
		s.Account = l.Account(name)
	}
	clear(room[:])
}
