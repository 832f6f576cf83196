package lang

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"
)

// Wrap divides a text into lines of at most width columns, without blanks at their ends. Lines are
// broken at blanks, and not at no-break spaces, which French puts before some marks.
func Wrap(s string, width int) []string {
	const held = "\ue000" // go-pretty takes a no-break space for another blank
	s = text.WrapSoft(strings.ReplaceAll(s, "\u00a0", held), width)
	lines := strings.Split(strings.ReplaceAll(s, held, "\u00a0"), "\n")
	for i := range lines {
		lines[i] = strings.Trim(lines[i], " ")
	}
	return lines
}

// Sentences divides a text after each full stop that a capital letter follows. It has no sentence
// for an empty text.
func Sentences(s string) (list []string) {
	for from := 0; s != ""; {
		i := strings.Index(s[from:], ". ")
		if i < 0 {
			return append(list, s)
		}
		from += i + 2
		if next, _ := utf8.DecodeRuneInString(s[from:]); unicode.IsUpper(next) {
			list, s, from = append(list, s[:from-1]), s[from:], 0
		}
	}
	return list
}
