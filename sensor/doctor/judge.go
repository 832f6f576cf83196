package doctor

import (
	"fmt"
	"strings"
	"time"

	"spamsensor/sensor/event"
)

// report judges what was counted.
func (e *exam) report() *Report {
	r := &Report{inputError: e.readError, Input: e.cfg.Input, Kind: e.cfg.Kind,
		Frames: e.frames, Bytes: e.bytes, Neighbors: e.neighbors}
	r.Seconds = e.listened.Seconds()
	if e.cfg.Kind == File {
		r.Seconds = max(0, time.Duration(e.latest-e.first).Seconds())
	}
	for _, check := range []func() []Line{e.judgeInput, e.judgeLink, e.judgeFrames, e.judgeDrops,
		e.judgeHidden, e.judgeDirections, e.judgeHome, e.judgeTruncation, e.judgeLoss,
		e.judgeCopies, e.judgeClock, e.judgeChecksums, e.judgeTunnels, e.judgeVLANs,
		e.judgeCard, e.judgeMachine, e.judgeMail, e.judgeDNS} {
		r.Lines = append(r.Lines, check()...)
	}
	e.counts.Connections = uint64(len(e.flows))
	r.Counts = e.counts
	r.finish()
	r.addSwitch(e.cfg.Switch)
	if r.Neighbors == nil {
		r.Neighbors = []Neighbor{}
	}
	return r
}

// judgeInput says whether the input could be read to its end.
func (e *exam) judgeInput() []Line {
	if e.readError == nil {
		return nil
	}
	l := Line{Check: "input", Level: Limits, What: "The input could not be read to its end.",
		Measured: event.Escape(e.readError.Error(), 512),
		Do:       "Look at the program that writes it; what was read before is judged."}
	if e.frames == 0 {
		l.Level, l.What, l.Do = Blind, "The input could not be read.",
			"Name an interface, or a capture file of pcap or pcapng."
	}
	return []Line{l}
}

// linkDown reports whether the link explains that no frame came.
func (e *exam) linkDown() bool {
	return e.cfg.Link != nil && (!e.link.Exists || !e.link.Up || !e.link.Carrier)
}

// judgeLink judges the interface itself.
func (e *exam) judgeLink() []Line {
	if e.cfg.Link == nil {
		return nil
	}
	l := &e.link
	up := []string{"sudo ip link set " + event.Escape(l.Name, 64) + " up promisc on"}
	line := Line{Check: "link", Level: Blind}
	switch {
	case !l.Exists:
		line.What, line.Measured = "The interface is gone.", "no interface has this name"
		line.Do = "List the interfaces with: spamsensor interfaces"
	case !l.Up:
		line.What, line.Measured = "The interface is down.", "its flag UP is not set"
		line.Do, line.Commands = "Set the interface up, and have the system do so at its start.", up
	case !l.Carrier:
		line.What, line.Measured = "The interface has no carrier.", "it is up, and its link is not"
		line.Do = "Look at the cable, at the port of the switch (is it shut down?) and at the " +
			"speed of both ends."
	default:
		line.Level, line.What, line.Measured = Good, "The link is up.", l.describe()
		if l.Duplex == "half" {
			line.Level, line.What = Limits, "The link is half duplex."
			line.Do = "Set both ends of the link to the same speed and to full duplex."
		} else if l.SpeedMbit > 0 && l.SpeedMbit < 1000 {
			line.Level, line.What = Note, "The link is slower than a usual source of a mirror."
			line.Do = "A mirror of a port with 1 Gbit/s in each direction needs as much here: " +
				"what does not fit is lost in the switch, uncounted."
		}
	}
	if line.Level == Blind {
		return []Line{line}
	}
	return []Line{line, e.judgePromiscuous()}
}

