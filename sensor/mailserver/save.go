package mailserver

import (
	"maps"
	"math"
	"slices"

	"spamsensor/sensor/sketch"
)

// Clone is a copy of what a checkpoint holds.
func (s *Server) Clone() *Server {
	c := *s
	c.out, c.Traffic.alarms = nil, nil
	c.Queue.Waiting, c.Queue.Unreachable = maps.Clone(s.Queue.Waiting), maps.Clone(s.Queue.Unreachable)
	for net, d := range c.Queue.Unreachable {
		d.Messages, d.Round.Hosts = slices.Clone(d.Messages), slices.Clone(d.Round.Hosts)
		c.Queue.Unreachable[net] = d
	}
	c.Queue.Destinations.Of, c.Queue.Destinations.Usual = maps.Clone(s.Queue.Destinations.Of), maps.Clone(s.Queue.Destinations.Usual)
	c.Accounts.Known, c.Accounts.Senders = maps.Clone(s.Accounts.Known), maps.Clone(s.Accounts.Senders)
	c.Count.Port25 = slices.Clone(s.Count.Port25)
	for hash, x := range c.Accounts.Known {
		x.Nets, x.Domains = slices.Clone(x.Nets), slices.Clone(x.Domains)
		c.Accounts.Known[hash] = x
	}
	for i := range c.Traffic.Series {
		c.Traffic.Series[i].Batches = slices.Clone(s.Traffic.Series[i].Batches)
	}
	c.Relay.Domains, c.Relay.Strangers = maps.Clone(s.Relay.Domains), slices.Clone(s.Relay.Strangers)
	return &c
}

// Repair corrects what a checkpoint cannot hold unless somebody wrote into it: indexes that point
// nowhere. budget is what its queue shares with others from now on.
func (s *Server) Repair(budget *sketch.Budget) {
	s.Traffic.Bin, s.Traffic.From = max(0, s.Traffic.Bin), max(0, s.Traffic.From)
	for i := range s.Traffic.Series {
		past := &s.Traffic.Series[i].Batches
		*past = (*past)[:min(len(*past), maxBatches)]
		s.Traffic.Series[i].repair()
	}
	s.Queue.Hour = max(0, s.Queue.Hour)
	s.Queue.setBudget(budget)
	for k, d := range s.Relay.Domains {
		d.N = min(d.N, uint8(len(d.Nets)))
		s.Relay.Domains[k] = d
	}
}

// repair has means be numbers that a count can have: versions before this one made others after 255
// weeks.
func (s *Series) repair() {
	for slot, mean := range s.Mean {
		if !(mean >= 0 && mean <= math.MaxUint32) {
			s.Mean[slot], s.Weeks[slot] = 0, 0
		}
	}
}
