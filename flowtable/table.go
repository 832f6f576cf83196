// Package flowtable is the heart of the hot path: a table of connection attempts, flows
// and sources that many packets a second go through, and that an attacker may fill.
//
// Words: a flow is one TCP connection, known by its Key, which is the same for both
// directions; an attempt is the first SYN of a flow, before anybody answered; a source
// is a host as the client of flows.
//
// The idea: everything that belongs to one source lies in one shard, so that a packet
// needs one lock and a source is never shared between two.
//
//	           hash of the client            hash of the flow
//	packet --> shard --+--> SYNs      [index | ring of 72-byte records]  one SYN of an unknown host
//	                   +--> Sources   [index | slab]                     who did more
//	                   +--> Attempts  [index | ring of 32-byte records]  first SYNs of sources
//	                   +--> Flows     [index | slab | wheel]             answered
//
// They are kept apart because they are worth differently: anybody can make SYN entries and
// attempts without limit, a flow takes two that agree, a source is what we are after. A flood
// of SYNs overwrites the oldest SYN entries and attempts and nothing else.
//
// Hashes are xxhash over a secret prefix; they choose the place, and the full key is
// compared. Memory is taken once and bounded: when a table is full the entry of the
// least worth nearby makes room, its owner is told, and it is counted. Time is the time
// of the packets.
//
// Entries are referred to by number, and hold no Go pointers: the collector never scans
// the tables, and a batch of packets can touch the lines it needs before it works on
// them, so that the waits for memory overlap.
//
// What measuring showed, on one core: in a flood of SYNs a source for each sender costs 1,060 ns a
// packet, an entry of the SYN cache 245; records that are filled in where they stay, and not copied
// from a literal, save another 17 % there and 8 % of a storm of short sessions (see Key.Set). Half
// as many SYN entries take the flood from 100 to 85 MB, and are enough. The hash of four bytes of
// address instead of sixteen saves nothing that could be seen: the waits for memory hide it.
//
// What it does not do: know TCP or SMTP (its values are the caller's), grow, keep an
// exact order of use.
package flowtable

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"sync"
)

// Config sizes a table. The numbers are totals over all shards.
type Config struct {
	// Attempts, SYNs (entries of the SYN cache), Flows and Sources are how many are remembered at a
	// time. Zero means 262144, 262144, 262144 and 131072. The former two are rounded up to powers
	// of two.
	Attempts, SYNs, Flows, Sources int
	// Shards is how many locks there are, a power of two. Zero means 16. More of them let
	// more workers go on side by side; each also makes a batch of packets take more locks.
	Shards int
	// Secret makes hashes unpredictable. Zero means one drawn at random.
	Secret Secret
}

// Table is a sharded table with values F for flows, S for sources and N for entries of the SYN
// cache.
type Table[F, S, N any] struct {
	Secret Secret
	shards []Shard[F, S, N]
	shift  uint
}

// Shard is a part of the table. Its fields are guarded by its lock.
type Shard[F, S, N any] struct {
	sync.Mutex
	Attempts AttemptLog
	SYNs     SYNCache[N]
	Flows    Pool[Key, F]
	Sources  Pool[HostKey, S]
	_        [64]byte // keeps the locks of two shards out of one cache line
}

// Memory is what the shard's tables hold now, about, and what they can hold, in bytes.
func (s *Shard[F, S, N]) Memory() (used, limit uint64) {
	a, b := s.Flows.memory()
	c, d := s.Sources.memory()
	e, f := s.Attempts.memory()
	g, h := s.SYNs.memory()
	return a + c + e + g, b + d + f + h
}

// Callbacks is who is asked and told by a table. All functions run under a shard's lock.
type Callbacks[F, S, N any] struct {
	// FlowWorth and SourceWorth rank entries: the lowest makes room.
	FlowKeepPriority   func(*F) int64
	SourceKeepPriority func(*S) int64
	// FlowEvicted, SourceEvicted, AttemptExpired and SYNEvicted are called with what has to go.
	FlowEvicted    func(shard int, r Ref, k *Key, v *F)
	SourceEvicted  func(shard int, r Ref, h *HostKey, v *S)
	AttemptExpired func(shard int, a *Attempt)
	SYNEvicted     func(shard int, n *SYNEntry[N])
}

// New makes a table.
func New[F, S, N any](cfg Config, o Callbacks[F, S, N]) *Table[F, S, N] {
	cfg.Attempts = cmp.Or(cfg.Attempts, 1<<18)
	cfg.SYNs = cmp.Or(cfg.SYNs, 1<<18)
	cfg.Flows = cmp.Or(cfg.Flows, 1<<18)
	cfg.Sources = cmp.Or(cfg.Sources, 1<<17)
	cfg.Shards = cmp.Or(cfg.Shards, 16)
	if cfg.Secret == (Secret{}) {
		cfg.Secret = NewSecret()
	}
	t := &Table[F, S, N]{Secret: cfg.Secret, shards: make([]Shard[F, S, N], cfg.Shards), shift: 64 - uint(bits.Len(uint(cfg.Shards-1)))}
	a := new(arena)
	ring := ringSize(cfg.Attempts / cfg.Shards)
	words, attempts := slice[uint32](a, indexSize(ring, 4)*cfg.Shards), slice[Attempt](a, ring*cfg.Shards)
	for i := range t.shards {
		t.shards[i].Attempts.init(part(words, i, cfg.Shards), part(attempts, i, cfg.Shards), cfg.Secret[1], bind(i, o.AttemptExpired))
	}
	ring = ringSize(cfg.SYNs / cfg.Shards)
	words, entries := slice[uint32](a, indexSize(ring, 4)*cfg.Shards), slice[SYNEntry[N]](a, ring*cfg.Shards)
	for i := range t.shards {
		t.shards[i].SYNs.init(part(words, i, cfg.Shards), part(entries, i, cfg.Shards), cfg.Secret, bind(i, o.SYNEvicted))
	}
	initPools(a, max(16, cfg.Flows/cfg.Shards), cfg.Shards, func(i int) (*Pool[Key, F], func(*F) int64, func(Ref, *Key, *F)) {
		return &t.shards[i].Flows, o.FlowKeepPriority, bind3(i, o.FlowEvicted)
	})
	initPools(a, max(16, cfg.Sources/cfg.Shards), cfg.Shards, func(i int) (*Pool[HostKey, S], func(*S) int64, func(Ref, *HostKey, *S)) {
		return &t.shards[i].Sources, o.SourceKeepPriority, bind3(i, o.SourceEvicted)
	})
	freeWith(a, &t.shards[0])
	return t
}

// Shards is how many shards there are.
func (t *Table[F, S, N]) Shards() int { return len(t.shards) }

// Shard is the i-th shard.
func (t *Table[F, S, N]) Shard(i int) *Shard[F, S, N] { return &t.shards[i] }

// ShardOf is the number of the shard of a client with this hash.
func (t *Table[F, S, N]) ShardOf(host uint64) int { return int(host >> t.shift) }

// ringSize is the power of two that holds n.
func ringSize(n int) int { return 1 << bits.Len(uint(max(16, n)-1)) }

// bind and bind3 fix the shard's number; nobody need listen.
func bind[A any](i int, f func(int, A)) func(A) {
	if f == nil {
		return func(A) {}
	}
	return func(a A) { f(i, a) }
}

func bind3[A, B, C any](i int, f func(int, A, B, C)) func(A, B, C) {
	if f == nil {
		return func(A, B, C) {}
	}
	return func(a A, b B, c C) { f(i, a, b, c) }
}

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// mix is one step of a multiplicative hash: both halves of the product.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
