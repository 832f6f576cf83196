package smtpsniff

import "bytes"

// A load balancer can send the client's address in front of the client's bytes, for the server
// behind it (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt). Version 1 is a line,
// version 2 begins with these bytes. A server that does not know the protocol takes version 1 for
// an unknown command; at version 2 it hangs up.
const proxySignature = "\r\n\r\n\x00\r\nQUIT\n"

// proxyHeader skips a header of version 2: signature 12, version and command 1, family 1, length 2,
// and as many bytes.
type proxyHeader struct {
	head   [len(proxySignature) + 4]byte
	n      uint8
	over   bool // it ended, or is none
	left   uint16
	found  bool // there was one, of either version
	isLine bool // of version 1: the server may reply to it as to a command
}

// skip takes a header, or the beginning of one, off b. before are bytes of earlier calls that
// turned out to be no header. found reports that a header is complete.
func (h *proxyHeader) skip(b *[]byte) (before []byte, found bool) {
	for len(*b) > 0 && !h.over {
		if int(h.n) == len(h.head) {
			k := min(len(*b), int(h.left))
			h.left -= uint16(k)
			*b = (*b)[k:]
			h.over = h.left == 0
			found = h.over
			continue
		}
		c := (*b)[0]
		const signed = len(proxySignature)
		if n := int(h.n); n < signed && c != proxySignature[n] || n == signed && c>>4 != 2 {
			h.over = true
			return h.head[:n], false
		}
		h.head[h.n] = c
		*b = (*b)[1:]
		if h.n++; int(h.n) == len(h.head) {
			h.left = uint16(h.head[14])<<8 | uint16(h.head[15])
			h.over = h.left == 0
			found = h.over
		}
	}
	return nil, found
}

// isProxyLine reports whether the first line of a client is a header of version 1: 107 bytes at
// most.
func isProxyLine(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("PROXY "))
	family, _, _ := bytes.Cut(rest, []byte(" "))
	switch string(family) {
	case "UNKNOWN", "TCP4", "TCP6":
		return ok && len(line) <= 107-2
	}
	return false
}

// proxied records a header: the bytes behind it are the client's first.
func (l *Listener) proxied(s *Session) {
	p := &s.client
	p.proxy.found, p.seen.spokeFirst, p.opened = true, false, false
	l.flag(s, Proxied)
}
