package doctor

import "spamsensor/sensor/wire"

// tunnelPorts are the ports of UDP that tunnels have which the sensor opens.
var tunnelPorts = map[uint16]string{4789: "VXLAN", 8472: "VXLAN", 4790: "VXLAN-GPE",
	6081: "GENEVE", 37008: "TZSP"}

// erspanTunnel is the name of the tunnel by which switches send mirrored frames.
const erspanTunnel = "ERSPAN"

// tunnelName names the tunnel in the outer headers that the sensor opens, or is "".
func (s *sight) tunnelName() string {
	switch s.typ {
	case etherMPLS, etherMPLSmc, etherPPPoE, etherITag, etherETag:
		return s.kind
	}
	if !s.ip {
		return ""
	}
	switch s.proto {
	case protoGRE:
		return greName(s.body, s.first)
	case protoIPIP:
		return "IP in IP"
	case protoIPv6:
		return "IPv6 in IP"
	case protoEtherIP:
		return "EtherIP"
	case protoMPLS:
		return "MPLS in IP"
	}
	if s.udp {
		return tunnelPorts[s.dport]
	}
	return ""
}

// greName names what GRE carries (RFC 2784, RFC 2637, draft-foschiano-erspan-03).
func greName(b []byte, first bool) string {
	if !first || len(b) < 4 {
		return "GRE"
	}
	switch typ := be.Uint16(b[2:]); {
	case typ == etherERSPAN || typ == etherERSPAN3:
		return erspanTunnel
	case b[1]&7 == 1:
		return "PPTP"
	}
	return "GRE"
}

// hidden names the tunnel that nobody can open, or that the sensor does not open, or is "". o is
// the outcome of decoding, which has looked into the tunnels that can be opened.
func (s *sight) hidden(o wire.Outcome) string {
	switch {
	case s.typ == etherMACsec:
		return "MACsec"
	case !s.ip:
		return ""
	case s.proto == protoESP:
		return "IPsec (ESP)"
	case s.proto == protoAH:
		return "IPsec (AH)"
	case s.proto == protoL2TP:
		return "L2TPv3"
	case s.proto == protoGRE && o == wire.OtherPPP:
		return "PPTP (compressed or encrypted)"
	case s.udp:
		return s.hiddenUDP(o)
	case o == wire.OtherTunnel:
		return "a tunnel in " + s.tunnel
	}
	return ""
}

// hiddenUDP is hidden for UDP.
func (s *sight) hiddenUDP(o wire.Outcome) string {
	p := s.payload
	switch {
	case isWireGuard(p):
		return "WireGuard"
	case o == wire.OtherUDP && (s.sport == 1194 || s.dport == 1194):
		return "OpenVPN"
	}
	for _, port := range []uint16{s.dport, s.sport} {
		switch port {
		case 4500:
			// IKE has four zero bytes in front (RFC 3948, 2.2), a keepalive is one byte
			if len(p) > 4 && be.Uint32(p) != 0 {
				return "IPsec (ESP in UDP)"
			}
			return ""
		case 1701:
			return "L2TP"
		case 2152:
			return "GTP"
		case 5247:
			return "CAPWAP"
		case 51820:
			return "WireGuard"
		}
	}
	return ""
}

// isWireGuard reports whether a datagram has the form of WireGuard's messages: type 1, reserved 3,
// and the length of the type (https://www.wireguard.com/protocol/).
func isWireGuard(p []byte) bool {
	if len(p) < 32 || p[1]|p[2]|p[3] != 0 {
		return false
	}
	switch p[0] {
	case 1:
		return len(p) == 148
	case 2:
		return len(p) == 92
	case 3:
		return len(p) == 64
	case 4: // receiver 4, counter 8 (little endian), sealed data padded to 16, tag 16
		return len(p)%16 == 0 && le.Uint64(p[8:]) < 1<<40
	}
	return false
}

// addTunnel counts the tunnels of a frame.
func (e *exam) addTunnel(s *sight, o wire.Outcome) {
	if hidden := s.hidden(o); hidden != "" {
		bump(e.counts.Hidden, hidden)
		return
	}
	if s.tunnel == "" {
		return
	}
	bump(e.counts.Tunnels, s.tunnel)
	if s.fragment {
		e.tunnelParts++
	}
	if s.tunnel == erspanTunnel {
		e.addSequence(s)
	}
}

// sequenceKey is a mirror session of a switch.
type sequenceKey struct {
	from    wire.Addr
	session uint16
}

// addSequence compares the sequence numbers of ERSPAN types II and III: a hole is a frame that was
// lost between the switch and here.
func (e *exam) addSequence(s *sight) {
	const sequence = 0x1000
	b := s.body
	if len(b) < 12 || !s.first || be.Uint16(b) != sequence {
		return // without other fields, as the draft has it
	}
	k := sequenceKey{s.from, be.Uint16(b[10:]) & 0x3ff}
	n := be.Uint32(b[4:])
	if before, ok := e.sequences[k]; ok {
		if ahead := int32(n - before); ahead > 1 && ahead < 1<<20 {
			e.lost += uint64(ahead - 1)
		} else if ahead <= 0 {
			return
		}
	} else if len(e.sequences) >= maxNames {
		e.counts.Unheld++
		return
	}
	e.sequences[k] = n
}
