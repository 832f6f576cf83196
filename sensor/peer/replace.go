package peer

import "net/netip"

// Replace takes another configuration over. Prefixes of NAT64 stay, and so do the home networks
// that were learned, except those of a family that an administrator names now. Entries that stay
// keep the number of their uses. No other goroutine may use the directory meanwhile.
func (d *Directory) Replace(cfg *Config) {
	before := d.declared
	d.Home.set(cfg.Home)
	d.state(cfg.Stated)
	d.Home.forget(func(p netip.Prefix) bool { return d.stated[family(p.Addr().Is6())] })
	d.Relays.set(cfg.AllowedRelays)
	d.declared = declarations{}
	d.declared.set(cfg)
	d.declared.takeUses(&before)
	d.version.Add(1)
}

// takeUses takes the numbers of uses over from the entries before.
func (l *declarations) takeUses(before *declarations) {
	for addr, r := range l.roles {
		if old := before.roles[addr]; old != nil {
			r.takeUses(old)
		}
	}
	for i := range l.ignore {
		takeUsesOf(&l.ignore[i], before.ignore)
	}
	for i := range l.relays {
		takeUsesOf(&l.relays[i], before.relays)
	}
}

// takeUsesOf takes the number of uses over from the entry with the same network.
func takeUsesOf(a *declaration, before []declaration) {
	for i := range before {
		if before[i].net == a.net {
			a.takeUses(&before[i])
			return
		}
	}
}

func (a *declaration) takeUses(before *declaration) {
	a.hits.Store(before.hits.Load())
	a.late.Store(before.late.Load() && a.until == before.until)
}

// forget removes the networks that were learned and that gone reports.
func (s *prefixSet) forget(gone func(netip.Prefix) bool) {
	t := s.learned.Load()
	if t == nil {
		return
	}
	for p := range t.All() {
		if gone(p) {
			t = t.DeletePersist(p)
		}
	}
	s.learned.Store(t)
}
