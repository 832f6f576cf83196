package doctor

import (
	"fmt"
	"slices"

	"spamsensor/sensor/lang"
)

// Level is how much a line limits the sensor.
type Level uint8

// The levels, the best first.
const (
	// Good is a check that found nothing to mend.
	Good Level = iota
	// Note is a fact that the operator should know; it takes nothing from the sensor.
	Note
	// Limits is a fault that takes a part of what the sensor could see.
	Limits
	// Blind is a fault with which the sensor cannot do its work.
	Blind
)

var levelNames = [...]string{"good", "note", "limits", "blind"}

// String is the name of the level in JSON.
func (l Level) String() string { return levelNames[l] }

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Level) UnmarshalText(b []byte) error {
	i := slices.Index(levelNames[:], string(b))
	if i < 0 {
		return fmt.Errorf("%q is no level of a check", b)
	}
	*l = Level(i)
	return nil
}

// Verdict is the judgement of the whole mirror.
type Verdict string

// The verdicts. The worst line decides: Blind makes VerdictBlind, Limits makes VerdictUsable.
const (
	VerdictGood   Verdict = "good"
	VerdictUsable Verdict = "usable"
	VerdictBlind  Verdict = "blind"
)

// Line is the result of one check.
type Line struct {
	Check    string `json:"check"` // a stable name
	Level    Level  `json:"level"`
	What     string `json:"what"`         // one sentence
	Measured string `json:"measured"`     // how it was measured: the figure
	Do       string `json:"do,omitempty"` // what to do; empty if there is nothing to do
	// Commands are commands for this machine, to be pasted.
	Commands []string `json:"commands,omitempty"`

	remedy remedy // what the mirror needs
}

// SwitchHelp are the lines that mend the worst fault on the switch that was recognised.
type SwitchHelp struct {
	System string   `json:"system"` // the operating system of the switch
	Check  string   `json:"check"`  // the fault that the lines mend
	Lines  []string `json:"lines"`
	Title  string   `json:"manual_title"`
	URL    string   `json:"manual_url"`
}

// Report is the result of an examination. Its texts are safe to print.
type Report struct {
	Verdict   Verdict     `json:"verdict"`
	Summary   string      `json:"summary"` // one sentence
	Input     string      `json:"input"`
	Kind      Kind        `json:"kind"`
	Frames    uint64      `json:"frames"`
	Bytes     uint64      `json:"bytes"`     // on the wire
	Seconds   float64     `json:"seconds"`   // from the first frame to the last; live: of listening
	Lines     []Line      `json:"lines"`     // the worst first
	Neighbors []Neighbor  `json:"neighbors"` // devices that named themselves
	Switch    *SwitchHelp `json:"switch,omitempty"`
	Counts    Counts      `json:"counts"`

	inputError error
}

// InputError is the error of the source that ended the examination, nil if there was none.
func (r *Report) InputError() error { return r.inputError }

// Counts are the figures that the lines rest on.
type Counts struct {
	Decoded     map[string]uint64 `json:"decoded"`    // frames by the outcome of decoding
	Ethertypes  map[string]uint64 `json:"ethertypes"` // frames by what is behind the VLAN tags
	VLANs       map[string]uint64 `json:"vlans"`      // frames by their tags, outer.inner
	Tunnels     map[string]uint64 `json:"tunnels"`    // frames by tunnel that the sensor opens
	Hidden      map[string]uint64 `json:"hidden"`     // frames by tunnel that nobody can open
	MailPorts   map[string]uint64 `json:"mail_ports"` // connections by mail port
	Unicast     uint64            `json:"unicast"`    // frames to one station
	Foreign     uint64            `json:"foreign"`    // unicast frames of other stations only
	Connections uint64            `json:"connections"`
	OneWay      uint64            `json:"one_way"` // connections of which one side was seen
	BothWays    uint64            `json:"both_ways"`
	Duplicates  uint64            `json:"duplicates"`
	Comparable  uint64            `json:"comparable"` // frames that were looked at for duplicates
	Truncated   uint64            `json:"truncated"`
	WrongSums   uint64            `json:"wrong_checksums"`
	CheckedSums uint64            `json:"checked_checksums"`
	Unseen      uint64            `json:"unseen_acknowledged"` // acknowledged, and never captured
	Acks        uint64            `json:"acknowledgments"`
	HomeHosts   uint64            `json:"home_hosts"`
	OtherHosts  uint64            `json:"other_hosts"`
	DNS         uint64            `json:"dns"`
	DHCP        uint64            `json:"dhcp"`
	ARP         uint64            `json:"arp"`
	Backwards   uint64            `json:"times_backwards"`
	OddTimes    uint64            `json:"times_out_of_range"`
	Unheld      uint64            `json:"unheld"` // facts that full tables refused
}

// checkOrder is the order of lines of the same level.
var checkOrder = []string{"input", "link", "promiscuous", "frames", "drops", "tunnels_hidden",
	"directions", "home", "nat", "truncation", "tunnel_fragments", "vlan_overlap", "loss",
	"duplicates", "nat_twice", "clock", "checksums", "tunnels", "vlans", "ring", "offloads", "disk",
	"memory", "sample", "mail", "dns"}

// Checks are the names of all checks.
func Checks() []string { return slices.Clone(checkOrder) }

// finish sorts the lines and gives the verdict.
func (r *Report) finish() {
	slices.SortStableFunc(r.Lines, func(a, b Line) int {
		if a.Level != b.Level {
			return int(b.Level) - int(a.Level)
		}
		return slices.Index(checkOrder, a.Check) - slices.Index(checkOrder, b.Check)
	})
	worst := Good
	if len(r.Lines) > 0 {
		worst = r.Lines[0].Level
	}
	if worst == Blind { // what is not in the sample follows from it
		r.Lines = slices.DeleteFunc(r.Lines, func(l Line) bool {
			return l.Level != Blind && slices.Contains([]string{"mail", "dns", "sample"}, l.Check)
		})
	}
	switch worst {
	case Blind:
		r.Verdict = VerdictBlind
	case Limits:
		r.Verdict = VerdictUsable
	default:
		r.Verdict = VerdictGood
	}
	r.Summary = r.SummaryIn(nil)
}

// SummaryIn is the verdict in a sentence of a language.
func (r *Report) SummaryIn(p *lang.Printer) string {
	switch r.Verdict {
	case VerdictBlind:
		return p.Sprintf("The sensor cannot work here: %s", lower(p.Sentence(r.Lines[0].What)))
	case VerdictUsable:
		return p.Sprintf("The sensor works with limits: %s", lower(p.Sentence(r.Lines[0].What)))
	}
	return p.Text("The sensor sees what it needs.")
}

// lower makes the first letter of a sentence small, unless the word is an abbreviation.
func lower(s string) string {
	if len(s) > 1 && s[0] >= 'A' && s[0] <= 'Z' && (s[1] >= 'a' && s[1] <= 'z' || s[1] == ' ') {
		return string(s[0]+'a'-'A') + s[1:]
	}
	return s
}
