package sources

// Counters are the counters of one shard's observer. The engine adds them up.
type Counters struct {
	SourcesEvicted, ProfilesEvicted, Withheld uint64
	LookupsForgotten, NotesDropped            uint64
	SeenBoth, SeenClient, SeenServer          uint64
}

// Add adds the counters of another shard.
func (c *Counters) Add(o *Counters) {
	c.SourcesEvicted += o.SourcesEvicted
	c.ProfilesEvicted += o.ProfilesEvicted
	c.Withheld += o.Withheld
	c.LookupsForgotten += o.LookupsForgotten
	c.NotesDropped += o.NotesDropped
	c.SeenBoth += o.SeenBoth
	c.SeenClient += o.SeenClient
	c.SeenServer += o.SeenServer
}

// Counters returns the counters of the observer. The caller holds the shard's lock.
func (s *Observer) Counters() *Counters {
	s.count.LookupsForgotten, s.count.NotesDropped = s.dnsLookups.forgotten, s.notes.dropped
	return &s.count
}

// Profiled returns the number of sources with a profile. The caller holds the shard's lock.
func (s *Observer) Profiled() int { return s.profiles.Len() }
