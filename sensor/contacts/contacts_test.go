package contacts

import "testing"

const (
	begin = int64(1.7e18)
	alpha = 1e-4
)

// TestDecision follows the test through results: f is a first contact whose SYN is sent again, r
// one that is refused, a one that is answered, l an answer to the latest f.
func TestDecision(t *testing.T) {
	for _, c := range []struct {
		results        string
		want           Decision
		failed, worked int
	}{
		{"", None, 0, 0},
		{"ffff", Undecided, 4, 0},
		{"frfrf", Partial, 5, 0},
		{"rrrrrr", Partial, 6, 0},
		{"rrrrrrr", Fails, 7, 0},
		{"rrrrrra", Undecided, 6, 1},
		{"ffffffl", Undecided, 5, 1},
		{"arrrrrrrrr", Fails, 9, 1},           // a success takes back no more than one failure
		{"aaaarrrrrrrrrrr", Undecided, 11, 4}, // a third of the failures is too much
	} {
		var x Test
		var d Decision
		for i, r := range c.results {
			addr := uint32(i + 1)
			x.Begin(addr, begin)
			switch r {
			case 'f':
				d = x.Retransmitted(addr, alpha)
				if again := x.Retransmitted(addr, alpha); again != None {
					t.Errorf("%s: a second retransmission counts", c.results)
				}
			case 'r':
				d = x.Refused(addr, alpha)
			case 'a':
				d = x.Answered(addr, alpha)
			case 'l':
				d = x.Answered(addr-1, alpha)
			}
		}
		if d != c.want || x.Failed() != c.failed || x.Worked() != c.worked {
			t.Errorf("%s: decision %d, %d failed, %d worked", c.results, d, x.Failed(), x.Worked())
		}
	}
}

// TestExpire: a contact without an answer is no result, unless the capture shows no answers at all.
func TestExpire(t *testing.T) {
	for _, seen := range []bool{false, true} {
		var x Test
		x.Begin(1, begin)
		x.Begin(2, begin)
		x.Retransmitted(2, alpha)
		results := 0
		for _, after := range []int64{AnswerTime - second, AnswerTime, lateTime} {
			for range x.Expire(alpha, seen, begin+after) {
				results++
			}
		}
		want := map[bool]int{false: 1}[seen]
		if results != want || x.HasPending() || x.Failed() != 1 {
			t.Errorf("answers seen %v: %d results, %d failed", seen, results, x.Failed())
		}
	}
}

// TestPlaces: a contact that finds no place is left out, and one that ended frees its place.
func TestPlaces(t *testing.T) {
	var x Test
	for i := range uint32(20) {
		x.Begin(i+1, begin)
	}
	if d := x.Answered(17, alpha); d != None {
		t.Errorf("the 17th contact counts: %d", d)
	}
	x.Answered(16, alpha)
	x.Begin(21, begin)
	if d := x.Answered(21, alpha); d == None {
		t.Error("a free place is not used")
	}
}

// TestSaved: a test goes on after a restart, without the contacts that waited.
// What a mail client guesses is no contact; what has failed stays.
func TestDrop(t *testing.T) {
	var s Test
	for i := range uint32(20) {
		s.Begin(i, begin)
		s.Drop(i)
		if d := s.Retransmitted(i, alpha); d != None {
			t.Errorf("guess %d: %v", i, d)
		}
	}
	s.Begin(50, begin)
	s.Retransmitted(50, alpha)
	if s.Drop(50); s.Failed() != 1 || !s.HasPending() {
		t.Errorf("%d failed", s.Failed())
	}
}

func TestSaved(t *testing.T) {
	var a, b Test
	var p, q Ports
	for i := range uint32(6) {
		a.Begin(i, begin)
		a.Refused(i, alpha)
		p.Of(25).Refused++
	}
	a.Begin(7, begin)
	d := Save(&a, &Share{}, &p)
	d.Restore(&b, &Share{}, &q)
	if p != q || b.HasPending() || b.Failed() != 6 {
		t.Errorf("%+v, %+v", b, q)
	}
	b.Begin(8, begin)
	if d := b.Refused(8, alpha); d != Fails {
		t.Errorf("the seventh failure: decision %d", d)
	}
}
