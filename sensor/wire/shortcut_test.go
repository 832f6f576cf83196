package wire_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
	. "spamsensor/sensor/wire/wiretest"
)

// sameWays checks that Decode gives the same result with its shortcuts and without.
func sameWays(t *testing.T, d *wire.Decoder, link frame.LinkType, frame []byte,
	length int) wire.Outcome {
	t.Helper()
	var fast, slow wire.Packet
	of, os := d.Decode(link, frame, length, &fast), d.Slow(link, frame, length, &slow)
	if of != os {
		t.Fatalf("%s, the slow way %s: %d of %d bytes of link type %d: %x", of, os, len(frame),
			length, link, frame)
	}
	if o, skip := d.Skip(link, frame, max(length, len(frame))); skip && o != os {
		t.Fatalf("skipped as %s, the slow way %s: %d of %d bytes: %x", o, os, len(frame), length,
			frame)
	}
	if of > wire.DNSSegment {
		return of
	}
	if int(fast.Len) < len(fast.Payload) || !bytes.Equal(fast.Payload, slow.Payload) {
		t.Fatalf("fast %+v\nslow %+v", fast, slow)
	}
	for _, p := range []*wire.Packet{&fast, &slow} {
		for i := p.Tags; i < wire.MaxTags; i++ {
			p.VLAN[i] = 0
		}
		p.Payload = nil
		if p.Kind != wire.ICMPError {
			p.Reporter, p.ICMPType, p.ICMPCode = wire.Addr{}, 0, 0
		}
		if p.Kind != wire.TCP {
			p.Checksum, p.Flags, p.Ack = 0, 0, 0
		}
		if p.Kind == wire.DNS {
			p.Seq = 0
		}
	}
	if !equal(&fast, &slow) {
		t.Fatalf("fast %+v\nslow %+v", fast, slow)
	}
	return of
}

func equal(a, b *wire.Packet) bool {
	return a.Src == b.Src && a.Dst == b.Dst && a.SrcPort == b.SrcPort && a.DstPort == b.DstPort &&
		a.Kind == b.Kind && a.Flags == b.Flags &&
		a.V6 == b.V6 && a.Tags == b.Tags && a.Seq == b.Seq && a.Ack == b.Ack && a.Sum == b.Sum &&
		a.VLAN == b.VLAN && a.Tunnel == b.Tunnel &&
		a.MAC == b.MAC && a.To == b.To && a.TTL == b.TTL && a.Checksum == b.Checksum &&
		a.Stamp == b.Stamp && a.Stamped == b.Stamped && a.Urgent == b.Urgent &&
		a.Signed == b.Signed && a.Len == b.Len && a.Wire == b.Wire
}

// TestShortcutsAgree uses the frames of the table and similar frames: with one or two bytes
// changed, cut, or longer on the wire than captured.
func TestShortcutsAgree(t *testing.T) {
	d := decoder()
	rng := rand.New(rand.NewPCG(1, 2))
	var seen [wire.Outcomes]int
	seeds := [][]byte{
		Frame(eth, ip4, TCP{SrcPort: 443, DstPort: 40000, Flags: ACK}, Text("hello")),
		Frame(eth, ip6, TCP{SrcPort: 443, DstPort: 40000, Flags: ACK}, Text("hello")),
		Frame(eth, VLAN{ID: 7}, ip4, TCP{SrcPort: 443, DstPort: 40000, Flags: SYN}),
		Frame(eth, VLAN{ID: 7}, VLAN{ID: 7}, ip6, UDP{SrcPort: 443, DstPort: 40000}, Text("hello")),
	}
	stamp := []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}
	for _, l := range []TCP{syn, data, {SrcPort: 40000, DstPort: 25, Flags: ACK, Options: stamp},
		{SrcPort: 25, DstPort: 40000, Flags: SYN | ACK, Options: stamp},
		{SrcPort: 25, DstPort: 40000, Flags: ACK | URG, Urgent: 3}} {
		seeds = append(seeds, Frame(eth, ip4, l, Text("urgent")), Frame(eth, ip6, l, Text("text")),
			Frame(eth, VLAN{ID: 7}, ip4, l, Text("hello")), Frame(eth, VLAN{ID: 7}, ip6, l))
	}
	for _, c := range decodes {
		if c.link == frame.Ethernet {
			seeds = append(seeds, c.frame)
		}
	}
	for _, v := range Variants() {
		seeds = append(seeds, v.Frames...)
	}
	rounds := 1000
	if testing.Short() {
		rounds = 50
	}
	for _, seed := range seeds {
		seen[sameWays(t, d, frame.Ethernet, seed, 0)]++
		for range rounds {
			data := bytes.Clone(seed)
			for range rng.IntN(3) {
				if len(data) > 0 {
					data[rng.IntN(len(data))] = byte(rng.Uint32())
				}
			}
			if rng.IntN(3) == 0 {
				data = data[:rng.IntN(len(data)+1)]
			}
			seen[sameWays(t, d, frame.Ethernet, data, len(data)+rng.IntN(3)*rng.IntN(40))]++
		}
	}
	for _, o := range []wire.Outcome{wire.Mail, wire.OtherTCP, wire.OtherSYN, wire.OtherUDP,
		wire.DNSMessage, wire.BadIPLength, wire.ShortTCP, wire.BadTCPFlags, wire.BadTCPOffset,
		wire.Truncated, wire.BadAddress} {
		if seen[o] == 0 {
			t.Errorf("no frame was %s", o)
		}
	}
}
