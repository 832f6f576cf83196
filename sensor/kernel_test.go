//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"spamsensor/bench/golden"
	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire/wiretest"

	"golang.org/x/sys/unix"
)

// kernelGolden holds the reactions of a kernel to wiretest.Variants, as TestKernelJudge wrote them.
const kernelGolden = "testdata/kernel.golden"

// attempted passes frames to the engine and returns the sources with attempts.
func attempted(t *testing.T, frames []frame.Frame, workers int) (map[netip.Addr]bool, engine.Stats) {
	t.Helper()
	who := map[netip.Addr]bool{}
	everywhere := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	e := engine.New(engine.Config{Home: everywhere, Helpers: workers, Seed: []byte("kernel")},
		engine.Output{Source: func(s *finding.SourceRecord) { who[s.Addr] = s.Counters.Attempts > 0 }})
	w := e.Worker()
	w.Take(frames)
	w.EmitDue()
	e.Finish("end_of_input")
	return who, e.Stats()
}

// asFrames returns the frames of the variants, one variant after the other.
func asFrames(list []wiretest.Variant) (frames []frame.Frame) {
	now := time.Unix(1_800_000_000, 0).UnixNano()
	for _, v := range list {
		now += 10e6
		for _, f := range v.Frames {
			now += 10e3
			frames = append(frames, frame.Frame{Data: f, Time: now, Len: len(f), Link: 1})
		}
	}
	return frames
}

// compare prints a table of the kernel and the sensor, and fails where they differ without a
// reason.
func compare(t *testing.T, what string, list []wiretest.Variant, kernel map[string]bool, sensor map[netip.Addr]bool) {
	t.Helper()
	agree, differ := 0, 0
	for _, v := range list {
		k, s := kernel[v.Name], sensor[v.Src]
		text := fmt.Sprintf("%-60s kernel %-8s %s %s", v.Name, attemptText(k), what, attemptText(s))
		switch {
		case k == s:
			agree++
			t.Log(text)
		case v.Except != "":
			t.Log(text, "   ", v.Except)
		default:
			differ++
			t.Error(text)
		}
	}
	t.Logf("R1: %s: of %d variants of a SYN the sensor sees %d as a kernel does, %d differ by rule, %d without reason (goal 500, all but the rule's, 0)", what, len(list), agree, len(list)-agree-differ, differ)
}

func attemptText(attempt bool) string {
	if attempt {
		return "attempt"
	}
	return "-"
}

// The decisions of the sensor are those that the kernel made, for any number of workers.
// TestKernelJudge asks the kernel again.
func TestKernelVariants(t *testing.T) {
	b, err := os.ReadFile(kernelGolden)
	if err != nil {
		t.Fatal(err)
	}
	kernel := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		v, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		kernel[name] = v == "attempt"
	}
	list := wiretest.Variants()
	if len(kernel) != len(list) {
		t.Errorf("%s has %d variants, there are %d: go test ./sensor -run TestKernelJudge -update, as root", kernelGolden, len(kernel), len(list))
	}
	frames := asFrames(list)
	var first engine.Stats
	for i, workers := range []int{1, 2, 8} {
		sensor, st := attempted(t, frames, workers)
		if i == 0 {
			compare(t, "sensor", list, kernel, sensor)
			first = st
		}
		if st.Frames != uint64(len(frames)) {
			t.Errorf("%d frames have an outcome, there are %d", st.Frames, len(frames))
		}
		if a, b := fmt.Sprint(first.Outcomes, first.TCP), fmt.Sprint(st.Outcomes, st.TCP); a != b {
			t.Errorf("%d workers: %s\none: %s", workers, b, a)
		}
	}
}

// inside calls f in a network namespace.
func inside(t *testing.T, ns string, f func() error) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	there, err := os.Open("/run/netns/" + ns)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(back) // this thread must not leave the namespace
	}
	if err != nil {
		t.Fatal(err)
	}
}

// kernelUnderTest is two network namespaces with a virtual cable: frames that are written to wire
// reach the kernel in the other namespace, whose interface is k1.
type kernelUnderTest struct {
	sender, receiver string
	wire             int // a packet socket
}

