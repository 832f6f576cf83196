package detect

import (
	"testing"
)

func TestClassifyHelo(t *testing.T) {
	for name, want := range map[string]heloClass{
		"mail.example.org": heloProper, "[192.0.2.1]": heloProper, "[IPv6:2001:db8::1]": heloProper, "mx1.a-b.example.co.uk.": heloProper,
		"mail-1-2.example.org": heloProper, "host2024.example.org": heloProper, "10.example.org": heloProper,
		"": heloEmpty, "PC-ANNA": heloPlain, "friend": heloPlain, "localhost": heloLocalhost, "localhost.example": heloLocalhost, "LOCALHOST.localdomain": heloHome,
		"10.0.0.36": heloBareIP, "2001:db8::1": heloBareIP, "anna.home": heloHome, "pc.fritz.lan": heloHome, "x.local": heloHome,
		"173-66-46-112.wash.fios.example.net": heloDynamic, "1.2.3.4.dsl.example.net": heloDynamic, "ip-10-0-0-1.example.net": heloDynamic,
		"p5dd2a1b2.dip0.example.net": heloProper, "999.1.2.3.example.net": heloProper,
	} {
		if got := classifyHelo(name); got != want {
			t.Errorf("%q: %s, want %s", name, got.text(), want.text())
		}
	}
}

// TestHeloToProviders: names given to a provider do not count, except a bare address: no mail
// client writes it so.
func TestHeloToProviders(t *testing.T) {
	for name, want := range map[string]bool{"ANNAS-PC": false, "[192.168.1.7]": false, "localhost": false, "192.168.1.7": true} {
		for _, abroad := range []bool{false, true} {
			s := newScene()
			s.see(Observation{Kind: KindHelo, Text: []byte(name), Hash: 1, Port: 587, External: abroad})
			if s.p.has(HeloName) != (want && abroad) {
				t.Errorf("%s to a provider (%v): counts %v", name, abroad, !want)
			}
		}
	}
}
