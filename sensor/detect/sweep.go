package detect

import (
	"fmt"

	"spamsensor/sensor/verdict"
)

// sweptServers is how many addresses a sweep has at least, sweptDensity how many of each network.
// Whoever sends mail, good or bad, has the addresses that the DNS or a list of servers names: one
// or a few of each network, whatever its firewall does to the attempts. Whoever looks for servers
// tries the addresses of a network one by one.
const sweptServers, sweptDensity = 20, 16

// sweepAnswered is the share of attempts that are answered in a sweep at most: one in so many. A
// monitoring system knows the servers that it looks at.
const sweepAnswered = 4

// observeSweep finds a source that looks for servers, by its destinations alone: nobody need
// answer. The order of the addresses does not matter, because scanners draw it at random.
func observeSweep(p *Profile, o *Observation) {
	if !o.newAddr || p.behaviour.MailSessions > 0 {
		return
	}
	n := p.addrs.Len()
	if n >= sweptServers && n >= sweptDensity*p.nets.Len() &&
		p.answered*sweepAnswered <= p.behaviour.Attempts {
		p.raise(Sweep, o.Time, float64(n), sweptServers, 2.3)
	}
}

// sweeps reports whether the source looks for servers and has not sent mail since.
func (p *Profile) sweeps() bool { return p.has(Sweep) && p.behaviour.MailSessions == 0 }

// textSweep has the addresses of now.
func textSweep(p *Profile, _ *Counters, _ *verdict.Reason) string {
	return fmt.Sprintf("It tried %s of %s one by one, and few answered: it looks for servers.",
		verdict.Count(uint32(p.addrs.Len()), "address", "addresses"),
		verdict.Plural(p.nets.Len(), "network"))
}
