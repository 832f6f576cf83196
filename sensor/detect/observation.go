package detect

import (
	"spamsensor/sensor/behaviour"
	"spamsensor/sensor/lookups"
	"spamsensor/sensor/providers"
	"spamsensor/sensor/sketch"
	"spamsensor/smtpsniff/refusal"
)

// Kind is what an observation is about. The comment names the fields of Observation that count
// beside Kind and Time.
type Kind uint8

// The kinds.
const (
	KindSYN            Kind = iota // a first SYN: Addr, Net, Port, TTL, External, Relay
	KindRetransmit                 // its SYN again: Addr, Net, Hash (its sequence number), After
	KindSYNACK                     // Addr, Net, Port
	KindRefused                    // a RST for a SYN: Addr, Net, Port
	KindUnreachable                // an ICMP error for a SYN: Addr, Net, Port
	KindEstablished                // a completed handshake: Addr, Net, Port, OneSided
	KindBothSides                  // the second side of a session of which one was seen: Net
	KindHalfOpen                   // a server answered, and the client never completed
	KindClientSpoke                // the client sent something without a HELO name
	KindGreeted                    // the server said something; once in a session
	KindAttested                   // the server answered the client; once in a session
	KindHelo                       // a HELO name: Text, Hash, Port, External, Relay
	KindSender                     // the domain of a sender: Hash, External
	KindRecipient                  // the domain of a recipient: Hash, External, Returned
	KindRecipientReply             // the reply to a recipient: Unknown, Returned
	KindDecided                    // a transaction: Refused and what is below it; Revoked; OneSided
	KindDeferred                   // a server asked the client to come back later: Addr
	KindRelayDenied                // a server does not relay for the client, or wants a login: Addr
	KindListed                     // a refusal names a blocklist: Listing, Addr
	KindConflict                   // other bytes in the same place; once in a session
	KindSessionEnd                 // Silent, Mail, Accepted, Callout
	KindDialect                    // a session on port 25 with an external server: Oddities
	KindTLSName                    // a server name in TLS: Hash of its registered domain
	KindLookups                    // the DNS queries of the source changed: Lookups
	KindNamed                      // the name of a server: Net, Hash of its domain, Origin
	KindAccount                    // a server for submission lets the source in: Net
	KindServed                     // the source accepted mail: Hash of the external client
	KindHanded                     // mail of strangers to a server of ours: Text, Reach, Certain
	KindTaken                      // the source accepted a message, from whomever
)

// Observation is one fact about a source. Hashes are keyed, so that nobody can choose what
// collides. Zero is right for each field that the kind does not use.
type Observation struct {
	Kind     Kind
	TTL      uint8  // of the SYN, as captured; zero if it is not known
	Port     uint16 // of the server
	Addr     uint32 // hash of the server's address
	Net      uint32 // hash of the server's network: /24, or /48; in KindDecided, of its provider
	Hash     uint32 // see the kinds; in KindDecided, of the domain of the list that is named
	Time     int64  // nanoseconds since 1970, of the packet
	After    int64  // nanoseconds since the SYN was sent first
	Text     []byte // borrowed: valid until Observe returns
	Listing  *Listing
	Lookups  *lookups.Log // kept by the profile
	Oddities Oddity
	About    About
	Origin   providers.Origin
	External bool // the server is none of ours
	Relay    bool // the server is a declared relay
	OneSided bool // only one side of the connection was seen so far
	Refused  bool // the transaction was refused; else a message was accepted
	Listed   bool // the refusal is because of a blocklist
	Later    bool // with the request to come back later
	NewFrom  bool // the domain of the sender was new with this transaction
	Revoked  bool // accepted, and had counted as refused
	Unknown  bool // the server does not know the recipient
	Returned bool // the mail has the null sender
	Silent   bool // the client had nothing to deliver
	Mail     bool // the client named a sender
	Accepted bool // the server accepted a recipient
	Callout  bool // after that the client began no message
	Own      bool // the server is ours, and judged as if it were not: see package handover
	Certain  bool // the domains are known not to be ours
	Reach    int  // domains of recipients

	// Profile.detect sets these for the detectors.
	newAddr  bool   // the profile had no such address
	newNet   bool   // the profile had no such network
	newUnit  bool   // the profile had no such provider, and no such network
	excused  bool   // the unit is one of the source's mail accounts
	unit     uint32 // the provider of Net if it is known, else Net; see providers.Ledger
	fresh    bool   // the name or domain is new for the profile
	newInDay bool   // the HELO name is new within the day
	inDay    uint8  // HELO names within a day, maxNames at most; zero if this one does not count
}

