package peer

import (
	"net/netip"
	"testing"

	"spamsensor/flowtable"
)

// RFC 6052, section 2.4 has the table of 192.0.2.33 under prefixes of each length.
func TestTranslated(t *testing.T) {
	d := NewDirectory(&Config{NAT64: []netip.Prefix{
		netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2001:dba:100::/40"),
		netip.MustParsePrefix("2001:dba:122::/48"), netip.MustParsePrefix("2001:dbb:122:300::/56"),
		netip.MustParsePrefix("2001:dbc:122:344::/64"), netip.MustParsePrefix("2001:dbd:122:344::/96"),
	}}, &flowtable.Secret{1, 2})
	for _, c := range []struct{ addr, want string }{
		{"2001:db8:c000:221::", "192.0.2.33"}, {"2001:dba:1c0:2:21::", "192.0.2.33"},
		{"2001:dba:122:c000:2:2100::", "192.0.2.33"}, {"2001:dbb:122:3c0:0:221::", "192.0.2.33"},
		{"2001:dbc:122:344:c0:2:2100::", "192.0.2.33"}, {"2001:dbd:122:344::192.0.2.33", "192.0.2.33"},
		{"64:ff9b::192.0.2.33", "192.0.2.33"}, {"64:ff9b:1::192.0.2.33", "192.0.2.33"},
		{"64:ff9b:1:abcd::192.0.2.33", "192.0.2.33"}, {"64:ff9b:1:c000:2:2100::", "192.0.2.33"},
		{"64:ff9b:1:3c0:0:221::", "192.0.2.33"}, {"64:ff9b:1:344:c0:2:2100::", "192.0.2.33"},
		// neither the prefix nor the zeros
		{"64:ff9b:2::192.0.2.33", "64:ff9b:2::c000:221"}, {"2001:db8:c000:221::1", "2001:db8:c000:221::1"},
		{"2001:db8:c000:221:100::", "2001:db8:c000:221:100::"}, {"2a00::1", "2a00::1"},
	} {
		to, v6 := d.Translated(netip.MustParseAddr(c.addr).As16(), true)
		if got := NetIP(to, v6); got.String() != c.want {
			t.Errorf("%s is %s, want %s", c.addr, got, c.want)
		}
	}
	v4 := flowtable.Addr(netip.MustParseAddr("192.0.2.33").As16())
	behind := flowtable.Addr(netip.MustParseAddr("64:ff9b::192.0.2.33").As16())
	near := flowtable.Addr(netip.MustParseAddr("64:ff9b::192.0.3.33").As16())
	if d.Net(behind, true) != d.Net(v4, false) || d.Destination(&behind) != d.Destination(&v4) {
		t.Error("a server behind NAT64 is not the IPv4 server")
	}
	if d.Net(behind, true) == d.Net(near, true) {
		t.Error("all servers behind NAT64 are one network")
	}
}

func TestLearnNAT64(t *testing.T) {
	for _, c := range []struct{ addr, want string }{
		{"64:ff9b::192.0.0.170", "64:ff9b::/96"}, {"2001:db8:1:2::c000:ab", "2001:db8:1:2::/96"},
		{"2001:db8:c000:aa::", "2001:db8::/32"}, {"2001:db8:122:c000:0:ab00::", "2001:db8:122::/48"},
		{"2001:db8:c000:aa::192.0.0.170", "2001:db8:c000:aa::/96"}, {"2001:db8::1", ""}, {"2001:db8:c000:aa::1", ""},
	} {
		p, ok := PrefixOf(netip.MustParseAddr(c.addr).As16())
		if got := p.String(); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%s gives %s, %v, want %q", c.addr, got, ok, c.want)
		}
	}
	d := NewDirectory(&Config{}, &flowtable.Secret{1, 2})
	list := []netip.Prefix{netip.MustParsePrefix("2001:db8:9::/96"), netip.MustParsePrefix("2001:db8:1::/96"),
		netip.MustParsePrefix("2001:db8:9::/96"), netip.MustParsePrefix("2001:db8::/33")}
	d.LearnNAT64(list)
	for i := range 9 {
		d.LearnNAT64([]netip.Prefix{netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 5: byte(i)}), 96)})
	}
	if n := len(d.nat64.prefixes()); n != maxLearned {
		t.Errorf("%d prefixes are learned", n)
	}
	a := netip.MustParseAddr("2001:db8:1::192.0.2.1").As16()
	if _, v6 := d.Translated(a, true); v6 {
		t.Error("the learned prefix has no effect")
	}
}
