package detect

import (
	"math"

	"spamsensor/sensor/contacts"
	"spamsensor/sensor/sketch"
)

// Counters are the counts of every source, judged or not. They hold no pointers: they live in
// memory that the garbage collector does not scan.
type Counters struct {
	First              int64        `json:"First"` // attempts
	Last               int64        `json:"Last"`
	Attempts           uint32       `json:"Attempts"`
	Retransmits        uint32       `json:"Retransmits"` // SYNs of attempts that were made before
	Sessions           uint32       `json:"Sessions"`
	Refused            uint32       `json:"Refused"`
	Unreachable        uint32       `json:"Unreachable"`
	Concurrent         uint32       `json:"Concurrent"` // open: attempts without answer, sessions
	ConcurrentMax      uint32       `json:"ConcurrentMax"`
	Messages           uint32       `json:"Messages"`
	Rejected           uint32       `json:"Rejected"`
	Deferred           uint32       `json:"Deferred"`
	Recipients         uint32       `json:"Recipients"`
	RecipientsRejected uint32       `json:"RecipientsRejected"`
	TLSSessions        uint32       `json:"TLSSessions"`
	AuthSessions       uint32       `json:"AuthSessions"`
	Ports              [4]PortCount `json:"Ports"`    // the first four ports
	ToServer           uint64       `json:"ToServer"` // payload bytes
	ToClient           uint64       `json:"ToClient"`
	ErrorBound         uint32       `json:"ErrorBound"` // attempts that may have been evicted
	recent             [8]uint32    // attempts by second, to know which still wait for an answer
	recentAt           int64
	// Distinct values, exact as long as they are few; with more a Profile counts them.
	addrs, nets, helos, senders sketch.SmallSet
}

// PortCount counts the attempts to one port.
type PortCount struct {
	Port  uint16 `json:"Port"`
	Count uint32 `json:"Count"`
}

// Observe counts an observation. full reports that a set of the counters is too small for it: then
// only a Profile can count, and the caller makes one. It comes before Profile.Observe.
func (n *Counters) Observe(o *Observation) (full bool) {
	switch o.Kind {
	case KindSYN:
		return n.attempt(o)
	case KindHelo:
		return n.helos.Add(o.Hash)
	case KindSender:
		return n.senders.Add(o.Hash)
	}
	return false
}

// attempt counts a first SYN. The network is not counted again with an address that finds no place.
func (n *Counters) attempt(o *Observation) (full bool) {
	if n.Attempts == 0 || o.Time < n.First {
		n.First = o.Time
	}
	n.Last = max(n.Last, o.Time)
	sketch.Increment(&n.Attempts)
	for i := range n.Ports {
		p := &n.Ports[i]
		if p.Count == 0 || p.Port == o.Port {
			p.Port = o.Port
			sketch.Increment(&p.Count)
			break
		}
	}
	// The ring of attempts by second is brought up to date before the attempt counts in it.
	n.tick(o.Time)
	n.recent[uint64(o.Time/second)%uint64(len(n.recent))]++
	n.Opened()
	return n.addrs.Add(o.Addr) || n.nets.Add(o.Net)
}

// tick clears the seconds between the latest attempt and now in the ring of attempts by second. The
// ring has eight: contacts.AnswerTime, the second of now, and two to spare.
func (n *Counters) tick(now int64) {
	size := int64(len(n.recent))
	at := now / second
	if at <= n.recentAt {
		return
	}
	for i := max(n.recentAt+1, at-size+1); i <= at; i++ { // as many as recent has at most
		n.recent[uint64(i)%uint64(size)] = 0
	}
	n.recentAt = at
}

// Opened counts a connection that is open from now on; Closed is the opposite.
func (n *Counters) Opened() {
	n.Concurrent++
	n.ConcurrentMax = max(n.ConcurrentMax, n.Concurrent)
}

// Closed is the opposite of Opened.
func (n *Counters) Closed() {
	if n.Concurrent > 0 {
		n.Concurrent--
	}
}

