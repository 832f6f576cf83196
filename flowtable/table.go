package flowtable

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"sync"
)

// Config sizes a table. The numbers are totals over all shards.
type Config struct {
	// Attempts, SYNs (entries of the SYN cache), Flows and Sources are the capacities. Zero means
	// 262144, 262144, 262144 and 131072. The former two are rounded up to powers of two. A shard
	// has at most 4 Mi entries of each of the former two and 16 Mi of each of the others.
	Attempts, SYNs, Flows, Sources int
	// Shards is the number of shards, each with its lock: a power of two. Zero means 16. With more
	// shards more workers run in parallel, and a batch of packets takes more locks.
	Shards int
	// Secret makes hashes unpredictable. Zero means a random one.
	Secret Secret
}

// Table is a sharded table with values F for flows, S for sources and N for entries of the SYN
// cache. Values hold no Go pointers.
type Table[F, S, N any] struct {
	Secret Secret
	shards []Shard[F, S, N]
	shift  uint
}

// Shard is a part of the table. Its lock guards its fields.
type Shard[F, S, N any] struct {
	sync.Mutex
	Attempts AttemptLog
	SYNs     SYNCache[N]
	Flows    Pool[Key, F]
	Sources  Pool[HostKey, S]
	_        [64]byte // keeps the locks of two shards out of one cache line
}

// Memory returns how many bytes the shard's entries take now, approximately, and how many they can
// take.
func (s *Shard[F, S, N]) Memory() (used, limit uint64) {
	a, b := s.Flows.memory()
	c, d := s.Sources.memory()
	e, f := s.Attempts.memory()
	g, h := s.SYNs.memory()
	return a + c + e + g, b + d + f + h
}

// Callbacks are the functions that a table calls. All are called under a shard's lock, and borrow
// their arguments for the call. The functions for evictions may be nil.
type Callbacks[F, S, N any] struct {
	// FlowKeepPriority and SourceKeepPriority rank entries: the lowest is evicted.
	FlowKeepPriority   func(*F) int64
	SourceKeepPriority func(*S) int64
	// FlowEvicted, SourceEvicted, AttemptExpired and SYNEvicted are called before an entry is
	// removed. AttemptExpired is also called for attempts that the ring overwrites.
	FlowEvicted    func(shard int, r Ref, k *Key, v *F)
	SourceEvicted  func(shard int, r Ref, h *HostKey, v *S)
	AttemptExpired func(shard int, a *Attempt)
	SYNEvicted     func(shard int, n *SYNEntry[N])
}

// New makes a table. Its memory is returned to the system when nothing refers to the table any
// more.
func New[F, S, N any](cfg Config, o Callbacks[F, S, N]) *Table[F, S, N] {
	cfg.Attempts = cmp.Or(cfg.Attempts, 1<<18)
	cfg.SYNs = cmp.Or(cfg.SYNs, 1<<18)
	cfg.Flows = cmp.Or(cfg.Flows, 1<<18)
	cfg.Sources = cmp.Or(cfg.Sources, 1<<17)
	cfg.Shards = cmp.Or(cfg.Shards, 16)
	if cfg.Secret == (Secret{}) {
		cfg.Secret = NewSecret()
	}
	n := cfg.Shards
	t := &Table[F, S, N]{Secret: cfg.Secret, shards: make([]Shard[F, S, N], n)}
	t.shift = 64 - uint(bits.Len(uint(n-1)))
	a := new(arena)
	ring, mem := ringSize(cfg.Attempts/n), new(pages)
	buckets, attempts := slice[bucket](a, mem, indexSize(ring)*n), slice[Attempt](a, mem, ring*n)
	for i := range t.shards {
		l := &t.shards[i].Attempts
		l.init(part(buckets, i, n), part(attempts, i, n), mem, cfg.Secret[1],
			bind(i, o.AttemptExpired))
	}
	ring, mem = ringSize(cfg.SYNs/n), new(pages)
	buckets, entries := slice[bucket](a, mem, indexSize(ring)*n), slice[SYNEntry[N]](a, mem, ring*n)
	for i := range t.shards {
		l := &t.shards[i].SYNs
		l.init(part(buckets, i, n), part(entries, i, n), mem, cfg.Secret, bind(i, o.SYNEvicted))
	}
	newFlows := newPools[Key, F](a, min(max(16, cfg.Flows/n), refMask), n, o.FlowKeepPriority)
	newSources := newPools[HostKey, S](a, min(max(16, cfg.Sources/n), refMask), n,
		o.SourceKeepPriority)
	for i := range t.shards {
		newFlows(i, &t.shards[i].Flows, bind3(i, o.FlowEvicted))
		newSources(i, &t.shards[i].Sources, bind3(i, o.SourceEvicted))
	}
	freeWith(a, &t.shards[0])
	return t
}

// Shards is the number of shards.
func (t *Table[F, S, N]) Shards() int { return len(t.shards) }

// Shard is the i-th shard.
func (t *Table[F, S, N]) Shard(i int) *Shard[F, S, N] { return &t.shards[i] }

// ShardOf is the number of the shard for a client with this hash; see Secret.HashHost.
func (t *Table[F, S, N]) ShardOf(clientHash uint64) int { return int(clientHash >> t.shift) }

// ringSize is the lowest power of two that is not below n, at least 16 and at most maxRing.
func ringSize(n int) int { return 1 << bits.Len(uint(min(max(16, n), maxRing)-1)) }

// bind fixes the shard's number as the first argument of a callback. A nil callback becomes one
// that does nothing.
func bind[A any](i int, f func(int, A)) func(A) {
	if f == nil {
		return func(A) {}
	}
	return func(a A) { f(i, a) }
}

// bind3 is bind for a callback with three further arguments.
func bind3[A, B, C any](i int, f func(int, A, B, C)) func(A, B, C) {
	if f == nil {
		return func(A, B, C) {}
	}
	return func(a A, b B, c C) { f(i, a, b, c) }
}

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// mix is one step of a multiplicative hash: it folds both halves of the product.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
