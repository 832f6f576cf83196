// Package verify shows that rules for a firewall do what they say: it loads them into a router that
// it makes of network namespaces, has a mail server, a flagged host and a desktop try connections
// through it, over IPv4 and IPv6, and looks which ones pass. Nothing leaves the namespaces.
//
//	server  ---+
//	flagged ---+--- router (the rules) --- outside (listens on 25 and 587)
//	desktop ---+
//
// The hosts have addresses of the rules, so that their sets are tested; where the rules have none
// of a kind, an address for documentation is added to the rules, and said. Each connection is tried
// three times: without the rules, where all must pass, with them, and after they were undone. One
// that is cut must have moved the counter of its chain: that nothing answered would prove little.
package verify

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"spamsensor/sensor/rules"
)

// Dialects are the dialects that can be verified.
var Dialects = []string{"nftables", "iptables"}

// tools are the programs that each dialect needs.
var tools = map[string][]string{"nftables": {"nft"},
	"iptables": {"iptables", "ip6tables", "iptables-restore", "ip6tables-restore", "ipset"}}

// Missing says what keeps a dialect from being verified here; nil if nothing does.
func Missing(dialect string) error {
	if !slices.Contains(Dialects, dialect) {
		return errors.New("only nftables and iptables can be verified")
	}
	if os.Getuid() != 0 {
		return errors.New("this needs root: it makes network namespaces, and loads the rules there")
	}
	for _, tool := range append([]string{"ip", "sysctl", "sh"}, tools[dialect]...) {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is not installed (apt-get install iproute2 procps nftables "+
				"iptables ipset)", tool)
		}
	}
	if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
		return errors.New("this kernel has no IPv6")
	}
	return nil
}

// The names of the hosts.
const (
	server  = "server"
	flagged = "flagged"
	desktop = "desktop"
	outside = "outside"
	relay   = "relay"
)

// Connection is a connection that was tried.
type Connection struct {
	From    string     `json:"from"` // server, flagged, desktop, outside
	Client  netip.Addr `json:"client"`
	To      string     `json:"to"` // outside, server, relay
	Server  netip.Addr `json:"server"`
	Port    uint16     `json:"port"`
	Passes  bool       `json:"passes"` // with the rules
	Chain   string     `json:"chain"`  // that counts it, of one that does not pass
	Results []Result   `json:"results"`
}

// Result is what became of a connection in a dialect.
type Result struct {
	Dialect string `json:"dialect"`
	// Before, With and After are without the rules, with them, and after they were undone.
	Before Outcome `json:"before"`
	With   Outcome `json:"with"`
	After  Outcome `json:"after"`
}

