// Package reference holds small programs of the detectors that are in use today to find a spamming
// host. The sensor is compared with them on the same packets.
//
// Words: an observation is one fact about a connection of a host; a detector gets observations and
// alarms about a host; a suite is a perfect connection tracker (tracker.go) that passes the same
// observations to several detectors. [V] marks a threshold that was read in a named public source.
//
// The tracker sees more than most of these detectors do in practice. Hosts that are declared to the
// sensor are left out for all detectors, though most have no such list. If a source gives a
// threshold and no window, the window is an assumption, and the comment says so. The package does
// not read frames: it gets the packets of package campaign.
package reference

import (
	"bytes"
	"math"
	"net/netip"
)

const (
	second = int64(1e9)
	minute = 60 * second
)

// Observation is one fact about a host. Time is in nanoseconds since 1970.
type Observation struct {
	Kind         Kind
	Time         int64
	Src          netip.Addr // the host
	Dst          netip.Addr // the server
	Port         uint16
	FirstContact bool // of Failed and Opened: the first of this host with this server
}

// Kind is the kind of an observation.
type Kind int

// The kinds of observations.
const (
	Attempt   Kind = iota // a SYN that is no retransmission
	Opened                // a SYN-ACK of the server
	Failed                // a reset, an ICMP error, or no answer for 5 s
	GivenUp               // no answer for 21 s, after which a client's system gives up
	Closed                // the end of an opened connection
	MailFrom              // a segment with MAIL FROM:
	Rejected              // the session's first decision is a refusal
	Delivered             // the session's first decision is an accepted message
	MXQuery               // a DNS question for an MX
)

// Detector is one way to find a host. Observe reports whether an observation causes an alarm.
type Detector interface {
	Name() string
	Observe(f *Observation) bool
}

// NewDetectors returns all detectors, each in its initial state.
func NewDetectors() []Detector {
	return []Detector{
		&concurrent{name: "netstat >2", limit: 3, end: GivenUp},
		&concurrent{name: "MikroTik 10", limit: 10, end: Failed},
		&concurrent{name: "MikroTik 30", limit: 30, end: Failed},
		&botflex{},
		&servers{name: "ntopng >5", limit: 6, span: 60 * minute, submission: true},
		&servers{name: "NEMEA >10/300 s", limit: 11, span: 300 * second},
		&servers{name: "Zeek 25 failed/5 min", limit: 25, span: 5 * minute, failed: true},
		&et{},
		&sprt{name: "TRW", step: trw},
		&sprt{name: "SPOT on rejects", step: spot},
	}
}

// concurrent counts the simultaneous connections to port 25, as in the output of netstat or in the
// table of a router. A half-open connection counts until an observation of kind end.
type concurrent struct {
	name  string
	limit int
	end   Kind
	open  map[netip.Addr]int
}

func (d *concurrent) Name() string { return d.name }

func (d *concurrent) Observe(f *Observation) bool {
	if d.open == nil {
		d.open = map[netip.Addr]int{}
	}
	if f.Port != 25 {
		return false
	}
	switch f.Kind {
	case Attempt:
		d.open[f.Src]++
		return d.open[f.Src] >= d.limit
	case d.end, Closed:
		d.open[f.Src] = max(0, d.open[f.Src]-1)
	}
	return false
}

// window holds the servers of the observations of the last span of time.
type window struct {
	at      []int64
	servers []netip.Addr
}

// add adds a server and removes those that are older than span.
func (w *window) add(at, span int64, server netip.Addr) {
	i := 0
	for i < len(w.at) && w.at[i] <= at-span {
		i++
	}
	w.at, w.servers = append(w.at[i:], at), append(w.servers[i:], server)
}

// distinct counts different servers, up to limit.
func (w *window) distinct(limit int) int {
	seen := make(map[netip.Addr]bool, limit)
	for _, a := range w.servers {
		if seen[a] = true; len(seen) >= limit {
			break
		}
	}
	return len(seen)
}

// botflex alarms at 20 connections to port 25 in 5 minutes, or at any MX query [V].
type botflex struct{ hosts map[netip.Addr]*window }

func (d *botflex) Name() string { return "BotFlex 20/5 min or MX" }

