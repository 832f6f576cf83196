package flowtable

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// arena is memory for the tables outside the garbage collector's heap. The collector never scans it
// and, which matters more, does not let the rest of the program's memory grow by as much again
// before it collects. The system assigns pages when they are first written to.
type arena struct {
	maps [][]byte
}

// slice makes a slice of n zero elements, whose type must hold no pointers. It is valid until the
// arena is freed.
//
// Look-ups in the tables are random: with pages of 4 KiB nearly every look-up also misses the
// processor's cache of page addresses (TLB), so the tables are on huge pages where the system has
// them.
func slice[T any](a *arena, n int) []T {
	var zero T
	b, err := unix.Mmap(-1, 0, n*int(unsafe.Sizeof(zero)), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return make([]T, n) // a limit on address space: the collector's heap does as well
	}
	unix.Madvise(b, unix.MADV_HUGEPAGE) // only advice: an error changes the speed alone
	a.maps = append(a.maps, b)
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// freeWith frees the arena when nothing refers to owner any more.
func freeWith[T any](a *arena, owner *T) {
	runtime.AddCleanup(owner, func(maps [][]byte) {
		for _, b := range maps {
			unix.Munmap(b)
		}
	}, a.maps)
}
