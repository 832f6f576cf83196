package scene

import (
	"net/netip"
	"time"

	"spamsensor/bench/worlds/traffic"
)

// benignDevices are scenarios of devices, networks of strangers, and mirrors that show a part.
func benignDevices() []Scene {
	return []Scene{
		{"copiers_direct", "copiers that scan to the firm's tenant by port 25", Benign,
			copiersDirect},
		{"scanners_inside", "scanners that give their mails to the firm's server", Benign,
			scannersInside},
		{"ups_nas", "a UPS and a NAS with an account each, one with an old password",
			Benign, upsNAS},
		{"factory", "machines that report to a server inside, and one that is not allowed to",
			Benign, factory},
		{"broken_device", "a device that tries a dead server every few minutes", Benign,
			brokenDevice},
		{"monitoring", "a system that tests a few mail servers every few minutes", Benign,
			monitoring},
		{"inside_scan", "a vulnerability scanner that sweeps the office", Benign, insideScan},
		{"outside_scan", "a stranger who sweeps the office's addresses", Benign, outsideScan},
		{"vpn_gateway", "a VPN gateway that translates the addresses of people at home", Benign,
			strangers("nat", 15, 40)},
		{"guest_wifi", "guests behind one address", Benign, strangers("nat", 20, 60)},
		{"hotel", "a hotel's guests behind one address, most for one night", Benign,
			strangers("nat", 40, 90)},
		{"cgnat", "a provider's subscribers, each household behind one address", Benign, cgnat},
		{"residential", "subscribers with public addresses", Benign, residential},
		{"mirror_out", "an office and a server of which the mirror shows what leaves", Benign,
			partial(traffic.Mirror{Only: "out"})},
		{"mirror_in", "the same, and the mirror shows what comes in", Benign,
			partial(traffic.Mirror{Only: "in"})},
		{"mirror_doubled", "the same, and the mirror shows each frame twice", Benign,
			partial(traffic.Mirror{Twice: true, Nano: true})},
		{"mirror_lossy", "the same, and the mirror loses one frame in thirty", Benign,
			partial(traffic.Mirror{Loss: 0.03})},
		{"mirror_short", "the same, and each frame is cut after 96 bytes", Benign,
			partial(traffic.Mirror{Snaplen: 96})},
		{"mirror_middle", "the same, and the capture begins and ends in the middle", Benign,
			partial(traffic.Mirror{From: 5 * time.Hour, To: 53 * time.Hour})},
	}
}

func copiersDirect(w *traffic.World) {
	office(w, 6, 3)
	tenant := w.Domain()
	for tenant.Provider != "m365" {
		tenant = w.Domain()
	}
	for range 3 + w.R.IntN(3) {
		h := w.Inside("copier", traffic.Pick(w, traffic.Printer, traffic.Embedded, traffic.Linux))
		w.Accept(h, "undeclared_server") // it sends directly, and should be declared
		m := &traffic.MTA{Host: h, Name: traffic.Pick(w, "KM"+w.Word(), "RNP"+w.Word(),
			w.Word()+"."+tenant.Name), Client: traffic.Device, NoTLS: w.Chance(0.3)}
		for _, d := range w.Workdays() {
			for _, at := range w.WorkTimes(d, 25) {
				mail := w.MailTo("scan@"+tenant.Name, tenant)
				mail.Bytes = 15000
				if w.Chance(0.01) {
					mail.To[0].No = w.Refusal("unknown")
				}
				w.Deliver(at, m, tenant, mail)
			}
		}
	}
	for _, x := range w.Provider("m365").MX {
		w.Truth.Config.Relays = append(w.Truth.Config.Relays, x.V4.String())
	}
}