// newKernel makes the namespaces for the time of a test, which is skipped if that is not possible.
func newKernel(t *testing.T) *kernelUnderTest {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("ip is not installed")
	}
	id := fmt.Sprint(os.Getpid())
	sender, receiver := "spam-ks"+id, "spam-kr"+id
	must := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	for _, ns := range []string{sender, receiver} {
		must("netns", "add", ns)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
		must("-n", ns, "link", "set", "lo", "up")
	}
	must("-n", sender, "link", "add", "k0", "address", net.HardwareAddr(wiretest.VariantSender[:]).String(), "type", "veth",
		"peer", "name", "k1", "address", net.HardwareAddr(wiretest.VariantReceiver[:]).String(), "netns", receiver)
	sysctl := func(set ...string) {
		t.Helper()
		for _, s := range set {
			if out, err := exec.Command("ip", "netns", "exec", receiver, "sysctl", "-qw", s).CombinedOutput(); err != nil {
				t.Fatalf("sysctl %s: %v\n%s", s, err, out)
			}
		}
	}
	sysctl("net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0", "net.ipv4.tcp_max_syn_backlog=8192", "net.core.somaxconn=8192", "net.ipv4.tcp_synack_retries=0")
	must("-n", sender, "link", "set", "k0", "up")
	must("-n", receiver, "link", "set", "k1", "up")
	sysctl("net.ipv4.conf.k1.rp_filter=0")
	must("-n", receiver, "addr", "add", "10.88.0.1/24", "dev", "k1")
	must("-n", receiver, "addr", "add", "fd88::1/64", "dev", "k1", "nodad")
	for _, gw := range []string{"10.88.0.2", "fd88::2"} {
		must("-n", receiver, "neigh", "add", gw, "lladdr", net.HardwareAddr(wiretest.VariantSender[:]).String(), "dev", "k1", "nud", "permanent")
		must("-n", receiver, "route", "add", "default", "via", gw, "dev", "k1")
	}
	k := &kernelUnderTest{sender: sender, receiver: receiver}
	inside(t, sender, func() (err error) { k.wire, err = packetSocket("k0"); return err })
	t.Cleanup(func() { unix.Close(k.wire) })
	return k
}

// listen returns a listener on port 25 of the kernel, and the sensor's capture of its interface.
func (k *kernelUnderTest) listen(t *testing.T) (listener net.Listener, live *capture.Live) {
	t.Helper()
	inside(t, k.receiver, func() (err error) { listener, err = net.Listen("tcp", "[::]:25"); return err })
	t.Cleanup(func() { listener.Close() })
	inside(t, k.receiver, func() (err error) {
		live, err = capture.OpenLive(capture.LiveConfig{Interface: "k1", Ports: engine.DefaultPorts, Buffer: 16 << 20})
		return err
	})
	t.Cleanup(func() { live.Close() })
	return listener, live
}

