package engine

import (
	"math"
	"sync/atomic"

	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/sketch"
	"spamsensor/sensor/wire"
	"spamsensor/smtpsniff"
	"spamsensor/smtpsniff/refusal"
)

// shard is what is kept beside a shard of the table, under the same lock.
type shard struct {
	e      *Engine
	i      int
	t      *flowtable.Shard[flow, source, synDetails]
	stream tcp.Stream
	sniff  smtpsniff.Listener

	sessions        refs[smtpsniff.Session] // dialogues of flows
	hosts           refs[host]              // sources that are judged
	maxHosts        int
	maxSessions     int
	maxSessionBytes int // what dialogues may take

	progress *atomic.Uint64 // progress of who works on the packets in hand
	current  flowtable.Ref  // the flow in hand
	inHand   tcp.Segment    // scratch of push

	pendingDirect   []flowtable.Ref                      // sources whose first direct connection was not told yet
	openFindings    []flowtable.Ref                      // sources with an open finding
	pendingContacts []flowtable.Ref                      // sources whose first contacts wait for an answer
	room            sketch.Budget                        // for sets of more than their share
	dnsLookups      dnsLookups                           // what hosts asked the DNS
	inboundNotes    []inboundNote                        // for sources in other shards
	pendingInbound  map[flowtable.HostKey]pendingInbound // what was noted about hosts that are not known yet
	pairs           [2]uint64                            // flows of this row: see pairs
	sides           [2]int64                             // the same: see sides
	budget          budget                               // of findings that are suspect
	notesDropped    uint64                               // notes and arrivals for which there was no room
	newAddresses    []newAddress                         // new sources with IPv6
	briefSenders    []briefSender                        // sessions of sources that have had few

	transactions []*transaction // transactions of sessions, by their number
	mailBytes    int            // what there is room for in them

	reasonCache [256]cachedReason // what refusals said, by the hash of their text

	clockJumpAt int64 // when the clock was last found to be elsewhere: idle times are counted from there

	evictedAttempts uint32 // attempts that a source had at most when it had to make room

	journal     []entry // to be given out when the batch is done
	count       counters
	order       uint64 // of the packet in hand
	inTick      bool   // it is the tick before it
	cursor      cursor // its place in the round
	seqInPacket uint32 // records of this packet
	prefetchSum uint32 // keeps the compiler from leaving out the reads of Touch
}

// refs is a slab of pointers that entries of the table refer to by number, because the
// table holds no pointers. Zero is none.
type refs[T any] struct {
	list  []*T
	owner []flowtable.Ref // the entries that refer to them
	free  []uint32
	hand  uint32 // where the search for somebody to evict goes on
}

func (r *refs[T]) add(v *T, owner flowtable.Ref) uint32 {
	if n := len(r.free); n > 0 {
		i := r.free[n-1]
		r.free = r.free[:n-1]
		r.list[i], r.owner[i] = v, owner
		return i
	}
	if r.list == nil {
		r.list, r.owner = append(r.list, nil), append(r.owner, 0)
	}
	r.list, r.owner = append(r.list, v), append(r.owner, owner)
	return uint32(len(r.list) - 1)
}

func (r *refs[T]) remove(i uint32) {
	r.list[i] = nil
	r.free = append(r.free, i)
}

// at is nil for number zero.
func (r *refs[T]) at(i uint32) *T {
	if i == 0 {
		return nil
	}
	return r.list[i]
}

func (r *refs[T]) len() int { return max(0, len(r.list)-1-len(r.free)) }

// sample is the owner of another one, each time it is called: around and around. There must be one.
func (r *refs[T]) sample() flowtable.Ref {
	for { // once around at most
		if r.hand++; r.hand >= uint32(len(r.list)) {
			r.hand = 1
		}
		if r.list[r.hand] != nil {
			return r.owner[r.hand]
		}
	}
}

