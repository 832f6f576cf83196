package heloname

import "testing"

// TestClassify has a name of each class, and names that are nearly of another.
func TestClassify(t *testing.T) {
	for name, want := range map[string]Class{
		"mail.example.org": Full, "[192.0.2.1]": Full, "[IPv6:2001:db8::1]": Full, "mx1.a-b.example.co.uk.": Full,
		"mail-1-2.example.org": Full, "host2024.example.org": Full, "10.example.org": Full,
		"": Empty, "PC-ANNA": Word, "friend": Word, "localhost": Localhost, "localhost.example": Localhost, "LOCALHOST.localdomain": Home,
		"10.0.0.36": BareAddress, "2001:db8::1": BareAddress, "anna.home": Home, "pc.fritz.lan": Home, "x.local": Home,
		"173-66-46-112.wash.fios.example.net": Dynamic, "1.2.3.4.dsl.example.net": Dynamic, "ip-10-0-0-1.example.net": Dynamic,
		"p5dd2a1b2.dip0.example.net": Full, "999.1.2.3.example.net": Full,
	} {
		if got := Classify(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}
