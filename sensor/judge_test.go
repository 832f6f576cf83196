//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire/wiretest"

	"golang.org/x/sys/unix"
)

// caller is a client that builds its own segments. It has one connection to the kernel's listener.
type caller struct {
	name   string
	script func(c *caller)

	k      *kernelUnderTest
	src    string
	v6     bool
	port   uint16
	next   uint32 // sequence number of its next byte
	ack    uint32 // sequence number of the server's next byte
	acked  uint32 // the last acknowledgment of the server
	stamps bool   // uses timestamps
	stamp  uint32 // TSval
	echo   uint32 // TSecr
	id     uint16
	in     chan answer
}

// answer is a segment of the server.
type answer struct {
	seq, ack, stamp uint32
	flags           uint8
	n               int
}

// seg describes the differences of a segment from an ordinary one of the caller at its next byte.
type seg struct {
	off, ackOff   int
	flags         uint8 // ACK if zero
	noACK         bool  // the flags are zero and not ACK
	text          string
	options       []byte
	bare          bool // without options
	stampOff      int
	tcpSum, ipSum uint8 // added to the low byte of the right checksum
	zeroSum       bool
	partial       bool
	to            [6]byte
	ttl           uint8
	urgent        uint16
	reserved      uint8
	ipOptions     []byte
	trailer       string
	split         []int // bounds of its fragments, which are sent in the order of order
	order         []int
	forged        bool // with the source of the server, at its next byte
}

const wait = 150 * time.Millisecond // time for an answer of the kernel, which takes less than 1 ms

// frames returns the frames of a segment.
func (c *caller) frames(s seg) [][]byte {
	flags := s.flags
	if flags == 0 && !s.noACK {
		flags = wiretest.ACK
	}
	t := wiretest.TCP{SrcPort: c.port, DstPort: 25, Seq: c.next + uint32(s.off), Ack: c.ack + uint32(s.ackOff), Flags: flags, Urgent: s.urgent, Reserved: s.reserved, Options: s.options}
	if c.stamps && !s.bare && s.options == nil {
		t.Options = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte{1, 1, 8, 10}, c.stamp+uint32(s.stampOff)), c.echo)
	}
	if flags&wiretest.ACK == 0 {
		t.Ack = 0
	}
	c.id++
	c.stamp++
	ip := wiretest.IP{Src: c.src, Dst: "10.88.0.1", ID: c.id, TTL: s.ttl, Options: s.ipOptions}
	header := 20 + (len(s.ipOptions)+3)&^3
	if c.v6 {
		ip.Dst, header = "fd88::1", 40
	}
	if s.forged {
		t.SrcPort, t.DstPort, t.Seq, t.Ack = 25, c.port, c.ack+uint32(s.off), c.next+uint32(s.ackOff)
		t.Options, ip.Src, ip.Dst = nil, ip.Dst, ip.Src
	}
	eth := wiretest.Ethernet{Dst: wiretest.VariantReceiver, Src: wiretest.VariantSender}
	if s.to != [6]byte{} {
		eth.Dst = s.to
	}
	f := wiretest.Frame(eth, ip, t, wiretest.Text(s.text))
	tcp := f[14+header:]
	tcp[17] ^= s.tcpSum
	if s.zeroSum {
		tcp[16], tcp[17] = 0, 0
	}
	if s.partial {
		binary.BigEndian.PutUint16(tcp[16:], pseudoHeaderSum(f[14:], header, len(tcp)))
	}
	if !c.v6 {
		f[14+11] ^= s.ipSum
	}
	if s.split == nil {
		return [][]byte{append(f, s.trailer...)}
	}
	var parts [][]byte
	for i, from := range s.split {
		to := len(tcp)
		if i+1 < len(s.split) {
			to = s.split[i+1]
		}
		field := uint16(from)
		more := to < len(tcp)
		body := wiretest.Bytes(tcp[from:to])
		if c.v6 {
			if more {
				field |= 1
			}
			parts = append(parts, wiretest.Frame(eth, ip, wiretest.Ext{Type: 44, Next: 6, Body: []byte{byte(field >> 8), byte(field), 0, 0, byte(c.id >> 8), byte(c.id)}}, body))
			continue
		}
		x := ip
		x.Protocol, x.Frag = 6, field/8
		if more {
			x.Frag |= 0x2000
		}
		parts = append(parts, wiretest.Frame(eth, x, body))
	}
	if s.order != nil {
		sorted := make([][]byte, 0, len(s.order))
		for _, i := range s.order {
			sorted = append(sorted, parts[i])
		}
		return sorted
	}
	return parts
}

