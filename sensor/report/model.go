package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/verdict"
)

// Model is what a report says: the one source of its text, its HTML, its JSON and its table, and of
// the page of a running sensor. Sentences are English; times are those of the packets; texts from
// the wire are safe to print, and no more: whoever puts them into HTML escapes them.
//
// Within one version of the program only additions: `read --json` prints it.
type Model struct {
	Version string `json:"spamsensor"` // version of the program
	Sensor  string `json:"sensor,omitempty"`
	// Live says that a sensor is running: Period ends now.
	Live   bool   `json:"live"`
	Period Period `json:"period"`
	// Only is the part that the report is about; nil is all.
	Only     *Restriction `json:"only,omitempty"`
	Headline Headline     `json:"headline"`
	Findings []Finding    `json:"findings"` // that stand, the worst first
	// MoreFindings are only counted.
	MoreFindings int         `json:"more_findings,omitempty"`
	Ignored      []Finding   `json:"ignored,omitempty"` // by the configuration
	Withdrawn    []Withdrawn `json:"withdrawn,omitempty"`
	Servers      []Server    `json:"mail_servers"` // those that send most first
	Hosts        []Host      `json:"hosts"`        // of ours, or judged; worst first
	// Declared are the hosts with a role of the configuration, seen or not. Relays are the servers
	// that our hosts may send to.
	Declared []Declared     `json:"declared"`
	Relays   []netip.Prefix `json:"allowed_relays,omitempty"`
	// HostCount are all of them. Hosts has MaxHosts at most.
	HostCount int      `json:"host_count"`
	Activity  Activity `json:"activity"`
	Replies   []Reply  `json:"replies"`
	Site      Site     `json:"site"`
	Limits    Limits   `json:"limits"`
	Health    []Health `json:"health,omitempty"`

	// Sessions are the mail sessions of the shown hosts, by their start, if they were asked for.
	// MoreSessions are only counted.
	Sessions     []MailSession `json:"sessions,omitempty"`
	MoreSessions uint64        `json:"more_sessions,omitempty"`
	Hints        []string      `json:"hints,omitempty"` // for the next run
	// Unused are entries of the configuration without effect.
	Unused []string `json:"unused,omitempty"`
	Input  Input    `json:"input"`
	// LeftOut is what a model lacks that was shortened to fit into an HTML report.
	LeftOut *LeftOut `json:"left_out,omitempty"`
}

// MaxHosts bounds the hosts of a Model.
const MaxHosts = 5000

// SeveralInputs reports whether there are several files, or hosts were seen on several interfaces:
// then it is worth saying where a host was seen.
func (m *Model) SeveralInputs() bool {
	if len(m.Input.Names) > 1 {
		return true
	}
	first := ""
	for i := range m.Hosts {
		first = cmp.Or(first, m.Hosts[i].Input)
		if m.Hosts[i].Input != first {
			return true
		}
	}
	for i := range m.Findings {
		first = cmp.Or(first, m.Findings[i].Input)
		if m.Findings[i].Input != first {
			return true
		}
	}
	return false
}

// Time is a time in nanoseconds since 1970; zero is none. In JSON it is RFC 3339 in UTC.
type Time int64

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	if t == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(t.In(time.UTC).Format("2006-01-02T15:04:05.000000000Z07:00"))
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(text []byte) error {
	*t = 0
	if string(text) == "null" {
		return nil
	}
	var at time.Time
	if err := json.Unmarshal(text, &at); err != nil {
		return fmt.Errorf("a time of the model: %w", err)
	}
	*t = Time(frame.ReadTime(at.UnixNano()))
	return nil
}

// In is the time in a time zone.
func (t Time) In(zone *time.Location) time.Time {
	return time.Unix(0, frame.ShownTime(int64(t))).In(zone)
}

// Period is the time of the packets.
type Period struct {
	First Time `json:"first"`
	Last  Time `json:"last"`
}

// Alarm is how the headline stands out.
type Alarm string

// The alarms, the worst first.
const (
	Red    Alarm = "red"    // a host sends spam, or a mail server is abused
	Yellow Alarm = "yellow" // somebody should look
	Green  Alarm = "green"  // nothing was found
	Grey   Alarm = "grey"   // nothing could be judged
)