// Silent is how many attempts had no answer within five seconds. Sessions, refused, unreachable and
// silent ones add up to the attempts once all have had their time.
func (n *Counters) Silent(now int64) uint32 {
	resolved := n.Sessions + n.Refused + n.Unreachable
	waiting := uint32(0)
	for i, attempts := range n.recent {
		at := n.recentAt - int64((uint64(n.recentAt)-uint64(i))%uint64(len(n.recent)))
		if now-at*second < contacts.AnswerTime+second {
			waiting += attempts
		}
	}
	all := n.Attempts - min(n.Attempts, resolved)
	return all - min(all, waiting)
}

// mailPort is how many attempts went to port 25, where mail servers talk to one another.
func (n *Counters) mailPort() uint32 {
	for _, p := range n.Ports {
		if p.Port == 25 {
			return p.Count
		}
	}
	return 0
}

// attemptsBefore is how many attempts to a port there were if none became a session, with those
// before there was a Profile.
func (n *Counters) attemptsBefore(port uint16) uint32 {
	for _, p := range n.Ports {
		if p.Port == port && n.Sessions == 0 {
			return p.Count
		}
	}
	return 0
}

// DestIPs is how many different servers there were; p may be nil.
func (n *Counters) DestIPs(p *Profile) int {
	if p != nil {
		return p.addrs.Len()
	}
	return n.addrs.Len()
}

// DestNets is how many different networks of servers there were; p may be nil.
func (n *Counters) DestNets(p *Profile) int {
	if p != nil {
		return p.nets.Len()
	}
	return n.nets.Len()
}

// HeloNames is how many different HELO names there were; p may be nil.
func (n *Counters) HeloNames(p *Profile) int {
	if p != nil {
		return max(p.heloNames.distinct.Len(), n.helos.Len())
	}
	return n.helos.Len()
}

// SenderDomains is how many different domains of senders there were; p may be nil.
func (n *Counters) SenderDomains(p *Profile) int {
	if p != nil {
		return max(p.envelope.distinct.Len(), n.senders.Len())
	}
	return n.senders.Len()
}

// Since subtracts the counters at a time: another machine has had the address from then on. The
// result has the counts of that machine alone. Distinct values and the maximum of open connections
// are not subtracted.
func (n *Counters) Since(before *Counters, at int64) Counters {
	d := *n
	d.First = at // the other machine's first attempt, as far as it is known
	for _, x := range d.sums(before) {
		*x[0] -= min(*x[0], *x[1])
	}
	for i := range d.Ports { // these keep their places
		d.Ports[i].Count -= min(d.Ports[i].Count, before.Ports[i].Count)
	}
	d.ToServer -= min(d.ToServer, before.ToServer)
	d.ToClient -= min(d.ToClient, before.ToClient)
	return d
}

// Plus adds the counters of another address that the same machine had before. Counts stop at the
// largest number instead of wrapping. A fifth port finds no place.
func (n *Counters) Plus(before *Counters) Counters {
	d := *n
	d.First, d.Last = min(d.First, before.First), max(d.Last, before.Last)
	for _, x := range d.sums(before) {
		*x[0] += min(*x[1], math.MaxUint32-*x[0])
	}
	d.ConcurrentMax = max(d.ConcurrentMax, before.ConcurrentMax)
	// Ports of both addresses share the four places, in the order of this address.
	for _, p := range before.Ports {
		for i := range d.Ports {
			if to := &d.Ports[i]; p.Count > 0 && (to.Count == 0 || to.Port == p.Port) {
				to.Port = p.Port
				to.Count += min(p.Count, math.MaxUint32-to.Count)
				break
			}
		}
	}
	d.ToServer += before.ToServer
	d.ToClient += before.ToClient
	return d
}

// sums pairs each count that adds up over addresses and times with the same count of o. Since and
// Plus share the list, so that a new counter cannot be missing in one of them.
func (n *Counters) sums(o *Counters) [12][2]*uint32 {
	return [...][2]*uint32{
		{&n.Attempts, &o.Attempts}, {&n.Retransmits, &o.Retransmits}, {&n.Sessions, &o.Sessions},
		{&n.Refused, &o.Refused}, {&n.Unreachable, &o.Unreachable}, {&n.Messages, &o.Messages},
		{&n.Rejected, &o.Rejected}, {&n.Deferred, &o.Deferred}, {&n.Recipients, &o.Recipients},
		{&n.RecipientsRejected, &o.RecipientsRejected}, {&n.TLSSessions, &o.TLSSessions},
		{&n.AuthSessions, &o.AuthSessions},
	}
}