// direct reports whether the client speaks to an external server as mail servers do.
func (o *Observation) direct() bool { return o.External && !o.Relay && o.Port == 25 }

// About is what a refusal is about.
type About uint8

// The subjects of a refusal.
const (
	AboutClient    About = iota // the client or its address, or what all its mails have in common
	AboutRecipient              // the recipient does not exist
	AboutContent                // the message
)

// Listing is a refusal that names a blocklist. The profile copies the texts that it keeps.
type Listing struct {
	List string
	Text string // of the refusal
	Why  refusal.Reason
}

// Observe gives an observation to the detectors that look at its kind. n are the counters of the
// source, which must hold the observation already, see Counters.Observe; only KindSYN needs them.
// fresh reports whether a HELO name or the domain of a sender is new.
func (p *Profile) Observe(c *Config, n *Counters, o *Observation) (fresh bool) {
	p.detect(c, n, o)
	return o.fresh
}

// recordSYN keeps an attempt. Attempts at a declared relay are not judged: mail is meant to go
// there.
func (p *Profile) recordSYN(o *Observation) (judged bool) {
	// Declared relays are counted as destinations too, and by behaviour.
	o.newAddr = p.addrs.Add(o.Addr, p.Budget)
	// A known address is in a known network.
	o.newNet = (o.newAddr || p.addrs.Estimated()) && p.nets.Add(o.Net, p.Budget)
	if o.newNet && o.Port != 25 {
		sketch.Increment(&p.submitNets)
	}
	if o.External {
		sketch.Increment(&p.external)
	}
	p.behaviour.Attempted(behaviour.Attempt{Time: o.Time, Addr: o.Addr, Port: o.Port, TTL: o.TTL,
		External: o.External}, p.addrs.Len() <= probeTargets)
	if o.Relay {
		return false
	}
	p.recordUnit(o)
	if at := p.ports.Of(o.Port); at != nil {
		sketch.Increment(&at.Attempts)
	}
	return true
}

// recordRetransmit keeps a SYN that was sent again, if a TCP has done so that waits: Linux sends a
// SYN again after 1 s, 2 s, 4 s, Windows after 3 s, or half a second after a RST.
func (p *Profile) recordRetransmit(o *Observation) (waits bool) {
	if o.After < second*4/10 || o.After > 10*second {
		return false
	}
	sketch.Increment(&p.retransmitted)
	p.confirmServer(o.Addr, o.Net, o.Hash)
	return true
}

// recordAnswer keeps a SYN-ACK.
func (p *Profile) recordAnswer(o *Observation) {
	sketch.Increment(&p.answered)
	if at := p.ports.Of(o.Port); at != nil {
		sketch.Increment(&at.Answered)
	}
}

// recordError keeps an error that answers a SYN.
func (p *Profile) recordError(o *Observation) {
	at := p.ports.Of(o.Port)
	switch {
	case at == nil:
	case o.Kind == KindUnreachable:
		sketch.Increment(&at.Unreachable)
	default:
		sketch.Increment(&at.Refused)
	}
}

// recordEstablished keeps a completed handshake.
func (p *Profile) recordEstablished(o *Observation) {
	sketch.Increment(&p.sessions)
	p.changed = p.changed || p.sessions == 1 // see notSpoofed
	if o.OneSided {
		p.confirmOneSided(o.Net)
	} else {
		p.bothSides(o.Net)
	}
	if at := p.ports.Of(o.Port); at != nil {
		sketch.Increment(&at.Opened)
	}
}

// bothSides counts a session of which both sides were seen.
func (p *Profile) bothSides(net uint32) {
	sketch.Increment(&p.twoSided)
	p.ConfirmNetwork(net)
	p.changed = p.changed || p.twoSided == 1 // see notSpoofed
}
