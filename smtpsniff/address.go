package smtpsniff

import "bytes"

// parsePath finds the address behind MAIL or RCPT; keyword is FROM or TO. It is as tolerant as
// servers are: blanks around the colon, no brackets, parameters behind. A source route is removed
// (RFC 5321, appendix C). found is false where nothing looks like an address. The null sender gives
// an empty address.
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
	if quoted { // a quote without an end: the last bracket ends the address
		if i := bytes.LastIndexByte(b, '>'); bracket && i >= 0 {
			end, closed = i, true
		}
	}
	if !closed { // a bracket without an end: parameters follow the first blank
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
	if len(a) > maxName { // longer than the standard allows: the domain is at its end
		a = a[len(a)-maxName:]
	}
	return a, true
}

// strictPath reports whether the text behind MAIL or RCPT begins as in the standard.
func strictPath(b []byte, begins string) bool {
	b = trimLeft(b)
	n := len(begins) - 2 // of the keyword
	return len(b) > n+1 && equalFold(b[:n], begins[:n]) && b[n] == ':' && b[n+1] == '<'
}

// Domain is the part of an address behind the last @ that is not quoted; nil if there is none.
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
		at = bytes.LastIndexByte(address, '@') // a quote without an end
		if at < 0 || !quoted {
			return nil
		}
	}
	return address[at+1:]
}
