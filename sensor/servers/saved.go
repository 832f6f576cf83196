package servers

import (
	"net/netip"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
)

// Saved is a mail server in the checkpoint: its state, and its open findings by class.
type Saved struct {
	Addr     netip.Addr                            `json:"Addr"`
	State    *mailserver.Server                    `json:"State"`
	Findings map[verdict.Class]*finding.SavedProof `json:"Findings,omitempty"`
}

// Save copies the servers that were seen. The caller holds tickMu.
func (all *Set) Save() (list []Saved) {
	for _, s := range all.sorted() {
		if s.First == 0 {
			continue
		}
		list = append(list, s.save())
	}
	return list
}

// save copies a server. The caller holds tickMu.
func (s *server) save() Saved {
	return Saved{Addr: s.addr, State: s.Server.Clone(), Findings: s.findings.SaveProofs()}
}

// Restore restores the servers that Save copied. A server beyond the limit is
// dropped, a finding of another class is dropped, and a level is at most confirmed.
func (all *Set) Restore(list []Saved) {
	for _, d := range list {
		if !d.Addr.IsValid() || d.State == nil {
			continue
		}
		a := d.Addr.As16()
		s := all.get(a)
		if s == nil {
			s = all.watch(a, d.Addr.Is6())
		}
		if s == nil {
			continue
		}
		s.Server = *d.State
		s.Server.Repair(&all.budget)
		// The time since the checkpoint is unknown: advance resumes the series at the next packet.
		s.resumed = true
		s.findings.RestoreProofs(d.Findings)
	}
}
