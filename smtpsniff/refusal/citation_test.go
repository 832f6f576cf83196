package refusal

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
)

func TestParseCitation(t *testing.T) {
	for text, want := range map[string]Citation{
		"5.7.1 Service unavailable; Client host [77.234.40.37] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/77.234.40.37": {List: "zen.spamhaus.org", Addrs: addrs("77.234.40.37")},
		"5.7.1 Your IP 203.0.113.9 is listed at bl.example.net. See http://bl.example.net/q":                                                   {List: "bl.example.net", Addrs: addrs("203.0.113.9")},
		"Blocked - see https://www.spamcop.net/bl.shtml?203.0.113.9":                                                                           {List: "spamcop.net", Addrs: nil},
		"rejected: 203.0.113.9 found in dnsbl.sorbs.net":                                                                                       {List: "dnsbl.sorbs.net", Addrs: addrs("203.0.113.9")},
		"Mail from 203.0.113.9 refused, see RBL xbl.spamhaus.org":                                                                              {List: "xbl.spamhaus.org", Addrs: addrs("203.0.113.9")},
		"User unknown <b@example.org>":                                                                                                         {List: "", Addrs: nil},
		"Relay access denied, see http://www.example.org/help":                                                                                 {List: "", Addrs: nil},
		"temporarily deferred due to user complaints - 4.16.55.1; see https://help.yahoo.example/kb":                                           {List: "", Addrs: addrs("4.16.55.1")},
		"Mail from 203.0.113.9 refused by blacklist: bl.example.net":                                                                           {List: "bl.example.net", Addrs: addrs("203.0.113.9")},
		"your address is on the blocklist \"ix.dnsbl.manitu.net\"":                                                                             {List: "ix.dnsbl.manitu.net", Addrs: nil},
		"greylisted using example.org":                                                                                                         {List: "", Addrs: nil},
		"Client host [10.0.0.7] blocked using b.barracudacentral.org":                                                                          {List: "b.barracudacentral.org", Addrs: nil},
		"listed on \"dbl.spamhaus.org\"; [IPv6:2a01:4f8::1] is blocked":                                                                        {List: "", Addrs: addrs("2a01:4f8::1")}, // a list of domains
	} {
		if got := ParseCitation(text); got.List != want.List ||
			!reflect.DeepEqual(got.Addrs, want.Addrs) && len(want.Addrs) > 0 {
			t.Errorf("%q:\n got %v\nwant %v", text, got, want)
		}
	}
}

// TestMayCite: a text that is not read further names no list and quotes no address.
func TestMayCite(t *testing.T) {
	pieces := []string{".", ":", "::", "1", "203.0.113.9", "2a01:4f8::1",
		"::ffff:203.0.113.9", " ", "bl.example.net", "BL.EXAMPLE.NET", "a", "de",
		".\u212ay", ".\u0130o", "\xff", "-", "_", "[", "]", "https://", "www.", "listed", "blocked", "5.1.1 User unknown", "\n", "%eth0"}
	pieces = append(pieces, cues...)
	rnd := rand.New(rand.NewPCG(1, 2))
	skipped := [2]int{}
	for range 200000 {
		var text string
		for range 1 + rnd.IntN(6) {
			text += pieces[rnd.IntN(len(pieces))]
		}
		name, addr := mayCite(text)
		r := read(text)
		if list, _ := r.list(); !name && list != "" {
			t.Fatalf("%q names %s", text, list)
		}
		if !addr && len(r.addrs) > 0 {
			t.Fatalf("%q quotes %v", text, r.addrs)
		}
		if !name {
			skipped[0]++
		}
		if !addr {
			skipped[1]++
		}
	}
	if skipped[0] < 1000 || skipped[1] < 1000 {
		t.Errorf("only %v texts are not read further", skipped)
	}
	if name, addr := mayCite("5.1.1 User unknown"); name || addr {
		t.Error("a usual refusal is read further")
	}
}

func TestGreetedAddress(t *testing.T) {
	for text, want := range map[string]string{
		"mx.example.org Hello 10.0.0.13 [203.0.113.7]":            "203.0.113.7",
		"mx.example.org hello [203.0.113.7], pleased to meet you": "203.0.113.7",
		"mx.example.org Hello [IPv6:2600::7]":                     "2600::7",
		"mx.example.org Hello [10.0.0.13]":                        "",
		"mx.example.org [not an address]":                         "",
		"mx.example.org [":                                        "",
		"mx.example.org":                                          "",
	} {
		if a, ok := GreetedAddress([]byte(text)); ok != (want != "") || ok && a.String() != want {
			t.Errorf("%q: %v %v, want %q", text, a, ok, want)
		}
	}
}

func addrs(list ...string) (a []netip.Addr) {
	for _, s := range list {
		a = append(a, netip.MustParseAddr(s))
	}
	return a
}
