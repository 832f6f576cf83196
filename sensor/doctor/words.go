package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ratio returns a/b, and 0 if b is 0.
func ratio(a, b uint64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// of says how many of how many, and the share.
func of(a, b uint64, what string) string {
	percent := 100 * ratio(a, b)
	form := "%d of %d %s (%.0f %%)"
	if a > 0 && percent < 1 || a < b && percent > 99 {
		form = "%d of %d %s (%.2f %%)"
	}
	return fmt.Sprintf(form, a, b, what, percent)
}

// count is a number of things, of which one is called what.
func count(n uint64, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// list names the entries of a counter, the largest first, at most n.
func list(m map[string]uint64, n int) string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if m[a] != m[b] {
			if m[a] > m[b] {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	var texts []string
	for i, k := range keys {
		if i == n {
			texts = append(texts, fmt.Sprintf("and %d more", len(keys)-n))
			break
		}
		texts = append(texts, fmt.Sprintf("%s (%d)", k, m[k]))
	}
	return strings.Join(texts, ", ")
}

func total(m map[string]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}

// span is a time in seconds for people.
func span(seconds float64) string {
	const minute, day = 60, 24 * 3600
	switch {
	case seconds < 10*minute:
		return fmt.Sprintf("%.1f s", seconds)
	case seconds < 2*day:
		return fmt.Sprintf("%.1f h", seconds/3600)
	}
	return fmt.Sprintf("%.0f days", seconds/day)
}
