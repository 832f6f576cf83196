package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/google/gopacket/layers"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire/wiretest"
)

// tlv is a field of LLDP: type 7, length 9.
func tlv(typ int, value string) string {
	return string([]byte{byte(typ<<1 | len(value)>>8), byte(len(value))}) + value
}

// lldp is a frame of LLDP. capabilities are those that are enabled: 4 is a bridge, 0x10 a router.
func lldp(name, port, model string, capabilities byte) []byte {
	b := tlv(1, "\x04\x02\x00\x00\x00\x00\x07") + tlv(2, "\x05"+port) + tlv(3, "\x00\x78") +
		tlv(5, name) + tlv(6, model) + tlv(7, "\x00\x14\x00"+string([]byte{capabilities})) + tlv(0, "")
	return wiretest.Frame(wiretest.Ethernet{Dst: [6]byte{1, 0x80, 0xc2, 0, 0, 0x0e}, Src: mac(200), Type: etherLLDP}, wiretest.Text(b))
}

// field is a field of CDP (its length has the four bytes in front) or of MNDP (it has not).
func field(typ, front int, value string) string {
	n := len(value) + front
	return string([]byte{byte(typ >> 8), byte(typ), byte(n >> 8), byte(n)}) + value
}

func cdp(name, port, version, platform string) []byte {
	b := "\xaa\xaa\x03\x00\x00\x0c\x20\x00" + "\x02\xb4\x00\x00" + field(1, 4, name) + field(3, 4, port) +
		field(4, 4, "\x00\x00\x00\x28") + field(5, 4, version) + field(6, 4, platform)
	return wiretest.Frame(wiretest.Ethernet{Dst: [6]byte{1, 0, 0x0c, 0xcc, 0xcc, 0xcc}, Src: mac(200), Type: uint16(len(b))}, wiretest.Text(b))
}

func mikrotik(name, version, board, port string) []byte {
	b := "\x00\x00\x00\x07" + field(5, 0, name) + field(7, 0, version) + field(8, 0, "MikroTik") + field(12, 0, board) + field(16, 0, port)
	return wiretest.Frame(wiretest.Ethernet{Dst: [6]byte{255, 255, 255, 255, 255, 255}, Src: mac(200)},
		wiretest.IP{Src: "10.20.1.1", Dst: "255.255.255.255"}, wiretest.UDP{SrcPort: 5678, DstPort: 5678}, wiretest.Text(b))
}

// single is one frame of Ethernet.
func single(b []byte) frame.Frame {
	return frame.Frame{Data: b, Len: len(b), Link: frame.Ethernet, Time: start}
}

// TestNeighbor checks who is recognised, and that the lines for the switch mend the worst fault.
func TestNeighbor(t *testing.T) {
	oneWay := frames(dayOf(12, true), func(s *shot) [][]byte {
		if !s.out {
			return nil
		}
		return [][]byte{s.frame()}
	})
	for _, c := range []struct {
		frame              []byte
		name, port, system string
		line               string
	}{
		{lldp("sw1", "Gi1/0/24", "Cisco IOS Software [Cupertino], Catalyst L3 Switch Software", 4), "sw1", "Gi1/0/24", "ios", "monitor session 1 source interface SOURCE both"},
		{lldp("n9k", "Ethernet1/7", "Cisco Nexus Operating System (NX-OS) Software 9.3(8)", 4), "n9k", "Ethernet1/7", "nxos", " source interface SOURCE both"},
		{lldp("ex", "ge-0/0/7", "Juniper Networks, Inc. ex2300-48t Ethernet Switch, kernel JUNOS 20.4", 4), "ex", "ge-0/0/7", "junos", "input egress interface SOURCE"},
		{lldp("cx", "1/1/7", "Aruba JL675A  FL.10.10.1010", 4), "cx", "1/1/7", "aos-cx", " source interface SOURCE both"},
		{lldp("2930", "7", "Aruba JL253A 2930F-24G-4SFP+ Switch, revision WC.16.10.0009", 4), "2930", "7", "aos-switch", "interface SOURCE monitor all both mirror 1"},
		{lldp("hv", "vnet3", "Debian GNU/Linux 12 (bookworm) Linux 6.1", 4), "hv", "vnet3", "tc", "tc filter add dev SOURCE egress"},
		{lldp("pc", "eth0", "Debian GNU/Linux 12 (bookworm) Linux 6.1", 0x80), "pc", "eth0", "", ""},
		{cdp("sw2.example.org", "GigabitEthernet0/2", "Cisco IOS Software, C2960 Software", "cisco WS-C2960-24TT-L"), "sw2.example.org", "GigabitEthernet0/2", "ios", "monitor session 1 source interface SOURCE both"},
		{mikrotik("core", "7.16.1 (stable)", "CRS326-24G-2S+", "ether7"), "core", "ether7", "mikrotik", "mirror-ingress=yes mirror-egress=yes"},
		{lldp("\x1b]0;owned\x07\x1b[2J", "\u202egi1", "x\x1b[31m\r\n\u009bRED", 4), `\x1b]0;owned\x07\x1b[2J`, `\xe2\x80\xaegi1`, "", ""},
	} {
		r := Examine(context.Background(), asFile(), once(append([]frame.Frame{single(c.frame), single(c.frame)}, oneWay...)))
		if len(r.Neighbors) != 1 {
			t.Errorf("%s: %+v", c.name, r.Neighbors)
			continue
		}
		n := r.Neighbors[0]
		if n.Name != c.name || n.Port != c.port || n.System != c.system {
			t.Errorf("%+v, want %s %s %s", n, c.name, c.port, c.system)
		}
		if (r.Switch != nil) != (c.line != "") || r.Switch != nil && !strings.Contains(strings.Join(r.Switch.Lines, "\n"), c.line) {
			t.Errorf("%s: %+v, want %q", c.name, r.Switch, c.line)
		}
		inert(t, r)
	}
}

