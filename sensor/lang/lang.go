// Package lang translates what people read. The program writes English; the key of a translation
// is its English text or format, as in gettext, and the translations are PO files of that kind.
// Events, JSON and metrics stay English.
//
// Some sentences are finished when they arrive: the reasons, advice and health texts of events have
// passed through files and sockets. [Printer.Sentence] finds the format that made such a sentence,
// takes its arguments out of it, and writes them with the translation of the format. A sentence
// that no format fits stays English.
//
// Numbers and plural forms are those of the Unicode CLDR (golang.org/x/text).
package lang

import (
	"embed"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/leonelquinteros/gotext"
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

//go:embed fr/*.po
var files embed.FS

// English and French are the languages, by their tags of BCP 47.
const (
	English = "en"
	French  = "fr"
)

// Printer writes in a language. Several goroutines may use it. A nil Printer writes English.
type Printer struct {
	tag     language.Tag
	numbers *message.Printer
	entries map[string]*entry // by English text, the plural one too
	formats *formats
}

// entry is a translation. other is empty for a text without a plural. many says that the English
// text is the plural.
type entry struct {
	one, other format
	many       bool
}

// matcher chooses a language; the first is the default.
var matcher = language.NewMatcher([]language.Tag{language.English, language.French})

// Match is the best language for what somebody prefers: tags of BCP 47 (fr-CA), names of locales
// (fr_FR.UTF-8), or the value of an Accept-Language header. Empty ones say nothing.
func Match(preferred ...string) string {
	for _, p := range preferred {
		if !strings.Contains(p, ";") { // the name of a locale may end with an encoding
			p, _, _ = strings.Cut(p, ".")
		}
		tags, _, err := language.ParseAcceptLanguage(strings.ReplaceAll(p, "_", "-"))
		if err != nil {
			continue
		}
		for _, tag := range tags { // one by one: German counts as near to English otherwise
			if _, i, sure := matcher.Match(tag); sure >= language.High {
				return []string{English, French}[i]
			}
		}
	}
	return English
}

// New returns the printer of a language: English or French.
func New(tag string) *Printer {
	if tag == French {
		return french()
	}
	return nil
}

var french = sync.OnceValue(func() *Printer { return load(language.French, "fr") })

// load reads the translations of a language. They are part of the program, and a test reads them:
// an error is a fault of the program.
func load(tag language.Tag, dir string) *Printer {
	p := &Printer{tag: tag, numbers: message.NewPrinter(tag), entries: map[string]*entry{}}
	names, err := fs.Glob(files, dir+"/*.po")
	if err != nil {
		panic(err)
	}
	var keys []string
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err)
		}
		po := gotext.NewPo()
		po.Parse(text)
		for id, t := range po.GetDomain().GetTranslations() {
			if id == "" || t.Trs[0] == "" {
				continue
			}
			e := &entry{one: parse(t.Trs[0])}
			p.entries[id] = e
			keys = append(keys, id)
			if t.PluralID != "" {
				e.other = parse(t.Trs[1])
				p.entries[t.PluralID] = &entry{one: e.one, other: e.other, many: true}
			}
		}
	}
	p.formats = newFormats(keys)
	return p
}

// Tag is the language, for the attribute lang of HTML.
func (p *Printer) Tag() string {
	if p == nil {
		return English
	}
	return p.tag.String()
}

// Text translates a text that has no arguments.
func (p *Printer) Text(s string) string {
	if p == nil {
		return s
	}
	if e, before, after := p.entry(s); e != nil {
		return before + e.text() + after
	}
	return s
}

// entry is the translation of a text or format, and the white space around it: a key has none.
func (p *Printer) entry(s string) (e *entry, before, after string) {
	key := strings.TrimSpace(s)
	at := strings.Index(s, key)
	return p.entries[key], s[:at], s[at+len(key):]
}

// Sprintf formats as fmt.Sprintf does, with the translation of the format. Numbers that %d and %f
// write are those of the language; texts are written as they are.
func (p *Printer) Sprintf(f string, args ...any) string {
	if p == nil {
		return fmt.Sprintf(f, args...)
	}
	e, before, after := p.entry(f)
	if e == nil {
		return fmt.Sprintf(f, args...)
	}
	values := make([]string, 0, len(args))
	for _, part := range parse(f) {
		if part.verb != "" && part.arg < len(args) {
			s := fmt.Sprintf(part.verb, args[part.arg])
			if part.isNumber() {
				s = p.number(s)
			}
			values = append(values, s)
		}
	}
	return before + e.one.fill(values) + after
}

// Plural is a count with its noun, or with what else depends on it: "1 session", "2 sessions".
func (p *Printer) Plural(n uint64, one, other string) string {
	if p == nil {
		if n == 1 {
			return "1 " + one
		}
		return group(strconv.FormatUint(n, 10)) + " " + other
	}
	text := other
	if n == 1 {
		text = one
	}
	if e := p.entries[one]; e != nil {
		text = e.form(p.tag, n).fill(nil)
	}
	return p.Number(n) + " " + text
}

// text is the form of a text without a count.
func (e *entry) text() string {
	if e.many {
		return e.other.fill(nil)
	}
	return e.one.fill(nil)
}

// form chooses the form of a text for a count.
func (e *entry) form(tag language.Tag, n uint64) format {
	i := int(min(n, math.MaxInt))
	if e.other == nil || plural.Cardinal.MatchPlural(tag, i, 0, 0, 0, 0) == plural.One {
		return e.one
	}
	return e.other
}

// Number is a number with its thousands set apart.
func (p *Printer) Number(n uint64) string {
	if p == nil {
		return group(strconv.FormatUint(n, 10))
	}
	return p.numbers.Sprint(number.Decimal(n))
}

// number writes a number that was formatted in English.
func (p *Printer) number(s string) string {
	plain := strings.ReplaceAll(strings.TrimSpace(s), ",", "")
	f, err := strconv.ParseFloat(plain, 64)
	if err != nil {
		return s
	}
	_, decimals, _ := strings.Cut(plain, ".")
	if f < 10_000 && f > -10_000 && decimals == "" {
		return plain // a port, a code, a year
	}
	text := p.numbers.Sprint(number.Decimal(f, number.MinFractionDigits(len(decimals)),
		number.MaxFractionDigits(len(decimals))))
	if plain[0] == '+' {
		return "+" + text
	}
	return text
}

// group sets the thousands of a number apart, in English.
func group(s string) string {
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
