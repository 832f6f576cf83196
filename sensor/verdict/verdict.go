package verdict

import (
	"fmt"
	"net/netip"
)

// Level is how sure a verdict is.
type Level uint8

// The levels.
const (
	NoLevel Level = iota
	Suspect
	Likely
	Confirmed
)

// String is the name used in events; NoLevel is "none".
func (l Level) String() string { return [...]string{"none", "suspect", "likely", "confirmed"}[l] }

// ParseLevel is the opposite of String.
func ParseLevel(s string) (Level, bool) {
	for l := NoLevel; l <= Confirmed; l++ {
		if l.String() == s {
			return l, true
		}
	}
	return NoLevel, false
}

// Severity is how soon somebody should act.
type Severity uint8

// The severities.
const (
	Info Severity = iota
	Low
	Medium
	High
	Critical
)

// String is the name used in events.
func (s Severity) String() string {
	return [...]string{"info", "low", "medium", "high",
		"critical"}[s]
}

// ParseSeverity is the opposite of String.
func ParseSeverity(name string) (Severity, bool) {
	for s := Info; s <= Critical; s++ {
		if s.String() == name {
			return s, true
		}
	}
	return Info, false
}

// Class is what a finding says.
type Class uint8

// The classes.
const (
	Spambot          Class = iota // it sends spam, or tries to
	DirectSMTP                    // an undeclared host sends mail directly to the Internet
	UndeclaredServer              // an undeclared host that sends as a mail server does
	Scanner                       // it looks for mail servers, and has nothing to deliver
	NotSMTP                       // it uses a mail port for something else
	OnBlocklist                   // receiving servers say that our mail server is on a blocklist
	// Of mail servers that are watched.
	OpenRelay       // it passes on mail for strangers
	HijackedAccount // somebody else uses an account of it
	VolumeAnomaly   // it sends more or less than usual, or its queue grows
	Backscatter     // it returns mail to forged senders
	Classes
)

// String is the name used in events.
func (c Class) String() string {
	return [...]string{"spambot", "direct_smtp", "undeclared_server", "scanner", "not_smtp",
		"blocklisted", "open_relay", "hijacked_account", "volume_anomaly",
		"backscatter"}[c]
}

// Reason is the result of one detector. First and Last are when the detector found it first and
// last, in nanoseconds since 1970; Weight is the natural logarithm of a likelihood ratio.
type Reason struct {
	First     int64   `json:"First"`
	Last      int64   `json:"Last"`
	Value     float64 `json:"Value"`
	Threshold float64 `json:"Threshold"`
	Weight    float64 `json:"Weight"`
}

// Decision is when a verdict was reached: the time, and the number of attempts until then.
type Decision struct {
	At       int64  `json:"At"`
	Attempts uint32 `json:"Attempts"`
}

// Verdict is a judgement. A verdict about a host is the sum of its detectors' reasons: Score, and
// the number of Families of detectors that speak against the host; the reasons are in the host's
// profile. A verdict about a mail server has one reason, in the fields behind Families.
type Verdict struct {
	Class    Class
	Level    Level
	Score    float64
	Families int
	// Aged says that evidence was too old to count: a lower level than before then withdraws
	// nothing. Without it, other evidence speaks against the host.
	Aged bool

	Time             int64
	Code             string // name of the reason
	Value, Threshold float64
	Text             string
	Relay            *RelayProof // of an open relay
	Client           netip.Addr  // its sessions are evidence, if it is valid
	To               netip.Addr  // the sessions of the server with it at Time are evidence, too
}

// RelayProof is the session that proves an open relay.
type RelayProof struct {
	Client netip.Addr `json:"Client"`
	// address: the event shows of it what is configured, a checkpoint nothing
	MailFrom   string `json:"-"`
	RcptDomain string `json:"RcptDomain"`
	ReplyCode  uint16 `json:"ReplyCode"`
}

// MarshalText writes the name of the class. Checkpoints name classes, because their numbers change
// between versions.
func (c Class) MarshalText() ([]byte, error) {
	if c >= Classes {
		return nil, fmt.Errorf("there is no class %d", c)
	}
	return []byte(c.String()), nil
}

// UnmarshalText is the opposite of MarshalText.
func (c *Class) UnmarshalText(name []byte) error {
	for *c = 0; *c < Classes; *c++ {
		if c.String() == string(name) {
			return nil
		}
	}
	return fmt.Errorf("there is no class %q", name)
}
