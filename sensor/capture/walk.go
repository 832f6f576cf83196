package capture

import (
	"encoding/binary"
	"math"
	"math/bits"

	"spamsensor/sensor/frame"
)

// Places in a record of a usual frame (see frame.UsualFrames), whose record header has four words.
const (
	recordHeader = 16
	etherHeader  = 14
	atIP         = recordHeader + etherHeader
	atPorts4     = atIP + 20 // behind an IPv4 header
	atPorts6     = atIP + 40 // behind an IPv6 header
	atFlags      = 13        // of a TCP header
	usualRecord  = atPorts6 + atFlags + 1
	shortestIPv4 = etherHeader + 20 + 20
	shortestIPv6 = etherHeader + 40 + 20
)

// walk adds the records that begin in b below limit to the batch, until it is full, and returns the
// position of the next one: one that is not whole, or longer than maxCaplen, is not added.
func (r *recordLayout) walk(b []byte, limit int, c *recordBatch) (pos int) {
	if c.frames == nil {
		c.frames = make([]frame.Frame, 0, maxFrames)
	}
	u := usualWalk{first: math.MaxUint64, swap: r.swap, units: uint32(1e9 / r.unit),
		unit: uint32(r.unit), c: c}
	if c.prefilter != nil && r.link == frame.Ethernet && r.header == recordHeader &&
		!c.only.bounded() {
		u.usual = c.prefilter.Usual
	}
	usual := u.usual
	end := min(limit, len(b)-usualRecord+1)
	for pos < limit && len(c.frames) < maxFrames {
		next := r.readRecord(b, pos, c)
		if next < 0 {
			break
		}
		if usual != nil {
			if sec, frac, _, _ := r.head(b[pos:]); sec >= frame.UnsetSeconds {
				u.first = min(u.first, uint64(sec)<<32|uint64(frac))
			}
			begin, before := next, u.count()
			next = u.walk(b, next, end)
			c.bytes += uint64(next-begin) - recordHeader*(u.count()-before)
		}
		pos = next
	}
	if n := u.count(); n > 0 {
		c.skipped[usual.TCP] += u.tcp
		c.skipped[usual.SYN] += u.syn
		c.skipped[usual.UDP] += u.udp
		c.last = max(c.last, u.nanoseconds(u.last))
		c.count += n
	}
	return pos
}

// usualWalk walks over usual frames, and counts them. Its fields are read from memory where they
// are used, which leaves the processor's registers to what is read of the record.
type usualWalk struct {
	usual       *frame.UsualFrames
	swap        bool   // big-endian
	unit, units uint32 // nanoseconds of one unit of the fraction, and units of a second
	// first is no later than the first record, which is in the counts of the batch: walk knows
	// later ones only. last is the time of the last one. Both are seconds and fraction.
	first, last         uint64
	tcp, syn, udp, kept uint64
	c                   *recordBatch
}

func (u *usualWalk) count() uint64 { return u.tcp + u.syn + u.udp + u.kept }

// nanoseconds is the time of a record; t is seconds and fraction.
func (u *usualWalk) nanoseconds(t uint64) int64 {
	return int64(t>>32*1e9 + t&math.MaxUint32*uint64(u.unit))
}

// walk walks over the records that begin in b[pos:] before end, and returns the position of the
// first one that is unusual in any way, or does not fit into the batch. 98 of 100 frames of mixed
// traffic end in this loop. So it is one function without a call, and it takes 100 instructions for
// a frame that is skipped.
func (u *usualWalk) walk(b []byte, pos, end int) int {
	const fragmented, syn, ack = 0x3fff << 16, 0x02, 0x10
	const protoTCP, protoUDP = 6, 17
	for pos < end {
		h := (*[usualRecord]byte)(b[pos:])
		// seconds 4, fraction 4; captured length 4, length on the wire 4
		time, n := binary.LittleEndian.Uint64(h[:]), binary.LittleEndian.Uint64(h[8:])
		if u.swap {
			time, n = bits.ReverseBytes64(time), bits.ReverseBytes64(n)
		} else {
			time, n = bits.RotateLeft64(time, 32), bits.RotateLeft64(n, 32)
		}
		wire := n & math.MaxUint32
		n >>= 32
		next := pos + recordHeader + int(n)
		if time < u.first || uint32(time) >= u.units || n < shortestIPv4 || n > wire ||
			n > maxCaplen || next > len(b) {
			break
		}
		var proto, ports uint32
		var flags byte
		if head := binary.LittleEndian.Uint32(h[atIP-2:]); head<<8 == 0x45000800 {
			// total length 2, identification 2, fragment 2, ttl 1, protocol 1
			x := binary.BigEndian.Uint64(h[atIP+2:])
			if x&fragmented != 0 || x>>48-40 > wire-shortestIPv4 {
				break
			}
			ports, flags = binary.BigEndian.Uint32(h[atPorts4:]), h[atPorts4+atFlags]
			proto = uint32(x & 0xff)
		} else if head&0x00f0ffff == 0x0060dd86 && n >= shortestIPv6 {
			// payload length 2, next header 1, hop limit 1
			x := binary.BigEndian.Uint32(h[atIP+4:])
			if uint64(x>>16)-20 > wire-shortestIPv6 {
				break
			}
			ports, flags = binary.BigEndian.Uint32(h[atPorts6:]), h[atPorts6+atFlags]
			proto = x >> 8 & 0xff
			if u.usual.Ports.HasEither(ports) {
				break
			}
		} else {
			break
		}
		if proto == protoTCP {
			if !u.usual.Ports.HasEither(ports) {
				if flags&(syn|ack) == syn {
					u.syn++
				} else {
					u.tcp++
				}
			} else if c := u.c; len(c.frames) < cap(c.frames) {
				c.frames = c.frames[:len(c.frames)+1]
				f := &c.frames[len(c.frames)-1]
				f.Data, f.Len = b[pos+recordHeader:next:next], int(wire)
				f.Time, f.Link, f.From = u.nanoseconds(time), frame.Ethernet, c.from
				u.kept++
			} else {
				break
			}
		} else if proto == protoUDP && !u.usual.Ports.HasEither(ports) {
			u.udp++
		} else {
			break
		}
		pos = next
		if time > u.last {
			u.last = time
		}
	}
	return pos
}
