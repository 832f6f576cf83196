package report

import (
	"fmt"
	"net/netip"
	"slices"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// Restriction is the part of an input that a report is about.
type Restriction struct {
	// Since and Until enclose the frames that were judged; zero is no bound. Frames is how many
	// were left out.
	Since  Time   `json:"since"`
	Until  Time   `json:"until"`
	Frames uint64 `json:"frames_left_out"`
	// Networks are those whose hosts are shown; empty is all. All hosts were judged.
	Networks []netip.Prefix `json:"networks,omitempty"`
	Findings int            `json:"findings_left_out"`
	Hosts    int            `json:"hosts_left_out"`
	Servers  int            `json:"mail_servers_left_out"`
}

// Only has the report show the hosts of some networks alone. It is called before anything is added.
func (r *Report) Only(networks []netip.Prefix) {
	r.only, r.leftServers = networks, map[netip.Addr]bool{}
}

// shows reports whether the report is about a host.
func (r *Report) shows(a netip.Addr) bool {
	return len(r.only) == 0 || slices.ContainsFunc(r.only, func(p netip.Prefix) bool {
		return p.Contains(a.Unmap())
	})
}

// leaveOut counts a finding about a host that is not shown.
func (r *Report) leaveOut(f *finding.Finding) {
	switch {
	case f.Action == finding.Opened && f.Reopened == 0:
		r.leftFindings++
	case f.Action == finding.Closed && f.Revoked():
		r.leftFindings--
	}
}

// restriction completes what the input says of the chosen time; nil if all is shown.
func (r *Report) restriction(in *Input) *Restriction {
	if in.Only == nil && len(r.only) == 0 {
		return nil
	}
	x := Restriction{}
	if in.Only != nil {
		x = *in.Only
	}
	x.Networks = r.only
	x.Findings, x.Hosts, x.Servers = max(0, r.leftFindings), r.leftHosts, len(r.leftServers)
	return &x
}

// sentences say that a report is about a part.
func (x *Restriction) sentences() (said []string) {
	if x == nil {
		return nil
	}
	if x.Since != 0 || x.Until != 0 {
		said = append(said, fmt.Sprintf("Only a part of the time was judged: %s.",
			verdict.Count(uint32(min(x.Frames, 1<<32-1)), "frame before or after it is left out",
				"frames before or after it are left out")))
	}
	if len(x.Networks) > 0 {
		var names []string
		for _, n := range x.Networks {
			if n.IsSingleIP() {
				names = append(names, n.Addr().String())
			} else {
				names = append(names, n.String())
			}
		}
		said = append(said, fmt.Sprintf("Only %s: all hosts were judged, and %s, %s and %s of "+
			"others are not shown.", list(names), verdict.Plural(x.Findings, "finding"),
			verdict.Plural(x.Hosts, "host"), verdict.Plural(x.Servers, "server")))
	}
	return said
}

// unjudged are those of the hosts in no home network that are shown.
func (r *Report) unjudged(in *Input) {
	if len(r.only) == 0 {
		return
	}
	in.Unjudged = slices.DeleteFunc(slices.Clone(in.Unjudged), func(u finding.Unjudged) bool {
		return !r.shows(u.Addr)
	})
	in.UnjudgedCount = len(in.Unjudged)
}