// pseudoHeaderSum is the checksum field of a host whose network card finishes the checksum.
func pseudoHeaderSum(ip []byte, header, length int) uint16 {
	addresses := ip[12:20]
	if header == 40 {
		addresses = ip[8:40]
	}
	s := uint32(6 + length)
	for i := 0; i < len(addresses); i += 2 {
		s += uint32(addresses[i])<<8 | uint32(addresses[i+1])
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

// put sends a segment without changing the caller's sequence numbers.
func (c *caller) put(s seg) {
	for _, f := range c.frames(s) {
		unix.Write(c.k.wire, f)
	}
}

// receive receives segments of the server until done returns true, or for a while.
func (c *caller) receive(done func() bool) {
	timeout := time.After(wait)
	for !done() {
		select {
		case a := <-c.in:
			switch {
			case a.flags&wiretest.SYN != 0:
				c.ack, c.acked = a.seq+1, a.ack
			case a.seq == c.ack:
				c.ack += uint32(a.n)
				if a.flags&wiretest.FIN != 0 {
					c.ack++
				}
			}
			if a.flags&wiretest.RST == 0 && int32(a.ack-c.acked) > 0 {
				c.acked = a.ack
			}
			if a.stamp != 0 {
				c.echo = a.stamp
			}
		case <-timeout:
			return
		}
	}
}

// call sends the SYN and waits for the answer.
func (c *caller) call() {
	c.put(seg{flags: wiretest.SYN})
	c.next++
	c.receive(func() bool { return c.ack != 0 })
}

// open completes the handshake, and waits for the banner.
func (c *caller) open() {
	c.call()
	c.put(seg{})
	c.banner()
}

func (c *caller) banner() { c.heard(c.ack) }

// heard waits until the server has sent bytes beyond a sequence number.
func (c *caller) heard(from uint32) { c.receive(func() bool { return int32(c.ack-from) > 0 }) }

// sendLine sends a line in one of the ways, and waits for the reply.
func (c *caller) sendLine(way func(c *caller, line string), line string) {
	from := c.ack
	if way == nil {
		c.put(seg{text: line})
	} else {
		way(c, line)
	}
	c.next += uint32(len(line))
	c.heard(from)
	c.put(seg{})
}

// conversation is a mail transaction whose lines of these numbers are sent in one of the ways.
func conversation(way func(c *caller, line string), which ...int) func(c *caller) {
	return func(c *caller) {
		c.open()
		for i, line := range []string{"EHLO pc.example\r\n", "MAIL FROM:<a@one.example>\r\n", "RCPT TO:<b@two.example>\r\n", "DATA\r\n", "Subject: x\r\n\r\nhello\r\n.\r\n", "QUIT\r\n"} {
			if slices.Contains(which, i) {
				c.sendLine(way, line)
			} else {
				c.sendLine(nil, line)
			}
		}
		c.put(seg{flags: wiretest.FIN | wiretest.ACK})
	}
}

// decoyOf is another line of the same length.
func decoyOf(line string) string { return strings.Repeat("x", len(line)-2) + "\r\n" }

// halves are the halves of a line.
func halves(line string) (a, b string) { return line[:len(line)/2], line[len(line)/2:] }

// ways are the ways to send a line.
func ways() (list []struct {
	name       string
	v6, stamps bool
	way        func(c *caller, line string)
}) {
	add := func(name string, way func(c *caller, line string)) {
		list = append(list, struct {
			name       string
			v6, stamps bool
			way        func(c *caller, line string)
		}{name: name, way: way})
	}
	stamped := func() { list[len(list)-1].stamps = true }
	// decoy adds a way with an invalid segment, which has other bytes, or more, before or after the
	// real one.
	decoy := func(name string, s seg) {
		add(name+", before", func(c *caller, line string) {
			d := s
			d.text = decoyOf(line)
			c.put(d)
			c.put(seg{text: line})
		})
		add(name+", behind", func(c *caller, line string) {
			d := s
			d.text = decoyOf(line)
			c.put(seg{text: line})
			c.put(d)
		})
		add(name+", longer", func(c *caller, line string) {
			d := s
			d.text = line + "RSET\r\n"
			c.put(d)
			c.put(seg{text: line})
		})
	}
	add("plain", func(c *caller, line string) { c.put(seg{text: line}) })
	add("IPv6", func(c *caller, line string) { c.put(seg{text: line}) })
	list[len(list)-1].v6 = true
	add("timestamps", func(c *caller, line string) { c.put(seg{text: line}) })
	stamped()
	add("bytes", func(c *caller, line string) {
		for i := range line {
			c.put(seg{off: i, text: line[i : i+1]})
		}
	})
	add("bytes, reversed", func(c *caller, line string) {
		for i := range min(len(line), 12) {
			at := min(len(line), 12) - 1 - i
			c.put(seg{off: at, text: line[at : at+1]})
		}
		c.put(seg{off: 12, text: line[min(len(line), 12):]})
	})
	add("halves, reversed", func(c *caller, line string) {
		a, b := halves(line)
		c.put(seg{off: len(a), text: b})
		c.put(seg{text: a})
	})
	add("twice", func(c *caller, line string) { c.put(seg{text: line}); c.put(seg{text: line}) })
	add("overlap with the same bytes", func(c *caller, line string) {
		a, _ := halves(line)
		c.put(seg{text: a})
		c.put(seg{off: len(a) / 2, text: line[len(a)/2:]})
	})
	add("overlap with other bytes", func(c *caller, line string) {
		a, b := halves(line)
		c.put(seg{text: a})
		c.put(seg{text: strings.Repeat("x", len(a)) + b})
	})
	add("out of order, then all with other bytes", func(c *caller, line string) {
		a, b := halves(line)
		c.put(seg{off: len(a), text: decoyOf(b)})
		c.put(seg{text: line})
	})
	add("out of order with other bytes, then in pieces", func(c *caller, line string) {
		a, b := halves(line)
		c.put(seg{off: len(a), text: b})
		c.put(seg{off: len(a), text: decoyOf(b)})
		c.put(seg{text: a})
	})
	add("out of order, then longer with other bytes", func(c *caller, line string) {
		a, b := halves(line)
		c.put(seg{off: len(a), text: "x"})
		c.put(seg{off: len(a), text: b})
		c.put(seg{text: a})
	})
	add("out of order, then longer at both ends", func(c *caller, line string) {
		a, b := halves(line)
		c.put(seg{off: len(a) + 1, text: "x"})
		c.put(seg{off: len(a), text: b})
		c.put(seg{text: a})
	})
	add("out of order, then an overlap in front", func(c *caller, line string) {
		a, b := halves(line)
		c.put(seg{off: len(a) + 1, text: b[1:]})
		c.put(seg{off: len(a), text: b[:1] + "xx"})
		c.put(seg{text: a})
	})
	add("out of order, then an overlap behind", func(c *caller, line string) {
		a, b := halves(line)
		c.put(seg{off: len(a), text: b[:2]})
		c.put(seg{off: len(a) + 1, text: "x" + b[2:]})
		c.put(seg{text: a})
	})
	add("out of order, then what fills it goes on into it", func(c *caller, line string) {
		a, b := halves(line)
		c.put(seg{off: len(a), text: b})
		c.put(seg{text: a + "xx"})
	})
	add("bytes before the next one", func(c *caller, line string) { c.put(seg{off: -5, text: "xxxxx" + line}) })
	add("keep-alive with a byte", func(c *caller, line string) { c.put(seg{off: -1, text: "x"}); c.put(seg{text: line}) })
	add("keep-alive without", func(c *caller, line string) { c.put(seg{off: -1}); c.put(seg{text: line}) })
	decoy("wrong checksum", seg{tcpSum: 0x5a})
	decoy("checksum of zero", seg{zeroSum: true})
	decoy("partial checksum", seg{partial: true})
	decoy("wrong header checksum", seg{ipSum: 0x5a})
	decoy("signature", seg{options: append([]byte{1, 1, 19, 18}, make([]byte, 16)...)})
	decoy("malformed options", seg{options: append([]byte{30, 1}, make([]byte, 18)...)})
	decoy("another machine", seg{to: [6]byte{2, 9, 9, 9, 9, 9}})
	for _, n := range []int{1, 2, 8, 100, 1000, 65535, 100_000, 1 << 20, 1 << 24, 1 << 30} {
		decoy(fmt.Sprintf("acknowledges %d ahead", n), seg{ackOff: n})
	}
	for _, n := range []int{1000, 70_000, 1 << 20, 1 << 30} {
		decoy(fmt.Sprintf("acknowledges %d behind", n), seg{ackOff: -n})
	}
	for _, n := range []int{1 << 17, 1 << 20, 1 << 24, -1 << 24, 1 << 30} {
		decoy(fmt.Sprintf("far off by %d", n), seg{off: n})
	}
	decoy("no ACK", seg{noACK: true, flags: 0})
	decoy("PSH alone", seg{flags: wiretest.PSH})
	decoy("FIN alone", seg{flags: wiretest.FIN})
	decoy("SYN", seg{flags: wiretest.SYN})
	decoy("SYN and ACK", seg{flags: wiretest.SYN | wiretest.ACK})
	decoy("SYN and FIN", seg{flags: wiretest.SYN | wiretest.FIN | wiretest.ACK})
	for _, n := range []int{-1000, -1, -100_000, -1 << 30} {
		decoy(fmt.Sprintf("timestamp of %d", n), seg{stampOff: n})
		for i := range 3 {
			list[len(list)-1-i].stamps = true
		}
	}
	for _, s := range []struct {
		name string
		s    seg
	}{
		{"no timestamp", seg{bare: true}}, {"a timestamp ahead", seg{stampOff: 1 << 20}}, {"NOPs", seg{options: []byte{1, 1, 1, 1}}},
	} {
		add(s.name, func(c *caller, line string) { one := s.s; one.text = line; c.put(one) })
		stamped()
	}
	for _, s := range []struct {
		name string
		s    seg
	}{
		{"PSH", seg{flags: wiretest.ACK | wiretest.PSH}}, {"ECE and CWR", seg{flags: wiretest.ACK | wiretest.ECE | wiretest.CWR}},
		{"reserved bits", seg{reserved: 7}}, {"record route", seg{ipOptions: []byte{7, 7, 4, 0, 0, 0, 0}}},
		{"trailer", seg{trailer: "RSET\r\n"}}, {"unknown options", seg{options: []byte{254, 4, 1, 2}}}, {"time to live 1", seg{ttl: 1}},
	} {
		add(s.name, func(c *caller, line string) { x := s.s; x.text = line; c.put(x) })
	}
	// urgent adds a way with an urgent byte at a place of the line.
	urgent := func(name string, way func(c *caller, line string)) {
		add("urgent: "+name, func(c *caller, line string) { way(c, line); c.next++ })
	}
	urgent("in the middle", func(c *caller, line string) {
		c.put(seg{flags: wiretest.ACK | wiretest.URG, urgent: 3, text: line[:2] + "X" + line[2:]})
	})
	urgent("first", func(c *caller, line string) {
		c.put(seg{flags: wiretest.ACK | wiretest.URG, urgent: 1, text: "X" + line})
	})
	urgent("pointer of zero", func(c *caller, line string) { c.put(seg{flags: wiretest.ACK | wiretest.URG, text: "X" + line}) })
	urgent("last", func(c *caller, line string) {
		c.put(seg{flags: wiretest.ACK | wiretest.URG, urgent: uint16(len(line) + 1), text: line + "X"})
	})
	urgent("alone", func(c *caller, line string) {
		c.put(seg{text: line[:2]})
		c.put(seg{off: 2, flags: wiretest.ACK | wiretest.URG, urgent: 1, text: "X"})
		c.put(seg{off: 3, text: line[2:]})
	})
	urgent("pointer in the segment before", func(c *caller, line string) {
		c.put(seg{flags: wiretest.ACK | wiretest.URG, urgent: 4, text: line[:2]})
		c.put(seg{off: 2, text: line[2:3] + "X" + line[3:]})
	})
	urgent("pointer without data", func(c *caller, line string) {
		c.put(seg{flags: wiretest.ACK | wiretest.URG, urgent: 3})
		c.put(seg{text: line[:2] + "X" + line[2:]})
	})
	urgent("out of order", func(c *caller, line string) {
		c.put(seg{off: 3, text: line[2:]})
		c.put(seg{flags: wiretest.ACK | wiretest.URG, urgent: 3, text: line[:2] + "X"})
	})
	urgent("twice the same", func(c *caller, line string) {
		s := seg{flags: wiretest.ACK | wiretest.URG, urgent: 3, text: line[:2] + "X" + line[2:]}
		c.put(s)
		c.put(s)
	})
	urgent("pointer behind", func(c *caller, line string) {
		c.put(seg{text: line[:2] + "X" + line[2:]})
		c.put(seg{off: len(line) + 1, flags: wiretest.ACK | wiretest.URG, urgent: 0})
	})
	add("urgent: two, each read by itself", func(c *caller, line string) {
		a, b := halves(line)
		c.put(seg{flags: wiretest.ACK | wiretest.URG, urgent: 1, text: "X" + a})
		c.next++
		c.receive(func() bool { return c.acked == c.next+uint32(len(a)) })
		time.Sleep(5 * time.Millisecond)
		c.put(seg{off: len(a), flags: wiretest.ACK | wiretest.URG, urgent: 1, text: "X" + b})
		c.next++
	})
	add("urgent: pointer ahead, then a newer one", func(c *caller, line string) {
		c.put(seg{flags: wiretest.ACK | wiretest.URG, urgent: 9, text: line[:2]})
		c.put(seg{off: 2, flags: wiretest.ACK | wiretest.URG, urgent: uint16(len(line) - 1), text: line[2:] + "X"})
		c.next++
	})
	add("urgent: pointer ahead, then an older one", func(c *caller, line string) {
		c.put(seg{flags: wiretest.ACK | wiretest.URG, urgent: uint16(len(line) + 1), text: line[:2]})
		c.put(seg{off: 2, flags: wiretest.ACK | wiretest.URG, urgent: 1, text: line[2:] + "X"})
		c.next++
	})
	add("urgent: a decoy's pointer", func(c *caller, line string) {
		c.put(seg{flags: wiretest.ACK | wiretest.URG, urgent: 2, tcpSum: 1, text: line})
		c.put(seg{text: line})
	})
	// Resets that the kernel ignores; the line follows.
	for _, s := range []struct {
		name string
		s    seg
	}{
		{"one ahead", seg{off: 1}}, {"1000 ahead", seg{off: 1000}}, {"far ahead", seg{off: 1 << 20}}, {"one behind", seg{off: -1}}, {"far behind", seg{off: -100_000}},
		{"with a wrong checksum", seg{tcpSum: 1}}, {"to another machine", seg{to: [6]byte{2, 9}}}, {"signed", seg{options: append([]byte{1, 1, 19, 18}, make([]byte, 16)...)}},
		{"exactly there", seg{}},
	} {
		add("reset "+s.name, func(c *caller, line string) {
			x := s.s
			x.flags = wiretest.RST | wiretest.ACK
			c.put(x)
			c.put(seg{text: line})
		})
		add("end "+s.name, func(c *caller, line string) {
			x := s.s
			x.flags = wiretest.FIN | wiretest.ACK
			c.put(x)
			c.put(seg{text: line})
		})
	}
	// A spoofed segment of the server reaches the sensor, and not the caller.
	for _, s := range []struct {
		name string
		s    seg
	}{
		{"reset", seg{flags: wiretest.RST}}, {"reset and ACK", seg{flags: wiretest.RST | wiretest.ACK}}, {"end", seg{flags: wiretest.FIN | wiretest.ACK}},
		{"SYN-ACK", seg{flags: wiretest.SYN | wiretest.ACK, off: 1 << 20}}, {"reply", seg{text: "220 go\r\n"}}, {"reply ahead", seg{off: 5, text: "220 go\r\n"}},
	} {
		add("forged "+s.name, func(c *caller, line string) {
			x := s.s
			x.forged = true
			c.put(x)
			c.put(seg{text: line})
		})
		add("decoy of STARTTLS and forged "+s.name, func(c *caller, line string) {
			c.put(seg{text: "STARTTLS\r\n"[min(10, max(0, 10-len(line))):], tcpSum: 0x5a})
			x := s.s
			x.forged, x.ackOff = true, min(10, len(line))
			c.put(x)
			c.put(seg{text: line})
		})
	}
	// Fragments.
	for _, v6 := range []bool{false, true} {
		fragments := func(name string, order func(n int) []int, size int) {
			add(fmt.Sprintf("fragments of %d: %s, %v", size, name, map[bool]string{false: "IPv4", true: "IPv6"}[v6]), func(c *caller, line string) {
				var split []int
				for at := 0; at < 20+len(line); at += size {
					split = append(split, at)
				}
				if v6 && size == 8 && len(split) > 3 { // the first fragment has the header
					split = append([]int{0}, split[3:]...)
				}
				c.put(seg{text: line, bare: true, split: split, order: order(len(split))})
			})
			list[len(list)-1].v6 = v6
		}
		for _, size := range []int{8, 24} {
			fragments("in order", func(n int) []int { return nil }, size)
			fragments("reversed", func(n int) []int {
				o := make([]int, n)
				for i := range o {
					o[i] = n - 1 - i
				}
				return o
			}, size)
			fragments("in any order", func(n int) []int { return rand.New(rand.NewPCG(uint64(n), 1)).Perm(n) }, size)
			fragments("the first twice", func(n int) []int {
				o := []int{0}
				for i := range n {
					o = append(o, i)
				}
				return o
			}, size)
		}
	}
	return list
}

// byRule are callers, by the beginning of their names, for which the sensor differs from the kernel
// on purpose.
var byRule = []struct{ name, reason string }{
	{"third segment: flags 00000010, then right", "a SYN in the window ends a handshake (tcp_check_req), and who sends one is heard all the same"},
	{"reset exactly there", "who goes on behind his own reset is heard, because it can have died on the way"},
	{"end exactly there", "who goes on where he ended is heard, because the end can have died on the way"},
}

// rule is the reason why the sensor may differ from the kernel for a caller, "" if it may not.
func rule(name string) string {
	for _, r := range byRule {
		if strings.HasPrefix(name, r.name) {
			return r.reason
		}
	}
	return ""
}

// handshakes are callers with unusual third segments of the handshake, or other segments in their
// place.
func handshakes() (list []*caller) {
	add := func(name string, stamps bool, third ...seg) *caller {
		c := &caller{name: "third segment: " + name, stamps: stamps, script: func(c *caller) {
			c.call()
			for _, s := range third {
				c.put(s)
			}
			c.banner()
		}}
		list = append(list, c)
		return c
	}
	for _, s := range []struct {
		name string
		s    seg
	}{
		{"reset", seg{flags: wiretest.RST}}, {"reset and ACK", seg{flags: wiretest.RST | wiretest.ACK}}, {"end", seg{flags: wiretest.FIN | wiretest.ACK}},
		{"SYN-ACK", seg{flags: wiretest.SYN | wiretest.ACK, off: 1 << 20}}, {"banner", seg{text: "220 go\r\n"}}, {"acknowledgment", seg{ackOff: 9}},
	} {
		s.s.forged = true
		add("forged "+s.name, false, s.s)
		add("forged "+s.name+", then right", false, s.s, seg{})
	}
	for n := range 4 {
		list = append(list, &caller{name: fmt.Sprintf("third segment: before the SYN-ACK, and %d lines", n), script: func(c *caller) {
			c.put(seg{flags: wiretest.SYN})
			c.next++
			c.ack = 0x7000_0000
			c.put(seg{})
			for range n {
				c.put(seg{text: "EHLO pc.example\r\n"})
				c.next += 17
			}
			c.receive(func() bool { return false })
		}})
	}
	for _, text := range []string{"", "EHLO pc.example\r\n"} {
		with := map[bool]string{false: "", true: ", with data"}[text != ""]
		for _, n := range []int{-1 << 24, -1 << 20, -100_000, -1000, -2, -1, 0, 1, 2, 10, 100, 1000, 65535, 100_000, 1 << 20, 1 << 24, 1 << 30} {
			add(fmt.Sprintf("acknowledges %d more%s", n, with), false, seg{ackOff: n, text: text})
			add(fmt.Sprintf("acknowledges %d more, then the right one%s", n, with), false, seg{ackOff: n, text: text}, seg{text: text})
		}
		for _, n := range []int{-1 << 20, -100_000, -1000, -1, 1, 100, 60_000, 70_000, 1 << 20, 1 << 24} {
			add(fmt.Sprintf("%d bytes off%s", n, with), false, seg{off: n, text: text})
			add(fmt.Sprintf("%d bytes off, then right%s", n, with), false, seg{off: n, text: text}, seg{text: text})
		}
		for _, f := range []uint8{wiretest.ACK | wiretest.PSH, wiretest.ACK | wiretest.URG, wiretest.ACK | wiretest.FIN, wiretest.ACK | wiretest.ECE, wiretest.ACK | wiretest.CWR,
			wiretest.PSH, wiretest.FIN, wiretest.URG, wiretest.SYN, wiretest.SYN | wiretest.ACK, wiretest.RST, wiretest.RST | wiretest.ACK} {
			add(fmt.Sprintf("flags %08b%s", f, with), false, seg{flags: f, text: text})
			add(fmt.Sprintf("flags %08b, then right%s", f, with), false, seg{flags: f, text: text}, seg{text: text})
		}
		for _, s := range []struct {
			name string
			s    seg
		}{
			{"wrong checksum", seg{tcpSum: 0x5a}}, {"checksum of zero", seg{zeroSum: true}}, {"partial checksum", seg{partial: true}}, {"wrong header checksum", seg{ipSum: 0x5a}},
			{"signature", seg{options: append([]byte{1, 1, 19, 18}, make([]byte, 16)...)}}, {"malformed options", seg{options: append([]byte{30, 1}, make([]byte, 18)...)}},
			{"another machine", seg{to: [6]byte{2, 9}}}, {"reserved bits", seg{reserved: 7}}, {"no option", seg{bare: true}}, {"old timestamp", seg{stampOff: -1000}},
			{"timestamp ahead", seg{stampOff: 1 << 20}}, {"fragments", seg{split: []int{0, 24}}}, {"fragments reversed", seg{split: []int{0, 24}, order: []int{1, 0}}}, {"time to live 1", seg{ttl: 1}},
		} {
			s.s.text = text
			add(s.name+with, true, s.s)
			add(s.name+", then right"+with, true, s.s, seg{text: text})
		}
	}
	return list
}

// heardBy is the session of a connection as one side got it.
type heardBy struct {
	accepted bool
	words    string
}

// judgedConn is a connection that the server program got.
type judgedConn struct {
	mu   sync.Mutex
	data []byte
}

// answerLines is a mail server that answers each line at once and keeps the bytes that it reads.
func answerLines(listener net.Listener, got *sync.Map) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		r := &judgedConn{}
		got.Store(conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap(), r)
		go func() {
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(30 * time.Second))
			fmt.Fprint(conn, "220 mx.example\r\n")
			buf := make([]byte, 4096)
			var line []byte
			body := false
			for {
				n, err := conn.Read(buf)
				r.mu.Lock()
				r.data = append(r.data, buf[:n]...)
				r.mu.Unlock()
				for _, b := range buf[:n] {
					if line = append(line, b); b != '\n' {
						continue
					}
					text := strings.TrimRight(string(line), "\r\n")
					line = line[:0]
					switch verb := verbOf(text); {
					case body && text != ".":
					case body:
						body = false
						fmt.Fprint(conn, "250 taken\r\n")
					case verb == "DATA":
						body = true
						fmt.Fprint(conn, "354 go\r\n")
					case verb == "QUIT":
						fmt.Fprint(conn, "221 bye\r\n")
						return
					case verb == "EHLO" || verb == "MAIL" || verb == "RCPT" || verb == "RSET":
						fmt.Fprint(conn, "250 ok\r\n")
					default:
						fmt.Fprint(conn, "500 what\r\n")
					}
				}
				if err != nil {
					return
				}
			}
		}()
	}
}

