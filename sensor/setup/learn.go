// Package setup makes the first configuration of a sensor from what it has heard: the home networks
// and the mail servers that were seen, each with the evidence for it. It decides nothing that a
// person cannot check: what rests on a guess is a comment in the configuration.
package setup

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// maxHosts bounds the hosts that a Learner keeps.
const maxHosts = 100_000

// Learner learns from the sessions and findings of an engine. The zero value has learned nothing.
// One goroutine at a time calls its methods.
type Learner struct {
	hosts    map[netip.Addr]*host
	sessions int
	// Left counts sessions of hosts beyond maxHosts.
	Left int
}

// host is what was seen of a host of ours.
type host struct {
	clients  map[netip.Addr]bool // external ones that it took mail from, at most maxClients
	accepted uint32              // messages that it took
	// encrypted counts sessions that turned into TLS in which more was sent than a handshake.
	encrypted uint32
	greeting  string        // its latest, up to the first blank: its name
	sent      uint32        // messages that it sent
	accused   verdict.Level // of an open finding that calls it a spammer
}

// handshakeBytes is more than a client sends for EHLO, STARTTLS, the handshake of TLS and QUIT.
const handshakeBytes = 1500

// maxClients bounds the clients that are counted for a server.
const maxClients = 1000

// Session takes in a session. It is an engine.Output function, and counts the sessions.
func (l *Learner) Session(s *finding.Session) uint64 {
	l.sessions++
	if s.Direction != "inbound" {
		if s.Direction == "outbound" || s.Direction == "internal" {
			if h := l.host(s.Client.Addr()); h != nil {
				h.sent += s.Messages
			}
		}
		if s.Direction != "internal" {
			return uint64(l.sessions)
		}
	}
	if s.App != "smtp" {
		return uint64(l.sessions)
	}
	h := l.host(s.Server.Addr())
	if h == nil {
		return uint64(l.sessions)
	}
	if name, ok := greetingName(s.Banner); ok {
		h.greeting = name
	}
	h.accepted += s.Messages
	encrypted := s.TLS != "none" && s.ToServer > handshakeBytes
	if encrypted {
		h.encrypted++
	}
	if (s.Messages > 0 || encrypted) && s.Direction == "inbound" && len(h.clients) < maxClients {
		h.clients[s.Client.Addr()] = true
	}
	return uint64(l.sessions)
}

// Finding takes in an event of a finding.
func (l *Learner) Finding(f *finding.Finding) {
	if f.Class != verdict.Spambot {
		return
	}
	if h := l.host(f.Source.Addr); h != nil {
		h.accused = f.Level
		if finding.Over(f.Action, f.CloseReason) {
			h.accused = verdict.NoLevel
		}
	}
}

// host returns a host, nil if there are too many.
func (l *Learner) host(a netip.Addr) *host {
	if h := l.hosts[a]; h != nil {
		return h
	}
	if len(l.hosts) >= maxHosts {
		l.Left++
		return nil
	}
	if l.hosts == nil {
		l.hosts = map[netip.Addr]*host{}
	}
	h := &host{clients: map[netip.Addr]bool{}}
	l.hosts[a] = h
	return h
}

// greetingName is the name in a greeting (RFC 5321, section 4.2: 220, a blank, the domain).
func greetingName(banner string) (string, bool) {
	text, ok := strings.CutPrefix(banner, "220 ")
	if !ok {
		text = banner // the code is not part of the kept text
	}
	name, _, _ := strings.Cut(text, " ")
	name = strings.ToLower(strings.TrimRight(name, "."))
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return "", false
		}
	}
	return name, strings.Contains(name, ".") && len(name) <= 253
}

// MailServer is a host of ours that takes mail for others.
type MailServer struct {
	Addr     netip.Addr
	Name     string // from its greeting, empty if that has none
	Accepted uint32 // messages that it took
	// Encrypted are sessions in TLS, whose messages nobody can count.
	Encrypted uint32
	Clients   int    // external hosts that brought them
	Sent      uint32 // messages that it sent
	// Accused is the level of an open finding that calls it a spammer. It is not declared then: a
	// person must look first.
	Accused verdict.Level
}

// Facts are what was learned.
type Facts struct {
	Interface string
	Why       string // why this interface
	Heard     time.Duration
	Sessions  int
	Home      []Network
	Servers   []MailServer
}

// Network is a network of ours with the hosts that were seen in it.
type Network struct {
	Prefix netip.Prefix
	Hosts  int
	Why    string // "seen", or that the capturing machine is in it
}

// Facts returns what was learned, given the private and other networks that may be ours.
func (l *Learner) Facts(networks []netip.Prefix) Facts {
	f := Facts{Sessions: l.sessions}
	counts := make([]int, len(networks))
	for a := range l.hosts {
		if i := narrowest(networks, a); i >= 0 {
			counts[i]++
		}
	}
	for i, p := range networks {
		f.Home = append(f.Home, Network{Prefix: p, Hosts: counts[i]})
	}
	for a, h := range l.hosts {
		// A host that serves takes mail from outside, or from hosts of ours with a name of its own.
		// Sessions in TLS are as good if several hosts hold them: mail is not all that they can be.
		if h.accepted == 0 && (h.encrypted < 2 || len(h.clients) < 2) ||
			len(h.clients) == 0 && h.greeting == "" {
			continue
		}
		f.Servers = append(f.Servers, MailServer{Addr: a, Name: h.greeting, Accepted: h.accepted,
			Encrypted: h.encrypted, Clients: len(h.clients), Sent: h.sent, Accused: h.accused})
	}
	slices.SortFunc(f.Servers, func(a, b MailServer) int {
		return cmp.Or(cmp.Compare(b.Accepted+b.Encrypted, a.Accepted+a.Encrypted),
			a.Addr.Compare(b.Addr))
	})
	return f
}

// narrowest is the index of the narrowest network that has an address, -1 if none has.
func narrowest(networks []netip.Prefix, a netip.Addr) int {
	best := -1
	for i, p := range networks {
		if p.Contains(a) && (best < 0 || p.Bits() > networks[best].Bits()) {
			best = i
		}
	}
	return best
}
