//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"spamsensor/sensor/wire/wiretest"
)

const psh = wiretest.PSH | wiretest.ACK

// fromClient sends a segment of the client from sequence number seq on, answers one of the server.
func (f *flood) fromClient(src uint32, port uint16, seq uint32, text string) {
	f.send(src, server, port, 25, psh, seq, 527, text)
}

func (f *flood) answers(src uint32, port uint16, seq, ack uint32, text string) {
	f.send(server, src, 25, port, psh, seq, ack, text)
}

// memoryForm is a kind of traffic that makes the sensor keep as much state as possible.
type memoryForm struct {
	name  string
	n     int // sessions, hosts or frames of the full run
	write func(f *flood, n int)
}

const home10 = 0x0a000000

func portOf(i uint32) uint16 { return uint16(1024 + i%60000) }

func longTexts(f *flood, n int) {
	var b strings.Builder
	b.WriteString("EHLO " + strings.Repeat("h", 240) + "\r\n")
	for k := range 16 {
		fmt.Fprintf(&b, "MAIL FROM:<a@%s%d.example>\r\nRSET\r\n", strings.Repeat("d", 60), k)
	}
	b1, b2 := b.String()[:1400], b.String()[1400:]
	refusal := "550 5.7.1 " + strings.Repeat("no ", 80) + "\r\n"
	for i := range uint32(n) {
		f.open(home10+i, portOf(i))
		f.fromClient(home10+i, portOf(i), 101, b1)
		f.fromClient(home10+i, portOf(i), 1501, b2)
		for k := range uint32(4) {
			f.answers(home10+i, portOf(i), 527+k*uint32(len(refusal)), uint32(101+b.Len()), refusal)
		}
	}
}

