package picture

import (
	"testing"

	"spamsensor/bench/golden"
	"spamsensor/sensor/lang"
)

// TestGolden compares the pictures of small data with files that somebody has looked at.
func TestGolden(t *testing.T) {
	for _, l := range []string{lang.English, lang.French} {
		for name, html := range pictures(lang.New(l), small()) {
			golden.Compare(t, "testdata/"+name+"."+l+".html", string(html))
		}
	}
}
