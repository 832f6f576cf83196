package engine

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/dns"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff"
)

// briefSender is an address that has had few sessions: in clear, without AUTH, on port 25 of an
// external server. A bot that takes another IP address and another link-layer address for each mail
// looks like many machines by either; each of them is brief.
//
// The addresses of one network (/24, /64) whose frames look alike are a rotation. A rotation is one
// machine if its members come one after the other, none comes back, each has another link-layer
// address and contacts another network, several are refused, and the names that they give belong
// neither to their senders nor to each other. Lasting machines are not: guests and office PCs
// submit with AUTH or TLS or to one server, servers give names of their senders' domains, and
// infected machines come back and have findings of their own.
//
// Like a newAddress, a briefSender is handled at the end of a round, and the profile moves from
// each address to the next. A rotation is not saved: after a restart it needs as many senders as at
// first.
type briefSender struct {
	source      flowtable.HostKey
	mac         [6]byte // link-layer address of the sender
	signature   frameSignature
	start, end  int64  // of the session, ns
	serverNet   uint32 // hash of the server's network
	name        uint32 // hash of the HELO name, zero for none
	sender      uint32 // hash of the sender's domain, zero for the null sender
	foreignName bool   // the HELO name is not in the sender's domain
	refused     bool   // the server refused something for its client
	overlaps    bool   // it began before the one before had ended
	returned    bool   // the address lasts: it came back after another one, or does more than send
	sessions    int    // how many were closed
}

const (
	// minRotation is the number of senders before a rotation counts as one machine.
	minRotation = 8
	// maxBriefSessions is the number of sessions of an address before it makes room for the next.
	maxBriefSessions = 4
	// maxBriefSenders bounds the senders of a round in a shard, maxRotations the known rotations. A
	// rotation has at most maxChain members.
	maxBriefSenders, maxRotations = 64, 128
	// maxHold is how long a finding about one new address of a rotation's network is held back,
	// because its session may show that it is a member. maxHeld bounds these findings.
	maxHold, maxHeld = 5 * minute, 64
)

// frameSignature is what the members of a rotation share besides their network: the hop limit of
// their frames and a hash of the link-layer address to which these go.
type frameSignature struct {
	ttl     uint8
	nextHop uint16
}

// rotationKey identifies a rotation.
type rotationKey struct {
	net       flowtable.HostKey
	signature frameSignature
}

// rotation is the set of addresses of a network that were brief senders lately.
type rotation struct {
	key      rotationKey
	chain    addressChain
	senders  []briefSender // in the order of their ends, one for each address
	end      int64         // end of the latest
	withheld []withheldFinding
}

// withheldFinding names a finding that was not emitted.
type withheldFinding struct {
	source flowtable.HostKey
	class  verdict.Class
}

// singleAddressClass reports whether a class says little about a single address and adds nothing to
// the finding of a rotation.
func singleAddressClass(c verdict.Class) bool {
	return c == verdict.DirectSMTP || c == verdict.OnBlocklist
}

// localNetwork returns the network of an internal address: its /24 or /64.
func localNetwork(h flowtable.HostKey) flowtable.HostKey {
	if h.Scope.V6() {
		clear(h.Addr[8:])
	} else {
		h.Addr[15] = 0
	}
	return h
}

// noteBriefSender records a closed session of a brief sender.
func (s *sourceObserver) noteBriefSender(k *flowtable.Key, f *track.Flow,
	session *smtpsniff.Session, src *source,
	prof *profile) {
	// A brief sender's frames are its own (no router, both sides from different machines), and the
	// whole dialogue is in clear.
	if prof == nil || session == nil || k.ServerPort != 25 || !f.Noted(peer.External) ||
		f.Noted(peer.Relay|peer.SelfMade) || !f.SeenBothSides() ||
		session.Mails == 0 || session.Encryption != smtpsniff.Plain ||
		session.Auth != smtpsniff.NoAuth ||
		src.flags&home == 0 || !s.eligible(src) || src.facts.Sessions > 2*maxBriefSessions ||
		src.mac == [6]byte{} || !detect.InitialTTL(f.Trace.TTL) {
		return
	}
	if len(s.notes.briefSenders) >= maxBriefSenders {
		s.notes.dropped++
		return
	}
	v := briefSender{source: k.ClientKey(), mac: src.mac, signature: frameSignature{f.Trace.TTL,
		f.Trace.PeerLink}, start: f.Start, end: f.Last,
		serverNet: s.e.peers.Net(k.Server, k.Scope.V6()), refused: prof.WasRefused(), sessions: 1}
	name := bytes.ToLower(session.Helo())
	if len(name) > 0 {
		v.name = max(1, uint32(s.e.table.Secret.HashBytes(name)))
	}
	// A name counts as foreign if no sender of the session has its domain. A session with the null
	// sender alone stays foreign: a bounce has no domain to compare with.
	v.foreignName = true
	session.Senders(func(a []byte) {
		domain := dns.Registered(strings.ToLower(string(smtpsniff.Domain(a))))
		if len(domain) == 0 {
			return
		}
		// Zero means none, so a hash of zero becomes 1.
		v.sender = max(1, uint32(s.e.table.Secret.HashBytes([]byte(domain))))
		v.foreignName = v.foreignName && domain != dns.Registered(string(name))
	})
	s.notes.briefSenders = append(s.notes.briefSenders, v)
}

