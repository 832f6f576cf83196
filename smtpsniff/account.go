package smtpsniff

import (
	"bytes"
	"encoding/base64"
)

// credential says what the next line after AUTH is.
type credential uint8

const (
	noName     credential = iota // nothing that holds a name, or it was there
	plainName                    // identity NUL name NUL password (RFC 4616)
	loginsName                   // the name alone; the password is the line after it
)

// maxCredential bounds what is looked at; addresses have 254 bytes at most.
const maxCredential = 512

// auth is the argument of AUTH: a mechanism, and perhaps the first credential.
func (l *Listener) auth(s *Session, rest []byte) {
	p := &s.client
	p.credential = noName
	mechanism, first, _ := bytes.Cut(trim(rest), []byte(" "))
	switch {
	case equalFold(mechanism, "PLAIN"):
		p.credential = plainName
	case equalFold(mechanism, "LOGIN"):
		p.credential = loginsName
	}
	if first = trim(first); len(first) > 0 {
		l.account(s, first)
	}
}

// account takes the name of the account out of a credential, to have it hashed. Neither it nor
// what else is in the line is kept.
func (l *Listener) account(s *Session, line []byte) {
	p := &s.client
	what := p.credential
	p.credential = noName
	if what == noName || l.Account == nil || len(line) > maxCredential {
		return
	}
	room := &l.credential // it would be allocated, because Account gets it
	n, err := base64.StdEncoding.Decode(room[:], line)
	name := room[:n]
	if what == plainName {
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
