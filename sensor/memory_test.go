//go:build linux

package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spamsensor/bench/corpus"
	"spamsensor/sensor/wire/wiretest"
)

// flood writes frames of TCP over IPv4, fast.
type flood struct {
	out        *bufio.Writer
	now        int64 // nanoseconds
	step       int64 // nanoseconds between frames
	frames     int
	id, offset uint16 // of the IP header: identification, and flags with fragment offset
	record     [16 + 54 + 1460]byte
}

func newFlood(out io.Writer, step int64) *flood {
	f := &flood{out: bufio.NewWriterSize(out, 1<<20), now: 1_700_000_000e9, step: step}
	f.out.Write(pcapHeader())
	copy(f.record[16:], wiretest.Frame(wiretest.Ethernet{}, wiretest.IP{Src: "10.0.0.1", Dst: "192.0.2.25"}, wiretest.TCP{SrcPort: 40000, DstPort: 25}))
	return f
}

// head fills in the headers of the record, of n bytes, and of its IPv4 packet.
func (f *flood) head(n int, proto byte, offset uint16, src, dst uint32) {
	r, be, le := f.record[:], binary.BigEndian, binary.LittleEndian
	le.PutUint32(r[0:], uint32(f.now/1e9))
	le.PutUint32(r[4:], uint32(f.now%1e9/1000))
	le.PutUint32(r[8:], uint32(n))
	le.PutUint32(r[12:], uint32(n))
	ip := r[30:50]
	be.PutUint16(ip[2:], uint16(n-14))
	be.PutUint16(ip[6:], offset)
	ip[9] = proto
	be.PutUint32(ip[12:], src)
	be.PutUint32(ip[16:], dst)
}

// send writes a segment.
func (f *flood) send(src, dst uint32, sport, dport uint16, flags uint8, seq, ack uint32, text string) {
	r, be, le := f.record[:], binary.BigEndian, binary.LittleEndian
	n := 54 + copy(r[70:], text)
	f.head(n, 6, f.offset, src, dst)
	be.PutUint16(r[34:], f.id)
	tcp := r[50:70]
	be.PutUint16(tcp[0:], sport)
	be.PutUint16(tcp[2:], dport)
	be.PutUint32(tcp[4:], seq)
	be.PutUint32(tcp[8:], ack)
	tcp[13] = flags
	if n < 60 {
		clear(r[70:76])
		le.PutUint32(r[8:], 60)
		le.PutUint32(r[12:], 60)
		n = 60
	}
	f.out.Write(r[:16+n])
	f.now += f.step
	f.frames++
}

