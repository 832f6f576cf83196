package sources

import (
	"net/netip"

	"spamsensor/flowtable"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/timeline"
)

// countTime counts an attempt of a host of ours, or of one that is judged, by its time. A host in
// no home network counts from the moment on at which it is judged.
func (s *Observer) countTime(ref flowtable.Ref, src *Source, now int64) {
	if !s.all.cfg.Times || src.flags&(home|declared|serving) == 0 && src.profile == 0 {
		return
	}
	host := *s.Table.Sources.KeyOf(ref)
	switch n := src.Counters.Attempts; {
	case src.flags&(home|declared|serving) == 0 || n > 1:
		s.times.Add(host, now, 1)
	case n == 0:
		s.times.Once(now)
	default:
		s.times.Again(host, src.Counters.First, now)
	}
}

// Times calls host with the attempts over time of each host of ours and each host that is judged,
// and rest with those of the hosts beyond the bound. Neither may keep or change a series.
func (all *Set) Times(host func(netip.Addr, *timeline.Series), rest func(*timeline.Series)) {
	for i := range all.shards {
		s := all.shards[i]
		s.locked(func() {
			s.times.All(func(k flowtable.HostKey, t *timeline.Series) {
				host(peer.NetIP(k.Addr, k.Scope.V6()), t)
			}, rest)
		})
	}
}
