package wire_test

import (
	"bytes"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"spamsensor/bench/fuzztime"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
	"spamsensor/sensor/wire/wiretest"
)

// slow is gopacket's decoder, which is the reference: it is slower, stricter about TCP options, and
// independent of this package.
type slow struct {
	eth  layers.Ethernet
	tag  layers.Dot1Q
	ip4  layers.IPv4
	ip6  layers.IPv6
	tcp  layers.TCP
	rest gopacket.Payload
	p    *gopacket.DecodingLayerParser
	got  []gopacket.LayerType
}

func newSlow() *slow {
	s := &slow{}
	s.p = gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &s.eth, &s.tag, &s.ip4, &s.ip6,
		&s.tcp, &s.rest)
	s.p.IgnoreUnsupported = true
	return s
}

// tcpOf reports whether gopacket finds TCP in the frame without an error. Frames with tunnels are
// only in the table of decodes, because gopacket and Linux know different tunnels.
func (s *slow) tcpOf(frame []byte) bool {
	if s.p.DecodeLayers(frame, &s.got) != nil || s.p.Truncated {
		return false
	}
	ip, tcp := 0, false
	for _, t := range s.got {
		tcp = tcp || t == layers.LayerTypeTCP
		if t == layers.LayerTypeIPv4 || t == layers.LayerTypeIPv6 {
			ip++
		}
	}
	return tcp && ip == 1
}

// FuzzDecode looks for frames that crash the decoder, that give another result with its shortcuts,
// that it accepts with other numbers than the reference, or that it drops although the reference
// finds a connection. cut is the number of bytes that the capture left out.
func FuzzDecode(f *testing.F) {
	for _, c := range decodes {
		f.Add(uint16(c.link), c.frame, uint16(0))
	}
	for _, v := range wiretest.Variants() {
		f.Add(uint16(frame.Ethernet), v.Frames[len(v.Frames)-1], uint16(0))
	}
	ref := newSlow()
	d, joins := decoder(), newJoiner()
	f.Fuzz(func(t *testing.T, number uint16, data []byte, cut uint16) {
		link := frame.LinkType(number)
		fuzztime.Check(t, func() int {
			var p wire.Packet
			joins.Decode(link, data, len(data)+int(cut), &p)
			sameWays(t, d, link, data, len(data)+int(cut))
			o := d.Decode(link, data, 0, &p)
			if o >= wire.Outcomes {
				t.Fatalf("outcome %d", o)
			}
			if o == wire.Mail &&
				(int(p.Len) < len(p.Payload) || !d.IsMailPort(p.SrcPort) &&
					!d.IsMailPort(p.DstPort)) {
				t.Fatalf("%+v", p)
			}
			if link != frame.Ethernet || !ref.tcpOf(data) {
				return len(data)
			}
			mine := d.IsMailPort(uint16(ref.tcp.SrcPort)) || d.IsMailPort(uint16(ref.tcp.DstPort))
			switch {
			case !mine && o == wire.Mail:
				t.Fatalf("gopacket finds ports %d and %d, we find %d and %d", ref.tcp.SrcPort,
					ref.tcp.DstPort, p.SrcPort, p.DstPort)
			case !mine:
			case o == wire.Mail:
				if p.Seq != ref.tcp.Seq || p.Ack != ref.tcp.Ack ||
					p.SrcPort != uint16(ref.tcp.SrcPort) ||
					!samePayload(&p, ref.tcp.LayerPayload()) {
					t.Fatalf("gopacket: %+v\nwe: %+v", ref.tcp, p)
				}
			case o == wire.BadIPVersion || o == wire.BadTCPFlags || o == wire.BadTCPOffset ||
				o == wire.BadIPLength || o == wire.BadIPOption || o == wire.Fragment ||
				o == wire.TCPFragment || o == wire.BadAddress || o == wire.BadTCPOption ||
				o == wire.BadChecksum || o == wire.BadIPHeader || o == wire.TooManyTags:
				// A receiver refuses these frames, or has to join them; gopacket does not check
				// that.
			case o == wire.ShortTCP && ref.ip6.HopByHop != nil &&
				int(ref.ip6.Length) < len(ref.ip6.HopByHop.Contents)+20:
				// With a hop-by-hop header gopacket reads past the end of the packet.
			default:
				t.Fatalf("gopacket finds a segment %d > %d, we say %s", ref.tcp.SrcPort,
					ref.tcp.DstPort, o)
			}
			return len(data)
		})
	})
}

// samePayload compares with gopacket's payload, which includes the bytes after an IPv6 packet with
// a hop-by-hop header, and the padding of a short frame whose IP header has no length.
func samePayload(p *wire.Packet, theirs []byte) bool {
	behind, starts := bytes.CutPrefix(theirs, p.Payload)
	padded := p.Wire <= 60 && len(bytes.Trim(behind, "\x00")) == 0
	return len(behind) == 0 && starts || starts && (p.V6 || padded)
}
