package doctor

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// oneAddressShare is the share of conversations of which one address is an end, from which it is
// the only one; minPeers the number of its peers from which that says something: a single machine
// has as many within seconds.
const (
	oneAddressShare = 0.9
	minPeers        = 5
)

// judgeHome judges whether hosts of ours are seen, and more than one.
func (e *exam) judgeHome() []Line {
	homes, others := uint64(0), uint64(0)
	for _, h := range e.hosts {
		switch {
		case h.own:
		case h.home && h.sent > 0:
			homes++
		case !h.home:
			others++
		}
	}
	e.counts.HomeHosts, e.counts.OtherHosts = homes, others
	if len(e.pairs) == 0 {
		return nil
	}
	anyone := func(*host) bool { return true }
	isHome := func(h *host) bool { return h.home }
	sends := func(h *host) bool { return h.home && h.sent > 0 }
	if homes > 1 {
		return []Line{{Check: "home", Level: Good, What: "Hosts of our networks are seen.",
			Measured: fmt.Sprintf("%d hosts: %s", homes, e.networks(6, sends))}}
	}
	if l, ok := e.judgeOneAddress(homes); ok {
		return []Line{l}
	}
	if homes == 1 || e.anyHost(isHome) {
		return []Line{{Check: "home", Level: Good, What: "Hosts of our networks are seen.",
			Measured: fmt.Sprintf("one host: %s", e.networks(2, isHome))}}
	}
	l := Line{Check: "home", Level: Limits, remedy: otherSource,
		What:     "No host of a private network is seen.",
		Measured: fmt.Sprintf("%d addresses: %s", others, e.networks(6, anyone)),
		Do: fmt.Sprintf("If your hosts have public addresses, name their networks: %s, or "+
			"home_net in the configuration. Else mirror the inner side of the router.",
			e.homeOption())}
	if e.cfg.HomeStated {
		l.Level, l.What = Blind, "None of the home networks that were named is seen."
		l.Do = fmt.Sprintf("Mirror the port or the VLAN of these networks (the VLANs in the "+
			"sample: %s), or correct home_net.", list(e.counts.VLANs, 4))
	}
	return []Line{l}
}

func (e *exam) anyHost(ok func(*host) bool) bool {
	for _, h := range e.hosts {
		if ok(h) {
			return true
		}
	}
	return false
}

// homeOption is the option that names the networks of the hosts on the mirrored link: those whose
// packets have passed no router.
func (e *exam) homeOption() string {
	near := e.busyNetworks(func(h *host) bool { return h.sent > 0 && !h.routed() })
	if len(near) == 0 {
		return "--home CIDR"
	}
	const most = 3
	option := ""
	for _, p := range near[:min(most, len(near))] {
		option += " --home " + p.String()
	}
	return strings.TrimSpace(option)
}

// judgeOneAddress judges whether all conversations are those of one address.
func (e *exam) judgeOneAddress(homes uint64) (Line, bool) {
	ok := func(h *host) bool { return h.own && e.forwards() || !h.own && (homes == 0 || h.home) }
	addr, h, share := e.busiest(ok)
	if h == nil || share < oneAddressShare || h.peers < minPeers || e.cfg.HomeStated && homes == 0 {
		return Line{}, false
	}
	l := Line{Check: "nat", Level: Limits, remedy: otherSource,
		Measured: fmt.Sprintf("%s is an end of %.0f %% of the conversations, with %d addresses",
			addr, 100*share, h.peers)}
	if h.routed() {
		l.What = "The mirror is outside of NAT: all hosts have one address."
		l.Measured += fmt.Sprintf("; its packets came through a router (hop limits %s)", hops(h))
		l.Do = "The sensor sees that spam is sent, and not by which machine. Mirror the inner " +
			"side of the router, where hosts have their own addresses."
	} else {
		l.What = "Only one machine of ours is seen."
		l.Do = fmt.Sprintf("If %s is a router or firewall that translates addresses, mirror its "+
			"inner side. Else mirror the port to the router, not that of one machine.", addr)
	}
	return l, true
}

// hops lists the hop limits of a host's packets.
func hops(h *host) (s string) {
	for _, t := range h.ttls {
		if t == 0 {
			break
		}
		if s != "" {
			s += ", "
		}
		s += strconv.Itoa(int(t))
	}
	return s
}

// judgeVLANs says which VLANs are seen, and whether hosts of several have the same address.
func (e *exam) judgeVLANs() []Line {
	if e.frames == 0 {
		return nil
	}
	l := Line{Check: "vlans", Level: Good, What: "VLANs are opened.",
		Measured: list(e.counts.VLANs, 8) + "; " + list(e.counts.Ethertypes, 8)}
	if e.counts.VLANs["untagged"] == e.frames {
		l.What = "Frames are untagged."
		l.Measured = list(e.counts.Ethertypes, 8)
	}
	for name := range e.counts.VLANs {
		if strings.Contains(name, ".") {
			l.What = "Double VLAN tags (QinQ) are opened."
		}
	}
	twice, example := 0, netip.Addr{}
	for a, h := range e.hosts {
		if h.twice {
			twice++
			if x := netip.AddrFrom16(a).Unmap(); !example.IsValid() || x.Less(example) {
				example = x
			}
		}
	}
	if twice == 0 {
		return []Line{l}
	}
	return []Line{l, {Check: "vlan_overlap", Level: Limits,
		What: "Different machines in different VLANs have the same address.",
		Measured: fmt.Sprintf("%d addresses, such as %s, have several MAC addresses and VLAN tags",
			twice, example),
		Do: "Have the sensor keep VLANs apart, or their hosts are judged as one: " +
			"capture.separate_vlans: true (for run: --set capture.separate_vlans=true)."}}
}

// partsLimits is the share of the frames of a tunnel that are fragments from which it matters.
const partsLimits = 0.01

// judgeTunnels says which tunnels are opened, and whether their packets come whole.
func (e *exam) judgeTunnels() []Line {
	n := total(e.counts.Tunnels)
	if n == 0 {
		return nil
	}
	lines := []Line{{Check: "tunnels", Level: Good,
		What:     "The sensor opens the tunnels that are seen.",
		Measured: of(n, e.frames, "frames") + ": " + list(e.counts.Tunnels, 6)}}
	if ratio(e.tunnelParts, n) >= partsLimits {
		lines = append(lines, Line{Check: "tunnel_fragments", Level: Limits,
			What:     "Packets of a tunnel come in fragments, which are not joined.",
			Measured: of(e.tunnelParts, n, "frames of tunnels are fragments"),
			Do: "The tunnel makes frames longer than the path to the sensor takes (ERSPAN by 50 " +
				"bytes, VXLAN by 50): give all links of this path an MTU of at least 1,600."})
	}
	return lines
}