// trackRotations handles the brief senders of a round, and returns the address changes. The caller
// holds tickMu.
func (e *Engine) trackRotations() (changes []addressChange) {
	// Shards run in any order, so the senders of a round are sorted by the ends of their sessions.
	all := drainShards(e, nil, func(s *shard) *[]briefSender { return &s.notes.briefSenders })
	slices.SortFunc(all, func(a, b briefSender) int {
		return cmp.Or(cmp.Compare(a.end, b.end), bytes.Compare(a.source.Addr[:], b.source.Addr[:]),
			cmp.Compare(a.source.Scope, b.source.Scope), cmp.Compare(a.start, b.start))
	})
	for i := range all {
		changes = append(changes, e.trackBriefSender(&all[i])...)
	}
	e.releaseExpired()
	return changes
}

// trackBriefSender handles one brief sender.
func (e *Engine) trackBriefSender(v *briefSender) (changes []addressChange) {
	m := &e.addresses
	if l := m.chainOf[v.source]; l != nil && l.rotation == nil {
		return nil // the link-layer address identifies its machine
	}
	c := m.rotation(v)
	// A member that was silent for a day is no member any more.
	c.senders = slices.DeleteFunc(c.senders, func(x briefSender) bool {
		return x.end < v.end-maxSilence
	})
	if c.chain.sameMachine && len(c.senders) == 0 {
		m.dissolve(&c.chain)
	}
	at := slices.IndexFunc(c.senders, func(x briefSender) bool {
		return x.source == v.source && x.mac == v.mac
	})
	if at >= 0 {
		// A known member: a further session within its stay is fine, a return after another member
		// is not.
		x := &c.senders[at]
		x.sessions++
		x.end, x.refused = v.end, x.refused || v.refused
		x.returned = x.returned || at < len(c.senders)-1 || x.sessions > maxBriefSessions
		if c.chain.sameMachine && !c.oneByOne() {
			m.dissolve(&c.chain)
		}
		return nil
	}
	// A sender with a name of its own domain is a mail server, and not the bot.
	if c.chain.sameMachine && !v.foreignName {
		return nil
	}
	v.overlaps = v.start < c.end
	c.end = max(c.end, v.end)
	// A full rotation drops its oldest member.
	if len(c.senders) == maxChain {
		c.senders = slices.Delete(c.senders, 0, 1)
	}
	c.senders = append(c.senders, *v)
	from := max(0, len(c.senders)-2) // the first one whose next address is new
	if !c.chain.sameMachine {
		if !e.oneMachine(c) {
			return nil
		}
		c.chain.sameMachine, from = true, 0
		for i := range c.senders {
			e.join(c, &c.senders[i], v.end)
		}
	} else {
		e.join(c, v, v.end)
	}
	for i := from; i+1 < len(c.senders); i++ { // at most maxChain
		// The profile goes from each member to the next one, so that the latest has all of it.
		if a, b := c.senders[i].source, c.senders[i+1].source; a != b {
			changes = append(changes, addressChange{a, b, v.signature.ttl})
		}
	}
	return changes
}

// rotation returns the rotation of a brief sender. At maxRotations the one that was silent for the
// longest time is dropped.
func (t *addressTracker) rotation(v *briefSender) *rotation {
	k := rotationKey{localNetwork(v.source), v.signature}
	if c := t.rotations[k]; c != nil {
		return c
	}
	if t.rotations == nil {
		t.rotations = map[rotationKey]*rotation{}
	}
	if t.chainOf == nil {
		t.chainOf = map[flowtable.HostKey]*addressChain{}
	}
	// Ties are broken by key, so that the result does not depend on the order of a map.
	if len(t.rotations) >= maxRotations {
		var oldest *rotation
		for _, c := range t.rotations {
			if oldest == nil || cmp.Or(cmp.Compare(c.end, oldest.end),
				c.key.compare(&oldest.key)) < 0 {
				oldest = c
			}
		}
		t.dissolve(&oldest.chain)
		delete(t.rotations, oldest.key)
		t.forgotten.Add(1)
	}
	c := &rotation{key: k}
	c.chain.rotation = c
	t.rotations[k] = c
	return c
}