// flow is a connection that got an answer, or that began before we listened.
type flow struct {
	Conn      tcp.Conn
	Start     int64
	Last      int64
	Source    flowtable.Ref
	SourceGen uint16
	Input     uint16
	Session   uint32
	VLAN      [2]uint16
	Tags      uint8
	SYNs      uint8
	flags     flowFlags
	Notes     flowNotes
	Trace     HeaderTrace
}

type flowFlags uint16

const (
	counted         flowFlags = 1 << iota // the attempt was counted
	established                           // it is a session
	refused                               // a RST answered the SYN
	midstream                             // its beginning was not seen
	lingering                             // it ended; late segments are waited for
	sessionEmitted                        // its session was given out
	portsReused                           // there is, or was, another flow with its ports; see portreuse.go
	fastOpenPending                       // its SYN carried data, and the attempt's outcome is not known yet
	reusesPorts                           // when it began there was another flow with its ports
	unanswered                            // nothing was seen from its server, or only resets
	claimed                               // its handshake is complete by what one side says, and that is not believed yet
	oneSided                              // one of its sides is missing
)

// flowNotes are what detection remembers of a flow.
type flowNotes uint16

const (
	external   flowNotes = 1 << iota // the server is none of ours
	relay                            // the server is an allowed relay
	decided                          // refused, or a message was taken
	encrypted                        // TLS began
	inside                           // the server is ours
	watched                          // one end can be a mail server of ours
	relayed                          // an external client's message in it was accepted for an external recipient
	attested                         // the server answered what the client said
	conflicted                       // its client sent bytes twice that differ
	selfMade                         // the frames of both sides come from one machine
)

func (f *flow) Has(x flowFlags) bool   { return f.flags&x != 0 }
func (f *flow) Noted(x flowNotes) bool { return f.Notes&x != 0 }

// Times after which something is over.
const (
	// forgetAttempt is how long an attempt without an answer is remembered: RSTs came 72.6 s
	// after the last SYN in a real capture, and Linux repeats a SYN for 127 s.
	forgetAttempt = 150 * second
	// linger is how long an ended connection is kept for what is still on its way.
	lingerTime = 5 * second
	// idleNew, idleOpen: a handshake that does not go on; a session in which nothing is said.
	// Servers wait 5 minutes for a command and 10 for the reply to a message (RFC 5321,
	// section 4.5.3.2).
	idleNew  = 75 * second
	idleOpen = 15 * minute
)

// worth ranks flows when one has to make room: what ended first, then what never began, then
// the one that was silent longest.
func (f *flow) KeepPriority() int64 {
	switch {
	case f.Has(lingering):
		return f.Last/second - 3<<32
	case f.Has(midstream) || !f.Has(established):
		return f.Last/second - 2<<32
	}
	return f.Last / second
}

// source is a host as the client of flows.
type source struct {
	facts detect.Counters
	mac   [6]byte
	vlan  [2]uint16
	tags  uint8
	flags sourceFlags
	input uint16
	host  uint32
}

type sourceFlags uint16

const (
	home       sourceFlags = 1 << iota // in one of our networks
	declared                           // a mail server
	changed                            // since it was last given out
	outside                            // tried port 25 past our servers and relays
	macSuspect                         // the latest attempt came from another link-layer address
	serving                            // it is a mail server that is watched
	near                               // no router has passed on its first packet
	again                              // it had to make room for another host while it had a finding
	former                             // what was found of it was forgotten once: its next findings are others
)

// worth ranks sources when one has to make room: a flood of spoofed addresses has one
// attempt each, and must not push out who has many, or is ours, or had a session.
func (s *source) keepPriority() int64 {
	w := int64(min(s.facts.Attempts, math.MaxInt32))
	if s.facts.Sessions > 0 {
		w += 1 << 40
	}
	if s.host != 0 {
		w += 1 << 41
	}
	if s.flags&(home|declared) != 0 {
		w += 1 << 42
	}
	return w<<16 | (s.facts.Last/second)&0xffff
}

