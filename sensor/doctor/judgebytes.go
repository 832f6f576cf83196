package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/event"
	"spamsensor/sensor/wire"
)

// truncatedLimits is the share of frames that were cut from which dialogues are lost.
const truncatedLimits = 0.01

// judgeTruncation judges frames of which a part was captured.
func (e *exam) judgeTruncation() []Line {
	if e.frames == 0 {
		return nil
	}
	c := &e.counts
	if ratio(c.Truncated, e.frames) < truncatedLimits {
		return []Line{{Check: "truncation", Level: Good, What: "Frames are captured whole.",
			Measured: of(c.Truncated, e.frames, "frames were cut")}}
	}
	l := Line{Check: "truncation", Level: Limits, What: "Frames are cut: dialogues cannot be read.",
		Measured: of(c.Truncated, e.frames, "frames were cut") +
			fmt.Sprintf(", to %d bytes and more", e.shortest),
		Do: "Capture whole frames: tcpdump -s 0, no slicing in the tap or packet broker, " +
			"capture.snaplen as it is by default. Until then connections are counted, and what " +
			"is said in them is not known."}
	if n := c.Decoded[wire.Truncated.String()]; ratio(n, e.frames) >= 0.5 {
		l.Level, l.What = Blind, "Frames are cut within their headers."
		l.Measured += "; " + of(n, e.frames, "cannot be decoded")
	}
	return []Line{l}
}

const (
	// earliest is the time before which no frame was captured, in ns since 1970: libpcap is from
	// 1994.
	earliest = 757382400e9
	// written is the time when the program was written, in ns since 1970: 2026-01-01. A clock that
	// shows an earlier one was never set.
	written = 1767225600e9
	// maxSkew is how far the times of a stream may lie from those of this machine, in ns.
	maxSkew = 60e9
)

// judgeClock judges the times of frames, and the clock of this machine.
func (e *exam) judgeClock() []Line {
	c := &e.counts
	l := Line{Check: "clock", Level: Limits}
	now := e.cfg.Now()
	switch {
	case e.cfg.Kind == Interface && now < written:
		l.What = "The clock of this machine is wrong."
		l.Measured = fmt.Sprintf("it shows %s", time.Unix(0, now).UTC().Format(time.DateOnly))
	case c.OddTimes > 0:
		l.What = "Frames have impossible times."
		l.Measured = of(c.OddTimes, e.frames, "frames are from before 1994 or from the future") +
			fmt.Sprintf("; the first is from %s", event.Timestamp(e.first))
	case c.Backwards > 0:
		l.What = "The times of frames go backwards."
		l.Measured = fmt.Sprintf("jumps back by more than a second: %d", c.Backwards)
	case e.cfg.Kind == Stream && e.frames > 0 && (e.skew > maxSkew || e.skew < -maxSkew):
		l.What = "The times of frames are not those of this machine."
		l.Measured = fmt.Sprintf("the last frame is from %s, %s from now", event.Timestamp(e.last),
			span(float64(max(e.skew, -e.skew))/1e9))
	case e.cfg.Kind == File && e.frames >= 16 && e.first == e.latest:
		l.What = "The capture has no times."
		l.Measured = fmt.Sprintf("all %d frames have the same", e.frames)
		l.Do = "Rates cannot be judged. Convert it from a format that has times."
		return []Line{l}
	default:
		return e.judgeSynchronised()
	}
	l.Do = "Set the clock of the capturing machine by a time server (chrony, systemd-timesyncd): " +
		"complaints name a time, and findings must bear the same."
	return []Line{l}
}

