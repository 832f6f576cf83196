// Package status is what a sensor says of itself when it is asked: over a unix socket while it
// runs (HTTP and JSON, [Server] and [Client]), or after it has read files. [Store] keeps the latest
// event of each finding and mail server; what they hold is in the words of the schema of the
// events.
//
// The package decides nothing. Only the owner of the socket and its group may ask.
package status

import (
	"encoding/json"
	"time"
)

// DefaultSocket is where a sensor answers.
const DefaultSocket = "/run/spamsensor/control.sock"

// Status is the state of a sensor. Times are of the machine's clock, counters are cumulative since
// the start.
type Status struct {
	Version   string    `json:"version"`
	Revision  string    `json:"revision"`
	GoVersion string    `json:"go_version"`
	Libpcap   string    `json:"libpcap"`
	Sensor    string    `json:"sensor"` // its name, field host of the events
	Run       string    `json:"run"`    // id of the run, the first part of each event_id
	PID       int       `json:"pid,omitempty"`
	Started   time.Time `json:"started"`
	Now       time.Time `json:"now"`
	// LastPacket is the time of the latest packet; zero before the first.
	LastPacket time.Time `json:"last_packet,omitzero"`

	Config     Config      `json:"config"`
	Interfaces []Interface `json:"interfaces"`

	// Received frames are processed, refused, dropped or unread; see the stats event.
	Frames  uint64            `json:"frames"`
	Bytes   uint64            `json:"bytes"`
	Refused uint64            `json:"refused"`
	SYN     uint64            `json:"syn"`
	Decode  map[string]uint64 `json:"decode"` // frames by outcome
	TCP     map[string]uint64 `json:"tcp"`
	SMTP    map[string]uint64 `json:"smtp"`
	Loss    float64           `json:"loss_estimate"` // share of dialogue bytes not captured, 0 to 1
	Panics  uint64            `json:"panics"`

	Attempts uint64 `json:"attempts"`
	Sessions uint64 `json:"sessions"`
	// Sessions by the sides of which packets were seen.
	SeenBoth   uint64 `json:"seen_both"`
	SeenClient uint64 `json:"seen_client"`
	SeenServer uint64 `json:"seen_server"`

	Flows    Table  `json:"flows"`
	Hosts    Table  `json:"hosts"`    // sources that are judged
	Sources  Table  `json:"sources"`  // sources in the table
	Memory   uint64 `json:"memory"`   // of the tables in use, bytes
	MemCap   uint64 `json:"memcap"`   // of the tables, bytes
	Resident uint64 `json:"resident"` // of the process, bytes

	Findings Findings `json:"findings"`
	Output   Output   `json:"output"`
	Health   []Health `json:"health"` // what is raised
}

// Table is the use of a table. Total counts all entries so far; zero if it is not known.
type Table struct {
	Active  uint64 `json:"active"`
	Total   uint64 `json:"total,omitempty"`
	Evicted uint64 `json:"evicted"`
}

// Config is the configuration in force.
type Config struct {
	File   string    `json:"file,omitempty"`
	Loaded time.Time `json:"loaded"`
	Good   bool      `json:"good"`            // the latest attempt to load it succeeded
	Error  string    `json:"error,omitempty"` // of that attempt
}

// Settings are the configuration in force as YAML, with the origin of each setting.
type Settings struct {
	Config Config `json:"config"`
	YAML   string `json:"yaml"`
}

// Interface is an input of the sensor.
type Interface struct {
	Name    string `json:"name"`
	Method  string `json:"method,omitempty"`
	Problem string `json:"problem,omitempty"` // why it delivers no frames
	// Frames that passed the filter, and their bytes as captured.
	Frames         uint64 `json:"frames"`
	Bytes          uint64 `json:"bytes"`
	KernelDrops    uint64 `json:"kernel_drops"`
	InterfaceDrops uint64 `json:"interface_drops"`
	Errors         uint64 `json:"errors"`
	// Arrived are all frames that the interface received; zero if that is not known.
	Arrived uint64 `json:"arrived,omitempty"`
}

// Findings are counts of findings by class. Open ones are counted by level, all so far by severity
// at their opening.
type Findings struct {
	Open  map[string]map[string]int    `json:"open"`
	Total map[string]map[string]uint64 `json:"total"`
}

