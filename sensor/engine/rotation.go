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
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff"
)

// briefSender is a session of an address that has had few: in clear, without AUTH, on port 25 of a server
// outside. A bot that takes another IP address and another link-layer address for each mail is as
// many machines by either; each of them visits once.
//
// The addresses of one network (/24, /64) whose frames look alike are a swarm. A swarm is one
// machine if its members come one after the other, none comes again, each has another link-layer
// address and turns to another network, several are refused, and the names that they give belong
// neither to their senders nor to each other. Machines that live on are none: guests and office PCs
// submit with AUTH or TLS or to one server, servers give names of their senders' domains, and
// infected machines come again, and are found one by one.
//
// Like an arrival, a visit is followed up at the end of the row of frames, and what is known moves
// from each address to the next. A swarm is not saved: after a restart it is known again after as
// many visits as at first.
type briefSender struct {
	source      flowtable.HostKey
	mac         [6]byte
	signature   frameSignature
	start, end  int64
	serverNet   uint32 // hashes: of the server's network,
	name        uint32 // of the HELO name, zero if none was given,
	sender      uint32 // of the sender's domain, zero for the null sender
	foreignName bool   // the name is not one of the sender's domain
	refused     bool
	overlaps    bool // an earlier one was not over
	returned    bool // the address lives on: it came again after another one, or does more than that
	sessions    int
}

const (
	// minRotation is how many visits there must be before a swarm is taken for one machine.
	minRotation = 8
	// maxBriefSessions is how many sessions an address may have before it makes room for the next.
	maxBriefSessions = 4
	// maxBriefSenders bounds what a shard keeps until the end of the row, maxSwarms how many swarms are
	// known. The members of a swarm are at most maxPast.
	maxBriefSenders, maxRotations = 64, 128
	// maxHold is how long a finding about one new address of a swarm's network is held back,
	// because its session may show that it is of the swarm. maxHeld bounds how many are.
	maxHold, maxHeld = 5 * minute, 64
)

// frameSignature is what the members of a swarm have in common, beside their network: the hop limit of their
// frames and a hash of the link-layer address to which these go.
type frameSignature struct {
	ttl     uint8
	nextHop uint16
}

type rotationKey struct {
	net       flowtable.HostKey
	signature frameSignature
}

// rotation is the addresses of a network that have visited lately.
type rotation struct {
	key      rotationKey
	chain    addressChain
	senders  []briefSender // in the order of their ends, one for each address
	end      int64         // of the latest
	withheld []withheldFinding
}

// withheldFinding is a finding that was not given out.
type withheldFinding struct {
	source flowtable.HostKey
	class  verdict.Class
}

// singleAddressClass reports whether a class says little about an address alone, and nothing that is news of a
// swarm.
func singleAddressClass(c verdict.Class) bool {
	return c == verdict.DirectSMTP || c == verdict.OnBlocklist
}

// localNetwork is the network of an address of ours: its /24, or /64.
func localNetwork(h flowtable.HostKey) flowtable.HostKey {
	if h.Scope.V6() {
		clear(h.Addr[8:])
	} else {
		h.Addr[15] = 0
	}
	return h
}

// noteBriefSender notes a session that is over.
func (s *shard) noteBriefSender(k *flowtable.Key, f *flow, session *smtpsniff.Session, src *source, hst *host) {
	if hst == nil || session == nil || k.ServerPort != 25 || !f.has(external) || f.has(relay|selfMade) || !f.seenWhole() ||
		session.Mails == 0 || session.Encryption != smtpsniff.Plain || session.Auth != smtpsniff.NoAuth ||
		src.flags&home == 0 || !s.judges(src) || src.facts.Sessions > 2*maxBriefSessions || src.mac == [6]byte{} || !detect.InitialTTL(f.trace.ttl) {
		return
	}
	if len(s.briefSenders) >= maxBriefSenders {
		s.notesDropped++
		return
	}
	v := briefSender{source: k.ClientKey(), mac: src.mac, signature: frameSignature{f.trace.ttl, f.trace.to}, start: f.start, end: f.last,
		serverNet: s.e.net(k.Server, k.Scope.V6()), refused: hst.WasRefused(), sessions: 1}
	name := bytes.ToLower(session.Helo())
	if len(name) > 0 {
		v.name = max(1, uint32(s.e.table.Secret.HashBytes(name)))
	}
	v.foreignName = true
	session.Senders(func(a []byte) {
		domain := dns.Registered(strings.ToLower(string(smtpsniff.Domain(a))))
		if len(domain) == 0 {
			return
		}
		v.sender = max(1, uint32(s.e.table.Secret.HashBytes([]byte(domain))))
		v.foreignName = v.foreignName && domain != dns.Registered(string(name))
	})
	s.briefSenders = append(s.briefSenders, v)
}