// verbOf is the first word of a line.
func verbOf(line string) string {
	verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
	return verb
}

// wordsOf is the session that the sensor should find in the bytes that the server program read.
func wordsOf(data []byte) string {
	var helo string
	var from []string
	rcpts, messages, unknown := 0, 0, 0
	body := false
	for _, line := range strings.SplitAfter(string(data), "\n") {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		line = strings.TrimRight(line, "\r\n")
		switch verb := verbOf(line); {
		case body:
			if line == "." {
				body = false
				messages++
			}
		case verb == "EHLO":
			helo = line[5:]
		case verb == "MAIL":
			_, domain, _ := strings.Cut(line, "@")
			from = append(from, strings.TrimRight(domain, ">"))
		case verb == "RCPT":
			rcpts++
		case verb == "DATA":
			body = true
		case verb == "RSET", verb == "QUIT":
		default:
			unknown++
		}
	}
	return fmt.Sprintf("%q %q %d recipients, %d messages, unknown %v", helo, from, rcpts, messages, unknown > 0)
}

// TestConversationJudge connects callers of every kind to the kernel of this machine and to a
// server program on it: the sensor must find the same sessions, with the same contents, as the
// program.
func TestConversationJudge(t *testing.T) {
	k := newKernel(t)
	listener, live := k.listen(t)
	var got sync.Map
	go answerLines(listener, &got)

	callers := handshakes()
	handshaken := len(callers)
	for _, w := range ways() {
		for name, which := range map[string][]int{"MAIL": {1}, "all lines": {0, 1, 2, 3, 4, 5}} {
			callers = append(callers, &caller{name: w.name + ", " + name, v6: w.v6, stamps: w.stamps, script: conversation(w.way, which...)})
		}
	}
	byAddr := map[netip.Addr]*caller{}
	once := handshaken
	for i, c := range slices.Clone(callers) { // half of them over IPv6 as well
		if x := *c; i%2 == 0 && !x.v6 {
			x.name, x.v6 = x.name+", IPv6", true
			if i < once {
				callers = slices.Insert(callers, handshaken, &x)
				handshaken++
				continue
			}
			callers = append(callers, &x)
		}
	}
	for i, c := range callers {
		c.k, c.port, c.next, c.stamp, c.in = k, uint16(20000+i), 0x10000000+uint32(i)<<12, 1<<24, make(chan answer, 256)
		c.src = fmt.Sprintf("10.78.%d.%d", i/250, 1+i%250)
		if c.v6 {
			c.src = fmt.Sprintf("fd77:0:0:%x::2", i)
		}
		byAddr[netip.MustParseAddr(c.src)] = c
	}
	stop := make(chan struct{})
	var hearing sync.WaitGroup
	hearing.Go(func() { deliver(k.wire, byAddr, stop) })
	var seen []frame.Frame
	hearing.Go(func() { seen = keepFrames(t, live, stop) })
	start := time.Now()
	work := make(chan *caller)
	var calling sync.WaitGroup
	for range 32 {
		calling.Go(func() {
			for c := range work {
				c.script(c)
			}
		})
	}
	for _, c := range callers {
		work <- c
	}
	close(work)
	calling.Wait()
	time.Sleep(200 * time.Millisecond)
	close(stop)
	hearing.Wait()
	t.Logf("%d callers took %v, %d frames", len(callers), time.Since(start).Round(time.Millisecond), len(seen))
	if st := live.Stats(); st.KernelDrops > 0 {
		t.Fatalf("%d frames were dropped", st.KernelDrops)
	}

	kernel := map[netip.Addr]heardBy{}
	got.Range(func(addr, r any) bool {
		x := r.(*judgedConn)
		x.mu.Lock()
		kernel[addr.(netip.Addr)] = heardBy{true, wordsOf(x.data)}
		x.mu.Unlock()
		return true
	})
	one := heardLive(seen, 1)
	for _, workers := range []int{2, 8} {
		if many := heardLive(seen, workers); !maps.Equal(one, many) {
			t.Errorf("%d workers hear something else than one", workers)
		}
	}
	for what, sensor := range map[string]map[netip.Addr]heardBy{"live": one, "read": heardRead(t, seen)} {
		agree, differ := 0, 0
		for i, c := range callers {
			addr := netip.MustParseAddr(c.src)
			a, b := kernel[addr], sensor[addr]
			switch {
			case a == b || i < handshaken && a.accepted == b.accepted && (!a.accepted || strings.Contains(a.words, b.words)):
				agree++
			case rule(c.name) != "":
				differ++
				t.Logf("%s: %s\n\tkernel %v\n\t%s   %v", c.name, rule(c.name), a, what, b)
			default:
				t.Errorf("%s (%s)\n\tkernel %v\n\t%s   %v", c.name, c.src, a, what, b)
			}
		}
		t.Logf("R1: %s: of %d handshakes and %d dialogues with a kernel and a program the sensor hears %d as they do, %d differ by rule, %d without reason (goal 300, all but the rule's, 0)",
			what, handshaken, len(callers)-handshaken, agree, differ, len(callers)-agree-differ)
	}
}

