package wire

import "hash/maphash"

const (
	maxDatagrams = 4096
	// inlineRuns is the number of runs that a datagram holds itself. Fragments in their order make
	// one run, however many they are.
	inlineRuns = 8
	// maxRuns is the number of runs of a scattered datagram, of which there are maxScattered. The
	// content of one Ethernet frame, in fragments of eight bytes and in any order, has fewer.
	maxRuns, maxScattered = 192, 64
	// fragmentLife is the time for which a datagram waits for fragments, in nanoseconds.
	fragmentLife = 5e9
	// keptBytes is how much of a datagram is kept: the content of one Ethernet frame. Bytes
	// behind it count as cut by the capture.
	keptBytes = 1536
)

// Fragments joins IP fragments that may hold TCP. The zero value is ready. It allocates 7 MB for
// the first fragment, 100 KB for the first scattered datagram, and no more.
//
// It decides as a Linux kernel does (inet_frag_queue_insert in net/ipv4/inet_fragment.c): an exact
// copy of a fragment is ignored, any other overlap drops the datagram (RFC 5722), and so does a
// length that contradicts another fragment.
//
// When the table is full, the oldest datagram is evicted; when the scattered places are full, the
// oldest scattered one. No datagram expires because of the time of one frame alone, which may be
// wrong: see Expire.
type Fragments struct {
	// Now is the time of the current frame, in nanoseconds since 1970.
	Now int64
	// Waiting is the number of datagrams that are not yet whole. Expired and Evicted count the
	// datagrams that never were.
	Waiting, Expired, Evicted uint64

	seed  maphash.Seed
	slots []datagram // slot 0 is not used
	bytes []byte
	heads [maxDatagrams]uint16 // of the chains, by hash
	free  uint16               // chained by next
	// The oldest and the newest datagram.
	oldest, newest uint16
	scattered      *[maxScattered]scatter
}

// run is a range of bytes of a datagram that arrived.
type run struct{ start, end int32 }

// scatter has the runs of a datagram that has many.
type scatter struct {
	owner uint16 // slot of the datagram, 0 if free
	runs  [maxRuns]run
}

// fragmentKey is equal in all fragments of a datagram.
type fragmentKey struct {
	src, dst Addr
	id       uint32
	v6       bool
}

// datagram is a datagram whose fragments are being joined.
type datagram struct {
	key          fragmentKey
	firstSeen    int64
	next         uint16 // in the chain
	older, newer uint16
	inline       [inlineRuns]run
	n            uint8 // number of runs
	last         uint8 // the run that reaches farthest
	scattered    uint8 // index of its runs in Fragments.scattered plus one; 0 means inline
	ecn          uint8 // codepoints seen, a bit for each
	proto        uint8 // protocol by the first fragment
	end          bool  // the last fragment arrived
	length       int32 // as far as known
	received     int32 // bytes that arrived
	captured     int32 // bytes from the beginning that were captured
}

// fragment is a decoded fragment.
type fragment struct {
	key    fragmentKey
	offset int
	data   []byte // captured
	cut    int    // bytes that were not captured
	more   bool
	ecn    uint8 // 0 to 3
	proto  uint8
}

// join adds a fragment. If the datagram is now whole, the outcome is Mail and whole are its bytes,
// valid until the next call; cut further bytes were not captured.
func (f *Fragments) join(x *fragment) (whole []byte, cut int, d *datagram, o Outcome) {
	if f.slots == nil {
		f.init()
	}
	hash := maphash.Comparable(f.seed, x.key) % maxDatagrams
	i := f.find(hash, &x.key)
	if i != 0 && (f.Now-f.slots[i].firstSeen > fragmentLife ||
		f.slots[i].firstSeen-f.Now > fragmentLife) {
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
	if !d.end || d.received != d.length {
		return nil, 0, nil, TCPFragment
	}
	f.remove(i) // the bytes stay until the slot is used again
	// Longer than a packet can be, or congestion marks on a packet without congestion control (RFC
	// 3168, section 5.3).
	if d.length+20 > 0xffff || d.ecn&1 != 0 && d.ecn != 1 {
		return nil, 0, nil, BadFragment
	}
	n := min(int(d.captured), int(d.length), keptBytes)
	return mine[:n:n], int(d.length) - n, d, Mail
}

// insert records a fragment. The outcome is Mail, or TCPFragment for a copy.
func (f *Fragments) insert(i uint16, x *fragment) Outcome {
	d := &f.slots[i]
	if odd := (len(x.data) + x.cut) % 8; x.more && odd != 0 {
		// Linux cuts such an IPv4 fragment; fragment6 has refused an IPv6 one.
		x.data = x.data[:max(0, len(x.data)-max(0, odd-x.cut))]
		x.cut = max(0, x.cut-odd)
	}
	start, end := int32(x.offset), int32(x.offset+len(x.data)+x.cut)
	switch {
	case !x.more && (end < d.length || d.end && end != d.length),
		x.more && d.end && end > d.length, end == start:
		return BadFragment // behind the end, another end, or empty
	}
	if o := f.place(i, start, end); o != Mail {
		return o
	}
	d.end = d.end || !x.more
	d.length = max(d.length, end)
	d.received += end - start
	d.ecn |= 1 << x.ecn
	if start == 0 {
		d.proto = x.proto
	}
	if x.cut > 0 {
		d.captured = min(d.captured, start+int32(len(x.data)))
	}
	return Mail
}

// runs is the array with the datagram's runs.
func (f *Fragments) runs(d *datagram) []run {
	if d.scattered > 0 {
		return f.scattered[d.scattered-1].runs[:]
	}
	return d.inline[:]
}

// place adds a range to the runs of a datagram. Like Linux it extends only the run that reaches
// farthest, and a copy is a fragment that lies in a single run.
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

// scatter moves the runs of a datagram to a larger array. If all of them are used, it evicts the
// oldest scattered datagram.
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
		if f.slots[owner].firstSeen < f.slots[f.scattered[at].owner].firstSeen {
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
	copy(s.runs[:], d.inline[:])
	return s.runs[:]
}

// Expire drops datagrams that are older than fragmentLife at the time now, which the caller has
// verified.
func (f *Fragments) Expire(now int64) {
	for f.oldest != 0 && now-f.slots[f.oldest].firstSeen > fragmentLife {
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
	for i != 0 && f.slots[i].key != *k { // short chains: no sender knows the seed of the hash
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
	f.slots[i] = datagram{key: *k, firstSeen: f.Now, next: f.heads[hash], older: f.newest,
		captured: 1 << 30}
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

// remove frees a slot; its content can be read until the slot is used again.
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
