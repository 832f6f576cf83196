package sources

import (
	"net/netip"

	"spamsensor/flowtable"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/verdict"
)

// Records gives hosts to output, as many as most: those of ours and those that are judged, highest
// level first, then most attempts, then by address. now is the time in ns. It changes nothing, and
// returns how many there are in all.
func (all *Set) Records(now int64, most int, output func(*finding.SourceRecord)) (total int) {
	var d finding.SourceRecord
	list := all.list(func(s *Observer, src *Source) bool {
		if src.Counters.Attempts == 0 {
			return false
		}
		prof := s.profiles.At(src.profile)
		return src.flags&(home|declared|serving) != 0 ||
			prof != nil && prof.Level() > verdict.NoLevel
	})
	for i := range list[:min(most, len(list))] {
		if all.record(&list[i], &d, now) {
			output(&d)
		}
	}
	return len(list)
}

// Explain returns what is known of the hosts that match: their records, and for a judged host the
// reasons for and against it, below the threshold of a finding too, with the blind spots and the
// advice. An address may be in use in several VLANs. now is the time in ns. It changes nothing.
func (all *Set) Explain(match func(netip.Addr) bool, now int64) (list []*finding.Finding) {
	for i := range all.shards {
		s := all.shards[i]
		s.locked(func() {
			s.Table.Sources.All(func(_ flowtable.Ref, k *flowtable.HostKey, src *Source) {
				if match(peer.NetIP(k.Addr, k.Scope.V6())) {
					list = append(list, s.explain(src, *k, now))
				}
			})
		})
	}
	return list
}

// explain describes a host. The caller holds the shard's lock.
func (s *Observer) explain(src *Source, k flowtable.HostKey, now int64) (d *finding.Finding) {
	prof := s.profiles.At(src.profile)
	if prof == nil {
		return &finding.Finding{Action: finding.Explained, Time: now,
			Source: s.sourceRecord(src, nil, k, now)}
	}
	s.asMachine(src, prof, k, func() {
		v := prof.Verdict()
		f := finding.Entry{Class: v.Class, Level: prof.Level(), Updated: now}
		if main := prof.findings.Main(); main != nil {
			f = *main
		} else if direct := prof.findings[verdict.DirectSMTP]; direct != nil && direct.Open {
			f.ID = direct.ID
		}
		d = s.describe(src, prof, &f, k,
			&finding.Change{Class: f.Class, Level: f.Level, Action: finding.Explained}, now)
		d.Time = now
		if f.Level == verdict.NoLevel { // there is nothing to do
			d.Advice = ""
		}
	})
	return d
}
