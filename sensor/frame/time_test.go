package frame

import (
	"math"
	"testing"
)

func TestTimes(t *testing.T) {
	const span = unsetSpan
	for _, c := range []struct{ record, read int64 }{{0, span}, {1, span + 1}, {span - 1, 2*span - 1},
		{2 * span, 2 * span}, {1e18, 1e18}, {math.MaxInt64, math.MaxInt64}, {-1, -1}, {math.MinInt64, math.MinInt64}} {
		if got := ReadTime(c.record); got != c.read || ShownTime(got) != c.record {
			t.Errorf("%d is read as %d, want %d; shown as %d", c.record, got, c.read, ShownTime(got))
		}
	}
	if span%(7*24*3600*1e9) != 0 {
		t.Error("days of the week are moved")
	}
}