// Word is an alarm in words.
func (a Alarm) Word() string {
	switch a {
	case Red:
		return "Alarm"
	case Yellow:
		return "Warning"
	case Green:
		return "No alarm"
	}
	return "Not judged"
}

// Headline is the verdict in a sentence.
type Headline struct {
	Alarm    Alarm  `json:"alarm"`
	Sentence string `json:"sentence"`
	// More are further sentences: about mail servers, hosts that are not judged, and so on.
	More []string `json:"more,omitempty"`
}

// Counts are what a host did.
type Counts struct {
	Attempts           uint32 `json:"attempts"`
	Sessions           uint32 `json:"sessions"`
	Refused            uint32 `json:"refused"`
	Unreachable        uint32 `json:"unreachable"`
	Silent             uint32 `json:"silent"`   // attempts without an answer
	GivenUp            uint32 `json:"given_up"` // of these, answered, and not gone on with
	Messages           uint32 `json:"messages"`
	Rejected           uint32 `json:"rejected"`
	Deferred           uint32 `json:"deferred"`
	Recipients         uint32 `json:"recipients"`
	RecipientsRejected uint32 `json:"recipients_rejected"`
	TLSSessions        uint32 `json:"tls_sessions"`
	AuthSessions       uint32 `json:"auth_sessions"`
	ConcurrentMax      uint32 `json:"concurrent_max"`
	MXLookups          uint32 `json:"mx_lookups"`
	DestIPs            int    `json:"dest_ips"`
	DestNets           int    `json:"dest_nets"`
	HeloNames          int    `json:"helo_names"`
	SenderDomains      int    `json:"sender_domains"`
}

// Refusals is how many replies refused or deferred something that a host asked for: a connection, a
// sender, a recipient, or a message. The events of its sessions have the same sum.
func (c *Counts) Refusals() uint64 {
	return uint64(c.Rejected) + uint64(c.Deferred) + uint64(c.RecipientsRejected)
}

// Failed is how many attempts of a host led to no session.
func (c *Counts) Failed() uint64 {
	return uint64(c.Silent) + uint64(c.Refused) + uint64(c.Unreachable)
}

// Declared is a host with a role of the configuration: mailserver, bulk, nat, scanner, probe.
type Declared struct {
	IP   netip.Addr `json:"ip"`
	Name string     `json:"name,omitempty"` // that the configuration gives it
	Role string     `json:"role"`
}

// Host is a host that opened a connection to a mail port.
type Host struct {
	IP    netip.Addr `json:"ip"`
	Name  string     `json:"name,omitempty"` // that the configuration gives it
	Role  string     `json:"role"`
	Level string     `json:"level"` // none, suspect, likely, confirmed
	Score float64    `json:"score"`
	// MAC is its link-layer address, or a router's; empty if it is not known.
	MAC          string        `json:"mac,omitempty"`
	VLAN         []uint16      `json:"vlan,omitempty"` // the outer first
	Input        string        `json:"input"`          // interface or file
	First        Time          `json:"first_seen"`
	Last         Time          `json:"last_seen"`
	Counts       Counts        `json:"counts"`
	Destinations []Destination `json:"destinations,omitempty"`
	Finding      string        `json:"finding,omitempty"` // id of its worst one
	// Hours are its attempts by hour; only of hosts with a finding.
	Hours []Hour `json:"hours,omitempty"`
	// Ports are its attempts by port, of the first four ports.
	Ports []Port `json:"ports,omitempty"`
	// Outside says that it tried port 25 of a server that is neither ours nor an allowed relay.
	Outside bool `json:"outside,omitempty"`
}

// Hidden reports whether all sessions of the host are encrypted, so that what servers accepted and
// refused is not known.
func (h *Host) Hidden() bool {
	c := &h.Counts
	return c.Sessions > 0 && c.TLSSessions >= c.Sessions && c.Messages == 0 && c.Refusals() == 0
}

// Called is its address, with its name if it has one.
func (h *Host) Called() string { return called(h.IP, h.Name) }

// Declared reports whether the configuration names the host as a mail server.
func (h *Host) Declared() bool { return h.Role == "mailserver" }

// Port is a count of a port.
type Port struct {
	Port uint16 `json:"port"`
	N    uint32 `json:"n"`
}

// On is how many attempts of the host went to a port.
func (h *Host) On(port uint16) uint32 {
	for _, p := range h.Ports {
		if p.Port == port {
			return p.N
		}
	}
	return 0
}

