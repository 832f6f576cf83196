package playbook

import (
	"go/ast"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/lang/langtest"
)

// spoken are the literal texts of this package that people read.
func spoken(t *testing.T) (list []string) {
	t.Helper()
	langtest.Walk(t, func(n ast.Node) {
		switch x := n.(type) {
		case *ast.CallExpr:
			at, known := map[string][]int{"Text": {0}, "Sprintf": {0}, "Plural": {1}, "add": {0}, "against": {1}, "note": {1}}[langtest.Called(x)]
			for _, i := range at {
				if s, ok := langtest.Literal(x.Args[i]); known && ok && len(x.Args) > i {
					list = append(list, s)
				} else if call, ok := x.Args[i].(*ast.CallExpr); ok && len(call.Args) > 0 {
					if s, ok := langtest.Literal(call.Args[0]); ok {
						list = append(list, s)
					}
				}
			}
		case *ast.ValueSpec:
			if len(x.Names) == 1 && (x.Names[0].Name == "labels" || x.Names[0].Name == "verdicts") {
				for _, e := range x.Values[0].(*ast.CompositeLit).Elts {
					if s, ok := langtest.Literal(e.(*ast.KeyValueExpr).Value); ok {
						list = append(list, s)
					}
				}
			}
		}
	})
	slices.Sort(list)
	return slices.Compact(list)
}

// same are texts that are the same in both languages.
var same = []string{"macOS", "Note", "session", "message"}

// TestFrench checks that all texts of the package are translated.
func TestFrench(t *testing.T) {
	p := lang.New(lang.French)
	texts := spoken(t)
	if len(texts) < 100 {
		t.Errorf("only %d texts were found", len(texts))
	}
	for _, s := range texts {
		if !strings.ContainsAny(s, "abcdefghijklmnopqrstuvwxyz") || slices.Contains(same, s) {
			continue
		}
		if p.Text(s) == s {
			t.Errorf("no French for %q", s)
		}
	}
}
