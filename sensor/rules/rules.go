// Package rules writes rules for a firewall from what a report says: port 25 of the Internet for
// the mail servers only, and no mail port at all for flagged hosts.
//
// A [Set] is what the rules say, without the syntax of a firewall. Its policy is the same for all:
//
//	from any host    to our networks             left alone
//	from a flagged   to elsewhere, mail ports    logged, dropped (quarantine)
//	from a server    to elsewhere, port 25       passes
//	from our others  to an allowed relay, 25     passes
//	from our others  to elsewhere, port 25       logged, dropped
//	all else, submission (465, 587) above all    left alone
//
// Nothing that comes in is touched. Each dialect writes a Set as a text to paste, with hosts in
// sets and not in a rule each, and begins with the same preamble: how to load and undo it, what to
// check before, and who of the captured period would have been cut.
package rules

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"spamsensor/sensor/report"
	"spamsensor/sensor/verdict"
)

// MailPorts are the ports that are closed to a host in quarantine.
var MailPorts = []uint16{25, 465, 587, 2525}

// Set is what a firewall is to do. Addresses are those of unicast hosts, never IPv4 in IPv6; lists
// of networks have no network within another one.
type Set struct {
	Version string        `json:"spamsensor"`
	Live    bool          `json:"live"`
	Period  report.Period `json:"period"`
	// Local are our networks, and the mail servers: what is sent to them is left alone.
	Local   []netip.Prefix `json:"local"`
	Servers []Server       `json:"mail_servers"`
	// Relays are servers that each of our hosts may send to.
	Relays     []netip.Prefix `json:"allowed_relays"`
	Quarantine []Flagged      `json:"quarantine"`
	Ports      []uint16       `json:"quarantine_ports"`
	// Cut are the hosts that tried port 25 of servers outside in the period, and that the rules
	// cut: those that were never flagged first, those in quarantine last.
	Cut []Cut `json:"would_have_been_cut"`
	// Unlisted are hosts that the report only counts: some of them may belong to Cut.
	Unlisted int `json:"hosts_not_listed,omitempty"`
	// UnlistedFindings and UnlistedServers are further ones that the report only counts: some of
	// their hosts may belong to Quarantine, and to Servers.
	UnlistedFindings int `json:"findings_not_listed,omitempty"`
	UnlistedServers  int `json:"mail_servers_not_listed,omitempty"`
	// HomeUnseen says that no address of the home networks was seen.
	HomeUnseen bool `json:"home_unseen,omitempty"`
	// LeftOut are addresses that no rule can have: loopback, multicast, link-local.
	LeftOut []netip.Addr `json:"left_out,omitempty"`
}

// Server is a host that may send on port 25.
type Server struct {
	IP netip.Addr `json:"ip"`
	// Declared says that the configuration names it; else it was only observed.
	Declared bool   `json:"declared"`
	Received uint64 `json:"messages_in"`
	Sent     uint64 `json:"messages_out"`
	// Finding is the title of a finding that says that it sends spam. It stays allowed.
	Finding string `json:"finding,omitempty"`
}

// Flagged is a host in quarantine.
type Flagged struct {
	IP      netip.Addr  `json:"ip"`
	Name    string      `json:"name,omitempty"`
	Finding string      `json:"finding"` // its id
	Title   string      `json:"title"`
	MAC     string      `json:"mac,omitempty"`
	Since   report.Time `json:"since"`
	// Of is the address that the finding is about, if this is another one of the machine.
	Of netip.Addr `json:"of,omitzero"`
	// NAT says that it is a gateway: all machines behind it are cut, too.
	NAT bool `json:"nat,omitempty"`
}

// Cut is a host that the rules would have cut.
type Cut struct {
	IP       netip.Addr `json:"ip"`
	Name     string     `json:"name,omitempty"`
	MAC      string     `json:"mac,omitempty"`
	Attempts uint32     `json:"attempts_port_25"`
	Sessions uint32     `json:"sessions"` // on all mail ports
	Messages uint32     `json:"messages"`
	Role     string     `json:"role"`
	// Title is that of its finding, empty if there is none. Flagged says that it is in quarantine,
	// too; Past says that it sent spam and is not, because no sign of that came for so long. Why is
	// the reason of the exception that the configuration makes for it.
	Title   string `json:"title,omitempty"`
	Flagged bool   `json:"flagged"`
	Past    bool   `json:"flagged_before,omitempty"`
	Why     string `json:"ignored_why,omitempty"`
	// Missing is the id of its finding, if a shortened report lacks that.
	Missing string `json:"finding_left_out,omitempty"`
	// Silent is how long a host that is Past was silent at the end, in ns.
	Silent time.Duration `json:"silent_ns,omitempty"`
}

// rank orders the hosts of the list.
func (c *Cut) rank() int {
	switch {
	case c.Flagged:
		return 3
	case c.Past:
		return 2
	case c.Missing != "":
		return 1
	}
	return 0
}

