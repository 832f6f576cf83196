// Package campaign simulates networks on which some hosts send spam and the others do not. It runs
// their hosts for hours or days, emits every packet, and records the truth about each host.
//
// It is the instrument that measures the verdicts. Therefore it does not depend on the detectors:
// it shares no constant with them, and of the project it imports only the package that builds
// headers. The comment beside each distribution names its source, with the marks of the design: [M]
// measured on a real capture, [V] read in a named public source, [A] an assumption.
//
// Words: a scenario is a way in which a host behaves, good or bad; a site is a network with one
// mirror port, its hosts drawn from several scenarios; a campaign is a list of sites. The marks of
// a host are the times of its acts by its own account, before packets are lost on their way to the
// sensor. The server of a session is a destination, drawn from the world that all sites share. A
// variant is a way in which the sensor sees the packets of a site.
//
// A site is a heap of tasks by time: hosts that decide, connections that send their next segment.
// So packets come in the order of time, and memory grows with the open connections, not with the
// length of the campaign. The same seed gives the same packets. The behaviour of a host depends on
// the seed, its scenario and its number alone, not on the other hosts.
//
//	Sites              draws the hosts of each site
//	Site.Run           emits packets, in order of time
//	Variant.Filter     drops or repeats packets on their way to the sensor
//	Framer.Frame       makes the bytes of a frame, in any encapsulation
//
// It does not simulate TCP: no window, no congestion, and only SYNs are retransmitted. It does
// not simulate mail filters, and the text of its messages has no meaning.
package campaign

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"slices"
)

// Config is the size of a campaign. The zero value is not valid: Hosts and Days must be above zero.
type Config struct {
	Seed      uint64
	Hosts     int         // of each scenario
	Days      float64     // life of clean hosts, and of slow bots
	Scenarios []*Scenario // nil means All
	V6        bool        // IPv6 instead of IPv4
	TLS       bool        // each session uses TLS where it can
	SiteHosts int         // hosts of a site, which one sensor sees; zero means 150
}

// Epoch is the begin of every campaign in nanoseconds since 1970: a Monday, 0:00 UTC.
const Epoch = int64(1772409600e9) // 2026-03-02

// Durations in nanoseconds. All times and durations of this package are in nanoseconds.
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
	Others   []netip.Addr // further addresses, used one after the other with the same MAC
	MAC      [6]byte
	Scenario *Scenario
	Number   int    // among the hosts of its scenario
	Role     string // workstation, mta, nat, printer, ...
	Kind     string // the draw in words: rate, port mix, names
	Declared bool   // the sensor's configuration declares it as a mail server
	Domain   string // the domain of a server's own mail
	// MustName is a text that a right diagnosis must contain, beside the scenario's expectation.
	MustName string

	// From and Until bound its life. Bad is the time of its first bad act, zero if there is none.
	From, Until, Bad int64
	Marks            Marks
	Attempts         int // connections that it began, good and bad
	Frames           int // frames of all its connections, in both directions

	rng      *rand.Rand
	site     *Site
	lastPort uint16
	ttl      uint8
	ipv6     bool         // uses IPv6 in every campaign
	nat64    netip.Prefix // under which it reaches IPv4 servers by IPv6; zero for none
	// families says of a host with IPv4 and IPv6 whether it reaches a server by IPv6. Nil is a host
	// with one family.
	families   func(to netip.AddrPort) bool
	badNets    map[[3]byte]bool // the /24 of bad attempts
	badServers map[netip.Addr]bool
}

// Infected reports whether a finding is expected about the host.
func (h *Host) Infected() bool { return h.Scenario.Expect.Class != "" }

// Marks are the times of a host's acts, each list in order and at most maxMarks long. For a host
// that becomes bad the lists begin with its first bad act.
type Marks struct {
	Attempts []int64 // connections that it began
	Nets     []int64 // connections to a new /24
	Servers  []int64 // connections to a new address
	Sessions []int64 // completed handshakes
	Readable []int64 // sessions with a command of the client in clear
	Listed   []int64 // replies that name a blocklist
	Relayed  []int64 // accepted messages of external senders for external recipients
}

// maxMarks bounds each list of Marks. A host that is not found after so many acts is not found by a
// count.
const maxMarks = 4096

// mark adds a time to a list of Marks.
func mark(list *[]int64, at int64) {
	if len(*list) < maxMarks {
		*list = append(*list, at)
	}
}

// Before is the number of times in a list that are not later than at.
func Before(list []int64, at int64) int {
	n := 0
	for n < len(list) && list[n] <= at {
		n++
	}
	return n
}

// Egress is the action of the site's firewall on connections to port 25 of undeclared hosts.
type Egress string

// The actions of the firewall.
const (
	Open  Egress = "open"
	Drop  Egress = "drop"
	Reset Egress = "reset"
	Admin Egress = "icmp" // ICMP type 3 code 13 (RFC 1812, 5.2.7.1)
)

// Site is one network with one mirror port.
type Site struct {
	Number int
	Egress Egress
	DNS    bool       // the mirror port sees DNS lookups
	Public netip.Addr // the address of the site on the Internet
	Hosts  []*Host

	cfg           *Config
	world         *world
	lan           netip.Addr // internal network, a /16
	rng           *rand.Rand
	queue         queue
	now           int64
	emit          func(*Packet)
	packet        Packet
	addressesUsed int // number of addresses in use
}

// Declared are the addresses of the mail servers in the sensor's configuration.
func (s *Site) Declared() (list []netip.Addr) {
	for _, h := range s.Hosts {
		if h.Declared {
			list = append(list, h.WireAddr())
		}
	}
	return list
}

