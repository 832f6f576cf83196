package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"syscall"
	"time"
)

// # Reading a history
//
// bbolt trusts its file: on a damaged one it panics, returns other rows than were written, or never
// returns. So bbolt only writes, and only into a file that was checked. This file reads the rows.
// It reads each page once and stays within its bounds. A damaged page or row has no effect on
// others.
//
// The format, version 2, in the byte order of the machine: a file is a sequence of pages, with a
// head of 16 bytes (number 8, kind 2, count 2, number of further pages that belong to it 4). Pages
// 0 and 1 hold a meta block each; the valid one with the higher transaction is current:
//
//	magic 4, version 4, page size 4, flags 4, root page 8, sequence 8, page of free pages 8,
//	number of pages 8, transaction 8, FNV-1a of all before 8
//
// A branch page holds elements of offset 4, length of the key 4, page 8; a leaf page elements of
// flags 4, offset 4, length of the key 4, length of the value 4; offsets count from the element. A
// leaf's element with the flag 1 is a bucket: its value is a root page 8 and a sequence 8; if the
// root is zero, a page follows them.
const (
	pageHead   = 16
	branchPage = 1
	leafPage   = 2
	freePage   = 16
	magic      = 0xED0CDAED

	// maxDepth is more than the depth of a tree of 2^63 pages. maxRun bounds the further pages of a
	// page of rows.
	maxDepth, maxRun = 64, 256
)

var errNoHistory = errors.New("it is no history, or its head is damaged")

// tree is a file of bbolt that is open for reading.
type tree struct {
	f           *os.File
	pageSize    int64
	pages       uint64 // number of pages
	root        uint64
	freeList    uint64          // page of the list of free pages
	oneHead     bool            // the other meta block is damaged
	noHead      bool            // both are
	seen        map[uint64]bool // pages that were read
	damage      []string        // the first three faults
	damageCount int             // number of faults
}

// openTree opens a file for reading. It waits for a writer that has locked the file, at most for
// the given time. It refuses other than regular files without opening them.
func openTree(name string, wait time.Duration) (*tree, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	t := &tree{f: f, seen: map[uint64]bool{}}
	for end := time.Now().Add(wait); ; time.Sleep(20 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(end) {
			f.Close()
			return nil, errBusy
		}
	}
	if err := t.head(); err != nil {
		f.Close()
		return nil, err
	}
	return t, nil
}

func (t *tree) close() { t.f.Close() }

// addDamage records a fault.
func (t *tree) addDamage(format string, args ...any) {
	if t.damageCount++; len(t.damage) < 3 {
		t.damage = append(t.damage, fmt.Sprintf(format, args...))
	}
}

// head reads the meta blocks.
func (t *tree) head() error {
	info, err := t.f.Stat()
	if err != nil {
		return err
	}
	order := binary.NativeEndian
	best, good := uint64(0), 0
	for i := range 2 {
		b := make([]byte, pageHead+64)
		size := int64(os.Getpagesize())
		if good > 0 {
			size = t.pageSize
		}
		// The second block is behind the first one's page, whose size is known only from a valid
		// block.
		sizes := []int64{size, 4096, 8192, 16384, 65536}
		if i == 0 {
			sizes = sizes[:1]
		}
		for _, size := range sizes {
			if _, err := t.f.ReadAt(b, int64(i)*size); err != nil {
				continue
			}
			m := b[pageHead:]
			sum := fnv.New64a()
			sum.Write(m[:56])
			page := int64(order.Uint32(m[8:]))
			if order.Uint32(m) != magic || order.Uint32(m[4:]) != 2 ||
				order.Uint64(m[56:]) != sum.Sum64() || page < 1024 || page > 1<<20 ||
				i == 1 && page != size {
				continue
			}
			good++
			if tx := order.Uint64(m[48:]); good == 1 || tx > best {
				best, t.pageSize, t.root = tx, page, order.Uint64(m[16:])
				t.freeList, t.pages = order.Uint64(m[32:]), order.Uint64(m[40:])
			}
			break
		}
	}
	if good == 0 {
		t.noHead, t.pageSize, t.pages = true, int64(os.Getpagesize()), math.MaxUint64
		t.addDamage("both heads are damaged")
	}
	t.oneHead = good == 1
	t.pages = min(t.pages, uint64(info.Size()/t.pageSize))
	return nil
}

// page reads a page that was not yet read, with the further pages that belong to it; nil if that is
// not possible.
func (t *tree) page(n uint64) []byte {
	if n < 2 || n >= t.pages || t.seen[n] {
		t.addDamage("page %d of %d is not there, or is in two places", n, t.pages)
		return nil
	}
	t.seen[n] = true
	b := make([]byte, t.pageSize)
	if _, err := t.f.ReadAt(b, int64(n)*t.pageSize); err != nil {
		t.addDamage("page %d cannot be read: %v", n, err)
		return nil
	}
	order := binary.NativeEndian
	more := uint64(order.Uint32(b[12:]))
	if order.Uint64(b) != n || more >= t.pages-n || more > maxRun &&
		order.Uint16(b[8:]) != freePage {
		t.addDamage("page %d is damaged", n)
		return nil
	}
	for i := range more {
		if t.seen[n+1+i] {
			t.addDamage("page %d is in two places", n+1+i)
			return nil
		}
		t.seen[n+1+i] = true
	}
	if more > 0 {
		b = append(b, make([]byte, int64(more)*t.pageSize)...)
		if _, err := t.f.ReadAt(b[t.pageSize:], int64(n+1)*t.pageSize); err != nil {
			t.addDamage("page %d cannot be read: %v", n+1, err)
			return nil
		}
	}
	return b
}

