package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
)

// contents counts what a generated file holds. The generator counts while it writes.
type contents struct {
	Packets     uint64 `json:"packets"`
	Bytes       uint64 `json:"bytes"` // of the whole file
	Mail        uint64 `json:"mail_packets"`
	SYNs        uint64 `json:"syns"` // to mail ports, with retransmissions
	Attempts    uint64 `json:"attempts"`
	Retransmits uint64 `json:"retransmits"`
	Sessions    uint64 `json:"sessions"`
	Dialogues   uint64 `json:"dialogues"` // sessions with EHLO and MAIL FROM
	Messages    uint64 `json:"messages"`
	Refused     uint64 `json:"refused"`
	Sources     uint64 `json:"sources"` // hosts that began a flow
	Spammer     string `json:"spammer,omitempty"`
	Attempted   uint64 `json:"spammer_attempts,omitempty"`
}

// pcapWriter writes frames to a pcap file: Ethernet, IPv4, TCP or UDP, with right checksums.
type pcapWriter struct {
	out      *bufio.Writer
	now      uint64 // time of the next frame, nanoseconds since 1970
	step     uint64 // nanoseconds between two frames
	frame    [1600]byte
	contents contents
	id       uint16
}

// firstFrame is the time of the first frame, 2023-11-14 22:13:20 UTC, in nanoseconds since 1970.
const firstFrame = 1_700_000_000 * 1e9

func newPcapWriter(out io.Writer, step uint64) *pcapWriter {
	w := &pcapWriter{out: bufio.NewWriterSize(out, 1<<20), now: firstFrame, step: step}
	le := binary.LittleEndian
	h := le.AppendUint32(nil, 0xa1b23c4d) // the magic number of files with nanoseconds
	h = le.AppendUint16(le.AppendUint16(h, 2), 4)
	h = append(h, 0, 0, 0, 0, 0, 0, 0, 0)
	h = le.AppendUint32(le.AppendUint32(h, 262144), 1)
	w.out.Write(h)
	w.contents.Bytes = uint64(len(h))
	return w
}

// The flags of a TCP header (RFC 9293, section 3.1).
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