// Outcome is what became of an attempt.
type Outcome struct {
	Passed bool `json:"passed"`
	// Counted is the chain whose counter it moved, empty if none.
	Counted string `json:"counted,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Right reports whether each attempt ended as it should.
func (c *Connection) Right(r *Result) bool {
	with := r.With.Passed && r.With.Counted == ""
	if !c.Passes {
		with = !r.With.Passed && r.With.Counted == c.Chain
	}
	return r.Before.Passed && r.After.Passed && with
}

// Report is the result of a verification.
type Report struct {
	Dialects    []string      `json:"dialects"`
	Connections []*Connection `json:"connections"`
	// StandIns are addresses that were added to the rules: there was none of their kind.
	StandIns []StandIn `json:"stand_ins"`
	Wrong    int       `json:"wrong"`
}

// StandIn is an address in place of one that the rules do not have.
type StandIn struct {
	Kind string     `json:"kind"`
	IP   netip.Addr `json:"ip"`
}

// Run verifies rules in dialects. Its errors are about the means; rules that do not do what they
// say are in the Report.
func Run(ctx context.Context, s *rules.Set, dialects []string) (*Report, error) {
	p, err := newPlan(s)
	if err != nil {
		return nil, err
	}
	r := &Report{Dialects: dialects, Connections: p.connections, StandIns: p.standIns}
	for _, dialect := range dialects {
		if err := p.verify(ctx, dialect); err != nil {
			return nil, fmt.Errorf("%s: %w", dialect, err)
		}
	}
	for _, c := range r.Connections {
		for i := range c.Results {
			if !c.Right(&c.Results[i]) {
				r.Wrong++
			}
		}
	}
	return r, nil
}

// verify tries all connections in a dialect.
func (p *plan) verify(ctx context.Context, dialect string) (err error) {
	net, err := newNetwork(ctx, p)
	defer net.close()
	if err != nil {
		return err
	}
	f := &firewall{network: net, dialect: dialect}
	results := make([]Result, len(p.connections))
	try := func(at func(*Result) *Outcome, counts bool) error {
		for i, c := range p.connections {
			results[i].Dialect = dialect
			o, err := f.try(ctx, c, counts)
			if err != nil {
				return err
			}
			*at(&results[i]) = o
		}
		return nil
	}
	err = try(func(r *Result) *Outcome { return &r.Before }, false)
	if err == nil {
		err = f.load(ctx, &p.set)
	}
	if err == nil {
		err = errors.Join(try(func(r *Result) *Outcome { return &r.With }, true), f.undo(ctx),
			try(func(r *Result) *Outcome { return &r.After }, false))
	}
	for i, c := range p.connections {
		c.Results = append(c.Results, results[i])
	}
	return err
}

// firewall is the router of a network, with rules in a dialect.
type firewall struct {
	*network
	dialect string
}

// load loads rules as their text says.
func (f *firewall) load(ctx context.Context, s *rules.Set) error {
	file, err := os.CreateTemp("", "spamsensor-rules-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	err = errors.Join(s.Write(file, f.dialect, rules.Options{}), file.Close())
	if err != nil {
		return err
	}
	load := []string{"sh", file.Name()}
	if f.dialect == "nftables" {
		load = []string{"nft", "-f", file.Name()}
	}
	_, err = f.run(ctx, load...)
	return err
}

// undo removes the rules as their text says.
func (f *firewall) undo(ctx context.Context) error {
	undo := rules.NftUndo
	if f.dialect == "iptables" {
		undo = strings.Join(rules.IptablesUndo, "\n")
	}
	_, err := f.run(ctx, "sh", "-ec", undo)
	return err
}

// patience is how long an attempt may take: one that is cut shows in a counter much earlier.
const patience = 5 * time.Second

// try tries a connection. With counts the counters of the rules say whether it was cut.
func (f *firewall) try(ctx context.Context, c *Connection, counts bool) (o Outcome, err error) {
	var before map[string]uint64
	if counts {
		if before, err = f.counters(ctx); err != nil {
			return o, err
		}
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done := f.dial(limited, c)
	for {
		select {
		case err := <-done:
			if o.Passed = err == nil; !o.Passed && o.Counted == "" {
				o.Error = err.Error()
			}
			return o, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		if !counts || o.Counted != "" {
			continue
		}
		now, err := f.counters(limited)
		if err != nil && limited.Err() == nil {
			return o, err
		}
		for chain, n := range now {
			if n > before[chain] {
				o.Counted = chain
				cancel()
			}
		}
	}
}

// The counters of what was dropped, as nft and iptables print them.
var (
	nftCounter      = regexp.MustCompile(`counter packets (\d+)`)
	iptablesCounter = regexp.MustCompile(`(?m)^ *(\d+) +\d+ DROP`)
)

// counters are how many packets the chains of the rules dropped.
func (f *firewall) counters(ctx context.Context) (map[string]uint64, error) {
	n := map[string]uint64{}
	for chain, name := range map[string]string{"quarantine": "SPAMSENSOR-CUT",
		"port25": "SPAMSENSOR-PORT25"} {
		lists := [][]string{{"nft", "list", "chain", "inet", "spamsensor", chain}}
		pattern := nftCounter
		if f.dialect == "iptables" {
			lists = [][]string{{"iptables", "-nvxL", name}, {"ip6tables", "-nvxL", name}}
			pattern = iptablesCounter
		}
		for _, list := range lists {
			out, err := f.run(ctx, list...)
			if err != nil {
				return nil, err
			}
			m := pattern.FindStringSubmatch(out)
			if m == nil {
				return nil, fmt.Errorf("%s shows no counter: %q", strings.Join(list, " "), out)
			}
			packets, err := strconv.ParseUint(m[1], 10, 64)
			if err != nil {
				return nil, err
			}
			n[chain] += packets
		}
	}
	return n, nil
}
