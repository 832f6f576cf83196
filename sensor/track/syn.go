package track

import (
	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/wire"
)

// duplicateWindow is how far apart two copies of a frame can be, in nanoseconds; see package tcp.
const duplicateWindow = 5e6

// SYN works on a client's SYN (see Packet.IsSYN), first or retransmitted. payload is borrowed.
func (t *Tracker[S]) SYN(p *Packet, payload []byte) {
	t.Count.SYNs++
	h := p.Key.ClientKey()
	source := t.table.Sources.Find(p.ClientHash, &h)
	if source == 0 && t.cacheSYN(p, payload) {
		return // one SYN of an external host: anybody can forge it
	}
	if a := t.table.Attempts.Find(p.FlowHash, &p.Key, p.Seq); a != nil {
		t.synAgain(p, payload, a)
		return
	}
	if source == 0 { // the SYN cache may just have made its entry
		source = t.source(p)
	}
	t.packetEvent(FirstSYN, source, p, nil)
	gen := t.table.Sources.Gen(source)
	a := t.table.Attempts.Add(p.FlowHash, &p.Key, p.Seq, p.Time, source, gen)
	a.SetHint(p.hint())
	if f := t.flowBeforeSYN(p); f != nil { // the mirror delivered the SYN-ACK first
		f.SYNs++
		a.Outcome = flowtable.Answered
		if f.has(counted) {
			return
		}
		f.flags |= counted
	}
	t.Count.Attempts++
	t.attempt(p.Time, source, &p.Key, p.TTL)
	if len(payload) > 0 {
		t.fastOpen(p, payload, source)
	}
}

// attempt emits an attempt. ttl is zero if its SYN was not seen.
func (t *Tracker[S]) attempt(now int64, source flowtable.Ref, k *flowtable.Key, ttl uint8) {
	ev := t.event(Attempt, source, k)
	ev.Time, ev.TTL = now, ttl
	t.observe(ev)
}

// synAgain is another SYN with the ports and the initial sequence number of an attempt: a copy of
// the frame, a new connection, or a retransmission.
func (t *Tracker[S]) synAgain(p *Packet, payload []byte, a *flowtable.Attempt) {
	after := a.Retransmitted(p.Time)
	if after >= 0 && after < int64(duplicateWindow) {
		t.Count.Duplicates++
		return
	}
	if t.reopened(p, a) {
		a.Unindex()
		t.SYN(p, payload)
		t.Count.SYNs--
		return
	}
	if a.SYNs < 255 {
		a.SYNs++
	}
	t.Count.Retransmits++
	if source := t.sourceOf(a.Source, a.Gen); source != 0 {
		ev := t.event(SYNRetransmit, source, &p.Key)
		ev.Time, ev.Packet, ev.After = p.Time, p, after
		t.observe(ev)
	}
	t.synRetransmitted(p)
}

// reopened reports whether a SYN opens another connection with the ports and the initial sequence
// number of a connection that is over. A client that writes its own segments can always use the
// same number.
func (t *Tracker[S]) reopened(p *Packet, a *flowtable.Attempt) bool {
	if a.Outcome != flowtable.Answered {
		return false
	}
	r := t.table.Flows.Find(p.FlowHash, &p.Key)
	if r == 0 {
		return true
	}
	f := t.table.Flows.At(r)
	if !f.over() {
		return false
	}
	t.closeFlow(r, &p.Key, f, "")
	return true
}

// synRetransmitted adds a retransmitted SYN to the flow of its attempt: the SYN-ACK was lost, or
// the two crossed.
func (t *Tracker[S]) synRetransmitted(p *Packet) {
	r := t.table.Flows.Find(p.FlowHash, &p.Key)
	if r == 0 {
		return
	}
	if f := t.table.Flows.At(r); f.Conn.SYNSeen && f.Conn.ISN(tcp.Client) == tcp.Seq(p.Seq) {
		f.Conn.SYNRetransmitted()
		f.Last = max(f.Last, p.Time)
		if f.SYNs < 255 {
			f.SYNs++
		}
	}
}

