package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"spamsensor/sensor/wire/wiretest"
)

// record is a frame of a capture file.
type record struct {
	at   int64 // nanoseconds
	data []byte
}

var littleEndian = binary.LittleEndian

// pcapHeader is the file header of a capture of Ethernet frames with times in microseconds.
func pcapHeader() []byte {
	b := littleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = littleEndian.AppendUint16(littleEndian.AppendUint16(b, 2), 4)
	b = littleEndian.AppendUint32(append(b, make([]byte, 8)...), 262144)
	return littleEndian.AppendUint32(b, 1)
}

func pcapOf(records []record) []byte {
	b := pcapHeader()
	for _, r := range records {
		b = littleEndian.AppendUint32(b, uint32(r.at/1e9))
		b = littleEndian.AppendUint32(b, uint32(r.at%1e9/1000))
		b = littleEndian.AppendUint32(b, uint32(len(r.data)))
		b = append(littleEndian.AppendUint32(b, uint32(len(r.data))), r.data...)
	}
	return b
}

// recordsOf divides a little-endian capture with microseconds into records, each with its header.
func recordsOf(t testing.TB, b []byte) (records [][]byte) {
	t.Helper()
	if littleEndian.Uint32(b) != 0xa1b2c3d4 {
		t.Fatal("another kind of capture")
	}
	for b = b[24:]; len(b) > 0; {
		n := 16 + int(littleEndian.Uint32(b[8:]))
		records = append(records, b[:n:n])
		b = b[n:]
	}
	return records
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// dialogues are n deliveries of external clients, each to one of 200 internal servers, one after
// the other, with a body of so many segments.
func dialogues(n, segments int) (records []record) {
	at := int64(1.7e18)
	for i := range n {
		client, server := fmt.Sprintf("198.%d.%d.%d", 18+i/62500, i/250%250, 1+i%250), fmt.Sprintf("10.0.%d.25", i%200)
		seq := [2]uint32{1000, 5000}
		id := uint16(0)
		send := func(dir int, flags uint8, text string) {
			ip, tcp := wiretest.IP{Src: client, Dst: server, ID: id}, wiretest.TCP{SrcPort: 40000, DstPort: 25, Flags: flags, Seq: seq[dir], Ack: seq[1-dir]}
			if dir == 1 {
				ip.Src, ip.Dst, tcp.SrcPort, tcp.DstPort = ip.Dst, ip.Src, tcp.DstPort, tcp.SrcPort
			}
			if flags&wiretest.ACK == 0 {
				tcp.Ack = 0
			}
			records = append(records, record{at, wiretest.Frame(wiretest.Ethernet{Src: [6]byte{2, 0, 0, 0, 0, byte(dir + 1)}}, ip, tcp, wiretest.Text(text))})
			seq[dir] += uint32(len(text))
			if flags&(wiretest.SYN|wiretest.FIN) != 0 {
				seq[dir]++
			}
			at += 1e5
			id++
		}
		const say = wiretest.ACK | wiretest.PSH
		send(0, wiretest.SYN, "")
		send(1, wiretest.SYN|wiretest.ACK, "")
		send(0, wiretest.ACK, "")
		send(1, say, "220 mx.example.net ESMTP\r\n")
		for _, line := range []string{"EHLO a.example.org\r\n", "MAIL FROM:<a@example.org>\r\n", "RCPT TO:<b@example.net>\r\n"} {
			send(0, say, line)
			send(1, say, "250 ok\r\n")
		}
		send(0, say, "DATA\r\n")
		send(1, say, "354 go on\r\n")
		for s := range segments {
			send(0, say, strings.Repeat("text text\r\n", 60+s%70))
			if s%2 == 1 {
				send(1, wiretest.ACK, "")
			}
		}
		send(0, say, ".\r\n")
		send(1, say, "250 taken\r\n")
		send(0, say, "QUIT\r\n")
		send(1, say, "221 bye\r\n")
		send(0, wiretest.FIN|wiretest.ACK, "")
		send(1, wiretest.FIN|wiretest.ACK, "")
		send(0, wiretest.ACK, "")
	}
	return records
}

// readCapture runs `read -` on a capture.
func readCapture(t testing.TB, capture []byte, args ...string) (events []emitted, code int, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), append([]string{"read", "--events", "-", "-q", "-"}, args...), bytes.NewReader(capture), &out, &errs)
	return unmarshalEvents(t, out.Bytes()), code, errs.String()
}

// lastStats is the last stats event.
func lastStats(t testing.TB, events []emitted) emitted {
	t.Helper()
	list := ofType(events, "stats")
	if len(list) == 0 {
		t.Fatal("there is no stats event")
	}
	return list[len(list)-1]
}

// balanced checks the account of the frames in a stats event.
func balanced(t testing.TB, what string, e emitted) {
	t.Helper()
	c, d := e.Capture, e.Decode
	if sum := float64(d["processed"]+d["refused"]) + c["kernel_drops"] + c["kernel_ifdrops"] + c["unread"]; c["received"] != sum || float64(d["frames"]) != c["kernel_packets"] {
		t.Errorf("%s: %v frames received, %v in the account: %v %v", what, c["received"], sum, c, d)
	}
}

// long reports whether tests may take minutes.
func long() bool { return os.Getenv("SPAMSENSOR_LONG") != "" }

// figures reports whether times are compared with their goals: only make reliability does so, on a
// machine without other load.
func figures() bool { return os.Getenv("SPAMSENSOR_FIGURES") != "" }
