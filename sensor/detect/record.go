package detect

import (
	"net/netip"

	"spamsensor/sensor/verdict"
)

// Session is the record of one mail session: evidence. Texts are what the sides sent,
// byte for byte.
type Session struct {
	Client, Server netip.AddrPort
	V6             bool
	MAC            [6]byte
	VLAN           []uint16
	Input          uint16 // number of the interface or file
	FlowID         uint64

	Start, End                 int64
	State, Reason, Seen        string
	PktsToServer, PktsToClient uint32
	ToServer, ToClient         uint64
	SYNs                       uint8
	Conflicts                  int // segments of the client that repeat bytes with others

	App, Direction, TLS, Auth, HeloCmd    string
	Banner, Helo, SNI, LastReply          string
	MailFrom                              []string
	Mails, Rcpts, RcptsRejected, Messages uint32
	Rejected, Deferred                    uint32
	LastCode                              uint16
	LastEnhanced                          [3]uint16
	Codes                                 []CodeCount
	Refusals                              []RefusalText
	Blocklist                             string
	Flags                                 []string
}

// CodeCount is how often a reply code came.
type CodeCount struct{ Code, Count uint16 }

// RefusalText is a reply that refused something.
type RefusalText struct {
	Phase    string
	Code     uint16
	Enhanced [3]uint16
	Text     string
}

// SourceRecord is what is known of a source at a time.
type SourceRecord struct {
	Addr  netip.Addr
	MAC   [6]byte
	VLAN  []uint16
	Input uint16
	Role  string
	Level verdict.Level
	Score float64
	Facts Counters
	Time  int64

	Silent                                      uint32
	DestIPs, DestNets, HeloNames, SenderDomains int
	MXLookups                                   uint32
	GivenUp                                     uint32 // of the silent ones: answered, and not gone on with
}

// Site is what was learned about our networks as a whole.
type Site struct {
	Time     int64
	PublicIP netip.Addr // none if fewer than two servers quoted one
	Servers  int        // that did
	Lists    []ListSeen
}

// ListSeen is a blocklist that receiving servers named.
type ListSeen struct {
	Name   string `json:"Name"`
	First  int64  `json:"First"`
	Last   int64  `json:"Last"`
	Count  uint32 `json:"Count"`
	Sample string `json:"Sample"`
}

// Finding is a verdict that was published.
type Finding struct {
	ID       string
	Seq      int    // counts the events of this finding, from 1
	Action   string // opened, updated, closed
	Class    verdict.Class
	Level    verdict.Level
	Severity verdict.Severity
	Score    float64
	Mode     string
	Egress   string

	Source    SourceRecord
	Time      int64 // of this event
	Decided   verdict.Decision
	DecidedIn int64 // from the first attempt to the decision

	Reasons     []ReasonText
	Evidence    []uint64 // numbers of session events
	Blind       []string
	Advice      string
	CloseReason string
	Suppressed  uint64              // session events left out
	Reopened    uint32              // how often it came back after it was closed
	CleanFor    int64               // how long it had been quiet then
	Relay       *verdict.RelayProof // of an open relay

	// Near says that the source's link-layer address is its own, as far as can be told. Then a
	// machine that was found under other addresses is known again: Incident is the first of its
	// findings, Since when that began, Also are its other addresses. They are empty for a machine
	// with one.
	Near     bool
	Incident string
	Since    int64
	Also     []netip.Addr
	// Roams is the network of which the machine takes a new address each time, with a new
	// link-layer address.
	Roams netip.Prefix
}

// ReasonText is a reason as it is told.
type ReasonText struct {
	Code   Code           `json:"Code"`
	Reason verdict.Reason `json:"Reason"`
	Text   string         `json:"Text"`
	// Server is the name of a reason about a mail server; Code says nothing then.
	Server string `json:"Server"`
}