// inert checks that no text of the report can change a terminal.
func inert(t *testing.T, r *Report) {
	t.Helper()
	var b strings.Builder
	if err := r.Text(&b, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	j, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.String() + string(j) {
		if c != '\n' && !unicode.IsPrint(c) {
			t.Fatalf("the report has %q: %s", c, b.String())
		}
	}
}

// TestSystems checks the table of switches: each row has a manual, and lines that name what the
// reader has to fill in.
func TestSystems(t *testing.T) {
	for _, s := range systems {
		if s.title == "" || !strings.HasPrefix(s.url, "https://") || len(s.match) == 0 {
			t.Errorf("%s: no manual, or no text to recognise it by", s.key)
		}
		for _, m := range s.match {
			if m != strings.ToLower(m) {
				t.Errorf("%s: %q is never found", s.key, m)
			}
		}
		for _, r := range []remedy{makeMirror, bothWays, oneCopy} {
			if len(s.lines[r]) == 0 {
				t.Errorf("%s: no lines for remedy %d", s.key, r)
			}
		}
		for r, lines := range s.lines {
			for _, l := range lines {
				if len(l) > 90 {
					t.Errorf("%s, remedy %d: %d columns", s.key, r, len(l))
				}
			}
			if text := strings.Join(lines, "\n"); r != oneCopy && !strings.Contains(text, "SOURCE") && !strings.Contains(text, "VLAN") {
				t.Errorf("%s, remedy %d names no port: %s", s.key, r, text)
			}
		}
	}
}

// TestShort examines frames of 0 to 60 bytes, of all link types, and prefixes of frames that name a
// switch: none may cause a fault.
func TestShort(t *testing.T) {
	long := wiretest.Frame(wiretest.Ethernet{}, wiretest.VLAN{ID: 5}, wiretest.IP{Src: "10.0.0.1", Dst: "10.0.0.2"},
		wiretest.UDP{SrcPort: 9, DstPort: 4789}, wiretest.VXLAN{Network: 1}, wiretest.Ethernet{}, wiretest.IP{Src: "fd00::1", Dst: "fd00::2"},
		wiretest.TCP{SrcPort: 1, DstPort: 25})
	var list []frame.Frame
	for _, b := range [][]byte{long, lldp("a", "b", "c", 4), cdp("a", "b", "c", "d"), mikrotik("a", "b", "c", "d"), bytes.Repeat([]byte{0xff}, 60), make([]byte, 60)} {
		for n := range b {
			for _, link := range []frame.LinkType{frame.Ethernet, frame.SLL, frame.SLL2, frame.Raw, frame.Null, frame.Radiotap} {
				list = append(list, frame.Frame{Data: b[:n], Len: len(b), Link: link, Time: start})
			}
		}
	}
	r := Examine(context.Background(), asFile(), once(list))
	if r.Frames != uint64(len(list)) {
		t.Errorf("%d of %d frames", r.Frames, len(list))
	}
	inert(t, r)
}

// FuzzNeighbor reads arbitrary frames of the discovery protocols. What is found is bounded and
// printable.
func FuzzNeighbor(f *testing.F) {
	f.Add(lldp("sw1", "Gi1/0/24", "Cisco IOS Software", 4))
	f.Add(cdp("sw2", "Gi0/2", "Cisco IOS Software", "cisco WS-C2960"))
	f.Add(mikrotik("core", "7.16.1", "CRS326", "ether7"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e := newExam(asFile())
		x := single(b)
		e.add(&x)
		for _, n := range e.neighbors {
			if len(n.Name) > maxNameBytes || len(n.Port) > maxNameBytes || len(n.Model) > maxModel {
				t.Fatalf("%+v", n)
			}
			for _, c := range n.Name + n.Port + n.Model + n.Protocol + n.System {
				if !unicode.IsPrint(c) {
					t.Fatalf("%+v", n)
				}
			}
		}
		discover(b)
		if n := mndp(b); n.Protocol != "" && n.Protocol != "MNDP" {
			t.Fatalf("%+v", n)
		}
		var s sight
		s.look(frame.Ethernet, b)
		if layers.EthernetType(s.typ) == layers.EthernetTypeLinkLayerDiscovery && !s.ether {
			t.Fatal("LLDP without Ethernet")
		}
	})
}