var memoryForms = []memoryForm{
	{"an unfinished byte each way", 30_000, func(f *flood, n int) {
		for i := range uint32(n) {
			f.open(home10+i, portOf(i))
			f.answers(home10+i, portOf(i), 527, 101, "2")
			f.fromClient(home10+i, portOf(i), 101, "E")
		}
	}},
	{"unfinished long lines", 60_000, func(f *flood, n int) {
		line := strings.Repeat("x", 1100)
		for i := range uint32(n) {
			f.open(home10+i, portOf(i))
			f.answers(home10+i, portOf(i), 527, 101, "250-"+line)
			f.fromClient(home10+i, portOf(i), 101, "EHLO "+line)
		}
	}},
	{"data ahead of the 354", 30_000, func(f *flood, n int) {
		start, line := "EHLO a.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n", strings.Repeat("x", 1400)
		for i := range uint32(n) {
			f.open(home10+i, portOf(i))
			f.fromClient(home10+i, portOf(i), 101, start)
			for k := range uint32(5) {
				f.fromClient(home10+i, portOf(i), 101+uint32(len(start))+k*1400, line)
			}
		}
	}},
	{"holes", 200_000, func(f *flood, n int) {
		text := strings.Repeat("x", 250)
		for i := range uint32(n) {
			f.open(home10+i, portOf(i))
			for k := range uint32(4) {
				f.fromClient(home10+i, portOf(i), 2000+k*300, text)
			}
		}
	}},
	{"small holes, then large ones", 60_000, func(f *flood, n int) {
		for round, size := range []int{1, 1400, 1, 1400, 1, 1400} {
			text := strings.Repeat("x", size)
			for i := range uint32(n) {
				src := home10 + uint32(round)<<20 + i
				f.open(src, portOf(i))
				for k := range uint32(2) {
					f.fromClient(src, portOf(i), 2000+k*1500, text)
				}
			}
			for i := range uint32(n) {
				f.send(home10+uint32(round)<<20+i, server, portOf(i), 25, wiretest.RST, 101, 0, "")
			}
		}
	}},
	{"texts as long as they are kept", 60_000, longTexts},
	{"the same, and all end at once", 60_000, func(f *flood, n int) {
		longTexts(f, n)
		f.now += 3600e9
		for i := range uint32(10) {
			f.open(home10+0x800000+i, portOf(i))
		}
	}},
	{"bots", 40_000, func(f *flood, n int) {
		for round := range uint32(8) {
			for i := range uint32(n) {
				to := 0xc0000000 + (i*8+round)*0x10001%0x1ffffff
				f.send(home10+i, to, portOf(i+round), 25, wiretest.SYN, 100, 0, "")
				f.send(to, home10+i, 25, portOf(i+round), wiretest.SYN|wiretest.ACK, 500, 101, "")
				f.send(home10+i, to, portOf(i+round), 25, wiretest.ACK, 101, 501, "")
				hi := "220 mx.example.net ESMTP\r\n"
				f.send(to, home10+i, 25, portOf(i+round), psh, 501, 101, hi)
				text := fmt.Sprintf("EHLO h%d\r\nMAIL FROM:<a@d%d-%d.example>\r\nRCPT TO:<u@x%d.example>\r\n", round*7+i, i, round, round)
				f.send(home10+i, to, portOf(i+round), 25, psh, 101, 527, text)
				said := "250 a\r\n250 b\r\n550 5.7.1 no such user, listed by zen.spamhaus.org\r\n"
				f.send(to, home10+i, 25, portOf(i+round), psh, 527, 101+uint32(len(text)), said)
				f.send(home10+i, to, portOf(i+round), 25, wiretest.FIN|wiretest.ACK, 101+uint32(len(text)), 527+uint32(len(said)), "")
				f.send(to, home10+i, 25, portOf(i+round), wiretest.FIN|wiretest.ACK, 527+uint32(len(said)), 102+uint32(len(text)), "")
			}
		}
	}},
	{"spoofed sources", 10_000_000, func(f *flood, n int) {
		rng := rand.New(rand.NewPCG(1, 1))
		for range n {
			f.send(rng.Uint32(), server, uint16(rng.Uint32())|1024, 25, wiretest.SYN, rng.Uint32(), 0, "")
		}
	}},
	{"idle sessions", 1_000_000, func(f *flood, n int) {
		for i := range uint32(n) {
			f.open(home10+i, portOf(i))
		}
	}},
	{"half-open", 500_000, func(f *flood, n int) {
		for i := range uint32(n) {
			f.send(0x50000000+i*7, server, portOf(i), 25, wiretest.SYN, 100, 0, "")
			f.send(server, 0x50000000+i*7, 25, portOf(i), wiretest.SYN|wiretest.ACK, 500, 101, "")
		}
	}},
	{"hosts with unique names", 1000, func(f *flood, n int) {
		for round := range uint32(100) {
			for i := range uint32(n) {
				f.open(home10+i, portOf(i*100+round))
				text := fmt.Sprintf("EHLO n%d-%d.example\r\nMAIL FROM:<a@d%d-%d.example>\r\nRCPT TO:<u@x%d-%d.example>\r\n", i, round, i, round, i, round)
				f.fromClient(home10+i, portOf(i*100+round), 101, text)
				f.answers(home10+i, portOf(i*100+round), 527, 101+uint32(len(text)), "250 a\r\n250 b\r\n250 c\r\n")
				f.send(home10+i, server, portOf(i*100+round), 25, wiretest.RST, 101+uint32(len(text)), 0, "")
			}
		}
	}},
	{"600 recipients", 3000, func(f *flood, n int) {
		for i := range uint32(n) {
			f.open(home10+i, portOf(i))
			seq, ack := uint32(101), uint32(527)
			for k := range uint32(30) {
				var b strings.Builder
				if k == 0 {
					b.WriteString("EHLO x\r\nMAIL FROM:<a@b.example>\r\n")
				}
				for j := range uint32(20) {
					fmt.Fprintf(&b, "RCPT TO:<u%d@x%d-%d-%d.example>\r\n", j, i, k, j)
				}
				f.fromClient(home10+i, portOf(i), seq, b.String())
				seq += uint32(b.Len())
				said := strings.Repeat("250 ok\r\n", 20+2*int(1-min(k, 1)))
				f.answers(home10+i, portOf(i), ack, seq, said)
				ack += uint32(len(said))
			}
		}
	}},
	{"names in the DNS", 1_000_000, func(f *flood, n int) {
		for i := range uint32(n) {
			f.ask(home10+i%20_000, uint16(i), fmt.Sprintf("d%d", i), "example", "org")
		}
	}},
	{"fragments that are never complete", 1_000_000, func(f *flood, n int) {
		text := strings.Repeat("x", 220)
		f.offset = 0x2000
		for i := range uint32(n) {
			f.id = uint16(i)
			f.send(0x50000000+i, server, portOf(i), 25, wiretest.SYN, 100, 0, text)
		}
		f.id, f.offset = 0, 0
	}},
	{"mail servers", 200, func(f *flood, n int) {
		for round := range uint32(200) {
			for i := range uint32(n) {
				own := home10 + 0x100 + i
				from := 0x50000000 + round*977 + i
				hi := "220 mx.example.net ESMTP\r\n"
				f.send(from, own, portOf(round), 25, wiretest.SYN, 100, 0, "")
				f.send(own, from, 25, portOf(round), wiretest.SYN|wiretest.ACK, 500, 101, "")
				f.send(own, from, 25, portOf(round), psh, 501, 101, hi)
				text := fmt.Sprintf("EHLO n.example\r\nMAIL FROM:<a@d%d-%d.example>\r\nRCPT TO:<u%d@x%d.example>\r\n", i, round, round, i)
				f.send(from, own, portOf(round), 25, psh, 101, 527, text)
				f.send(own, from, 25, portOf(round), psh, 527, 101+uint32(len(text)), "250 a\r\n250 b\r\n250 c\r\n")
				to := 0x60000000 + round*0x10001 + i
				f.send(own, to, portOf(round), 25, wiretest.SYN, 100, 0, "")
				f.send(to, own, 25, portOf(round), wiretest.SYN|wiretest.ACK, 500, 101, "")
				f.send(to, own, 25, portOf(round), psh, 501, 101, hi)
				f.send(own, to, portOf(round), 25, psh, 101, 527, text)
				f.send(to, own, 25, portOf(round), psh, 527, 101+uint32(len(text)), "250 a\r\n250 b\r\n451 4.7.1 try later\r\n")
			}
		}
	}},
}

