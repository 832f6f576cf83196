package picture

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// luminance is the relative luminance of a colour (WCAG 2.2).
func luminance(rgb [3]float64) (l float64) {
	for i, c := range rgb {
		if c /= 255; c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		l += c * []float64{0.2126, 0.7152, 0.0722}[i]
	}
	return l
}

func contrast(a, b [3]float64) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// colours are the variables of a part of the style sheet.
func colours(t *testing.T, css string) map[string][3]float64 {
	list := map[string][3]float64{}
	for _, m := range regexp.MustCompile(`--([a-z0-9-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(css, -1) {
		n, err := strconv.ParseUint(m[2], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		list[m[1]] = [3]float64{float64(n >> 16), float64(n >> 8 & 255), float64(n & 255)}
	}
	return list
}

// TestContrast checks each colour against what it is drawn on: 4.5 for text and 3 for what must be
// seen (WCAG 2.2, 1.4.3 and 1.4.11). The lines of the grid are decoration.
func TestContrast(t *testing.T) {
	light, dark, ok := strings.Cut(string(CSS), "@media screen and (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("no dark colours")
	}
	modes := map[string]map[string][3]float64{"light": colours(t, light), "dark": colours(t, dark)}
	for mode, list := range modes {
		if len(list) != len(modes["light"]) || len(list) < 20 {
			t.Errorf("%s has %d colours, light has %d", mode, len(list), len(modes["light"]))
		}
		pair := func(a, b string, least float64) {
			if list[a] == list[b] {
				t.Fatalf("%s: no colour %s or %s", mode, a, b)
			}
			if c := contrast(list[a], list[b]); c < least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, less than %.1f", mode, a, b, c, least)
			}
		}
		for _, on := range []string{"paper", "void"} { // texts lie on these only, or have a halo of paper
			pair("text", on, 4.5)
			pair("muted", on, 4.5)
		}
		for _, c := range strings.Fields("axis declared others flagged accepted deferred rejected recipients heat1 heat2 heat3 heat4 cell-line") {
			pair(c, "paper", 3)
		}
		for _, c := range strings.Fields("declared flagged text") {
			pair(c, "band", 3)
		}
		pair("text", "declared", 3) // the usual number crosses the bars
		for _, c := range strings.Fields("heat1 heat2 heat3 heat4") {
			pair(c, "void", 3)
		}
		for _, shades := range []string{"heat1 heat2 heat3 heat4", "paper cell1", "cell1 cell2 cell3 cell4"} {
			s := strings.Fields(shades)
			least := 1.2
			if s[0] == "paper" {
				least = 1.05
			}
			for i := 1; i < len(s); i++ {
				pair(s[i-1], s[i], least)
			}
		}
	}
}
