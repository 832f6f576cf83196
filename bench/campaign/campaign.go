// Package campaign draws networks on which some hosts send spam and the others do not, lets
// them live for hours or days, and says of every host what it was.
//
// It is the measuring instrument of the verdicts, and so it knows nothing of the detectors: no
// constant is shared, and nothing of ours is imported but what builds headers. Every
// distribution has its ground in the comment beside it, with the marks of the design:
// [M] measured on a real capture, [V] read in a named public source, [A] an assumption.
//
// Words: a scenario is a way of living, good or bad; a site is a network with one mirror port, its
// hosts drawn from several scenarios; a campaign is a row of sites. A host has marks: when it did
// what, by its own account, before anything was lost on the way to the sensor.
//
// A site is a heap of what happens next: hosts that decide, connections that play their next
// segment. So packets come in the order of time, and memory follows the connections that
// are open, not the length of the campaign. The same seed gives the same packets; a host's life
// depends on the seed, its scenario and its number alone, not on who else is there.
//
//	Sites              who lives where
//	Site.Run           packets, in order of time
//	Variant.Through    what of them reaches the sensor, and how often
//	Framer.Frame       the bytes of a frame, in any encapsulation
package campaign

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"slices"
)

// Config says what to draw. The zero value is not valid: Hosts and Days must be above zero.
type Config struct {
	Seed      uint64
	Hosts     int         // of each scenario
	Days      float64     // that clean hosts live, and bots that are slow
	Scenarios []*Scenario // nil means All
	V6        bool        // IPv6 takes the place of IPv4
	TLS       bool        // whoever can use TLS does
	SiteHosts int         // hosts on a site, that is, seen by one sensor; zero means 150
}

// Epoch is when every campaign begins: a Monday, 0:00 UTC.
const Epoch = int64(1772409600e9) // 2026-03-02

// Spans of time in nanoseconds, as everywhere in this package.
const (
	microsecond = int64(1e3)
	millisecond = int64(1e6)
	second      = int64(1e9)
	minute      = 60 * second
	hour        = 60 * minute
	day         = 24 * hour
)

// Host is one machine and the truth about it.
type Host struct {
	Addr     netip.Addr
	Others   []netip.Addr // that it takes one after the other, with the same MAC
	MAC      [6]byte
	Scenario *Scenario
	Number   int    // among the hosts of its scenario
	Role     string // what it is meant to be
	Kind     string // what was drawn: rate, port mix, names
	Declared bool   // the sensor is told that it is a mail server
	Domain   string // what a server takes mail for
	// what a right diagnosis must name, beside what the scenario expects; empty is nothing
	Says string

	// From and Until bound its life; Bad is when it first did what it must not, zero if it never
	// does.
	From, Until, Bad int64
	Marks            Marks
	Attempts         int // connections begun, good and bad
	Frames           int // that it caused

	rng     *rand.Rand
	site    *Site
	ports   uint16
	ttl     uint8
	six     bool             // has IPv6 whatever the campaign has
	nets    map[[3]byte]bool // networks of bad attempts
	servers map[netip.Addr]bool
}

// Infected reports whether the host is one that should be found.
func (h *Host) Infected() bool { return h.Scenario.Expect.Class != "" }

// Marks are the times of what a host did, each list in order and at most maxMarks long. Of
// a host that turns bad they hold only what it did since.
type Marks struct {
	Attempts []int64 // connections begun
	Nets     []int64 // the same, to a /24 it had not contacted
	Servers  []int64 // the same, to an address it had not contacted
	Sessions []int64 // handshakes completed
	Readable []int64 // sessions in which the client said something in clear
	Listed   []int64 // replies that name a blocklist
	Relayed  []int64 // messages of strangers that it took for strangers
}

// maxMarks bounds each list of Marks: whoever is not found by then is not found by a count.
const maxMarks = 4096

func mark(list *[]int64, at int64) {
	if len(*list) < maxMarks {
		*list = append(*list, at)
	}
}

// Before is how many of a list are not later than at.
func Before(list []int64, at int64) int {
	n := 0
	for n < len(list) && list[n] <= at {
		n++
	}
	return n
}

// Egress is what the site's firewall does with port 25 of hosts that are not declared.
type Egress string

// The kinds of egress.
const (
	Open  Egress = "open"
	Drop  Egress = "drop"
	Reset Egress = "reset"
	Admin Egress = "icmp" // ICMP type 3 code 13 (RFC 1812, 5.2.7.1)
)

// Site is one network.
type Site struct {
	Number int
	Egress Egress
	DNS    bool // lookups are on the mirror
	Public netip.Addr
	Hosts  []*Host

	cfg    *Config
	world  *world
	lan    netip.Addr // .0.0
	rng    *rand.Rand
	queue  queue
	now    int64
	emit   func(*Packet)
	packet Packet
	used   int // addresses given out
}

// Declared are the addresses of the mail servers that the sensor is told of.
func (s *Site) Declared() (list []netip.Addr) {
	for _, h := range s.Hosts {
		if h.Declared {
			list = append(list, h.Seen())
		}
	}
	return list
}

// LocalDomains are what the declared servers take mail for; an administrator who declares a server
// knows it.
func (s *Site) LocalDomains() (list []string) {
	for _, h := range s.Hosts {
		if h.Declared && h.Domain != "" {
			list = append(list, h.Domain)
		}
	}
	return list
}

// Lookup is the host that had an address at a time, nil if there was none.
func (s *Site) Lookup(a netip.Addr, at int64) *Host {
	var found *Host
	for _, h := range s.Hosts {
		if h.has(a) && (found == nil || at >= h.From && h.From >= found.From) {
			found = h
		}
	}
	return found
}

