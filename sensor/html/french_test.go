package html

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"spamsensor/sensor/lang/langtest"
	"strings"
	"testing"
	"text/template/parse"
)

// texts are the English texts and formats of this package: those of templates and of Go.
func texts(t *testing.T) (list []string) {
	t.Helper()
	names, err := filepath.Glob("templates/*.html")
	if err != nil || len(names) == 0 {
		t.Fatal("no templates", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p := parse.New(name)
		p.Mode = parse.SkipFuncCheck
		trees := map[string]*parse.Tree{}
		if _, err := p.Parse(string(text), "", "", trees); err != nil {
			t.Fatal(err)
		}
		for _, tree := range trees {
			walk(tree.Root, &list)
			untranslated(t, tree)
		}
	}
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

// walk collects the literal arguments of the functions of a template that translate.
func walk(n parse.Node, list *[]string) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, x := range n.Nodes {
				walk(x, list)
			}
		}
	case *parse.ActionNode:
		walk(n.Pipe, list)
	case *parse.PipeNode:
		if n != nil {
			for _, x := range n.Cmds {
				walk(x, list)
			}
		}
	case *parse.CommandNode:
		f, _ := n.Args[0].(*parse.IdentifierNode)
		for _, a := range n.Args {
			if s, ok := a.(*parse.StringNode); ok && f != nil && (f.Ident == "t" || f.Ident == "f" || f.Ident == "plural") {
				*list = append(*list, s.Text)
			}
			walk(a, list)
		}
	case *parse.IfNode:
		walkBranch(&n.BranchNode, list)
	case *parse.RangeNode:
		walkBranch(&n.BranchNode, list)
	case *parse.WithNode:
		walkBranch(&n.BranchNode, list)
	}
}

func walkBranch(n *parse.BranchNode, list *[]string) {
	walk(n.Pipe, list)
	walk(n.List, list)
	walk(n.ElseList, list)
}

// untranslated finds words of a template that are in no language: names, which are the same in all.
func untranslated(t *testing.T, tree *parse.Tree) {
	t.Helper()
	text := regexp.MustCompile(`\{\{.*?\}\}|<[^>]*>|<!DOCTYPE[^>]*`).ReplaceAllString(tree.Root.String(), " ")
	for _, word := range regexp.MustCompile(`[A-Za-z]{2,}`).FindAllString(text, -1) {
		switch word {
		case "spamsensor", "MAC", "VLAN", "SHA", "lt", "gt":
		default:
			t.Errorf("template %s: %q is not translated", tree.Name, word)
		}
	}
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
