package finding

import (
	"net/netip"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff/refusal"
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
	Why      refusal.Reason // by the text
}

// SourceRecord is what is known of a source at a time.
type SourceRecord struct {
	Addr     netip.Addr
	MAC      [6]byte
	VLAN     []uint16
	Input    uint16
	Role     string
	Level    verdict.Level
	Score    float64
	Counters detect.Counters
	Time     int64

	Silent                                      uint32
	DestIPs, DestNets, HeloNames, SenderDomains int
	MXLookups                                   uint32
	// of the silent ones: answered, and not gone on with
	GivenUp uint32
	// Outside says that it tried port 25 of a server that is neither ours nor an allowed relay.
	Outside bool
	// Destinations are the servers with at least a tenth of the attempts, the most frequent first.
	Destinations []Destination
}

// Destination is a server that a source tries often. Name is what TLS or its greeting calls it,
// byte for byte; empty if it is not known.
type Destination struct {
	Server netip.AddrPort
	Name   string
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