// deliver passes the kernel's segments to the callers.
func deliver(wire int, byAddr map[netip.Addr]*caller, stop chan struct{}) {
	be := binary.BigEndian
	buf := make([]byte, 65536)
	for {
		n, _, err := unix.Recvfrom(wire, buf, unix.MSG_DONTWAIT)
		if err != nil {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Microsecond):
			}
			continue
		}
		f := buf[:n]
		var dst netip.Addr
		var tcp []byte
		switch {
		case n >= 54 && be.Uint16(f[12:]) == 0x0800 && f[23] == 6:
			dst = netip.AddrFrom4([4]byte(f[30:34]))
			tcp = f[14+int(f[14]&15)*4 : 14+int(be.Uint16(f[16:]))]
		case n >= 74 && be.Uint16(f[12:]) == 0x86dd && f[20] == 6:
			dst = netip.AddrFrom16([16]byte(f[38:54]))
			tcp = f[54 : 54+int(be.Uint16(f[18:]))]
		default:
			continue
		}
		c := byAddr[dst]
		if c == nil || be.Uint16(tcp) != 25 {
			continue
		}
		offset := int(tcp[12]>>4) * 4
		a := answer{seq: be.Uint32(tcp[4:]), ack: be.Uint32(tcp[8:]), flags: tcp[13], n: len(tcp) - offset}
		if offset >= 32 {
			for o := tcp[20:offset]; len(o) >= 10; o = o[1:] {
				if o[0] == 8 && o[1] == 10 {
					a.stamp = be.Uint32(o[2:])
				}
			}
		}
		select {
		case c.in <- a:
		default: // no caller waits for it
		}
	}
}

