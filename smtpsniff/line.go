package smtpsniff

import "bytes"

// lineReader cuts a side's bytes into lines. It copies a line only where its bytes come in several
// parts.
type lineReader struct {
	buf  []byte // beginning of a line; nil if there is none
	long bool   // its middle was left out
	lost bool   // bytes were lost: a line counts only if it surely is a command or a reply
}

// next cuts a line off b. The line is without its end, and valid until the next call; bare reports
// that it ended with LF alone. ok is false when b has no end of a line: then all of b was taken.
func (n *lineReader) next(l *Listener, b []byte) (line, rest []byte, long, bare, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		n.append(l, b)
		return nil, nil, false, false, false
	}
	line, rest = b[:i], b[i+1:]
	if n.buf != nil || len(line) > maxLine {
		n.append(l, line)
		line, long = n.buf, n.long
		l.giveBack(&l.lentLine)
		l.lentLine, n.buf, n.long = n.buf, nil, false
	}
	bare = true
	if k := len(line) - 1; k >= 0 && line[k] == '\r' {
		line, bare = line[:k], false
	}
	return line, rest, long, bare, true
}

// append adds to the beginning of a line and keeps its first and its last 512 bytes: the verb is at
// the front, the domain of an address near the end.
func (n *lineReader) append(l *Listener, b []byte) {
	const half = maxLine / 2
	if len(n.buf)+len(b) <= maxLine && !n.long {
		n.buf = l.blocks.append(n.buf, b)
		return
	}
	if !n.long {
		k := min(len(b), maxLine-len(n.buf))
		n.buf = l.blocks.append(n.buf, b[:k])
		b = b[k:]
		n.long = true
	}
	tail := n.buf[half:maxLine]
	if len(b) >= half {
		copy(tail, b[len(b)-half:])
		return
	}
	copy(tail, tail[len(b):])
	copy(tail[half-len(b):], b)
}

// lose drops the beginning of a line because bytes are missing.
func (n *lineReader) lose(l *Listener) {
	n.drop(l)
	n.lost = true
}

// drop drops the beginning of a line that is none.
func (n *lineReader) drop(l *Listener) {
	l.giveBack(&n.buf)
	n.long = false
}
