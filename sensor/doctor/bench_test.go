package doctor

import "testing"

// BenchmarkAdd examines frames of an office.
func BenchmarkAdd(b *testing.B) {
	list := plain(dayOf(12, true))
	e := newExam(asFile())
	b.ReportAllocs()
	for i := range b.N {
		e.add(&list[i%len(list)])
	}
}
