package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"

	"spamsensor/sensor/frame"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng).
const (
	ngSection    = 0x0a0d0d0a
	ngInterface  = 1
	ngPacket     = 2 // obsolete
	ngSimple     = 3
	ngStatistics = 5
	ngEnhanced   = 6
)

// maxInterfaces bounds the interfaces of a section that are kept in memory.
const maxInterfaces = 4096

// ngFile reads pcapng. A file is a sequence of blocks:
//
//	type 4, total length 4, body, total length 4
//
// in the byte order of the last section header. Interfaces may differ in link type and time
// resolution.
type ngFile struct {
	b     *readBuffer
	order binary.ByteOrder
	ifs   []ngIf
	left  int   // bytes of the current block that are still to be skipped
	at    int64 // number of the current window
	known func(link frame.LinkType) error
	// unknown is the error of a link type that cannot be decoded. It is returned if the file has
	// no frame of any other link type.
	unknown error
	good    bool // there was a frame of a known link type
	// drops are the losses that the capturing program wrote: of the interfaces, of the system.
	drops [2]uint64
	// untimed are the frames so far that were skipped because of their time.
	untimed untimed
	last    int64 // the time of the latest packet that has one; zero if there was none
}

// untimed counts frames whose time is not representable, and their captured bytes.
type untimed struct{ frames, bytes uint64 }

type ngIf struct {
	link    frame.LinkType
	known   bool
	snaplen uint32
	scale   timescale
	drops   [2]uint64 // of the last statistics block
}

// timescale converts an interface's timestamps to nanoseconds since 1970. A second has 10^exp
// ticks, or 2^exp if binary is set.
type timescale struct {
	exp    uint8 // 0 to 127 (draft-ietf-opsawg-pcapng, section 4.2, if_tsresol)
	binary bool
	offset int64 // seconds (if_tsoffset)
}

// endOfTime is 2262-04-11, in seconds since 1970: the last midnight that fits into 63 bits of
// nanoseconds. Later times, and times before 1970, are not representable.
const endOfTime = 9_223_286_400

// nanoseconds is the time of a timestamp; ok is false outside of [1970-01-01, 2262-04-11).
func (t timescale) nanoseconds(ticks uint64) (ns int64, ok bool) {
	sec, frac := t.split(ticks)
	if t.offset >= 0 {
		sum, carry := bits.Add64(sec, uint64(t.offset), 0)
		if carry != 0 {
			return 0, false
		}
		sec = sum
	} else {
		before := -uint64(t.offset) // the magnitude, also of the lowest number
		if sec < before {
			return 0, false
		}
		sec -= before
	}
	if sec >= endOfTime {
		return 0, false
	}
	return int64(sec*1e9 + frac), true
}

// split returns the whole seconds of a timestamp, and the remaining nanoseconds.
func (t timescale) split(ticks uint64) (sec, ns uint64) {
	switch {
	case t.binary && t.exp < 64:
		hi, lo := bits.Mul64(ticks&(1<<t.exp-1), 1e9)
		return ticks >> t.exp, hi<<(64-t.exp) | lo>>t.exp
	case t.binary: // less than a second, whatever the ticks
		hi, _ := bits.Mul64(ticks, 1e9)
		return 0, hi >> (t.exp - 64)
	case t.exp <= 9:
		per := powers[t.exp]
		return ticks / per, ticks % per * powers[9-t.exp]
	case t.exp <= 19:
		per := powers[t.exp]
		return ticks / per, ticks % per / powers[t.exp-9]
	case t.exp <= 28:
		return 0, ticks / powers[t.exp-9]
	}
	return 0, 0 // 2^64 ticks are less than a nanosecond
}

