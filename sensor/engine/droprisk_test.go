package engine

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	. "spamsensor/sensor/wire/wiretest"
)

// segmentFrame is a segment of a connection, at its next sequence numbers.
type segmentFrame struct {
	eth  Ethernet
	ip   IP
	tcp  TCP
	text string
	// ipSum and tcpSum are added to the right checksums.
	ipSum, tcpSum uint8
}

func (x *segmentFrame) frame() []byte {
	f := Frame(x.eth, x.ip, x.tcp, Text(x.text))
	f[14+11] ^= x.ipSum
	f[14+20+17] ^= x.tcpSum
	return f
}

// partial writes the checksum that a host leaves to a network card: the sum of the pseudo header.
func partial(f []byte) []byte {
	f = slices.Clone(f)
	s := uint32(6) + uint32(binary.BigEndian.Uint16(f[16:])) - 20
	for i := 26; i < 34; i += 2 {
		s += uint32(f[i])<<8 | uint32(f[i+1])
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	binary.BigEndian.PutUint16(f[50:], uint16(s))
	return f
}

// dialogue is a connection with a message. Each segment of the client passes through change, which
// returns the frames in its place; n is its number, 0 for the third segment of the handshake.
func dialogue(change func(n int, x segmentFrame) [][]byte) (frames []timedFrame) {
	c := newConn("10.0.0.5", "192.0.2.25", 40000, 25)
	client, server, stamp := [6]byte{2, 0, 0, 0, 0, 1}, [6]byte{2, 0, 0, 0, 0, 2}, uint32(1000)
	send := func(dir int, flags uint8, text string) *segmentFrame {
		x := &segmentFrame{eth: Ethernet{Src: client, Dst: server}, ip: IP{Src: c.client, Dst: c.server, ID: c.id, TTL: 64},
			tcp: TCP{SrcPort: c.cport, DstPort: 25, Seq: c.seq[dir], Ack: c.seq[1-dir], Flags: flags, Options: stamps(stamp, 700)}, text: text}
		if dir == 1 {
			x.eth.Src, x.eth.Dst, x.ip.Src, x.ip.Dst, x.tcp.SrcPort, x.tcp.DstPort = server, client, c.server, c.client, 25, c.cport
			x.ip.TTL, x.tcp.Options = 55, stamps(700, stamp)
		}
		if c.seq[dir] += uint32(len(text)); flags&(SYN|FIN) != 0 {
			c.seq[dir]++
		}
		c.at += 20e6
		c.id++
		stamp += 20
		return x
	}
	add := func(list ...[]byte) {
		for i, f := range list {
			frames = append(frames, timedFrame{c.at + int64(i)*1e6, f})
		}
	}
	add(send(0, SYN, "").frame())
	add(send(1, SYN|ACK, "").frame())
	add(change(0, *send(0, ACK, ""))...)
	for i, line := range []string{"220 mx", "EHLO pc", "250 mx", "MAIL FROM:<a@example.org>", "250 ok", "RCPT TO:<b@example.net>", "250 ok", "DATA", "354 go", "hi\r\n.", "250 taken"} {
		if x := send((i+1)%2, ACK, line+"\r\n"); i%2 == 0 {
			add(x.frame())
		} else {
			add(change(i, *x)...)
		}
	}
	return frames
}

// stamps is a timestamps option (RFC 7323).
func stamps(val, echo uint32) []byte {
	b := []byte{1, 1, 8, 10}
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, val), echo)
}