// describe says what is known of a link that is up.
func (l *Link) describe() string {
	var texts []string
	if l.SpeedMbit > 0 {
		texts = append(texts, strings.TrimSpace(fmt.Sprintf("%d Mbit/s %s", l.SpeedMbit, l.Duplex)))
	}
	if l.Driver != "" {
		texts = append(texts, "driver "+event.Escape(l.Driver, 32))
	}
	if l.MTU > 0 {
		texts = append(texts, fmt.Sprintf("MTU %d", l.MTU))
	}
	return strings.Join(texts, ", ")
}

// judgePromiscuous judges whether the interface takes the frames of others.
func (e *exam) judgePromiscuous() Line {
	l := Line{Check: "promiscuous", Level: Good, What: "The interface takes all frames.",
		Measured: "it is promiscuous while the sensor listens"}
	if e.link.Promiscuous || e.link.MAC == [6]byte{} { // a tunnel has no other stations
		return l
	}
	l.Measured = fmt.Sprintf("it is not promiscuous while the sensor listens; %s",
		of(e.counts.Foreign, e.counts.Unicast, "unicast frames were for other stations"))
	l.Commands = []string{"sudo ip link set " + event.Escape(e.link.Name, 64) + " promisc on"}
	l.Do = "Let the sensor set the promiscuous mode (it needs CAP_NET_RAW), or set it." + e.guest()
	if e.counts.Foreign > 0 {
		l.Level, l.What = Note, "The interface is not promiscuous, and brings frames of others."
		return l
	}
	l.Level, l.What = Blind, "The interface drops the frames of other stations."
	return l
}

// guest is the advice for an interface of a virtual machine.
func (e *exam) guest() string {
	if !e.link.virtual() {
		return ""
	}
	return fmt.Sprintf(" The interface is virtual (%s): the hypervisor has to pass the frames of "+
		"others. VMware: port group, promiscuous mode: accept. Hyper-V: port mirroring mode: "+
		"destination. Linux bridge: ageing time 0, or tc mirred. AWS: VPC traffic mirroring.",
		event.Escape(e.link.Driver, 32))
}

// floods is the share of frames below which unicast frames of other stations are not a mirror: a
// switch floods the frames for stations that it does not know to all ports.
const floods = 0.05

// judgeFrames judges whether this is a mirror port at all.
func (e *exam) judgeFrames() []Line {
	l := Line{Check: "frames", Level: Good, What: "Frames of other stations arrive."}
	c := &e.counts
	l.Measured = fmt.Sprintf("%s in %.1f s", count(e.frames, "frame"), e.listened.Seconds())
	if e.cfg.Kind == File {
		l.Measured = fmt.Sprintf("%s in the file", count(e.frames, "frame"))
	}
	if e.frames == 0 {
		if e.linkDown() || e.readError != nil {
			return nil
		}
		l.Level, l.remedy = Blind, makeMirror
		l.What = "No frame arrives at all: the port is silent."
		l.Do = "Look whether the mirror session exists and is enabled, and whether this cable is " +
			"in its destination port." + e.guest()
		if e.cfg.Kind != Interface {
			l.Do = "Look at the program that captures, and at its filter."
		}
		return []Line{l}
	}
	known := e.cfg.Kind == Interface && e.ownMAC() != [6]byte{}
	many := e.frames - c.Unicast
	switch {
	case len(e.flows) > 0 || total(c.Hidden) > 0:
		if e.sawStations {
			l.Measured += fmt.Sprintf(": %d unicast, %d to several stations", c.Unicast, many)
		}
		l.Measured += fmt.Sprintf("; %d TCP connections", len(e.flows))
		return []Line{l}
	case known && c.Foreign == 0 && e.forwards():
		return nil // the check of addresses says it
	case known && c.Foreign == 0 && e.ownMail > 0:
		l.Level, l.What = Limits, "Only the traffic of this machine is seen."
		l.Measured += fmt.Sprintf(": %d of this machine, none between other stations", e.ours)
		l.Do = "To see the mail of other machines, listen on a mirror port."
	case known && float64(c.Foreign) < floods*float64(e.frames),
		!known && c.Unicast == 0 && e.sawStations:
		l.Level, l.remedy = Blind, makeMirror
		l.What = "This is an ordinary access port, not a mirror."
		l.Measured += fmt.Sprintf(": %d broadcast or multicast, %d of this machine, %d between "+
			"other stations, no TCP connection of others", many, e.ours, c.Foreign)
		l.Do = "Make a mirror session on the switch whose destination is this port, and whose " +
			"source is the port of the router, in both directions." + e.guest()
	default:
		l.Level, l.What, l.remedy = Limits, "No TCP connection is seen.", otherSource
		l.Measured += ": " + list(c.Decoded, 6)
		l.Do = "Listen longer (--for 60s). If it stays so, another port or VLAN is mirrored than " +
			"the one with the users and the router."
	}
	return []Line{l}
}

