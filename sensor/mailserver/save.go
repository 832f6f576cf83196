package mailserver

import (
	"maps"
	"math"
	"slices"

	"spamsensor/sensor/sketch"
)

// Clone is a copy of the state that a checkpoint holds.
func (s *Server) Clone() *Server {
	c := *s
	c.out, c.Traffic.alarms = nil, nil
	c.Queue.Waiting = maps.Clone(s.Queue.Waiting)
	c.Queue.Unreachable = maps.Clone(s.Queue.Unreachable)
	for net, d := range c.Queue.Unreachable {
		d.Messages, d.Round.Hosts = slices.Clone(d.Messages), slices.Clone(d.Round.Hosts)
		c.Queue.Unreachable[net] = d
	}
	c.Queue.Destinations.Of = maps.Clone(s.Queue.Destinations.Of)
	c.Queue.Destinations.Usual = maps.Clone(s.Queue.Destinations.Usual)
	c.Accounts.Known = maps.Clone(s.Accounts.Known)
	c.Accounts.Senders = maps.Clone(s.Accounts.Senders)
	c.Count.Port25 = slices.Clone(s.Count.Port25)
	for hash, x := range c.Accounts.Known {
		x.Nets, x.Domains = slices.Clone(x.Nets), slices.Clone(x.Domains)
		c.Accounts.Known[hash] = x
	}
	for i := range c.Traffic.Series {
		c.Traffic.Series[i].Batches = slices.Clone(s.Traffic.Series[i].Batches)
	}
	c.Relay.Domains = maps.Clone(s.Relay.Domains)
	c.Relay.Strangers = slices.Clone(s.Relay.Strangers)
	return &c
}

// Repair corrects values that only a damaged checkpoint has: indexes out of range. budget is the
// memory that the queue shares with other servers.
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

// repair resets means that no count can have: older versions made such ones after 255 weeks.
func (s *Series) repair() {
	for slot, mean := range s.Mean {
		if !(mean >= 0 && mean <= math.MaxUint32) {
			s.Mean[slot], s.Weeks[slot] = 0, 0
		}
	}
}