// Hour is a count in an hour.
type Hour struct {
	At Time   `json:"at"`
	N  uint32 `json:"n"`
}

// Destination is a server that a host tries often. Name is what TLS or its greeting calls it; empty
// if it is not known.
type Destination struct {
	Server netip.AddrPort `json:"server"`
	Name   string         `json:"name,omitempty"`
}

// Finding is a finding with what a person needs to act.
type Finding struct {
	Host
	ID       string        `json:"id"`
	Class    verdict.Class `json:"class"`
	Title    string        `json:"title"`    // what it is, in a few words
	What     string        `json:"what"`     // what the host does: a sentence without its subject
	Severity string        `json:"severity"` // the worst so far
	Open     bool          `json:"open"`
	// Over says that there was no sign of it in the last day.
	Over bool `json:"over"`
	// OnLink says that MAC is the host's own, and not a router's.
	OnLink   bool     `json:"on_link"`
	Decided  Decision `json:"decided"`
	LastSign Time     `json:"last_sign"`
	Mode     string   `json:"mode"`   // syn, flow, clear: what the decision rests on
	Egress   string   `json:"egress"` // open, drop, reset, icmp, unknown
	Reasons  []Reason `json:"reasons"`
	// ReasonsAt is the time of Reasons, Blind and Advice: that of the latest event, or now.
	ReasonsAt Time `json:"reasons_at"`
	// Proof are sessions. Events are the numbers of session events that the finding rests on.
	Proof       []Session `json:"proof,omitempty"`
	Events      []uint64  `json:"events,omitempty"`
	Blind       []string  `json:"blind,omitempty"` // what the verdict could not rest on
	Advice      string    `json:"advice"`
	SameMachine string    `json:"same_machine,omitempty"` // its other addresses
	Periods     []Period  `json:"periods,omitempty"`      // when signs of it came
	Reopened    uint32    `json:"reopened,omitempty"`
	CleanFor    int64     `json:"clean_for_ns,omitempty"` // how long it had been quiet then
	CloseReason string    `json:"close_reason,omitempty"`
	Time        Time      `json:"time"`  // of its latest event
	Story       []Step    `json:"story"` // what became of it
	Ack         *Ack      `json:"ack,omitempty"`
	Ignored     *Ignored  `json:"ignored,omitempty"`
	// Also are the addresses that SameMachine names.
	Also []netip.Addr `json:"also,omitempty"`
}

// FirstSign is when the first sign of a finding came, if that is at least an hour after the first
// attempt of the host; zero if it is not.
func (f *Finding) FirstSign() Time {
	if len(f.Periods) == 0 || f.First == 0 || int64(f.Periods[0].First-f.First) < hour {
		return 0
	}
	return f.Periods[0].First
}

// Since is when the first sign of a finding came, or what is known of it; zero if nothing is.
func (f *Finding) Since() Time {
	if len(f.Periods) > 0 {
		return f.Periods[0].First
	}
	return cmp.Or(f.First, f.Decided.At)
}

// Latest is when the host of a finding did something last: its last attempt, or the last sign.
// A mail server goes on with its work; of a finding about it the signs alone count.
func (f *Finding) Latest() Time {
	if f.Class >= verdict.OpenRelay {
		return f.LastSign
	}
	return max(f.Last, f.LastSign)
}

// lost reports whether nobody knows what the host of a finding did after its latest event: it had
// to make room in the table of hosts, or another machine has its address.
func (f *Finding) lost() bool {
	return f.CloseReason == finding.Evicted || f.CloseReason == finding.MACChanged
}

// Silent is how long the host of a finding has been quiet at the end of the input; zero if it went
// on to the end, or that is not known.
func (f *Finding) Silent(end Time) time.Duration {
	d := time.Duration(end - f.Latest())
	if f.Latest() == 0 || int64(d) < stillActive {
		return 0
	}
	return d
}

// Decision is when a verdict was reached, and after how many attempts.
type Decision struct {
	At       Time   `json:"at"`
	Attempts uint32 `json:"attempts"`
}

// Reason is a reason for a finding, or against it if Weight is negative.
type Reason struct {
	Code      string  `json:"code"`
	Family    string  `json:"family,omitempty"`
	Value     float64 `json:"value"`
	Threshold float64 `json:"threshold"`
	Weight    float64 `json:"weight"` // natural logarithm of a likelihood ratio
	Text      string  `json:"text"`
	First     Time    `json:"first"`
	Last      Time    `json:"last"`
}

