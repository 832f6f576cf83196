package mailserver

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// TestRelayInTLS simulates three hours of a server whose sessions are all encrypted.
func TestRelayInTLS(t *testing.T) {
	late := false // the second hour has begun
	many := func() int {
		if late {
			return 1
		}
		return 0
	}
	type after = func(rnd *rand.Rand, net uint32, own bool) (outs int, to uint32)
	sink := func(rnd *rand.Rand) uint32 { return 1000 + rnd.Uint32N(50) }
	for name, row := range map[string]struct {
		does after
		want bool
	}{
		"a mail server": {func(rnd *rand.Rand, net uint32, own bool) (int, uint32) { return 0, 0 }, false},
		"an open relay": {func(rnd *rand.Rand, net uint32, own bool) (int, uint32) { return map[bool]int{true: 1}[own], sink(rnd) }, true},
		"some forward": {func(rnd *rand.Rand, net uint32, own bool) (int, uint32) {
			return map[bool]int{true: 1}[rnd.IntN(5) == 0], sink(rnd)
		}, false},
		"all is forwarded":     {func(rnd *rand.Rand, net uint32, own bool) (int, uint32) { return 1, sink(rnd) }, false},
		"a backup MX":          {func(rnd *rand.Rand, net uint32, own bool) (int, uint32) { return 1, 999 }, false},
		"it hands to one host": {func(rnd *rand.Rand, net uint32, own bool) (int, uint32) { return map[bool]int{true: 1}[own], 999 }, false},
		"mailing lists": {func(rnd *rand.Rand, net uint32, own bool) (int, uint32) {
			return map[bool]int{true: 20}[net%7 == 0], sink(rnd)
		}, false},
		"a relay of many, from the second hour on": {func(rnd *rand.Rand, net uint32, own bool) (int, uint32) { return many(), sink(rnd) }, true},
		"a newsletter, from the second hour on":    {func(rnd *rand.Rand, net uint32, own bool) (int, uint32) { return 8 * many(), sink(rnd) }, false},
		"one destination, from the second hour on": {func(rnd *rand.Rand, net uint32, own bool) (int, uint32) { return many(), 999 }, false},
	} {
		var s Server
		var got decided
		late = false
		rnd := rand.New(rand.NewPCG(3, 9))
		for at := 1700000000 * second; at < 1700000000*second+3*hour; at += 20*second + rnd.Int64N(60*second) {
			late = at > 1700000000*second+hour
			net, own := 1+rnd.Uint32N(60), rnd.IntN(4) == 0
			if own {
				net = 500
			}
			size := uint64(4000 + rnd.ExpFloat64()*20000)
			each(s.Advance(at), got.add)
			each(s.Observe(&Observation{Kind: SessionEnd, Session: &Session{Time: at, Net: net, Client: netip.MustParseAddr("203.0.113.9"), Inbound: true, External: true, Hidden: true, Bytes: size}}), got.add)
			outs, _ := row.does(rnd, net, own)
			for i := range outs {
				_, to := row.does(rnd, net, own)
				each(s.Observe(&Observation{Kind: SessionEnd, Session: &Session{Time: at + int64(i+1)*second/2, Net: to, External: true, Hidden: true, Bytes: size + 700}}), got.add)
			}
		}
		text := fmt.Sprint(got)
		if found := strings.Contains(text, "open_relay suspect relay_in_tls"); found != row.want || strings.Contains(text, "open_relay likely") {
			t.Errorf("%s: %s", name, text)
		}
	}
}
