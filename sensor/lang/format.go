package lang

import (
	"regexp"
	"strconv"
	"strings"
)

// format is a text with verbs, as fmt.Sprintf has them.
type format []part

// part is a literal text, or a verb if verb is not empty. arg is the index of its argument.
type part struct {
	literal, verb string
	arg           int
}

// verbs are a flag, width, precision, index, and the letter.
var verbs = regexp.MustCompile(`%[-+# 0]*\d*(?:\.\d+)?(?:\[(\d+)\])?[a-zA-Z%]`)

// parse divides a format into its parts.
func parse(s string) (f format) {
	next := 0
	literal := func(s string) {
		if s == "" {
			return
		}
		if last := len(f) - 1; last >= 0 && f[last].verb == "" {
			f[last].literal += s
			return
		}
		f = append(f, part{literal: s})
	}
	for {
		at := verbs.FindStringSubmatchIndex(s)
		if at == nil {
			literal(s)
			return f
		}
		verb := s[at[0]:at[1]]
		literal(s[:at[0]])
		switch {
		case strings.HasSuffix(verb, "%"):
			literal("%")
		case at[2] >= 0:
			n, _ := strconv.Atoi(s[at[2]:at[3]])
			verb = s[at[0]:at[2]-1] + s[at[3]+1:at[1]]
			f = append(f, part{verb: verb, arg: n - 1})
			next = n
		default:
			f = append(f, part{verb: verb, arg: next})
			next++
		}
		s = s[at[1]:]
	}
}

// isNumber reports whether a part writes a number.
func (p *part) isNumber() bool { return strings.ContainsAny(p.verb[len(p.verb)-1:], "dfg") }

// fill writes a format with arguments that are texts already. One that is missing is left out. What
// %q has quoted loses its quotation marks where the format has French ones around it.
func (f format) fill(args []string) string {
	var b strings.Builder
	for i := range f {
		switch x := &f[i]; {
		case x.verb == "":
			b.WriteString(x.literal)
		case x.arg < len(args):
			b.WriteString(f.unquoted(i, args[x.arg]))
		}
	}
	return b.String()
}

// The quotation marks of French, with their no-break spaces.
const guillemet, guillemetEnd = "«\u00a0", "\u00a0»"

// unquoted is the argument of a part without the marks of %q, if the literals around the part have
// quotation marks. What is escaped stays so: it may come from the wire.
func (f format) unquoted(i int, arg string) string {
	if i > 0 && i+1 < len(f) && len(arg) > 1 && arg[0] == '"' && arg[len(arg)-1] == '"' &&
		strings.HasSuffix(f[i-1].literal, guillemet) &&
		strings.HasPrefix(f[i+1].literal, guillemetEnd) {
		return arg[1 : len(arg)-1]
	}
	return arg
}

// pattern is the expression of the texts that a format writes.
func (f format) pattern() string {
	var b strings.Builder
	for i := range f {
		x := &f[i]
		switch {
		case x.verb == "":
			b.WriteString(regexp.QuoteMeta(x.literal))
		case x.isNumber():
			b.WriteString(`([-+]?[\d,.]*\d)`)
		case strings.HasSuffix(x.verb, "q"):
			b.WriteString(`("(?:[^"\\]|\\.)*")`)
		default:
			b.WriteString(`(.*?)`)
		}
	}
	return b.String()
}
