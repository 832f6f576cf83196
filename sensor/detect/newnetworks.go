package detect

import (
	"fmt"

	"spamsensor/sensor/verdict"
)

// observeNewNetworks moves the test on the rate of new providers on (providers.Rate) when an
// attempt goes to a provider that is new for the source, or to a network whose provider is not
// known. Attempts at declared relays never come here. What is learned of a provider later may take
// back what was found: see serverNamed and accountWorks.
func observeNewNetworks(p *Profile, c *Config, o *Observation) {
	if o.newUnit {
		p.newUnit(c, o.unit, o.Time)
	}
}

// newUnit moves the test on by a provider or network that the source contacts for the first time.
func (p *Profile) newUnit(c *Config, unit uint32, now int64) {
	if p.newNetworks.Add(unit, now, c.NewNetworksThreshold) {
		p.raise(NewNetworks, now, float64(p.providers.Units()), 4, 6.9)
	}
}

// textNewNetworks has the attempts and networks of the machine since its first attempt.
func textNewNetworks(p *Profile, n *Counters, _ *verdict.Reason) string {
	return fmt.Sprintf("It made %s to connect to %s in %s; a workstation normally uses "+
		"one or two.", verdict.Plural(p.attempts(n), "attempt"), p.destinations(),
		verdict.Span(n.Last-p.since(n)))
}

// destinations is how many providers and networks the source contacted, as text.
func (p *Profile) destinations() string {
	text := verdict.Plural(p.providers.Units(), "different mail "+p.unit())
	if nets := p.nets.Len(); p.providers.Units() < nets {
		text += fmt.Sprintf(" (%s)", verdict.Plural(nets, "network"))
	}
	return text
}

// unit is what the detectors of the family Volume count, as text.
func (p *Profile) unit() string {
	if p.providers.Units() < p.nets.Len() {
		return "provider"
	}
	return "network"
}