func (s *shard) init(e *Engine, i int) {
	n := e.table.Shards()
	s.e, s.i, s.t = e, i, e.table.Shard(i)
	s.stream.MaxBytes = e.cfg.Limits.HeldBytes / n
	s.maxHosts = max(4, e.cfg.Limits.Hosts/n)
	s.maxSessions = max(4, e.cfg.Limits.Sessions/n)
	s.maxSessionBytes = e.cfg.Limits.SessionBytes / n
	s.room.Words = e.cfg.Limits.ExactBytes / 4 / n
	s.mailBytes = e.cfg.Limits.MailBytes / n
	s.sniff.Seed = e.table.Secret.HashBytes([]byte("what clients say"))
	s.sniff.ShowSenders, s.sniff.KnownHost = e.cfg.ShowSenders, knownHost
	s.sniff.ListName = func(text []byte) string {
		if c := refusal.ParseCitation(string(text)); !c.Link { // a link may be one of the message's
			return c.List
		}
		return ""
	}
	s.sniff.Account = func(name []byte) uint32 { return max(1, uint32(e.table.Secret.HashBytes(name))) }
}

// packet works on one packet.
func (s *shard) packet(p *packet, payload []byte) {
	switch {
	case p.badChecksum: // see checksums.judge
	case p.Kind == wire.DNS:
		s.observeDNS(p, payload)
	case p.Kind == wire.ICMPError:
		s.resolveAttempt(p, p.Seq, flowtable.Unreachable)
	case p.IsSYN():
		s.syn(p, payload)
	default:
		s.segment(p, payload)
	}
}

// first reports whether a packet is a client's SYN.
func (p *packet) IsSYN() bool {
	return p.ToServer && p.Flags&(wire.SYN|wire.ACK|wire.RST) == wire.SYN
}

// syn is a first SYN, or a repeated one.
func (s *shard) syn(p *packet, payload []byte) {
	s.count.syns++
	h := p.Key.ClientKey()
	ref := s.t.Sources.Find(p.ClientHash, &h)
	if ref == 0 && s.cacheSYN(p, payload) {
		return
	}
	if a := s.t.Attempts.Find(p.FlowHash, &p.Key, p.Seq); a != nil {
		after := a.Retransmitted(p.Time)
		if after >= 0 && after < int64(duplicateWindow) {
			s.count.duplicates++
			return
		}
		if s.reused(p, a) {
			a.Unindex()
			s.syn(p, payload)
			s.count.syns--
			return
		}
		if a.SYNs < 255 {
			a.SYNs++
		}
		s.count.retransmits++
		if src := s.sourceOf(a.Source, a.Gen); src != nil {
			src.facts.Retransmits++
			src.flags |= changed
			s.confirm(a.Source, src)
			s.observeRetransmit(src, p, after)
		}
		s.synRetransmitted(p)
		return
	}
	if ref == 0 { // but a newcomer may just have become one
		ref, _ = s.source(p)
	}
	src := s.t.Sources.At(ref)
	s.macChanged(src, p)
	gen := s.t.Sources.Gen(ref)
	a := s.t.Attempts.Add(p.FlowHash, &p.Key, p.Seq, p.Time, ref, gen)
	a.SetHint(p.hint())
	// Where frames are swapped the SYN-ACK may have come first.
	if f := s.flowBeforeSYN(p); f != nil {
		f.SYNs++
		a.Outcome = flowtable.Answered
		if f.Has(counted) {
			return
		}
		f.flags |= counted
	}
	s.count.attempts++
	s.attempt(p.Time, ref, src, &p.Key, p.TTL)
	if len(payload) > 0 {
		s.fastOpen(p, payload, ref)
	}
}

