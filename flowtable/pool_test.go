package flowtable

import (
	"encoding/binary"
	"testing"

	"spamsensor/bench/fuzztime"
)

// number is a key that differs from others in its number.
func number(n uint32) (k Key) {
	k.ClientPort, k.ServerPort = uint16(n), 25
	binary.BigEndian.PutUint16(k.Client[14:], uint16(n>>16))
	return k
}

type testTable = Table[int64, int64, int64]

func newTest(cfg Config) *testTable {
	return New(cfg, Callbacks[int64, int64, int64]{
		FlowKeepPriority:   func(v *int64) int64 { return *v },
		SourceKeepPriority: func(v *int64) int64 { return *v },
	})
}

// FuzzPool runs a program of operations on a pool and on a map. Each pair of bytes is an operation
// and its key.
func FuzzPool(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2, 1, 1, 2, 2, 0, 3, 3, 0, 4, 9})
	f.Add([]byte("add some, remove some, let some expire and look at all of them"))
	f.Fuzz(func(t *testing.T, program []byte) {
		fuzztime.Check(t, func() int {
			program, size := program, len(program)
			const room = 64
			var evicted int
			model := map[Key]int64{}
			due := map[Key]int64{}
			table := New(Config{Flows: room, Sources: 16, Attempts: 16, Shards: 1},
				Callbacks[int64, int64, int64]{
					FlowKeepPriority:   func(v *int64) int64 { return *v },
					SourceKeepPriority: func(v *int64) int64 { return *v },
					FlowEvicted: func(_ int, r Ref, k *Key, v *int64) {
						if have, ok := model[*k]; !ok || have != *v {
							t.Fatalf("evicted %v = %d, the model has %d", k, *v, have)
						}
						delete(model, *k)
						delete(due, *k)
						evicted++
					},
				})
			p := &table.Shard(0).Flows
			now := int64(1e18)
			for ; len(program) >= 2; program = program[2:] {
				k := number(uint32(program[1]))
				host := k.ClientKey()
				h := table.Secret.HashFlow(table.Secret.HashHost(&host), &k)
				r := p.Find(h, &k)
				if _, ok := model[k]; ok != (r != 0) {
					t.Fatalf("%v: found %v, the model says %v", k, r != 0, ok)
				}
				switch program[0] % 5 {
				case 0, 1:
					if r == 0 {
						before := evicted
						r = p.Add(h, &k)
						*p.At(r) = now
						model[k] = now
						if evicted > before+1 || evicted > before && p.Len() < room-16 {
							t.Fatalf("%d evicted with %d entries", evicted-before, p.Len())
						}
					}
				case 2:
					if r != 0 {
						p.Remove(r)
						delete(model, k)
						delete(due, k)
					}
				case 3:
					if r != 0 {
						due[k] = now + int64(program[1])*20*second
						p.Schedule(r, now, due[k])
					}
				case 4:
					now += int64(program[1]) * 13 * second
					p.Expire(now, func(r Ref, k *Key, v *int64) {
						at, ok := due[*k]
						if !ok {
							t.Fatalf("%v expired and was not scheduled", *k)
						}
						if at > now {
							p.Schedule(r, now, at)
							return
						}
						p.Remove(r)
						delete(model, *k)
						delete(due, *k)
					})
					for k, at := range due {
						if at < now-2*second {
							t.Fatalf("%v was due %d s ago and did not expire", k, (now-at)/second)
						}
					}
				}
				if p.Len() != len(model) {
					t.Fatalf("%d entries, the model has %d", p.Len(), len(model))
				}
			}
			seen := 0
			p.All(func(r Ref, k *Key, v *int64) {
				if seen++; model[*k] != *v {
					t.Fatalf("%v = %d, the model has %d", k, *v, model[*k])
				}
			})
			if seen != len(model) {
				t.Fatalf("All gave %d of %d", seen, len(model))
			}
			return 64 * size // the number of entries that an operation compares with the model
		})
	})
}

// TestEvictionKeepsWhatIsWorthMore checks eviction from a full table: with a million keys that are
// used once, the hundred with a higher priority stay.
func TestEvictionKeepsWhatIsWorthMore(t *testing.T) {
	table := newTest(Config{Flows: 4096, Sources: 16, Attempts: 16, Shards: 1})
	p := &table.Shard(0).Flows
	add := func(n uint32, worth int64) {
		k := number(n)
		host := k.ClientKey()
		h := table.Secret.HashFlow(table.Secret.HashHost(&host), &k)
		if p.Find(h, &k) == 0 {
			*p.At(p.Add(h, &k)) = worth
		}
	}
	for n := range uint32(100) {
		add(n, 1000)
	}
	for n := range uint32(1e6) {
		add(1000+n, 1)
	}
	kept := 0
	p.All(func(_ Ref, k *Key, v *int64) {
		if *v == 1000 {
			kept++
		}
	})
	if kept != 100 || p.Len() != 4096 || p.Evicted != 1e6+100-4096 {
		t.Errorf("%d of 100 kept, %d entries, %d evicted", kept, p.Len(), p.Evicted)
	}
}

