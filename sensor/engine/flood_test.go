package engine

import (
	"fmt"
	"testing"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
	. "spamsensor/sensor/wire/wiretest"
)

// flooded makes SYNs with the sources of n addresses below a prefix, each to so many servers. The
// frames are made one by one, to be passed on at once.
func flooded(prefix byte, n, each int, gap int64, give func(f timedFrame)) {
	syn := Frame(Ethernet{Src: [6]byte{2, 9, 9, 9, 9, 9}}, IP{Src: "10.0.0.1", Dst: "198.51.0.25"}, TCP{SrcPort: 1024, DstPort: 25, Flags: SYN, Seq: 1})
	at := epoch
	for i := range n {
		for j := range each {
			d := append([]byte{}, syn...)
			d[26], d[27], d[28], d[29] = prefix, byte(128+i>>16&127), byte(i>>8), byte(i)
			d[31], d[32], d[33] = byte(16+j), byte(i*7+j), byte(i+j)
			d[34], d[35] = byte(4+j), byte(i)
			d[38], d[39], d[40], d[41] = byte(i>>8), byte(i), byte(j), 77
			d[22] = 64
			sum := uint32(0)
			d[24], d[25] = 0, 0
			for k := 14; k < 34; k += 2 {
				sum += uint32(d[k])<<8 | uint32(d[k+1])
			}
			sum = sum&0xffff + sum>>16
			sum = ^(sum&0xffff + sum>>16) & 0xffff
			d[24], d[25] = byte(sum>>8), byte(sum)
			give(timedFrame{at, d})
			at += gap
		}
	}
}

// limited analyses frames with few entries for hosts.
func limited(hosts int, frames []timedFrame) (findings []finding.Finding, stats Stats) {
	e := New(Config{Limits: Limits{Attempts: 1 << 16, Flows: 8192, Sources: 8192, Sessions: 1024, Hosts: hosts}},
		Output{Finding: func(f *finding.Finding) { findings = append(findings, *f) }})
	w := feeder{w: e.Worker(), size: 256}
	for _, f := range frames {
		w.take(f)
	}
	w.flush()
	e.Finish("end_of_input")
	return findings, e.Stats()
}

// TestFloodOfOurAddresses checks that SYNs with thousands of spoofed internal sources cause a
// bounded number of findings, and that a bot among them is found.
func TestFloodOfOurAddresses(t *testing.T) {
	var frames []timedFrame
	flooded(10, 20_000, 4, 30*second/80_000, func(f timedFrame) { frames = append(frames, f) })
	findings, stats := limited(256, together(frames, bot(30, refusing)))
	events, level := 0, verdict.NoLevel
	for _, f := range findings {
		if f.Source.Addr.String() == "10.0.0.5" {
			if f.Class == verdict.Spambot {
				level = max(level, f.Level)
			}
			continue
		}
		if events++; f.Level > verdict.Suspect {
			t.Errorf("%s is %s", f.Source.Addr, f.Level)
		}
	}
	const most = 2 * 16 * 6 // budgetBurst of package sources
	if events > most+80 || stats.Withheld == 0 {
		t.Errorf("%d events of %d packets, %d findings withheld", events, len(frames), stats.Withheld)
	}
	if level != verdict.Confirmed {
		t.Errorf("the bot is %s", level)
	}
	t.Logf("R31: 4 SYNs from each of 20,000 addresses of ours: %d finding events of %d packets, %d withheld, the bot among them %s (goal at most %d, confirmed)", events, len(frames), stats.Withheld, level, most+80)
}

// TestHostsWithoutAPlace checks that hosts that do not all have an entry do not open and close
// findings in turn.
func TestHostsWithoutAPlace(t *testing.T) {
	var frames []timedFrame
	sessions := 0
	for round := range 12 {
		for i := range 400 {
			c := newConn(fmt.Sprintf("10.1.%d.%d", i/200, 1+i%200), fmt.Sprintf("198.%d.%d.25", 16+round, i%250), uint16(20000+round), 25)
			c.at += int64(round)*10*minute + int64(i)*second
			c.seq = [2]uint32{uint32(sessions) * 7919, uint32(sessions) * 104729}
			spam(c, i+round)
			withMAC(c, [6]byte{2, 1, 1, byte(i >> 8), byte(i), 1})
			frames = append(frames, c.frames...)
			sessions++
		}
	}
	findings, stats := limited(100, together(frames))
	suspects := 0
	for _, f := range findings {
		if f.Level == verdict.Suspect {
			suspects++
		}
	}
	t.Logf("R31: 400 bots and places for 100: %d events of findings at suspect, %d in all, of %d sessions; %d hosts made room (goal one for each session at most)", suspects, len(findings), sessions, stats.HostsEvicted)
	if len(findings) > sessions {
		t.Errorf("%d events of %d sessions", len(findings), sessions)
	}
}
