package recipients

import "testing"

// TestStep checks at how many unknown recipients the test decides, and how it goes back.
func TestStep(t *testing.T) {
	const alpha = 0.001
	var all Test
	n := 0
	for ; !all.Proved; n++ {
		all.Step(true, alpha)
	}
	if n != 4 { // ln(999) / ln(6)
		t.Errorf("%d unknown recipients in a row decide", n)
	}
	for ; all.Proved; n++ {
		all.Step(false, alpha)
	}
	if n < 40 || n > 60 {
		t.Errorf("%d recipients until the decision is taken back", n)
	}
	var honest Test
	for i := range 1000 {
		if honest.Step(i%20 == 0, alpha); honest.Proved {
			t.Fatalf("one in twenty is proved after %d", i)
		}
	}
	other := honest
	other.Merge(&all, alpha)
	if other.Recipients != honest.Recipients+all.Recipients || other.Unknown != honest.Unknown+all.Unknown || honest.Share() != 0.05 {
		t.Errorf("%+v", other)
	}
}
