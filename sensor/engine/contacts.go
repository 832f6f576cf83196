package engine

import (
	"spamsensor/flowtable"
)

// What becomes of attempts, as observations about a source that is judged. A source that
// is not judged yet has sent one SYN, and it is counted.

// attempted looks after a host that has just made an attempt.
func (s *shard) attempted(ref flowtable.Ref, hst *host, k *flowtable.Key, net uint32, now int64) {
	if hst.HasPending() && !hst.waiting {
		hst.waiting = true
		s.later = append(s.later, ref)
	}
	if l := hst.Lookups(); l != nil && (hst.Undecided() || !l.Linked()) && l.Connected(&k.Server, now) {
		hst.ConfirmNetwork(net)
	}
}

// repeated is another SYN of an attempt.
func (s *shard) observeRetransmit(src *source, p *packet, after int64) {
	if hst := s.hosts.at(src.host); hst != nil {
		hst.SYNRetransmitted(&s.e.cfg.Detect, s.expected(hst, &p.key), s.unproved(hst, &p.key), p.seq, after, p.time)
		s.judge(src, hst, p.time)
	}
}

// answered is a SYN-ACK.
func (s *shard) answered(src *source, p *packet) {
	if hst := s.hosts.at(src.host); hst != nil {
		hst.Answered(&s.e.cfg.Detect, s.expected(hst, &p.key), p.key.ServerPort, p.time)
		s.judge(src, hst, p.time)
	}
}

// failed is a RST or an ICMP error for a SYN.
func (s *shard) failed(src *source, p *packet, icmp bool) {
	if hst := s.hosts.at(src.host); hst != nil {
		hst.Failed(&s.e.cfg.Detect, s.expected(hst, &p.key), p.key.ServerPort, icmp, p.time)
		s.judge(src, hst, p.time)
	}
}

// tickOutcomes takes first contacts for failed that nobody answered in time.
func (s *shard) tickOutcomes(now int64) {
	list := s.later[:0]
	for _, r := range s.later {
		src, hst := s.hostAt(r)
		if hst == nil {
			continue
		}
		hst.ExpireContacts(&s.e.cfg.Detect, now)
		if hst.HasPending() {
			list = append(list, r)
		} else {
			hst.waiting = false
		}
		s.judge(src, hst, now)
	}
	s.later = list
}
