package lang

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// formats finds the format that made a sentence. The formats are sorted by how much of them is
// literal text: the one that says most comes first.
type formats struct {
	byWord map[string][]*candidate // by the first word of the format; "" if it begins with a verb
}

// candidate is a format that may have made a sentence. Its expression is compiled when it is needed
// first.
type candidate struct {
	key      string
	format   format
	literals int
	compile  func() *regexp.Regexp
}

// leastLetters is how many letters a format has at least that may be found in a sentence, unless it
// mostly writes numbers: "%s to %s" fits everywhere.
const leastLetters = 4

// newFormats indexes formats.
func newFormats(keys []string) *formats {
	f := &formats{byWord: map[string][]*candidate{}}
	for _, key := range keys {
		c := &candidate{key: key, format: parse(key)}
		letters, texts, numbers := 0, 0, 0
		for i := range c.format {
			p := &c.format[i]
			c.literals += len(p.literal)
			for _, r := range p.literal {
				if unicode.IsLetter(r) {
					letters++
				}
			}
			switch {
			case p.verb == "":
			case p.isNumber():
				numbers++
			default:
				texts++
			}
		}
		if letters == 0 || letters < leastLetters && texts > 0 && texts >= numbers {
			continue
		}
		c.compile = sync.OnceValue(c.expression)
		word := c.format.firstWord()
		f.byWord[word] = append(f.byWord[word], c)
	}
	for _, list := range f.byWord {
		slices.SortFunc(list, func(a, b *candidate) int {
			return cmp.Or(cmp.Compare(b.literals, a.literals), cmp.Compare(a.key, b.key))
		})
	}
	return f
}

// expression is that of the sentences that a format makes. What follows a full stop may be the next
// sentence.
func (c *candidate) expression() *regexp.Regexp {
	end := `()$`
	if strings.ContainsAny(c.key[len(c.key)-1:], ".?!") {
		end = `(?:()$|( [A-Z(].*)$)`
	}
	return regexp.MustCompile(`(?s)^` + c.format.pattern() + end)
}

// firstWord is the first word of a format, empty if a verb is a part of it.
func (f format) firstWord() string {
	if len(f) == 0 || f[0].verb != "" {
		return ""
	}
	word, _, cut := strings.Cut(f[0].literal, " ")
	if !cut && len(f) > 1 {
		return ""
	}
	return word
}

// fits reports whether the literal texts of a format are in a text, in their order.
func (f format) fits(s string) bool {
	for i := range f {
		at := strings.Index(s, f[i].literal)
		if at < 0 || i == 0 && at > 0 && f[i].verb == "" {
			return false
		}
		s = s[at+len(f[i].literal):]
	}
	return true
}

// find returns the format that made the beginning of a text, its arguments, and the rest of the
// text; nil if there is none.
func (f *formats) find(s string) (c *candidate, args []string, rest string) {
	word, _, _ := strings.Cut(s, " ")
	for _, list := range [][]*candidate{f.byWord[word], f.byWord[""]} {
		for _, c := range list {
			if !c.format.fits(s) {
				continue
			}
			m := c.compile().FindStringSubmatch(s)
			if m == nil {
				continue
			}
			n := len(c.format.verbs())
			return c, m[1 : 1+n], m[len(m)-1]
		}
	}
	return nil, nil, ""
}

// maxDepth bounds how deep the arguments of a sentence are translated: an argument may be a
// sentence with arguments, a list, and an item of it.
const maxDepth = 6

// Sentence translates a sentence, or several, or lines of them, that the program has written in
// English before. Where no format fits, what is known of its clauses and lists is translated. The
// rest stays as it is.
func (p *Printer) Sentence(s string) string {
	if p == nil {
		return s
	}
	if e, before, after := p.entry(s); e != nil {
		return before + e.text() + after
	}
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = p.sentence(l, maxDepth)
	}
	return strings.Join(lines, "\n")
}

func (p *Printer) sentence(s string, depth int) string {
	text := strings.TrimSpace(s)
	if text == "" || depth == 0 {
		return s
	}
	at := strings.Index(s, text)
	return s[:at] + p.sentences(text, depth) + s[at+len(text):]
}

// sentences translates sentences that follow each other.
func (p *Printer) sentences(s string, depth int) string {
	var b strings.Builder
	for s != "" {
		if text, ok := p.whole(s); ok {
			b.WriteString(text)
			return b.String()
		}
		c, args, rest := p.formats.find(s)
		if c == nil {
			// The first sentence is not known; the next ones may be.
			i := strings.Index(s, ". ")
			if i < 0 {
				b.WriteString(p.clauses(s, depth))
				return b.String()
			}
			b.WriteString(p.clauses(s[:i], depth) + ". ")
			s = s[i+2:]
			continue
		}
		text := p.entries[c.key].one.fill(p.arguments(c.format, args, depth))
		b.WriteString(capital(text, s))
		if rest != "" {
			b.WriteByte(' ')
		}
		s = strings.TrimPrefix(rest, " ")
	}
	return b.String()
}

