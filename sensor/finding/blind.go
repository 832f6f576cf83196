package finding

import (
	"fmt"
	"net"
	"net/netip"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/verdict"
)

// Seen is what is known of a host beside its counters and reasons. Its blind spots and its advice
// rest on it.
type Seen struct {
	HalfOpen  uint32 // attempts that a server answered and the host did not go on with
	Opaque    uint32 // sessions that were encrypted from the first byte
	OneWay    uint32 // sessions of which one direction was seen
	Doubtful  uint32 // sessions whose bytes a server may have read in another way
	Former    bool   // the address had another link-layer address until lately: FormerMAC
	FormerMAC [6]byte
	// attempts that came from another link-layer address, the latest from OtherMAC
	Others    uint32
	OtherMAC  [6]byte
	Lookups   bool // DNS queries about mail were seen
	BehindNAT bool // several machines are behind the address, by their HopLimits
	HopLimits string
	Server    bool // it is declared as a mail server
	// Brought is the host of ours that brought most of what it sends, and Through the server of
	// ours that it sends through; invalid and empty if there is none.
	Brought       netip.Addr
	Through       string
	EgressBlocked bool // its mail is blocked on the way out
	Listed        bool // servers named a blocklist
}

// Blind says what the verdict about a host could not rest on.
func Blind(f *detect.Counters, h *Seen) (blind []string) {
	add := func(n uint32, format string, args ...any) {
		if n > 0 {
			blind = append(blind, fmt.Sprintf(format, args...))
		}
	}
	switch {
	case f.Sessions == 0 && f.Refused+f.Unreachable > 0:
		blind = append(blind, "no session was completed: only attempts and their refusals were "+
			"seen")
	case f.Sessions == 0 && h.HalfOpen > 0:
		blind = append(blind, "no session was completed: the host never finished a handshake "+
			"that a server answered")
	case f.Sessions == 0:
		blind = append(blind, "no session was completed: only connection attempts were seen, "+
			"and those can be sent with a forged source address")
	}
	if h.Opaque > 0 {
		of := verdict.Count(f.Sessions, "session", "sessions")
		if h.Opaque == 1 {
			blind = append(blind, fmt.Sprintf("of %s 1 was encrypted from the first byte", of))
		} else {
			blind = append(blind, fmt.Sprintf("of %s %d were encrypted from the first byte", of,
				h.Opaque))
		}
	}
	add(f.TLSSessions-min(f.TLSSessions, h.Opaque),
		"%s over to TLS: their content after that is unknown",
		verdict.Count(f.TLSSessions-min(f.TLSSessions, h.Opaque), "session went",
			"sessions went"))
	add(h.OneWay, "only one direction of %s was seen",
		verdict.Count(h.OneWay, "session", "sessions"))
	add(h.Doubtful, "in %s bytes were sent twice with different content, or as urgent data: "+
		"the server may have read something else", verdict.Count(h.Doubtful, "session", "sessions"))
	if h.Former {
		blind = append(blind, fmt.Sprintf("until recently this address had the link-layer "+
			"address %s: either another machine has the address now, or another machine forges "+
			"it, and can then forge the servers' replies, too",
			net.HardwareAddr(h.FormerMAC[:])))
	}
	if n := h.Others; n > 0 {
		blind = append(blind, fmt.Sprintf("%s came from a different link-layer address than "+
			"the others, the latest from %s: a machine with several network cards does that, "+
			"and so does another machine that forges this address",
			verdict.Count(n, "attempt", "attempts"), net.HardwareAddr(h.OtherMAC[:])))
	}
	if !h.Lookups {
		blind = append(blind, "none of its DNS queries about mail were seen: it made none, or "+
			"they are not on this mirror port, or encrypted")
	}
	if h.BehindNAT {
		blind = append(blind, fmt.Sprintf("several machines seem to be behind this address: "+
			"packets have different hop limits (%s; Windows starts with 128, most others with "+
			"64). The machine can be identified only on the inner side of the gateway",
			h.HopLimits))
	}
	return blind
}
