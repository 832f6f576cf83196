package detect

import (
	"strings"
	"testing"
)

// TestSentencesOfManyThings: where counting stops the sentence has "at least", behind the whole number
// if it is known, so that it is true of a source that does more.
func TestSentencesOfManyThings(t *testing.T) {
	s := newScene().tries(2, 25, 1, true)
	for i := range 40 {
		s.helo("host" + string(rune('a'+i%26)) + string(rune('a'+i/26)))
		s.see(Observation{Kind: KindSender, Hash: mix(uint32(i)), External: true})
		s.see(Observation{Kind: KindRecipient, Hash: mix(uint32(i)), External: true})
		s.see(Observation{Kind: KindRelayDenied, Addr: mix(uint32(i))})
		s.see(Observation{Kind: KindDecided, Refused: true, Listed: false, Net: mix(uint32(i))})
		s.judge()
	}
	for code, want := range map[Code]string{HeloNames: "40 different names, at least 8 of them", SenderDomains: "40 domains, at least 10 of them",
		RecipientDomains: "at least ", RelayDenials: "At least 4 servers", Refusals: "refused all of its first"} {
		if !s.p.has(code) {
			t.Errorf("%s was not found", code)
		} else if text := s.p.Text(code, &s.n); !strings.Contains(text, want) {
			t.Errorf("%s: %q, want %q", code, text, want)
		}
	}
}

// TestTable: each row of the table has what its family needs, and a name of its own.
func TestTable(t *testing.T) {
	names := map[string]bool{}
	for code := range detectors {
		d := &detectors[code]
		if d.name == "" || names[d.name] || d.text == nil || d.family >= families {
			t.Errorf("code %d: %q of family %d", code, d.name, d.family)
		}
		if (d.holds == nil) != (d.family != Mitigating) {
			t.Errorf("%s: its functions do not fit its family", d.name)
		}
		names[d.name] = true
	}
}
