package lang

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// formats finds the format that made a sentence. The formats are sorted by how much of them is
// literal text: the one that says most comes first.
type formats struct {
	byWord map[string][]*candidate // by the first word of the format; "" if it begins with a verb
}

// candidate is a format that may have made a sentence. Its expressions are compiled when they are
// needed first.
type candidate struct {
	key      string
	format   format
	literals int
	compile  func() *regexp.Regexp
}

// newFormats indexes formats.
func newFormats(keys []string) *formats {
	f := &formats{byWord: map[string][]*candidate{}}
	for _, key := range keys {
		c := &candidate{key: key, format: parse(key)}
		for _, p := range c.format {
			c.literals += len(p.literal)
		}
		c.compile = sync.OnceValue(func() *regexp.Regexp {
			// What follows is the end, or the next sentence.
			return regexp.MustCompile(`(?s)^` + c.format.pattern() + `(?:$|( [A-Z(].*)$)`)
		})
		word := ""
		if len(c.format) > 0 {
			word, _, _ = strings.Cut(c.format[0].literal, " ")
			if len(c.format[0].literal) == len(word) && len(c.format) > 1 {
				word = "" // a verb is a part of the first word
			}
		}
		f.byWord[word] = append(f.byWord[word], c)
	}
	for _, list := range f.byWord {
		slices.SortFunc(list, func(a, b *candidate) int {
			return cmp.Or(cmp.Compare(b.literals, a.literals), cmp.Compare(a.key, b.key))
		})
	}
	return f
}

// find returns the format that made the beginning of a text, its arguments, and the rest of the
// text; nil if there is none.
func (f *formats) find(s string) (c *candidate, args []string, rest string) {
	word, _, _ := strings.Cut(s, " ")
	for _, list := range [][]*candidate{f.byWord[word], f.byWord[""]} {
		for _, c := range list {
			if c.literals == 0 {
				continue
			}
			if m := c.compile().FindStringSubmatch(s); m != nil {
				return c, m[1 : len(m)-1], m[len(m)-1]
			}
		}
	}
	return nil, nil, ""
}

// maxDepth bounds how deep the arguments of a sentence are translated: an argument may be a
// sentence with arguments.
const maxDepth = 4

// Sentence translates a sentence, or several, that the program has written in English before. What
// no format fits stays as it is.
func (p *Printer) Sentence(s string) string {
	if p == nil {
		return s
	}
	return p.sentence(s, maxDepth)
}

func (p *Printer) sentence(s string, depth int) string {
	var b strings.Builder
	for s != "" && depth > 0 {
		if e := p.entries[s]; e != nil && len(e.one) > 0 && parse(s).plain() {
			b.WriteString(e.one.fill(nil))
			return b.String()
		}
		if text, ok := p.counted(s); ok {
			b.WriteString(text)
			return b.String()
		}
		c, args, rest := p.formats.find(s)
		if c == nil {
			// The first sentence stays; the next ones may be known.
			i := strings.Index(s, ". ")
			if i < 0 {
				break
			}
			b.WriteString(s[:i+2])
			s = s[i+2:]
			continue
		}
		for i, a := range args {
			if x := c.format.verb(i); x.isNumber() {
				args[i] = p.number(a)
			} else {
				args[i] = p.sentence(a, depth-1)
			}
		}
		b.WriteString(p.entries[c.key].one.fill(args))
		if rest != "" {
			b.WriteByte(' ')
		}
		s = strings.TrimPrefix(rest, " ")
	}
	b.WriteString(s)
	return b.String()
}

// plain reports whether a format has no verb.
func (f format) plain() bool { return len(f) == 1 && f[0].verb == "" }

// verb is the verb of an argument.
func (f format) verb(n int) *part {
	for i := range f {
		if f[i].verb == "" {
			continue
		}
		if n == 0 {
			return &f[i]
		}
		n--
	}
	return &part{verb: "%s"}
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