// TestKernelJudge sends every variant over a cable to a listener on port 25 of this machine's
// kernel. A variant is an attempt if a SYN-ACK comes back. The sensor captures on the receiver's
// interface, with its kernel filter.
func TestKernelJudge(t *testing.T) {
	k := newKernel(t)
	wire := k.wire
	_, live := k.listen(t)

	list := wiretest.Variants()
	seqs := map[uint32]string{}
	for _, v := range list {
		if seqs[v.Seq] != "" {
			t.Fatalf("%s and %s have the same sequence number", v.Name, seqs[v.Seq])
		}
		seqs[v.Seq] = v.Name
	}
	kernel := map[string]bool{}
	buf := make([]byte, 65536)
	listen := func(d time.Duration) {
		for end := time.Now().Add(d); ; {
			n, _, err := unix.Recvfrom(wire, buf, unix.MSG_DONTWAIT)
			if err == nil {
				if ack, ok := synAck(buf[:n]); ok {
					kernel[seqs[ack-1]] = true
				}
				continue
			}
			if time.Now().After(end) {
				return
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
	var seen []frame.Frame
	hear := func() int {
		b, err := live.Next()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range b.Frames {
			f.Data = append([]byte{}, f.Data...)
			seen = append(seen, f)
			n++
		}
		return n
	}
	for i, v := range list {
		for _, f := range v.Frames {
			if _, err := unix.Write(wire, f); err != nil && len(f) >= 14+20 {
				t.Fatalf("sending %s: %v", v.Name, err)
			}
		}
		listen(time.Millisecond)
		if i%64 == 63 {
			hear()
		}
	}
	listen(200 * time.Millisecond)
	for hear() > 0 {
	}
	if golden.Update() {
		var b strings.Builder
		for _, v := range list {
			fmt.Fprintf(&b, "%s\t%s\n", attemptText(kernel[v.Name]), v.Name)
		}
		golden.Compare(t, kernelGolden, b.String())
	}
	sensor, _ := attempted(t, asFrames(list), 1)
	compare(t, "sensor", list, kernel, sensor)
	through, _ := attempted(t, seen, 1)
	compare(t, "live", list, kernel, through)
	if st := live.Stats(); st.KernelDrops > 0 {
		t.Errorf("%d frames were dropped", st.KernelDrops)
	}
}

// packetSocket sends and receives whole frames on an interface.
func packetSocket(name string) (int, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	if err != nil {
		return 0, err
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
	return fd, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: i.Index})
}

// synAck is the acknowledgment number of a SYN-ACK from port 25.
func synAck(f []byte) (uint32, bool) {
	be := binary.BigEndian
	if len(f) < 14+40 {
		return 0, false
	}
	tcp := f[min(14+int(f[14]&15)*4, len(f)-20):]
	if be.Uint16(f[12:]) == 0x86dd {
		if tcp = f[14+40:]; len(tcp) < 20 {
			return 0, false
		}
	}
	return be.Uint32(tcp[8:]), be.Uint16(tcp) == 25 && tcp[13]&0x17 == 0x12
}

// TestOffloadIsTold checks a capture of the sending host, whose checksums are all left to the
// network card: all packets are counted, and the sensor reports the offload.
func TestOffloadIsTold(t *testing.T) {
	var b []byte
	le := binary.LittleEndian
	b = le.AppendUint32(le.AppendUint32(le.AppendUint32(le.AppendUint32(nil, 0xa1b2c3d4), 4<<16|2), 0), 0)
	b = le.AppendUint32(le.AppendUint32(b, 65535), 1)
	for i := range 5 {
		f := wiretest.Frame(wiretest.Ethernet{Src: [6]byte{2}}, wiretest.IP{Src: "10.0.0.5", Dst: "192.0.2.25"},
			wiretest.TCP{SrcPort: uint16(40000 + i), DstPort: 25, Flags: wiretest.SYN, Checksum: 0x1234})
		b = le.AppendUint32(le.AppendUint32(b, uint32(1_700_000_000+i)), 0)
		b = append(le.AppendUint32(le.AppendUint32(b, uint32(len(f))), uint32(len(f))), f...)
	}
	file := filepath.Join(t.TempDir(), "offload.pcap")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	events, code, stderr := readEvents(t, file)
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, e := range ofType(events, "source") {
		if e.Source.Attempts != 5 {
			t.Errorf("%d attempts, want 5", e.Source.Attempts)
		}
	}
	stats := ofType(events, "stats")
	if n := stats[len(stats)-1].TCP["bad_checksums_ignored"]; n != 5 {
		t.Errorf("the counters say %d", n)
	}
	told := false
	for _, e := range ofType(events, "health") {
		told = told || e.Health.Check == "checksum_offload" && e.Health.State == "raised"
	}
	var report, errs bytes.Buffer
	run(context.Background(), []string{"read", "--no-progress", file}, strings.NewReader(""), &report, &errs)
	if !told || !strings.Contains(strings.Join(strings.Fields(report.String()), " "), "(offload)") {
		t.Errorf("told by an event: %v; the report:\n%s", told, report.String())
	}
}