// trackRotations notes who visited in the row, and says what has moved. The caller holds tickMu.
func (e *Engine) trackRotations() (moves []addressChange) {
	all := drainShards(e, nil, func(s *shard) *[]briefSender { return &s.briefSenders })
	slices.SortFunc(all, func(a, b briefSender) int {
		return cmp.Or(cmp.Compare(a.end, b.end), bytes.Compare(a.source.Addr[:], b.source.Addr[:]),
			cmp.Compare(a.source.Scope, b.source.Scope), cmp.Compare(a.start, b.start))
	})
	for i := range all {
		moves = append(moves, e.trackBriefSender(&all[i])...)
	}
	e.releaseExpired()
	return moves
}

// trackBriefSender takes in one visit.
func (e *Engine) trackBriefSender(v *briefSender) (moves []addressChange) {
	m := &e.machines
	if l := m.chainOf[v.source]; l != nil && l.rotation == nil {
		return nil // its link-layer address says whose it is
	}
	c := m.rotation(v)
	c.senders = slices.DeleteFunc(c.senders, func(x briefSender) bool { return x.end < v.end-maxSilence })
	if c.chain.sameMachine && len(c.senders) == 0 {
		m.dissolve(&c.chain)
	}
	at := slices.IndexFunc(c.senders, func(x briefSender) bool { return x.source == v.source && x.mac == v.mac })
	if at >= 0 {
		x := &c.senders[at]
		x.sessions++
		x.end, x.refused = v.end, x.refused || v.refused
		x.returned = x.returned || at < len(c.senders)-1 || x.sessions > maxBriefSessions
		if c.chain.sameMachine && !c.oneByOne() {
			m.dissolve(&c.chain)
		}
		return nil
	}
	if c.chain.sameMachine && !v.foreignName {
		return nil
	}
	v.overlaps = v.start < c.end
	c.end = max(c.end, v.end)
	if len(c.senders) == maxChain {
		c.senders = slices.Delete(c.senders, 0, 1)
	}
	c.senders = append(c.senders, *v)
	from := max(0, len(c.senders)-2) // whose successor is the first that is new
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
	for i := from; i+1 < len(c.senders); i++ { // maxPast at most
		if a, b := c.senders[i].source, c.senders[i+1].source; a != b {
			moves = append(moves, addressChange{a, b, v.signature.ttl})
		}
	}
	return moves
}

// rotation is the swarm of a visit. There may be maxSwarms; then the one that was silent for the
// longest time is forgotten.
func (m *machines) rotation(v *briefSender) *rotation {
	k := rotationKey{localNetwork(v.source), v.signature}
	if c := m.rotations[k]; c != nil {
		return c
	}
	if m.rotations == nil {
		m.rotations = map[rotationKey]*rotation{}
	}
	if m.chainOf == nil {
		m.chainOf = map[flowtable.HostKey]*addressChain{}
	}
	if len(m.rotations) >= maxRotations {
		var oldest *rotation
		for _, c := range m.rotations {
			if oldest == nil || cmp.Or(cmp.Compare(c.end, oldest.end), c.key.compare(&oldest.key)) < 0 {
				oldest = c
			}
		}
		m.dissolve(&oldest.chain)
		delete(m.rotations, oldest.key)
		m.forgotten.Add(1)
	}
	c := &rotation{key: k}
	c.chain.rotation = c
	m.rotations[k] = c
	return c
}

func (k *rotationKey) compare(o *rotationKey) int {
	return cmp.Or(bytes.Compare(k.net.Addr[:], o.net.Addr[:]), cmp.Compare(k.net.Scope, o.net.Scope),
		cmp.Compare(k.signature.ttl, o.signature.ttl), cmp.Compare(k.signature.nextHop, o.signature.nextHop))
}

// oneByOne reports whether the members come one after the other, and few come again.
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

// oneMachine reports whether a swarm is taken for one machine. Those that live on are none of it.
func (e *Engine) oneMachine(c *rotation) bool {
	if len(c.senders) < minRotation || !c.oneByOne() || !c.looksHostile() {
		return false
	}
	for i := range c.senders { // maxPast at most
		v := &c.senders[i]
		e.withSource(&v.source, func(_ *shard, _ flowtable.Ref, src *source, _ *host) {
			f := &src.facts
			v.returned = v.returned || f.AuthSessions > 0 || f.TLSSessions > 0 || f.Attempts > 2*maxBriefSessions || src.flags&serving != 0
		})
	}
	if !c.oneByOne() {
		return false
	}
	c.senders = slices.DeleteFunc(c.senders, func(v briefSender) bool { return v.returned })
	return len(c.senders) >= minRotation && c.looksHostile()
}

