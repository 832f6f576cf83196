package flowtable

import (
	"fmt"
	"testing"
)

// benchTable has one shard with n flows, and their keys and hashes in an order that differs
// from their order in memory.
func benchTable(n int) (p *Pool[Key, int64], keys []Key, hashes []uint64) {
	table := newTest(Config{Flows: n + n/8, Sources: 16, Attempts: 16, Shards: 1})
	p = &table.Shard(0).Flows
	keys, hashes = make([]Key, n), make([]uint64, n)
	for i := range keys {
		j := i * 7919 % n
		keys[j] = number(uint32(i))
		host := keys[j].ClientKey()
		hashes[j] = table.Secret.HashFlow(table.Secret.HashHost(&host), &keys[j])
		p.Add(hashes[j], &keys[j])
	}
	return p, keys, hashes
}

// BenchmarkPool measures a flow in a table of a thousand, which the cache holds, and of a million.
func BenchmarkPool(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		p, keys, hashes := benchTable(n)
		name := fmt.Sprintf("/flows=%d", n)
		b.Run("hit"+name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i == n {
					i = 0
				}
				*p.At(p.Find(hashes[i], &keys[i]))++
			}
		})
		// Like the engine: 64 packets prefetch the entries that they need before they are
		// processed.
		b.Run("touched"+name, func(b *testing.B) {
			b.ReportAllocs()
			const batch = 64
			touched := uint64(0)
			for i := 0; b.Loop(); i++ {
				if i >= n/batch*batch {
					i = 0
				}
				if i%batch == 0 {
					touched += uint64(p.Prefetch(hashes[i : i+batch]))
				}
				*p.At(p.Find(hashes[i], &keys[i]))++
			}
			sink = touched
		})
		b.Run("miss"+name, func(b *testing.B) {
			b.ReportAllocs()
			k := number(1 << 30)
			for h := uint64(0); b.Loop(); h += 0x9e3779b97f4a7c15 {
				p.Find(h, &k)
			}
		})
		b.Run("replace"+name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i == n {
					i = 0
				}
				p.Remove(p.Find(hashes[i], &keys[i]))
				p.Add(hashes[i], &keys[i])
			}
		})
	}
}

var sink uint64

// BenchmarkInsert measures a new flow in an empty table that fills up to n.
func BenchmarkInsert(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		p, keys, hashes := benchTable(n)
		b.Run(fmt.Sprintf("flows=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i == n {
					i = 0
				}
				if i == 0 {
					b.StopTimer()
					p.All(func(r Ref, _ *Key, _ *int64) { p.Remove(r) })
					b.StartTimer()
				}
				p.Add(hashes[i], &keys[i])
			}
		})
	}
}

// BenchmarkExpire measures the expiry of a flow.
func BenchmarkExpire(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		p, keys, hashes := benchTable(n)
		b.Run(fmt.Sprintf("flows=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			now := int64(1e18)
			for done := 0; done < b.N; done += n {
				b.StopTimer()
				for i := range keys {
					r := p.Find(hashes[i], &keys[i])
					if r == 0 {
						r = p.Add(hashes[i], &keys[i])
					}
					p.Schedule(r, now, now+int64(i%60)*second)
				}
				b.StartTimer()
				for range 64 {
					now += second
					p.Expire(now, func(r Ref, _ *Key, _ *int64) { p.Remove(r) })
				}
			}
			// The last round is always complete.
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64((b.N+n-1)/n*n), "ns/flow")
		})
	}
}

// BenchmarkAttempts measures a SYN flood: attempts without an answer, which are overwritten.
func BenchmarkAttempts(b *testing.B) {
	for _, n := range []int{1 << 10, 1 << 20} {
		table := newTest(Config{Flows: 16, Sources: 16, Attempts: n, Shards: 1})
		l := &table.Shard(0).Attempts
		b.Run(fmt.Sprintf("new/attempts=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			k := number(1)
			h := uint64(1)
			for b.Loop() {
				h *= 0x9e3779b97f4a7c15
				if l.Find(h, &k, uint32(h)) == nil {
					l.Add(h, &k, uint32(h), int64(h>>1), 0, 0)
				}
			}
		})
	}
}