// walkOrphans calls f for the elements of leaf pages to which no page refers: pages below a damaged
// one, and older pages, whose rows were written again elsewhere.
func (t *tree) walkOrphans(f func(e *element)) {
	// its faults are not reported
	u := tree{f: t.f, pageSize: t.pageSize, pages: t.pages, seen: t.seen}
	for n := uint64(2); n < u.pages; n++ {
		if u.seen[n] {
			continue
		}
		if b := u.page(n); b != nil && binary.NativeEndian.Uint16(b[8:]) == leafPage {
			u.walkPage(n, b, 0, nil, nil, f)
		}
	}
}

// element is an element of a page.
type element struct {
	key, value []byte
	child      uint64
	bucket     bool
}

// elements calls each with the elements of a page, unless the page is damaged.
func (t *tree) elements(n uint64, b []byte, each func(list []element, leaf bool)) {
	order := binary.NativeEndian
	kind, count := order.Uint16(b[8:]), int(order.Uint16(b[10:]))
	if kind != branchPage && kind != leafPage || pageHead+16*count > len(b) || kind == branchPage &&
		count == 0 {
		t.addDamage("page %d is damaged", n)
		return
	}
	list := make([]element, 0, count)
	for i := range count {
		at := pageHead + 16*i
		e := b[at : at+16]
		var x element
		var offset, key, value uint64
		if kind == branchPage {
			offset, key, x.child = uint64(order.Uint32(e)), uint64(order.Uint32(e[4:])),
				order.Uint64(e[8:])
		} else {
			x.bucket = order.Uint32(e)&1 != 0
			offset, key = uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:]))
			value = uint64(order.Uint32(e[12:]))
		}
		from := uint64(at) + offset
		if offset < 16 || from+key+value > uint64(len(b)) {
			t.addDamage("element %d of page %d is damaged", i, n)
			continue
		}
		x.key, x.value = b[from:from+key:from+key], b[from+key:from+key+value]
		list = append(list, x)
	}
	each(list, kind == leafPage)
}

// walk calls f for the elements of all leaves below page n, in order, whose keys are in [from, to];
// nil is no bound.
func (t *tree) walk(n uint64, depth int, from, to []byte, f func(e *element)) {
	if depth > maxDepth {
		t.addDamage("page %d is too deep", n)
		return
	}
	if b := t.page(n); b != nil {
		t.walkPage(n, b, depth, from, to, f)
	}
}

// walkPage is walk for a page that was read.
func (t *tree) walkPage(n uint64, b []byte, depth int, from, to []byte, f func(e *element)) {
	t.elements(n, b, func(list []element, leaf bool) {
		var last []byte
		for i := range list {
			e := &list[i]
			if i > 0 && bytes.Compare(e.key, last) <= 0 {
				t.addDamage("the keys of page %d are not in order", n)
				if !leaf { // its keys do not bound its elements
					t.walk(e.child, depth+1, nil, nil, f)
				}
				continue
			}
			last = e.key
			switch {
			case leaf:
				if bytes.Compare(e.key, from) >= 0 && (to == nil || bytes.Compare(e.key, to) <= 0) {
					f(e)
				}
			case to != nil && i > 0 && bytes.Compare(e.key, to) > 0:
			case from != nil && i+1 < len(list) && bytes.Compare(list[i+1].key, from) <= 0:
			default:
				t.walk(e.child, depth+1, from, to, f)
			}
		}
	})
}

// bucket calls f for the elements of a bucket.
func (t *tree) bucket(e *element, from, to []byte, f func(e *element)) {
	if len(e.value) < 16 {
		t.addDamage("the bucket %q is damaged", e.key)
		return
	}
	root := binary.NativeEndian.Uint64(e.value)
	switch {
	case root != 0:
		t.walk(root, 0, from, to, f)
	case len(e.value) < 16+pageHead:
		t.addDamage("the bucket %q is damaged", e.key)
	default:
		t.walkPage(0, e.value[16:], 0, from, to, f)
	}
}

// checkFree checks the list of free pages: a page with rows in it would be overwritten.
func (t *tree) checkFree() {
	if t.freeList == math.MaxUint64 { // there is none
		return
	}
	b := t.page(t.freeList)
	if b == nil {
		return
	}
	order := binary.NativeEndian
	count, at := uint64(order.Uint16(b[10:])), uint64(pageHead)
	if count == 0xffff && len(b) >= pageHead+8 {
		count, at = order.Uint64(b[pageHead:]), pageHead+8
	}
	if order.Uint16(b[8:]) != freePage || count > (uint64(len(b))-at)/8 {
		t.addDamage("the list of free pages is damaged")
		return
	}
	last := uint64(1)
	for ; count > 0; count-- {
		n := order.Uint64(b[at:])
		at += 8
		if n <= last || n >= t.pages || t.seen[n] {
			t.addDamage("page %d is free and is not", n)
			return
		}
		last = n
	}
}
