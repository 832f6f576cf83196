// Package langtest is for tests that each text of a package has its translation. It finds texts in
// source files, and reads the translations from theirs.
package langtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/leonelquinteros/gotext"
)

// Entry is a translation, and the base name of its file.
type Entry struct {
	*gotext.Translation
	File string
}

// Translations are the translations of a directory by their English text, and by that of their
// plural. A text with two different translations is an error of the test.
func Translations(t testing.TB, dir string) map[string]Entry {
	t.Helper()
	all := map[string]Entry{}
	for _, name := range glob(t, filepath.Join(dir, "*.po")) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		po := gotext.NewPo()
		po.Parse(text)
		for id, x := range po.GetDomain().GetTranslations() {
			for _, key := range []string{id, x.PluralID} {
				if key == "" {
					continue
				}
				if before, ok := all[key]; ok && !reflect.DeepEqual(before.Trs, x.Trs) {
					t.Errorf("%s: %q is translated in two ways: %v, %v", name, key,
						before.Trs, x.Trs)
				}
				all[key] = Entry{x, filepath.Base(name)}
			}
		}
	}
	return all
}

// Of is the translation of an English text of the entry: its singular or its plural.
func (e Entry) Of(english string) string {
	if english == e.PluralID {
		return e.Trs[1]
	}
	return e.Trs[0]
}

// glob are the files of a pattern, of which there are some.
func glob(t testing.TB, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return names
}

// Walk calls f with each node of the source of the package in this directory, without its tests.
func Walk(t testing.TB, f func(ast.Node)) {
	t.Helper()
	for _, name := range glob(t, "*.go") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			f(n)
			return true
		})
	}
}

// Called is the name of the function or method of a call; with its package if that is fmt.
func Called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok && x.Name == "fmt" {
			return "fmt." + f.Sel.Name
		}
		return f.Sel.Name
	case *ast.Ident:
		return f.Name
	}
	return ""
}

// Literal is the value of an expression of literal texts.
func Literal(e ast.Expr) (text string, ok bool) {
	switch x := e.(type) {
	case *ast.BasicLit:
		if x.Kind == token.STRING {
			s, err := strconv.Unquote(x.Value)
			return s, err == nil
		}
	case *ast.ParenExpr:
		return Literal(x.X)
	case *ast.BinaryExpr:
		a, okA := Literal(x.X)
		b, okB := Literal(x.Y)
		return a + b, x.Op == token.ADD && okA && okB
	}
	return "", false
}
