package wire

import "hash/maphash"

const (
	maxDatagrams = 4096
	// fewRuns is how many stretches of a datagram may stand apart in its own place. Fragments in
	// their order make one of any number.
	fewRuns = 8
	// maxRuns is how many they may be in a place for scattered ones, of which there are
	// maxScattered: the bytes that one Ethernet frame would have carried, in fragments of eight
	// bytes and in any order, are fewer.
	maxRuns, maxScattered = 192, 64
	// fragmentLife is how long a datagram is waited for.
	fragmentLife = 5e9
	// keptBytes of a datagram are kept: what one Ethernet frame would have carried. What
	// lies behind is known to be there, and counts as cut by the capture.
	keptBytes = 1536
)

// Fragments joins IP fragments that can hold TCP. The zero value is ready; memory is taken
// when the first fragment comes, 7 MB, and 100 KB when the first is scattered, and never more.
//
// It decides as a Linux kernel does (inet_frag_queue_insert in net/ipv4/inet_fragment.c): an
// exact copy of what is there is ignored, any other overlap ends the datagram (RFC 5722),
// and so does a length that contradicts another fragment.
//
// When all places are taken the oldest datagram makes room; for one that is scattered the oldest of
// those. Nothing expires because of
// the time of one frame alone, which may be wrong: see Expire.
type Fragments struct {
	// Now is the time of the frame in hand, in nanoseconds.
	Now int64
	// Waiting is how many datagrams are not whole yet, Expired how many took too long, Evicted
	// how many had to make room.
	Waiting, Expired, Evicted uint64

	seed  maphash.Seed
	slots []datagram // number zero is nobody
	bytes []byte
	heads [maxDatagrams]uint16 // of the chains, by hash
	free  uint16               // chained by next
	// The oldest and the newest datagram.
	oldest, newest uint16
	scattered      *[maxScattered]scatter
}

// run is a stretch of bytes that came in fragments one behind the other.
type run struct{ start, end int32 }

// scatter has the runs of a datagram that has many.
type scatter struct {
	owner uint16 // of slots, zero is nobody
	runs  [maxRuns]run
}

// fragmentKey is what the fragments of a datagram have in common.
type fragmentKey struct {
	src, dst Addr
	id       uint32
	v6       bool
}

// datagram is what is known of one datagram.
type datagram struct {
	key          fragmentKey
	born         int64
	next         uint16 // in the chain
	older, newer uint16
	few          [fewRuns]run
	n            uint8 // runs
	last         uint8 // the run that reaches farthest
	scattered    uint8 // where its runs are, one more than the place in Fragments.scattered; zero is few
	ecn          uint8 // codepoints seen, a bit for each
	proto        uint8 // what the first fragment says is behind it
	end          bool  // the last fragment is there
	length       int32 // as far as it is known
	have         int32 // bytes that came
	captured     int32 // bytes from the beginning that were captured
}

// fragment is one of them.
type fragment struct {
	key    fragmentKey
	offset int
	data   []byte // captured
	cut    int    // bytes that were not
	more   bool
	ecn    uint8 // 0 to 3
	proto  uint8
}

// join takes in a fragment. If that made a datagram whole its bytes are given, valid until the
// next call: cut more were not captured. Mail stands for that.
func (f *Fragments) join(x *fragment) (whole []byte, cut int, d *datagram, o Outcome) {
	if f.slots == nil {
		f.init()
	}
	hash := maphash.Comparable(f.seed, x.key) % maxDatagrams
	i := f.find(hash, &x.key)
	if i != 0 && (f.Now-f.slots[i].born > fragmentLife || f.slots[i].born-f.Now > fragmentLife) {
		f.remove(i)
		f.Expired++
		i = 0
	}
	if i == 0 {
		i = f.add(hash, &x.key)
	}
	d = &f.slots[i]
	if o := f.insert(i, x); o != Mail {
		if o.Refused() {
			f.remove(i)
		}
		return nil, 0, nil, o
	}
	mine := f.bytes[int(i)*keptBytes:][:keptBytes]
	if x.offset < keptBytes {
		copy(mine[x.offset:], x.data)
	}
	if !d.end || d.have != d.length {
		return nil, 0, nil, TCPFragment
	}
	f.remove(i) // the memory stays until the place is taken again
	// Longer than a packet can be, or congestion marks on a packet that takes none
	// (RFC 3168, section 5.3).
	if d.length+20 > 0xffff || d.ecn&1 != 0 && d.ecn != 1 {
		return nil, 0, nil, BadFragment
	}
	n := min(int(d.captured), int(d.length), keptBytes)
	return mine[:n:n], int(d.length) - n, d, Mail
}

