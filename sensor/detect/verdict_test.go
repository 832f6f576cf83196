package detect

import (
	"reflect"
	"strings"
	"testing"

	"spamsensor/sensor/verdict"
)

func TestVerdicts(t *testing.T) {
	for _, r := range []struct {
		name string
		s    *scene
		want verdict.Level
		by   float64 // at the latest, in seconds
	}{
		{"one mail to the provider", newScene().tries(1, 587, 1, false), verdict.NoLevel, 0},
		{"mail client, all day", newScene().tries(200, 587, 300, false), verdict.NoLevel, 0},
		{"three accounts", newScene().tries(3, 465, 1, true).tries(100, 465, 600, false), verdict.NoLevel, 0},
		{"one mail to three MX", newScene().tries(3, 25, 1, true), verdict.NoLevel, 0},
		{"one new network a day, for a month", newScene().tries(30, 25, 86400, true), verdict.NoLevel, 0},
		{"application server to our relay", relayed(500), verdict.NoLevel, 0},
		{"burst to four networks", newScene().tries(4, 25, 0.01, true), verdict.Suspect, 0.05},
		{"slow, 60 networks a day", newScene().tries(6, 25, 1440, true), verdict.Suspect, 8000},
		{"very slow, 12 networks a day", newScene().tries(10, 25, 7200, true), verdict.Suspect, 72000},
		{"hammers one provider", newScene().tries(30, 25, 5, false), verdict.NoLevel, 0}, // 3.0 alone is not enough
		{"hammers one provider by a bare address", newScene().helo("10.0.0.36").helo("10.0.0.45").helo("a").tries(30, 25, 5, false).decided(6, Observation{Refused: true, About: AboutContent}), verdict.Likely, 400},
		{"six submission servers", newScene().tries(6, 587, 60, true), verdict.Suspect, 400},
		{"burst and a bare address", newScene().tries(12, 587, 0.01, true).helo("10.0.0.36"), verdict.Likely, 1},
		{"burst, address, refused, listed", newScene().tries(12, 25, 0.01, true).helo("10.0.0.36").sessions(6, true).listed(), verdict.Confirmed, 10},
		{"mail server with a proper name, accepted", newScene().helo("mail.example.org").tries(3, 25, 10, true).sessions(50, false), verdict.NoLevel, 0},
		{"named on a list, alone", newScene().tries(1, 25, 1, true).listed(), verdict.NoLevel, 0},
		{"half of it refused", newScene().tries(2, 25, 1, true).sessions(3, true).sessions(3, false).sessions(2, true).sessions(3, false), verdict.NoLevel, 0},
	} {
		if r.s.won != r.want || r.want > verdict.NoLevel && r.s.at > r.by {
			v := r.s.p.Judge(&r.s.n, r.s.now)
			t.Errorf("%s: %s after %.2f s (score %.1f), want %s within %.2f s", r.name, r.s.won, r.s.at, v.Score, r.want, r.by)
		}
	}
}

// TestReasons: reasons carry their numbers, and a family cannot convict alone.
func TestReasons(t *testing.T) {
	s := newScene().tries(200, 587, 0.1, true)
	if s.won != verdict.Suspect {
		t.Errorf("attempts alone give %s", s.won)
	}
	var codes []string
	s.p.Reasons(func(c Code, r *verdict.Reason) {
		codes = append(codes, c.String())
		if r.Weight <= 0 || r.First > r.Last || r.First < begin {
			t.Errorf("%s: %+v", c, *r)
		}
		if text := s.p.Text(c, &s.n); !strings.HasSuffix(text, ".") || strings.Contains(text, "%!") {
			t.Errorf("%s: %q", c, text)
		}
	})
	want := []string{"new_networks", "many_networks", "submission_spread", "flood"}
	if !reflect.DeepEqual(codes, want) {
		t.Errorf("found %v, want %v", codes, want)
	}
	if d := s.p.Decided(); d.Attempts != 4 || d.At-begin > 1e9 {
		t.Errorf("decided %+v", d)
	}
}
