package mailserver

import "slices"

// The mail servers (MX hosts) of a destination often have addresses in several networks, and a
// server tries a message that one of them does not accept at the next one: that is one message. So
// networks are joined to a destination: networks whose hosts have the same name but for the first
// label, in the DNS or in their greetings; else networks to which mail for the same recipient
// domain went. A network without either is a destination of its own. Names are kept as keyed
// hashes.

// Destinations maps networks to destinations. The fields are the format of the checkpoint.
type Destinations struct {
	Of map[uint32]Destination `json:"Of,omitempty"` // by network
	// accepted messages by destination, halved now and then
	Usual map[uint32]uint32 `json:"Usual,omitempty"`
	Total uint32            `json:"Total"` // of them all
	Taken uint64            `json:"Taken"` // of all time
}

// Destination is the destination of one network.
type Destination struct {
	Name  uint32 `json:"Name"`  // hash
	Named bool   `json:"Named"` // the name is that of its servers, and not a recipient's domain
}

const (
	maxDestinations = 2048
	maxUsual        = 1 << 16
)

// of is the destination that a network belongs to.
func (d *Destinations) of(net uint32) uint32 {
	if x, ok := d.Of[net]; ok {
		return x.Name
	}
	return net
}

// belongs notes the name of the servers in a network, or, if named is false, the domain of a
// recipient whose mail goes there.
func (q *Queue) belongs(net, name uint32, named bool) {
	if name == 0 {
		return
	}
	d := &q.Destinations
	old, known := d.Of[net]
	if known && (old.Named || !named) || !known && len(d.Of) >= maxDestinations {
		return
	}
	if d.Of == nil {
		d.Of = map[uint32]Destination{}
	}
	before := d.of(net)
	d.Of[net] = Destination{name, named}
	q.moved(before, name)
}

// moved lets what waits for a destination wait for the destination to which it was joined.
func (q *Queue) moved(from, to uint32) {
	a, ok := q.Unreachable[from]
	if from == to || !ok {
		return
	}
	delete(q.Unreachable, from)
	if b, ok := q.Unreachable[to]; ok { // the same messages were tried at both
		if len(b.Messages) > len(a.Messages) {
			a, b = b, a
		}
		q.messages -= len(b.Messages)
		q.release(len(b.Messages))
		a.Since, a.Accepted = min(a.Since, b.Since), min(a.Accepted, b.Accepted)
	}
	q.Unreachable[to] = a
}

// took counts a message that a destination took.
func (d *Destinations) took(name uint32) {
	if d.Usual == nil {
		d.Usual = map[uint32]uint32{}
	}
	if _, known := d.Usual[name]; !known && len(d.Usual) >= maxDestinations {
		return
	}
	d.Usual[name]++
	d.Total++
	d.Taken++
	if d.Total < maxUsual {
		return
	}
	d.Total = 0
	for k, n := range d.Usual {
		if d.Usual[k] = n / 2; n < 2 {
			delete(d.Usual, k)
		}
		d.Total += n / 2
	}
}

// share is the share of all messages that a destination usually accepts; zero if too few messages
// are known.
func (d *Destinations) share(name uint32) float64 {
	if share, known := d.usual(name); known {
		return share
	}
	return 0
}

// usual is the same, and known says whether it is known well. One that rests on few messages is
// wrong for its destination, but not for many of them together.
func (d *Destinations) usual(name uint32) (share float64, known bool) {
	n := d.Usual[name]
	if d.Total < 100 {
		return 0, false
	}
	return float64(n) / float64(d.Total), n >= 5
}

// Round is one round of tries: the hosts of a destination, and how often the server tried each. The
// count of the host that was tried most often is the number of messages.
type Round struct {
	Last  int64       `json:"Last"`
	Hosts []HostTries `json:"Hosts,omitempty"`
}

// HostTries is the number of tries at a host.
type HostTries struct {
	Host  uint32 `json:"Host"`
	Tries uint16 `json:"Tries"`
}

const (
	// roundGap ends a round: Linux gives an attempt up after 127 s and then the next host is tried.
	roundGap   = 150 * second
	roundHosts = 16
)

// try notes a try; another says that its message was not tried in this round before.
func (r *Round) try(host uint32, now int64) (another bool) {
	if now-r.Last > roundGap {
		r.Hosts = nil
	}
	r.Last = max(r.Last, now)
	most := uint16(0)
	at := -1
	for i, h := range r.Hosts {
		most = max(most, h.Tries)
		if h.Host == host {
			at = i
		}
	}
	switch {
	case at < 0 && len(r.Hosts) >= roundHosts:
		return false
	case at < 0:
		r.Hosts = append(slices.Clip(r.Hosts), HostTries{host, 0})
		at = len(r.Hosts) - 1
	}
	if r.Hosts[at].Tries < 1<<16-1 {
		r.Hosts[at].Tries++
	}
	return r.Hosts[at].Tries > most
}

// elsewhere reports whether a host was not tried in this round, but another one was: then what it
// takes is what the other did not.
func (r Round) elsewhere(host uint32, now int64) bool {
	return len(r.Hosts) > 0 && now-r.Last <= roundGap &&
		!slices.ContainsFunc(r.Hosts, func(h HostTries) bool { return h.Host == host })
}
