package machines

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"spamsensor/flowtable"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/sources"
	"spamsensor/sensor/verdict"
)

const (
	// minRotation is the number of senders before a rotation counts as one machine.
	minRotation = 8
	// maxRotations bounds the known rotations. A rotation has at most maxChain members.
	maxRotations = 128
	// maxHold is how long a finding about one new address of a rotation's network is held back,
	// because its session may show that it is a member. maxHeld bounds these findings.
	maxHold, maxHeld = 5 * minute, 64
)

// rotationKey identifies a rotation.
type rotationKey struct {
	net       flowtable.HostKey
	signature sources.FrameSignature
}

// rotation is the set of addresses of a network that were brief senders lately.
type rotation struct {
	key      rotationKey
	chain    addressChain
	senders  []sources.BriefSender // in the order of their ends, one for each address
	end      int64                 // end of the latest
	withheld []withheldFinding
}

// withheldFinding names a finding that was not emitted.
type withheldFinding struct {
	source flowtable.HostKey
	class  verdict.Class
}

// rotation returns the rotation of a brief sender. At maxRotations the one that was silent for the
// longest time is dropped.
func (t *Tracker) rotation(v *sources.BriefSender) *rotation {
	k := rotationKey{sources.LocalNetwork(v.Source), v.Signature}
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
		cmp.Compare(k.signature.TTL, o.signature.TTL), cmp.Compare(k.signature.NextHop,
			o.signature.NextHop))
}

// oneByOne reports whether the members come one after the other, and few come back: at most a
// quarter overlaps the one before, and at most a quarter returns.
func (c *rotation) oneByOne() bool {
	overlaps, back := 0, 0
	for i := range c.senders {
		if c.senders[i].Overlaps {
			overlaps++
		}
		if c.senders[i].Returned {
			back++
		}
	}
	return max(overlaps, back)*4 <= len(c.senders)
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
		nets[v.ServerNet], macs[v.MAC] = true, true
		if v.Name != 0 {
			names[v.Name] = true
		}
		if v.Sender != 0 {
			senders[v.Sender] = true
		}
		if v.ForeignName {
			foreign++
		}
		if v.Refused {
			refused++
		}
	}
	// In this order: networks and names of their own; many link-layer addresses, because a machine
	// with one is a chain; refusals; many names or senders.
	return min(len(nets), foreign)*4 >= n*3 && len(macs)*3 >= n && refused >= 3 && refused*5 >= n &&
		(len(names)*4 >= n*3 || len(senders)*2 >= n)
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
		first, last = c.senders[0].Start, c.senders[n-1].End
		for _, v := range c.senders[max(0, n-3):] {
			some = append(some, fmt.Sprintf("%s (MAC %s)", peer.NetIP(v.Source.Addr,
				v.Source.Scope.V6()),
				net.HardwareAddr(v.MAC[:])))
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

// TrackRotations handles the brief senders of a round, and returns the address changes. The caller
// holds tickMu.
func (t *Tracker) TrackRotations() (changes []sources.AddressChange) {
	// Shards run in any order, so the senders of a round are sorted by the ends of their sessions.
	list := t.sources.TakeBriefSenders()
	slices.SortFunc(list, func(a, b sources.BriefSender) int {
		return cmp.Or(cmp.Compare(a.End, b.End), bytes.Compare(a.Source.Addr[:], b.Source.Addr[:]),
			cmp.Compare(a.Source.Scope, b.Source.Scope), cmp.Compare(a.Start, b.Start))
	})
	for i := range list {
		changes = append(changes, t.trackBriefSender(&list[i])...)
	}
	return changes
}

// trackBriefSender handles one brief sender.
func (t *Tracker) trackBriefSender(v *sources.BriefSender) (changes []sources.AddressChange) {
	if l := t.chainOf[v.Source]; l != nil && l.rotation == nil {
		return nil // the link-layer address identifies its machine
	}
	c := t.rotation(v)
	// A member that was silent for a day is no member any more.
	c.senders = slices.DeleteFunc(c.senders, func(x sources.BriefSender) bool {
		return x.End < v.End-maxSilence
	})
	if c.chain.sameMachine && len(c.senders) == 0 {
		t.dissolve(&c.chain)
	}
	at := slices.IndexFunc(c.senders, func(x sources.BriefSender) bool {
		return x.Source == v.Source && x.MAC == v.MAC
	})
	if at >= 0 {
		// A known member: a further session within its stay is fine, a return after another member
		// is not.
		x := &c.senders[at]
		x.Sessions++
		x.End, x.Refused = v.End, x.Refused || v.Refused
		x.Returned = x.Returned || at < len(c.senders)-1 || x.Sessions > sources.MaxBriefSessions
		if c.chain.sameMachine && !c.oneByOne() {
			t.dissolve(&c.chain)
		}
		return nil
	}
	// A sender with a name of its own domain is a mail server, and not the bot.
	if c.chain.sameMachine && !v.ForeignName {
		return nil
	}
	v.Overlaps = v.Start < c.end
	c.end = max(c.end, v.End)
	// A full rotation drops its oldest member.
	if len(c.senders) == maxChain {
		c.senders = slices.Delete(c.senders, 0, 1)
	}
	c.senders = append(c.senders, *v)
	from := max(0, len(c.senders)-2) // the first one whose next address is new
	if !c.chain.sameMachine {
		if !t.oneMachine(c) {
			return nil
		}
		c.chain.sameMachine, from = true, 0
		for i := range c.senders {
			t.join(c, &c.senders[i], v.End)
		}
	} else {
		t.join(c, v, v.End)
	}
	for i := from; i+1 < len(c.senders); i++ { // at most maxChain
		// The profile goes from each member to the next one, so that the latest has all of it.
		if a, b := c.senders[i].Source, c.senders[i+1].Source; a != b {
			changes = append(changes, sources.AddressChange{From: a, To: b, TTL: v.Signature.TTL})
		}
	}
	return changes
}

// oneMachine reports whether a rotation counts as one machine. Lasting members are removed from it.
func (t *Tracker) oneMachine(c *rotation) bool {
	if len(c.senders) < minRotation || !c.oneByOne() || !c.looksHostile() {
		return false
	}
	for i := range c.senders { // at most maxChain
		v := &c.senders[i]
		// A machine that lasts had its brief sessions by accident.
		v.Returned = v.Returned || t.sources.Lasts(&v.Source)
	}
	if !c.oneByOne() {
		return false
	}
	c.senders = slices.DeleteFunc(c.senders, func(v sources.BriefSender) bool { return v.Returned })
	return len(c.senders) >= minRotation && c.looksHostile()
}

// join adds an address to a rotation. Its own findings are superseded: an emitted one is closed, a
// held one is dropped as if it had never been opened.
func (t *Tracker) join(c *rotation, v *sources.BriefSender, now int64) {
	t.addMembers(&c.chain, v.Source)
	t.sources.Supersede(&v.Source, now, singleAddressClass, func(c verdict.Class) bool {
		return t.heldIndex(&v.Source, c) >= 0
	})
	t.held = slices.DeleteFunc(t.held,
		func(r *sources.FindingEvent) bool { return r.Key == v.Source })
}