// flowBeforeSYN is the flow of a SYN that comes after its SYN-ACK, nil usually. Only a flow without
// a SYN of its own is looked for.
func (t *Tracker[S]) flowBeforeSYN(p *Packet) *Flow {
	r := t.table.Flows.Find(p.FlowHash, &p.Key)
	if r == 0 {
		return nil
	}
	f := t.table.Flows.At(r)
	if f.Conn.SYNSeen || f.Conn.ISN(tcp.Client) != tcp.Seq(p.Seq) || f.Conn.State() == tcp.New {
		return nil
	}
	return f
}

// fastOpen begins a flow for a SYN that carries data (RFC 7413): the server may accept the data.
// With a table that is half full the SYN could be a flood's, and the flow begins with the server's
// answer.
func (t *Tracker[S]) fastOpen(p *Packet, payload []byte, source flowtable.Ref) {
	if t.table.Flows.Find(p.FlowHash, &p.Key) != 0 || t.table.Flows.Len() > t.table.Flows.Cap()/2 {
		return
	}
	r, f := t.newFlow(p, source)
	f.flags |= counted | fastOpenPending
	f.SYNs = 1
	f.Conn.HoldClient()
	t.push(p, payload, r, f)
}

// fastOpenRejected reports whether a segment shows that the server did not accept the data of a
// SYN: the server acknowledges the SYN alone, or the client begins there again. The dialogue then
// is what follows, and the data of the SYN are none of it.
func (f *Flow) fastOpenRejected(p *Packet) bool {
	first := f.Conn.ISN(tcp.Client).Add(1)
	if p.ToServer {
		return f.has(fastOpenPending) && tcp.Seq(p.Seq) == first
	}
	return f.has(fastOpenPending) && p.Flags.Has(wire.SYN|wire.ACK) && tcp.Seq(p.Ack) == first
}

// resolveFastOpen gives the attempt of a SYN with data its outcome.
func (t *Tracker[S]) resolveFastOpen(p *Packet, f *Flow, outcome flowtable.Outcome) {
	if !f.has(fastOpenPending) {
		return
	}
	f.flags &^= fastOpenPending
	if a := t.table.Attempts.Find(p.FlowHash, &p.Key, uint32(f.Conn.ISN(tcp.Client))); a != nil {
		a.Outcome = outcome
	}
}

// resolveAttempt gives the attempt of a packet's flow an outcome: a RST from the server came while
// there was no flow, or an ICMP error that quotes the SYN.
func (t *Tracker[S]) resolveAttempt(p *Packet, isn uint32, outcome flowtable.Outcome) {
	a := t.table.Attempts.Find(p.FlowHash, &p.Key, isn)
	if a == nil {
		if n := t.cachedSYN(p, isn); n != nil && n.Outcome == flowtable.Waiting {
			n.Outcome = outcome
		}
		return
	}
	if a.Outcome != flowtable.Waiting {
		return
	}
	a.Outcome = outcome
	if source := t.sourceOf(a.Source, a.Gen); source != 0 {
		ev := t.event(AttemptFailed, source, &p.Key)
		ev.Time, ev.Packet, ev.Outcome = p.Time, p, outcome
		t.observe(ev)
	}
}

// attemptOf is the attempt of a packet's flow with an initial sequence number, nil if there was
// none or it is forgotten. A host in the SYN cache becomes a source: its SYN was answered.
func (t *Tracker[S]) attemptOf(p *Packet, isn uint32) *flowtable.Attempt {
	if a := t.table.Attempts.Find(p.FlowHash, &p.Key, isn); a != nil {
		return a
	}
	if n := t.cachedSYN(p, isn); n != nil {
		return t.promote(p.ClientHash, n)
	}
	return nil
}

// AttemptExpired is for flowtable.Callbacks: an attempt is forgotten. If no answer came until now,
// none will.
func (t *Tracker[S]) AttemptExpired(a *flowtable.Attempt) {
	if a.Outcome == flowtable.Waiting {
		t.sourceEvent(ConnectionOver, a.Source, a.Gen)
	}
}
