// Package playbook writes the steps that end a finding, in their order, with the finding's own
// addresses, ports and times in the commands; and it says when a host counts as clean.
//
// Only addresses, ports, times and ids that the program made itself go into a command: names and
// texts from the wire (HELO, replies, domains) never do, however they are quoted. What only the
// reader knows is written in capitals: PID, INTERFACE, ACCOUNT.
package playbook

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
	"spamsensor/sensor/verdict"
)

// Playbook are the steps for a finding.
type Playbook struct {
	Finding  string        `json:"finding"` // its id
	IP       netip.Addr    `json:"ip"`
	Name     string        `json:"name,omitempty"` // of the host, in no command
	MAC      string        `json:"mac,omitempty"`
	Class    verdict.Class `json:"class"`
	Title    string        `json:"title"`
	Since    report.Time   `json:"since"`
	LastSign report.Time   `json:"last_sign"`
	Steps    []Step        `json:"steps"`
}

// Step is something to do.
type Step struct {
	Title    string    `json:"title"`
	Why      string    `json:"why"`
	Commands []Command `json:"commands,omitempty"`
}

// Command is a line to type. OS is where: windows, macos and linux are the machine of the finding;
// the others are a router, a mail server, and so on.
type Command struct {
	OS   string `json:"os"`
	Line string `json:"line"`
}

// The places of commands.
const (
	windows   = "windows"
	macos     = "macos"
	linux     = "linux"
	router    = "linux_router"
	cisco     = "cisco_ios"
	dhcp      = "windows_dhcp"
	iscDHCP   = "isc_dhcp"
	postfix   = "postfix"
	exim      = "exim"
	exchange  = "exchange"
	dovecot   = "dovecot"
	outside   = "outside"
	sensor    = "sensor"
	web       = "url"
	workplace = "your_pc"
)

// Systems are the operating systems of the machine of a finding.
var Systems = []string{windows, macos, linux}

// Options say how a playbook is made.
type Options struct {
	OS   string         // one of Systems: commands for the others are left out; empty is all
	Lang *lang.Printer  // of titles and reasons
	Zone *time.Location // of the times in them; nil is UTC
}

// New makes the playbook of a finding of a model.
func New(m *report.Model, f *report.Finding, o Options) *Playbook {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	b := &builder{m: m, f: f, p: o.Lang, o: o, ip: plain(f.IP)}
	b.book = &Playbook{Finding: f.ID, IP: b.ip, Name: f.Name, MAC: f.MAC, Class: f.Class,
		Title: f.Title, Since: f.Since(), LastSign: f.LastSign, Steps: []Step{}}
	steps := byClass[f.Class]
	if f.Class == verdict.Spambot && b.suspect() {
		steps = suspectSteps
	}
	if b.shared() { // whoever cuts off a router cuts off all behind it
		b.behind()
	}
	for _, add := range steps {
		add(b)
	}
	return b.book
}

// Find is the finding with an id, or the worst one about an address; nil if there is none.
func Find(m *report.Model, name string) *report.Finding {
	ip, err := netip.ParseAddr(name)
	for _, list := range [][]report.Finding{m.Findings, m.Ignored} {
		for i := range list {
			f := &list[i]
			if f.ID == name || err == nil && (f.IP == ip.Unmap() ||
				slices.Contains(f.Also, ip.Unmap())) {
				return f
			}
		}
	}
	return nil
}

// builder adds steps to a playbook.
type builder struct {
	m    *report.Model
	f    *report.Finding
	p    *lang.Printer
	o    Options
	ip   netip.Addr
	book *Playbook
}

// byClass are the steps of each class, in their order.
var byClass = [verdict.Classes][]func(*builder){
	verdict.Spambot: {(*builder).contain, (*builder).identify, (*builder).program,
		(*builder).account, (*builder).clean, (*builder).passwords,
		(*builder).ownQueue, (*builder).quiet, (*builder).delist, (*builder).tell},
	verdict.DirectSMTP: {(*builder).purpose, (*builder).declare, (*builder).program,
		(*builder).keepIn, (*builder).quiet},
	verdict.UndeclaredServer: {(*builder).purpose, (*builder).declare, (*builder).program,
		(*builder).account, (*builder).keepIn, (*builder).quiet, (*builder).delist},
	verdict.Scanner: {(*builder).purpose, (*builder).declare, (*builder).program,
		(*builder).contain, (*builder).clean, (*builder).quiet},
	verdict.NotSMTP: {(*builder).identify, (*builder).program, (*builder).contain,
		(*builder).clean, (*builder).passwords, (*builder).quiet},
	verdict.OnBlocklist: {(*builder).cause, (*builder).serverQueue, (*builder).quiet,
		(*builder).delist, (*builder).tell},
	verdict.OpenRelay: {(*builder).hold, (*builder).closeRelay, (*builder).testRelay,
		(*builder).strangers, (*builder).serverQueue, (*builder).quiet, (*builder).delist,
		(*builder).tell},
	verdict.HijackedAccount: {(*builder).hold, (*builder).findAccount, (*builder).lock,
		(*builder).serverQueue, (*builder).owner, (*builder).quiet, (*builder).delist,
		(*builder).tell},
	verdict.VolumeAnomaly: {(*builder).serverQueue, (*builder).senders, (*builder).deliveries,
		(*builder).quiet},
	verdict.Backscatter: {(*builder).testUnknown, (*builder).refuseUnknown,
		(*builder).bounces, (*builder).quiet, (*builder).delist},
}

// suspectSteps are those for a host of which it is not sure that it sends spam: people ask first.
var suspectSteps = []func(*builder){(*builder).identify, (*builder).purpose,
	(*builder).program, (*builder).contain, (*builder).clean, (*builder).passwords,
	(*builder).quiet}

