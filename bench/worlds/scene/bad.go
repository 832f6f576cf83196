package scene

import (
	"time"

	"spamsensor/bench/worlds/traffic"
)

// bad are the scenarios with a bot.
func bad() []Scene {
	return []Scene{
		{"clear_fast", "a bot in clear on port 25, several a minute", Bad, clearFast},
		{"starttls_fast", "a bot that uses STARTTLS wherever it is offered", Bad, starttlsFast},
		{"blocked_drop", "a bot whose attempts the firewall drops", Bad, blockedBy("drop")},
	}
}

// infected is a workstation of an office with a bot on it.
func infected(w *traffic.World, n, days int) *bot {
	office(w, n, days)
	h := w.PC()
	w.Truth.PublicIP = w.Global().String()
	w.Convict(h, "likely", "spambot")
	return newBot(w, h)
}

func clearFast(w *traffic.World) {
	b := infected(w, 6, 1)
	b.gap, b.n = w.Between(2*time.Second, 20*time.Second), 80+w.R.IntN(150)
	b.run(w.Between(time.Hour, 5*time.Hour))
}

func starttlsFast(w *traffic.World) {
	b := infected(w, 6, 1)
	name := "mail." + w.Word() + ".com"
	b.client, b.tls, b.helo = traffic.BotEhlo, 1, func() string { return name }
	b.gap, b.n = w.Between(2*time.Second, 12*time.Second), 120+w.R.IntN(200)
	b.run(w.Between(time.Hour, 5*time.Hour))
}

func blockedBy(how string) func(*traffic.World) {
	return func(w *traffic.World) {
		b := infected(w, 6, 1)
		b.block = how
		b.gap, b.n = w.Between(5*time.Second, 40*time.Second), 120+w.R.IntN(200)
		b.run(w.Between(time.Hour, 5*time.Hour))
	}
}

// forged are the scenarios with packets in the name of an innocent host.
func forged() []Scene {
	return []Scene{
		{"forged_syns", "ten thousand SYNs in the name of an innocent host", Forged, forgedSYNs},
	}
}

func forgedSYNs(w *traffic.World) {
	w.Length = 6 * time.Hour
	h := w.PC()
	w.Truth.NoLevel = append(w.Truth.NoLevel, h.V4.String())
	at := w.Between(time.Hour, 2*time.Hour)
	for range 10000 {
		w.Dial(at, h, w.Outside(w.Global(), 0), traffic.Pick[uint16](w, 25, 25, 465, 587), false).
			Silent(0)
		at += w.Between(0, time.Second)
	}
}