// TestDecoys checks that segments that the server does not accept do not change the session: the
// accepted ones are read.
func TestDecoys(t *testing.T) {
	md5 := append([]byte{1, 1, 19, 18}, make([]byte, 16)...)
	for name, spoil := range map[string]func(x *segmentFrame){
		"TCP checksum":     func(x *segmentFrame) { x.tcpSum = 0x5a },
		"IPv4 checksum":    func(x *segmentFrame) { x.ipSum = 0x5a },
		"signature":        func(x *segmentFrame) { x.tcp.Options = md5 },
		"malformed option": func(x *segmentFrame) { x.tcp.Options = append([]byte{30, 1}, make([]byte, 18)...) },
		"time to live":     func(x *segmentFrame) { x.ip.TTL = 3 },
		"another machine":  func(x *segmentFrame) { x.eth.Dst = [6]byte{2, 9, 9, 9, 9, 9} },
		"from another machine": func(x *segmentFrame) {
			if x.eth.Dst[1] = 9; x.text != "" { // frames before the first segment are no evidence
				x.eth.Src = [6]byte{2, 8, 8, 8, 8, 8}
			}
		},
		"old timestamp":       func(x *segmentFrame) { x.tcp.Options = stamps(900, 700) },
		"acknowledges ahead":  func(x *segmentFrame) { x.tcp.Ack += 3000 },
		"acknowledges wildly": func(x *segmentFrame) { x.tcp.Ack += 1 << 30 },
		"acknowledges behind": func(x *segmentFrame) { x.tcp.Ack -= 1 << 20 },
		"partial checksum":    nil,
	} {
		decoy := func(x segmentFrame) []byte {
			if x.text = strings.Repeat("x", max(0, len(x.text)-2)); x.text != "" {
				x.text += "\r\n"
			}
			if spoil == nil {
				return partial(x.frame())
			}
			spoil(&x)
			return x.frame()
		}
		r := analyse(Config{}, dialogue(func(n int, x segmentFrame) [][]byte { return [][]byte{decoy(x), x.frame()} }))
		if len(r.sessions) != 1 || r.sessions[0].Helo != "pc" || r.sessions[0].Messages != 1 || len(r.sessions[0].MailFrom) != 1 || slices.Contains(r.sessions[0].Flags, "unknown_command") {
			t.Errorf("%s: %+v", name, r.sessions)
		}
		// The third segment does not complete the handshake, nor does the data after it.
		r = analyse(Config{}, dialogue(func(n int, x segmentFrame) [][]byte { return [][]byte{decoy(x)} })[:3])
		if r.stats.Sessions != 0 || r.stats.Attempts != 1 {
			t.Errorf("%s: %d sessions by a segment that the server does not take", name, r.stats.Sessions)
		}
	}
}

// TestNoDecoys checks that nothing is a decoy if every segment of a client is like that: the
// capture is from the sending host, or behind a router that changes the packets.
func TestNoDecoys(t *testing.T) {
	spoilt := func(frames []timedFrame, change func(i int, f []byte) []byte) []timedFrame {
		for i := range frames {
			frames[i].data = change(i, frames[i].data)
		}
		return frames
	}
	plain := dialogue(func(n int, x segmentFrame) [][]byte { return [][]byte{x.frame()} })
	fromClient := func(f []byte) bool { return f[29] == 5 }
	for name, frames := range map[string][]timedFrame{
		"offload": spoilt(slices.Clone(plain), func(_ int, f []byte) []byte {
			if fromClient(f) {
				return partial(f)
			}
			return f
		}),
		"merged on reception": spoilt(slices.Clone(plain), func(i int, f []byte) []byte {
			if fromClient(f) && i > 2 {
				return partial(f)
			}
			return f
		}),
		"two gateways": dialogue(func(n int, x segmentFrame) [][]byte {
			x.eth.Dst[5] = uint8(7 + n%4)
			return [][]byte{x.frame()}
		}),
		"two paths": dialogue(func(n int, x segmentFrame) [][]byte {
			x.ip.TTL -= uint8(n % 4)
			return [][]byte{x.frame()}
		}),
		"signed, and the server does not mind": dialogue(func(n int, x segmentFrame) [][]byte {
			x.tcp.Options = append([]byte{1, 1, 19, 18}, make([]byte, 16)...)
			return [][]byte{x.frame()}
		}),
		"link-layer addresses replaced at random": spoilt(slices.Clone(plain), func(i int, f []byte) []byte {
			f = slices.Clone(f)
			for at := range 12 {
				f[at] = byte(i*37+at*11) &^ 1
			}
			return f
		}),
		"another router for each direction": dialogue(func(n int, x segmentFrame) [][]byte {
			x.eth = Ethernet{Src: [6]byte{2, 7}, Dst: [6]byte{2, uint8(n)}}
			return [][]byte{x.frame()}
		}),
		"seen before and behind a router": dialogue(func(n int, x segmentFrame) [][]byte {
			y := x
			y.ip.TTL--
			y.eth = Ethernet{Src: [6]byte{2, 1}, Dst: [6]byte{2, 2}}
			return [][]byte{x.frame(), y.frame()}
		}),
	} {
		r := analyse(Config{}, frames)
		if len(r.sessions) != 1 || r.sessions[0].Helo != "pc" || r.sessions[0].Messages != 1 || r.sessions[0].Conflicts != 0 || len(r.sessions[0].Flags) > 0 {
			t.Errorf("%s: %+v", name, r.sessions)
		}
		if name == "seen before and behind a router" && r.stats.Duplicates != 6 {
			t.Errorf("%s: %d second copies", name, r.stats.Duplicates)
		}
	}
}