// looksHostile reports whether a swarm behaves as a bot does: nearly all of its visits are to networks of
// their own, with names that their senders do not have; one in five was refused, three at least;
// and the senders or the names are many. A link-layer address that has more than three of the
// addresses is known by itself; see minChain.
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
	return min(len(nets), foreign)*4 >= n*3 && len(macs)*3 >= n && refused >= 3 && refused*5 >= n &&
		(len(names)*4 >= n*3 || len(senders)*2 >= n)
}

// join has an address belong to a swarm. Its own findings are superseded; what was not given out
// of them never was there.
func (e *Engine) join(c *rotation, v *briefSender, now int64) {
	m := &e.machines
	m.addMembers(&c.chain, v.source)
	e.withSource(&v.source, func(s *shard, _ flowtable.Ref, src *source, hst *host) {
		if hst == nil {
			return
		}
		for _, f := range hst.findings {
			if f == nil || !f.open || !singleAddressClass(f.class) {
				continue
			}
			if m.heldIndex(&v.source, f.class) >= 0 {
				hst.findings[f.class] = nil
			} else {
				s.close(src, hst, f, v.source, now, "superseded")
			}
		}
	})
	m.held = slices.DeleteFunc(m.held, func(r entry) bool { return r.key == v.source })
}

// heldIndex is where the finding of a source is in held; less than zero if it is not.
func (m *machines) heldIndex(k *flowtable.HostKey, c verdict.Class) int {
	return slices.IndexFunc(m.held, func(r entry) bool { return r.key == *k && r.finding.Class == c })
}

// hold reports whether a finding is held back: that an address which was not seen before mails
// straight to the Internet, or is refused, in the network of a swarm that is one machine.
func (m *machines) hold(r *entry) bool {
	f := r.finding
	if !singleAddressClass(f.Class) || f.Action != "opened" || f.Reopened > 0 || m.chainOf[r.key] != nil ||
		f.Source.Facts.Attempts > maxBriefSessions || len(m.held) >= maxHeld {
		return false
	}
	for _, c := range m.rotations { // maxSwarms at most
		if c.chain.sameMachine && c.key.net == localNetwork(r.key) {
			m.held = append(m.held, *r)
			return true
		}
	}
	return false
}

// releaseHeld gives out the finding of a source that was held back, because there is news of it.
func (e *Engine) releaseHeld(r *entry) {
	m := &e.machines
	if len(m.held) == 0 {
		return
	}
	if i := m.heldIndex(&r.key, r.finding.Class); i >= 0 { // one at most
		h := m.held[i]
		m.held = slices.Delete(m.held, i, i+1)
		e.outputFinding(&h)
	}
}

// releaseExpired gives out the findings that were held back for long enough.
func (e *Engine) releaseExpired() {
	m := &e.machines
	for len(m.held) > 0 && e.clock.Now()-m.held[0].time >= maxHold { // maxHeld at most
		h := m.held[0]
		m.held = slices.Delete(m.held, 0, 1)
		e.outputFinding(&h)
	}
}

func (e *Engine) outputFinding(r *entry) {
	if r.kept != nil {
		e.out.Keep(r.kept)
	}
	e.out.Finding(r.finding)
}

// emitsMember reports whether a finding of a member's own is to be given out: it is superseded, so only
// the end of one that was given out is.
func (c *rotation) emitsMember(k flowtable.HostKey, f *detect.Finding) bool {
	q := withheldFinding{k, f.Class}
	at := slices.Index(c.withheld, q)
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

// describe has a finding say that it is about a machine that takes new addresses.
func (c *rotation) describe(f *detect.Finding) {
	bits := 24
	a := addr(c.key.net.Addr, c.key.net.Scope.V6())
	if a.Is6() {
		bits = 64
	}
	f.Roams = netip.PrefixFrom(a, bits)
	var some []string
	first, last := int64(0), int64(0)
	if n := len(c.senders); n > 0 {
		first, last = c.senders[0].start, c.senders[n-1].end
		for _, v := range c.senders[max(0, n-3):] {
			some = append(some, fmt.Sprintf("%s (MAC %s)", addr(v.source.Addr, v.source.Scope.V6()), net.HardwareAddr(v.mac[:])))
		}
	}
	f.Reasons = append(slices.Clip(f.Reasons), detect.ReasonText{Server: "new_addresses",
		Reason: verdict.Reason{First: first, Last: last, Value: float64(len(c.senders)), Threshold: minRotation},
		Text: fmt.Sprintf("It takes a new IP address of %s and a new link-layer address for each mail: %d of them mailed one after the other, each to a network of its own, and none came again; the latest are %s.",
			f.Roams, len(c.senders), strings.Join(some, ", "))})
	f.Advice = fmt.Sprintf("Find the switch port on which the latest of these link-layer addresses showed: the machine does not keep its addresses. If they are several machines of %s, each of them is to be looked at. ", f.Roams) + f.Advice
}
