package heloname

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// plainClassify is Classify question by question.
func plainClassify(name string) Class {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	switch {
	case name == "":
		return Empty
	case strings.HasPrefix(name, "["):
		return Full
	case name == "localhost", strings.HasSuffix(name, ".localhost"),
		strings.HasPrefix(name, "localhost.") && name != "localhost.localdomain":
		return Localhost
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return BareAddress
	}
	if !strings.Contains(name, ".") {
		return Word
	}
	for _, suffix := range []string{".home", ".lan", ".local", ".localdomain", ".internal"} {
		if strings.HasSuffix(name, suffix) {
			return Home
		}
	}
	if embedsAddress(name) {
		return Dynamic
	}
	return Full
}

// TestClassifyAsPlain compares both for names that are put together from their usual parts.
func TestClassifyAsPlain(t *testing.T) {
	parts := []string{".", ".", "-", ":", "1", "10", "255", "256", "a", "host", "localhost", "LocalHost", "localdomain",
		"local", "LAN", "home", "internal", "[", "]", "%", "fe80::1", "192.0.2.1", "\u0130", "\u212a", "\xff", "_", " ", ""}
	rng := rand.New(rand.NewPCG(1, 2))
	seen := map[Class]int{}
	for range 300000 {
		name := ""
		for range rng.IntN(8) {
			name += parts[rng.IntN(len(parts))]
		}
		got, want := Classify(name), plainClassify(name)
		if got != want {
			t.Fatalf("%q: %s, want %s", name, got, want)
		}
		seen[got]++
	}
	for c := Full; c <= Empty; c++ {
		if seen[c] < 100 {
			t.Errorf("%s: %d names", c, seen[c])
		}
	}
}
