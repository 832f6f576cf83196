package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/frame"
	. "spamsensor/sensor/wire/wiretest"
)

// mailConn writes the frames of one connection; every frame comes a millisecond after the one
// before.
type mailConn struct {
	urgent         uint16 // the pointer of segments with URG
	client, server string
	cport, sport   uint16
	at             int64 // nanoseconds
	seq            [2]uint32
	sent           []sentFrame
	cut            func(text string) []string // how a side's bytes are put into segments; nil is not at all
}

type sentFrame struct {
	at   int64
	dir  int
	data []byte
}

func newMailConn(n int) *mailConn {
	return &mailConn{client: fmt.Sprintf("10.0.0.%d", 1+n%200), server: fmt.Sprintf("198.51.%d.25", n%250), cport: uint16(20000 + n), sport: 25,
		at: 1.7e18 + int64(n)*20e6, seq: [2]uint32{1000, 5000}}
}

// frame sends a segment of the client (0) or the server (1).
func (k *mailConn) frame(dir int, flags uint8, text string) *mailConn {
	ip := IP{Src: k.client, Dst: k.server, ID: uint16(len(k.sent))}
	tcp := TCP{SrcPort: k.cport, DstPort: k.sport, Flags: flags, Seq: k.seq[dir], Ack: k.seq[1-dir]}
	if dir == 1 {
		ip.Src, ip.Dst, tcp.SrcPort, tcp.DstPort = ip.Dst, ip.Src, tcp.DstPort, tcp.SrcPort
	}
	if flags&ACK == 0 {
		tcp.Ack = 0
	}
	if flags&URG != 0 {
		tcp.Urgent = k.urgent
	}
	k.sent = append(k.sent, sentFrame{k.at, dir, Frame(Ethernet{Src: [6]byte{2, 0, 0, 0, 0, byte(dir + 1)}}, ip, tcp, Text(text))})
	k.seq[dir] += uint32(len(text))
	if flags&(SYN|FIN) != 0 {
		k.seq[dir]++
	}
	k.at += 1e6
	return k
}

func (k *mailConn) open() *mailConn {
	return k.frame(0, SYN, "").frame(1, SYN|ACK, "").frame(0, ACK, "")
}
func (k *mailConn) close() *mailConn {
	return k.frame(0, FIN|ACK, "").frame(1, FIN|ACK, "").frame(0, ACK, "")
}

func (k *mailConn) bytes(dir int, text string) *mailConn {
	parts := []string{text}
	if k.cut != nil {
		parts = k.cut(text)
	}
	for _, p := range parts {
		k.frame(dir, ACK|PSH, p)
	}
	return k
}

// lines sends lines, "C: " or "S: " and the text, which stands for itself and CRLF. A
// line that begins with "C~" or "S~" is lost.
func (k *mailConn) lines(lines ...string) *mailConn {
	for _, line := range lines {
		dir := strings.IndexByte("CS", line[0])
		text := line[3:] + "\r\n"
		if line[1] == '~' {
			k.seq[dir] += uint32(len(text))
			continue
		}
		k.bytes(dir, text)
	}
	return k
}

// greet is what most dialogues begin with.
func (k *mailConn) greet() *mailConn {
	return k.open().lines("S: 220 mx.example.net ESMTP", "C: EHLO pc.example.org", "S: 250-mx.example.net\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN")
}

// only keeps what one side sent.
func (k *mailConn) only(dir int) *mailConn {
	k.sent = slices.DeleteFunc(k.sent, func(f sentFrame) bool { return f.dir != dir })
	return k
}

// from drops the first frames.
func (k *mailConn) from(n int) *mailConn { k.sent = k.sent[min(n, len(k.sent)):]; return k }

// randomCuts puts bytes into segments of random sizes.
func randomCuts(rng *rand.Rand, most int) func(string) []string {
	return func(text string) (parts []string) {
		for len(text) > 0 {
			n := min(len(text), 1+rng.IntN(most))
			parts = append(parts, text[:n])
			text = text[n:]
		}
		return parts
	}
}

// captured writes the frames of connections to a file, by their time.
func captured(t testing.TB, conns ...*mailConn) string { return capturedOn(t, 1, conns...) }

// capturedOn is captured for another link type than Ethernet.
func capturedOn(t testing.TB, link frame.LinkType, conns ...*mailConn) string {
	t.Helper()
	var all []sentFrame
	for _, k := range conns {
		all = append(all, k.sent...)
	}
	slices.SortStableFunc(all, func(a, b sentFrame) int { return int(a.at - b.at) })
	var b bytes.Buffer
	le := binary.LittleEndian
	b.Write(le.AppendUint32(le.AppendUint32(le.AppendUint32(le.AppendUint32(le.AppendUint16(le.AppendUint16(le.AppendUint32(nil, 0xa1b23c4d), 2), 4), 0), 0), 262144), uint32(link)))
	for _, f := range all {
		n := uint32(len(f.data))
		b.Write(le.AppendUint32(le.AppendUint32(le.AppendUint32(le.AppendUint32(nil, uint32(f.at/1e9)), uint32(f.at%1e9)), n), n))
		b.Write(f.data)
	}
	name := filepath.Join(t.TempDir(), "conns.pcap")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// everythingSaid is all that the command writes about a capture, at its most talkative: events,
// report, log.
func everythingSaid(t testing.TB, file string, set ...string) string {
	t.Helper()
	args := []string{"read", "--events", "-", "-vvv"}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	var out, errs bytes.Buffer
	if code := run(context.Background(), append(args, file), strings.NewReader(""), &out, &errs); code != exitOK {
		t.Fatalf("exit code %d: %.2000s", code, errs.String())
	}
	return out.String() + errs.String()
}