// reused reports whether a SYN opens another connection with the ports and the number of one that is over:
// who writes his own segments can always use the same.
func (s *shard) reused(p *packet, a *flowtable.Attempt) bool {
	if a.Outcome != flowtable.Answered {
		return false
	}
	r := s.t.Flows.Find(p.FlowHash, &p.Key)
	if r == 0 {
		return true
	}
	f := s.t.Flows.At(r)
	if !f.Conn.Ended() {
		return false
	}
	s.closeFlow(r, &p.Key, f, "")
	return true
}

// resent adds a repeated SYN to the flow that its attempt has become: the answer was lost, or crossed it.
func (s *shard) synRetransmitted(p *packet) {
	r := s.t.Flows.Find(p.FlowHash, &p.Key)
	if r == 0 {
		return
	}
	if f := s.t.Flows.At(r); f.Conn.SYNSeen && f.Conn.ISN(tcp.Client) == tcp.Seq(p.Seq) {
		f.Conn.SYNRetransmitted()
		f.Last = max(f.Last, p.Time)
		if f.SYNs < 255 {
			f.SYNs++
		}
	}
}

// copyWindow is how far apart two copies of a frame can be; see package tcp.
const duplicateWindow = 5e6

// known is the flow that a SYN belongs to although it comes late; nil usually. Only a
// flow that began without its SYN is looked for.
func (s *shard) flowBeforeSYN(p *packet) *flow {
	r := s.t.Flows.Find(p.FlowHash, &p.Key)
	if r == 0 {
		return nil
	}
	f := s.t.Flows.At(r)
	if f.Conn.SYNSeen || f.Conn.ISN(tcp.Client) != tcp.Seq(p.Seq) || f.Conn.State() == tcp.New {
		return nil
	}
	return f
}

// fastOpen begins a flow for a SYN that carries data (RFC 7413): the server may take it.
func (s *shard) fastOpen(p *packet, payload []byte, src flowtable.Ref) {
	if s.t.Flows.Find(p.FlowHash, &p.Key) != 0 || s.t.Flows.Len() > s.t.Flows.Cap()/2 {
		return
	}
	r, f := s.newFlow(p, src)
	f.flags |= counted | fastOpenPending
	f.SYNs = 1
	f.Conn.HoldClient()
	s.push(p, payload, r, f)
}

// notTaken reports whether a segment shows that the server did not take the data of a SYN: it acknowledges the SYN alone, or the
// client begins there again. Whatever those data said, the dialogue is what follows.
func (f *flow) fastOpenRejected(p *packet) bool {
	first := f.Conn.ISN(tcp.Client).Add(1)
	if p.ToServer {
		return f.Has(fastOpenPending) && tcp.Seq(p.Seq) == first
	}
	return f.Has(fastOpenPending) && p.Flags.Has(wire.SYN|wire.ACK) && tcp.Seq(p.Ack) == first
}

// settleEarly has the attempt of a SYN with data know what became of it.
func (s *shard) resolveFastOpen(p *packet, f *flow, outcome flowtable.Outcome) {
	if !f.Has(fastOpenPending) {
		return
	}
	f.flags &^= fastOpenPending
	if a := s.t.Attempts.Find(p.FlowHash, &p.Key, uint32(f.Conn.ISN(tcp.Client))); a != nil {
		a.Outcome = outcome
	}
}