// Step is an event of a finding.
type Step struct {
	At       Time   `json:"at"`
	Action   string `json:"action"` // opened, updated, closed, acknowledged
	Level    string `json:"level"`
	Attempts uint32 `json:"attempts"`
}

// Ack says that somebody looks after a finding.
type Ack struct {
	By  string `json:"by"`
	Why string `json:"why"`
	At  Time   `json:"at"`
}

// Ignored is the exception of the configuration that a finding falls under. Until is its end.
type Ignored struct {
	Why   string `json:"why"`
	Until Time   `json:"until"`
}

// Session is a mail session: proof. Texts of servers are as they were sent, but safe to print.
type Session struct {
	Number   uint64         `json:"event,omitempty"` // of its event, zero if it has none
	Start    Time           `json:"start"`
	Client   netip.Addr     `json:"client"`
	Server   netip.AddrPort `json:"server"`
	Helo     string         `json:"helo,omitempty"`
	MailFrom []string       `json:"mail_from,omitempty"`
	Messages uint32         `json:"messages"` // accepted
	TLS      string         `json:"tls"`
	// Kind is what a session of a proof proves: accepted, deferred, refused, spam (refused as
	// such), blocklist (refused because of one), named (senders alone); empty if its dialogue is
	// not known.
	Kind string `json:"kind,omitempty"`
	// Code, Phase and Reply are the refusal that says most, in the table of sessions the first
	// one; Code is zero if there was none.
	Code  uint16 `json:"code,omitempty"`
	Phase string `json:"phase,omitempty"`
	Reply string `json:"reply,omitempty"`
}

// Withdrawn is a finding that other evidence has withdrawn.
type Withdrawn struct {
	IP    netip.Addr `json:"ip"`
	Title string     `json:"title"`
	Until Time       `json:"until"`
	Why   string     `json:"why"`
}

// Server is a mail server of ours that is watched.
type Server struct {
	IP       netip.Addr `json:"ip"`
	Name     string     `json:"name,omitempty"` // that the configuration gives it
	Declared bool       `json:"declared"`
	First    Time       `json:"first_seen"`
	// Sent are all messages that it sent, Counted those since it is known as a mail server.
	Sent       uint64 `json:"messages_out"`
	Counted    uint64 `json:"messages_out_counted"`
	Received   uint64 `json:"messages_in"`
	Recipients uint64 `json:"recipients_out"`
	Sessions   uint64 `json:"sessions_out"`
	// Encrypted are those of Sessions whose messages could not be counted.
	Encrypted  uint64   `json:"sessions_out_encrypted"`
	Bytes      uint64   `json:"bytes_out"`
	Failed     uint64   `json:"failed_out"`
	Deferred   uint64   `json:"deferred_out"`
	Bounces    uint64   `json:"bounces_out"`
	AuthOK     uint64   `json:"auth_ok"` // sessions of clients outside
	AuthFailed uint64   `json:"auth_failed"`
	FailedAt   []Cause  `json:"failed_at,omitempty"`  // by the phase of the dialogue
	FailedWhy  []Cause  `json:"failed_why,omitempty"` // by what the replies say
	Queue      Queue    `json:"queue"`
	Outage     *Outage  `json:"outage,omitempty"`
	Relay      Relay    `json:"relay"`
	Port25     []string `json:"port25_clients,omitempty"` // hosts of ours that submit on port 25
	// Backscatter says that many of its messages are bounces to forged senders.
	Backscatter bool `json:"backscatter"`
	// Usual are the messages of a usual hour, if they are known.
	Usual *float64     `json:"usual_per_hour,omitempty"`
	Hours []ServerHour `json:"hours,omitempty"`
	// Finding is the id of the worst finding about it.
	Finding string `json:"finding,omitempty"`
}

// Called is its address, with its name if it has one.
func (s *Server) Called() string { return called(s.IP, s.Name) }

// Hidden reports whether so many sessions of a server are encrypted that its messages do not say
// whether it sends as usual.
func (s *Server) Hidden() bool { return s.Encrypted*2 > s.Sessions }

// unusual is how many standard deviations from the usual number an hour is unusual.
const unusual = 3

