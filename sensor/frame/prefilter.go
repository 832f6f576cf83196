package frame

// Classes bounds the classes of a Prefilter.
const Classes = 64

// Prefilter decides, from the captured bytes and the length on the wire alone, which frames of a
// file are skipped. Several goroutines use it at once.
type Prefilter struct {
	// Skip reports whether a frame can be skipped, and the class under which it is counted, which
	// is below Classes. Required.
	Skip func(link LinkType, data []byte, wire int) (class uint8, skip bool)
	// Usual says what Skip returns for the usual frame, so that the reader need not call it. Nil
	// means that the reader calls Skip for each frame.
	Usual *UsualFrames
}

// UsualFrames says what a Prefilter does with the usual frame: untagged Ethernet, an IPv4 header of
// five words without a fragment or an IPv6 header without extensions, at least 20 bytes behind it
// by its length and no more than the frame holds, TCP or UDP. Without one of Ports the frame is
// skipped. A frame of IPv4 and TCP with one is not; about the others with one Skip decides.
type UsualFrames struct {
	Ports         PortSet
	TCP, SYN, UDP uint8 // the classes of skipped frames; SYN is without ACK
}

// PortSet is a set of ports.
type PortSet [65536 / 64]uint64

// Add adds ports to the set.
func (s *PortSet) Add(ports ...uint16) {
	for _, p := range ports {
		s[p/64] |= 1 << (p % 64)
	}
}

// Has reports whether the set has a port.
func (s *PortSet) Has(p uint16) bool { return s[p/64]>>(p%64)&1 != 0 }

// HasEither reports whether the set has the upper or the lower half of ports: both ports of a TCP
// or UDP header are read at once.
func (s *PortSet) HasEither(ports uint32) bool {
	return s[ports>>22]>>(ports>>16%64)&1 != 0 || s[ports>>6%1024]>>(ports%64)&1 != 0
}