// compare orders keys.
func (k *rotationKey) compare(o *rotationKey) int {
	return cmp.Or(bytes.Compare(k.net.Addr[:], o.net.Addr[:]),
		cmp.Compare(k.net.Scope, o.net.Scope),
		cmp.Compare(k.signature.ttl, o.signature.ttl), cmp.Compare(k.signature.nextHop,
			o.signature.nextHop))
}

// oneByOne reports whether the members come one after the other, and few come back: at most a
// quarter overlaps the one before, and at most a quarter returns.
func (c *rotation) oneByOne() bool {
	overlaps, back := 0, 0
	for i := range c.senders {
		if c.senders[i].overlaps {
			overlaps++
		}
		if c.senders[i].returned {
			back++
		}
	}
	return max(overlaps, back)*4 <= len(c.senders)
}

// oneMachine reports whether a rotation counts as one machine. Lasting members are removed from it.
func (e *Engine) oneMachine(c *rotation) bool {
	if len(c.senders) < minRotation || !c.oneByOne() || !c.looksHostile() {
		return false
	}
	for i := range c.senders { // at most maxChain
		v := &c.senders[i]
		e.withSource(&v.source, func(_ *sourceObserver, _ flowtable.Ref, src *source, _ *profile) {
			// Sessions with AUTH or TLS, many attempts, or the role of a mail server show a machine
			// that lasts. Its brief sessions were an accident.
			f := &src.facts
			v.returned = v.returned || f.AuthSessions > 0 || f.TLSSessions > 0 ||
				f.Attempts > 2*maxBriefSessions || src.flags&serving != 0
		})
	}
	if !c.oneByOne() {
		return false
	}
	c.senders = slices.DeleteFunc(c.senders, func(v briefSender) bool { return v.returned })
	return len(c.senders) >= minRotation && c.looksHostile()
}

// looksHostile reports whether a rotation behaves as a bot does: three in four of its members
// contact networks of their own, with names that their senders do not have; one in five was
// refused, three at least; and the senders or the names are many. A link-layer address with more
// than three of the addresses is known by itself; see minChain.
func (c *rotation) looksHostile() bool {
	n, refused, foreign := len(c.senders), 0, 0
	nets, macs := map[uint32]bool{}, map[[6]byte]bool{}
	names, senders := map[uint32]bool{}, map[uint32]bool{}
	for i := range c.senders {
		v := &c.senders[i]
		nets[v.serverNet], macs[v.mac] = true, true
		if v.name != 0 {
			names[v.name] = true
		}
		if v.sender != 0 {
			senders[v.sender] = true
		}
		if v.foreignName {
			foreign++
		}
		if v.refused {
			refused++
		}
	}
	// In this order: networks and names of their own; many link-layer addresses, because a machine
	// with one is a chain; refusals; many names or senders.
	return min(len(nets), foreign)*4 >= n*3 && len(macs)*3 >= n && refused >= 3 && refused*5 >= n &&
		(len(names)*4 >= n*3 || len(senders)*2 >= n)
}

// join adds an address to a rotation. Its own findings are superseded: an emitted one is closed, a
// held one is dropped as if it had never been opened.
func (e *Engine) join(c *rotation, v *briefSender, now int64) {
	m := &e.addresses
	m.addMembers(&c.chain, v.source)
	e.withSource(&v.source, func(s *sourceObserver, _ flowtable.Ref, src *source, prof *profile) {
		if prof == nil {
			return
		}
		for _, f := range prof.findings {
			if f == nil || !f.Open || !singleAddressClass(f.Class) {
				continue
			}
			if m.heldIndex(&v.source, f.Class) >= 0 {
				prof.findings[f.Class] = nil
			} else {
				s.commit(src, prof, v.source,
					[]finding.Change{{Class: f.Class, Level: f.Level, Action: finding.Closed,
						Reason: "superseded"}}, now)
			}
		}
	})
	m.held = slices.DeleteFunc(m.held, func(r entry) bool { return r.key == v.source })
}