// forwards reports whether this machine sends packets that it has not made: it is a router that
// translates addresses.
func (e *exam) forwards() bool {
	for _, h := range e.hosts {
		if h.own && h.routed() {
			return true
		}
	}
	return false
}

// few is the share of lost frames below which nothing is missed: a bot connects often.
const few = 0.001

// judgeDrops judges what the kernel, the card and the mirror's tunnel lost.
func (e *exam) judgeDrops() (lines []Line) {
	if e.cfg.Drops != nil && e.frames > 0 {
		lost := e.kernelDrops + e.interfaceDrops
		l := Line{Check: "drops", Level: Good, What: "Nothing is dropped on this machine.",
			Measured: fmt.Sprintf("0 of %d frames", e.frames)}
		if lost > 0 {
			l.Level, l.What = Limits, "This machine drops frames."
			if ratio(lost, lost+e.frames) < few {
				l.Level = Note
			}
			l.Measured = fmt.Sprintf("%d dropped by the kernel, %d by the card, %d read",
				e.kernelDrops, e.interfaceDrops, e.frames)
			l.Do = "Give the sensor a larger capture.buffer, or several sockets (capture.fanout)."
			if e.interfaceDrops > 0 && e.link.RingRX < e.link.RingMax {
				l.Do = "Give the card more receive buffers."
				l.Commands = []string{fmt.Sprintf("sudo ethtool -G %s rx %d",
					event.Escape(e.link.Name, 64), e.link.RingMax)}
			}
		}
		lines = append(lines, l)
	}
	if n := e.link.Damaged - min(e.linkBefore.Damaged, e.link.Damaged); n > 0 {
		lines = append(lines, Line{Check: "drops", Level: Limits, What: "Frames arrive damaged.",
			Measured: fmt.Sprintf("%d frames with a wrong check sequence", n),
			Do:       "Change the cable or the transceiver."})
	}
	if n := e.link.TooLong - min(e.linkBefore.TooLong, e.link.TooLong); n > 0 {
		lines = append(lines, Line{Check: "drops", Level: Limits,
			What:     "The card drops frames that are too long for it.",
			Measured: fmt.Sprintf("%d frames, at an MTU of %d", n, e.link.MTU),
			Do:       "Tags and tunnels make frames longer: set a larger MTU here.",
			Commands: []string{"sudo ip link set " + event.Escape(e.link.Name, 64) + " mtu 9000"}})
	}
	if e.lost > 0 {
		l := Line{Check: "drops", Level: Limits,
			What: "Frames are lost between the switch and the sensor.",
			Measured: fmt.Sprintf("%d sequence numbers of ERSPAN are missing, %d frames came",
				e.lost, e.counts.Tunnels[erspanTunnel]),
			Do: "Find the link between both that is full; mirror less, or over a faster path."}
		if ratio(e.lost, e.lost+e.counts.Tunnels[erspanTunnel]) < few {
			l.Level = Note
		}
		lines = append(lines, l)
	}
	return lines
}
