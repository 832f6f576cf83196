package track

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"spamsensor/flowtable"
	"spamsensor/sensor/wire"
)

// TestRow makes rows of packets of all kinds, and packets of the rows: nothing is lost.
func TestRow(t *testing.T) {
	if n := unsafe.Sizeof(Row{}); n != 64 {
		t.Errorf("a row takes %d bytes, not a line", n)
	}
	rng := rand.New(rand.NewPCG(6, 7))
	secret := flowtable.NewSecret()
	s := Side{Secret: &secret}
	s.Clear()
	var k flowtable.Key
	for i := range 50_000 {
		w := wire.Packet{SrcPort: uint16(rng.Uint32()), DstPort: 25, Kind: wire.Kind(1 + rng.IntN(3)),
			Flags: wire.Flags(rng.IntN(256)), Seq: rng.Uint32(), Ack: rng.Uint32(), Sum: rng.Uint32(),
			Len: uint32(rng.IntN(9)), TTL: uint8(63 + rng.IntN(3)), Tags: uint8(rng.IntN(4)),
			Checksum: wire.Checksum(rng.IntN(4)), Stamp: rng.Uint32(), Stamped: rng.IntN(2) == 0,
			Signed: rng.IntN(2) == 0}
		w.VLAN[0], w.VLAN[1] = uint16(rng.IntN(2)), uint16(rng.IntN(2))
		w.MAC[rng.IntN(6)], w.To[rng.IntN(6)] = byte(rng.IntN(3)), byte(rng.IntN(3))
		w.Payload = make([]byte, rng.IntN(int(w.Len)+1))
		if w.Flags.Has(wire.URG) {
			w.Urgent = uint16(rng.Uint32())
		}
		scope := flowtable.NewScope(i%3 == 0, uint32(i%5)&^1)
		if i%3 == 0 {
			w.Src[0], w.Dst[1] = byte(i), byte(i>>8)
		} else {
			w.Src[10], w.Src[11], w.Dst[10], w.Dst[11] = 255, 255, 255, 255
		}
		w.Src[12], w.Dst[15] = byte(i>>4), byte(i)
		toServer, input := rng.IntN(2) == 0, uint16(rng.IntN(2))
		r := Row{ClientHash: rng.Uint64(), Time: rng.Int64()}
		s.Fill(&r, &w, input, toServer, scope)

		want := Packet{ClientHash: r.ClientHash, Time: r.Time, Seq: w.Seq, Ack: w.Ack, Sum: w.Sum,
			Len: w.Len, Stamp: w.Stamp, VLAN: [2]uint16(w.VLAN[:2]), Input: input, MAC: w.MAC,
			Urgent: w.Urgent, Checksum: w.Checksum, Flags: w.Flags, Kind: w.Kind,
			Tags: min(2, w.Tags), TTL: w.TTL, ToServer: toServer, Stamped: w.Stamped,
			Signed: w.Signed}
		from, to := s.hash(address(&w.MAC)), s.hash(address(&w.To))
		if want.ClientLink, want.PeerLink = from, to; !toServer || w.Kind == wire.ICMPError {
			want.ClientLink, want.PeerLink = to, from
		}
		if want.Key.Set(&w.Src, &w.Dst, w.SrcPort, w.DstPort, scope); !toServer {
			want.Key.Set(&w.Dst, &w.Src, w.DstPort, w.SrcPort, scope)
		}
		want.FlowHash = secret.HashFlow(r.ClientHash, &want.Key)
		got := Packet{Urgent: 7, Signed: true}
		s.Expand(&got, &r, s.FlowHash(&r))
		if s.Key(&k, &r); got != want || k != want.Key || r.IsSYN() != want.IsSYN() {
			t.Fatalf("packet %d\n got %+v\nwant %+v", i, got, want)
		}
		if got := s.Captured(&r); int(got) != len(w.Payload) {
			t.Fatalf("packet %d: %d bytes were captured, not %d", i, got, len(w.Payload))
		}
		if (from == 0) != (w.MAC == [6]byte{}) {
			t.Fatalf("the hash of %x is %d", w.MAC, from)
		}
		if i%1000 == 0 {
			s.Clear()
		}
	}
}

// TestHashClient checks that a hash that is kept is the right one.
func TestHashClient(t *testing.T) {
	secret := flowtable.NewSecret()
	s := Side{Secret: &secret}
	rng := rand.New(rand.NewPCG(8, 9))
	for range 100_000 {
		a := flowtable.Addr{10: 255, 11: 255}
		a[12], a[13] = byte(rng.IntN(256)), byte(rng.IntN(16))
		scope := flowtable.Scope(rng.IntN(4))
		if got, want := s.HashClient(&a, scope), secret.HashAddr(&a, scope); got != want {
			t.Fatalf("%v: %x, want %x", a, got, want)
		}
	}
}
