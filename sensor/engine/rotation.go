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
	"spamsensor/smtpsniff"
)

// visit is a session of an address that has had few: in clear, without AUTH, on port 25 of a server
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
type visit struct {
	source     flowtable.Host
	mac        [6]byte
	sign       sign
	start, end int64
	net        uint32 // hashes: of the server's network,
	name       uint32 // of the HELO name, zero if none was given,
	sender     uint32 // of the sender's domain, zero for the null sender
	foreign    bool   // the name is not one of the sender's domain
	refused    bool
	overlaps   bool // an earlier one was not over
	back       bool // the address lives on: it came again after another one, or does more than that
	sessions   int
}

const (
	// swarmFrom is how many visits there must be before a swarm is taken for one machine.
	swarmFrom = 8
	// maxStay is how many sessions an address may have before it makes room for the next.
	maxStay = 4
	// maxVisits bounds what a shard keeps until the end of the row, maxSwarms how many swarms are
	// known. The members of a swarm are at most maxPast.
	maxVisits, maxSwarms = 64, 128
	// holdNews is how long a finding about one new address of a swarm's network is held back,
	// because its session may show that it is of the swarm. maxHeld bounds how many are.
	holdNews, maxHeld = 5 * minute, 64
)

// sign is what the members of a swarm have in common, beside their network: the hop limit of their
// frames and a hash of the link-layer address to which these go.
type sign struct {
	ttl uint8
	to  uint16
}

type swarmKey struct {
	net  flowtable.Host
	sign sign
}

// swarm is the addresses of a network that have visited lately.
type swarm struct {
	key    swarmKey
	line   lineage
	visits []visit // in the order of their ends, one for each address
	end    int64   // of the latest
	quiet  []quiet
}

// quiet is a finding that was not given out.
type quiet struct {
	source flowtable.Host
	class  detect.Class
}

// ofOne reports whether a class says little about an address alone, and nothing that is news of a
// swarm.
func ofOne(c detect.Class) bool { return c == detect.DirectSMTP || c == detect.OnBlocklist }

// network is the network of an address of ours: its /24, or /64.
func network(h flowtable.Host) flowtable.Host {
	if h.Scope.V6() {
		clear(h.Addr[8:])
	} else {
		h.Addr[15] = 0
	}
	return h
}

// visited notes a session that is over.
func (s *shard) visited(k *flowtable.Key, f *flow, session *smtpsniff.Session, src *source, hst *host) {
	if hst == nil || session == nil || k.ServerPort != 25 || !f.has(external) || f.has(relay|selfMade) || !f.seenWhole() ||
		session.Mails == 0 || session.Encryption != smtpsniff.Plain || session.Auth != smtpsniff.NoAuth ||
		src.flags&home == 0 || !s.judges(src) || src.facts.Sessions > 2*maxStay || src.mac == [6]byte{} || !detect.InitialTTL(f.trace.ttl) {
		return
	}
	if len(s.visits) >= maxVisits {
		s.unsaid++
		return
	}
	v := visit{source: k.Host(), mac: src.mac, sign: sign{f.trace.ttl, f.trace.to}, start: f.start, end: f.last,
		net: s.e.net(k.Server, k.Scope.V6()), refused: hst.WasRefused(), sessions: 1}
	name := bytes.ToLower(session.Helo())
	if len(name) > 0 {
		v.name = max(1, uint32(s.e.table.Secret.Bytes(name)))
	}
	v.foreign = true
	session.Senders(func(a []byte) {
		domain := dns.Registered(strings.ToLower(string(smtpsniff.Domain(a))))
		if len(domain) == 0 {
			return
		}
		v.sender = max(1, uint32(s.e.table.Secret.Bytes([]byte(domain))))
		v.foreign = v.foreign && domain != dns.Registered(string(name))
	})
	s.visits = append(s.visits, v)
}

// followVisits notes who visited in the row, and says what has moved. The caller holds tickMu.
func (e *Engine) followVisits() (moves []move) {
	all := gather(e, nil, func(s *shard) *[]visit { return &s.visits })
	slices.SortFunc(all, func(a, b visit) int {
		return cmp.Or(cmp.Compare(a.end, b.end), bytes.Compare(a.source.Addr[:], b.source.Addr[:]),
			cmp.Compare(a.source.Scope, b.source.Scope), cmp.Compare(a.start, b.start))
	})
	for i := range all {
		moves = append(moves, e.visit(&all[i])...)
	}
	e.releaseLate()
	return moves
}

