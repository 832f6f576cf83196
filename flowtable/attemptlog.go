package flowtable

// Outcome is what happened to a connection attempt.
type Outcome uint8

// The outcomes of an attempt.
const (
	Waiting     Outcome = iota // no answer yet
	Answered                   // by a SYN-ACK, or the client has continued the connection
	Refused                    // by a RST
	Unreachable                // by an ICMP error
)

// AttemptLog is a log of connection attempts in the order of their time, with an index.
//
// Any host can send first SYNs in any number, so an attempt must cost little: 32 bytes in a ring
// and a word in the index, written one after the other, instead of an entry among the flows. When
// the ring is full the oldest attempt is overwritten; no flow ever makes room for a SYN.
//
//	tail                                   head
//	 | oldest attempt ...  newest attempt |
//	 expires first                        next to be written
//
// An attempt is identified by 64 bits of its flow's hash under a second secret and its initial
// sequence number: a match in the index alone merges no attempts.
type AttemptLog struct {
	index
	ring       []Attempt
	head, tail uint32 // positions; the ring holds [tail, head)
	secret     uint64
	// Evicted counts attempts that were overwritten before they expired.
	Evicted uint64
	expired func(a *Attempt)
	pages   *pages
}

// Attempt is one (client, server, ports, initial sequence number).
type Attempt struct {
	fingerprint uint64
	Time        int64 // of the first SYN, nanoseconds
	ISN         uint32
	Source      Ref    // entry of the client among the sources
	last        uint32 // ms from the first SYN to the latest; the hint is in the upper byte
	Gen         uint16 // of Source
	SYNs        uint8  // how many SYNs, saturating
	Outcome     Outcome
}

func (l *AttemptLog) init(x []bucket, ring []Attempt, mem *pages, secret uint64,
	expired func(a *Attempt)) {
	l.index, l.ring, l.pages = newIndex(x), ring, mem
	l.secret, l.expired = secret, expired
}

// fingerprint identifies the flow of an attempt. Keys exist that collide in the first hash under
// every secret; here the bytes of client and server go in another way.
func (l *AttemptLog) fingerprint(hash uint64, k *Key) uint64 {
	p, key := hash^l.secret, l.secret|1
	if k.Scope.V6() {
		p = mix(p^le64(k.Client[:]), key)
		p = mix(p^le64(k.Server[:]), key)
	}
	// IPv4 addresses are in the last four bytes.
	p = mix(p^le64(k.Client[8:]), key)
	p = mix(p^le64(k.Server[8:]), key)
	return mix(p^uint64(k.ClientPort)<<48^uint64(k.ServerPort)<<32^uint64(k.Scope), key)
}

// Prefetch reads the cache lines that Find reads first; see Pool.Prefetch.
func (l *AttemptLog) Prefetch(hashes []uint64) (sum uint32) {
	if l.head == l.tail {
		return 0
	}
	for _, h := range hashes {
		sum += uint32(l.bucket(h)[0])
	}
	return sum
}

// Find returns the latest attempt of this flow with this initial sequence number, or nil. The
// pointer is valid until the next Add.
func (l *AttemptLog) Find(hash uint64, k *Key, isn uint32) *Attempt {
	if l.head == l.tail {
		return nil
	}
	b := l.bucket(hash)
	for m := b.matches(tag(hash)); m != 0; m &= m - 1 {
		a := l.at(b.ref(way(m)))
		if a != nil && a.ISN == isn && a.fingerprint == l.fingerprint(hash, k) {
			return a
		}
	}
	return nil
}

// maxRing is how many entries of a ring references distinguish, so that four turns of the ring have
// different references. A reference that is older and was not replaced looks young again; then the
// fingerprint does not match.
const maxRing = (refMask + 1) / 4

// at is the attempt at a position, nil if it was overwritten or has expired.
func (l *AttemptLog) at(ref uint32) *Attempt {
	// age is how many attempts ago it was written; the latest has 1.
	if age := (l.head - ref) & refMask; age == 0 || age > l.head-l.tail {
		return nil
	}
	return &l.ring[ref&uint32(len(l.ring)-1)]
}

// Add writes an attempt that Find did not find. src is its client's entry, gen that entry's
// generation. The pointer is valid until the next Add.
func (l *AttemptLog) Add(hash uint64, k *Key, isn uint32, now int64, src Ref, gen uint16) *Attempt {
	if l.head-l.tail == uint32(len(l.ring)) {
		l.Evicted++
		l.drop()
	}
	b := l.bucket(hash)
	i, _ := b.slotFor(l.head, l.head-l.tail)
	b.set(i, tag(hash), l.head&refMask)
	a := &l.ring[l.head&uint32(len(l.ring)-1)]
	*a = Attempt{fingerprint: l.fingerprint(hash, k), Time: now, ISN: isn,
		Source: src, Gen: gen, SYNs: 1}
	if l.head++; l.head == smallEntries[Attempt]() {
		l.pages.enlarge()
	}
	return a
}

// drop ends the oldest attempt.
func (l *AttemptLog) drop() {
	a := &l.ring[l.tail&uint32(len(l.ring)-1)]
	l.tail++
	l.expired(a)
}

// Retransmitted records a further SYN of the attempt, and returns how long after the one before it
// came, in nanoseconds.
func (a *Attempt) Retransmitted(now int64) (after int64) {
	ms := uint32(min(max(0, now-a.Time)/1e6, lastMask))
	after = now - a.Time - int64(a.last&lastMask)*1e6
	a.last = a.last&^lastMask | ms
	return after
}

// lastMask has the bits of the time in Attempt.last: they reach four hours, and an attempt is
// remembered for minutes.
const lastMask = 1<<24 - 1

// Hint is a byte that the caller keeps with the attempt, zero at first.
func (a *Attempt) Hint() uint8 { return uint8(a.last >> 24) }

// SetHint sets the byte that Hint returns.
func (a *Attempt) SetHint(h uint8) { a.last = a.last&lastMask | uint32(h)<<24 }

// Unindex makes Find skip the attempt. It expires in its time like others.
func (a *Attempt) Unindex() { a.fingerprint = 0 }

// Expire ends the attempts that began before the given time (nanoseconds).
func (l *AttemptLog) Expire(before int64) {
	for l.tail != l.head && l.ring[l.tail&uint32(len(l.ring)-1)].Time < before {
		l.drop()
	}
}

func (l *AttemptLog) memory() (used, limit uint64) {
	const size = uint64(AttemptBytes)
	return uint64(l.Len()) * size, uint64(l.Cap()) * size
}

// Len is the number of attempts in the log.
func (l *AttemptLog) Len() int { return int(l.head - l.tail) }

// Cap is the number of attempts that fit.
func (l *AttemptLog) Cap() int { return len(l.ring) }