// insert notes a fragment. TCPFragment says that it is there already.
func (f *Fragments) insert(i uint16, x *fragment) Outcome {
	d := &f.slots[i]
	if odd := (len(x.data) + x.cut) % 8; x.more && odd != 0 {
		// Linux cuts such an IPv4 fragment; one of IPv6 is refused before.
		x.data = x.data[:max(0, len(x.data)-max(0, odd-x.cut))]
		x.cut = max(0, x.cut-odd)
	}
	start, end := int32(x.offset), int32(x.offset+len(x.data)+x.cut)
	switch {
	case !x.more && (end < d.length || d.end && end != d.length), x.more && d.end && end > d.length, end == start:
		return BadFragment // behind the end, another end, or nothing
	}
	if o := f.place(i, start, end); o != Mail {
		return o
	}
	d.end = d.end || !x.more
	d.length = max(d.length, end)
	d.have += end - start
	d.ecn |= 1 << x.ecn
	if start == 0 {
		d.proto = x.proto
	}
	if x.cut > 0 {
		d.captured = min(d.captured, start+int32(len(x.data)))
	}
	return Mail
}

// runs are those of a datagram, and room for more.
func (f *Fragments) runs(d *datagram) []run {
	if d.scattered > 0 {
		return f.scattered[d.scattered-1].runs[:]
	}
	return d.few[:]
}

// place finds room for a stretch among the runs of a datagram. Like Linux it joins runs only where
// a fragment follows the farthest one: a copy is one that lies in a single run.
func (f *Fragments) place(i uint16, start, end int32) Outcome {
	d := &f.slots[i]
	runs := f.runs(d)
	if d.n > 0 {
		tail := &runs[d.last]
		switch {
		case end > tail.end && start < tail.end:
			return FragmentOverlap
		case end > tail.end && start == tail.end:
			tail.end = end
			return Mail
		}
	}
	for _, r := range runs[:d.n] { // at most maxRuns
		switch {
		case end <= r.start || start >= r.end:
		case start >= r.start && end <= r.end:
			return TCPFragment
		default:
			return FragmentOverlap
		}
	}
	if int(d.n) == len(runs) {
		if d.scattered > 0 {
			return TooManyFragments
		}
		runs = f.scatter(i)
	}
	runs[d.n] = run{start, end}
	if end > runs[d.last].end || d.n == 0 {
		d.last = d.n
	}
	d.n++
	return Mail
}

// scatter moves the runs of a datagram to where there is room for more. It has the oldest of those
// that are there make room, if need be.
func (f *Fragments) scatter(i uint16) []run {
	if f.scattered == nil {
		f.scattered = new([maxScattered]scatter)
	}
	at := 0
	for j := range f.scattered {
		owner := f.scattered[j].owner
		if owner == 0 {
			at = j
			break
		}
		if f.slots[owner].born < f.slots[f.scattered[at].owner].born {
			at = j
		}
	}
	s := &f.scattered[at]
	if s.owner != 0 {
		f.remove(s.owner)
		f.Evicted++
	}
	d := &f.slots[i]
	s.owner, d.scattered = i, uint8(at+1)
	copy(s.runs[:], d.few[:])
	return s.runs[:]
}

// Expire forgets datagrams that took too long by now, which is a time that is believed.
func (f *Fragments) Expire(now int64) {
	for f.oldest != 0 && now-f.slots[f.oldest].born > fragmentLife {
		f.remove(f.oldest)
		f.Expired++
	}
}

func (f *Fragments) init() {
	f.seed = maphash.MakeSeed()
	f.slots = make([]datagram, maxDatagrams+1)
	f.bytes = make([]byte, (maxDatagrams+1)*keptBytes)
	for i := maxDatagrams; i > 0; i-- {
		f.slots[i].next = f.free
		f.free = uint16(i)
	}
}

func (f *Fragments) find(hash uint64, k *fragmentKey) uint16 {
	i := f.heads[hash]
	for i != 0 && f.slots[i].key != *k { // a few of maxDatagrams: nobody outside knows the seed of the hash
		i = f.slots[i].next
	}
	return i
}

func (f *Fragments) add(hash uint64, k *fragmentKey) uint16 {
	if f.free == 0 {
		f.remove(f.oldest)
		f.Evicted++
	}
	i := f.free
	f.free = f.slots[i].next
	f.slots[i] = datagram{key: *k, born: f.Now, next: f.heads[hash], older: f.newest, captured: 1 << 30}
	f.heads[hash] = i
	if f.newest != 0 {
		f.slots[f.newest].newer = i
	} else {
		f.oldest = i
	}
	f.newest = i
	f.Waiting++
	return i
}

// remove frees a place; what it holds can be read until it is taken again.
func (f *Fragments) remove(i uint16) {
	d := &f.slots[i]
	at := &f.heads[maphash.Comparable(f.seed, d.key)%maxDatagrams]
	for *at != i { // as in find
		at = &f.slots[*at].next
	}
	*at = d.next
	if d.older != 0 {
		f.slots[d.older].newer = d.newer
	} else {
		f.oldest = d.newer
	}
	if d.newer != 0 {
		f.slots[d.newer].older = d.older
	} else {
		f.newest = d.older
	}
	if d.scattered > 0 {
		f.scattered[d.scattered-1].owner = 0
		d.scattered = 0
	}
	d.next, f.free = f.free, i
	f.Waiting--
}
