package flowtable

import (
	"slices"
	"testing"
)

// TestAttempts compares the log with a plain list: recent attempts are found, with their own
// numbers.
func TestAttempts(t *testing.T) {
	var gone []uint32
	l := newAttempts(64, 12345, func(a *Attempt) { gone = append(gone, a.ISN) })
	secret := Secret{1, 2}
	hash := func(k *Key) uint64 {
		h := k.ClientKey()
		return secret.HashFlow(secret.HashHost(&h), k)
	}
	for i := range uint32(1000) {
		k := number(i % 200)
		if a := l.Find(hash(&k), &k, i); a != nil {
			t.Fatalf("attempt %d was found before it was made", i)
		}
		l.Add(hash(&k), &k, i, int64(i)*second, 0, 0)
		for back := range min(i, 40) {
			k := number((i - back) % 200)
			if a := l.Find(hash(&k), &k, i-back); a == nil || a.Time != int64(i-back)*second {
				t.Fatalf("at %d: the attempt %d before is lost", i, back)
			}
		}
	}
	if l.Len() != 64 || l.Evicted != 1000-64 || len(gone) != 1000-64 || !slices.IsSorted(gone) {
		t.Errorf("%d remembered, %d evicted, %d told", l.Len(), l.Evicted, len(gone))
	}
	l.Expire(990 * second)
	if l.Len() != 10 {
		t.Errorf("%d remembered after expiry, want 10", l.Len())
	}
	k := number(989 % 200)
	if l.Find(hash(&k), &k, 989) != nil {
		t.Error("an expired attempt is found")
	}
}

// TestAttemptsWrap checks the log beyond a wrap: a reference holds the lowest bits of a position.
func TestAttemptsWrap(t *testing.T) {
	l := newAttempts(16, 1, func(*Attempt) {})
	for _, start := range []uint32{refMask - 7, ^uint32(0) - 8} {
		l.head, l.tail = start, start
		for i := range uint32(32) {
			k := number(i)
			l.Add(uint64(i)*0x9e3779b97f4a7c15, &k, i, 0, 0, 0)
			if a := l.Find(uint64(i)*0x9e3779b97f4a7c15, &k, i); a == nil {
				t.Fatalf("lost at position %d", start+i)
			}
		}
		if l.Len() != 16 {
			t.Errorf("%d remembered", l.Len())
		}
	}
}

func TestRetransmitted(t *testing.T) {
	a := Attempt{Time: 1000 * second}
	for _, c := range []struct{ at, after int64 }{{1000*second + 1e6, 1e6},
		{1001 * second, second - 1e6}, {1004 * second, 3 * second}} {
		if got := a.Retransmitted(c.at); got != c.after {
			t.Errorf("SYN at %d came %d after the one before, want %d", c.at, got, c.after)
		}
	}
}

// A pair of keys that differ only in what the attacker chooses freely collides in the
// first hash for every secret (xxhash has such pairs); the log's fingerprint distinguishes them.
func TestFingerprintIsAnotherHash(t *testing.T) {
	l := newAttempts(64, NewSecret()[1], func(*Attempt) {})
	seen := map[uint64]bool{}
	for i := range uint32(10_000) {
		k := number(i)
		p := l.fingerprint(42, &k)
		if seen[p] {
			t.Fatalf("key %d has the print of another", i)
		}
		seen[p] = true
	}
}

// newAttempts makes a log of n attempts, a power of two.
func newAttempts(n int, secret uint64, expired func(a *Attempt)) *AttemptLog {
	l := new(AttemptLog)
	l.init(make([]bucket, indexSize(n)), make([]Attempt, n), new(pages), secret, expired)
	return l
}
