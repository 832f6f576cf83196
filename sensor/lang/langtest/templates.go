package langtest

import (
	"os"
	"regexp"
	"slices"
	"testing"
	"text/template/parse"
)

// Templates are the texts that the templates of a pattern translate: literal arguments of t, f and
// plural. A word of a template that is in no language is an error of the test, unless it is a name.
func Templates(t testing.TB, pattern string, names ...string) (list []string) {
	t.Helper()
	for _, name := range glob(t, pattern) {
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
			for _, word := range untranslated(tree.Root.String()) {
				if !slices.Contains(names, word) {
					t.Errorf("%s, template %s: %q is not translated", name, tree.Name, word)
				}
			}
		}
	}
	return list
}

var (
	markup = regexp.MustCompile(`\{\{.*?\}\}|<[^>]*>|<!DOCTYPE[^>]*|&[a-z]+;`)
	words  = regexp.MustCompile(`[A-Za-z]{2,}`)
)

// untranslated are the words of a template that no function translates.
func untranslated(text string) []string {
	return words.FindAllString(markup.ReplaceAllString(text, " "), -1)
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
			if s, ok := a.(*parse.StringNode); ok && f != nil &&
				(f.Ident == "t" || f.Ident == "f" || f.Ident == "plural") {
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
