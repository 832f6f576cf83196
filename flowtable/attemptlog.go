package flowtable

// Outcome is what became of a connection attempt.
type Outcome uint8

// The outcomes of an attempt.
const (
	Waiting     Outcome = iota // nothing came back yet
	Answered                   // a SYN-ACK, or the client went on
	Refused                    // RST
	Unreachable                // ICMP
)

// AttemptLog is a log of connection attempts in the order of their time, with an index.
//
// A first SYN is the one thing that anybody can send in any number, so it must cost
// little: 32 bytes in a ring and a word in the index, written one after the other, instead of
// an entry among the established flows. When the ring is full the oldest attempt is
// overwritten; nothing established ever has to make room for a SYN.
//
//	tail                                   head
//	 | oldest attempt ...  newest attempt |
//	 expires first                        next to be written
//
// An attempt is recognised by 64 bits of its flow's hash under a second secret and its
// initial sequence number: a match of the index alone merges nothing.
type AttemptLog struct {
	index
	ring       []Attempt
	head, tail uint32 // positions; the ring holds [tail, head)
	secret     uint64
	// Evicted counts attempts that were overwritten before they expired.
	Evicted uint64
	expired func(a *Attempt)
}

// Attempt is one (client, server, ports, initial sequence number).
type Attempt struct {
	fingerprint uint64
	Time        int64 // of the first SYN, nanoseconds
	ISN         uint32
	Source      Ref    // entry of the client among the sources
	last        uint32 // of the latest SYN, in milliseconds since the first, and the hint in the upper byte
	Gen         uint16 // of Source
	SYNs        uint8  // how many SYNs, saturating
	Outcome     Outcome
}

func (l *AttemptLog) init(words []uint32, ring []Attempt, secret uint64, expired func(a *Attempt)) {
	l.index, l.ring = newIndex(words, laps*len(ring)), ring
	l.secret, l.expired = secret, expired
}

// fingerprint is what recognises the flow of an attempt. Keys that collide in the first hash
// under every secret exist; the server's and the client's bytes go in here another way.
func (l *AttemptLog) fingerprint(hash uint64, k *Key) uint64 {
	p := hash ^ l.secret
	for _, half := range [4]uint64{le64(k.Client[:8]), le64(k.Client[8:]), le64(k.Server[:8]), le64(k.Server[8:])} {
		p = mix(p^half, l.secret|1)
	}
	return mix(p^uint64(k.ClientPort)<<48^uint64(k.ServerPort)<<32^uint64(k.Scope), l.secret|1)
}

// Prefetch fetches what Find will look at.
func (l *AttemptLog) Prefetch(hash uint64) uint32 {
	if l.head == l.tail {
		return 0
	}
	return l.bucket(hash)[0]
}

// Find is the latest attempt of this flow with this initial sequence number, or nil.
// The pointer is good until the next Add.
func (l *AttemptLog) Find(hash uint64, k *Key, isn uint32) *Attempt {
	if l.head == l.tail {
		return nil
	}
	t := l.tag(hash)
	for _, w := range l.bucket(hash) {
		if w>>l.refs != t {
			continue
		}
		if a := l.at(w); a != nil && a.ISN == isn && a.fingerprint == l.fingerprint(hash, k) {
			return a
		}
	}
	return nil
}

// laps is how many turns of the ring a reference tells apart: one that is older than
// this and was not replaced looks young again, and then it is the print that says no.
const laps = 4

// at is the attempt that a word refers to, nil if it is gone.
func (l *AttemptLog) at(word uint32) *Attempt {
	// How many attempts ago it was written; the latest has 1.
	if age := l.ref(l.head - word); age == 0 || age > l.head-l.tail {
		return nil
	}
	return &l.ring[word&uint32(len(l.ring)-1)]
}

// Add writes an attempt that Find did not find. src is its client's entry.
func (l *AttemptLog) Add(hash uint64, k *Key, isn uint32, now int64, src Ref, gen uint16) *Attempt {
	if l.head-l.tail == uint32(len(l.ring)) {
		l.Evicted++
		l.drop()
	}
	word, _ := l.slotFor(hash, l.head, l.head-l.tail)
	*word = l.word(hash, l.ref(l.head))
	a := &l.ring[l.head&uint32(len(l.ring)-1)]
	*a = Attempt{fingerprint: l.fingerprint(hash, k), Time: now, ISN: isn, Source: src, Gen: gen, SYNs: 1}
	l.head++
	return a
}

// drop ends the oldest attempt.
func (l *AttemptLog) drop() {
	a := &l.ring[l.tail&uint32(len(l.ring)-1)]
	l.tail++
	l.expired(a)
}

// Again notes another SYN of the attempt and reports how long after the one before it came.
func (a *Attempt) Retransmitted(now int64) (after int64) {
	ms := uint32(min(max(0, now-a.Time)/1e6, lastMask))
	after = now - a.Time - int64(a.last&lastMask)*1e6
	a.last = a.last&^lastMask | ms
	return after
}

// lastMask are the bits of a time in Attempt.last: four hours, and an attempt is remembered for
// minutes.
const lastMask = 1<<24 - 1

// Hint is a byte that the owner has given the attempt, zero at first.
func (a *Attempt) Hint() uint8 { return uint8(a.last >> 24) }

// SetHint gives the attempt a byte to keep.
func (a *Attempt) SetHint(h uint8) { a.last = a.last&lastMask | uint32(h)<<24 }

// Unindex has Find pass the attempt by; in its time it ends like others.
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

// Len is how many attempts are remembered.
func (l *AttemptLog) Len() int { return int(l.head - l.tail) }

// Cap is how many can be.
func (l *AttemptLog) Cap() int { return len(l.ring) }