func scannersInside(w *traffic.World) {
	hosts := office(w, 5, 3)
	m := server(w)
	list := w.Correspondents(30)
	users(w, m, hosts[:3], 4)
	inbound(w, m, list, 20)
	outbound(w, m, list, 20)
	for range 4 {
		h := w.Inside("scanner", traffic.Pick(w, traffic.Printer, traffic.Embedded))
		for _, d := range w.Workdays() {
			for _, at := range w.WorkTimes(d, 20) {
				mail := w.MailTo("scanner@"+m.Domain, &traffic.Domain{Name: m.Domain})
				k := w.Dial(at, h, m.Host, 25, false).Open()
				k.SMTP(&traffic.Session{Client: traffic.Pick(w, traffic.Device,
					traffic.OldDevice), Server: speaks(m), Name: m.Name, As: h.Name,
					Mails: []traffic.Mail{mail}})
			}
		}
	}
}

func upsNAS(w *traffic.World) {
	office(w, 6, 5)
	for i := range 4 {
		h := w.Inside("device", traffic.Pick(w, traffic.Embedded, traffic.Linux))
		a := w.Account(traffic.Pick(w, "google", "gmx", "m365", "ionos", "yahoo"))
		a.Client = traffic.Device
		if i == 0 {
			a.Auth = "fail"
		}
		w.Habit(h, []*traffic.Account{a}, 4+w.R.IntN(20))
	}
}

func factory(w *traffic.World) {
	office(w, 4, 3)
	m := server(w)
	list := w.Correspondents(20)
	outbound(w, m, list, 10)
	inbound(w, m, list, 15)
	for i := range 8 {
		h := w.Inside("plc", traffic.Embedded)
		for d := range 3 {
			for range 12 {
				at := time.Duration(d)*day + w.Between(0, day)
				mail := w.MailTo(h.Name+"@"+m.Domain, &traffic.Domain{Name: m.Domain})
				if i == 0 {
					mail.To[0].No = w.Refusal("auth")
				}
				k := w.Dial(at, h, m.Host, 25, false).Open()
				k.SMTP(&traffic.Session{Client: traffic.OldDevice, Server: speaks(m), Name: m.Name,
					As: h.Name, Mails: []traffic.Mail{mail}})
			}
		}
	}
}

func brokenDevice(w *traffic.World) {
	office(w, 8, 4)
	h := w.Inside("device", traffic.Pick(w, traffic.Embedded, traffic.Printer, traffic.Linux))
	target := w.Outside(w.Global(), 20*time.Millisecond)
	port := traffic.Pick[uint16](w, 25, 25, 587)
	wait := w.Between(3*minute, 20*minute)
	how := w.R.IntN(3)
	for at := time.Hour; at < w.Length; at += wait {
		k := w.Dial(at, h, target, port, false)
		switch how {
		case 0:
			k.Silent(-1)
		case 1:
			k.Refuse(0, nil)
		default:
			k.Unreachable(1, w.Gateway, 0)
		}
	}
}

func monitoring(w *traffic.World) {
	hosts := office(w, 6, 2)
	m := server(w)
	list := w.Correspondents(30)
	users(w, m, hosts[:3], 3)
	inbound(w, m, list, 25)
	outbound(w, m, list, 20)
	h := w.Inside("nagios", traffic.Linux)
	w.Accept(h, "scanner")
	w.Truth.Config.Server(h.V4, "probe")
	targets := []*traffic.Host{m.Host}
	for range 2 + w.R.IntN(4) {
		targets = append(targets, w.Outside(w.Global(), 20*time.Millisecond))
	}
	for at := minute; at < w.Length; at += 5 * minute {
		for _, x := range targets {
			k := w.Dial(at+w.Between(0, time.Second), h, x, 25, false)
			if w.Chance(0.005) {
				k.Silent(2)
				continue
			}
			k.Open().SMTP(&traffic.Session{Client: traffic.Library, Server: traffic.Postfix,
				Name: "mail", As: h.Name})
		}
	}
}

