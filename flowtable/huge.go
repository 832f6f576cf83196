package flowtable

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugeSlice makes a slice of n elements without pointers on huge pages where the system
// has them. The tables are looked up at random: with pages of 4 KiB nearly every look-up
// also misses the processor's cache of page addresses.
func hugeSlice[T any](n int) []T {
	s := make([]T, n)
	size := uintptr(n) * unsafe.Sizeof(s[0])
	const small = 4 << 20 // below that there is nothing to gain
	if size < small {
		return s
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), size)
	skip := -uintptr(unsafe.Pointer(&s[0])) & 4095
	unix.Madvise(b[skip:(size-skip)&^4095], unix.MADV_HUGEPAGE) // an advice: whether it is taken makes no difference to the result
	return s
}
