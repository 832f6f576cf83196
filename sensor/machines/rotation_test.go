package machines

import (
	"testing"

	"spamsensor/sensor/sources"
)

// The number of rotations is bounded.
func TestRotationsAreBounded(t *testing.T) {
	var m Tracker
	for i := range 3 * maxRotations {
		v := sources.BriefSender{End: int64(1 + i)}
		v.Source.Addr[13], v.Source.Addr[14] = byte(i>>8), byte(i)
		m.rotation(&v).end = v.End
	}
	if len(m.rotations) != maxRotations || m.forgotten.Load() != 2*maxRotations {
		t.Errorf("%d rotations, %d forgotten", len(m.rotations), m.forgotten.Load())
	}
}
