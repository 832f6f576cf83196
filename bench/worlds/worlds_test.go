package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"spamsensor/bench/worlds/scene"
	"spamsensor/bench/worlds/traffic"
)

// tested are the scenarios of the tests: of each kind, IPv4 and IPv6, with and without a mirror that
// doubles frames.
var tested = []string{"office", "greylist_mta", "clear_fast", "blocked_drop", "forged_syns"}

// scenesOf are scenarios by name.
func scenesOf(t *testing.T, names []string) (list []scene.Scene) {
	for _, s := range scene.All() {
		if slices.Contains(names, s.Name) {
			list = append(list, s)
		}
	}
	if len(list) != len(names) {
		t.Fatalf("%d of the scenarios %v exist", len(list), names)
	}
	return list
}

// recounted is what a reading of the capture, which shares no code with the generator, counts.
type recounted struct {
	counts  map[string]*traffic.Counts
	packets int
	faults  []string
}

// sumOf is the one's complement sum of parts of even length, but for the last.
func sumOf(parts ...[]byte) uint16 {
	var s uint64
	for _, b := range parts {
		for i, x := range b {
			if i%2 == 0 {
				s += uint64(x) << 8
			} else {
				s += uint64(x)
			}
		}
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

// recount reads a capture: it checks every checksum, and counts SYNs and handshakes by source.
func recount(t *testing.T, b []byte) *recounted {
	r := &recounted{counts: map[string]*traffic.Counts{}}
	if !bytes.Equal(b[:4], []byte{0xd4, 0xc3, 0xb2, 0xa1}) && !bytes.Equal(b[:4], []byte{0x4d, 0x3c, 0xb2, 0xa1}) {
		t.Fatalf("the magic number is %x", b[:4])
	}
	seen := map[string]bool{}
	expect := map[string]uint32{} // flow: the sequence number that follows the SYN-ACK
	opened := map[string]bool{}
	last := uint64(0)
	for b = b[24:]; len(b) > 0; {
		at := uint64(binary.LittleEndian.Uint32(b))*1e9 + uint64(binary.LittleEndian.Uint32(b[4:]))
		if at < last {
			r.faults = append(r.faults, "times go back")
		}
		last = at
		n := binary.LittleEndian.Uint32(b[8:])
		f := b[16 : 16+n]
		b = b[16+n:]
		r.packets++
		f = f[12:]
		if binary.BigEndian.Uint16(f) == 0x8100 {
			f = f[4:]
		}
		var src, dst, payload []byte
		var proto byte
		var pseudo []byte
		switch binary.BigEndian.Uint16(f) {
		case 0x0800:
			ip := f[2:]
			if sumOf(ip[:20]) != 0xffff {
				r.faults = append(r.faults, fmt.Sprintf("packet %d: checksum of IP", r.packets))
			}
			total := binary.BigEndian.Uint16(ip[2:])
			src, dst, payload, proto = ip[12:16], ip[16:20], ip[20:total], ip[9]
		case 0x86dd:
			ip := f[2:]
			src, dst, payload, proto = ip[8:24], ip[24:40], ip[40:], ip[6]
			if int(binary.BigEndian.Uint16(ip[4:])) != len(payload) {
				r.faults = append(r.faults, fmt.Sprintf("packet %d: length", r.packets))
			}
		default:
			t.Fatalf("packet %d has type %x", r.packets, f[:2])
		}
		pseudo = append(slices.Concat(src, dst), 0, proto, byte(len(payload)>>8), byte(len(payload)))
		if proto == 1 {
			pseudo = nil
		}
		if sumOf(pseudo, payload) != 0xffff {
			r.faults = append(r.faults, fmt.Sprintf("packet %d: checksum of protocol %d", r.packets, proto))
		}
		if proto != 6 {
			continue
		}
		flags := payload[13]
		key := fmt.Sprintf("%x %x %x", src, dst, payload[:4])
		back := fmt.Sprintf("%x %x %x", dst, src, slices.Concat(payload[2:4], payload[:2]))
		seq, ack := binary.BigEndian.Uint32(payload[4:]), binary.BigEndian.Uint32(payload[8:])
		c := r.of(src)
		switch {
		case flags&0x12 == 0x02:
			id := fmt.Sprintf("%s %d", key, seq)
			if seen[id] {
				c.Retransmits++
			} else {
				c.Attempts++
			}
			seen[id] = true
			opened[key] = false
		case flags&0x12 == 0x12:
			expect[back] = seq + 1
		case flags == 0x10 && expect[key] == ack && ack != 0 && !opened[key]:
			c.Sessions++
			opened[key] = true
		}
	}
	return r
}

// of are the counts of a source.
func (r *recounted) of(addr []byte) *traffic.Counts {
	k := fmt.Sprintf("%x", addr)
	if r.counts[k] == nil {
		r.counts[k] = &traffic.Counts{}
	}
	return r.counts[k]
}

// TestCaptures compares the truth with the recount, and the captures of two drawings.
func TestCaptures(t *testing.T) {
	for _, s := range scenesOf(t, tested) {
		t.Run(s.Name, func(t *testing.T) {
			capture, truth := s.Draw(1)
			again, truthAgain := s.Draw(1)
			if !bytes.Equal(capture, again) || string(mustJSON(t, truth)) != string(mustJSON(t, truthAgain)) {
				t.Error("two drawings with one seed differ")
			}
			if other, _ := s.Draw(2); bytes.Equal(capture, other) {
				t.Error("two seeds give the same capture")
			}
			r := recount(t, capture)
			if len(r.faults) > 0 {
				t.Errorf("%d faults, the first: %s", len(r.faults), r.faults[0])
			}
			if r.packets != truth.Packets {
				t.Errorf("%d packets, the truth says %d", r.packets, truth.Packets)
			}
			for addr, want := range truth.Sources {
				got := *r.of(hexOf(t, addr))
				got.Messages = want.Messages
				if got != *want {
					t.Errorf("%s: recounted %+v, the truth says %+v", addr, got, *want)
				}
			}
		})
	}
}

// TestCounts lets the sensor read the captures: its counts must be the drawn ones.
func TestCounts(t *testing.T) {
	sensor := filepath.Join(t.TempDir(), "spamsensor")
	if out, err := exec.Command("go", "build", "-o", sensor, "spamsensor/sensor").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	o := options{sensor: sensor, declared: []bool{false, true}}
	for _, s := range scenesOf(t, tested) {
		results, err := o.play(s, 1, filepath.Join(t.TempDir(), "x.pcap"))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Off > 0 || r.Sources == 0 {
				t.Errorf("%s: %d of %d counts are off: %v", s.Name, r.Off, r.Sources, r.Faults)
			}
		}
	}
}

// TestNames checks that names of scenarios are given once, and that each has its text.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scene.All() {
		if seen[s.Name] || s.Text == "" {
			t.Errorf("%q has a name twice, or no text", s.Name)
		}
		seen[s.Name] = true
	}
}

// TestUsage checks that wrong options are refused.
func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-scenario", "none"}, {"-declared", "perhaps"}, {"file"}} {
		if code := run(args, os.Stdout, &bytes.Buffer{}); code != 2 {
			t.Errorf("%v: code %d", args, code)
		}
	}
}

func mustJSON(t *testing.T, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hexOf are the bytes of an address.
func hexOf(t *testing.T, addr string) []byte {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		t.Fatal(err)
	}
	return a.AsSlice()
}
