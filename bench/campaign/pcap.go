package campaign

import (
	"bufio"
	"encoding/binary"
	"io"
)

// File writes frames to a pcap file with timestamps in nanoseconds (draft-ietf-opsawg-pcap).
type File struct {
	out     *bufio.Writer
	Packets uint64 // frames written
}

// NewFile writes the file's header. Close returns errors of all writes.
func NewFile(out io.Writer, link uint16) *File {
	f := &File{out: bufio.NewWriterSize(out, 1<<20)}
	le := binary.LittleEndian
	h := le.AppendUint32(nil, 0xa1b23c4d)
	h = le.AppendUint16(le.AppendUint16(h, 2), 4)
	h = append(h, 0, 0, 0, 0, 0, 0, 0, 0)
	f.out.Write(le.AppendUint32(le.AppendUint32(h, 262144), uint32(link)))
	return f
}

// Write writes a frame. at is its time in nanoseconds since 1970, length its length on the wire.
func (f *File) Write(at int64, data []byte, length int) {
	var h [16]byte
	le := binary.LittleEndian
	le.PutUint32(h[0:], uint32(at/second))
	le.PutUint32(h[4:], uint32(at%second))
	le.PutUint32(h[8:], uint32(len(data)))
	le.PutUint32(h[12:], uint32(length))
	f.out.Write(h[:])
	f.out.Write(data)
	f.Packets++
}

// Close writes the rest of the buffer. It does not close the underlying writer.
func (f *File) Close() error { return f.out.Flush() }