// Seen is the host's address as it is on the wire.
func (h *Host) Seen() netip.Addr { return h.onWire(h.Addr) }

func (h *Host) onWire(a netip.Addr) netip.Addr {
	if h.six || h.site != nil && h.site.cfg.V6 {
		return mapped(a)
	}
	return a
}

// has reports whether an address was ever the host's.
func (h *Host) has(a netip.Addr) bool {
	return h.Seen() == a || slices.ContainsFunc(h.Others, func(other netip.Addr) bool {
		return h.onWire(other) == a
	})
}

// Sites draws who lives where. Scenarios that need a closed firewall have their own sites, with
// clean hosts beside the bots.
func Sites(cfg Config) []*Site {
	if cfg.Scenarios == nil {
		cfg.Scenarios = All
	}
	if cfg.SiteHosts == 0 {
		cfg.SiteHosts = 150
	}
	w := newWorld(&cfg)
	var sites []*Site
	for _, egress := range []Egress{Open, Drop, Reset, Admin} {
		var current *Site
		var list []*Scenario
		for _, sc := range cfg.Scenarios {
			if sc.egress() == egress {
				list = append(list, sc)
			}
		}
		for n := range cfg.Hosts {
			for _, sc := range list {
				if current == nil || len(current.Hosts) >= cfg.SiteHosts {
					current = newSite(&cfg, w, len(sites), egress)
					sites = append(sites, current)
					for n := range 10 {
						// whose mail goes through, so that the firewall is not the whole truth
						if egress != Open {
							Workstation.settle(current, 1000*len(sites)+n)
						}
					}
				}
				sc.settle(current, n)
			}
		}
	}
	return sites
}

func newSite(cfg *Config, w *world, n int, egress Egress) *Site {
	s := &Site{Number: n, Egress: egress, cfg: cfg, world: w, rng: w.source("site", n),
		lan: netip.AddrFrom4([4]byte{10, byte(n), 0, 0})}
	s.DNS = s.rng.IntN(2) == 0
	s.Public = w.single(s.rng.IntN(1 << 20)).addr
	return s
}

// source is the randomness of something with a name and a number.
func (w *world) source(name string, n int) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%d", name, n)
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// newHost gives a host its address and its own randomness.
func (s *Site) newHost(sc *Scenario, n int, kind string) *Host {
	rng := s.world.source(sc.Name+"/"+kind, n)
	addr := s.address()
	b := addr.As4()
	h := &Host{Addr: addr, MAC: [6]byte{2, 0x10, b[1], b[2], b[3], 1}, Scenario: sc, Number: n,
		Role: "workstation", Kind: kind,
		From: Epoch, Until: Epoch + int64(s.cfg.Days*float64(day)), rng: rng, site: s, ttl: 128,
		ports: uint16(rng.IntN(28000)), nets: map[[3]byte]bool{}, servers: map[netip.Addr]bool{}}
	s.Hosts = append(s.Hosts, h)
	return h
}

// address is one that nobody has.
func (s *Site) address() netip.Addr {
	i := s.used
	s.used++
	b := s.lan.As4()
	b[2], b[3] = byte(1+i/200), byte(20+i%200)
	return netip.AddrFrom4(b)
}

// Run lets the site live. emit gets every packet, in order of time; it must not keep it.
// A site can be run once.
func (s *Site) Run(emit func(*Packet)) {
	s.emit = emit
	for len(s.queue.list) > 0 {
		e := &s.queue.list[0]
		s.now = e.at
		if next := e.do.step(); next != 0 {
			s.queue.later(max(next, s.now))
		} else {
			s.queue.drop()
		}
	}
}

// begin has something happen at a time.
func (s *Site) begin(at int64, t task) { s.queue.add(at, t) }

// task is something that happens in steps: step does the next and says when the one after
// it is due, zero if there is none.
type task interface{ step() (next int64) }

// life is a task that is a function.
type life func() (next int64)

func (f life) step() int64 { return f() }

// queue is a heap of tasks by time; those of one time come in the order of their coming.
type queue struct {
	list []due
	n    uint64
}

type due struct {
	at int64
	n  uint64
	do task
}

func (q *queue) less(i, j int) bool {
	a, b := &q.list[i], &q.list[j]
	return a.at < b.at || a.at == b.at && a.n < b.n
}

func (q *queue) add(at int64, t task) {
	q.n++
	q.list = append(q.list, due{at, q.n, t})
	for i := len(q.list) - 1; i > 0; {
		up := (i - 1) / 2
		if !q.less(i, up) {
			return
		}
		q.list[i], q.list[up] = q.list[up], q.list[i]
		i = up
	}
}

// later puts the first task off. The task may have added others: it still is the first, for none
// is earlier than now.
func (q *queue) later(at int64) {
	q.n++
	q.list[0].at, q.list[0].n = at, q.n
	q.sink()
}

func (q *queue) drop() {
	last := len(q.list) - 1
	q.list[0] = q.list[last]
	q.list[last] = due{}
	q.list = q.list[:last]
	q.sink()
}

func (q *queue) sink() {
	for i := 0; ; {
		least := i
		for _, c := range [2]int{2*i + 1, 2*i + 2} {
			if c < len(q.list) && q.less(c, least) {
				least = c
			}
		}
		if least == i {
			return
		}
		q.list[i], q.list[least] = q.list[least], q.list[i]
		i = least
	}
}