// visit takes in one visit.
func (e *Engine) visit(v *visit) (moves []move) {
	m := &e.machines
	if l := m.lines[v.source]; l != nil && l.swarm == nil {
		return nil // its link-layer address says whose it is
	}
	c := m.swarm(v)
	c.visits = slices.DeleteFunc(c.visits, func(x visit) bool { return x.end < v.end-succession })
	if c.line.one && len(c.visits) == 0 {
		m.leave(&c.line)
	}
	at := slices.IndexFunc(c.visits, func(x visit) bool { return x.source == v.source && x.mac == v.mac })
	if at >= 0 {
		x := &c.visits[at]
		x.sessions++
		x.end, x.refused = v.end, x.refused || v.refused
		x.back = x.back || at < len(c.visits)-1 || x.sessions > maxStay
		if c.line.one && !c.serial() {
			m.leave(&c.line)
		}
		return nil
	}
	if c.line.one && !v.foreign {
		return nil
	}
	v.overlaps = v.start < c.end
	c.end = max(c.end, v.end)
	if len(c.visits) == maxPast {
		c.visits = slices.Delete(c.visits, 0, 1)
	}
	c.visits = append(c.visits, *v)
	from := max(0, len(c.visits)-2) // whose successor is the first that is new
	if !c.line.one {
		if !e.oneMachine(c) {
			return nil
		}
		c.line.one, from = true, 0
		for i := range c.visits {
			e.joins(c, &c.visits[i], v.end)
		}
	} else {
		e.joins(c, v, v.end)
	}
	for i := from; i+1 < len(c.visits); i++ { // maxPast at most
		if a, b := c.visits[i].source, c.visits[i+1].source; a != b {
			moves = append(moves, move{a, b, v.sign.ttl})
		}
	}
	return moves
}

// swarm is the swarm of a visit. There may be maxSwarms; then the one that was silent for the
// longest time is forgotten.
func (m *machines) swarm(v *visit) *swarm {
	k := swarmKey{network(v.source), v.sign}
	if c := m.swarms[k]; c != nil {
		return c
	}
	if m.swarms == nil {
		m.swarms = map[swarmKey]*swarm{}
	}
	if m.lines == nil {
		m.lines = map[flowtable.Host]*lineage{}
	}
	if len(m.swarms) >= maxSwarms {
		var oldest *swarm
		for _, c := range m.swarms {
			if oldest == nil || cmp.Or(cmp.Compare(c.end, oldest.end), c.key.compare(&oldest.key)) < 0 {
				oldest = c
			}
		}
		m.leave(&oldest.line)
		delete(m.swarms, oldest.key)
		m.forgotten.Add(1)
	}
	c := &swarm{key: k}
	c.line.swarm = c
	m.swarms[k] = c
	return c
}

func (k *swarmKey) compare(o *swarmKey) int {
	return cmp.Or(bytes.Compare(k.net.Addr[:], o.net.Addr[:]), cmp.Compare(k.net.Scope, o.net.Scope),
		cmp.Compare(k.sign.ttl, o.sign.ttl), cmp.Compare(k.sign.to, o.sign.to))
}

// serial reports whether the members come one after the other, and few come again.
func (c *swarm) serial() bool {
	overlaps, back := 0, 0
	for i := range c.visits {
		if c.visits[i].overlaps {
			overlaps++
		}
		if c.visits[i].back {
			back++
		}
	}
	return max(overlaps, back)*4 <= len(c.visits)
}

// oneMachine reports whether a swarm is taken for one machine. Those that live on are none of it.
func (e *Engine) oneMachine(c *swarm) bool {
	if len(c.visits) < swarmFrom || !c.serial() || !c.bad() {
		return false
	}
	for i := range c.visits { // maxPast at most
		v := &c.visits[i]
		e.at(&v.source, func(_ *shard, _ flowtable.Ref, src *source, _ *host) {
			f := &src.facts
			v.back = v.back || f.AuthSessions > 0 || f.TLSSessions > 0 || f.Attempts > 2*maxStay || src.flags&serving != 0
		})
	}
	if !c.serial() {
		return false
	}
	c.visits = slices.DeleteFunc(c.visits, func(v visit) bool { return v.back })
	return len(c.visits) >= swarmFrom && c.bad()
}

// bad reports whether a swarm behaves as a bot does: nearly all of its visits are to networks of
// their own, with names that their senders do not have; one in five was refused, three at least;
// and the senders or the names are many. A link-layer address that has more than three of the
// addresses is known by itself; see lineal.
func (c *swarm) bad() bool {
	n, refused, foreign := len(c.visits), 0, 0
	nets, macs := map[uint32]bool{}, map[[6]byte]bool{}
	names, senders := map[uint32]bool{}, map[uint32]bool{}
	for i := range c.visits {
		v := &c.visits[i]
		nets[v.net], macs[v.mac] = true, true
		if v.name != 0 {
			names[v.name] = true
		}
		if v.sender != 0 {
			senders[v.sender] = true
		}
		if v.foreign {
			foreign++
		}
		if v.refused {
			refused++
		}
	}
	return min(len(nets), foreign)*4 >= n*3 && len(macs)*3 >= n && refused >= 3 && refused*5 >= n &&
		(len(names)*4 >= n*3 || len(senders)*2 >= n)
}

