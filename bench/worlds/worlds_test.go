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

// tested are the scenarios of the tests: of each kind, with IPv4, IPv6, NAT64, VLANs and ICMP.
var tested = []string{"account_setup", "greylist_mta", "clear_fast", "blocked_drop", "blocked_icmp6",
	"nat64_bot", "vlan_bot", "submission_2525"}

// counted are those whose counts the sensor must find: also where the recount would have to know what the
// mirror does.
var counted = append([]string{"mirror_doubled", "mirror_out", "mirror_short", "mirror_middle", "forged_syns",
	"load_balancer", "dhcp_bot", "one_connection"}, tested...)

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
	for _, s := range scenesOf(t, counted) {
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

// TestJudge gives the judge reports about two machines, of which one is bad.
func TestJudge(t *testing.T) {
	truth := &traffic.Truth{
		Bad:      map[string][][2]string{"10.0.0.1": {{"spambot", "likely"}}},
		Machines: [][]string{{"10.0.0.1", "2001:db8::1"}, {"10.0.0.2", "2001:db8::2"}},
		Advisory: map[string][]string{"10.0.0.2": {"undeclared_server"}},
		Sources:  map[string]*traffic.Counts{"10.0.0.1": {Attempts: 3, Messages: -1}},
		Benign:   []string{"10.0.0.2"},
	}
	finding := func(host, class, highest, end string) *findings {
		return &findings{Host: host, Class: class, Highest: highest, Last: highest, Close: end}
	}
	found := finding("10.0.0.1", "spambot", "likely", "end_of_input")
	counts := map[string]*traffic.Counts{"10.0.0.1": {Attempts: 3, Messages: 9}}
	for _, tt := range []struct {
		name    string
		reports []*findings
		sources map[string]*traffic.Counts
		want    result
	}{
		{"right", []*findings{found}, counts, result{Found: 1}},
		{"found by its other address", []*findings{finding("2001:db8::1", "spambot", "confirmed", "quiet")}, counts, result{Found: 1}},
		{"nothing", nil, counts, result{}},
		{"too low", []*findings{finding("10.0.0.1", "spambot", "suspect", "end_of_input")}, counts, result{}},
		{"taken back", []*findings{finding("10.0.0.1", "spambot", "likely", "reclassified")}, counts, result{}},
		{"wrong class", []*findings{found, finding("10.0.0.1", "scanner", "likely", "end_of_input")}, counts, result{Found: 1, Wrong: 1}},
		{"accused", []*findings{found, finding("2001:db8::2", "spambot", "likely", "quiet")}, counts, result{Found: 1, Accused: 1}},
		{"stays", []*findings{found, finding("10.0.0.2", "spambot", "suspect", "end_of_input")}, counts, result{Found: 1, Stay: 1}},
		{"a suspicion that ends", []*findings{found, finding("10.0.0.2", "spambot", "suspect", "quiet")}, counts, result{Found: 1}},
		{"acceptable class", []*findings{found, finding("10.0.0.2", "undeclared_server", "likely", "end_of_input")}, counts, result{Found: 1}},
		{"unacceptable class", []*findings{found, finding("10.0.0.2", "scanner", "likely", "end_of_input")}, counts, result{Found: 1, Wrong: 1}},
		{"counts", []*findings{found}, map[string]*traffic.Counts{"10.0.0.1": {Attempts: 2}}, result{Found: 1, Off: 1}},
		{"counts of both addresses", []*findings{found}, map[string]*traffic.Counts{"10.0.0.1": {Attempts: 2}, "2001:db8::1": {Attempts: 1}}, result{Found: 1}},
		{"no counts", []*findings{found}, nil, result{Found: 1, Off: 1}},
	} {
		o := &observed{map[string]*findings{}, tt.sources}
		for _, f := range tt.reports {
			o.findings[f.Host+" "+f.Class] = f
		}
		r := judge(truth, o, false)
		got := result{Found: r.Found, Accused: r.Accused, Stay: r.Stay, Wrong: r.Wrong, Off: r.Off}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %+v, want %+v: %v", tt.name, got, tt.want, r.Faults)
		}
	}
}

// TestFramed checks that a host above suspect counts where packets are forged in its name, once for all its
// addresses.
func TestFramed(t *testing.T) {
	truth := &traffic.Truth{NoLevel: []string{"10.0.0.1", "2001:db8::1"}, Machines: [][]string{{"10.0.0.1", "2001:db8::1"}},
		Benign: []string{"10.0.0.1"}}
	for level, want := range map[string]int{"suspect": 0, "likely": 1} {
		o := &observed{findings: map[string]*findings{"x": {Host: "2001:db8::1", Class: "spambot", Highest: level, Close: "end_of_input"}}}
		if r := judge(truth, o, false); r.Framed != want || r.Stay != 0 || r.Accused != 0 {
			t.Errorf("%s: %+v", level, r)
		}
	}
}

// TestInterval compares with Wilson's interval of 0 of 10 and 5 of 10, as tables have them.
func TestInterval(t *testing.T) {
	for got, want := range map[string]string{
		interval(0, 10): "0 of 10, 0.00 % (0.00 to 27.75 %)",
		interval(5, 10): "5 of 10, 50.00 % (23.66 to 76.34 %)",
		interval(0, 0):  "none of none",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
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
