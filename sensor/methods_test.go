package main

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/frame"
)

// openMethod captures on v1 of the namespace.
func openMethod(t *testing.T, ns string, cfg capture.LiveConfig) (l *capture.Live) {
	t.Helper()
	cfg.Ports, cfg.Buffer = engine.DefaultPorts, 8<<20
	inside(t, ns, func() (err error) { l, err = capture.OpenLive(cfg); return err })
	t.Cleanup(func() { l.Close() })
	return l
}

// collect keeps the frames that these captures give while send runs.
func collect(t *testing.T, send func(), lives ...*capture.Live) [][]frame.Frame {
	t.Helper()
	stop, seen := make(chan struct{}), make([][]frame.Frame, len(lives))
	var wg sync.WaitGroup
	for i, l := range lives {
		wg.Go(func() { seen[i] = keepFrames(t, l, stop) })
	}
	send()
	time.Sleep(300 * time.Millisecond)
	close(stop)
	wg.Wait()
	return seen
}

// replay sends a capture file to v0 of the namespace.
func replay(t *testing.T, ns, file string) {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", ns, "tcpreplay", "-q", "-i", "v0", "--topspeed",
		file).CombinedOutput()
	if err != nil {
		t.Errorf("tcpreplay: %v: %s", err, out)
	}
}

// tagged puts VLAN tags into an Ethernet frame.
func tagged(f []byte, tags ...uint32) []byte {
	out := slices.Clone(f[:12])
	for _, tag := range tags {
		out = binary.BigEndian.AppendUint32(out, tag)
	}
	return append(out, f[12:]...)
}

// TestMethodsAgree sends frames with every kind of tag over a cable, and checks that both methods
// of capturing give the same frames, tags included.
func TestMethodsAgree(t *testing.T) {
	ns := veth(t)
	k := newMailConn(1).greet().lines(mail...).lines(quit...).close()
	for i, f := range k.sent {
		switch i % 4 {
		case 1:
			k.sent[i].data = tagged(f.data, 0x81000064)
		case 2:
			k.sent[i].data = tagged(f.data, 0x88a80065, 0x81000066)
		case 3:
			k.sent[i].data = tagged(f.data, 0x88a80067)
		}
	}
	file := captured(t, k)
	seen := collect(t, func() { replay(t, ns, file) },
		openMethod(t, ns, capture.LiveConfig{Interface: "v1", Method: capture.MethodPcap}),
		openMethod(t, ns, capture.LiveConfig{Interface: "v1", Method: capture.MethodAFPacket}))
	if len(seen[0]) != len(k.sent) || len(seen[1]) != len(k.sent) {
		t.Fatalf("%d frames by libpcap, %d by afpacket, %d were sent", len(seen[0]), len(seen[1]),
			len(k.sent))
	}
	for i, f := range seen[1] {
		other := seen[0][i]
		if !bytes.Equal(f.Data, other.Data) || f.Len != other.Len || f.Link != other.Link {
			t.Errorf("frame %d: %x (%d), libpcap has %x (%d)", i, f.Data, f.Len, other.Data, other.Len)
		}
		if !bytes.Equal(f.Data, k.sent[i].data) {
			t.Errorf("frame %d: %x, %x was sent", i, f.Data, k.sent[i].data)
		}
		if d := time.Duration(f.Time - other.Time).Abs(); d > time.Millisecond {
			t.Errorf("frame %d: %v from libpcap's time", i, d)
		}
	}
}

// TestSnaplen checks that a short snapshot length cuts frames, and that their length is known.
func TestSnaplen(t *testing.T) {
	ns := veth(t)
	k := newMailConn(1).greet().lines(mail...).lines(quit...).close()
	file := captured(t, k)
	l := openMethod(t, ns, capture.LiveConfig{Interface: "v1", Snaplen: 60,
		Method: capture.MethodAFPacket})
	seen := collect(t, func() { replay(t, ns, file) }, l)[0]
	if len(seen) != len(k.sent) {
		t.Fatalf("%d frames, %d were sent", len(seen), len(k.sent))
	}
	for i, f := range seen {
		if n := len(k.sent[i].data); f.Len != n || len(f.Data) != min(n, 60) {
			t.Errorf("frame %d: %d of %d bytes, %d were sent", i, len(f.Data), f.Len, n)
		}
	}
}