// segment is anything but a first SYN.
func (s *shard) segment(p *packet, payload []byte) {
	r := s.t.Flows.Find(p.FlowHash, &p.Key)
	if r == 0 {
		s.begin(p, payload)
		return
	}
	if s.t.Flows.At(r).Has(portsReused) {
		r = s.matchFlow(p, r)
	}
	f := s.t.Flows.At(r)
	isn := f.Conn.ISN(tcp.Client)
	switch {
	case p.ToServer && p.Flags.Has(wire.SYN):
		s.count.strays++ // a SYN-ACK from a client: half of a simultaneous open, or nonsense
		return
	case f.fastOpenRejected(p):
		s.dropFlow(r, &p.Key, f)
		s.begin(p, payload)
		return
	case !p.ToServer && p.Flags.Has(wire.SYN|wire.ACK) && (f.Conn.State() != tcp.New || f.Has(midstream)) && tcp.Seq(p.Ack) != isn.Add(1):
		// The answer to another SYN: the port was used again. In a connection that goes on it is forged, or that SYN is
		// known, if SYNs are seen.
		if !f.Conn.Ended() && p.Time-f.Last < idleNew && f.Conn.Seen(tcp.Client) && s.attemptOf(p, p.Ack-1) == nil {
			s.count.strays++
			return
		}
		s.reopen(p, payload, r, f)
		return
	case f.Has(sessionEmitted) && p.Len > 1 && f.Conn.State() == tcp.Closed && f.Conn.Next(DirOf(p)) == tcp.Seq(p.Seq)+1:
		// Who ended the connection goes on where the end stood: both ends were forged.
		s.closeFlow(r, &p.Key, f, "")
		s.begin(p, payload)
		return
	case f.Has(claimed) && !p.ToServer && p.Flags.Has(wire.SYN|wire.ACK) && tcp.Seq(p.Seq) != f.Conn.ISN(tcp.Server):
		// The client acknowledged another SYN-ACK before there was one: it does not see the
		// server's answers.
		s.dropFlow(r, &p.Key, f)
		s.begin(p, payload)
		return
	case p.ToServer && f.Conn.Next(tcp.Client) != tcp.Seq(p.Seq):
		// The same, where only the client is heard.
		if a := s.attemptOf(p, p.Seq-1); a != nil && a.Outcome == flowtable.Waiting {
			s.reopen(p, payload, r, f)
			return
		}
	}
	s.push(p, payload, r, f)
}

// begin is a segment of no known flow.
func (s *shard) begin(p *packet, payload []byte) {
	fromClient := p.ToServer
	if p.Flags.Has(wire.RST) {
		if !fromClient {
			s.resolveAttempt(p, p.Ack-1, flowtable.Refused)
		}
		return
	}
	isn := p.Seq - 1 // of the client's next segment
	if !fromClient {
		isn = p.Ack - 1
	}
	a := s.attemptOf(p, isn)
	synAck := !fromClient && p.Flags.Has(wire.SYN|wire.ACK)
	switch {
	case synAck, a != nil:
	case len(payload) > 0 && s.t.Flows.Len() < s.t.Flows.Cap():
		// In the middle of a connection that began before we listened. With a full table it is not
		// followed: it could be a forgery, and somebody else would have to go. What its client says
		// is that of a source that is known, once it is answered: it may have been silent for long.
		ref := flowtable.Ref(0)
		if fromClient {
			h := p.Key.ClientKey()
			ref = s.t.Sources.Find(p.ClientHash, &h)
		}
		r, f := s.newFlow(p, ref)
		f.flags |= midstream
		s.count.midstream++
		if ref != 0 {
			f.Conn.HoldClient()
		}
		s.push(p, payload, r, f)
		return
	default:
		s.count.strays++
		return
	}
	if a == nil {
		s.count.synAcks++ // the SYN was not seen, or is forgotten
		r, f := s.newFlow(p, 0)
		f.Conn.HoldClient()
		s.push(p, payload, r, f)
		return
	}
	ref := a.Source
	if s.sourceOf(a.Source, a.Gen) == nil {
		ref = 0
	}
	r, f := s.newFlow(p, ref)
	f.Conn.Open(tcp.Seq(isn), uint32(a.SYNs))
	f.Start, f.SYNs, f.Trace.synHint = a.Time, a.SYNs, a.Hint()
	f.flags |= counted
	if a.Outcome == flowtable.Answered && !synAck && p.Len > 0 {
		// Its flow had to make room for others. The session was counted, and told as far as it went.
		f.flags |= midstream
		s.count.midstream++
	} else {
		f.Conn.HoldClient()
	}
	if a.Outcome == flowtable.Waiting {
		a.Outcome = flowtable.Answered
	}
	if src := s.sourceOf(f.Source, f.SourceGen); src != nil && synAck {
		s.confirm(f.Source, src)
		s.observeSYNACK(src, p)
	}
	s.push(p, payload, r, f)
}

