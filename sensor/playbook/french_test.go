package playbook

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"spamsensor/sensor/lang"
)

// literal is the text of an expression of literals that are joined.
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

// spoken are the literal texts of this package that people read.
func spoken(t *testing.T) (list []string) {
	t.Helper()
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
			switch x := n.(type) {
			case *ast.CallExpr:
				called := ""
				switch f := x.Fun.(type) {
				case *ast.SelectorExpr:
					called = f.Sel.Name
					if id, ok := f.X.(*ast.Ident); ok && id.Name == "fmt" {
						called = "fmt." + called
					}
				case *ast.Ident:
					called = f.Name
				}
				at, known := map[string][]int{"Text": {0}, "Sprintf": {0}, "Plural": {1}, "add": {0}, "against": {1}, "note": {1}}[called]
				for _, i := range at {
					if s, ok := literal(x.Args[i]); known && ok && len(x.Args) > i {
						list = append(list, s)
					} else if call, ok := x.Args[i].(*ast.CallExpr); ok && len(call.Args) > 0 {
						if s, ok := literal(call.Args[0]); ok {
							list = append(list, s)
						}
					}
				}
			case *ast.ValueSpec:
				if len(x.Names) == 1 && (x.Names[0].Name == "labels" || x.Names[0].Name == "verdicts") {
					for _, e := range x.Values[0].(*ast.CompositeLit).Elts {
						if s, ok := literal(e.(*ast.KeyValueExpr).Value); ok {
							list = append(list, s)
						}
					}
				}
			}
			return true
		})
	}
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