// ask writes a DNS query for the mail servers of a domain.
func (f *flood) ask(src uint32, id uint16, labels ...string) {
	msg := []byte{byte(id >> 8), byte(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for _, l := range labels {
		msg = append(append(msg, byte(len(l))), l...)
	}
	msg = append(msg, 0, 0, 15, 0, 1)
	r, be := f.record[:], binary.BigEndian
	n := 42 + copy(r[58:], msg)
	f.head(n, 17, 0, src, 0x0a0000fe)
	udp := r[50:58]
	be.PutUint16(udp[0:], portOf(uint32(id)))
	be.PutUint16(udp[2:], 53)
	be.PutUint16(udp[4:], uint16(8+len(msg)))
	f.out.Write(r[:16+n])
	f.now += f.step
	f.frames++
}

const server = 0xc0000219 // 192.0.2.25

// open writes an established connection, from its SYN to the greeting of the server.
func (f *flood) open(src uint32, sport uint16) {
	f.send(src, server, sport, 25, wiretest.SYN, 100, 0, "")
	f.send(server, src, 25, sport, wiretest.SYN|wiretest.ACK, 500, 101, "")
	f.send(src, server, sport, 25, wiretest.ACK, 101, 501, "")
	f.send(server, src, 25, sport, wiretest.PSH|wiretest.ACK, 501, 101, "220 mx.example.net ESMTP\r\n")
}

const spammer = "10.77.77.77"

// object is an event as JSON.
type object map[string]any

// flooded runs the command on the frames that write writes, and returns the findings about the
// spammer, the last counters, and the peak memory of the process in bytes.
func flooded(t *testing.T, step int64, write func(*flood), args ...string) (told []object, stats object, peak int64) {
	t.Helper()
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	events := filepath.Join(t.TempDir(), "events")
	cmd := exec.Command(name, append([]string{"read", "-", "--events", events, "--no-progress"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	high := watchMemory(cmd)
	f := newFlood(in, step)
	write(f)
	f.out.Flush()
	in.Close()
	err = cmd.Wait()
	peak = high()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	file, err := os.Open(events)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		isStats := strings.Contains(lines.Text(), `"event_type":"stats"`)
		if !isStats && !strings.Contains(lines.Text(), spammer) {
			continue
		}
		var e object
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if isStats {
			stats = e
		} else {
			told = append(told, e)
		}
	}
	if n := stats.number(t, "decode.processed") + stats.number(t, "decode.refused"); n != float64(f.frames) {
		t.Errorf("%v of %d frames are in the account", n, f.frames)
	}
	return told, stats, peak
}

// watchMemory samples the memory of a process from its start on. The result is to be called when
// the process has ended: it returns the peak, in bytes. (The system's figure for an ended process
// includes the memory that this process had when it started the other.)
func watchMemory(cmd *exec.Cmd) (high func() int64) {
	var peak int64
	over, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			peak = max(peak, highWater(cmd.Process.Pid))
			select {
			case <-over:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() int64 {
		close(over)
		<-watched
		return peak
	}
}

// highWater is the peak memory of a process so far in bytes; zero after its end.
func highWater(pid int) (kb int64) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if _, rest, ok := strings.Cut(string(b), "VmHWM:"); ok {
		fmt.Sscan(rest, &kb)
	}
	return kb << 10
}

// number is the number at a path.
func (e object) number(t testing.TB, path string) float64 {
	t.Helper()
	var v any = map[string]any(e)
	for _, key := range strings.Split(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("there is no %s in %v", path, e)
		}
		v = m[key]
	}
	n, _ := v.(float64)
	return n
}

// TestMemoryPartialLines floods the sensor with sessions that begin a line in each direction and
// never end it.
func TestMemoryPartialLines(t *testing.T) {
	path := corpus.Case(t, "hostile", "memory-partial-lines.pcap.gz")
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int64{64, 128, 256, 512} {
		var stderr strings.Builder
		cmd := exec.Command(name, "read", "--no-progress", "--set", fmt.Sprintf("limits.memory=%dMiB", limit), "--events", "/dev/null", path)
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		high := watchMemory(cmd)
		err := cmd.Wait()
		peak := high()
		if err != nil || peak > limit<<20 {
			t.Errorf("limit %d MiB: %d MiB, %v: %s", limit, peak>>20, err, stderr.String())
		}
		t.Logf("R8: 30,000 sessions with an unfinished line each way: %d MiB (goal %d MiB)", peak>>20, limit)
	}
}

// TestMemoryManyFiles merges many overlapping files, each with a window of its own.
func TestMemoryManyFiles(t *testing.T) {
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	const files, frames = 40, 25_000
	for i := range uint32(files) {
		out, err := os.Create(filepath.Join(dir, fmt.Sprintf("%02d.pcap", i)))
		if err != nil {
			t.Fatal(err)
		}
		f := newFlood(out, files*1e5)
		f.now += int64(i) * 1e5
		for k := range uint32(frames) {
			f.send(home10+k%5000, 0xc0000200+i, uint16(k), 25, wiretest.SYN, k*7919, 0, "")
		}
		f.out.Flush()
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
	}
	const limit = 64
	var stderr strings.Builder
	cmd := exec.Command(name, "read", "--no-progress", "--set", fmt.Sprintf("limits.memory=%dMiB", limit), dir)
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	high := watchMemory(cmd)
	err = cmd.Wait()
	peak := high()
	if err != nil || peak > limit<<20 {
		t.Errorf("limit %d MiB: %d MiB, %v: %s", limit, peak>>20, err, stderr.String())
	}
	t.Logf("R8: %d files of %d frames that overlap: %d MiB (goal %d MiB)", files, frames, peak>>20, limit)
}

// TestSpammerInTheFlood hides a spammer in a flood: one SYN among 83,000 others, with tables far
// smaller than the flood.
func TestSpammerInTheFlood(t *testing.T) {
	const every = 83_000
	n := 1_000_000
	if long() {
		n = 5_000_000
	}
	spam := 0
	told, stats, _ := flooded(t, 1000, func(f *flood) {
		rng := rand.New(rand.NewPCG(2, 2))
		for i := range n {
			if i%every == every/2 {
				spam++
				f.send(0x0a4d4d4d, 0xc6330019+uint32(spam)<<8, 40000, 25, wiretest.SYN, rng.Uint32(), 0, "")
			}
			f.send(rng.Uint32(), server, uint16(rng.Uint32())|1024, 25, wiretest.SYN, rng.Uint32(), 0, "")
		}
	}, "--set", "limits.sources=65536", "--set", "limits.attempts=65536")
	found, counted := false, 0.0
	for _, e := range told {
		if e["event_type"] == "finding" {
			found = true
		}
		if e["event_type"] == "source" {
			counted = e.number(t, "source.attempts")
			t.Logf("R9: %v of %d attempts, error bound %v, %v sources had to make room (goal 45 of 60)", counted, spam,
				e.number(t, "source.error_bound"), stats.number(t, "tcp.sources_evicted"))
		}
	}
	if !found || counted < float64(spam)*45/60 {
		t.Errorf("%v attempts of %d were counted; a finding: %v", counted, spam, found)
	}
}

// TestSessionsUnderAFlood checks that the sessions of a storm, and their contents, are exact under
// seven times as many SYNs, with tables far too small for the SYNs.
func TestSessionsUnderAFlood(t *testing.T) {
	n := 3_000
	if long() {
		n = 20_000
	}
	lines := 0
	_, stats, _ := flooded(t, 10_000, func(f *flood) {
		rng := rand.New(rand.NewPCG(3, 3))
		noise := func() {
			for range 7 {
				f.send(0x50000000|rng.Uint32()>>4, server, uint16(rng.Uint32())|1024, 25, wiretest.SYN, rng.Uint32(), 0, "")
			}
		}
		const wide = 500 // simultaneous connections
		for first := 0; first < n; first += wide {
			for i := range wide {
				f.open(0x0a000000+uint32(i), uint16(10000+first/wide))
				noise()
			}
			seq := uint32(101)
			for _, text := range []string{"EHLO a.example.org\r\n", "MAIL FROM:<a@example.org>\r\n", "QUIT\r\n"} {
				for i := range wide {
					f.send(0x0a000000+uint32(i), server, uint16(10000+first/wide), 25, wiretest.PSH|wiretest.ACK, seq, 527, text)
					noise()
					lines++
				}
				seq += uint32(len(text))
			}
			for i := range wide {
				f.send(0x0a000000+uint32(i), server, uint16(10000+first/wide), 25, wiretest.FIN|wiretest.ACK, seq, 527, "")
				f.send(server, 0x0a000000+uint32(i), 25, uint16(10000+first/wide), wiretest.FIN|wiretest.ACK, 527, seq+1, "")
			}
		}
	}, "--set", "limits.flows=4096", "--set", "limits.attempts=2048", "--set", "limits.sources=4096", "--set", "limits.sessions=4096")
	want := float64((n + 499) / 500 * 500)
	if got := stats.number(t, "tcp.sessions"); got != want {
		t.Errorf("%v sessions of %v", got, want)
	}
	if evicted := stats.number(t, "tcp.sources_evicted"); evicted == 0 {
		t.Error("no eviction was counted: the tables are not too small")
	}
	t.Logf("sessions exact under a flood of 7 SYNs a packet: %v of %v (%d lines)", stats.number(t, "tcp.sessions"), want, lines)
}
