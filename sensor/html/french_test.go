package html

import (
	"go/ast"
	"regexp"
	"spamsensor/sensor/lang/langtest"
	"strings"
	"testing"
)

// texts are the English texts and formats of this package: those of templates and of Go.
func texts(t *testing.T) (list []string) {
	t.Helper()
	list = langtest.Templates(t, "templates/*.html", "spamsensor", "MAC", "VLAN", "SHA")
	langtest.Walk(t, func(n ast.Node) {
		if c, ok := n.(*ast.CallExpr); ok {
			list = append(list, goTexts(c)...)
		}
	})
	return list
}

// goTexts are the texts that a call translates: literals that are arguments of Text, Sprintf and
// Plural of a printer.
func goTexts(c *ast.CallExpr) (list []string) {
	f, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		if name, ok := c.Fun.(*ast.Ident); !ok || name.Name != "add" {
			return nil
		}
	} else if x, ok := f.X.(*ast.SelectorExpr); !ok || x.Sel.Name != "lang" {
		return nil
	}
	for _, a := range c.Args {
		if s, ok := langtest.Literal(a); ok {
			list = append(list, s)
		}
	}
	return list
}

// TestFrench: every text of this package has a translation with the same verbs.
func TestFrench(t *testing.T) {
	known := langtest.Translations(t, "../lang/fr")
	verbs := regexp.MustCompile(`%(\[\d\])?[.\d]*[a-z]`)
	list := texts(t)
	if len(list) < 100 {
		t.Fatalf("only %d texts", len(list))
	}
	for _, s := range list {
		english := strings.TrimSpace(s)
		x, ok := known[english]
		if !ok {
			t.Errorf("no French for %q", s)
			continue
		}
		if french := x.Of(english); len(verbs.FindAllString(s, -1)) != len(verbs.FindAllString(french, -1)) {
			t.Errorf("%q and %q have other verbs", s, french)
		}
	}
}
