package flowtable

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// TestSYNCache compares the ring with a map: Find returns the recent entries that were not removed,
// and no others.
func TestSYNCache(t *testing.T) {
	var evicted int
	model := map[Key]int64{}
	table := New(Config{SYNs: 256, Shards: 1}, Callbacks[int64, int64, int64]{SYNEvicted: func(_ int, n *SYNEntry[int64]) {
		if at, ok := model[n.Key]; !ok || at != n.Value || n.Time != at {
			t.Fatalf("evicted %v of %d, the model has %d", n.Key, n.Value, at)
		}
		delete(model, n.Key)
		evicted++
	}})
	l := &table.Shard(0).SYNs
	rng := rand.New(rand.NewPCG(1, 2))
	for now := range int64(20_000) {
		var k Key
		binary.BigEndian.PutUint16(k.Client[14:], uint16(rng.IntN(1000)))
		host := k.ClientKey()
		hash := table.Secret.HashHost(&host)
		n := l.Find(hash, &k)
		if _, ok := model[k]; ok != (n != nil) {
			t.Fatalf("%v: found %v, the model says %v", k, n != nil, ok)
		}
		switch {
		case n == nil:
			l.Add(hash, &k, 7, now).Value = now
			model[k] = now
		case now%3 == 0:
			if n.Value != model[k] || n.ISN != 7 {
				t.Fatalf("%v: %+v, the model has %d", k, n, model[k])
			}
			l.Remove(hash, n)
			delete(model, k)
		}
		if l.Len() != len(model) {
			t.Fatalf("%d entries, the model has %d", l.Len(), len(model))
		}
	}
	if evicted == 0 || uint64(evicted) != l.Evicted {
		t.Errorf("%d evicted, counted %d", evicted, l.Evicted)
	}
	last, seen := int64(-1), 0
	l.All(func(n *SYNEntry[int64]) {
		if n.Time <= last || model[n.Key] != n.Value {
			t.Fatalf("%v of %d after %d", n.Key, n.Time, last)
		}
		last = n.Time
		seen++
	})
	if seen != len(model) {
		t.Errorf("All gave %d of %d", seen, len(model))
	}
}

// TestSYNCacheOneBucket checks entries whose hashes choose the same bucket: the oldest is evicted
// and reported, and none is found in the place of another.
func TestSYNCacheOneBucket(t *testing.T) {
	told := 0
	table := New(Config{SYNs: 256, Shards: 1}, Callbacks[int64, int64,
		int64]{SYNEvicted: func(int, *SYNEntry[int64]) { told++ }})
	l := &table.Shard(0).SYNs
	var keys [40]Key
	var hashes [40]uint64
	for i, n := 0, uint32(0); i < len(keys); n++ {
		keys[i] = number(n << 16)
		host := keys[i].ClientKey()
		if hashes[i] = table.Secret.HashHost(&host); hashes[i]&l.mask == hashes[0]&l.mask {
			i++
		}
	}
	for i := range uint32(40) {
		l.Add(hashes[i], &keys[i], i, int64(i))
	}
	for i := range uint32(40) {
		n := l.Find(hashes[i], &keys[i])
		if found := n != nil; found != (i >= 40-ways) {
			t.Errorf("entry %d: found %v", i, found)
		}
		if n != nil && n.ISN != i {
			t.Errorf("entry %d was found as %d", i, n.ISN)
		}
	}
	if told != 40-ways || l.Len() != ways {
		t.Errorf("%d told, %d there", told, l.Len())
	}
}