// addWords adds the 16-bit words of b to a sum (RFC 1071).
func addWords(s uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

// checksum folds a sum to the Internet checksum (RFC 1071).
func checksum(s uint32) uint16 {
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

// ipHeader writes the Ethernet and IP headers and returns the place of the transport header. length
// is the length of the IP payload.
func (w *pcapWriter) ipHeader(src, dst uint32, proto byte, length int) []byte {
	be := binary.BigEndian
	f := w.frame[:]
	copy(f, []byte{2, 0, 0, 0, 0, 1, 2, 0})
	be.PutUint32(f[8:], src)
	be.PutUint16(f[12:], 0x0800)
	h := f[14:34]
	copy(h, []byte{0x45, 0})
	be.PutUint16(h[2:], uint16(20+length))
	w.id++
	be.PutUint16(h[4:], w.id)
	be.PutUint16(h[6:], 0x4000)
	h[8], h[9] = 64, proto
	be.PutUint16(h[10:], 0)
	be.PutUint32(h[12:], src)
	be.PutUint32(h[16:], dst)
	be.PutUint16(h[10:], checksum(addWords(0, h)))
	return f[34 : 34+length]
}

// record writes the frame that ipHeader began; length is the length of the IP payload. The shortest
// frame of Ethernet has 60 bytes.
func (w *pcapWriter) record(length int) {
	n := 34 + length
	for n < 60 {
		w.frame[n] = 0
		n++
	}
	var h [16]byte
	le := binary.LittleEndian
	le.PutUint32(h[0:], uint32(w.now/1e9))
	le.PutUint32(h[4:], uint32(w.now%1e9))
	le.PutUint32(h[8:], uint32(n))
	le.PutUint32(h[12:], uint32(n))
	w.out.Write(h[:])
	w.out.Write(w.frame[:n])
	w.now += w.step
	w.contents.Packets++
	w.contents.Bytes += uint64(16 + n)
}

func (w *pcapWriter) tcp(src, dst uint32, sport, dport uint16, seq, acked uint32, flags byte,
	payload []byte) {
	be := binary.BigEndian
	length := 20 + len(payload)
	h := w.ipHeader(src, dst, 6, length)
	be.PutUint16(h, sport)
	be.PutUint16(h[2:], dport)
	be.PutUint32(h[4:], seq)
	be.PutUint32(h[8:], acked)
	h[12], h[13] = 0x50, flags
	be.PutUint16(h[14:], 64240)
	be.PutUint32(h[16:], 0)
	copy(h[20:], payload)
	s := addWords(uint32(6+length), w.frame[26:34])
	be.PutUint16(h[16:], checksum(addWords(s, h)))
	w.record(length)
}

func (w *pcapWriter) udp(src, dst uint32, sport, dport uint16, payload []byte) {
	be := binary.BigEndian
	length := 8 + len(payload)
	h := w.ipHeader(src, dst, 17, length)
	be.PutUint16(h, sport)
	be.PutUint16(h[2:], dport)
	be.PutUint16(h[4:], uint16(length))
	be.PutUint16(h[6:], 0)
	copy(h[8:], payload)
	w.record(length)
}

// flow is a TCP connection that is written step by step. next is the number of its next step.
type flow struct {
	client, server uint32
	cport, sport   uint16
	seq            [2]uint32
	steps          []step
	next           int
}

// step is one frame of a flow: its sender, its flags and its payload.
type step struct {
	server  bool
	flags   byte
	payload []byte
}

// writeNext writes the flow's next frame and reports whether there is another.
func (w *pcapWriter) writeNext(t *flow) bool {
	s := &t.steps[t.next]
	t.next++
	if s.server {
		w.tcp(t.server, t.client, t.sport, t.cport, t.seq[1], t.seq[0], s.flags, s.payload)
	} else {
		acked := t.seq[1]
		if s.flags&ack == 0 {
			acked = 0
		}
		w.tcp(t.client, t.server, t.cport, t.sport, t.seq[0], acked, s.flags, s.payload)
	}
	d := 0
	if s.server {
		d = 1
	}
	retransmitted := t.next < len(t.steps) && s.flags&syn != 0 && !s.server &&
		t.steps[t.next].flags == s.flags && !t.steps[t.next].server
	if !retransmitted { // a retransmitted SYN has the same sequence number
		t.seq[d] += uint32(len(s.payload))
		if s.flags&(syn|fin) != 0 {
			t.seq[d]++
		}
	}
	return t.next < len(t.steps)
}

// Steps of flows. All flows with the same steps share them.
var (
	handshake = []step{{false, syn, nil}, {true, syn | ack, nil}, {false, ack, nil}}
	closing   = []step{{false, fin | ack, nil}, {true, fin | ack, nil}, {false, ack, nil}}

	synsUnanswered = []step{{false, syn, nil}, {false, syn, nil}}
	synsRefused    = []step{{false, syn, nil}, {true, rst | ack, nil}, {false, syn, nil},
		{true, rst | ack, nil}}
)

// fromClient and fromServer are steps with a line or lines of a dialogue.
func fromClient(s string) step { return step{false, psh | ack, []byte(s)} }
func fromServer(s string) step { return step{true, psh | ack, []byte(s)} }

// mailDialogue is an SMTP session with one recipient, which the server accepts or refuses.
func mailDialogue(helo, from string, accepted bool) []step {
	steps := slices.Concat(handshake, []step{fromServer("220 mx.example.net ESMTP\r\n"),
		fromClient("EHLO " + helo + "\r\n"),
		fromServer("250-mx.example.net\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250 PIPELINING\r\n"),
		fromClient("MAIL FROM:<" + from + ">\r\n"),
		fromServer("250 2.1.0 Ok\r\n"), fromClient("RCPT TO:<someone@example.net>\r\n")})
	if accepted {
		body := []byte("Subject: hello\r\nFrom: " + from + "\r\n\r\n")
		for len(body) < 1400 {
			body = append(body, "A line of a message.\r\n"...)
		}
		steps = append(steps, fromServer("250 2.1.5 Ok\r\n"), fromClient("DATA\r\n"),
			fromServer("354 End data with <CR><LF>.<CR><LF>\r\n"),
			step{false, ack, body}, step{false, psh | ack, body[:700]}, step{true, ack, nil},
			fromClient(".\r\n"), fromServer("250 2.0.0 Ok: queued as 4TkX2b1\r\n"))
	} else {
		steps = append(steps, fromServer("550 5.1.1 User unknown\r\n"))
	}
	return slices.Concat(steps, []step{fromClient("QUIT\r\n"), fromServer("221 2.0.0 Bye\r\n")},
		closing)
}

// flowMix writes the frames of many flows at a time, in an order that the seed decides.
type flowMix struct {
	w      *pcapWriter
	rng    *rand.Rand
	active []*flow
	free   []*flow
	size   int
	begin  func(t *flow) // fills in the next flow
	mail   bool          // its frames count as mail
}

// frame writes one frame of one flow.
func (c *flowMix) frame() {
	if len(c.active) < c.size {
		t := new(flow)
		if n := len(c.free); n > 0 {
			t = c.free[n-1]
			c.free = c.free[:n-1]
		}
		*t = flow{}
		c.begin(t)
		c.active = append(c.active, t)
	}
	i := c.rng.IntN(len(c.active))
	c.writeFrame(i)
}

// writeFrame writes the next frame of flow i, and removes the flow after its last.
func (c *flowMix) writeFrame(i int) {
	t := c.active[i]
	if c.mail {
		c.w.contents.Mail++
		if s := t.steps[t.next]; s.flags == syn && !s.server {
			c.w.contents.SYNs++
		}
	}
	if !c.w.writeNext(t) {
		last := len(c.active) - 1
		c.active[i] = c.active[last]
		c.active = c.active[:last]
		c.free = append(c.free, t)
	}
}

// drain writes the rest of all flows.
func (c *flowMix) drain() {
	for len(c.active) > 0 {
		c.writeFrame(len(c.active) - 1)
	}
}

// clientPort is client port number n; a port comes back only after all others.
func clientPort(n uint64) uint16 { return uint16(1024 + n%64000) }

// mailFlows makes the flows of many bots that all send mail, the storm of workload w2: 35 % are
// sessions with a dialogue, 5 % close after the handshake, 30 % are refused, 30 % are unanswered.
func mailFlows(w *pcapWriter, rng *rand.Rand, sources int, size int) *flowMix {
	scripts := make([][]step, 0, 64)
	for i := range 64 {
		scripts = append(scripts, mailDialogue(fmt.Sprintf("host%d.example.org", i),
			fmt.Sprintf("user%d@domain%d.example", i, i%16), i%2 == 0))
	}
	n := make([]uint64, sources) // flows of each source so far
	c := &flowMix{w: w, rng: rng, size: size, mail: true}
	c.begin = func(t *flow) {
		src := rng.IntN(sources)
		k := n[src]
		if n[src]++; k == 0 {
			w.contents.Sources++
		}
		t.client = 0x0a000000 | uint32(src+1)
		t.server = 0xc6120000 + uint32(rng.IntN(60000)) // 198.18.0.0/15
		t.cport, t.sport = clientPort(k), 25
		t.seq = [2]uint32{rng.Uint32(), rng.Uint32()}
		w.contents.Attempts++
		switch r := rng.IntN(100); {
		case r < 35:
			t.steps = scripts[rng.IntN(len(scripts))]
			w.contents.Sessions++
			w.contents.Dialogues++
			if len(t.steps) > 15 {
				w.contents.Messages++
			}
		case r < 40:
			t.steps = slices.Concat(handshake, closing)
			w.contents.Sessions++
		case r < 70:
			t.steps = synsRefused
			w.contents.Refused++
			w.contents.Retransmits++
		default:
			t.steps = synsUnanswered
			w.contents.Retransmits++
		}
	}
	return c
}

// webFlows makes web traffic, most of it in large frames: HTTPS of 4,000 clients.
func webFlows(w *pcapWriter, rng *rand.Rand) *flowMix {
	full := make([]byte, 1440)
	for i := range full {
		full[i] = byte(i)
	}
	var scripts [][]step
	for i := range 16 {
		steps := slices.Clone(handshake)
		for range 1 + i/4 {
			steps = append(steps, step{false, psh | ack, full[:200+i*20]})
			for j := range 3 + i {
				steps = append(steps, step{true, ack, full[:1440]})
				if j%2 == 1 {
					steps = append(steps, step{false, ack, nil})
				}
			}
		}
		scripts = append(scripts, append(steps, closing...))
	}
	var k uint64
	c := &flowMix{w: w, rng: rng, size: 3000}
	c.begin = func(t *flow) {
		k++
		t.client = 0x0a010000 | uint32(1+rng.IntN(4000))
		t.server = 0x5db80000 + uint32(rng.IntN(5000))
		t.cport, t.sport = clientPort(k), 443
		t.seq = [2]uint32{rng.Uint32(), rng.Uint32()}
		t.steps = scripts[rng.IntN(len(scripts))]
	}
	return c
}

// workload writes a capture of about size bytes on which speed is measured: w1, w2, w2flood or w3.
// The same seed gives the same file.
func workload(name string, size uint64, seed uint64, out io.Writer) (*contents, error) {
	rng := rand.New(rand.NewPCG(seed, 1))
	var w *pcapWriter
	switch name {
	case "w1": // mixed traffic of a company, 1.7 % of the frames mail
		w = newPcapWriter(out, 60_000)
		m, o := mailFlows(w, rng, 200, 60), webFlows(w, rng)
		query := make([]byte, 40)
		quic := make([]byte, 1200)
		for w.contents.Bytes < size {
			switch r := rng.IntN(1000); {
			case r < 17:
				m.frame()
			case r < 50:
				w.udp(0x0a010001+uint32(rng.IntN(4000)), 0x0a000035, uint16(1024+rng.IntN(60000)),
					53, query)
			case r < 150:
				w.udp(0x5db80000+uint32(rng.IntN(5000)), 0x0a010001+uint32(rng.IntN(4000)), 443,
					uint16(1024+rng.IntN(60000)), quic)
			default:
				o.frame()
			}
		}
		m.drain()
	case "w2": // a storm of short mail flows
		w = newPcapWriter(out, 11_000)
		m := mailFlows(w, rng, 1000, 4000)
		for w.contents.Bytes < size {
			m.frame()
		}
		m.drain()
	case "w3": // a flood of SYNs from random sources, and one spammer in it
		w = newPcapWriter(out, 1_000)
		const spammer = 0x0a4d4d4d
		w.contents.Spammer, w.contents.Sources = "10.77.77.77", 0
		for w.contents.Bytes < size {
			src, dst := rng.Uint32(), 0xc0000219|rng.Uint32N(200)<<8
			if w.contents.Packets%83_000 == 41_000 {
				src = spammer
				w.contents.Attempted++
			}
			w.tcp(src, dst, clientPort(uint64(rng.Uint32())), 25, rng.Uint32(), 0, syn, nil)
			w.contents.Mail++
			w.contents.SYNs++
			w.contents.Attempts++
		}
	case "w2flood": // the storm of w2 among seven times as many SYNs of random sources
		w = newPcapWriter(out, 2_000)
		m := mailFlows(w, rng, 1000, 4000)
		for w.contents.Bytes < size {
			if rng.IntN(8) == 0 {
				m.frame()
				continue
			}
			w.tcp(0x50000000|rng.Uint32()>>4, 0xc0000219|rng.Uint32N(200)<<8,
				clientPort(uint64(rng.Uint32())), 25, rng.Uint32(), 0, syn, nil)
		}
		m.drain()
	default:
		return nil, fmt.Errorf("there is no workload %q: w1, w2, w2flood, w3", name)
	}
	return &w.contents, w.out.Flush()
}
