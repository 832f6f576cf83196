package doctor

import "fmt"

const (
	// minAcks is the number of acknowledging segments from which a connection is judged: a sample
	// begins and ends in the midst of connections, and a server sends up to ten segments before it
	// waits (RFC 6928), of which the client acknowledges every second (RFC 1122, 4.2.3.2).
	minAcks = 3
	// minFlows is the number of connections from which a share of them says something.
	minFlows = 3
	// oneWayLimits is the share of connections that are seen from one side above which a direction
	// is missing; above oneWayNote some traffic goes another way (asymmetric routing).
	oneWayLimits, oneWayNote = 0.5, 0.1
)

// hiddenLimits is the share of frames in tunnels that nobody can open from which it matters; from
// hiddenBlind on, and with hardly a connection beside, nothing else is there.
const hiddenLimits, hiddenBlind = 0.2, 0.5

// judgeHidden judges tunnels that nobody can open.
func (e *exam) judgeHidden() []Line {
	n := total(e.counts.Hidden)
	if n == 0 {
		return nil
	}
	l := Line{Check: "tunnels_hidden", Level: Note,
		What:     "A part of the traffic is in tunnels that cannot be opened.",
		Measured: of(n, e.frames, "frames") + ": " + list(e.counts.Hidden, 4),
		Do: "Mail in them is not seen. If the users are behind the tunnel, mirror the port " +
			"where their traffic is outside of it: the inner side of the VPN gateway."}
	share := ratio(n, e.frames)
	_, _, judged := e.directions()
	switch {
	case share >= hiddenBlind && judged < minFlows:
		l.Level, l.remedy = Blind, otherSource
		l.What = "Nearly everything is in a tunnel that cannot be opened."
	case share >= hiddenLimits:
		l.Level, l.remedy = Limits, otherSource
		l.What = "Much of the traffic is in tunnels that cannot be opened."
	}
	return []Line{l}
}

// oneSided counts the connections of which one side was seen, by that side.
type oneSided struct{ all, fromHome, fromOthers uint64 }

// directions counts the connections that can be judged, by what was seen of them.
func (e *exam) directions() (both uint64, one oneSided, judged uint64) {
	for k, f := range e.flows {
		if f.acks[0]+f.acks[1] < minAcks {
			continue
		}
		judged++
		if f.acks[0] > 0 && f.acks[1] > 0 {
			both++
			continue
		}
		sender, receiver := k.a.addr, k.b.addr
		if f.acks[0] == 0 {
			sender, receiver = receiver, sender
		}
		one.all++
		switch home := e.isHome(sender); {
		case home == e.isHome(receiver):
		case home:
			one.fromHome++
		default:
			one.fromOthers++
		}
	}
	return both, one, judged
}

// judgeDirections judges whether both directions of connections are mirrored.
func (e *exam) judgeDirections() []Line {
	both, one, judged := e.directions()
	e.counts.BothWays, e.counts.OneWay = both, one.all
	if len(e.flows) == 0 {
		return nil
	}
	l := Line{Check: "directions", Level: Good, What: "Both directions of connections are seen.",
		Measured: of(both, judged, "connections were seen from both sides")}
	share := ratio(one.all, judged)
	switch {
	case both == judged && judged < minFlows:
		l.Check, l.Level = "sample", Limits
		l.What = "The sample is too small to call the mirror good."
		l.Measured = fmt.Sprintf("%d of %d connections have %d acknowledging segments, of %d that "+
			"are wanted", judged, len(e.flows), minAcks, minFlows)
		l.Do = "Listen longer: --for 60s --frames 200000"
	case share >= oneWayLimits && one.all > 0:
		l.Level, l.remedy = Limits, bothWays
		l.Measured = of(one.all, judged, "connections were seen from one side only")
		e.explainOneWay(&l, one)
	case share >= oneWayNote:
		l.Level, l.What = Note, "Some connections are seen from one side only."
		l.Measured = of(one.all, judged, "connections")
		l.Do = "A part of the traffic takes another way (two uplinks, asymmetric routing): " +
			"mirror all uplinks."
	}
	return []Line{l}
}