// LocalDomains are the domains of the declared servers, which an administrator knows.
func (s *Site) LocalDomains() (list []string) {
	for _, h := range s.Hosts {
		if h.Declared && h.Domain != "" {
			list = append(list, h.Domain)
		}
	}
	return list
}

// HostAt is the host that had an address at a time, nil if no host ever has it.
func (s *Site) HostAt(a netip.Addr, at int64) *Host {
	var found *Host
	for _, h := range s.Hosts {
		if h.has(a) && (found == nil || at >= h.From && h.From >= found.From) {
			found = h
		}
	}
	return found
}

// WireAddr is the host's address in packets, which may be its IPv6 address (see mapped).
func (h *Host) WireAddr() netip.Addr { return h.wireAddr(h.Addr) }

// wireAddr is an IPv4 address of the host as it is in packets.
func (h *Host) wireAddr(a netip.Addr) netip.Addr {
	if h.ipv6 || h.site != nil && h.site.cfg.V6 {
		return mapped(a)
	}
	return a
}

// has reports whether an address ever belongs to the host.
func (h *Host) has(a netip.Addr) bool {
	if h.WireAddr() == a || h.families != nil && mapped(h.Addr) == a {
		return true
	}
	return slices.ContainsFunc(h.Others, func(other netip.Addr) bool {
		return h.wireAddr(other) == a
	})
}

// Sites draws the sites of a campaign and their hosts. Scenarios that need a closed firewall have
// their own sites, with clean hosts beside the bots.
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
						if egress != Open { // clean hosts whose mail gets through the firewall
							Workstation.addTo(current, 1000*len(sites)+n)
						}
					}
				}
				sc.addTo(current, n)
			}
		}
	}
	return sites
}

// newSite adds a site without hosts. The mirror port of every second site sees DNS lookups.
func newSite(cfg *Config, w *world, n int, egress Egress) *Site {
	s := &Site{Number: n, Egress: egress, cfg: cfg, world: w, rng: w.rand("site", n),
		lan: netip.AddrFrom4([4]byte{10, byte(n), 0, 0})}
	s.DNS = s.rng.IntN(2) == 0
	s.Public = w.singleServer(s.rng.IntN(1 << 20)).addr
	return s
}

// rand is the random source of an object with a name and a number.
func (w *world) rand(name string, n int) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%d", name, n)
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// newHost adds a host with an address and a random source of its own.
func (s *Site) newHost(sc *Scenario, n int, kind string) *Host {
	rng := s.world.rand(sc.Name+"/"+kind, n)
	addr := s.freeAddress()
	b := addr.As4()
	h := &Host{Addr: addr, MAC: [6]byte{2, 0x10, b[1], b[2], b[3], 1}, Scenario: sc, Number: n,
		Role: "workstation", Kind: kind,
		From: Epoch, Until: Epoch + int64(s.cfg.Days*float64(day)), rng: rng, site: s, ttl: 128,
		lastPort: uint16(rng.IntN(28000)), badNets: map[[3]byte]bool{},
		badServers: map[netip.Addr]bool{}}
	s.Hosts = append(s.Hosts, h)
	return h
}

// freeAddress is an address that no host has.
func (s *Site) freeAddress() netip.Addr {
	i := s.addressesUsed
	s.addressesUsed++
	b := s.lan.As4()
	b[2], b[3] = byte(1+i/200), byte(20+i%200)
	return netip.AddrFrom4(b)
}

// Run runs the site. emit gets every packet, in order of time; the packet and its payload are valid
// until emit returns. A site can be run once.
func (s *Site) Run(emit func(*Packet)) {
	s.emit = emit
	for len(s.queue.list) > 0 {
		e := &s.queue.list[0]
		s.now = e.at
		if next := e.task.step(); next != 0 {
			s.queue.postpone(max(next, s.now))
		} else {
			s.queue.removeFirst()
		}
	}
}

// begin adds a task that is due at a time.
func (s *Site) begin(at int64, t task) { s.queue.add(at, t) }

// task is a list of steps. step takes the next one and returns the time at which the one after it
// is due, zero if there is none.
type task interface{ step() (next int64) }

// taskFunc is a function as a task.
type taskFunc func() (next int64)

func (f taskFunc) step() int64 { return f() }

// queue is a heap of tasks by time. Tasks of the same time come in the order of their insertion.
type queue struct {
	list   []dueTask
	serial uint64
}

type dueTask struct {
	at     int64
	serial uint64
	task   task
}

func (q *queue) less(i, j int) bool {
	a, b := &q.list[i], &q.list[j]
	return a.at < b.at || a.at == b.at && a.serial < b.serial
}

func (q *queue) add(at int64, t task) {
	q.serial++
	q.list = append(q.list, dueTask{at, q.serial, t})
	for i := len(q.list) - 1; i > 0; {
		up := (i - 1) / 2
		if !q.less(i, up) {
			return
		}
		q.list[i], q.list[up] = q.list[up], q.list[i]
		i = up
	}
}

// postpone moves the first task to a later time. The task may have added others: it still is the
// first, because no other is earlier than now.
func (q *queue) postpone(at int64) {
	q.serial++
	q.list[0].at, q.list[0].serial = at, q.serial
	q.siftDown()
}

func (q *queue) removeFirst() {
	last := len(q.list) - 1
	q.list[0] = q.list[last]
	q.list[last] = dueTask{}
	q.list = q.list[:last]
	q.siftDown()
}

func (q *queue) siftDown() {
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
