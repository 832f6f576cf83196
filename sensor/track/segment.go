package track

import (
	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/wire"
)

// Segment works on any segment but a client's SYN; payload is borrowed. It finds the flow, or
// begins one, and then looks for the signs that the flow is not what it seemed to be.
func (t *Tracker[S]) Segment(p *Packet, payload []byte, x *Found) {
	r := x.ref
	if t.flow(x) == nil {
		r = t.table.Flows.Find(p.FlowHash, &p.Key)
	}
	if r == 0 {
		t.begin(p, payload)
		return
	}
	if t.table.Flows.At(r).has(portsReused) {
		r = t.matchFlow(p, r)
	}
	f := t.table.Flows.At(r)
	synAck := !p.ToServer && p.Flags.Has(wire.SYN|wire.ACK)
	switch {
	case p.ToServer && p.Flags.Has(wire.SYN):
		t.Count.Strays++ // a SYN-ACK from a client: half of a simultaneous open, or nonsense
		return
	case f.fastOpenRejected(p):
		t.dropFlow(r, &p.Key, f)
		t.begin(p, payload)
		return
	case synAck && f.answersOther(p):
		// The ports were used again. In a connection that goes on the SYN-ACK is forged, or its SYN
		// is known, if SYNs are seen.
		goesOn := !f.over() && p.Time-f.Last < idleNew && f.Conn.Seen(tcp.Client)
		if goesOn && t.attemptOf(p, p.Ack-1) == nil {
			t.Count.Strays++
			return
		}
		t.reopen(p, payload, r, f)
		return
	case f.has(sessionEmitted) && f.goesOnAtFIN(p):
		// The FINs of both ends were forged.
		t.closeFlow(r, &p.Key, f, "")
		t.begin(p, payload)
		return
	case synAck && f.has(claimed) && tcp.Seq(p.Seq) != f.Conn.ISN(tcp.Server):
		// The client acknowledged another SYN-ACK before there was one: it does not see the
		// server's answers.
		t.dropFlow(r, &p.Key, f)
		t.begin(p, payload)
		return
	case p.ToServer && f.Conn.Next(tcp.Client) != tcp.Seq(p.Seq):
		// A port reuse where the capture shows only the client.
		if a := t.attemptOf(p, p.Seq-1); a != nil && a.Outcome == flowtable.Waiting {
			t.reopen(p, payload, r, f)
			return
		}
	}
	t.push(p, payload, r, f)
}

// answersOther reports whether a SYN-ACK answers another SYN than the flow's.
func (f *Flow) answersOther(p *Packet) bool {
	began := f.Conn.State() != tcp.New || f.has(midstream)
	return began && tcp.Seq(p.Ack) != f.Conn.ISN(tcp.Client).Add(1)
}

// goesOnAtFIN reports whether the sender of a FIN sends more bytes, the first in the place of the
// FIN of a connection that both ends closed.
func (f *Flow) goesOnAtFIN(p *Packet) bool {
	return p.Len > 1 && f.Conn.State() == tcp.Closed && f.Conn.Next(p.Dir()) == tcp.Seq(p.Seq)+1
}

// begin is a segment of no known flow: the answer to an attempt, a connection that began before the
// capture, or a stray.
func (t *Tracker[S]) begin(p *Packet, payload []byte) {
	if p.Flags.Has(wire.RST) {
		if !p.ToServer {
			t.resolveAttempt(p, p.Ack-1, flowtable.Refused)
		}
		return
	}
	isn := p.Seq - 1 // of the client's next segment
	if !p.ToServer {
		isn = p.Ack - 1
	}
	a := t.attemptOf(p, isn)
	if a == nil && !p.ToServer && p.Flags.Has(wire.SYN|wire.ACK) && p.Seq == p.Ack {
		a = t.attemptOf(p, p.Ack) // made by hand, with one number for all; see tcp.Conn
	}
	switch {
	case a != nil:
		t.beginAnswered(p, payload, a)
	case !p.ToServer && p.Flags.Has(wire.SYN|wire.ACK): // the SYN was not seen, or is forgotten
		t.Count.SYNUnseen++
		r, f := t.newFlow(p, 0)
		f.Conn.HoldClient()
		t.push(p, payload, r, f)
	case len(payload) > 0 && t.table.Flows.Len() < t.table.Flows.Cap():
		t.beginMidstream(p, payload)
	default:
		t.Count.Strays++
	}
}

