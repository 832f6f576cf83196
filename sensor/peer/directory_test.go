package peer

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"spamsensor/flowtable"
	"spamsensor/smtpsniff"
	"spamsensor/smtpsniff/refusal"
)

// testDirectory makes a directory of a small site.
func testDirectory() *Directory {
	secret := flowtable.SecretFrom([]byte("0123456789abcdef"))
	return NewDirectory(&Config{
		Home: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"),
			netip.MustParsePrefix("fc00::/7")},
		MailServers: []netip.Addr{netip.MustParseAddr("10.0.0.25")},
		Roles: []Role{{netip.MustParseAddr("10.0.0.26"), "bulk"},
			{netip.MustParseAddr("10.0.0.9"), "scanner"}},
		AllowedRelays: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"),
			netip.MustParsePrefix("198.51.100.0/24")},
		Ignore: []Ignore{{Net: netip.MustParsePrefix("10.0.0.66/32"), Until: 100}},
	}, &secret)
}

// TestDirectory checks what addresses are to a site, and which entries of the configuration had no
// use after that.
func TestDirectory(t *testing.T) {
	d := testDirectory()
	for _, row := range []struct{ addr, want string }{
		{"10.1.2.3", "home true, role , declared false, relay false"},
		{"fd00::1", "home true, role , declared false, relay false"},
		{"::ffff:10.1.2.3", "home true, role , declared false, relay false"},
		{"10.0.0.25", "home true, role mailserver, declared true, relay true"},
		{"10.0.0.26", "home true, role bulk, declared true, relay true"},
		{"192.0.2.1", "home false, role , declared false, relay true"},
		{"203.0.113.1", "home false, role , declared false, relay false"},
		{"2001:db8::1", "home false, role , declared false, relay false"},
	} {
		a := netip.MustParseAddr(row.addr)
		b, v6 := flowtable.Addr(a.As16()), a.Unmap().Is6()
		if got := fmt.Sprintf("home %v, role %s, declared %v, relay %v", d.Home.Has(b, v6),
			d.Role(b), d.IsDeclared(b), d.IsRelay(b, v6)); got != row.want {
			t.Errorf("%s: %s, want %s", row.addr, got, row.want)
		}
		if n := NetIP(b, v6); n != a.Unmap() {
			t.Errorf("%s becomes %s", a, n)
		}
	}
	unused := d.Unused(func(flowtable.Addr) bool { return false })
	if want := []string{"smtp_servers 10.0.0.9", "allowed_relays 198.51.100.0/24",
		"ignore 10.0.0.66"}; !slices.Equal(unused, want) {
		t.Errorf("unused: %q, want %q", unused, want)
	}
	a := netip.MustParseAddr("10.0.0.66")
	if d.Ignored(a, 99) == nil || d.Ignored(a, 100) != nil {
		t.Error("an exception does not end at its time")
	}
	unused = d.Unused(func(flowtable.Addr) bool { return true })
	if want := "ignore 10.0.0.66 (over since the end of 1970-01-01)"; unused[len(unused)-1] != want {
		t.Errorf("unused: %q, want %q", unused, want)
	}
}

// TestNet checks which servers count as one network: a /24 of IPv4, a /48 of IPv6.
func TestNet(t *testing.T) {
	d := testDirectory()
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.200", true}, {"192.0.2.1", "192.0.3.1", false},
		{"2001:db8:1:2::1", "2001:db8:1:3::2", true}, {"2001:db8:1::1", "2001:db8:2::1", false},
	} {
		a, b := netip.MustParseAddr(row.a), netip.MustParseAddr(row.b)
		if got := d.Net(a.As16(), a.Is6()) == d.Net(b.As16(), b.Is6()); got != row.same {
			t.Errorf("%s and %s are one network: %v", a, b, got)
		}
	}
}

// TestRefusalCache checks that a reason is the same from the text and from the cache, and that a
// text with a citation is cited each time.
func TestRefusalCache(t *testing.T) {
	secret := flowtable.SecretFrom([]byte("0123456789abcdef"))
	c := RefusalCache{Secret: &secret}
	for _, row := range []struct {
		text   string
		reason refusal.Reason
		list   string
	}{
		{"5.1.1 no such user here", refusal.UserUnknown, ""},
		{"5.7.1 blocked using zen.spamhaus.org", refusal.Blocklisted, "zen.spamhaus.org"},
	} {
		for range 2 {
			ev := smtpsniff.Event{Code: 550, Text: []byte(row.text), Redacted: []byte(row.text)}
			reason, cited, _ := c.Reason(nil, &ev)
			if reason != row.reason || cited.List != row.list {
				t.Errorf("%s: %v, list %q", row.text, reason, cited.List)
			}
			if _, list := c.Shown(smtpsniff.Refusal{Code: 550}, ev.Text, nil); list != row.list {
				t.Errorf("%s: List is %q, want %q", row.text, list, row.list)
			}
		}
	}
}
