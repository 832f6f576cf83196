package detect

import (
	"fmt"
	"slices"
)

// Memory is what of a Host survives a restart. Windows of minutes and hours do not: a host that
// still sends fills them again.
type Memory struct {
	Level   Level
	Score   float64
	Decided Decision
	// Reasons by name, because their numbers are those of one version.
	Reasons map[string]Reason `json:",omitempty"`
	// Nets are hashes of the networks that were contacted, so that they are not new again. They need
	// the same secret.
	Nets []uint32 `json:",omitempty"`
}

// maxNets bounds Memory.Nets: who contacts more has been judged long since.
const maxNets = 512

// Memory is what is to be kept of a host.
func (h *Host) Memory() Memory {
	m := Memory{Level: h.level, Score: h.score, Decided: h.decided}
	for code := range h.reasons {
		if h.reasons[code].First != 0 {
			if m.Reasons == nil {
				m.Reasons = map[string]Reason{}
			}
			m.Reasons[Code(code).String()] = h.reasons[code]
		}
	}
	for _, n := range h.nets.table {
		if n != 0 && len(m.Nets) < maxNets {
			m.Nets = append(m.Nets, n)
		}
	}
	slices.Sort(m.Nets)
	return m
}

// MarshalText and UnmarshalText have checkpoints name classes, because their numbers are those of
// one version.
func (c Class) MarshalText() ([]byte, error) {
	if c >= Classes {
		return nil, fmt.Errorf("there is no class %d", c)
	}
	return []byte(c.String()), nil
}

// UnmarshalText: see MarshalText.
func (c *Class) UnmarshalText(name []byte) error {
	for *c = 0; *c < Classes; *c++ {
		if c.String() == string(name) {
			return nil
		}
	}
	return fmt.Errorf("there is no class %q", name)
}

// Recall is the opposite of Memory. published says that a finding is still open at its
// level; without one, the next observation publishes the verdict anew.
func (h *Host) Recall(m *Memory, published bool) {
	for code := range h.reasons {
		if r, ok := m.Reasons[Code(code).String()]; ok {
			h.reasons[code] = r
		}
	}
	for _, n := range m.Nets[:min(len(m.Nets), maxNets)] {
		h.nets.add(n)
	}
	h.score, h.decided = m.Score, m.Decided
	if published {
		h.level = min(m.Level, Confirmed)
	} else {
		h.changed = len(m.Reasons) > 0
	}
}