// beginAnswered begins the flow of an attempt: with the SYN-ACK, or with a later segment.
func (t *Tracker[S]) beginAnswered(p *Packet, payload []byte, a *flowtable.Attempt) {
	synAck := !p.ToServer && p.Flags.Has(wire.SYN|wire.ACK)
	r, f := t.newFlow(p, t.sourceOf(a.Source, a.Gen))
	isn := a.ISN
	if synAck && p.Ack == isn {
		isn-- // the numbers of the capture do not count the SYN
	}
	f.Conn.Open(tcp.Seq(isn), uint32(a.SYNs))
	f.Start, f.SYNs, f.Trace.synHint = a.Time, a.SYNs, a.Hint()
	f.flags |= counted
	if a.Outcome == flowtable.Answered && !synAck && p.Len > 0 {
		// Its flow was evicted. The session was counted, and emitted as far as it went.
		f.flags |= midstream
		t.Count.Midstream++
	} else {
		f.Conn.HoldClient()
	}
	if a.Outcome == flowtable.Waiting {
		a.Outcome = flowtable.Answered
	}
	if source := t.sourceOf(f.Source, f.sourceGen); source != 0 && synAck {
		t.packetEvent(SYNACK, source, p, f)
	}
	t.push(p, payload, r, f)
}

// beginMidstream begins the flow of a connection that began before the capture. With a full table
// it is not followed: the segment could be forged, and another flow would be evicted. The dialogue
// of its client counts for a source that is known, once the server answers: the connection may have
// been silent for long.
func (t *Tracker[S]) beginMidstream(p *Packet, payload []byte) {
	source := flowtable.Ref(0)
	if p.ToServer {
		h := p.Key.ClientKey()
		source = t.table.Sources.Find(p.ClientHash, &h)
	}
	r, f := t.newFlow(p, source)
	f.flags |= midstream
	t.Count.Midstream++
	if source != 0 {
		f.Conn.HoldClient()
	}
	t.push(p, payload, r, f)
}

// push gives a segment to its flow: to the TCP stream, and what became readable to the dialogue.
func (t *Tracker[S]) push(p *Packet, payload []byte, r flowtable.Ref, f *Flow) {
	if p.Len > 0 && (f.Session == 0 && t.sessions.Len() >= t.maxSessions ||
		t.Listener.Bytes() > t.maxSessionBytes) {
		t.makeRoom(f)
	}
	t.current = r
	seg := &t.segmentInHand
	seg.Dir, seg.Flags = p.Dir(), tcp.Flags(p.Flags)
	seg.Seq, seg.Ack = tcp.Seq(p.Seq), tcp.Seq(p.Ack)
	seg.Len, seg.Sum, seg.Time, seg.Payload = int(p.Len), p.Sum, p.Time, payload
	seg.Stamp, seg.Stamped, seg.Urgent = p.Stamp, p.Stamped, p.Urgent
	if p.ToServer {
		seg.DropRisk = f.Trace.dropRisk(p)
	} else {
		seg.DropRisk = f.Trace.replyDropRisk(p)
	}
	before := f.Conn.State()
	res := t.stream.Push(&f.Conn, seg)
	if res&tcp.Differs != 0 {
		t.Count.Conflicts++
		if p.ToServer {
			t.conflict(p, f)
		}
	}
	switch {
	case res&tcp.Duplicate != 0:
		t.Count.Duplicates++
		return
	case res&tcp.Foreign != 0:
		t.Count.OutOfWindow++
		return
	case res&tcp.BlindAck != 0:
		t.Count.OutOfWindow++
	case res&tcp.Unconfirmed != 0:
		t.Count.Doubtful++
	case res&tcp.Retransmit != 0:
		t.Count.Retransmits++
	}
	f.Last = max(f.Last, p.Time)
	t.handshake(p, f, res)
	if res&tcp.Aborted != 0 && !p.ToServer && (before < tcp.Established || f.has(claimed)) {
		t.reset(p, f)
	}
	t.drain(f)
	if f.over() && !f.has(lingering) {
		f.flags |= lingering
		t.table.Flows.Schedule(r, p.Time, p.Time+lingerTime)
		if f.has(counted) {
			t.sourceEvent(ConnectionOver, f.Source, f.sourceGen)
		}
	}
	// All bytes were read, and none is on its way any more; after a reset some may follow. Where
	// the last acknowledgment is lost, the flow ends when its time is over.
	if f.Conn.Acknowledged() && !f.has(sessionEmitted) {
		t.closeSession(&p.Key, f, "")
	}
}