// keepFrames keeps the frames of the sensor's capture until stop, and the rest of its buffer.
func keepFrames(t *testing.T, live *capture.Live, stop chan struct{}) (seen []frame.Frame) {
	for {
		b, err := live.Next()
		if err != nil {
			t.Error(err)
			return seen
		}
		n := len(seen)
		for _, f := range b.Frames {
			f.Data = bytes.Clone(f.Data)
			seen = append(seen, f)
		}
		select {
		case <-stop:
			if len(seen) == n {
				return seen
			}
		default:
		}
	}
}

// heardLive is the result of the engine for the captured frames.
func heardLive(frames []frame.Frame, workers int) map[netip.Addr]heardBy {
	out := map[netip.Addr]heardBy{}
	everywhere := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	e := engine.New(engine.Config{Home: everywhere, AllSessions: true, Helpers: workers, Seed: []byte("kernel")}, engine.Output{
		Source: func(s *finding.SourceRecord) {
			if s.Counters.Sessions > 0 && !out[s.Addr].accepted {
				out[s.Addr] = heardBy{accepted: true, words: wordsOf(nil)}
			}
		},
		Session: func(s *finding.Session) uint64 {
			var from []string
			for _, m := range s.MailFrom {
				from = append(from, m[strings.IndexByte(m, '@')+1:])
			}
			out[s.Client.Addr()] = heardBy{true, wordsLine(s.Helo, from, int(s.Rcpts), int(s.Messages), s.Flags)}
			return 1
		}})
	w := e.Worker()
	w.Take(frames)
	w.EmitDue()
	e.Finish("end_of_input")
	return out
}

func wordsLine(helo string, from []string, rcpts, messages int, flags []string) string {
	return fmt.Sprintf("%q %q %d recipients, %d messages, unknown %v", helo, from, rcpts, messages, slices.Contains(flags, "unknown_command"))
}

// heardRead is the result of `read` for the captured frames.
func heardRead(t *testing.T, frames []frame.Frame) map[netip.Addr]heardBy {
	t.Helper()
	var records []record
	for _, f := range frames {
		records = append(records, record{f.Time, f.Data})
	}
	file := filepath.Join(t.TempDir(), "judge.pcap")
	if err := os.WriteFile(file, pcapOf(records), 0o600); err != nil {
		t.Fatal(err)
	}
	events, code, stderr := readEvents(t, file)
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	out := map[netip.Addr]heardBy{}
	for _, e := range events {
		if e.Type == "session" {
			var from []string
			for _, m := range e.SMTP.MailFrom {
				from = append(from, m[strings.IndexByte(m, '@')+1:])
			}
			out[netip.MustParseAddr(e.Src)] = heardBy{true, wordsLine(e.SMTP.Helo, from, e.SMTP.Rcpts, e.SMTP.Messages, e.SMTP.Flags)}
		}
	}
	return out
}