// Output is the state of the events' output.
type Output struct {
	File    string            `json:"file"` // - is standard output
	Events  map[string]uint64 `json:"events"`
	Written uint64            `json:"written"`
	Dropped map[string]uint64 `json:"dropped"` // by type of event
	Failing string            `json:"failing,omitempty"`
}

// Health is a check that is raised; see the health event.
type Health struct {
	Check     string    `json:"check"`
	Interface string    `json:"interface,omitempty"`
	Value     float64   `json:"value"`
	Threshold float64   `json:"threshold"`
	Since     time.Time `json:"since"`
	Text      string    `json:"text"`
	Hint      string    `json:"hint,omitempty"`
}

// Sources is an answer about hosts: source events, the worst first, and how many hosts there are.
type Sources struct {
	Sources []json.RawMessage `json:"sources"`
	Total   int               `json:"total"`
}

// FindingList is an answer about findings: the latest event of each, the worst open ones first.
type FindingList struct {
	Findings []json.RawMessage `json:"findings"`
	Total    int               `json:"total"`
	// Forgotten are findings that had to make room: closed ones, and open ones beyond 10,000.
	Forgotten uint64 `json:"forgotten,omitempty"`
}

// Servers is an answer about mail servers: the latest mail_server event of each.
type Servers struct {
	Servers []json.RawMessage `json:"servers"`
}

// Notices says whether the notices of `spamsensor notify` get through. The sensor does not know it:
// who asks reads the counters of notify.
type Notices struct {
	Running  bool            `json:"running"` // notify has written its counters lately
	Updated  time.Time       `json:"updated,omitzero"`
	Channels []NoticeChannel `json:"channels"`
	Problem  string          `json:"problem,omitempty"`
	Hint     string          `json:"hint,omitempty"`
}

// NoticeChannel are the counters of a channel since the start of notify.
type NoticeChannel struct {
	Name     string    `json:"name"`
	Sent     uint64    `json:"sent"`
	LastSent time.Time `json:"last_sent,omitzero"`
	Waiting  int       `json:"waiting"`
	Failed   uint64    `json:"failed"` // attempts
	GivenUp  uint64    `json:"given_up"`
	// FailingSince is the first failure behind the latest delivery; zero if there is none.
	FailingSince time.Time `json:"failing_since,omitzero"`
	Error        string    `json:"error,omitempty"` // the latest
}

// Explanation is what is known of a host: once for each VLAN or tunnel that it is in, a finding
// event whose action is "explained", with the reasons for and against the host. It has no reasons
// if nothing was found. There are no Hosts if no connection of the host to a mail port is known.
type Explanation struct {
	IP       string            `json:"ip"`
	Hosts    []json.RawMessage `json:"hosts"`
	Findings []json.RawMessage `json:"findings"` // of the host
	// Declared is what the configuration says of the host.
	Declared []Declaration `json:"declared"`
	Home     bool          `json:"in_home_net"` // it is in a network of ours: it is judged
	// Since and Until enclose what was seen, of all hosts.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Evicted are hosts that had to make room for others in the table.
	Evicted uint64 `json:"evicted"`
	// LeftOut says that hosts or findings were left out of what is known, a report.
	LeftOut bool `json:"left_out,omitempty"`
	// Minutes and Hours are its attempts: of the last day by minute, of the last 31 by hour.
	Minutes []Bin `json:"minutes,omitempty"`
	Hours   []Bin `json:"hours,omitempty"`
}

// Bin is a count of the minute or the hour that begins at a time.
type Bin struct {
	At time.Time `json:"at"`
	N  uint32    `json:"n"`
}

// Declaration is an entry of the configuration about a host, or about a network that it is in.
type Declaration struct {
	Key  string `json:"key"` // smtp_servers, allowed_relays or ignore
	Text string `json:"text"`
	File string `json:"file"` // or an option such as --mail-server
	Line int    `json:"line,omitempty"`
}

// Sensor answers. Each call returns what is true at the moment. It may be asked by several
// goroutines.
type Sensor interface {
	Status() *Status
	// Sources returns the worst hosts, at most most of them.
	Sources(most int) *Sources
	Findings() *FindingList
	Servers() *Servers
	// Model returns what a report of the sensor's run says: a report.Model.
	Model() any
	// Settings returns the configuration in force.
	Settings() *Settings
	// Finding returns the latest event of a finding, nil if there is none.
	Finding(id string) json.RawMessage
	// Explain returns what is known of a host.
	Explain(ip string) (*Explanation, error)
}