// settle notes that an attempt was refused, or is unreachable: by a RST from the server
// while there is no flow, or by an ICMP error that quotes the SYN.
func (s *shard) resolveAttempt(p *packet, isn uint32, outcome flowtable.Outcome) {
	a := s.t.Attempts.Find(p.FlowHash, &p.Key, isn)
	if a == nil {
		if n := s.synEntryOf(p, isn); n != nil && n.Outcome == flowtable.Waiting {
			n.Outcome = outcome
		}
		return
	}
	if a.Outcome != flowtable.Waiting {
		return
	}
	a.Outcome = outcome
	src := s.sourceOf(a.Source, a.Gen)
	if src == nil {
		return
	}
	s.observeServerAttempt(p.Time, src, &p.Key, attemptRefused)
	src.countOutcome(outcome)
	src.flags |= changed
	s.observeFailure(src, p, outcome == flowtable.Unreachable)
}

// newFlow makes a flow for a packet.
func (s *shard) newFlow(p *packet, src flowtable.Ref) (flowtable.Ref, *flow) {
	r := s.addFlow(p)
	f := s.t.Flows.At(r)
	s.count.flows++
	f.Start, f.Last, f.Input = p.Time, p.Time, p.Input
	f.Source = src
	if src != 0 {
		f.SourceGen = s.t.Sources.Gen(src)
	}
	f.Tags, f.VLAN = p.Tags, p.VLAN
	if !s.e.home.has(p.Key.Server, p.Key.Scope.V6()) {
		f.Notes |= external
	}
	if s.e.relays.has(p.Key.Server, p.Key.Scope.V6()) {
		f.Notes |= relay
	}
	f.flags |= unanswered
	s.markWatched(f, &p.Key)
	s.t.Flows.Schedule(r, p.Time, p.Time+idleNew)
	return r, f
}

func DirOf(p *packet) tcp.Dir {
	if p.ToServer {
		return tcp.Client
	}
	return tcp.Server
}

// push gives a segment to its flow.
func (s *shard) push(p *packet, payload []byte, r flowtable.Ref, f *flow) {
	if p.Len > 0 && (f.Session == 0 && s.sessions.len() >= s.maxSessions || s.sniff.Bytes() > s.maxSessionBytes) {
		s.makeRoom(f)
	}
	s.current = r
	dir := DirOf(p)
	seg := &s.inHand
	seg.Dir, seg.Flags, seg.Seq, seg.Ack = dir, tcp.Flags(p.Flags), tcp.Seq(p.Seq), tcp.Seq(p.Ack)
	seg.Len, seg.Sum, seg.Time, seg.Payload = int(p.Len), p.Sum, p.Time, payload
	seg.Stamp, seg.Stamped, seg.DropRisk, seg.Urgent = p.Stamp, p.Stamped, 0, p.Urgent
	if dir == tcp.Client {
		seg.DropRisk = f.Trace.dropRisk(p)
	} else {
		seg.DropRisk = f.Trace.replyDropRisk(p)
	}
	before := f.Conn.State()
	res := s.stream.Push(&f.Conn, seg)
	if res&tcp.Differs != 0 {
		s.count.conflicts++
		if dir == tcp.Client {
			s.conflicting(p, f)
		}
	}
	switch {
	case res&tcp.Duplicate != 0:
		s.count.duplicates++
		return
	case res&tcp.Foreign != 0:
		s.count.foreign++
		return
	case res&tcp.BlindAck != 0:
		s.count.foreign++
	case res&tcp.Unconfirmed != 0:
		s.count.doubted++
	case res&tcp.Retransmit != 0:
		s.count.retransmits++
	}
	f.Last = max(f.Last, p.Time)
	s.handshake(p, f, res)
	if res&tcp.Aborted != 0 && (before < tcp.Established || f.Has(claimed)) && dir == tcp.Server && f.Has(counted) && !f.Has(refused) {
		f.flags |= refused
		s.resolveFastOpen(p, f, flowtable.Refused)
		if src := s.sourceOf(f.Source, f.SourceGen); src != nil {
			src.facts.Refused++
			s.observeFailure(src, p, false)
		}
	}
	s.drain(p.Key.ServerPort, f)
	if f.Conn.Ended() && !f.Has(lingering) {
		f.flags |= lingering
		s.t.Flows.Schedule(r, p.Time, p.Time+lingerTime)
		if src := s.sourceOf(f.Source, f.SourceGen); src != nil && f.Has(counted) {
			src.facts.Closed()
		}
	}
	// All was given, and nothing is on its way any more; after a reset something may follow. Where the
	// last acknowledgment is lost, the flow ends when its time is over.
	if f.Conn.Acknowledged() && !f.Has(sessionEmitted) {
		s.closeSession(&p.Key, f, "")
	}
}

