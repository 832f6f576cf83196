package servers

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/mailserver"
)

// Replace takes other settings over, after the directory of Config.Peers: it begins to watch the
// servers that are declared now. Servers that were declared are watched as others that were seen.
// The caller holds tickMu and has locked all shards.
func (all *Set) Replace(localDomains []string, mailServers bool) {
	all.cfg.LocalDomains, all.cfg.MailServers = localDomains, mailServers
	all.setLocalDomains()
	before := *all.known.Load()
	known := make(map[flowtable.Addr]*server, len(before))
	for a, s := range before {
		s.declared = false
		known[a] = s
	}
	all.declare(known)
	all.known.Store(&known)
}

// declare adds the declared servers to those that are watched.
func (all *Set) declare(known map[flowtable.Addr]*server) {
	for _, a := range all.peers.Servers() {
		s := known[a.As16()]
		if s == nil {
			s = &server{addr: a}
			s.Repair(&all.budget)
			known[a.As16()] = s
		}
		s.declared = true
	}
}

// setLocalDomains sets the domains of the configuration; without any they are learned.
func (all *Set) setLocalDomains() {
	all.localDomains = nil
	if len(all.cfg.LocalDomains) == 0 {
		return
	}
	all.localDomains = mailserver.Domains{}
	for _, d := range all.cfg.LocalDomains {
		all.localDomains[d] = true
	}
}