// Well reports whether what was seen of a server is enough to say that nothing was wrong with it.
func (s *Server) Well() bool {
	return !s.Hidden() && s.Finding == "" && s.Usual != nil && s.Outage == nil && !s.Backscatter &&
		s.Relay.Relayed == 0 && s.Queue.Listed == 0 && !s.muchRefused() && !s.isUnusual()
}

// Cause is a count with its name.
type Cause struct {
	Name string `json:"name"`
	N    uint64 `json:"n"`
}

// Queue is the estimated queue of a mail server.
type Queue struct {
	Estimate     int   `json:"estimate"`
	Destinations int   `json:"destinations"`
	Oldest       int64 `json:"oldest_ns"`
	Listed       int   `json:"blocklisted"`
	LowerBound   bool  `json:"lower_bound"`
}

// Outage is a time in which most deliveries of a mail server failed. To is zero while it lasts.
type Outage struct {
	From   Time `json:"from"`
	To     Time `json:"to"`
	Waited int  `json:"waited"`
}

// Relay is the result of the passive test for an open relay.
type Relay struct {
	Relayed    uint64 `json:"relayed"`
	Denied     uint64 `json:"denied"`
	DeniedLast Time   `json:"denied_last"`
	Strangers  uint64 `json:"stranger_networks"`
	// Known says that local domains are configured, without which the test has no result.
	Known bool `json:"known"`
}

// ServerHour are the messages of a server in an hour, and the usual number with its deviation if
// they are known.
type ServerHour struct {
	At    Time    `json:"at"`
	N     float64 `json:"n"`
	Known bool    `json:"known"`
	Usual float64 `json:"usual"`
	Z     float64 `json:"z"` // how many standard deviations N lies above Usual
}

// Activity are attempts over time: by minute in the last day, by hour in the last 31.
type Activity struct {
	Minutes Stack `json:"minutes"`
	Hours   Stack `json:"hours"`
}

// Stack are attempts over time by the kind of the host. Each list has a count for each interval,
// the first of which begins at Start. Width is the interval in seconds. Rest are hosts with one
// attempt that are not in Model.Hosts, and those beyond the bound of hosts that are counted one by
// one.
type Stack struct {
	Start   Time     `json:"start"`
	Width   int      `json:"width_s"`
	Servers []uint32 `json:"servers"` // declared as mail servers
	Flagged []uint32 `json:"flagged"` // with a finding that is more than information
	Others  []uint32 `json:"others"`
	Rest    []uint32 `json:"rest,omitempty"`
	// Outside are hosts of other networks, as those that bring mail to a server of ours. They are
	// in none of the other lists.
	Outside []uint32 `json:"outside,omitempty"`
}

// Reply is what servers replied to a kind of host: servers, flagged, or others.
type Reply struct {
	Group    string `json:"group"`
	Hosts    int    `json:"hosts"`
	Accepted uint64 `json:"accepted"` // messages
	Deferred uint64 `json:"deferred"` // with a 4xx reply
	Rejected uint64 `json:"rejected"` // with a 5xx reply
	// Recipients are recipients that were refused.
	Recipients uint64 `json:"recipients_rejected"`
}

// Site is what was learned about the internal networks as a whole.
type Site struct {
	PublicIP string `json:"public_ip,omitempty"`
	Quoted   int    `json:"quoted_by,omitempty"` // servers that quoted it
	// Others are further addresses that servers quoted to hosts with a finding.
	Others     []string    `json:"other_public_ips,omitempty"`
	Blocklists []Blocklist `json:"blocklists,omitempty"`
}

// Blocklist is a blocklist that receiving servers named.
type Blocklist struct {
	Name   string `json:"name"`
	First  Time   `json:"first"`
	Last   Time   `json:"last"`
	Count  uint32 `json:"count"`
	Sample string `json:"sample"`
}

// Limits are what could not be judged.
type Limits struct {
	Encrypted  uint64 `json:"encrypted_sessions"` // of hosts of ours without a finding
	SeenClient uint64 `json:"seen_client_only"`
	SeenServer uint64 `json:"seen_server_only"`
	Gaps       uint64 `json:"gaps"`
	Midstream  uint64 `json:"midstream"`
}

// Health is a condition of the sensor itself.
type Health struct {
	Check string `json:"check,omitempty"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
	Since Time   `json:"since"`
}
