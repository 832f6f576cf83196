package main

import (
	"fmt"
	"math/rand/v2"

	"spamsensor/sensor/verdict"
)

// relayResult is what a scenario gave.
type relayResult struct {
	name     string
	messages int
	level    string // highest level of a finding "open relay"
	at       int    // number of the relayed message at which the level was reached, 0: none
	good     bool
}

// step is one thing that happens in a scenario: who brings what to our server, and what it
// sends on.
type step struct {
	client  string
	port    uint16
	auth    bool
	from    string
	rcpts   []string
	reply   string
	onward  []string // recipients of what leaves
	to      string
	relayed bool // this is what an open relay does
}

// scenario draws steps. Without local domains the sensor has to learn them.
type scenario struct {
	name  string
	local []string
	want  verdict.Level // at the first relayed message; for others there must be none above
	limit int           // relayed messages until want
	draw  func(rnd *rand.Rand, i int) step
}

var known = []string{"corp.example", "backup.example"}

func person(rnd *rand.Rand, domain string) string {
	return fmt.Sprintf("u%d@%s", rnd.IntN(300), domain)
}

func foreign(rnd *rand.Rand) string {
	return person(rnd, fmt.Sprintf("d%d.example.net", rnd.IntN(400)))
}

// incoming is what a server gets all day: mail from many for its domain.
func incoming(rnd *rand.Rand, i int) step {
	return step{client: outsider(rnd.IntN(5000)), port: 25, from: foreign(rnd),
		rcpts: []string{person(rnd, "corp.example")}, reply: "250 ok"}
}

func scenarios() []scenario {
	forward := func(rnd *rand.Rand, i int) step {
		s := incoming(rnd, i)
		if rnd.IntN(3) == 0 {
			s.onward, s.to = []string{foreign(rnd)}, sink
		}
		return s
	}
	list := func(rnd *rand.Rand, i int) step {
		s := incoming(rnd, i)
		s.rcpts = []string{"list@corp.example"}
		for range 20 {
			s.onward = append(s.onward, foreign(rnd))
		}
		s.to = sink
		return s
	}
	backup := func(rnd *rand.Rand, i int) step {
		s := incoming(rnd, i)
		s.rcpts = []string{person(rnd, "backup.example")}
		s.onward, s.to = s.rcpts, "198.51.100.25"
		return s
	}
	roaming := func(rnd *rand.Rand, i int) step {
		r := []string{foreign(rnd)}
		return step{client: outsider(rnd.IntN(900)), port: 587, auth: true,
			from: person(rnd, "corp.example"), rcpts: r, reply: "250 ok", onward: r, to: sink}
	}
	// an internal server hands on to ours, which hands on to the provider's
	chain := func(rnd *rand.Rand, i int) step {
		r := []string{foreign(rnd)}
		return step{client: "10.0.0.26", port: 25, from: person(rnd, "corp.example"), rcpts: r,
			reply: "250 ok", onward: r, to: "198.51.100.40"}
	}
	closed := func(rnd *rand.Rand, i int) step {
		s := incoming(rnd, i)
		if i%5 == 0 {
			s.rcpts, s.reply = []string{foreign(rnd)},
				[]string{"554 5.7.1 Relay access denied", "550 5.7.1 relaying denied",
					"454 4.7.1 try later", "553 not in my rcpthosts"}[rnd.IntN(4)]
		}
		return s
	}
	opened := func(rnd *rand.Rand, i int) step {
		if i < 500 || i%2 == 0 {
			return closed(rnd, i)
		}
		r := []string{foreign(rnd)}
		return step{client: outsider(7), port: 25, from: "offers@bulk.example", rcpts: r,
			reply: "250 ok", onward: r, to: sink, relayed: true}
	}
	var all []scenario
	for _, local := range [][]string{known, nil} {
		tag, limit, want := "", 1, verdict.Likely
		if local == nil {
			tag, limit, want = ", domains not told", 10, verdict.Likely
		}
		all = append(all, scenario{"open relay" + tag, local, want, limit, opened},
			scenario{"closed" + tag, local, verdict.NoLevel, 0, closed},
			scenario{"forwarding" + tag, local, verdict.NoLevel, 0, forward},
			scenario{"mailing list" + tag, local, verdict.NoLevel, 0, list},
			scenario{"backup MX" + tag, local, verdict.NoLevel, 0, backup},
			scenario{"roaming users" + tag, local, verdict.NoLevel, 0, roaming},
			scenario{"smarthost chain" + tag, local, verdict.NoLevel, 0, chain})
	}
	return all
}

// relays plays the scenarios, a message every ten to thirty minutes, so that a week and more goes
// by.
func relays(seed uint64) (list []relayResult) {
	for i, sc := range scenarios() {
		rnd := rand.New(rand.NewPCG(seed, uint64(500+i)))
		n := newNetwork(sc.local...)
		r := relayResult{name: sc.name, messages: 800, level: verdict.NoLevel.String(), good: true}
		at, relayed, worst, suspected := monday+9*hour, 0, verdict.NoLevel, false
		for j := range r.messages {
			s := sc.draw(rnd, j)
			if s.relayed {
				relayed++
			}
			before := len(n.findings)
			n.dialogue(at, s.client, ours, s.port,
				mail(s.auth, s.from, s.rcpts, s.reply, "250 queued"))
			if len(s.onward) > 0 {
				n.dialogue(at+3*second, ours, s.to, 25,
					mail(false, s.from, s.onward, "250 ok", "250 queued"))
			}
			for _, f := range n.findings[before:] {
				suspected = suspected || f.Level == verdict.Suspect
				if f.Level > worst {
					worst = f.Level
					if worst >= verdict.Likely && r.at == 0 {
						r.at = relayed
					}
				}
			}
			at += 10*minute + int64(rnd.Uint64N(uint64(20*minute)))
		}
		r.level = worst.String()
		if sc.want == verdict.NoLevel {
			// Without domains a suspicion, with the advice to declare them, is no false alarm.
			r.good = worst == verdict.NoLevel || sc.local == nil && worst == verdict.Suspect
		} else {
			r.good = worst >= sc.want && r.at >= 1 && r.at <= sc.limit
		}
		list = append(list, r)
	}
	return list
}
