package lang

import (
	"slices"
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	got := Wrap("Vos adresses\u00a0: 10.0.0.1 et\u00a0une autre", 14)
	if want := []string{"Vos adresses\u00a0:", "10.0.0.1", "et\u00a0une autre"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSentences(t *testing.T) {
	for _, want := range [][]string{nil, {"One."}, {"One"}, {"One of 10.0.0.1. it goes on.", "Two.", "École.", "À trois"}} {
		if got := Sentences(strings.Join(want, " ")); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
