package wire_test

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
	"spamsensor/sensor/wire/wiretest"
)

// TestMutatedFrames changes, cuts and joins bytes of frames of every kind: the decoder, with
// fragments and without, never panics and never takes long.
func TestMutatedFrames(t *testing.T) {
	frames, seed := 1_000_000, uint64(4)
	if os.Getenv("SPAMSENSOR_LONG") != "" {
		frames, seed = 100_000_000, uint64(time.Now().UnixNano())
	}
	type sample struct {
		link frame.LinkType
		data []byte
	}
	var samples []sample
	for _, c := range decodes {
		samples = append(samples, sample{c.link, c.frame})
	}
	for _, v := range wiretest.Variants() {
		for _, f := range v.Frames {
			samples = append(samples, sample{frame.Ethernet, f})
		}
	}
	links := []frame.LinkType{frame.Null, frame.Ethernet, frame.PPP, frame.Raw, frame.PPPHDLC,
		frame.CiscoHD, frame.Loop, frame.SLL, frame.SLL2,
		frame.PPPEther, frame.WLAN, frame.PFLog, frame.Radiotap, frame.PPI, frame.NFLog}
	rng := rand.New(rand.NewPCG(seed, 4))
	d, joins := decoder(), newJoiner()
	var p wire.Packet
	var got [wire.Outcomes]int
	buf := make([]byte, 0, 4096)
	began := time.Now()
	for range frames {
		s := samples[rng.IntN(len(samples))]
		buf = append(buf[:0], s.data...)
		if rng.IntN(16) == 0 {
			buf = append(buf[:rng.IntN(len(buf)+1)], samples[rng.IntN(len(samples))].data...)
		}
		for n := rng.IntN(1 + len(buf)/8); n > 0; n-- {
			buf[rng.IntN(len(buf))] = byte(rng.Uint32())
		}
		if rng.IntN(4) == 0 {
			buf = buf[:rng.IntN(len(buf)+1)]
		}
		if rng.IntN(32) == 0 {
			s.link = links[rng.IntN(len(links))]
		}
		length := len(buf)
		if rng.IntN(4) == 0 {
			length += rng.IntN(1 << 17)
		}
		joins.Decode(s.link, buf, length, &p)
		o := d.Decode(s.link, buf, length, &p)
		got[o]++
		if o <= wire.DNSSegment && int(p.Len) < len(p.Payload) {
			t.Fatalf("%d bytes of %d: link type %d, %x", len(p.Payload), p.Len, s.link, buf)
		}
	}
	took := time.Since(began)
	kinds := 0
	for _, n := range got {
		if n > 0 {
			kinds++
		}
	}
	if kinds < 25 || got[wire.Mail] < frames/100 {
		t.Errorf("only %d outcomes, %d segments of %d frames", kinds, got[wire.Mail], frames)
	}
	t.Logf("R4: %d mutated frames (seed %d), %d outcomes, no panic, %.0f ns for both ways with "+
		"the mutation (goal 100 million at a release, 0)", frames, seed, kinds,
		float64(took)/float64(frames))
}
