package main

import (
	"fmt"
	"math/rand/v2"

	"spamsensor/sensor/verdict"
)

// relayResult is the result of a scenario.
type relayResult struct {
	name       string
	messages   int
	level      string // the highest level of a finding of class open_relay
	detectedAt int    // number of relayed messages until a finding at likely; 0 means none
	good       bool
}

// transaction is one mail transaction with the server, and the message that the server then sends.
type transaction struct {
	client    string
	port      uint16
	auth      bool
	from      string
	rcpts     []string
	reply     string
	forwarded []string // recipients of the message that it sends
	nextHop   string
	relayed   bool // only an open relay accepts it
}

// scenario draws transactions. Without local domains the sensor has to learn them.
type scenario struct {
	name  string
	local []string
	want  verdict.Level // the least level within limit; NoLevel means that there must be no finding
	limit int           // relayed messages until want, at most
	draw  func(rnd *rand.Rand, i int) transaction
}

// localDomains are the domains of the server.
var localDomains = []string{"corp.example", "backup.example"}

// mailbox is a random mail address in a domain.
func mailbox(rnd *rand.Rand, domain string) string {
	return fmt.Sprintf("u%d@%s", rnd.IntN(300), domain)
}

// externalMailbox is a random mail address in an external domain.
func externalMailbox(rnd *rand.Rand) string {
	return mailbox(rnd, fmt.Sprintf("d%d.example.net", rnd.IntN(400)))
}

// incoming is the usual mail of a server: mail from many clients for its domain.
func incoming(rnd *rand.Rand, i int) transaction {
	return transaction{client: externalClient(rnd.IntN(5000)), port: 25, from: externalMailbox(rnd),
		rcpts: []string{mailbox(rnd, "corp.example")}, reply: "250 ok"}
}

// scenarios returns the open relay and its legitimate relatives, each with local domains and
// without.
func scenarios() []scenario {
	forward := func(rnd *rand.Rand, i int) transaction {
		s := incoming(rnd, i)
		if rnd.IntN(3) == 0 {
			s.forwarded, s.nextHop = []string{externalMailbox(rnd)}, relayTarget
		}
		return s
	}
	list := func(rnd *rand.Rand, i int) transaction {
		s := incoming(rnd, i)
		s.rcpts = []string{"list@corp.example"}
		for range 20 {
			s.forwarded = append(s.forwarded, externalMailbox(rnd))
		}
		s.nextHop = relayTarget
		return s
	}
	backup := func(rnd *rand.Rand, i int) transaction {
		s := incoming(rnd, i)
		s.rcpts = []string{mailbox(rnd, "backup.example")}
		s.forwarded, s.nextHop = s.rcpts, "198.51.100.25"
		return s
	}
	roaming := func(rnd *rand.Rand, i int) transaction {
		r := []string{externalMailbox(rnd)}
		return transaction{client: externalClient(rnd.IntN(900)), port: 587, auth: true,
			from: mailbox(rnd, "corp.example"), rcpts: r, reply: "250 ok", forwarded: r,
			nextHop: relayTarget}
	}
	// An internal server sends to this one, which sends to the provider's.
	chain := func(rnd *rand.Rand, i int) transaction {
		r := []string{externalMailbox(rnd)}
		return transaction{client: "10.0.0.26", port: 25, from: mailbox(rnd, "corp.example"),
			rcpts: r,
			reply: "250 ok", forwarded: r, nextHop: "198.51.100.40"}
	}
	closed := func(rnd *rand.Rand, i int) transaction {
		s := incoming(rnd, i)
		if i%5 == 0 {
			s.rcpts, s.reply = []string{externalMailbox(rnd)},
				[]string{"554 5.7.1 Relay access denied", "550 5.7.1 relaying denied",
					"454 4.7.1 try later", "553 not in my rcpthosts"}[rnd.IntN(4)]
		}
		return s
	}
	opened := func(rnd *rand.Rand, i int) transaction {
		if i < 500 || i%2 == 0 {
			return closed(rnd, i)
		}
		r := []string{externalMailbox(rnd)}
		return transaction{client: externalClient(7), port: 25, from: "offers@bulk.example",
			rcpts: r,
			reply: "250 ok", forwarded: r, nextHop: relayTarget, relayed: true}
	}
	var all []scenario
	for _, local := range [][]string{localDomains, nil} {
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

// relays runs all scenarios, with a message every ten to thirty minutes, so that each takes more
// than a week.
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
			n.dialogue(at, s.client, serverAddr, s.port,
				mailDialogue(s.auth, s.from, s.rcpts, s.reply, "250 queued"))
			if len(s.forwarded) > 0 {
				n.dialogue(at+3*second, serverAddr, s.nextHop, 25,
					mailDialogue(false, s.from, s.forwarded, "250 ok", "250 queued"))
			}
			for _, f := range n.findings[before:] {
				suspected = suspected || f.Level == verdict.Suspect
				if f.Level > worst {
					worst = f.Level
					if worst >= verdict.Likely && r.detectedAt == 0 {
						r.detectedAt = relayed
					}
				}
			}
			at += 10*minute + int64(rnd.Uint64N(uint64(20*minute)))
		}
		r.level = worst.String()
		if sc.want == verdict.NoLevel {
			// Without local domains a finding at suspect, with the advice to declare them, is no
			// false alarm.
			r.good = worst == verdict.NoLevel || sc.local == nil && worst == verdict.Suspect
		} else {
			r.good = worst >= sc.want && r.detectedAt >= 1 && r.detectedAt <= sc.limit
		}
		list = append(list, r)
	}
	return list
}