// heldIndex returns the index in held of a source's finding, less than zero if there is none.
func (t *addressTracker) heldIndex(k *flowtable.HostKey, c verdict.Class) int {
	return slices.IndexFunc(t.held, func(r entry) bool {
		return r.key == *k && r.finding.Class == c
	})
}

// hold holds a finding back and reports whether it did: a new address sends mail to the
// Internet, or is refused, in the network of a rotation that is one machine. Its session may soon
// show that it is a member, and then the finding of the rotation says it all.
func (t *addressTracker) hold(r *entry) bool {
	f := r.finding
	if !singleAddressClass(f.Class) || f.Action != "opened" || f.Reopened > 0 ||
		t.chainOf[r.key] != nil ||
		// Only the first event of a finding is held, and only of an address with few attempts.
		f.Source.Facts.Attempts > maxBriefSessions || len(t.held) >= maxHeld {
		return false
	}
	for _, c := range t.rotations { // at most maxRotations
		if c.chain.sameMachine && c.key.net == localNetwork(r.key) {
			t.held = append(t.held, *r)
			return true
		}
	}
	return false
}

// releaseHeld emits the held finding of a source before the next event of it: an update or a close
// needs the event that opened the finding.
func (e *Engine) releaseHeld(r *entry) {
	m := &e.addresses
	if len(m.held) == 0 {
		return
	}
	if i := m.heldIndex(&r.key, r.finding.Class); i >= 0 { // one at most
		h := m.held[i]
		m.held = slices.Delete(m.held, i, i+1)
		e.outputFinding(&h)
	}
}

// releaseExpired emits the findings that were held back for maxHold. They are in the order of their
// times.
func (e *Engine) releaseExpired() {
	m := &e.addresses
	for len(m.held) > 0 && e.clock.Now()-m.held[0].time >= maxHold { // at most maxHeld
		h := m.held[0]
		m.held = slices.Delete(m.held, 0, 1)
		e.outputFinding(&h)
	}
}

// outputFinding calls the Output with a finding, and before that with the state that it leaves
// behind; see Output.Keep.
func (e *Engine) outputFinding(r *entry) {
	if r.kept != nil {
		e.out.Keep(r.kept)
	}
	e.out.Finding(r.finding)
}

// emitsMember reports whether a member's own finding is to be emitted: the rotation's finding
// supersedes it, so only the end of an emitted finding is.
func (c *rotation) emitsMember(k flowtable.HostKey, f *finding.Finding) bool {
	q := withheldFinding{k, f.Class}
	at := slices.Index(c.withheld, q)
	// A member's finding that was open before the member joined is closed for the reader, too.
	if f.Action == "closed" {
		if at >= 0 {
			c.withheld = slices.Delete(c.withheld, at, at+1)
		}
		return at < 0
	}
	if f.Action == "opened" && at < 0 {
		if len(c.withheld) == maxChain {
			c.withheld = slices.Delete(c.withheld, 0, 1)
		}
		c.withheld = append(c.withheld, q)
	}
	return false
}

// describe adds to a finding that its machine takes new addresses.
func (c *rotation) describe(f *finding.Finding) {
	bits := 24
	a := peer.NetIP(c.key.net.Addr, c.key.net.Scope.V6())
	if a.Is6() {
		bits = 64
	}
	f.RotationNetwork = netip.PrefixFrom(a, bits)
	var some []string
	first, last := int64(0), int64(0)
	if n := len(c.senders); n > 0 {
		first, last = c.senders[0].start, c.senders[n-1].end
		for _, v := range c.senders[max(0, n-3):] {
			some = append(some, fmt.Sprintf("%s (MAC %s)", peer.NetIP(v.source.Addr,
				v.source.Scope.V6()),
				net.HardwareAddr(v.mac[:])))
		}
	}
	f.Reasons = append(slices.Clip(f.Reasons), finding.ReasonText{Server: "new_addresses",
		Reason: verdict.Reason{First: first, Last: last, Value: float64(len(c.senders)),
			Threshold: minRotation},
		Text: fmt.Sprintf("It takes a new IP address of %s and a new link-layer address for "+
			"each message: %d of them sent mail one after the other, each to a different "+
			"network, and none returned; the latest are %s.",
			f.RotationNetwork, len(c.senders), strings.Join(some, ", "))})
	f.Advice = fmt.Sprintf("Find the switch port on which the latest of these link-layer "+
		"addresses appeared: the machine does not keep its addresses. If these are several "+
		"machines of %s, check each of them. ", f.RotationNetwork) + f.Advice
}