// joins has an address belong to a swarm. Its own findings are superseded; what was not given out
// of them never was there.
func (e *Engine) joins(c *swarm, v *visit, now int64) {
	m := &e.machines
	m.belongs(&c.line, v.source)
	e.at(&v.source, func(s *shard, _ flowtable.Ref, src *source, hst *host) {
		if hst == nil {
			return
		}
		for _, f := range hst.findings {
			if f == nil || !f.open || !ofOne(f.class) {
				continue
			}
			if m.heldBack(&v.source, f.class) >= 0 {
				hst.findings[f.class] = nil
			} else {
				s.close(src, hst, f, v.source, now, "superseded")
			}
		}
	})
	m.held = slices.DeleteFunc(m.held, func(r record) bool { return r.key == v.source })
}

// heldBack is where the finding of a source is in held; less than zero if it is not.
func (m *machines) heldBack(k *flowtable.Host, c detect.Class) int {
	return slices.IndexFunc(m.held, func(r record) bool { return r.key == *k && r.finding.Class == c })
}

// holds reports whether a finding is held back: that an address which was not seen before mails
// straight to the Internet, or is refused, in the network of a swarm that is one machine.
func (m *machines) holds(r *record) bool {
	f := r.finding
	if !ofOne(f.Class) || f.Action != "opened" || f.Reopened > 0 || m.lines[r.key] != nil ||
		f.Source.Facts.Attempts > maxStay || len(m.held) >= maxHeld {
		return false
	}
	for _, c := range m.swarms { // maxSwarms at most
		if c.line.one && c.key.net == network(r.key) {
			m.held = append(m.held, *r)
			return true
		}
	}
	return false
}

// release gives out the finding of a source that was held back, because there is news of it.
func (e *Engine) release(r *record) {
	m := &e.machines
	if len(m.held) == 0 {
		return
	}
	if i := m.heldBack(&r.key, r.finding.Class); i >= 0 { // one at most
		h := m.held[i]
		m.held = slices.Delete(m.held, i, i+1)
		e.giveFinding(&h)
	}
}

// releaseLate gives out the findings that were held back for long enough.
func (e *Engine) releaseLate() {
	m := &e.machines
	for len(m.held) > 0 && e.clock.Now()-m.held[0].time >= holdNews { // maxHeld at most
		h := m.held[0]
		m.held = slices.Delete(m.held, 0, 1)
		e.giveFinding(&h)
	}
}

func (e *Engine) giveFinding(r *record) {
	if r.kept != nil {
		e.out.Keep(r.kept)
	}
	e.out.Finding(r.finding)
}

// news reports whether a finding of a member's own is to be given out: it is superseded, so only
// the end of one that was given out is.
func (c *swarm) news(k flowtable.Host, f *detect.Finding) bool {
	q := quiet{k, f.Class}
	at := slices.Index(c.quiet, q)
	if f.Action == "closed" {
		if at >= 0 {
			c.quiet = slices.Delete(c.quiet, at, at+1)
		}
		return at < 0
	}
	if f.Action == "opened" && at < 0 {
		if len(c.quiet) == maxPast {
			c.quiet = slices.Delete(c.quiet, 0, 1)
		}
		c.quiet = append(c.quiet, q)
	}
	return false
}

// tell has a finding say that it is about a machine that takes new addresses.
func (c *swarm) tell(f *detect.Finding) {
	bits := 24
	a := addr(c.key.net.Addr, c.key.net.Scope.V6())
	if a.Is6() {
		bits = 64
	}
	f.Roams = netip.PrefixFrom(a, bits)
	var some []string
	first, last := int64(0), int64(0)
	if n := len(c.visits); n > 0 {
		first, last = c.visits[0].start, c.visits[n-1].end
		for _, v := range c.visits[max(0, n-3):] {
			some = append(some, fmt.Sprintf("%s (MAC %s)", addr(v.source.Addr, v.source.Scope.V6()), net.HardwareAddr(v.mac[:])))
		}
	}
	f.Reasons = append(slices.Clip(f.Reasons), detect.ReasonText{Server: "new_addresses",
		Reason: detect.Reason{First: first, Last: last, Value: float64(len(c.visits)), Threshold: swarmFrom},
		Text: fmt.Sprintf("It takes a new IP address of %s and a new link-layer address for each mail: %d of them mailed one after the other, each to a network of its own, and none came again; the latest are %s.",
			f.Roams, len(c.visits), strings.Join(some, ", "))})
	f.Advice = fmt.Sprintf("Find the switch port on which the latest of these link-layer addresses showed: the machine does not keep its addresses. If they are several machines of %s, each of them is to be looked at. ", f.Roams) + f.Advice
}