func (d *botflex) Observe(f *Observation) bool {
	switch {
	case f.Kind == MXQuery:
		return true
	case f.Kind != Attempt || f.Port != 25:
		return false
	}
	w := entry(&d.hosts, f.Src)
	w.add(f.Time, 5*minute, f.Dst)
	if len(w.at) > 20 {
		w.at, w.servers = w.at[1:], w.servers[1:]
	}
	return len(w.at) >= 20
}

// servers counts different servers: ntopng alerts on more than five SMTP servers (without a window:
// one hour is an assumption), NEMEA on more than ten within 300 s, Zeek on 25 failed ones within 5
// minutes [V].
type servers struct {
	name       string
	limit      int
	span       int64
	submission bool // ports 465 and 587 as well
	failed     bool
	hosts      map[netip.Addr]*window
}

func (d *servers) Name() string { return d.name }

func (d *servers) Observe(f *Observation) bool {
	want := Attempt
	if d.failed {
		want = Failed
	}
	if f.Kind != want || f.Port != 25 && !(d.submission && (f.Port == 465 || f.Port == 587)) {
		return false
	}
	w := entry(&d.hosts, f.Src)
	for _, a := range w.servers {
		if a == f.Dst && len(w.servers) > 4*d.limit { // it is in the window
			return false
		}
	}
	w.add(f.Time, d.span, f.Dst)
	return w.distinct(d.limit) >= d.limit
}

// et is rule 2000328 of Emerging Threats as its text describes it: 10 MAIL FROM in 120 s by one
// host. Suricata's threshold begins a window with the first match, and the next with the first
// match after its end.
type et struct {
	hosts map[netip.Addr]*struct {
		since int64
		n     int
	}
}

func (d *et) Name() string { return "ET 10 MAIL/120 s" }

func (d *et) Observe(f *Observation) bool {
	if f.Kind != MailFrom || f.Port != 25 {
		return false
	}
	w := entry(&d.hosts, f.Src)
	if w.n == 0 || f.Time-w.since > 120*second {
		w.since, w.n = f.Time, 0
	}
	w.n++
	return w.n >= 10
}

// sprt is a sequential test (Wald): it alarms if the sum reaches ln((1-beta)/alpha), with alpha =
// beta = 0.01, and starts again at the lower bound.
type sprt struct {
	name  string
	step  func(f *Observation) float64
	hosts map[netip.Addr]*float64
}

func (d *sprt) Name() string { return d.name }

func (d *sprt) Observe(f *Observation) bool {
	step := d.step(f)
	if step == 0 {
		return false
	}
	const alpha, beta = 0.01, 0.01
	sum := entry(&d.hosts, f.Src)
	*sum += step
	if *sum <= math.Log(beta/(1-alpha)) {
		*sum = 0
	}
	return *sum >= math.Log((1-beta)/alpha)
}

// trw is the step of the threshold random walk on first contacts: 80 % of them succeed for a clean
// host, 20 % for a scanner.
func trw(f *Observation) float64 {
	switch {
	case !f.FirstContact:
		return 0
	case f.Kind == Failed:
		return math.Log(0.8 / 0.2)
	case f.Kind == Opened:
		return math.Log(0.2 / 0.8)
	}
	return 0
}

// spot is the step of SPOT's test, with refusals in place of a content filter: 20 % of a clean
// host's mail is spam, 90 % of a bot's.
func spot(f *Observation) float64 {
	switch f.Kind {
	case Rejected:
		return math.Log(0.9 / 0.2)
	case Delivered:
		return math.Log(0.1 / 0.8)
	}
	return 0
}

// entry returns the value of an address in a map, and makes the map and the value if necessary.
func entry[T any](m *map[netip.Addr]*T, a netip.Addr) *T {
	if *m == nil {
		*m = map[netip.Addr]*T{}
	}
	v := (*m)[a]
	if v == nil {
		v = new(T)
		(*m)[a] = v
	}
	return v
}

var mailFrom = []byte("MAIL FROM:")

// hasMailFrom reports whether a payload holds MAIL FROM: in upper or lower case.
func hasMailFrom(payload []byte) bool {
	for len(payload) >= len(mailFrom) {
		i := bytes.IndexByte(payload, ':')
		if i < 0 {
			return false
		}
		if i >= len(mailFrom)-1 && bytes.EqualFold(payload[i-len(mailFrom)+1:i+1], mailFrom) {
			return true
		}
		payload = payload[i+1:]
	}
	return false
}
