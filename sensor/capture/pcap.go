package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"spamsensor/sensor/frame"
)

var (
	errEmpty      = errors.New("the file is empty")
	errFault      = errors.New("a fault of spamsensor while reading this; please report it with the file")
	errNotCapture = errors.New("this is no capture file (pcap or pcapng, plain or compressed with gzip, zstd or xz)")
)

// records says how the records of a classic pcap file are written
// (draft-ietf-opsawg-pcap).
//
//	file header:   magic 4, version 2+2, reserved 4+4, snapshot length 4, link type 4
//	record header: seconds 4, fraction 4, captured length 4, length on the wire 4
type records struct {
	swap   bool  // big-endian
	unit   int64 // nanoseconds of one unit of the fraction
	header int   // length of a record header
	link   frame.LinkType
}

const fileHeader = 24

// isPcap reports whether these four bytes begin a classic pcap file.
func isPcap(magic [4]byte) bool {
	switch magic {
	case [4]byte{0xd4, 0xc3, 0xb2, 0xa1}, [4]byte{0xa1, 0xb2, 0xc3, 0xd4}, [4]byte{0x4d, 0x3c, 0xb2, 0xa1},
		[4]byte{0xa1, 0xb2, 0x3c, 0x4d}, [4]byte{0x34, 0xcd, 0xb2, 0xa1}, [4]byte{0xa1, 0xb2, 0xcd, 0x34}:
		return true
	}
	return false
}

// parseHeader reads the file header; known says which link types the caller can decode.
func parseHeader(h []byte, known func(link frame.LinkType) error) (r records, err error) {
	r = records{unit: 1000, header: 16}
	order := binary.ByteOrder(binary.LittleEndian)
	switch m := binary.LittleEndian.Uint32(h); m {
	case 0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34:
	default:
		order, r.swap = binary.BigEndian, true
	}
	switch order.Uint32(h) {
	case 0xa1b23c4d:
		r.unit = 1
	case 0xa1b2cd34:
		r.header = 24 // Kuznetzov's patched libpcap: interface, protocol and packet type follow
	}
	if v := order.Uint16(h[4:]); v != 2 {
		return r, fmt.Errorf("pcap version %d.%d is not known (2.4 is)", v, order.Uint16(h[6:]))
	}
	// The upper bits hold the length of a frame check sequence; it counts as padding.
	link := order.Uint32(h[20:]) & 0x03ffffff
	if link > 0xffff {
		return r, fmt.Errorf("link type %d is not known", link)
	}
	r.link = frame.LinkType(link)
	return r, known(r.link)
}

// head is a record's header.
func (r *records) head(b []byte) (sec, frac, caplen, wire uint32) {
	if r.swap {
		return binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
	}
	return binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])
}

// one takes the record at pos into c and returns where the next one begins; -1 if this
// one is not whole, or is longer than is believed.
func (r *records) one(b []byte, pos int, c *chunk) int {
	if len(b)-pos < r.header {
		return -1
	}
	sec, frac, caplen, wire := r.head(b[pos:])
	from := pos + r.header
	if caplen > maxCaplen || len(b)-from < int(caplen) {
		return -1
	}
	ns := int64(frac) * r.unit
	if ns >= 1e9 {
		c.badTimes++
	}
	next := from + int(caplen)
	c.add(b[from:next:next], int64(sec)*1e9+ns, int(wire), r.link)
	return next
}

// why says what is wrong with the record at the beginning of b, where the input ends.
func (r *records) why(b []byte, cause error) error {
	if len(b) < r.header {
		return errors.New(damage(cause, "inside a record header"))
	}
	_, _, caplen, _ := r.head(b)
	if caplen > maxCaplen {
		return fmt.Errorf("a record claims %d bytes, more than any capture keeps (%d)", caplen, maxCaplen)
	}
	return errors.New(damage(cause, fmt.Sprintf("inside a record: %d of %d bytes are there", len(b)-r.header, caplen)))
}

// pcapFile reads the classic format from a stream.
type pcapFile struct {
	records
	b *block
}

func openPcap(b *block, known func(link frame.LinkType) error) (*pcapFile, error) {
	if err := b.fill(fileHeader); err != nil {
		return nil, errors.New(damage(err, "inside its header"))
	}
	r, err := parseHeader(b.have(), known)
	if err != nil {
		return nil, err
	}
	b.start += fileHeader
	return &pcapFile{r, b}, nil
}

func (f *pcapFile) offset() int64 { return f.b.offset() }

func (f *pcapFile) next(c *chunk) error {
	if err := f.b.fill(f.header); err != nil {
		if len(f.b.have()) == 0 && err == io.EOF {
			return io.EOF
		}
		return f.why(f.b.have(), err)
	}
	if _, _, caplen, _ := f.head(f.b.have()); caplen <= maxCaplen {
		if err := f.b.fill(f.header + int(caplen)); err != nil {
			return f.why(f.b.have(), err)
		}
	} else {
		return f.why(f.b.have(), nil)
	}
	b, pos := f.b.have(), 0
	limit := int(c.stretch() - f.b.offset()%c.stretch())
	err := c.walk(func() error {
		for pos < limit && len(c.frames) < maxFrames {
			next := f.one(b, pos, c)
			if next < 0 {
				break
			}
			pos = next
		}
		return nil
	})
	c.end = pos >= limit
	f.b.start += pos
	return after(c, err)
}
