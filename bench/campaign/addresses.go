package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
)

// Machines with several addresses: both families, or one IPv4 address after the other. They have
// one link-layer address.

// dualStack has a host reach a share of all servers by IPv6, and always the same ones.
func (h *Host) dualStack(share float64) {
	seed := h.rng.Uint64()
	h.families = func(to netip.AddrPort) bool {
		b := to.Addr().As4()
		r := rand.New(rand.NewPCG(seed, uint64(b[0])<<16|uint64(b[1])<<8|uint64(b[2])))
		return r.Float64() < share
	}
}

// dualStackBot is a slow bot that uses IPv4 and IPv6 side by side.
func dualStackBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	h.ttl = oneOf(h.rng, []uint8{64, 128})
	share := uniform(h.rng, 0.3, 0.7)
	h.dualStack(share)
	h.Kind = fmt.Sprintf("%.0f %% by IPv6", share*100)
	b := h.newBot()
	b.pace = constant(h.rng, 1/uniform(h.rng, 15, 120))
	h.avoidTLS(b)
}

// quietIPv4 is a workstation whose user's mail goes by IPv4, and whose bot uses IPv6 alone.
func quietIPv4(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "bot by IPv6")
	r := h.rng
	h.ttl = oneOf(r, []uint8{64, 128})
	h.families = func(to netip.AddrPort) bool { return to.Port() == 25 }
	h.officeUser()
	b := h.newBot()
	b.pace = constant(r, 1/uniform(r, 5, 60))
	h.avoidTLS(b)
}

// movingBot is a bot whose machine gets another IPv4 address after some messages, up to four times.
func movingBot(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "")
	r := h.rng
	addresses, each := 2+r.IntN(4), 3+r.IntN(15)
	for range addresses {
		h.Others = append(h.Others, s.freeAddress())
	}
	h.Kind = fmt.Sprintf("%d addresses, %d mails each", addresses, each)
	b := h.newBot()
	b.attemptsLeft = max(20, addresses*each)
	b.pace = constant(r, 1/uniform(r, 60, 300)) // no session lasts as long
	b.result = func(destination, uint16) attemptResult { return answered }
	to, i := b.to, 0
	b.to = func() destination {
		h.Addr = h.Others[min(i/each, addresses-1)]
		i++
		return to()
	}
	h.avoidTLS(b)
}

// dualStackServer is a mail server that nobody declared, with both families.
func dualStackServer(s *Site, sc *Scenario, n int) {
	undeclaredServer(s, sc, n)
	h := s.Hosts[len(s.Hosts)-1]
	h.dualStack(uniform(h.rng, 0.2, 0.8))
}

// brokenIPv6 is a mail server with IPv6 that has no route: it tries each server there first, and
// then by IPv4 (RFC 8305).
func brokenIPv6(s *Site, sc *Scenario, n int) {
	undeclaredServer(s, sc, n)
	h := s.Hosts[len(s.Hosts)-1]
	trying := false
	h.families = func(to netip.AddrPort) bool {
		if trying || to.Port() != 25 || h.site.outside(h.Addr) || !h.site.outside(to.Addr()) {
			return trying
		}
		trying = true
		h.open(to, false, failedAttempt(h.rng, unanswered))
		trying = false
		return false
	}
}

// laptop is a workstation that moves between two networks of the site, with an address in each.
func laptop(s *Site, sc *Scenario, n int) {
	h := s.newHost(sc, n, "laptop")
	r := h.rng
	h.Others = []netip.Addr{h.Addr, s.freeAddress()}
	list := h.accounts()
	mean := int64(10 * float64(hour) / uniform(r, 10, 40))
	h.every(h.From+between(r, 0, 10*hour), func() int64 { return h.nextInWorkingHours(mean) },
		func() {
			if r.IntN(4) == 0 {
				h.Addr = oneOf(r, h.Others)
			}
			h.submit(oneOf(r, list), h.Addr.String())
		})
}