// handshake follows whether a flow is a session: its handshake is complete, and both sides were
// seen, or the capture shows one side alone: a server that speaks, or a client that acknowledges
// what its server said. What its client says is held until then.
func (s *shard) handshake(p *packet, f *flow, res tcp.Result) {
	if f.Has(unanswered) && !p.ToServer && p.Flags&wire.RST == 0 {
		f.flags &^= unanswered
		s.answers(p, f)
		if f.Has(midstream) {
			f.Conn.ReleaseClient()
		}
	}
	if res&tcp.Opened != 0 && !f.Has(midstream) {
		f.flags |= claimed
	}
	if !f.Has(claimed | oneSided) {
		return
	}
	whole := f.SeenBothSides()
	switch {
	case whole && f.Has(oneSided):
		f.flags &^= oneSided
		s.sides[0]--
		s.sides[1]++
		if f.Has(established) {
			s.observeBothSides(p, f)
		}
	case whole:
		s.sides[1]++
	case !f.Has(oneSided) && (!f.Conn.Seen(tcp.Client) || f.Conn.Answered(tcp.Server)):
		f.flags |= oneSided
		s.sides[0]++
	}
	if f.Has(claimed) && (whole || f.Has(oneSided) && s.e.sides.OneSideSoFar()) {
		f.flags &^= claimed
		f.Conn.ReleaseClient()
		s.establish(p, f)
	}
}

// seenWhole reports whether both sides of a flow were seen: the client, and an answer of the
// server.
func (f *flow) SeenBothSides() bool { return !f.Has(unanswered) && f.Conn.Seen(tcp.Client) }

// drain takes what the stream gives to the listener, and what that heard to the source.
func (s *shard) drain(port uint16, f *flow) {
	var c tcp.Chunk
	for s.stream.Pop(&c) {
		side := smtpsniff.Side(c.Dir)
		session := s.sessions.at(f.Session)
		if session == nil {
			if c.Kind == tcp.End || f.Has(sessionEmitted) {
				continue
			}
			session = s.newSession(f)
		}
		switch c.Kind {
		case tcp.Data:
			s.count.streamed += uint64(len(c.Bytes))
			s.sniff.Feed(session, side, c.Bytes)
		case tcp.Gap:
			s.count.gaps++
			s.count.missing += uint64(c.Len)
			s.sniff.Gap(session, side, c.Len)
		case tcp.End:
			s.sniff.End(session, side)
		}
		if len(s.sniff.Events) > 0 {
			s.observeDialogue(port, f, session)
		}
	}
}

// newTalk begins a dialogue.
func (s *shard) newSession(f *flow) *smtpsniff.Session {
	session := s.sniff.New(f.Has(midstream), !f.Conn.Seen(tcp.Server))
	f.Session = s.sessions.add(session, s.current)
	return session
}
