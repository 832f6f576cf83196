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
	if src.flags&(home|declared|serving) == 0 && src.profile == 0 {
		return
	}
	s.times.Add(*s.Table.Sources.KeyOf(ref), now, 1)
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
