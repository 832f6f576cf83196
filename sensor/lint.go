package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"spamsensor/sensor/engine"
	"spamsensor/sensor/peer"
)

// lint finds settings that are valid, and surely not meant: they contradict one another, or have no
// effect.
func lint(cfg *config) []*fault {
	l := &linter{layers: cfg.layers, home: engine.HomeNetworks(cfg.engine.Home),
		stated: cfg.engine.HomeStated}
	e, f := &cfg.engine, &cfg.file
	l.networks("home_net", e.Home, "every host of the Internet is judged then: name your networks")
	l.networks("allowed_relays", e.AllowedRelays,
		"then no host is found that sends past your mail servers on port 25")
	l.servers(e.Roles)
	l.relays(e.AllowedRelays)
	l.ignored(e.Ignore, e.Roles)
	l.domains(e.LocalDomains)
	if f.Evidence.HashKeyFile != "" && f.Evidence.MailFrom != "hash" {
		l.warn("evidence.hash_key_file", "the key has no effect: evidence.mail_from is not hash")
	}
	const noState = "this has no effect without state.dir: nothing survives a restart"
	if f.State.Dir == "" && f.State.Every != "" {
		l.warn("state.every", noState)
	}
	if f.State.Dir == "" && f.State.HistoryDays != 0 {
		l.warn("state.history_days", noState)
	}
	return l.list
}

// linter collects warnings.
type linter struct {
	*layers
	home   []netip.Prefix // in force
	stated bool           // the configuration names home networks; otherwise others are learned
	list   []*fault
}

func (l *linter) warn(key, format string, args ...any) {
	l.list = append(l.list, l.fault("warning", key, format, args...))
}

// networks finds a network that is all of the Internet, and those that are in another one.
func (l *linter) networks(key string, list []netip.Prefix, effect string) {
	for i, p := range list {
		at := fmt.Sprintf("%s[%d]", key, i)
		if p.Bits() == 0 {
			l.warn(at, "%s is all of the Internet: %s", p, effect)
		}
		for j, q := range list {
			// Of two that are equal the second one is useless.
			if j != i && covers(q, p) && (q.Bits() < p.Bits() || j < i) {
				l.warn(at, "%s has no effect: it is in %s", p, q)
				break
			}
		}
	}
}

// covers reports whether all addresses of p are in q.
func covers(q, p netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Contains(p.Addr()) }

// isHome reports whether a network is in a home network, or has one in it.
func (l *linter) isHome(p netip.Prefix) bool {
	return slices.ContainsFunc(l.home, p.Overlaps)
}

// servers finds roles of hosts that are not ours, and hosts with two roles.
func (l *linter) servers(list []peer.Role) {
	for i, s := range list {
		at := fmt.Sprintf("smtp_servers[%d].ip", i)
		if l.stated && !l.isHome(netip.PrefixFrom(s.Addr, s.Addr.BitLen())) {
			l.warn(at, "%s is outside of home_net: name its network there, so that the other "+
				"hosts in it are judged. A provider's server belongs in allowed_relays", s.Addr)
		}
		for _, before := range list[:i] {
			if before.Addr == s.Addr {
				l.warn(at, "%s is declared before as %s; the last role holds", s.Addr, before.Kind)
				break
			}
		}
	}
}

// relays finds relays in our own networks.
func (l *linter) relays(list []netip.Prefix) {
	for i, p := range list {
		inside := slices.ContainsFunc(l.home, func(q netip.Prefix) bool { return covers(q, p) })
		if inside && p.Bits() > 0 {
			l.warn(fmt.Sprintf("allowed_relays[%d]", i), "%s is in home_net: declare a mail "+
				"server of yours in smtp_servers, so that it is watched", p)
		}
	}
}

// ignored finds exceptions for everybody, for nobody, and for hosts that have one already.
func (l *linter) ignored(list []peer.Ignore, roles []peer.Role) {
	for i, x := range list {
		at := fmt.Sprintf("ignore[%d].ip", i)
		everybody := func(q netip.Prefix) bool { return covers(x.Net, q) }
		if slices.ContainsFunc(l.home, everybody) {
			l.warn(at, "%s has a whole network of home_net in it: none of its hosts raises an "+
				"alarm", x.Net)
		}
		isServer := slices.ContainsFunc(roles, func(r peer.Role) bool {
			return x.Net.Contains(r.Addr)
		})
		if l.stated && !isServer && !l.isHome(x.Net) {
			l.warn(at, "%s is outside of home_net: its hosts are not judged", x.Net)
		}
		for j, y := range list {
			lasts := y.Until == 0 || x.Until != 0 && x.Until <= y.Until
			if j < i && covers(y.Net, x.Net) && lasts {
				l.warn(at, "%s has no effect: the exception for %s covers it", x.Net, y.Net)
				break
			}
			if j < i && y.Net == x.Net && !isOver(y.Until) {
				l.warn(at, "%s is named before, until %s: this entry has no effect until then; "+
					"keep one of the two", netText(x.Net), lastDay(y.Until))
				break
			}
		}
	}
}

// domains finds domains that are below another one, which includes them.
func (l *linter) domains(list []string) {
	for i, d := range list {
		for j, e := range list {
			if strings.HasSuffix(d, "."+e) || d == e && j < i {
				l.warn(fmt.Sprintf("local_domains[%d]", i), "%s has no effect: %s includes it", d,
					e)
				break
			}
		}
	}
}
