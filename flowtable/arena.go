package flowtable

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// arena is memory for the tables that the collector does not know. It never has to look
// there, and, what counts more, it does not let the rest of the program's memory grow by as much
// again before it collects. Pages are taken when they are first written to.
type arena struct {
	maps [][]byte
}

// slice makes a slice of n zero elements, whose type must hold no pointers. It is good as long as
// the arena is not freed.
//
// The tables are looked up at random: with pages of 4 KiB nearly every look-up also misses the
// processor's cache of page addresses, so they are on huge pages where the system has them.
func slice[T any](a *arena, n int) []T {
	var zero T
	b, err := unix.Mmap(-1, 0, n*int(unsafe.Sizeof(zero)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return make([]T, n) // a limit on addresses: the collector's memory does as well
	}
	unix.Madvise(b, unix.MADV_HUGEPAGE) // an advice: whether it is taken makes no difference to the result
	a.maps = append(a.maps, b)
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// freeWith frees the arena when nothing points to owner any more.
func freeWith[T any](a *arena, owner *T) {
	runtime.AddCleanup(owner, func(maps [][]byte) {
		for _, b := range maps {
			unix.Munmap(b)
		}
	}, a.maps)
}
