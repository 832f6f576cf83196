package smtpsniff

import "bytes"

// parsePath finds the address in what follows MAIL or RCPT: keyword is FROM or TO. It is as
// tolerant as servers are: blanks around the colon, no brackets, parameters behind.
// A source route is left out (RFC 5321, appendix C). found is false where there is
// nothing like an address. The null sender gives an empty address.
func parsePath(b []byte, keyword string) (address []byte, found bool) {
	b = trimLeft(b)
	if len(b) >= len(keyword) && equalFold(b[:len(keyword)], keyword) {
		b = trimLeft(b[len(keyword):])
	}
	if len(b) > 0 && b[0] == ':' {
		b = trimLeft(b[1:])
	}
	if len(b) == 0 {
		return nil, false
	}
	bracket := b[0] == '<'
	if bracket {
		b = b[1:]
	}
	quoted := false
	closed := !bracket
	if bracket {
		b = trimLeft(b)
	}
	end := len(b)
scan:
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case bracket && c == '>', !bracket && blank(c):
			end, closed = i, true
			break scan
		}
	}
	if quoted { // a quote that never ends: take the last bracket
		if i := bytes.LastIndexByte(b, '>'); bracket && i >= 0 {
			end, closed = i, true
		}
	}
	if !closed { // a bracket that never ends: what is behind a blank are parameters
		if i := bytes.IndexAny(b, " \t"); i >= 0 {
			end = i
		}
	}
	a := trim(b[:end])
	if len(a) > 0 && a[0] == '@' {
		if i := bytes.IndexByte(a, ':'); i >= 0 {
			a = a[i+1:]
		}
	}
	if len(a) > maxName { // longer than any may be: the domain is at its end
		a = a[len(a)-maxName:]
	}
	return a, true
}

// strictPath reports whether what follows MAIL or RCPT begins as the standard has it.
func strictPath(b []byte, begins string) bool {
	b = trimLeft(b)
	n := len(begins) - 2 // of the keyword
	return len(b) > n+1 && equalFold(b[:n], begins[:n]) && b[n] == ':' && b[n+1] == '<'
}

// Domain is the part of an address behind the last @ that is not quoted; nil if there is
// none.
func Domain(address []byte) []byte {
	at, quoted := -1, false
	for i := 0; i < len(address); i++ {
		switch c := address[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '@' && !quoted:
			at = i
		}
	}
	if at < 0 {
		at = bytes.LastIndexByte(address, '@') // a quote that never ends
		if at < 0 || !quoted {
			return nil
		}
	}
	return address[at+1:]
}
