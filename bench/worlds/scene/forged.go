package scene

import (
	"time"

	"spamsensor/bench/worlds/traffic"
)

// forged are the scenarios with packets in the name of an innocent host.
func forged() []Scene {
	list := []Scene{
		{"forged_syns", "ten thousand SYNs in the name of a host that sends nothing", Forged,
			forge("", false)},
		{"forged_beside", "the same, and the host has sessions of its own",
			Forged, forge("", true)},
		{"forged_reset", "the same, and the servers answer by RST", Forged, forge("reset", true)},
		{"forged_icmp", "the same, and a router answers by ICMP", Forged, forge("icmp", true)},
		{"forged_answered", "the same; servers answer, and the host, which knows nothing of it, " +
			"sends RST", Forged, forge("answered", true)},
	}
	for _, s := range list {
		draw := s.draw
		list = append(list, Scene{s.Name + "_doubled", s.Text + "; each frame comes twice", Forged,
			func(w *traffic.World) {
				draw(w)
				w.Mirror.Twice = true
			}})
	}
	return list
}

// forge sends SYNs in the name of a workstation, from its link-layer address or another, with ports
// in order or at random.
func forge(answer string, own bool) func(*traffic.World) {
	return func(w *traffic.World) {
		w.Length = 8 * time.Hour
		if w.Chance(0.3) {
			w.EnableV6()
		}
		w.Office(4)
		h := w.PC()
		w.Truth.NoLevel = append(w.Truth.NoLevel, h.V4.String())
		if h.V6.IsValid() {
			w.Truth.NoLevel = append(w.Truth.NoLevel, h.V6.String())
		}
		if own {
			w.Habit(h, []*traffic.Account{w.Account("ionos"), w.Account("gmx")}, 12)
		}
		forger := w.Forger(h, traffic.Pick(w, traffic.Linux, traffic.Windows, traffic.Embedded,
			h.Stack), traffic.Pick(w, h.MAC, h.MAC, w.RandomMAC()))
		v6 := h.V6.IsValid() && w.Chance(0.5)
		at := w.Between(time.Hour, 2*time.Hour)
		gap := w.Between(20*time.Millisecond, 1500*time.Millisecond)
		ports := traffic.Pick(w, []uint16{25}, []uint16{25, 465, 587})
		for range 10000 {
			target := w.Outside(w.Global(), 30*time.Millisecond)
			if v6 {
				target.V6 = w.Global6()
			}
			k := w.Dial(at, forger, target, ports[w.R.IntN(len(ports))], v6)
			switch answer {
			case "reset":
				k.Refuse(0, nil)
			case "icmp":
				k.Unreachable(13, w.Gateway, 0)
			case "answered":
				k.Forged(h)
			default:
				k.Silent(0)
			}
			at += w.Between(0, 2*gap)
		}
	}
}