// capital begins a text with a capital letter if its English begins with none that is small, and
// is a sentence: a count may have become words.
func capital(text, english string) string {
	r, n := utf8.DecodeRuneInString(text)
	first, _ := utf8.DecodeRuneInString(english)
	if unicode.IsLower(r) && unicode.IsDigit(first) && strings.HasSuffix(english, ".") {
		return string(unicode.ToUpper(r)) + text[n:]
	}
	return text
}

// whole translates a text that has no arguments but a count.
func (p *Printer) whole(s string) (string, bool) {
	if e := p.entries[s]; e != nil && len(e.one) > 0 && parse(s).plain() {
		return e.text(), true
	}
	if thousands.MatchString(s) {
		return p.number(s), true
	}
	return p.counted(s)
}

// thousands is a number whose thousands are set apart in English.
var thousands = regexp.MustCompile(`^\d{1,3}(,\d{3})+$`)

// arguments translates the arguments of a format. A quotation stays as it is.
func (p *Printer) arguments(f format, args []string, depth int) []string {
	n := 0
	for i := range f {
		x := &f[i]
		if x.verb == "" {
			continue
		}
		quoted := x.verb == "%q" || i > 0 && strings.HasSuffix(f[i-1].literal, `"`)
		switch {
		case x.isNumber():
			args[n] = p.number(args[n])
		case quoted:
		case quotations.MatchString(args[n]):
			args[n] = quotation.ReplaceAllString(args[n], guillemet+"$1"+guillemetEnd)
		default:
			args[n] = p.sentence(args[n], depth-1)
		}
		n++
	}
	return args
}

// quotations is a list of texts that %q has written, "..." may end it; quotation is one of them.
var (
	quotation  = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)
	quotations = regexp.MustCompile(`^"(?:[^"\\]|\\.)*"(?:, (?:"(?:[^"\\]|\\.)*"|\.\.\.))*$`)
)

// separators are between the clauses of a sentence and the items of a list, the weakest last. In
// French some have another form.
var separators = []struct{ english, french string }{
	{"; ", "\u00a0; "}, {": ", "\u00a0: "}, {", and ", " et "}, {", ", ", "}, {" and ", " et "},
	{" to ", " vers "}, {" in ", " en "},
}

// clauses translates the clauses, items of lists and parentheses that are known of a sentence that
// no format made.
func (p *Printer) clauses(s string, depth int) string {
	if i := strings.LastIndex(s, " ("); i > 0 && strings.HasSuffix(s, ")") &&
		divided(s[i:]) { // first, or it would be divided
		if text := p.parenthesis(s, i, depth); text != s {
			return text
		}
	}
	if text, ok := p.behindName(s, depth); ok {
		return text
	}
	for _, x := range separators {
		parts := strings.Split(s, x.english)
		known := false
		for i, part := range parts {
			if len(parts) > 1 {
				parts[i] = p.sentence(part, depth-1)
			}
			known = known || parts[i] != part
		}
		if known {
			return strings.Join(parts, x.french)
		}
	}
	if i := strings.LastIndex(s, " ("); i > 0 && strings.HasSuffix(s, ")") {
		return p.parenthesis(s, i, depth)
	}
	return s
}

// surely is how many letters a format has at least that is known without looking at the rest.
const surely = 20

// behindName translates a sentence behind the name of a file or a setting, which has clauses of its
// own: it must not be divided at them.
func (p *Printer) behindName(s string, depth int) (string, bool) {
	name, rest, ok := strings.Cut(s, ": ")
	if !ok || strings.Contains(name, " ") {
		return "", false
	}
	_, known := p.whole(rest)
	if c, _, _ := p.formats.find(rest); !known && (c == nil || c.literals < surely) {
		return "", false
	}
	return p.sentence(name, depth-1) + "\u00a0: " + p.sentence(rest, depth-1), true
}

// divided reports whether a text has clauses or items.
func divided(s string) bool {
	for _, x := range separators {
		if strings.Contains(s, x.english) {
			return true
		}
	}
	return false
}

// parenthesis translates a text, and the parenthesis at its end, which begins at i.
func (p *Printer) parenthesis(s string, i, depth int) string {
	text, ok := p.whole(s[i+1:])
	if !ok {
		text = "(" + p.sentence(s[i+2:len(s)-1], depth-1) + ")"
	}
	return p.sentence(s[:i], depth-1) + " " + text
}

// plain reports whether a format has no verb.
func (f format) plain() bool { return len(f) == 1 && f[0].verb == "" }

// verbs are the verbs of a format, in the order in which they are written.
func (f format) verbs() (list []*part) {
	for i := range f {
		if f[i].verb != "" {
			list = append(list, &f[i])
		}
	}
	return list
}

// counted translates a count with its noun.
func (p *Printer) counted(s string) (string, bool) {
	n, noun, ok := strings.Cut(s, " ")
	if !ok {
		return "", false
	}
	count, err := strconv.ParseUint(strings.ReplaceAll(n, ",", ""), 10, 64)
	if err != nil {
		return "", false
	}
	e := p.entries[noun]
	if e == nil || e.other == nil {
		return "", false
	}
	return p.Number(count) + " " + e.form(p.tag, count).fill(nil), true
}
