package smtpsniff

import "bytes"

// path is what stands behind MAIL or RCPT.
type path struct {
	address []byte // empty for the null sender
	params  []byte // the parameters behind it
	found   bool   // something looks like an address
	strict  bool   // it begins as in the standard
}

// parsePath finds the address behind MAIL or RCPT; begins is FROM:< or TO:<. It is as tolerant as
// servers are: blanks around the colon, no brackets, parameters behind. A source route is removed
// (RFC 5321, appendix C). Nearly all paths are strict and without quotes: two bytes are searched.
func parsePath(rest []byte, begins string) (p path) {
	b := rest
	if len(b) > 0 && blank(b[0]) {
		b = trimLeft(b)
	}
	n := len(begins) - 2 // of the keyword
	p.strict = len(b) >= n+2 && equalFold(b[:n], begins[:n]) && b[n] == ':' && b[n+1] == '<'
	if p.strict {
		inside := b[n+2:]
		end := bytes.IndexByte(inside, '>')
		if end >= 0 && bytes.IndexByte(inside[:end], '"') < 0 {
			p.address, p.params, p.found = mailbox(inside[:end]), inside[end+1:], true
			return p
		}
	}
	p.address, p.found = parseAnyPath(b, begins[:n])
	p.params = paramsOf(rest)
	return p
}

// paramsOf are the parameters behind a path of any form.
func paramsOf(rest []byte) []byte {
	_, path, _ := bytes.Cut(rest, []byte(":"))
	path = trimLeft(path)
	end := bytes.IndexByte(path, '>') + 1
	if end == 0 {
		for end < len(path) && !blank(path[end]) {
			end++
		}
	}
	return path[end:]
}

// mailbox is the address in a path.
func mailbox(b []byte) []byte {
	a := trim(b)
	if len(a) > 0 && a[0] == '@' {
		if i := bytes.IndexByte(a, ':'); i >= 0 {
			a = a[i+1:]
		}
	}
	if len(a) > maxName { // longer than the standard allows: the domain is at its end
		a = a[len(a)-maxName:]
	}
	return a
}

// parseAnyPath is parsePath for paths that differ from the standard's form, or have quotes.
func parseAnyPath(b []byte, keyword string) (address []byte, found bool) {
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
		b = trimLeft(b[1:])
	}
	quoted := false
	closed := !bracket
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
	return mailbox(b[:end]), true
}

// Domain is the part of an address behind the last @ that is not quoted; nil if there is none.
func Domain(address []byte) []byte {
	if bytes.IndexByte(address, '"') >= 0 {
		return domainBehindQuotes(address)
	}
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == '@' {
			return address[i+1:]
		}
	}
	return nil
}

// domainBehindQuotes is Domain for addresses with quotes.
func domainBehindQuotes(address []byte) []byte {
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