// step adds a step.
func (b *builder) step(title, why string, commands ...Command) {
	if os := b.o.OS; os != "" {
		commands = slices.DeleteFunc(commands, func(c Command) bool {
			return c.OS != os && slices.Contains(Systems, c.OS)
		})
	}
	b.book.Steps = append(b.book.Steps, Step{title, why, together(commands)})
}

// together puts the commands of a place side by side, in the order of their first ones.
func together(commands []Command) (list []Command) {
	for i, c := range commands {
		if slices.ContainsFunc(commands[:i], func(x Command) bool { return x.OS == c.OS }) {
			continue
		}
		for _, x := range commands[i:] {
			if x.OS == c.OS {
				list = append(list, x)
			}
		}
	}
	return list
}

// on are commands for a place.
func on(os string, lines ...string) (list []Command) {
	for _, l := range lines {
		list = append(list, Command{os, l})
	}
	return list
}

// sentences joins sentences; empty ones are left out.
func sentences(list ...string) string {
	return strings.Join(slices.DeleteFunc(list, func(s string) bool { return s == "" }), " ")
}

// plain is an address without a zone, which may be any text.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// suspect reports whether it is not sure that the host sends spam.
func (b *builder) suspect() bool {
	l, ok := verdict.ParseLevel(b.f.Level)
	return ok && l < verdict.Likely
}

// addresses are those of the machine, that of the finding first.
func (b *builder) addresses() []netip.Addr {
	list := []netip.Addr{b.ip}
	for _, a := range b.f.Also {
		if a = plain(a); !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

// ports are the ports that the host tried, or all mail ports if they are not known.
func (b *builder) ports() []uint16 {
	var list []uint16
	for _, p := range b.f.Ports {
		list = append(list, p.Port)
	}
	if len(list) == 0 {
		return mailPorts
	}
	slices.Sort(list)
	return list
}

// mailPorts are the ports that mail leaves by.
var mailPorts = []uint16{25, 465, 587, 2525}

// joined are ports with something between them.
func joined(ports []uint16, format, between string) string {
	var list []string
	for _, p := range ports {
		list = append(list, fmt.Sprintf(format, p))
	}
	return strings.Join(list, between)
}

// hardware is the link-layer address of the host itself; nil if it is not known.
func (b *builder) hardware() net.HardwareAddr {
	mac, err := net.ParseMAC(b.f.MAC)
	if err != nil || len(mac) != 6 || !b.f.OnLink {
		return nil
	}
	return mac
}

// dotted is a link-layer address as Cisco IOS writes it: 0200.0000.7766.
func dotted(mac net.HardwareAddr) string {
	return fmt.Sprintf("%x.%x.%x", []byte(mac[0:2]), []byte(mac[2:4]), []byte(mac[4:6]))
}

// since is when the finding's latest period of signs began.
func (b *builder) since() report.Time {
	if n := len(b.f.Periods); n > 0 && b.f.Periods[n-1].First != 0 {
		return b.f.Periods[n-1].First
	}
	if b.f.First != 0 && b.f.Class < verdict.OpenRelay {
		return b.f.First
	}
	return b.f.Decided.At
}

// margin is how far before the first sign, and behind the last one, logs are read.
const margin = 5 * time.Minute

// span is the time in which logs are read; ok is false if no time is known.
func (b *builder) span() (from, to time.Time, ok bool) {
	first, last := b.since(), max(b.f.LastSign, b.f.Last)
	if first == 0 {
		return from, to, false
	}
	last = max(last, first)
	return first.In(time.UTC).Add(-margin).Truncate(time.Minute),
		last.In(time.UTC).Add(margin).Truncate(time.Minute).Add(time.Minute), true
}

// times writes the time in which logs are read: the format has its beginning and its end. It is
// empty if no time is known.
func (b *builder) times(format, layout string) string {
	from, to, ok := b.span()
	if !ok {
		return ""
	}
	return fmt.Sprintf(format, from.Format(layout), to.Format(layout))
}

// journal are the options of journalctl for this time (systemd.time(7)).
func (b *builder) journal() string {
	return b.times(" --since %q --until %q", "2006-01-02 15:04:05 UTC")
}

// windowsTimes are the keys of Get-WinEvent's filter for this time.
func (b *builder) windowsTimes() string {
	return b.times("; StartTime=[datetime]'%s'; EndTime=[datetime]'%s'", time.RFC3339)
}

// exchangeTimes are the options of Get-MessageTrackingLog for this time.
func (b *builder) exchangeTimes() string {
	return b.times(" -Start ([datetime]'%s') -End ([datetime]'%s')", time.RFC3339)
}

// clock is a time as the reader's clock shows it.
func (b *builder) clock(t report.Time) string { return t.In(b.o.Zone).Format(time.DateTime) }

// knownID are the ids that the program makes.
var knownID = regexp.MustCompile(`^[a-z_]+-[0-9a-fA-F.:]+(-[0-9]+)+$`)

// id is the id of the finding for a command; empty if it is not one that the program makes.
func (b *builder) id() string {
	if knownID.MatchString(b.f.ID) {
		return b.f.ID
	}
	return ""
}

// has reports whether the finding has a reason with one of these codes.
func (b *builder) has(codes ...string) bool {
	return slices.ContainsFunc(b.f.Reasons, func(r report.Reason) bool {
		return slices.Contains(codes, r.Code)
	})
}

// serves reports whether the host has a sign of a mail server.
func (b *builder) serves() bool {
	return b.f.Role == "mailserver" || b.has("serves", "one_name", "welcome")
}

// blocked reports whether a firewall keeps the host's mail from leaving.
func (b *builder) blocked() bool {
	return slices.Contains([]string{"drop", "reset", "icmp"}, b.f.Egress)
}
