package sources

import (
	"bytes"
	"cmp"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/track"
	"spamsensor/sensor/verdict"
)

// Emit gives the sources that changed, or every source, to output: first those with a profile or
// several attempts, highest level first, then external sources with a single attempt, then the SYN
// cache.
//
// The first part is sorted and small. The other two can be hundreds of thousands in a flood of
// spoofed SYNs, so they are emitted in the order of the table and not sorted.
func (all *Set) Emit(now int64, every bool, output func(*finding.SourceRecord)) {
	var d finding.SourceRecord // reused: a flood has hundreds of thousands of sources
	list := all.list(func(_ *Observer, src *Source) bool {
		return !src.singleAttempt() && src.takeChanged(every)
	})
	for i := range list {
		if all.record(&list[i], &d, now) {
			output(&d)
		}
	}
	for i := range all.shards {
		s := all.shards[i]
		s.locked(func() {
			s.Table.Sources.All(func(r flowtable.Ref, k *flowtable.HostKey, src *Source) {
				if src.singleAttempt() && src.takeChanged(every) {
					d = s.sourceRecord(src, nil, *k, now)
					output(&d)
				}
			})
			s.Table.SYNs.All(func(n *track.SYNEntry) {
				if every || !n.Value.Emitted {
					n.Value.Emitted = true
					d = s.synRecord(n, now)
					output(&d)
				}
			})
		})
	}
}

// listed is a source in a sorted list: the sort keys, and where its entry is. Records of all
// sources at once would take much memory.
type listed struct {
	addr     flowtable.Addr
	attempts uint32
	ref      flowtable.Ref
	gen      uint16
	shard    uint16
	level    verdict.Level
}

// list returns the sources that pass a filter: highest level first, then most attempts, then by
// address. The filter is called while the shard of the source is locked.
func (all *Set) list(filter func(*Observer, *Source) bool) (list []listed) {
	for i := range all.shards {
		s := all.shards[i]
		s.locked(func() {
			s.Table.Sources.All(func(r flowtable.Ref, k *flowtable.HostKey, src *Source) {
				if !filter(s, src) {
					return
				}
				l := listed{addr: k.Addr, attempts: src.Counters.Attempts, ref: r,
					gen: s.Table.Sources.Gen(r), shard: uint16(i)}
				if prof := s.profiles.At(src.profile); prof != nil {
					l.level = prof.Level()
				}
				list = append(list, l)
			})
		})
	}
	slices.SortStableFunc(list, func(a, b listed) int {
		return cmp.Or(-cmp.Compare(a.level, b.level), -cmp.Compare(a.attempts, b.attempts),
			bytes.Compare(a.addr[:], b.addr[:]))
	})
	return list
}

// record makes the record of a listed source. It reports false if the source was evicted meanwhile.
func (all *Set) record(l *listed, d *finding.SourceRecord, now int64) bool {
	s := all.shards[l.shard]
	s.Table.Lock()
	defer s.Table.Unlock()
	// The generation shows whether the entry still holds the same source.
	src := s.sourceOf(l.ref, l.gen)
	if src != nil {
		*d = s.sourceRecord(src, s.profiles.At(src.profile), *s.Table.Sources.KeyOf(l.ref), now)
	}
	return src != nil
}

// singleAttempt reports whether a source is external and known by one attempt alone.
func (s *Source) singleAttempt() bool {
	return s.Counters.Attempts == 1 && s.flags&(home|declared|serving) == 0 && s.profile == 0
}

// takeChanged reports whether a source is to be emitted, and clears its changed flag. A source
// without an attempt is not emitted: its entry exists for its flows alone.
func (s *Source) takeChanged(every bool) bool {
	if s.Counters.Attempts == 0 || !every && s.flags&changed == 0 {
		return false
	}
	s.flags &^= changed
	return true
}
