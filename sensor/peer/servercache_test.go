package peer

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"spamsensor/flowtable"
)

// same reports whether a cache says what its directory says.
func same(c *ServerCache, k *flowtable.Key) bool {
	d, v6 := c.Directory, k.Scope.V6()
	to, toV6 := d.Translated(k.Server, v6)
	s := c.Of(k)
	return s.Addr == d.Destination(&k.Server) && s.Net == d.Net(k.Server, v6) &&
		s.External == !d.Home.Has(to, toV6) && s.Home == d.Home.Configured(k.Server, v6) &&
		s.Allowed == d.Relays.Has(to, toV6) && c.IsRelay(s) == d.IsRelay(k.Server, v6)
}

// keyTo is the key of a connection to a server.
func keyTo(a netip.Addr) *flowtable.Key {
	return &flowtable.Key{Server: a.As16(), Scope: flowtable.NewScope(a.Is6(), 0)}
}

// TestServerCache: the cache says what the directory says, also of servers that share a slot, of an
// IPv4 address and the IPv6 address with the same bytes, and after the directory has learned.
func TestServerCache(t *testing.T) {
	secret := flowtable.NewSecret()
	prefix := netip.MustParsePrefix("2001:db8:64::/96")
	d := NewDirectory(&Config{Home: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		MailServers:   []netip.Addr{netip.MustParseAddr("10.0.0.25")},
		AllowedRelays: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}, &secret)
	c := &ServerCache{Directory: d}
	var keys []*flowtable.Key
	for _, a := range []string{"10.0.0.25", "10.0.0.26", "198.51.100.7", "192.0.2.1",
		"::ffff:192.0.2.1", "::ffff:10.0.0.25", "2001:db8:64::a00:19", "2001:db8:64::c633:6407",
		"64:ff9b::a00:19", "2001:db8::1"} {
		keys = append(keys, keyTo(netip.MustParseAddr(a)))
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 4 * cachedServers {
		keys = append(keys, keyTo(netip.AddrFrom4([4]byte{byte(r.Uint32N(12)), 0,
			byte(r.Uint32N(4)), byte(r.Uint32())})))
	}
	check := func(when string) {
		for range 4 * len(keys) {
			if k := keys[r.IntN(len(keys))]; !same(c, k) {
				t.Fatalf("%s: %v, v6 %v: not what the directory says", when,
					NetIP(k.Server, k.Scope.V6()), k.Scope.V6())
			}
		}
	}
	check("before")
	if k := keyTo(netip.MustParseAddr("192.0.2.1")); !c.Of(k).External ||
		!d.LearnNetwork(flowtable.HostKey{Addr: k.Server, Scope: k.Scope}) || c.Of(k).External {
		t.Error("a learned network is not home")
	}
	check("with a learned network")
	k := keyTo(netip.MustParseAddr("2001:db8:64::a00:19"))
	before := c.Of(k).Addr
	if d.LearnNAT64([]netip.Prefix{prefix}); c.Of(k).Addr == before || c.Of(k).External {
		t.Error("a learned prefix of NAT64 is not translated")
	}
	check("with a learned prefix")
}

// TestServerCacheUses: asking for a server is no use of its entry; an attempt is.
func TestServerCacheUses(t *testing.T) {
	secret := flowtable.NewSecret()
	d := NewDirectory(&Config{AllowedRelays: []netip.Prefix{
		netip.MustParsePrefix("198.51.100.0/24")}}, &secret)
	c := &ServerCache{Directory: d}
	nobody := func(flowtable.Addr) bool { return false }
	s := c.Of(keyTo(netip.MustParseAddr("198.51.100.7")))
	if n := len(d.Unused(nobody)); n != 1 || !s.Allowed {
		t.Errorf("before an attempt %d entries are unused, want 1", n)
	}
	if !c.IsRelay(s) || len(d.Unused(nobody)) != 0 {
		t.Error("after an attempt the entry is unused")
	}
}
