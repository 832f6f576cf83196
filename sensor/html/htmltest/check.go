package htmltest

import (
	"bytes"
	"context"
	_ "embed" // for Faults
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Faults is an expression of JavaScript that finds what does not fit: a page that is wider than the
// window, elements with more than they show, and texts that lie on each other.
//
//go:embed faults.js
var Faults string

// Unfold is an expression that opens all that is folded, and counts it.
const Unfold = "[...document.querySelectorAll('details')].map(d => d.open = true).length"

// tool is a file of a package of npm, which is kept for the next test. The test is skipped where
// it cannot be had.
func tool(t testing.TB, name, version, file string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(cache, "spamsensor-test", name+"-"+version)
	path := filepath.Join(dir, "package", file)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	pack := exec.CommandContext(ctx, "npm", "pack", name+"@"+version, "--silent")
	pack.Dir = dir
	out, err := pack.Output()
	if err != nil {
		t.Skipf("needs %s from npm: %v", name, err)
	}
	archive := filepath.Join(dir, strings.TrimSpace(string(out)))
	if out, err := exec.Command("tar", "-xzf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return path
}

// Inaccessible are the faults that axe-core finds in the page of a tab.
func Inaccessible(t testing.TB, b *Tab) (faults []string) {
	t.Helper()
	axe, err := os.ReadFile(tool(t, "axe-core", "4.14.1", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	Run(t, b, chromedp.Evaluate[bool](string(axe)+"; true"))
	result := Run(t, b, chromedp.Evaluate[struct {
		Violations []struct {
			ID, Help string
			Nodes    []struct{ HTML, FailureSummary string }
		}
		Passes []any
	}]("axe.run(document, {resultTypes: ['violations', 'passes']})", chromedp.EvalAwaitPromise))
	for _, v := range result.Violations {
		faults = append(faults, fmt.Sprintf("%s: %s: %.300q", v.ID, v.Help, v.Nodes[0]))
	}
	if len(result.Passes) < 10 {
		t.Errorf("only %d rules were checked", len(result.Passes))
	}
	return faults
}

// misjudged are messages of the validator that are wrong: it lacks CSS properties of SVG 2, and
// takes a data block for a script, which HTML and browsers do not.
var misjudged = []string{"Property “paint-order” doesn't exist",
	"Property “vector-effect” doesn't exist", "Inline script violates Content Security Policy"}

// Valid fails the test if the validator of the W3C (vnu) finds a fault in any of some pages, which
// have names. It is skipped where there is no Java.
func Valid(t testing.TB, pages map[string]string) {
	t.Helper()
	java, err := exec.LookPath("java")
	if err != nil {
		t.Skip("needs java (apt-get install default-jre-headless)")
	}
	jar := tool(t, "vnu-jar", "26.9.27", "build/dist/vnu.jar")
	dir := t.TempDir()
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name+".html"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(java, "-jar", jar, "--format", "json", "--stdout", dir).Output()
	var result struct {
		Messages []struct {
			URL, Type, Message, Extract string
			LastLine                    int
		}
	}
	if decoded := json.NewDecoder(bytes.NewReader(out)).Decode(&result); decoded != nil {
		t.Fatalf("%v: %v: %s", err, decoded, out)
	}
	for _, m := range result.Messages {
		if slices.ContainsFunc(misjudged, func(s string) bool {
			return strings.Contains(m.Message, s)
		}) {
			continue
		}
		t.Errorf("%s:%d: %s: %s: %.200s", filepath.Base(m.URL), m.LastLine, m.Type, m.Message,
			m.Extract)
	}
}
