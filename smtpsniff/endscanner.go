package smtpsniff

import "bytes"

// endScanner finds the end of a message: a line with nothing but a dot.
//
// The standard has one form, CRLF . CRLF (RFC 5321, section 4.1.1.4). Servers that take a bare LF
// for the end of a line know three more, and Postfix (3.7) ignores further CRs before LF; the
// replies show which of them the server has taken. A line that begins with a dot and has more bytes
// is text: the client doubles the dot of such a line (section 4.5.2).
type endScanner uint8

const (
	inLine   endScanner = iota
	inLineCR            // the last byte was CR
	startCRLF
	startLF // at the start of a line, behind a bare LF
	dotCRLF
	dotLF
	dotCRLFCR
	dotLFCR
)

// end is the result of a scan.
type end uint8

const (
	noEnd      end = iota
	strictEnd      // the standard's form
	lenientEnd     // a form that some servers accept
)

// scan reads on to the end of the message and returns how many bytes it took.
func (s *endScanner) scan(b []byte) (n int, e end) {
	for i := 0; i < len(b); {
		c := b[i]
		switch *s {
		case inLine, inLineCR:
			if n := skipText(b[i:]); n > 0 {
				*s = inLine
				if b[i+n-1] == '\r' {
					*s = inLineCR
				}
				i += n
			}
			k := bytes.IndexByte(b[i:], '\n')
			if k < 0 {
				*s = inLine
				if b[len(b)-1] == '\r' {
					*s = inLineCR
				}
				return len(b), noEnd
			}
			cr := *s == inLineCR
			if k > 0 {
				cr = b[i+k-1] == '\r'
			}
			*s = startLF
			if cr {
				*s = startCRLF
			}
			i += k + 1
			continue
		case startCRLF, startLF:
			if c == '.' {
				*s += dotCRLF - startCRLF
				i++
				continue
			}
			*s = inLine // and c is read again
			continue
		case dotCRLF, dotLF:
			switch c {
			case '\r':
				*s += dotCRLFCR - dotCRLF
				i++
				continue
			case '\n':
				*s = startLF
				return i + 1, lenientEnd
			}
			*s = inLine
			continue
		case dotCRLFCR, dotLFCR:
			if c == '\n' {
				strict := *s == dotCRLFCR
				*s = startCRLF
				if strict {
					return i + 1, strictEnd
				}
				return i + 1, lenientEnd
			}
			*s = inLine
			if c == '\r' {
				*s = dotLFCR // no LF behind it makes the standard's form
				i++
			}
			continue
		}
	}
	return len(b), noEnd
}
