package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"spamsensor/sensor/frame"
)

var (
	errEmpty = errors.New("the file is empty")
	errFault = errors.New("a fault of spamsensor while reading this; " +
		"please report it with the file")
)

// recordLayout is the layout of the records of a classic pcap file (draft-ietf-opsawg-pcap).
//
//	file header:   magic 4, version 2+2, reserved 4+4, snapshot length 4, link type 4
//	record header: seconds 4, fraction 4, captured length 4, length on the wire 4
type recordLayout struct {
	swap   bool  // big-endian
	unit   int64 // nanoseconds of one unit of the fraction
	header int   // length of a record header
	link   frame.LinkType
}

const fileHeader = 24

// isPcap reports whether these four bytes begin a classic pcap file.
func isPcap(magic [4]byte) bool {
	switch magic {
	case [4]byte{0xd4, 0xc3, 0xb2, 0xa1}, [4]byte{0xa1, 0xb2, 0xc3, 0xd4},
		[4]byte{0x4d, 0x3c, 0xb2, 0xa1}, [4]byte{0xa1, 0xb2, 0x3c, 0x4d},
		[4]byte{0x34, 0xcd, 0xb2, 0xa1}, [4]byte{0xa1, 0xb2, 0xcd, 0x34}:
		return true
	}
	return false
}

// parseHeader reads the file header; known returns an error for a link type that the caller cannot
// decode.
func parseHeader(h []byte, known func(link frame.LinkType) error) (r recordLayout, err error) {
	r = recordLayout{unit: 1000, header: 16}
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
	// The upper bits hold the length of a frame check sequence, which counts as padding.
	link := order.Uint32(h[20:]) & 0x03ffffff
	if link > 0xffff {
		return r, fmt.Errorf("link type %d is not known", link)
	}
	r.link = frame.LinkType(link)
	const aixMinor = 2
	if order.Uint16(h[6:]) == aixMinor {
		r.fromAIX()
	}
	return r, known(r.link)
}

// fromAIX corrects the layout for tcpdump of AIX, which writes version 2.2: its link types are
// numbered as interfaces are in SNMP (IANAifType), and its times have nanoseconds.
func (r *recordLayout) fromAIX() {
	const ethernet, tokenRing, fddi, loopback = 6, 9, 15, 24
	links := map[frame.LinkType]frame.LinkType{ethernet: frame.Ethernet, tokenRing: 6, fddi: 10,
		loopback: frame.Null}
	if link, ok := links[r.link]; ok {
		r.link, r.unit = link, 1
	}
}

// head reads a record header.
func (r *recordLayout) head(b []byte) (sec, frac, caplen, wire uint32) {
	if r.swap {
		be := binary.BigEndian
		return be.Uint32(b), be.Uint32(b[4:]), be.Uint32(b[8:]), be.Uint32(b[12:])
	}
	le := binary.LittleEndian
	return le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint32(b[12:])
}

// readRecord adds the record at pos to the batch and returns the position of the next one; -1 if
// the record is not whole, or longer than maxCaplen.
func (r *recordLayout) readRecord(b []byte, pos int, c *recordBatch) int {
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

// recordFault is the fault of the record at the beginning of b, where the input ends. cause is the
// error of the read.
func (r *recordLayout) recordFault(b []byte, cause error) error {
	if len(b) < r.header {
		return errors.New(incomplete(cause, "inside a record header"))
	}
	_, _, caplen, _ := r.head(b)
	if caplen > maxCaplen {
		return fmt.Errorf("a record claims %d bytes, more than any capture keeps (%d)",
			caplen, maxCaplen)
	}
	return errors.New(incomplete(cause,
		fmt.Sprintf("inside a record: %d of %d bytes are there", len(b)-r.header, caplen)))
}

// pcapFile reads the classic format from a stream.
type pcapFile struct {
	recordLayout
	b *readBuffer
}

func openPcap(b *readBuffer, known func(link frame.LinkType) error) (*pcapFile, error) {
	if err := b.fill(fileHeader); err != nil {
		return nil, errors.New(incomplete(err, "inside its header"))
	}
	r, err := parseHeader(b.bytes(), known)
	if err != nil {
		return nil, err
	}
	b.start += fileHeader
	return &pcapFile{r, b}, nil
}

func (f *pcapFile) offset() int64 { return f.b.offset() }

func (f *pcapFile) next(c *recordBatch) error {
	if err := f.b.fill(f.header); err != nil {
		if len(f.b.bytes()) == 0 && err == io.EOF {
			return io.EOF
		}
		return f.recordFault(f.b.bytes(), err)
	}
	if _, _, caplen, _ := f.head(f.b.bytes()); caplen <= maxCaplen {
		if err := f.b.fill(f.header + int(caplen)); err != nil {
			return f.recordFault(f.b.bytes(), err)
		}
	} else {
		return f.recordFault(f.b.bytes(), nil)
	}
	limit := int(c.window - f.b.offset()%c.window)
	pos := f.walk(f.b.bytes(), limit, c)
	c.end = pos >= limit
	f.b.start += pos
	return nil
}