// judgeSynchronised says that the times are right, as far as is known.
func (e *exam) judgeSynchronised() []Line {
	if e.frames == 0 && e.cfg.Kind != Interface {
		return nil
	}
	l := Line{Check: "clock", Level: Good, What: "The times of frames are plausible.",
		Measured: "none goes backwards by more than a second"}
	m := e.cfg.Machine
	switch {
	case m == nil || !m.ClockKnown || e.cfg.Kind != Interface:
	case m.Synchronised:
		l.Measured = "the kernel says that its clock is synchronised"
	default:
		l.Level, l.What = Note, "The clock of this machine is not synchronised."
		l.Measured = "the kernel's flag STA_UNSYNC is set"
		l.Do = "Run a time service (chrony, systemd-timesyncd): complaints name a time, and " +
			"findings must bear the same. In a container or a guest the host's may do."
	}
	return []Line{l}
}

const (
	minSums = 20
	// offloadShare is the share of a host's segments that have a wrong checksum from which its
	// card was to write it: a capture on this host has it in all that it sends but for segments
	// that are sent again by the card.
	offloadShare = 0.8
	// damagedShare is the share from which segments are damaged on their way. TCP itself meets
	// between one in 1,100 and one in 32,000 (Stone and Partridge, SIGCOMM 2000).
	damagedShare = 0.02
)

// judgeChecksums judges the checksums of TCP.
func (e *exam) judgeChecksums() []Line {
	c := &e.counts
	if c.CheckedSums < minSums {
		return nil
	}
	l := Line{Check: "checksums", Level: Good, What: "Checksums are right.",
		Measured: of(c.WrongSums, c.CheckedSums, "TCP segments have a wrong checksum")}
	offloaded, hosts := e.offloaders()
	switch {
	case ratio(c.WrongSums, c.CheckedSums) < damagedShare:
	case ratio(c.WrongSums-offloaded, c.CheckedSums) < damagedShare:
		l.Level, l.What = Note, "A mirrored host leaves checksums to its network card."
		l.Measured += fmt.Sprintf(", %d of them from hosts that write hardly a right one (%d)",
			offloaded, hosts)
		l.Do = "Nothing is lost: the sensor notices, and counts these segments. On that host " +
			"\"ethtool -K INTERFACE tx off\" shows the real checksums."
	default:
		l.Level, l.What = Limits, "Segments arrive damaged."
		l.Do = "Look at the cables and transceivers on the way of the mirror, and at taps and " +
			"packet brokers that change packets."
	}
	return []Line{l}
}

// offloaders counts the hosts that leave checksums to their cards, and the wrong ones from them.
func (e *exam) offloaders() (wrong, hosts uint64) {
	for _, h := range e.hosts {
		if h.wrongSums > 0 && float64(h.wrongSums) >= offloadShare*float64(h.sums) {
			wrong += h.wrongSums
			hosts++
		}
	}
	return wrong, hosts
}

// judgeCard says how the card receives.
func (e *exam) judgeCard() (lines []Line) {
	if e.cfg.Link == nil || e.linkDown() {
		return nil
	}
	if l := &e.link; l.RingRX > 0 {
		lines = append(lines, Line{Check: "ring", Level: Good,
			What:     "The card has receive buffers.",
			Measured: fmt.Sprintf("%d of at most %d", l.RingRX, l.RingMax)})
	}
	l := Line{Check: "offloads", Level: Good,
		What:     "Nothing joins segments before they are captured.",
		Measured: "GRO and LRO are off"}
	switch {
	case e.link.LRO:
		l.Level, l.What = Note, "The card joins segments (LRO)."
		l.Measured = fmt.Sprintf("LRO is on; %d TCP frames are longer than 1,600 bytes", e.joined)
		l.Do = "The sensor reads joined segments, but their times and headers are not those of " +
			"the wire."
		l.Commands = []string{"sudo ethtool -K " + event.Escape(e.link.Name, 64) +
			" lro off gro off"}
	case e.link.GRO:
		l.What = "The kernel may join segments (GRO), which the sensor reads."
		l.Measured = fmt.Sprintf("GRO is on; %d TCP frames are longer than 1,600 bytes", e.joined)
	}
	return append(lines, l)
}

