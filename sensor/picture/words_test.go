package picture

import (
	"go/ast"
	"slices"
	"spamsensor/sensor/lang/langtest"
	"testing"
)

// TestWords checks that every text that is printed has a translation.
func TestWords(t *testing.T) {
	known := langtest.Translations(t, "../lang/fr")
	want := slices.Clone(months[:])
	want = append(want, "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Suspect", "Likely", "Confirmed",
		"suspect", "likely", "confirmed", "opened", "updated", "closed", "acknowledged", "suspended", "resumed")
	for _, unit := range []string{"k", "M", "G"} {
		want = append(want, "%d"+unit, "%.1f"+unit)
	}
	langtest.Walk(t, func(n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok || !slices.Contains([]string{"Text", "Sprintf", "Plural"}, langtest.Called(call)) {
			return
		}
		f, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return
		}
		if x, ok := f.X.(*ast.Ident); !ok || x.Name != "p" {
			return
		}
		for _, a := range call.Args {
			if s, ok := langtest.Literal(a); ok {
				want = append(want, s)
			}
			if f.Sel.Name != "Plural" {
				break
			}
		}
	})
	if len(want) < 120 {
		t.Errorf("only %d texts", len(want))
	}
	for s, x := range known {
		if x.File == "picture.po" && s != x.PluralID && !slices.Contains(want, s) {
			t.Errorf("nothing says %q", s)
		}
	}
	for _, s := range want {
		if x, ok := known[s]; !ok || x.Of(s) == "" {
			t.Errorf("no French for %q", s)
		}
	}
}