// New makes the rules of a report.
func New(m *report.Model) *Set {
	s := &Set{Version: m.Version, Live: m.Live, Period: m.Period, Ports: MailPorts,
		Unlisted: max(0, m.HostCount-len(m.Hosts)), Servers: []Server{}, Quarantine: []Flagged{},
		Cut: []Cut{}, HomeUnseen: !m.Input.HomeSeen, UnlistedFindings: m.MoreFindings}
	if m.LeftOut != nil {
		s.UnlistedServers = m.LeftOut.Servers
	}
	s.addQuarantine(m)
	s.addServers(m)
	s.Quarantine = slices.DeleteFunc(s.Quarantine, func(f Flagged) bool { return s.serves(f.IP) })
	s.Relays = s.networks(m.Relays)
	s.Local = s.local(m)
	s.addCut(m)
	slices.SortFunc(s.LeftOut, netip.Addr.Compare)
	s.LeftOut = slices.Compact(s.LeftOut)
	return s
}

// routed returns an address as rules have it. One that no router forwards is left out.
func (s *Set) routed(a netip.Addr) (netip.Addr, bool) {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return a, false
	}
	if a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() ||
		a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		s.LeftOut = append(s.LeftOut, a)
		return a, false
	}
	return a, true
}

// flags reports whether a finding puts its host into quarantine: the host sends spam now. Findings
// about mail servers do not: their servers keep running.
func flags(f *report.Finding, end report.Time) bool {
	switch f.CloseReason { // the others say that it ended, or has another address
	case "", "end_of_input", "shutdown":
		return spams(f) && (!f.Over || goesOn(f, end))
	case "quiet":
		return spams(f) && goesOn(f, end)
	}
	return false
}

// goesOn reports whether a bot connects to port 25 of servers outside in the last day, with or
// without a sign of spam: it does not count as clean, as package playbook has it.
func goesOn(f *report.Finding, end report.Time) bool {
	return f.Class == verdict.Spambot && f.Outside && !f.Declared() &&
		uint64(f.On(25))*2 > uint64(f.Counts.Attempts) &&
		time.Duration(end-f.Latest()) < 24*time.Hour
}

// spams reports whether a finding says that its host sends spam, or did.
func spams(f *report.Finding) bool {
	level, _ := verdict.ParseLevel(f.Level)
	return level >= verdict.Likely &&
		(f.Class == verdict.Spambot || f.Class == verdict.Scanner || f.Class == verdict.NotSMTP)
}

func (s *Set) addQuarantine(m *report.Model) {
	macs := map[netip.Addr]string{}
	for i := range m.Hosts {
		macs[m.Hosts[i].IP] = m.Hosts[i].MAC
	}
	for i := range m.Findings {
		f := &m.Findings[i]
		if !flags(f, m.Period.Last) {
			continue
		}
		s.flag(f.IP, f)
		for _, a := range f.Also {
			// Another machine may have the address by now.
			if f.OnLink && f.MAC != "" && macs[a] == f.MAC {
				s.flag(a, f)
			}
		}
	}
	slices.SortFunc(s.Quarantine, func(a, b Flagged) int { return a.IP.Compare(b.IP) })
}

// flag puts an address of the machine of a finding into quarantine.
func (s *Set) flag(a netip.Addr, f *report.Finding) {
	a, ok := s.routed(a)
	if !ok || slices.ContainsFunc(s.Quarantine, func(x Flagged) bool { return x.IP == a }) {
		return
	}
	x := Flagged{IP: a, Name: f.Name, Finding: f.ID, Title: f.Title, Since: f.First,
		NAT: f.Role == "nat"}
	if f.OnLink {
		x.MAC = f.MAC
	}
	if of := f.IP.Unmap().WithZone(""); of != a {
		x.Of = of
	}
	s.Quarantine = append(s.Quarantine, x)
}

// addServers adds the declared mail servers, seen or not, and those that were observed: hosts that
// accepted mail, or that send as a mail server does. A host that is flagged and not declared is
// none: a bot can open port 25.
func (s *Set) addServers(m *report.Model) {
	at := map[netip.Addr]*report.Server{}
	for i := range m.Servers {
		at[m.Servers[i].IP.Unmap()] = &m.Servers[i]
	}
	add := func(a netip.Addr, declared bool) {
		a, ok := s.routed(a)
		if !ok || s.serves(a) {
			return
		}
		x := Server{IP: a, Declared: declared}
		if seen := at[a]; seen != nil {
			x.Received, x.Sent = seen.Received, seen.Sent
		}
		if i := s.flagged(a); i >= 0 {
			x.Finding = s.Quarantine[i].Title
		}
		s.Servers = append(s.Servers, x)
	}
	for _, d := range m.Declared {
		if d.Role == "mailserver" || d.Role == "bulk" {
			add(d.IP, true)
		}
	}
	for i := range m.Servers {
		if x := &m.Servers[i]; x.Declared || x.Received > 0 && s.flagged(x.IP) < 0 {
			add(x.IP, x.Declared)
		}
	}
	for i := range m.Findings {
		f := &m.Findings[i]
		if f.Class == verdict.UndeclaredServer && !f.Over && s.flagged(f.IP) < 0 {
			add(f.IP, false)
		}
	}
	slices.SortStableFunc(s.Servers, func(a, b Server) int {
		if a.Declared != b.Declared {
			return map[bool]int{true: -1, false: 1}[a.Declared]
		}
		return a.IP.Compare(b.IP)
	})
}

