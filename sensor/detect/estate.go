package detect

import "slices"

// Estate is what a machine takes with it to another address.
type Estate struct {
	host        Host
	nets, addrs SavedSet
}

// earlier are the attempts of a machine under other addresses.
type earlier struct {
	attempts uint32
	first    int64
}

// Estate: see Inherit. It shares nothing with the Host.
func (h *Host) Estate(f *Facts) *Estate {
	e := &Estate{*h, h.nets.save(), h.addrs.save()}
	w := &e.host
	w.names.distinct.table = slices.Clone(w.names.distinct.table)
	w.envelope.distinct.table = slices.Clone(w.envelope.distinct.table)
	w.nets, w.addrs = set{}, set{}
	if w.earlier.attempts == 0 {
		w.earlier.first = f.First
	}
	w.earlier.attempts += f.Attempts
	return e
}

// Inherit has a Host take over what is known of its machine's address before. f are its own facts: what it has done so far is
// not more than they hold. Its verdict is to be judged.
func (h *Host) Inherit(c *Config, e *Estate, f *Facts) {
	room, off, lookups := h.Room, h.off, h.lookups
	h.Release()
	*h = e.host
	h.Room, h.off = room, off
	for code := range h.reasons {
		if off>>code&1 != 0 {
			h.reasons[code] = Reason{}
		}
	}
	if lookups != nil {
		h.lookups = lookups
	}
	h.nets.load(&e.nets, room)
	h.addrs.load(&e.addrs, room)
	h.level, h.changed = NoLevel, true
	h.Adopt(c, f)
}

// attempts and since are those of the machine.
func (h *Host) attempts(f *Facts) uint32 { return f.Attempts + h.earlier.attempts }

func (h *Host) since(f *Facts) int64 {
	if h.earlier.attempts > 0 {
		return h.earlier.first
	}
	return f.First
}