// TestFullKeyIsCompared checks entries with the same 32 bits of hash in one shard: only the whole
// key distinguishes them.
func TestFullKeyIsCompared(t *testing.T) {
	table := newTest(Config{Flows: 64, Sources: 16, Attempts: 64, Shards: 1})
	s := table.Shard(0)
	const hash = 0x1234567890abcdef
	for n := range uint32(10) {
		k := number(n)
		*s.Flows.At(s.Flows.Add(hash, &k)) = int64(n)
		s.Attempts.Add(hash, &k, 7, 0, 0, 0)
	}
	for n := range uint32(10) {
		k := number(n)
		if r := s.Flows.Find(hash, &k); r == 0 || *s.Flows.At(r) != int64(n) {
			t.Errorf("flow %d: %d", n, r)
		}
		if a := s.Attempts.Find(hash, &k, 7); a == nil {
			t.Errorf("attempt %d is lost", n)
		}
	}
	if k := number(11); s.Flows.Find(hash, &k) != 0 || s.Attempts.Find(hash, &k, 7) != nil {
		t.Error("a hash alone was taken for a match")
	}
	k4, k6 := number(1), number(1)
	k6.Scope = NewScope(true, 0)
	if s.Flows.Find(hash, &k4) == 0 || s.Flows.Find(hash, &k6) != 0 {
		t.Error("an IPv6 address that looks like an IPv4 one was taken for it")
	}
}

func TestShardsAreEven(t *testing.T) {
	table := newTest(Config{Flows: 1024, Sources: 1024, Attempts: 1024, Shards: 16})
	var n [16]int
	for i := range uint32(100_000) {
		var host HostKey
		binary.BigEndian.PutUint32(host.Addr[12:], i)
		n[table.ShardOf(table.Secret.HashHost(&host))]++
	}
	other := NewSecret()
	k := number(1)
	h := k.ClientKey()
	if other.HashHost(&h) == table.Secret.HashHost(&h) {
		t.Error("two secrets give the same hash")
	}
	for i, c := range n {
		if c < 100_000/16*7/10 || c > 100_000/16*13/10 {
			t.Errorf("shard %d has %d of 100,000", i, c)
		}
	}
}

// TestMove checks two entries with the same key under two hashes: when one is removed, the other
// takes its place.
func TestMove(t *testing.T) {
	p := &newTest(Config{Flows: 64, Sources: 16, Attempts: 16, Shards: 1}).Shard(0).Flows
	k := number(7)
	for _, h := range []uint64{0, 1, 0x123456789abcdef, ^uint64(0)} {
		for range 1000 { // no word of the index stays behind
			first := p.Add(h, &k)
			second := p.Add(^h, &k)
			*p.At(second) = 9
			if p.Find(h, &k) != first || p.Find(^h, &k) != second {
				t.Fatalf("%x: the wrong one was found", h)
			}
			p.Remove(first)
			p.Move(second, h)
			if r := p.Find(h, &k); r != second || *p.At(r) != 9 || p.HashOf(r) != h ||
				p.Find(^h, &k) != 0 {
				t.Fatalf("%x: it did not move", h)
			}
			p.Remove(second)
			if p.Find(h, &k) != 0 || p.Len() != 0 {
				t.Fatalf("%x: it is still there", h)
			}
		}
	}
}

// TestChunks fills the pools of several shards, whose chunks take turns in one slab: no two entries
// lie at the same place, and the slab has room for all.
func TestChunks(t *testing.T) {
	for _, size := range []int{16, 63, 64, 65, 200} {
		const shards = 4
		table := newTest(Config{Flows: size * shards, Sources: 16, Attempts: 16, Shards: shards})
		places := map[*int64]bool{}
		for i := range shards {
			p := &table.Shard(i).Flows
			if p.Cap() != size {
				t.Fatalf("room for %d flows, want %d", p.Cap(), size)
			}
			for n := range size {
				k := number(uint32(n))
				v := p.At(p.Add(uint64(n)*0x9e3779b97f4a7c15, &k))
				if *v++; places[v] || *v != 1 {
					t.Fatalf("%d flows: two entries lie at one place", size)
				}
				places[v] = true
			}
			if p.Len() != size || p.Evicted != 0 {
				t.Errorf("%d flows of %d, %d evicted", p.Len(), size, p.Evicted)
			}
		}
	}
}