// powers are the powers of ten that fit into 64 bits.
var powers = func() (p [20]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

func openNg(b *readBuffer, known func(link frame.LinkType) error) (*ngFile, error) {
	f := &ngFile{b: b, known: known, order: binary.LittleEndian}
	return f, f.section()
}

// section reads the section header block at the start of the buffer.
func (f *ngFile) section() error {
	if err := f.b.fill(28); err != nil {
		return errors.New(incomplete(err, "inside a section header"))
	}
	h := f.b.bytes()
	switch binary.LittleEndian.Uint32(h[8:]) {
	case 0x1a2b3c4d:
		f.order = binary.LittleEndian
	case 0x4d3c2b1a:
		f.order = binary.BigEndian
	default:
		return errors.New("a section header has no byte-order mark")
	}
	if major := f.order.Uint16(h[12:]); major != 1 {
		return fmt.Errorf("pcapng version %d.%d is not known (1.0 is)",
			major, f.order.Uint16(h[14:]))
	}
	total := f.order.Uint32(h[4:])
	if total < 28 || total%4 != 0 || total > math.MaxInt32 {
		return fmt.Errorf("a section header claims a length of %d bytes", total)
	}
	f.ifs = f.ifs[:0]
	f.left = int(total)
	return nil
}

func (f *ngFile) offset() int64 { return f.b.offset() }

func (f *ngFile) next(c *recordBatch) error {
	for len(c.frames) < maxFrames {
		if ok, err := f.skipRest(c); !ok {
			return err
		}
		if at := f.b.offset() / c.window; at != f.at {
			f.at, c.end = at, true
			return nil
		}
		if err := f.b.fill(12); err != nil {
			if len(f.b.bytes()) == 0 && err == io.EOF {
				return f.ended()
			}
			return errors.New(incomplete(err, "inside a block header"))
		}
		h := f.b.bytes()
		typ, total := f.order.Uint32(h), f.order.Uint32(h[4:])
		if typ == ngSection {
			if c.count > 0 {
				return nil
			}
			if err := f.section(); err != nil {
				return err
			}
			continue
		}
		if total < 12 || total%4 != 0 || total > math.MaxInt32 {
			return after(c, fmt.Errorf("a block claims a length of %d bytes", total))
		}
		need := neededBytes(typ, int(total))
		if need > readBufferSize {
			return after(c, fmt.Errorf("a block of type %d claims a length of %d bytes",
				typ, total))
		}
		if len(h) < need {
			if c.count > 0 {
				return nil
			}
			if err := f.b.fill(need); err != nil {
				where := fmt.Sprintf("inside a block: %d of %d bytes are there",
					len(f.b.bytes()), total)
				return errors.New(incomplete(err, where))
			}
			h = f.b.bytes()
		}
		if need == int(total) && f.order.Uint32(h[total-4:]) != total {
			return after(c, fmt.Errorf("a block is %d bytes long by its head and %d by its foot",
				total, f.order.Uint32(h[total-4:])))
		}
		if need > 0 {
			if err := f.body(typ, h[8:min(len(h), int(total)-4)], c); err != nil {
				return after(c, err)
			}
		}
		f.left = int(total)
		if f.left <= len(f.b.bytes()) { // the bytes stay in place: only the start moves
			f.b.start += f.left
			f.left = 0
		}
	}
	return nil
}

// skipRest skips the rest of the last block. It reports false if walk has to return: with an error,
// or because a further read would move the bytes of the frames in the batch.
func (f *ngFile) skipRest(c *recordBatch) (ok bool, err error) {
	if f.left > 0 {
		// Skipping moves the buffer only where it goes beyond its end.
		if c.count > 0 && f.left > len(f.b.bytes()) {
			return false, nil
		}
		if err := f.b.skip(f.left); err != nil {
			return false, errors.New(incomplete(err, "inside a block"))
		}
		f.left = 0
	}
	return c.count == 0 || len(f.b.bytes()) >= 12, nil
}

// ended is the error at the end of the file.
func (f *ngFile) ended() error {
	if !f.good && f.unknown != nil {
		return f.unknown
	}
	return io.EOF
}

// neededBytes is how much of a block must be in memory: head and data of a packet, all of an
// interface and of statistics, nothing of a block that is skipped.
func neededBytes(typ uint32, total int) int {
	switch typ {
	case ngInterface, ngStatistics:
		return total
	case ngEnhanced, ngPacket:
		return min(total, 28+maxCaplen)
	case ngSimple:
		return min(total, 12+maxCaplen)
	}
	return 0
}

// after withholds an error until the frames before it were returned. The next call meets the error
// again, because no byte of the bad block was consumed.
func after(c *recordBatch, err error) error {
	if c.count > 0 {
		return nil
	}
	return err
}

// body reads a block without its head and foot.
func (f *ngFile) body(typ uint32, b []byte, c *recordBatch) error {
	switch typ {
	case ngInterface:
		return f.addInterface(b)
	case ngStatistics:
		f.statistics(b)
	case ngEnhanced, ngPacket:
		// interface 4 (obsolete: 2, drops 2), time 8, captured length 4, length on the wire 4
		if len(b) < 20 {
			return fmt.Errorf("a packet block of %d bytes has no room for its head", len(b))
		}
		id := f.order.Uint32(b)
		if typ == ngPacket {
			id = uint32(f.order.Uint16(b))
		}
		if id >= uint32(len(f.ifs)) {
			return fmt.Errorf("a packet names interface %d, but %d are described", id, len(f.ifs))
		}
		i := &f.ifs[id]
		caplen := f.order.Uint32(b[12:])
		if caplen > maxCaplen || int(caplen) > len(b)-20 {
			return fmt.Errorf("a packet claims %d bytes in a block that has room for %d",
				caplen, len(b)-20)
		}
		ticks := uint64(f.order.Uint32(b[4:]))<<32 | uint64(f.order.Uint32(b[8:]))
		f.good = f.good || i.known
		time, ok := i.scale.nanoseconds(ticks)
		if !ok {
			f.untimed.frames++
			f.untimed.bytes += uint64(caplen)
			return nil
		}
		f.last = time
		c.add(b[20:20+caplen:20+caplen], time, int(f.order.Uint32(b[16:])), i.link)
	case ngSimple:
		// length on the wire 4; interface 0, no time: it came no earlier than the one before
		if len(b) < 4 || len(f.ifs) == 0 {
			return errors.New("a simple packet block has no interface")
		}
		wire := f.order.Uint32(b)
		caplen := min(wire, uint32(len(b)-4))
		if i := &f.ifs[0]; i.snaplen != 0 {
			caplen = min(caplen, i.snaplen)
		}
		c.add(b[4:4+caplen:4+caplen], f.last, int(wire), f.ifs[0].link)
		f.good = f.good || f.ifs[0].known
	}
	return nil
}

// addInterface reads an interface description: link type 2, reserved 2, snapshot length 4, options.
func (f *ngFile) addInterface(b []byte) error {
	if len(b) < 8 {
		return errors.New("an interface description is cut")
	}
	if len(f.ifs) == maxInterfaces {
		return fmt.Errorf("more than %d interfaces are described", maxInterfaces)
	}
	i := ngIf{link: frame.LinkType(f.order.Uint16(b)), snaplen: f.order.Uint32(b[4:]),
		scale: timescale{exp: 6}}
	if err := f.known(i.link); err != nil {
		f.unknown = err
	} else {
		i.known = true
	}
	f.options(b[8:], func(code uint16, v []byte) {
		switch {
		case code == 9 && len(v) >= 1: // if_tsresol: a negative power of 10, or of 2
			i.scale.exp, i.scale.binary = v[0]&0x7f, v[0]&0x80 != 0
		case code == 14 && len(v) >= 8: // if_tsoffset, seconds
			i.scale.offset = int64(f.order.Uint64(v))
		}
	})
	f.ifs = append(f.ifs, i)
	return nil
}

// statistics reads the counters of the capturing program: interface 4, time 8, options. They are
// cumulative, per interface.
func (f *ngFile) statistics(b []byte) {
	if len(b) < 12 {
		return
	}
	id := f.order.Uint32(b)
	if id >= uint32(len(f.ifs)) {
		return
	}
	i := &f.ifs[id]
	f.options(b[12:], func(code uint16, v []byte) {
		if len(v) < 8 {
			return
		}
		switch total := f.order.Uint64(v); code {
		case 5: // isb_ifdrop
			f.drops[0] += total - min(i.drops[0], total)
			i.drops[0] = max(i.drops[0], total)
		case 7: // isb_osdrop
			f.drops[1] += total - min(i.drops[1], total)
			i.drops[1] = max(i.drops[1], total)
		}
	})
}

// options calls each for every option: code 2, length 2, value padded to four bytes.
func (f *ngFile) options(b []byte, each func(code uint16, v []byte)) {
	for len(b) >= 4 {
		code, n := f.order.Uint16(b), int(f.order.Uint16(b[2:]))
		if code == 0 || 4+n > len(b) {
			return
		}
		each(code, b[4:4+n])
		b = b[min(len(b), 4+(n+3)&^3):]
	}
}
