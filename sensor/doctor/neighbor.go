package doctor

import (
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"spamsensor/sensor/event"
	"spamsensor/sensor/frame"
)

// Neighbor is a device that named itself in the sample. Its texts are safe to print.
type Neighbor struct {
	Protocol string `json:"protocol"` // LLDP, CDP, MNDP
	Name     string `json:"name"`
	Port     string `json:"port"` // the port that it sent from
	Model    string `json:"model"`
	Bridges  bool   `json:"bridges"`          // it says that it forwards frames or packets
	System   string `json:"system,omitempty"` // a key of Systems, if it is known
}

const (
	maxNeighbors = 8
	maxNameBytes = 64  // of a name or a port
	maxModel     = 120 // bytes of a description, which may be long
)

// addNames looks for a device that names itself: LLDP (IEEE 802.1AB), CDP, or MNDP of MikroTik.
func (e *exam) addNames(s *sight, f *frame.Frame) {
	var n Neighbor
	switch {
	case s.typ == etherLLDP, s.kind == "CDP" && f.Link == frame.Ethernet:
		n = discover(f.Data)
	case s.udp && s.dport == mndpPort && s.sport == mndpPort:
		n = mndp(s.payload)
	}
	if n.Protocol == "" || len(e.neighbors) >= maxNeighbors {
		return
	}
	n.Name, n.Port = event.Escape(n.Name, maxNameBytes), event.Escape(n.Port, maxNameBytes)
	n.Model = event.Escape(strings.Join(strings.Fields(n.Model), " "), maxModel)
	// A host that runs Linux, and says so, is no switch.
	if n.System = systemOf(n.Model + " " + n.Name); n.System == "tc" && !n.Bridges {
		n.System = ""
	}
	for _, known := range e.neighbors {
		if known == n {
			return
		}
	}
	e.neighbors = append(e.neighbors, n)
}

// discover reads an Ethernet frame of LLDP or CDP. gopacket gives the layers that it could read; a
// fault inside of it is a layer that is missing.
func discover(data []byte) (n Neighbor) {
	p := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.NoCopy)
	for _, l := range p.Layers() {
		switch x := l.(type) {
		case *layers.LinkLayerDiscovery:
			n.Protocol, n.Port = "LLDP", lldpPort(x)
		case *layers.LinkLayerDiscoveryInfo:
			n.Name, n.Model = x.SysName, x.SysDescription
			n.Bridges = x.SysCapabilities.EnabledCap.Bridge || x.SysCapabilities.EnabledCap.Router
			if x.PortDescription != "" && n.Port == "" {
				n.Port = x.PortDescription
			}
		case *layers.CiscoDiscovery:
			n.Protocol = "CDP"
			for _, v := range x.Values {
				switch v.Type {
				case layers.CDPTLVDevID:
					n.Name = string(v.Value)
				case layers.CDPTLVCapabilities:
					const router, bridges, switches = 1, 2 | 4, 8
					n.Bridges = len(v.Value) >= 4 && v.Value[3]&(router|bridges|switches) != 0
				case layers.CDPTLVPortID:
					n.Port = string(v.Value)
				case layers.CDPTLVPlatform:
					n.Model = strings.TrimSpace(n.Model + " " + string(v.Value))
				case layers.CDPTLVVersion:
					n.Model = strings.TrimSpace(string(v.Value) + " " + n.Model)
				}
			}
		}
	}
	return n
}

// lldpPort is the name of the port, if it is one and not an address.
func lldpPort(x *layers.LinkLayerDiscovery) string {
	switch x.PortID.Subtype {
	case layers.LLDPPortIDSubtypeMACAddr, layers.LLDPPortIDSubtypeNetworkAddr:
		return ""
	}
	return string(x.PortID.ID)
}

const mndpPort = 5678

// mndp reads a datagram of MikroTik's discovery: header 2, sequence 2, and then fields of type 2,
// length 2, value (Wireshark's packet-mndp.c has the types).
func mndp(b []byte) (n Neighbor) {
	const identity, version, platform, board, port = 5, 7, 8, 12, 16
	if len(b) < 4 {
		return n
	}
	model := [3]string{}
	for b = b[4:]; len(b) >= 4; {
		typ, size := be.Uint16(b), int(be.Uint16(b[2:]))
		if b = b[4:]; size > len(b) {
			break
		}
		v := string(b[:size])
		b = b[size:]
		switch typ {
		case identity:
			n.Protocol, n.Name, n.Bridges = "MNDP", v, true
		case platform:
			model[0] = v
		case version:
			model[1] = "RouterOS " + v
		case board:
			model[2] = v
		case port:
			n.Port = v
		}
	}
	n.Model = strings.Join(model[:], " ")
	return n
}
