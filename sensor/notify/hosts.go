package notify

import (
	"math"
	"math/bits"
)

// hostCount counts different hosts in 8 KiB, by linear counting: each host sets one of 65,536 bits,
// and the number of bits that are zero gives the number of hosts (Whang, Vander-Zanden and Taylor,
// 1990). Up to a few hundred hosts the count is exact, of 10,000 it is off by about 0.5 %.
type hostCount []byte

const hostBits = 1 << 16

func (h *hostCount) add(host string) {
	if len(*h) != hostBits/8 {
		*h = make([]byte, hostBits/8)
	}
	bit := mix(hash([]byte(host))) % hostBits
	(*h)[bit/8] |= 1 << (bit % 8)
}

// mix spreads the bits of an FNV hash: those of short texts differ in few places (splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// count estimates the number of hosts.
func (h hostCount) count() int {
	set := 0
	for _, b := range h {
		set += bits.OnesCount8(b)
	}
	zero := max(hostBits-set, 1)
	return int(math.Round(-hostBits * math.Log(float64(zero)/hostBits)))
}
