package detect

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// maxWindow is how many networks are kept apart within an hour.
const maxWindow = 32

// massWeight is the weight of Config.MassNetworks. With it a source is not counted any further.
const massWeight = 4.6

// observeManyNetworks counts different providers or networks within an hour, new or not.
// NewNetworks looks at the rate of those that the source never contacted before; this detector also
// sees a source that goes round the same list again and again. The thresholds are
// Config.ManyNetworks, with half the weight, and Config.MassNetworks. More than maxWindow are not
// kept apart: a higher count makes no difference.
func observeManyNetworks(p *Profile, c *Config, o *Observation) {
	// At the largest weight the count need not go on within the minute.
	if p.reasons[ManyNetworks].Weight >= massWeight && p.foundLately(ManyNetworks, o.Time) {
		return
	}
	if o.excused {
		return
	}
	n, _ := sketch.AddRecent(p.hour[:], o.unit, sketch.Stamp(o.Time), 3600)
	p.judgeManyNetworks(c, n, o.Time)
}

// judgeManyNetworks is for n networks within an hour.
func (p *Profile) judgeManyNetworks(c *Config, n int, now int64) {
	switch {
	case n >= c.MassNetworks:
		p.raise(ManyNetworks, now, float64(n), float64(c.MassNetworks), massWeight)
	case n >= c.ManyNetworks:
		p.raise(ManyNetworks, now, float64(n), float64(c.ManyNetworks), 2.3)
	}
}

// textManyNetworks has the number of networks or providers at any time and within an hour, r.Value.
// At the higher threshold the source is not counted any further.
func textManyNetworks(p *Profile, n *Counters, r *verdict.Reason) string {
	count, total := fmt.Sprint(int(r.Value)), p.providers.Units()
	if r.Weight >= massWeight {
		count = fmt.Sprintf("at least %d", int(r.Value))
	}
	if p.unit() == "network" {
		total = n.DestNets(p) // what the counters show
	}
	if total > int(r.Value) {
		return fmt.Sprintf("It contacted %d different mail %s, %s of them within one hour.", total,
			p.unit()+"s", count)
	}
	return fmt.Sprintf("It contacted %s different mail %s within one hour.", count, p.unit()+"s")
}
