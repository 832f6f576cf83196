// Package tlshello reads the server name in a TLS ClientHello (RFC 8446, section 4.1.2; RFC 6066,
// section 3), the only part of TLS that an observer needs. It decrypts nothing, and reads no
// fragmented name: the name must lie in the first record.
package tlshello

// ServerName returns the server name in the first bytes of a client, borrowed from b; nil if there
// is none. more reports that b may be too short to hold it.
func ServerName(b []byte) (name []byte, more bool) {
	// A ClientHello may be spread over records. Only the first is read; its header is
	//	type 8, version 16, length 16
	if len(b) < 5 {
		return nil, true
	}
	if b[0] != 22 || b[1] != 3 {
		return nil, false
	}
	record := int(b[3])<<8 | int(b[4])
	whole := len(b)-5 >= record
	h := b[5:min(len(b), 5+record)]
	// handshake type 8, length 24; version 16, random 256, session id 8+, suites 16+,
	// compression 8+, extensions 16+
	if len(h) < 4 {
		return nil, !whole
	}
	if h[0] != 1 {
		return nil, false
	}
	more = !whole
	h = h[4:]
	skip := func(n int) bool {
		if len(h) < n {
			return false
		}
		h = h[n:]
		return true
	}
	length := func(bytes int) (n int, ok bool) {
		if len(h) < bytes {
			return 0, false
		}
		for _, c := range h[:bytes] {
			n = n<<8 | int(c)
		}
		h = h[bytes:]
		return n, true
	}
	vector := func(bytes int) bool {
		n, ok := length(bytes)
		return ok && skip(n)
	}
	if !skip(2+32) || !vector(1) || !vector(2) || !vector(1) {
		return nil, more
	}
	if _, ok := length(2); !ok {
		return nil, more
	}
	for len(h) >= 4 {
		typ, _ := length(2)
		n, _ := length(2)
		if typ != 0 {
			if !skip(n) {
				return nil, more
			}
			continue
		}
		// list length 16; name type 8, length 16, name
		if len(h) < n || n < 5 || h[2] != 0 {
			return nil, more && len(h) < n
		}
		k := int(h[3])<<8 | int(h[4])
		if 5+k > n {
			return nil, false
		}
		return h[5 : 5+k], false
	}
	return nil, more
}
