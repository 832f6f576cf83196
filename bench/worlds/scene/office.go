package scene

import "spamsensor/bench/worlds/traffic"

// benignOffice are scenarios of people and devices.
func benignOffice() []Scene {
	return []Scene{
		{"office", "workstations that submit a few mails a day to the firm's provider", Benign,
			func(w *traffic.World) { office(w, 14, 5) }},
		{"phones", "telephones and tablets with several accounts each", Benign, phones},
	}
}

func phones(w *traffic.World) {
	office(w, 6, 3)
	for range 4 {
		h := w.Inside("phone", traffic.Pick(w, traffic.MacOS, traffic.Android))
		if w.Chance(0.7) {
			h.MAC = w.RandomMAC()
		}
		var list []*traffic.Account
		for range 2 + w.R.IntN(4) {
			a := w.Account(traffic.Pick(w, traffic.Consumers...))
			a.Client = traffic.Phone
			list = append(list, a)
		}
		w.Habit(h, list, 6)
	}
}
