package html

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"spamsensor/sensor/html/htmltest"
	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
)

// tab is a tab of a browser.
type tab struct{ *htmltest.Tab }

func newTab(browser context.Context, t *testing.T) tab { return tab{htmltest.NewTab(browser, t)} }

// open opens a page.
func (b tab) open(t *testing.T, file string) {
	t.Helper()
	htmltest.Run(t, b.Tab, chromedp.Navigate("file://"+file))
}

// look sets the size and colours of the window.
func (b tab) look(t *testing.T, width int64, scheme string) {
	t.Helper()
	htmltest.Run(t, b.Tab, chromedp.EmulateViewport(width, 900))
	htmltest.Call(t, b.Tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// samples are reports that are hard to set.
func samples() map[string]*report.Model {
	six := model(0, 0)
	for i := range 3 {
		f := finding(netip.MustParseAddr(fmt.Sprintf("2001:db8:aaaa:bbbb:cccc:dddd:eeee:fff%d", i)))
		six.Findings, six.Hosts = append(six.Findings, f), append(six.Hosts, f.Host)
	}
	six.Headline = report.Headline{Alarm: report.Red, Sentence: "3 hosts send spam: " + six.Findings[0].IP.String() + ", " +
		six.Findings[1].IP.String() + ", " + six.Findings[2].IP.String()}
	return map[string]*report.Model{"empty": model(0, 0), "three": model(3, 4), "hosts": model(1, 5000), "findings": model(500, 0),
		"hostile": hostile(), "ipv6": six}
}

// TestBrowser looks at reports in Chromium.
func TestBrowser(t *testing.T) {
	root := htmltest.Start(t)
	for name, test := range map[string]func(context.Context, *testing.T){"faults": testFaults, "shown": testShown,
		"without script": testWithoutScript, "keyboard": testKeyboard, "print": testPrint, "first screen": testFirstScreen, "accessible": testAccessible} {
		t.Run(name, func(t *testing.T) { test(root, t) })
	}
}

// testFaults: the search for faults finds them.
func testFaults(root context.Context, t *testing.T) {
	b := newTab(root, t)
	b.look(t, 390, "light")
	for name, body := range map[string]string{
		"":         `<p>one</p><p>two</p>`,
		"wide":     `<p style="width:500px">one</p>`,
		"overlap":  `<p>one two three</p><p style="margin-top:-2em">four five six</p>`,
		"cut":      `<p style="width:3em;overflow:hidden;white-space:nowrap">one two three four</p>`,
		"in a svg": `<svg width="200" height="50"><text x="10" y="20">one two</text><text x="12" y="22">three four</text></svg>`,
	} {
		file := filepath.Join(t.TempDir(), "a.html")
		if err := os.WriteFile(file, []byte("<!DOCTYPE html><title>x</title>"+body), 0o600); err != nil {
			t.Fatal(err)
		}
		b.open(t, file)
		if found := htmltest.Run(t, b.Tab, chromedp.Evaluate[[]string](htmltest.Faults)); len(found) > 0 != (name != "") {
			t.Errorf("%q: %q", name, found)
		}
	}
}

// testShown: nothing overlaps or is cut, in any width and colour, nothing is loaded
// or reported, and a script is not missed. With -artifacts it keeps its screenshots.
func testShown(root context.Context, t *testing.T) {
	dir, artifacts := t.TempDir(), t.ArtifactDir()
	for name, m := range samples() {
		for _, tag := range []string{lang.English, lang.French} {
			if tag == lang.French && name != "three" && name != "hostile" {
				continue // the same with other words
			}
			file := filepath.Join(dir, name+"."+tag+".html")
			if err := os.WriteFile(file, []byte(write(t, tag, m)), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Run(name+"/"+tag, func(t *testing.T) {
				b := newTab(root, t)
				b.open(t, file)
				for _, width := range []int64{390, 1280, 1920} {
					for _, scheme := range []string{"light", "dark"} {
						b.look(t, width, scheme)
						for _, f := range htmltest.Run(t, b.Tab, chromedp.Evaluate[[]string](htmltest.Faults)) {
							t.Errorf("%d %s: %s", width, scheme, f)
						}
						if keep := flag.Lookup("test.artifacts"); keep.Value.String() != "true" {
							continue
						}
						shot := htmltest.Run(t, b.Tab, chromedp.FullScreenshot(100))
						if err := os.WriteFile(filepath.Join(artifacts, fmt.Sprintf("%s.%s.%d.%s.png", name, tag, width, scheme)), shot,
							0o600); err != nil {
							t.Error(err)
						}
					}
				}
				htmltest.Run(t, b.Tab, chromedp.Evaluate[int](htmltest.Unfold))
				for _, width := range []int64{390, 1280} {
					b.look(t, width, "light")
					for _, f := range htmltest.Run(t, b.Tab, chromedp.Evaluate[[]string](htmltest.Faults)) {
						t.Errorf("%d, all open: %s", width, f)
					}
				}
				b.quiet(t)
			})
		}
	}
}

// quiet fails the test if the console is not empty, or anything but the file was loaded.
func (b tab) quiet(t *testing.T) {
	t.Helper()
	console, loaded := b.Console(), b.Loaded()
	if len(console) > 0 {
		t.Errorf("console: %q", console)
	}
	for _, address := range loaded {
		if !strings.HasPrefix(address, "file://") {
			t.Errorf("the page loads %s", address)
		}
	}
	if len(loaded) == 0 {
		t.Error("the test sees no requests")
	}
}

// testWithoutScript: what is shown does not depend on scripts.
func testWithoutScript(root context.Context, t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.html")
	if err := os.WriteFile(file, []byte(write(t, lang.English, model(3, 4))), 0o600); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, disabled := range []bool{false, true} {
		b := newTab(root, t)
		htmltest.Call(t, b.Tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: disabled})
		b.open(t, file)
		texts = append(texts, htmltest.Run(t, b.Tab, chromedp.Evaluate[string]("document.body.innerText")))
		b.quiet(t)
	}
	if texts[0] != texts[1] || !strings.Contains(texts[1], "10.1.0.2") {
		t.Errorf("with scripts %d characters, without %d", len(texts[0]), len(texts[1]))
	}
}

// testKeyboard: the first key leads to the content, and what has the focus can be seen.
func testKeyboard(root context.Context, t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.html")
	if err := os.WriteFile(file, []byte(write(t, lang.English, model(3, 4))), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newTab(root, t)
	b.look(t, 1280, "light")
	b.open(t, file)
	const focus = `(() => {
		const e = document.activeElement, box = e.getBoundingClientRect(), style = getComputedStyle(e);
		return [e.className, location.hash, String(box.left >= 0 && box.width > 0 && box.bottom > 0 && box.top < innerHeight), style.outlineStyle];
	})()`
	htmltest.Run(t, b.Tab, chromedp.KeyEvent(kb.Tab))
	if got := htmltest.Run(t, b.Tab, chromedp.Evaluate[[]string](focus)); !slices.Equal(got, []string{"skip", "", "true", "solid"}) {
		t.Errorf("after Tab: %q", got)
	}
	htmltest.Run(t, b.Tab, chromedp.KeyEvent(kb.Enter))
	if got := htmltest.Run(t, b.Tab, chromedp.Evaluate[[]string](focus)); got[1] != "#main" {
		t.Errorf("after Enter: %q", got)
	}
	seen := map[string]bool{} // what the keyboard reaches
	for range 60 {
		htmltest.Run(t, b.Tab, chromedp.KeyEvent(kb.Tab))
		seen[htmltest.Run(t, b.Tab, chromedp.Evaluate[string]("document.activeElement.tagName"))] = true
		if got := htmltest.Run(t, b.Tab, chromedp.Evaluate[[]string](focus)); got[2] != "true" && got[3] != "none" {
			t.Errorf("the focus is outside the window: %q", got)
		}
	}
	if !seen["A"] || !seen["SUMMARY"] || !seen["DIV"] {
		t.Errorf("the keyboard reaches %v only, want links, folded texts and tables", seen)
	}
}

// testPrint: on paper every finding is there, and all that is folded on a screen.
func testPrint(root context.Context, t *testing.T) {
	if _, err := exec.LookPath("pdftotext"); err != nil {
		t.Skip("needs pdftotext (apt-get install poppler-utils)")
	}
	dir, artifacts := t.TempDir(), t.ArtifactDir()
	for name, m := range samples() {
		if name == "empty" || name == "hosts" {
			continue // they have one finding at most
		}
		file := filepath.Join(dir, name+".html")
		if err := os.WriteFile(file, []byte(write(t, lang.English, m)), 0o600); err != nil {
			t.Fatal(err)
		}
		b := newTab(root, t)
		b.open(t, file)
		pdf := htmltest.Run(t, b.Tab, chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize(), chromedp.PDFPrintBackground()))
		paper := filepath.Join(artifacts, name+".pdf")
		if err := os.WriteFile(paper, pdf, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("pdftotext", "-layout", paper, "-").Output()
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(string(out))
		text := strings.Join(words, " ")
		if name == "three" {
			for part, want := range map[string]string{"more reasons": m.Findings[0].Reasons[len(m.Findings[0].Reasons)-1].Text, "the numbers of the attempts": "21 Nov 20:00",
				"the timeline": "What became of the finding: 10.1.0.0", "the numbers of the timeline": "Session with a refusal 198.18.22.40:25",
				"the numbers of a server": "Usual, at most"} {
				if !strings.Contains(text, want) {
					t.Errorf("%s: %s: no %q on paper: %s", name, part, want, text)
				}
			}
			if n, m := strings.Count(text, "lock that, and change its password."), len(m.Findings); n != m {
				t.Errorf("the advice is %d times on paper, want it for each of %d findings", n, m)
			}
		}
		for i := range m.Findings {
			if a := m.Findings[i].IP.String(); !slices.Contains(words, a) {
				t.Errorf("%s: the finding about %s is not on paper", name, a)
			}
		}
	}
}

// testFirstScreen: what is wrong, and whether the mail servers send as usual, is seen without scrolling.
func testFirstScreen(root context.Context, t *testing.T) {
	for _, tag := range []string{lang.English, lang.French} {
		for name, m := range samples() {
			file := filepath.Join(t.TempDir(), "a.html")
			if err := os.WriteFile(file, []byte(write(t, tag, m)), 0o600); err != nil {
				t.Fatal(err)
			}
			b := newTab(root, t)
			htmltest.Run(t, b.Tab, chromedp.EmulateViewport(1280, 800))
			b.open(t, file)
			for selector, there := range map[string]bool{"h1": true, ".headline .servers li": len(m.Servers) > 0, ".contents a": true,
				"#findings h2": len(m.Findings) > 0} {
				bottom := htmltest.Run(t, b.Tab, chromedp.Evaluate[float64](fmt.Sprintf(
					"Math.max(0, ...[...document.querySelectorAll('%s')].map(e => e.getBoundingClientRect().bottom))", selector)))
				if bottom > 800 || there != (bottom > 0) {
					t.Errorf("%s, %s: %s ends at %g", name, tag, selector, bottom)
				}
			}
		}
	}
}

// testAccessible: axe-core finds nothing.
func testAccessible(root context.Context, t *testing.T) {
	dir := t.TempDir()
	for name, m := range samples() {
		if name != "three" && name != "hostile" {
			continue // the others have nothing else
		}
		file := filepath.Join(dir, name+".html")
		if err := os.WriteFile(file, []byte(write(t, lang.English, m)), 0o600); err != nil {
			t.Fatal(err)
		}
		b := newTab(root, t)
		b.open(t, file)
		htmltest.Run(t, b.Tab, chromedp.Evaluate[int](htmltest.Unfold))
		for _, scheme := range []string{"light", "dark"} {
			b.look(t, 1280, scheme)
			for _, fault := range htmltest.Inaccessible(t, b.Tab) {
				t.Errorf("%s, %s: %s", name, scheme, fault)
			}
		}
	}
}

// TestValid: the validator of the W3C (vnu) finds nothing.
func TestValid(t *testing.T) {
	pages := map[string]string{}
	for name, m := range samples() {
		if name == "hosts" || name == "ipv6" {
			continue // they have no other elements
		}
		pages[name] = write(t, lang.English, m)
	}
	htmltest.Valid(t, pages)
}
