package status

import "time"

// Event is what a person is shown of a source event or a finding event; see the schema of the
// events, which has the meaning of each field.
type Event struct {
	Timestamp time.Time `json:"timestamp"`
	SrcIP     string    `json:"src_ip"`
	SrcName   string    `json:"src_name"`
	MAC       string    `json:"mac"`
	Interface string    `json:"in_iface"`
	File      string    `json:"pcap_filename"`
	VLAN      []int     `json:"vlan"`
	Source    *Source   `json:"source"`
	Finding   *Finding  `json:"finding"`
}

// Counts are the counters that a source and a finding have.
type Counts struct {
	Attempts           uint64 `json:"attempts"`
	Sessions           uint64 `json:"sessions"`
	Refused            uint64 `json:"refused"`
	Unreachable        uint64 `json:"unreachable"`
	Silent             uint64 `json:"silent"`
	Messages           uint64 `json:"messages"`
	Rejected           uint64 `json:"rejected"`
	Deferred           uint64 `json:"deferred"`
	Recipients         uint64 `json:"recipients"`
	RecipientsRejected uint64 `json:"recipients_rejected"`
	DestIPs            uint64 `json:"dest_ips"`
	DestNets           uint64 `json:"dest_nets"`
	ConcurrentMax      uint64 `json:"concurrent_max"`
	TLSSessions        uint64 `json:"tls_sessions"`
	AuthSessions       uint64 `json:"auth_sessions"`
	HeloNames          uint64 `json:"helo_names"`
	SenderDomains      uint64 `json:"sender_domains"`
	MXLookups          uint64 `json:"mx_lookups"`
}

// Source is the object source of an event.
type Source struct {
	Counts
	Role      string    `json:"role"`
	Level     string    `json:"level"`
	Score     float64   `json:"score"`
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
}

// Finding is the object finding of an event.
type Finding struct {
	ID          string    `json:"id"`
	Action      string    `json:"action"`
	Class       string    `json:"class"`
	Level       string    `json:"level"`
	Score       float64   `json:"score"`
	Severity    string    `json:"severity"`
	FirstSeen   time.Time `json:"first_seen"`
	LastSeen    time.Time `json:"last_seen"`
	Since       time.Time `json:"since"` // zero in events of earlier versions
	Counts      Counts    `json:"counts"`
	Reasons     []Reason  `json:"reasons"`
	Evidence    []string  `json:"evidence"`
	Blind       []string  `json:"blind"`
	Advice      string    `json:"advice"`
	CloseReason string    `json:"close_reason"`
	Ack         *Ack      `json:"ack"`
	Ignored     *Ignored  `json:"ignored"`
}

// began is when the first sign of the finding came, or else the first attempt of the host.
func (f *Finding) began() time.Time {
	if f.Since.IsZero() {
		return f.FirstSeen
	}
	return f.Since
}

// Ignored is the exception of the configuration that a finding falls under.
type Ignored struct {
	Why string `json:"why"`
}

// Ack says who looks after a finding.
type Ack struct {
	By  string    `json:"by"`
	Why string    `json:"why"`
	At  time.Time `json:"at"`
}

// Reason is a reason of a finding, for or against the host.
type Reason struct {
	Code      string    `json:"code"`
	Family    string    `json:"family"`
	Value     float64   `json:"value"`
	Threshold float64   `json:"threshold"`
	Weight    float64   `json:"weight"`
	Text      string    `json:"text"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
}
