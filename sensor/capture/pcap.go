package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// format is a way of writing frames to a file: classic pcap or pcapng.
type format interface {
	// next works as Source.Next on one file. Errors other than io.EOF are reasons for a
	// PartialError.
	next(frames []Frame, s *Stats) (int, error)
}

var (
	errEmpty      = errors.New("the file is empty")
	errNotCapture = errors.New("this is no capture file (pcap or pcapng, plain or compressed with gzip, zstd or xz)")
)

// pcapFile reads the classic format (draft-ietf-opsawg-pcap).
//
//	magic 4, version 2+2, reserved 4+4, snapshot length 4, link type 4
//	then per frame: seconds 4, fraction 4, captured length 4, length on the wire 4
type pcapFile struct {
	b      *block
	order  binary.ByteOrder
	swap   bool  // big-endian
	unit   int64 // nanoseconds of one unit of the fraction
	header int   // length of a record header
	link   uint16
}

// openPcap reads the file header; known says which link types the caller can decode.
func openPcap(b *block, known func(link uint16) error) (*pcapFile, error) {
	h := b.have()
	f := &pcapFile{b: b, unit: 1000, header: 16}
	switch m := binary.LittleEndian.Uint32(h); m {
	case 0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34:
		f.order = binary.LittleEndian
	default:
		f.order, f.swap = binary.BigEndian, true
	}
	switch f.order.Uint32(h) {
	case 0xa1b23c4d:
		f.unit = 1
	case 0xa1b2cd34:
		f.header = 24 // Kuznetzov's patched libpcap: interface, protocol and packet type follow
	}
	if err := b.fill(24); err != nil {
		return nil, errors.New(b.damage(err, "inside its header"))
	}
	h = b.have()
	if v := f.order.Uint16(h[4:]); v != 2 {
		return nil, fmt.Errorf("pcap version %d.%d is not known (2.4 is)", v, f.order.Uint16(h[6:]))
	}
	// The upper bits hold the length of a frame check sequence; it counts as padding.
	link := f.order.Uint32(h[20:]) & 0x03ffffff
	if link > 0xffff {
		return nil, fmt.Errorf("link type %d is not known", link)
	}
	f.link = uint16(link)
	if err := known(f.link); err != nil {
		return nil, err
	}
	b.start += 24
	return f, nil
}

func (f *pcapFile) next(frames []Frame, s *Stats) (n int, err error) {
	for {
		n = f.walk(frames, s)
		if n > 0 {
			return n, nil
		}
		// Nothing whole is in memory: the rest of a record, or the end.
		if err := f.b.fill(f.header); err != nil {
			if len(f.b.have()) == 0 && err == io.EOF {
				return 0, io.EOF
			}
			return 0, errors.New(f.b.damage(err, "inside a record header"))
		}
		caplen := f.order.Uint32(f.b.have()[8:])
		if caplen > maxCaplen {
			return 0, fmt.Errorf("a record claims %d bytes, more than any capture keeps (%d)", caplen, maxCaplen)
		}
		if err := f.b.fill(f.header + int(caplen)); err != nil {
			return 0, errors.New(f.b.damage(err, fmt.Sprintf("inside a record: %d of %d bytes are there", len(f.b.have())-f.header, caplen)))
		}
	}
}

// walk gives the records that are whole in memory.
func (f *pcapFile) walk(frames []Frame, s *Stats) (n int) {
	b := f.b.have()
	var bytes uint64
	header := f.header
	for n < len(frames) && len(b) >= header {
		sec, frac := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		caplen, wire := binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])
		if f.swap {
			sec, frac = binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
			caplen, wire = binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
		}
		if caplen > maxCaplen || len(b)-header < int(caplen) {
			break
		}
		if int64(frac)*f.unit >= 1e9 {
			s.BadTimes++
		}
		frames[n] = Frame{Data: b[header : header+int(caplen) : header+int(caplen)], Time: int64(sec)*1e9 + int64(frac)*f.unit, Len: int(wire), Link: f.link}
		n++
		b = b[header+int(caplen):]
		bytes += uint64(caplen)
	}
	f.b.start = f.b.end - len(b)
	s.Bytes += bytes
	return n
}