func insideScan(w *traffic.World) {
	office(w, 10, 2)
	h := w.Inside("scanner", traffic.Linux)
	w.Accept(h, "scanner")
	w.Truth.Config.Server(h.V4, "scanner")
	base := w.Net4.Addr().As4()
	at := w.Between(2*time.Hour, 20*time.Hour)
	m := server(w)
	for i := 1; i < 255; i++ {
		base[3] = byte(i)
		target := &traffic.Host{V4: netip.AddrFrom4(base), Stack: traffic.Linux, Inside: true,
			MAC: w.RandomMAC(), RTT: time.Millisecond}
		for _, port := range []uint16{25, 465, 587} {
			at += w.Between(5*time.Millisecond, 150*time.Millisecond)
			if target.V4 == m.Host.V4 {
				w.Dial(at, h, m.Host, port, false).Open().Reset(true, 2*time.Second)
			} else if target.V4 != h.V4 && w.Chance(0.7) {
				w.Dial(at, h, target, port, false).Refuse(0, nil)
			} else if target.V4 != h.V4 {
				w.Dial(at, h, target, port, false).Silent(1)
			}
		}
	}
}

func outsideScan(w *traffic.World) {
	w.Length = 2 * day
	w.Office(6)
	stranger := w.Outside(w.Global(), 80*time.Millisecond)
	base := w.Net4.Addr().As4()
	for range 2 {
		at := w.Between(time.Hour, 40*time.Hour)
		for i := 1; i < 255; i++ {
			base[3] = byte(i)
			target := &traffic.Host{V4: netip.AddrFrom4(base), Stack: traffic.Linux, Inside: true,
				MAC: w.RandomMAC(), RTT: time.Millisecond}
			at += w.Between(time.Millisecond, 30*time.Millisecond)
			if w.Chance(0.5) {
				w.Dial(at, stranger, target, 25, false).Refuse(0, nil)
			} else {
				w.Dial(at, stranger, target, 25, false).Silent(0)
			}
		}
	}
}

// strangers are n people behind one address, each with accounts of his own at any provider, a part
// of them at small hosters.
func strangers(role string, low, high int) func(*traffic.World) {
	return func(w *traffic.World) {
		office(w, 4, 3)
		gate := w.Inside("gateway", traffic.Linux)
		w.Truth.Config.Server(gate.V4, role)
		gate.V6 = netip.Addr{}
		hosters := w.Correspondents(6)
		for range low + w.R.IntN(high-low) {
			h := routed(w, gate, anyStack(w))
			h.NoDNS = w.Chance(0.5)
			list := accounts(w, 1+w.R.IntN(2), traffic.Phone)
			if w.Chance(0.15) {
				d := hosters[w.R.IntN(len(hosters))]
				list = []*traffic.Account{{Host: d.MX[0], Name: "mail." + d.Name,
					User: w.User() + "@" + d.Name, Port: 465, Client: traffic.Phone}}
			}
			w.Habit(h, list, 2+w.R.IntN(3))
		}
	}
}

func cgnat(w *traffic.World) {
	w.Length = 3 * day
	for range 40 {
		router := w.Inside("cpe", traffic.Linux)
		router.V4 = netip.AddrFrom4([4]byte{100, byte(64 + w.R.IntN(64)), byte(w.R.UintN(256)),
			byte(1 + w.R.IntN(254))})
		for range 1 + w.R.IntN(4) {
			h := routed(w, router, anyStack(w))
			w.Habit(h, accounts(w, 1+w.R.IntN(2), traffic.Phone), 2)
		}
	}
}

func residential(w *traffic.World) {
	w.Length = 4 * day
	a := w.Global().As4()
	net := netip.PrefixFrom(netip.AddrFrom4([4]byte{a[0], a[1], a[2], 0}), 24)
	w.Truth.Home, w.Net4 = []string{net.String()}, net
	for range 30 {
		router := w.Inside("cpe", traffic.Linux)
		router.MAC = w.Gateway.MAC
		for range 1 + w.R.IntN(3) {
			h := routed(w, router, anyStack(w))
			h.Via = traffic.MAC{2, 0, 0, 0, 0, 9}
			w.Habit(h, accounts(w, 1+w.R.IntN(2), traffic.Phone), 2)
		}
	}
}

// partial is an office with a server, seen through a mirror that does not show all.
func partial(m traffic.Mirror) func(*traffic.World) {
	return func(w *traffic.World) {
		hosts := office(w, 8, 3)
		s := server(w)
		list := w.Correspondents(40)
		users(w, s, hosts[:3], 3)
		inbound(w, s, list, 25)
		outbound(w, s, list, 30)
		w.Mirror = m
	}
}
