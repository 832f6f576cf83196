package detect

import (
	"testing"
	"unsafe"
)

// TestProfileSize: a profile takes about nine kilobytes however much the source does, unless there
// is a budget for more.
func TestProfileSize(t *testing.T) {
	s := newScene().tries(100_000, 25, 0.01, true)
	n := int(unsafe.Sizeof(s.p)) + 4*(s.p.addrs.Words()+s.p.nets.Words()+s.p.heloNames.distinct.Words()+s.p.envelope.distinct.Words())
	if n > 9<<10 {
		t.Errorf("%d bytes, of which %d are the host itself", n, unsafe.Sizeof(s.p))
	}
	if got := s.p.nets.Len(); got < 50_000 {
		t.Errorf("%d of 100,000 networks", got)
	}
}