const (
	// minFree and minFreeShare: below both a disk is full within hours. The events of a flood
	// are at most some hundred bytes each, some hundred a second.
	minFree      = 1 << 30
	minFreeShare = 0.05
)

// judgeMachine judges the disks and the memory.
func (e *exam) judgeMachine() (lines []Line) {
	m := e.cfg.Machine
	if m == nil {
		return nil
	}
	for _, d := range m.Disks {
		l := Line{Check: "disk", Level: Good,
			What: fmt.Sprintf("There is room for the %s.", d.Purpose),
			Measured: fmt.Sprintf("%s free of %s at %s", size(d.Free), size(d.Size),
				event.Escape(d.Path, 256))}
		switch {
		case d.Err != nil:
			l.Level = Limits
			l.What = fmt.Sprintf("The directory of the %s cannot be used.", d.Purpose)
			l.Measured = event.Escape(d.Path+": "+d.Err.Error(), 512)
			l.Do = "Make the directory, or correct the configuration."
		case d.Free < minFree && float64(d.Free) < minFreeShare*float64(d.Size):
			l.Level = Limits
			l.What = fmt.Sprintf("The disk of the %s is nearly full.", d.Purpose)
			l.Do = "Make room, or choose another disk in the configuration."
		}
		lines = append(lines, l)
	}
	if m.Needed > 0 && m.Available > 0 {
		l := Line{Check: "memory", Level: Good, What: "There is memory for the sensor.",
			Measured: fmt.Sprintf("%s available, limits.memory is %s", size(m.Available),
				size(m.Needed))}
		if m.Available < m.Needed {
			l.Level, l.What = Limits, "There is too little memory for the sensor."
			l.Do = "Lower limits.memory, or give the machine more."
		}
		lines = append(lines, l)
	}
	return lines
}

// size is a number of bytes for people.
func size(n uint64) string {
	if n >= 10<<30 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// judgeMail says which mail ports are in use. That there are none in a short sample is no fault.
func (e *exam) judgeMail() []Line {
	if e.frames == 0 {
		return nil
	}
	n := uint64(0)
	for k := range e.flows {
		for _, x := range []uint16{k.a.port, k.b.port} {
			if e.mail[x] {
				e.counts.MailPorts[fmt.Sprint(x)]++
				n++
				break
			}
		}
	}
	l := Line{Check: "mail", Level: Good, What: "Mail is seen.",
		Measured: fmt.Sprintf("%d connections by port: %s", n, list(e.counts.MailPorts, 8))}
	if n == 0 {
		l.Level, l.What = Note, "No mail is in the sample."
		l.Measured = fmt.Sprintf("none of %d TCP connections has a mail port (%s)",
			len(e.flows), e.portList())
		l.Do = "That is usual in a short sample. To be sure, send a mail and listen meanwhile: " +
			"--for 60s --frames 200000"
	}
	return []Line{l}
}

// portList names the mail ports.
func (e *exam) portList() string {
	ports := slices.Sorted(slices.Values(e.cfg.Ports))
	texts := make([]string, 0, 8)
	for i, p := range ports {
		if i == 8 {
			texts = append(texts, "...")
			break
		}
		texts = append(texts, fmt.Sprint(p))
	}
	return strings.Join(texts, ", ")
}

// judgeDNS says whether DNS and DHCP are seen.
func (e *exam) judgeDNS() (lines []Line) {
	if e.frames == 0 {
		return nil
	}
	l := Line{Check: "dns", Level: Good, What: "DNS is seen.",
		Measured: fmt.Sprintf("%d packets of DNS, %d of DHCP, %d of ARP", e.counts.DNS,
			e.counts.DHCP, e.counts.ARP)}
	if e.counts.DNS == 0 {
		l.Level, l.What = Note, "No DNS is seen."
		l.Do = "Lookups of mail servers are a sign of bots. If hosts ask a resolver in their own " +
			"network, mirror its port as well."
	}
	return []Line{l}
}
