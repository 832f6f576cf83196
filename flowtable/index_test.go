package flowtable

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestBucket compares a bucket with two plain lists.
func TestBucket(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		var b bucket
		var tags [ways]uint8
		var refs [ways]uint32
		few := uint8(1 + rng.IntN(255)) // tags repeat, and neighbours differ by one
		for i := range ways {
			tags[i], refs[i] = uint8(rng.IntN(256))%few, rng.Uint32()&refMask
			b.set(i, tags[i], refs[i])
		}
		first := slices.Index(tags[:], 0)
		if first < 0 {
			first = ways
		}
		if got := b.free(); got != first {
			t.Fatalf("tags %v: way %d is free, want %d", tags, got, first)
		}
		want := tags[rng.IntN(ways)]
		found := [ways]bool{}
		for m := b.matches(want); m != 0; m &= m - 1 {
			found[way(m)] = true
		}
		for i := range ways {
			if tags[i] == want && !found[i] {
				t.Fatalf("tags %v: way %d does not match %d", tags, i, want)
			}
			if found[i] && tags[i] != want && tags[i] != want^1 {
				t.Fatalf("tags %v: way %d matches %d", tags, i, want)
			}
			if b.ref(i) != refs[i] {
				t.Fatalf("way %d refers to %d, want %d", i, b.ref(i), refs[i])
			}
		}
	}
}

// TestSlotFor looks for a way among references of which some are live.
func TestSlotFor(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		var b bucket
		head, live := rng.Uint32(), uint32(1+rng.IntN(40))
		for i := range ways {
			b.set(i, 1, (head-uint32(rng.IntN(50)))&refMask)
		}
		i, age := b.slotFor(head, live)
		if a := (head - b.ref(i)) & refMask; (a == 0 || a > live) != (age == 0) || age > live {
			t.Fatalf("way %d is %d positions old, of %d live ones: age %d", i, a, live, age)
		}
		for k := range ways {
			a := (head - b.ref(k)) & refMask
			if age > 0 && (a > age || a == 0) {
				t.Fatalf("way %d has age %d, and way %d with %d is taken", k, a, i, age)
			}
		}
	}
}

func TestTag(t *testing.T) {
	for i := range uint64(256) {
		if got := tag(i<<28 | 1<<36 | 1<<27); got < 2 || i > 1 && uint64(got) != i {
			t.Errorf("the tag of %d is %d", i, got)
		}
	}
}

// TestRemovedIsNotFound checks, for each pair of tags in a bucket, that of two entries the one that
// was removed is not found, although its way still has its reference.
func TestRemovedIsNotFound(t *testing.T) {
	table := newTest(Config{Flows: 64, Sources: 16, Attempts: 16, Shards: 1})
	p := &table.Shard(0).Flows
	for first := range uint64(256) {
		for second := range uint64(256) {
			hashes := [2]uint64{first<<28 | 1<<40, second<<28 | 2<<40}
			for removed := range hashes {
				var refs [2]Ref
				for i, h := range hashes {
					k := number(uint32(i))
					refs[i] = p.Add(h, &k)
				}
				p.Remove(refs[removed])
				for i, h := range hashes {
					want := refs[i]
					if i == removed {
						want = 0
					}
					k := number(uint32(i))
					if got, alone := p.Find(h, &k), p.FindHash(h); got != want || alone != want {
						t.Fatalf("tags of %d and %d, entry %d removed: entry %d is found as %d and %d, want %d", first, second, removed, i, got, alone, want)
					}
				}
				p.Remove(refs[1-removed])
			}
		}
	}
}

// TestStill checks that a reference is not taken for that of another entry.
func TestStill(t *testing.T) {
	table := newTest(Config{Flows: 16, Sources: 16, Attempts: 16, Shards: 1})
	p := &table.Shard(0).Flows
	k := number(1)
	r := p.Add(5, &k)
	gen := p.Gen(r)
	if p.Still(r, gen, 5) == nil || p.Still(r, gen+1, 5) != nil || p.Still(r, gen, 6) != nil {
		t.Error("the entry is not recognised")
	}
	if p.Move(r, 7); p.Still(r, gen, 5) != nil || p.Still(r, gen, 7) == nil {
		t.Error("the entry moved")
	}
	if p.Remove(r); p.Still(r, gen, 7) != nil {
		t.Error("the entry was removed")
	}
	if p.Add(7, &k) != r || p.Still(r, gen, 7) != nil {
		t.Error("the entry is another one")
	}
}
