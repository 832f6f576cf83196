package detect

import (
	"fmt"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// fewDenials is how many servers within a day must have refused to relay, or wanted a login. A
// client that knows its server never gets such a reply from two.
const fewDenials = 2

// observeRelayDenials counts servers within a day that refused because they do not know the client.
// A bot tries servers of others as open relays, or with wrong passwords. A client that knows its
// server is never refused so by two.
func observeRelayDenials(p *Profile, o *Observation) {
	// Four servers are kept apart: the second one decides.
	n, _ := sketch.AddRecent(p.relayDenied[:], o.Addr, sketch.Stamp(o.Time), 86400)
	p.judgeRelayDenials(n, o.Time)
}

// judgeRelayDenials is for n servers within a day.
func (p *Profile) judgeRelayDenials(n int, now int64) {
	if n >= fewDenials {
		p.raise(RelayDenials, now, float64(n), fewDenials, 4.6)
	}
}

// textRelayDenials has the number of servers, r.Value, as far as they are kept apart.
func textRelayDenials(p *Profile, _ *Counters, r *verdict.Reason) string {
	return fmt.Sprintf("%s servers refused to relay for it or asked for a login; a client that "+
		"uses its own server hears that from one at most, so it tries foreign servers.",
		leading(r.Value, len(p.relayDenied)))
}