// explainOneWay says which direction is missing, and what the sensor loses.
func (e *exam) explainOneWay(l *Line, one oneSided) {
	l.Do = "Mirror both directions of the source port (rx and tx, ingress and egress)."
	switch {
	case one.fromHome*10 >= one.all*9:
		l.What = "Only what our hosts send is mirrored."
		l.Measured += fmt.Sprintf(", %d of them from our side", one.fromHome)
		l.Do += " Until then replies are missing: refusals, blocklists and failed logins are " +
			"not seen."
	case one.fromOthers*10 >= one.all*9:
		l.What = "Only what is sent to our hosts is mirrored."
		l.Measured += fmt.Sprintf(", %d of them from outside", one.fromOthers)
		l.Do += " Until then connections that nobody answers, and what our hosts say, are not seen."
	default:
		l.What = "Only one direction of connections is mirrored."
	}
}

const (
	// lossNote is the share of acknowledgments for bytes that were not captured from which Zeek
	// reports loss (policy/misc/capture-loss.zeek, too_much_loss); lossLimits is ten times as
	// much: every tenth dialogue of ten segments has a gap.
	lossNote, lossLimits = 0.001, 0.01
	minLossAcks          = 100
	minUnseen            = 3
)

// judgeLoss judges whether segments are missing that the receiver got.
func (e *exam) judgeLoss() []Line {
	c := &e.counts
	if c.Acks < minLossAcks {
		return nil
	}
	l := Line{Check: "loss", Level: Good, What: "No bytes of connections are missing.",
		Measured: of(c.Unseen, c.Acks, "acknowledgments are for bytes that were not captured")}
	if share := ratio(c.Unseen, c.Acks); c.Unseen >= minUnseen && share >= lossNote {
		l.Level, l.What = Note, "A few segments are missing."
		if share >= lossLimits {
			l.Level, l.What = Limits, "Segments are missing that the receivers got."
		}
		l.Do = "The mirror loses frames before they arrive here: its source ports together send " +
			"more than the destination port can take, or one of two uplinks is not mirrored. " +
			"Mirror fewer ports, or only the one to the router."
	}
	return []Line{l}
}

const (
	// minComparable is the number of frames from which a share of copies says something.
	minComparable = 20
	// copiesLimits is the share of copies from which the sensor does double work: half of the
	// frames are copies if everything comes twice. copiesNote: the traffic between two mirrored
	// ports comes twice.
	copiesLimits, copiesNote = 0.1, 0.01
)

// judgeCopies judges frames that come twice.
func (e *exam) judgeCopies() (lines []Line) {
	c := &e.counts
	if c.Comparable < minComparable {
		return nil
	}
	l := Line{Check: "duplicates", Level: Good, What: "Frames come once.",
		Measured: of(c.Duplicates, c.Comparable, "frames came twice within 50 ms")}
	if share := ratio(c.Duplicates, c.Comparable); share >= copiesNote {
		l.Level, l.What = Note, "Some frames come twice."
		if share >= copiesLimits {
			l.Level, l.What = Limits, "Frames come twice."
		}
		l.remedy = oneCopy
		e.explainCopies(&l)
	}
	lines = append(lines, l)
	if n := e.copies.translated; n >= minUnseen && ratio(n, c.Comparable) >= copiesNote {
		lines = append(lines, Line{Check: "nat_twice", Level: Limits, remedy: otherSource,
			What: "The mirror has both sides of a router that translates addresses.",
			Measured: of(n, c.Comparable,
				"segments came again with another source address, and the same sequence numbers"),
			Do: "Mirror its inner side alone: on the outer side all hosts have one address, " +
				"which would be judged as a host of its own."})
	}
	return lines
}

// explainCopies says how the copies differ.
func (e *exam) explainCopies(l *Line) {
	x := &e.copies
	most := max(x.same, x.tagged, x.routed, x.station)
	l.Do = "Nothing is counted twice, but the sensor does double work. "
	switch most {
	case x.same:
		l.Measured += fmt.Sprintf("; %d copies are equal", x.same)
		l.Do += "Mirror one port of a path (the one to the router) in both directions; or " +
			"several ports, each in one direction only (rx)."
	case x.routed:
		l.Measured += fmt.Sprintf("; %d have another hop limit: before and behind a router",
			x.routed)
		l.Do += "Mirror one side of the router."
	case x.tagged:
		l.Measured += fmt.Sprintf("; %d have other VLAN tags", x.tagged)
		l.Do += "Mirror either the trunk or the access port."
	default:
		l.Measured += fmt.Sprintf("; %d have another sender's MAC address", x.station)
		l.Do += "Mirror one side of the firewall or of the switch that routes."
	}
}
