package finding

import (
	"net/netip"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/verdict"
)

// Finding is a verdict that was published.
type Finding struct {
	ID     string
	Seq    int    // counts the events of this finding, from 1
	Action string // opened, updated, closed
	Class  verdict.Class
	Level  verdict.Level
	// Highest is the highest level so far, reached at HighestAt. It is above Level if the evidence
	// is too old to count.
	Highest   verdict.Level
	HighestAt int64
	Severity  verdict.Severity
	Score     float64
	Mode      string
	Egress    string

	Source    SourceRecord
	Time      int64 // of this event
	Decided   verdict.Decision
	DecidedIn int64 // from the first attempt to the decision

	Reasons     []ReasonText
	Evidence    []uint64 // numbers of session events
	Blind       []string
	Advice      string
	CloseReason string
	Ignored     *Ignored            // nil unless the configuration has the host ignored
	Periods     []Period            // when signs of it came
	Suppressed  uint64              // session events left out
	Reopened    uint32              // how often it came back after it was closed
	CleanFor    int64               // how long it had been quiet then
	Relay       *verdict.RelayProof // of an open relay
	Ack         *Ack                // nil until somebody has acknowledged the finding

	// OnLink is set if the frames come from the source itself and not from a router. Then a
	// machine that was found under other addresses is known again: Incident is the first of its
	// findings, Since when that began, Also are its other addresses. They are empty for a machine
	// with one.
	OnLink   bool
	Incident string
	Since    int64
	Also     []netip.Addr
	// RotationNetwork is the network of which the machine takes a new address each time, with a new
	// link-layer address.
	RotationNetwork netip.Prefix
}

// Ack says that somebody knows of a finding and looks after it. The finding goes on.
type Ack struct {
	By  string `json:"by"`
	Why string `json:"why"`
	At  int64  `json:"at"` // ns since 1970
}

// ReasonText is a reason with its sentence.
type ReasonText struct {
	Code   detect.Code    `json:"Code"`
	Reason verdict.Reason `json:"Reason"`
	Text   string         `json:"Text"`
	// Server is the name of a reason about a mail server; Code says nothing then.
	Server string `json:"Server"`
}

// Ignored is an exception of the configuration: the finding is for information only.
type Ignored struct {
	Why   string // the reason, in the administrator's words
	Until int64  // its end, in ns since 1970; zero for none
}