// reset is a RST of the server before the handshake was complete: the attempt is refused.
func (t *Tracker[S]) reset(p *Packet, f *Flow) {
	if !f.has(counted) || f.has(refused) {
		return
	}
	f.flags |= refused
	t.resolveFastOpen(p, f, flowtable.Refused)
	if source := t.sourceOf(f.Source, f.sourceGen); source != 0 {
		t.packetEvent(FlowReset, source, p, f)
	}
}

// conflict is a segment of the client with other bytes than an earlier copy.
func (t *Tracker[S]) conflict(p *Packet, f *Flow) {
	if session := t.sessions.At(f.Session); session != nil {
		t.Listener.MarkAmbiguous(session)
	}
	t.packetEvent(Conflict, t.sourceOf(f.Source, f.sourceGen), p, f)
}

// handshake follows whether a flow is established: its handshake is complete, and both sides were
// seen, or the capture shows one side alone: a server that speaks, or a client that acknowledges
// bytes of its server. Bytes of the client are held back until then.
func (t *Tracker[S]) handshake(p *Packet, f *Flow, res tcp.Result) {
	if f.has(unanswered) && !p.ToServer && p.Flags&wire.RST == 0 {
		f.flags &^= unanswered
		t.packetEvent(ServerAnswered, t.sourceOf(f.Source, f.sourceGen), p, f)
		if f.has(midstream) {
			f.Conn.ReleaseClient()
		}
	}
	if res&tcp.Opened != 0 && !f.has(midstream) {
		f.flags |= claimed
	}
	if !f.has(claimed | oneSided) {
		return
	}
	both := f.SeenBothSides()
	switch {
	case both && f.has(oneSided):
		f.flags &^= oneSided
		t.seen[0]--
		t.seen[1]++
		if f.has(established) {
			t.packetEvent(BothSides, t.sourceOf(f.Source, f.sourceGen), p, f)
		}
	case both:
		t.seen[1]++
	case !f.has(oneSided) && (!f.Conn.Seen(tcp.Client) || f.Conn.Answered(tcp.Server)):
		f.flags |= oneSided
		t.seen[0]++
	}
	if f.has(claimed) && (both || f.has(oneSided) && t.sides.OneSideSoFar()) {
		f.flags &^= claimed
		f.Conn.ReleaseClient()
		t.establish(p, f)
	}
}

// establish is a handshake that is complete and believed: the flow has a source and is a session.
func (t *Tracker[S]) establish(p *Packet, f *Flow) {
	f.flags |= established
	t.Count.Sessions++
	t.resolveFastOpen(p, f, flowtable.Answered)
	source := t.sourceOf(f.Source, f.sourceGen)
	if source == 0 {
		source = t.source(p)
		f.Source, f.sourceGen = source, t.table.Sources.Gen(source)
	}
	if !f.has(counted) {
		f.flags |= counted
		a := t.table.Attempts.Find(p.FlowHash, &p.Key, uint32(f.Conn.ISN(tcp.Client)))
		// A full log has forgotten attempts: then this one was counted when it came.
		if a == nil && t.table.Attempts.Len() < t.table.Attempts.Cap() {
			t.Count.Attempts++
			t.attempt(f.Start, source, &p.Key, 0)
		}
	}
	t.packetEvent(Established, source, p, f)
	t.table.Flows.Schedule(t.current, p.Time, p.Time+f.idle())
}
