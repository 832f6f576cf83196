package engine

// prefetchPackets is how many packets are prepared before they are worked on.
const prefetchPackets = 64

// process works on the packets of this shard in all pieces, and does what is due at the ticks
// between them. The caller holds the lock; see panic.go.
func (s *shard) process(pieces []decodeBatch, ticks []tick) {
	for i := range pieces {
		p := &pieces[i]
		for list := p.queues[s.i]; len(list) > 0; {
			n := min(prefetchPackets, len(list))
			s.progress.Add(1)
			if s.e.cfg.Probe != nil {
				s.e.cfg.Probe()
			}
			s.prefetching = true
			s.prefetch(list[:n])
			s.prefetching = false
			for j := range list[:n] {
				x := &list[j]
				order := p.base + uint64(x.number)
				for len(ticks) > 0 && ticks[0].order <= order {
					s.tick(ticks[0])
					ticks = ticks[1:]
				}
				s.order, s.seqInPacket = order, 0
				s.packet(x, p.bytes[x.offset:x.offset+x.captured])
			}
			list = list[n:]
		}
	}
	for _, t := range ticks {
		s.tick(t)
	}
}

// prefetch fetches what these packets need, so that the waits for memory overlap: first the
// lines of the indexes, then what these lead to.
func (s *shard) prefetch(list []packet) {
	sum := uint32(0)
	for i := range list {
		p := &list[i]
		sum += s.t.Flows.Touch(p.flow)
		if p.first() {
			sum += s.t.Attempts.Touch(p.flow) + s.t.Sources.Touch(p.host) + s.t.SYNs.Touch(p.host)
		}
	}
	for i := range list {
		p := &list[i]
		if r := s.t.Flows.Find(p.flow, &p.key); r != 0 {
			f := s.t.Flows.At(r)
			sum += f.conn.Touch(dirOf(p)) + uint32(f.flags)
			if session := s.sessions.at(f.session); session != nil {
				sum += uint32(session.Touch())
			}
		}
	}
	s.prefetchSum += sum
}
