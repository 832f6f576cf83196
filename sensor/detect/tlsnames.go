package detect

import (
	"fmt"

	"spamsensor/sensor/lookups"
	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// Domains in the TLS handshakes of a day. A person uses a handful of providers in a day, a laptop
// with eight accounts nine, and who looks after the mail of customers up to fifteen. A slow bot
// uses more, and keeps below the bounds of ten minutes and of an hour. Packets that a router has
// passed on may come from many people behind one address, whose hop limits do not always differ.
const dayNames, dayNamesRouted = 20, 28

// dayNamesWeight makes a source likely that contacts new providers all the time.
const dayNamesWeight = 4.6

// observeTLSNames counts the registered domains of server names in TLS handshakes (RFC 6066,
// section 3). They say what lookups say, and are seen where the DNS is not. Half a dozen in one
// burst count, Config.MailNames within ten minutes, or dayNames within a day.
func observeTLSNames(p *Profile, c *Config, o *Observation) {
	p.tlsServers.Add(o.Hash, o.Time)
	p.judgeServerNames(c, TLSNames, &p.tlsServers, o.Time)
	p.judgeDayNames(p.tlsDay.Add(o.Hash, o.Time), o.Time)
}

// judgeDayNames is for n domains within a day.
func (p *Profile) judgeDayNames(n int, now int64) {
	least := dayNames
	if !p.OnLink() {
		least = dayNamesRouted
	}
	if n >= least {
		p.raise(TLSNames, now, float64(n), float64(least), dayNamesWeight)
	}
}

// mergeTLSNames adds the domains of o, which came later.
func (p *Profile) mergeTLSNames(o *Profile, now int64) {
	mergeSlots(p.tlsServers[:], o.tlsServers[:], 86400)
	mergeSlots(p.tlsDay[:], o.tlsDay[:], 86400)
	p.judgeDayNames(sketch.CountRecent(p.tlsDay[:], sketch.Stamp(now), 86400), now)
}

// textTLSNames has the number of domains, r.Value.
func textTLSNames(_ *Profile, _ *Counters, r *verdict.Reason) string {
	number, span := bounded(r.Value, lookups.MaxDomains), namesSpan(r)
	if r.Weight >= dayNamesWeight {
		number, span = bounded(r.Value, lookups.MaxDayDomains), "a day"
	}
	return fmt.Sprintf("In its TLS handshakes it asked for mail servers of %s domains within %s; "+
		"a mail client has one to three accounts.", number, span)
}