// TestFanout checks that sockets that share an interface get each frame once, and all frames of a
// connection in both directions on the same socket.
func TestFanout(t *testing.T) {
	ns := veth(t)
	var conns []*mailConn
	sent := 0
	for i := range 40 {
		k := newMailConn(i + 1).greet().lines(mail...).lines(quit...).close()
		conns, sent = append(conns, k), sent+len(k.sent)
	}
	file := captured(t, conns...)
	group := new(capture.Fanout)
	cfg := capture.LiveConfig{Interface: "v1", Fanout: group, Method: capture.MethodAFPacket}
	seen := collect(t, func() { replay(t, ns, file) }, openMethod(t, ns, cfg), openMethod(t, ns, cfg))
	a, b := len(seen[0]), len(seen[1])
	if a+b != sent || a == 0 || b == 0 {
		t.Errorf("%d and %d frames, %d were sent", a, b, sent)
	}
	socket := map[netip.AddrPort]int{}
	for i, frames := range seen {
		for _, f := range frames {
			c := clientOf(f.Data)
			if j, ok := socket[c]; ok && j != i {
				t.Fatalf("frames of %v are on both sockets", c)
			}
			socket[c] = i
		}
	}
}

// clientOf is the end of an IPv4 connection that is not port 25.
func clientOf(f []byte) netip.AddrPort {
	ip := f[14:]
	for _, at := range []int{0, 1} {
		if p := binary.BigEndian.Uint16(ip[20+2*at:]); p != 25 {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[12+4*at:16+4*at])), p)
		}
	}
	return netip.AddrPort{}
}

// TestLoopbackOnce checks that a loopback interface gives each frame once, by both methods.
func TestLoopbackOnce(t *testing.T) {
	ns := veth(t)
	if out, err := exec.Command("ip", "-n", ns, "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, m := range []capture.Method{capture.MethodPcap, capture.MethodAFPacket} {
		l := openMethod(t, ns, capture.LiveConfig{Interface: "lo", Method: m})
		seen := collect(t, func() {
			inside(t, ns, func() error {
				s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
				if err != nil {
					return err
				}
				defer unix.Close(s)
				err = unix.Connect(s, &unix.SockaddrInet4{Port: 25, Addr: [4]byte{127, 0, 0, 1}})
				if err != unix.ECONNREFUSED {
					return err
				}
				return nil
			})
		}, l)[0]
		if st := l.Stats(); len(seen) != 2 || st.Frames != 2 || st.Unread != 0 && m == capture.MethodAFPacket {
			t.Errorf("%s: %d frames, want a SYN and a RST; %+v", m, len(seen), st)
		}
	}
}

// TestMethodForLink checks which method serves which interface, and what the error says.
func TestMethodForLink(t *testing.T) {
	ns := veth(t)
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("there is no /dev/net/tun")
	}
	if out, err := exec.Command("ip", "-n", ns, "tuntap", "add", "t0", "mode", "tun").CombinedOutput(); err != nil {
		t.Skipf("a tun interface cannot be made: %s", out)
	}
	if out, err := exec.Command("ip", "-n", ns, "link", "set", "t0", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if l := openMethod(t, ns, capture.LiveConfig{Interface: "v1"}); l.Method() != capture.MethodAFPacket {
		t.Errorf("v1 is captured by %s", l.Method())
	}
	if l := openMethod(t, ns, capture.LiveConfig{Interface: "t0"}); l.Method() != capture.MethodPcap {
		t.Errorf("t0 is captured by %s", l.Method())
	}
	inside(t, ns, func() error {
		_, err := capture.OpenLive(capture.LiveConfig{Interface: "t0", Method: capture.MethodAFPacket,
			Ports: engine.DefaultPorts})
		if err == nil || err.Error() != "cannot capture on t0: afpacket serves Ethernet and loopback interfaces only" {
			t.Errorf("t0 by afpacket: %v", err)
		}
		return nil
	})
}
