package wire_test

import (
	"testing"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
	. "spamsensor/sensor/wire/wiretest"
)

// TestTunnelsHaveNoSender checks the link-layer source of a packet in a tunnel. The outer source
// belongs to the tunnel and is the same for all hosts behind it; only a tunnel that carries
// Ethernet has the source of the host.
func TestTunnelsHaveNoSender(t *testing.T) {
	inner := []Layer{IP{Src: "10.0.0.5", Dst: "198.51.100.25"},
		TCP{SrcPort: 40000, DstPort: 25, Flags: SYN}}
	ether := append([]Layer{Ethernet{Src: [6]byte{2, 5: 9}}}, inner...)
	for _, c := range []struct {
		name   string
		layers []Layer
		want   byte
	}{
		{"no tunnel", inner, 1},
		{"GRE", append([]Layer{IP{Src: "192.0.2.1", Dst: "192.0.2.2"}, GRE{}}, inner...), 0},
		{"IP in IP", append([]Layer{IP{Src: "192.0.2.1", Dst: "192.0.2.2"}}, inner...), 0},
		{"Ethernet in GRE",
			append([]Layer{IP{Src: "192.0.2.1", Dst: "192.0.2.2"}, GRE{}}, ether...), 9},
		{"Ethernet in VXLAN",
			append([]Layer{IP{Src: "192.0.2.1", Dst: "192.0.2.2"},
				UDP{SrcPort: 5000, DstPort: 4789}, VXLAN{Network: 7}}, ether...), 9},
	} {
		var d wire.Decoder
		d.SetPorts([]uint16{25})
		var p wire.Packet
		data := Frame(append([]Layer{Ethernet{Src: [6]byte{2, 5: 1}}}, c.layers...)...)
		want := [6]byte{}
		if c.want != 0 {
			want = [6]byte{2, 5: c.want}
		}
		if o := d.Decode(frame.Ethernet, data, len(data), &p); o != wire.Mail || p.MAC != want {
			t.Errorf("%s: %s from %x, want %x", c.name, o, p.MAC, want)
		}
	}
}
