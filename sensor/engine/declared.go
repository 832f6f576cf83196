package engine

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
)

// Unused returns the entries of the configuration that had no use, for a hint to the administrator.
func (e *Engine) Unused() []string {
	return e.peers.Unused(e.servers.Active)
}

// applyRole sets up a new profile for the host's declared role and its DNS lookups so far.
func (s *sourceObserver) applyRole(prof *profile, k *flowtable.HostKey) {
	if s.e.peers.Role(k.Addr) == "bulk" {
		prof.Ignore(detect.Volume)
	}
	if l := s.dnsLookups.of(*k); l != nil {
		prof.Observe(&s.e.cfg.Detect, nil, detect.Observation{
			Kind: detect.KindLookups, Time: l.LastUsed,
			Lookups: l})
	}
}

// role returns a source's role: the declared one, or the one that its behaviour shows. Declared
// roles come first, because an administrator knows more.
func (s *sourceObserver) role(src *source, prof *profile, k *flowtable.HostKey) string {
	if declared := s.e.peers.Role(k.Addr); declared != "" {
		return declared
	}
	switch {
	case src.flags&home == 0:
		return "external"
	case prof != nil:
		return prof.Role()
	}
	return "workstation"
}
