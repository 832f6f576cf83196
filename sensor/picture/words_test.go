package picture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/leonelquinteros/gotext"
)

// literal is a text of the source, put together with + where it is long.
func literal(e ast.Expr) (string, bool) {
	switch x := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(x.Value)
		return s, err == nil && x.Kind == token.STRING
	case *ast.BinaryExpr:
		a, okA := literal(x.X)
		b, okB := literal(x.Y)
		return a + b, okA && okB
	}
	return "", false
}

// TestWords checks that every text that is printed has a translation.
func TestWords(t *testing.T) {
	texts, err := filepath.Glob("../lang/fr/*.po")
	if err != nil {
		t.Fatal(err)
	}
	known, own := map[string]bool{}, map[string]bool{}
	for _, name := range texts {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		po := gotext.NewPo()
		po.Parse(text)
		for id, entry := range po.GetDomain().GetTranslations() {
			known[id] = entry.Trs[0] != ""
			own[id] = own[id] || filepath.Base(name) == "picture.po"
			if entry.PluralID != "" {
				known[entry.PluralID] = entry.Trs[1] != ""
			}
		}
	}
	want := slices.Clone(months[:])
	want = append(want, "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Suspect", "Likely", "Confirmed",
		"suspect", "likely", "confirmed", "opened", "updated", "closed", "acknowledged", "suspended", "resumed")
	for _, unit := range []string{"k", "M", "G"} {
		want = append(want, "%d"+unit, "%.1f"+unit)
	}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Text", "Sprintf", "Plural"}, f.Sel.Name) {
				return true
			}
			if x, ok := f.X.(*ast.Ident); !ok || x.Name != "p" {
				return true
			}
			for _, a := range call.Args {
				if s, ok := literal(a); ok {
					want = append(want, s)
				}
				if f.Sel.Name != "Plural" {
					break
				}
			}
			return true
		})
	}
	if len(want) < 120 {
		t.Errorf("only %d texts", len(want))
	}
	for s := range own {
		if own[s] && s != "" && !slices.Contains(want, s) {
			t.Errorf("nothing says %q", s)
		}
	}
	for _, s := range want {
		if !known[s] {
			t.Errorf("no French for %q", s)
		}
	}
}