func (s *Set) serves(a netip.Addr) bool {
	return slices.ContainsFunc(s.Servers, func(x Server) bool { return x.IP == a.Unmap() })
}

// flagged is the index of an address in the quarantine, negative if it is not there.
func (s *Set) flagged(a netip.Addr) int {
	return slices.IndexFunc(s.Quarantine, func(x Flagged) bool { return x.IP == a.Unmap() })
}

// Prefixes of hosts of ours that are in no home network: a site has at least so much.
const learned4, learned6 = 24, 64

// local are our networks: those of the configuration, those around further hosts of ours, and the
// mail servers.
func (s *Set) local(m *report.Model) []netip.Prefix {
	list := slices.Clone(m.Input.Home)
	for i := range m.Hosts {
		h := &m.Hosts[i]
		a := h.IP.Unmap().WithZone("")
		if !a.IsValid() || a.IsLinkLocalUnicast() || h.Role == "external" || s.HomeUnseen ||
			slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) }) {
			continue
		}
		bits := learned6
		if a.Is4() {
			bits = learned4
		}
		list = append(list, netip.PrefixFrom(a, bits))
	}
	for i := range s.Servers {
		list = append(list, netip.PrefixFrom(s.Servers[i].IP, s.Servers[i].IP.BitLen()))
	}
	return s.networks(list)
}

// networks sorts networks, and leaves out those within others and those that are none.
func (s *Set) networks(from []netip.Prefix) []netip.Prefix {
	list := make([]netip.Prefix, 0, len(from))
	for _, p := range from {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		if p = p.Masked(); p.IsValid() && !p.Addr().IsMulticast() {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	kept := list[:0]
	for _, p := range list {
		if n := len(kept); n == 0 || !kept[n-1].Overlaps(p) { // the wider ones come first
			kept = append(kept, p)
		}
	}
	return kept
}

// addCut adds the hosts that tried port 25 outside and are no mail servers.
func (s *Set) addCut(m *report.Model) {
	ignored := map[netip.Addr]string{}
	for i := range m.Ignored {
		if x := m.Ignored[i].Ignored; x != nil {
			ignored[m.Ignored[i].IP] = x.Why
		}
	}
	title := map[netip.Addr]string{} // of a machine, at each of its addresses
	past := map[netip.Addr]*report.Finding{}
	there := map[string]bool{} // findings, by their ids
	for i := range s.Quarantine {
		title[s.Quarantine[i].IP] = s.Quarantine[i].Title
	}
	for i := range m.Findings {
		f := &m.Findings[i]
		a := f.IP.Unmap().WithZone("")
		if title[a] == "" {
			title[a] = f.Title
		}
		if f.Over && spams(f) && (past[a] == nil || f.Latest() > past[a].Latest()) {
			past[a] = f
		}
		there[f.ID] = true
	}
	at := map[netip.Addr]int{} // a host can be in several VLANs
	for i := range m.Hosts {
		h := &m.Hosts[i]
		a := h.IP.Unmap().WithZone("")
		if !h.Outside || s.serves(a) {
			continue
		}
		if j, ok := at[a]; ok {
			s.Cut[j].Attempts += h.On(25)
			s.Cut[j].Sessions += h.Counts.Sessions
			s.Cut[j].Messages += h.Counts.Messages
			continue
		}
		at[a] = len(s.Cut)
		x := Cut{IP: a, Name: h.Name, MAC: h.MAC, Attempts: h.On(25),
			Sessions: h.Counts.Sessions, Messages: h.Counts.Messages, Role: h.Role,
			Title: title[a], Flagged: s.flagged(a) >= 0, Past: past[a] != nil, Why: ignored[h.IP]}
		if x.Past {
			x.Silent = past[a].Silent(m.Period.Last)
		}
		if !there[h.Finding] {
			x.Missing = h.Finding
		}
		s.Cut = append(s.Cut, x)
	}
	slices.SortStableFunc(s.Cut, func(a, b Cut) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), -cmp.Compare(a.Attempts, b.Attempts),
			a.IP.Compare(b.IP))
	})
}