// TestMemoryIsBounded checks that the process stays within its limit for every kind of traffic, and
// that evicted entries are counted.
func TestMemoryIsBounded(t *testing.T) {
	limits, scale := []int64{64}, 20
	switch {
	case long():
		limits, scale = []int64{64, 128, 256, 512}, 1
	case figures():
		limits, scale = []int64{64, 128, 256, 512}, 10
	}
	for i, form := range memoryForms {
		for _, limit := range limits {
			t.Run(fmt.Sprintf("%s/%d MiB", form.name, limit), func(t *testing.T) {
				_, stats, peak := flooded(t, 1000, func(f *flood) { form.write(f, max(200, form.n/scale)) }, "--set", fmt.Sprintf("limits.memory=%dMiB", limit))
				if peak > limit<<20 {
					t.Errorf("%d MiB", peak>>20)
				}
				room := stats.number(t, "smtp.sessions_evicted") + stats.number(t, "smtp.cut_short") + stats.number(t, "tcp.sources_evicted") +
					stats.number(t, "tcp.hosts_evicted") + stats.number(t, "tcp.attempts_evicted") + stats.number(t, "flow.evicted") + stats.number(t, "tcp.frag_evicted") +
					stats.number(t, "tcp.dns_hosts_forgotten") + stats.number(t, "tcp.servers_full") + stats.number(t, "tcp.reassembly_overflows")
				if i > 0 && i < 10 && limit == 64 && room == 0 {
					t.Error("nothing had to make room: the form does not fill the tables")
				}
				t.Logf("R8: %s, 1/%d of %d: %d MiB (goal %d MiB), %.0f made room", form.name, scale, form.n, peak>>20, limit, room)
			})
		}
	}
}
