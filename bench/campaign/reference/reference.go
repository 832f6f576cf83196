// Package reference holds what people use today to find a spamming host, as tiny programs: what
// the sensor is compared with, on the same packets.
//
// Each is told what a perfect connection tracker of our own would see (tracker.go), which is more
// than most of them have; hosts that are declared to the sensor are left out for all of them,
// though most have no such list. Where a source gives a threshold and no window, the window is an
// assumption and said so.
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

// Fact is what a detector is told of a host.
type Fact struct {
	Kind Kind
	Time int64
	Src  netip.Addr // the host
	Dst  netip.Addr // the server
	Port uint16
	New  bool // Failed, Opened: the host never had an outcome of this server before
}

// Kind is the kind of a fact.
type Kind int

// The kinds.
const (
	Attempt   Kind = iota // a first SYN
	Opened                // answered
	Failed                // a reset, an ICMP error, or nothing for 5 s
	GivenUp               // nothing for 21 s: a client's system gives up
	Closed                // an opened one is over
	MailFrom              // a segment with MAIL FROM:
	Rejected              // the session's first decision is a refusal
	Delivered             // the session's first decision is a message taken
	MXQuery
)

// Detector is one way to find a host. See reports whether the fact makes it alarm.
type Detector interface {
	Name() string
	See(f *Fact) bool
}

// Anchors are all detectors, fresh.
func Anchors() []Detector {
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

// concurrent counts connections to port 25 that are there at a time, as netstat shows them or a
// router's table holds them. A half-open one counts until end.
type concurrent struct {
	name  string
	limit int
	end   Kind
	open  map[netip.Addr]int
}

func (d *concurrent) Name() string { return d.name }

func (d *concurrent) See(f *Fact) bool {
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

// window holds what happened lately.
type window struct {
	at  []int64
	who []netip.Addr
}

func (w *window) add(at, span int64, who netip.Addr) {
	i := 0
	for i < len(w.at) && w.at[i] <= at-span {
		i++
	}
	w.at, w.who = append(w.at[i:], at), append(w.who[i:], who)
}

// distinct counts different ones, up to limit.
func (w *window) distinct(limit int) int {
	seen := make(map[netip.Addr]bool, limit)
	for _, a := range w.who {
		if seen[a] = true; len(seen) >= limit {
			break
		}
	}
	return len(seen)
}

// botflex: 20 connections to port 25 in 5 minutes, or any MX query [V].
type botflex struct{ hosts map[netip.Addr]*window }

func (d *botflex) Name() string { return "BotFlex 20/5 min or MX" }

func (d *botflex) See(f *Fact) bool {
	switch {
	case f.Kind == MXQuery:
		return true
	case f.Kind != Attempt || f.Port != 25:
		return false
	}
	w := of(&d.hosts, f.Src)
	w.add(f.Time, 5*minute, f.Dst)
	if len(w.at) > 20 {
		w.at, w.who = w.at[1:], w.who[1:]
	}
	return len(w.at) >= 20
}

// servers counts different servers: ntopng's alert on more than five SMTP servers (its window is
// not given: an hour is assumed), NEMEA's more than ten within 300 s, Zeek's 25 failed ones within
// 5 minutes [V].
type servers struct {
	name       string
	limit      int
	span       int64
	submission bool // 465 and 587 too
	failed     bool
	hosts      map[netip.Addr]*window
}

func (d *servers) Name() string { return d.name }

func (d *servers) See(f *Fact) bool {
	want := Attempt
	if d.failed {
		want = Failed
	}
	if f.Kind != want || f.Port != 25 && !(d.submission && (f.Port == 465 || f.Port == 587)) {
		return false
	}
	w := of(&d.hosts, f.Src)
	for _, a := range w.who {
		if a == f.Dst && len(w.who) > 4*d.limit { // no need to keep it twice
			return false
		}
	}
	w.add(f.Time, d.span, f.Dst)
	return w.distinct(d.limit) >= d.limit
}

// et is Emerging Threats' rule 2000328 as it is meant: 10 MAIL FROM in 120 s by one host.
// Suricata's threshold begins a window with the first match and another when it is over.
type et struct {
	hosts map[netip.Addr]*struct {
		since int64
		n     int
	}
}

func (d *et) Name() string { return "ET 10 MAIL/120 s" }

func (d *et) See(f *Fact) bool {
	if f.Kind != MailFrom || f.Port != 25 {
		return false
	}
	w := of(&d.hosts, f.Src)
	if w.n == 0 || f.Time-w.since > 120*second {
		w.since, w.n = f.Time, 0
	}
	w.n++
	return w.n >= 10
}

// sprt is a sequential test (Wald): it alarms when the sum reaches ln((1-beta)/alpha), with alpha =
// beta = 0.01, and begins anew at the lower bound.
type sprt struct {
	name  string
	step  func(f *Fact) float64
	hosts map[netip.Addr]*float64
}

func (d *sprt) Name() string { return d.name }

func (d *sprt) See(f *Fact) bool {
	step := d.step(f)
	if step == 0 {
		return false
	}
	const alpha, beta = 0.01, 0.01
	sum := of(&d.hosts, f.Src)
	*sum += step
	if *sum <= math.Log(beta/(1-alpha)) {
		*sum = 0
	}
	return *sum >= math.Log((1-beta)/alpha)
}

// trw is the threshold random walk on first contacts: a clean host succeeds in 80 %, a scanner in
// 20 %.
func trw(f *Fact) float64 {
	switch {
	case !f.New:
		return 0
	case f.Kind == Failed:
		return math.Log(0.8 / 0.2)
	case f.Kind == Opened:
		return math.Log(0.2 / 0.8)
	}
	return 0
}

// spot is SPOT's test with refusals in the place of a content filter: a clean host has 20 % spam, a
// bot 90 %.
func spot(f *Fact) float64 {
	switch f.Kind {
	case Rejected:
		return math.Log(0.9 / 0.2)
	case Delivered:
		return math.Log(0.1 / 0.8)
	}
	return 0
}

func of[T any](m *map[netip.Addr]*T, a netip.Addr) *T {
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

// says reports whether a payload holds MAIL FROM: in any case of letters.
func says(payload []byte) bool {
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
