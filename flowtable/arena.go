package flowtable

import (
	"runtime"
	"sync"
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
// arena is freed. pages is told of its memory.
func slice[T any](a *arena, pages *pages, n int) []T {
	var zero T
	b, err := unix.Mmap(-1, 0, n*int(unsafe.Sizeof(zero)), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return make([]T, n) // a limit on address space: the collector's heap does as well
	}
	unix.Madvise(b, unix.MADV_NOHUGEPAGE) // only advice, like that of enlarge
	a.maps, pages.maps = append(a.maps, b), append(pages.maps, b)
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// pages is the memory of one part of the tables in all shards: an index and its entries.
//
// Look-ups in the tables are random: with pages of 4 KiB nearly every look-up also misses the
// processor's cache of page addresses (TLB), so a table in use is on huge pages where the system
// has them. But a huge page takes 2 MiB once a byte of it is written, and the parts of 16 shards
// take 64 MB before they hold anything. So pages are small until one shard has used some of them:
// a capture with little mail in it takes 35 MB instead of 91.
type pages struct {
	maps [][]byte
	once sync.Once
}

// smallBytes is how much of its entries a shard uses before the memory goes to huge pages.
const smallBytes = 128 << 10

// enlarge puts the memory on huge pages, and what is in use of it at once: a shard's part of an
// index is smaller than a huge page, and the system would not do so later by itself. Without
// MADV_COLLAPSE, which Linux has since 6.1, a flood of SYNs takes 20 to 30 % longer.
func (p *pages) enlarge() {
	p.once.Do(func() {
		for _, b := range p.maps {
			unix.Madvise(b, unix.MADV_HUGEPAGE)
			unix.Madvise(b, unix.MADV_COLLAPSE)
		}
	})
}

// smallEntries is how many entries of a size take smallBytes.
func smallEntries[E any]() uint32 {
	var e E
	return uint32(smallBytes / unsafe.Sizeof(e))
}

// freeWith frees the arena when nothing refers to owner any more.
func freeWith[T any](a *arena, owner *T) {
	runtime.AddCleanup(owner, func(maps [][]byte) {
		for _, b := range maps {
			unix.Munmap(b)
		}
	}, a.maps)
}
