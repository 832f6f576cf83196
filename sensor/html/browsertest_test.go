package html

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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

// faults finds what does not fit: a page that is wider than the window, elements with more than
// they show, and texts that lie on each other.
const faults = `(() => {
	const found = [], texts = [];
	const name = e => e.tagName.toLowerCase() + (e.id ? '#' + e.id : '') + '.' + (e.getAttribute('class') || '') + ' ' +
		JSON.stringify(e.textContent.trim().slice(0, 60));
	const root = document.documentElement;
	if (root.scrollWidth > innerWidth) found.push('the page is ' + root.scrollWidth + ' wide');
	const inside = e => e.closest('.scroll, .numbers');
	for (const e of document.body.querySelectorAll('*')) {
		if (!e.checkVisibility({contentVisibilityAuto: true}) || e.closest('.skip') || e.tagName === 'SCRIPT') continue;
		const box = e.getBoundingClientRect();
		const style = getComputedStyle(e);
		if (!e.closest('svg') && e.clientWidth && e.scrollWidth > e.clientWidth + 1 && style.overflowX !== 'visible' && !e.matches('.scroll, .numbers'))
			found.push('cut: ' + name(e));
		if (!inside(e) && box.width && (box.right > innerWidth + 1 || box.left < -1)) found.push('outside: ' + name(e));
		for (const n of e.childNodes) {
			if (n.nodeType !== 3 || !n.data.trim() || e.closest('title, desc')) continue;
			const range = document.createRange();
			range.selectNodeContents(n);
			const svg = e.closest('svg');
			for (const r of svg ? [e.getBoundingClientRect()] : range.getClientRects()) texts.push({e, r, scroll: inside(e)});
		}
	}
	texts.sort((a, b) => a.r.top - b.r.top);
	for (let i = 0; i < texts.length && found.length < 20; i++) {
		for (let j = i + 1; j < texts.length && texts[j].r.top < texts[i].r.bottom; j++) {
			const a = texts[i], b = texts[j];
			if (a.e === b.e || a.scroll !== b.scroll) continue;
			const w = Math.min(a.r.right, b.r.right) - Math.max(a.r.left, b.r.left);
			const h = Math.min(a.r.bottom, b.r.bottom) - Math.max(a.r.top, b.r.top);
			const line = Math.min(a.r.height, b.r.height);
			if (w > 2 && h > line * 0.4) found.push('overlap: ' + name(a.e) + ' and ' + name(b.e));
		}
	}
	return found.slice(0, 20);
})()`

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
		if found := htmltest.Run(t, b.Tab, chromedp.Evaluate[[]string](faults)); len(found) > 0 != (name != "") {
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
						for _, f := range htmltest.Run(t, b.Tab, chromedp.Evaluate[[]string](faults)) {
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
				htmltest.Run(t, b.Tab, chromedp.Evaluate[int]("[...document.querySelectorAll('details')].map(d => d.open = true).length"))
				for _, width := range []int64{390, 1280} {
					b.look(t, width, "light")
					for _, f := range htmltest.Run(t, b.Tab, chromedp.Evaluate[[]string](faults)) {
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
			for part, want := range map[string]string{"more reasons": "Its recipients are in 20 or more domains.", "the numbers of the attempts": "21 Nov 20:00",
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

// tool is a file of a package of npm, which is kept for the next test.
func tool(t *testing.T, name, version, file string) string {
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
	if out, err := exec.Command("tar", "-xzf", filepath.Join(dir, strings.TrimSpace(string(out))), "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return path
}

// axeResult is what axe-core finds.
type axeResult struct {
	Violations []struct {
		ID    string `json:"id"`
		Help  string `json:"help"`
		Nodes []struct {
			HTML           string `json:"html"`
			FailureSummary string `json:"failureSummary"`
		} `json:"nodes"`
	} `json:"violations"`
	Passes []any `json:"passes"`
}

// testAccessible: axe-core finds nothing.
func testAccessible(root context.Context, t *testing.T) {
	axe, err := os.ReadFile(tool(t, "axe-core", "4.14.1", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
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
		for _, scheme := range []string{"light", "dark"} {
			b.look(t, 1280, scheme)
			htmltest.Run(t, b.Tab, chromedp.Evaluate[bool](string(axe)+"; true"))
			result := htmltest.Run(t, b.Tab, chromedp.Evaluate[axeResult](
				"axe.run(document, {resultTypes: ['violations', 'passes']})", chromedp.EvalAwaitPromise))
			for _, v := range result.Violations {
				t.Errorf("%s, %s: %s: %s: %.300q", name, scheme, v.ID, v.Help, v.Nodes[0])
			}
			if len(result.Passes) < 10 {
				t.Errorf("%s: only %d rules were checked", name, len(result.Passes))
			}
		}
	}
}

// misjudged are messages of the validator that are wrong: it lacks CSS properties of SVG 2, and
// takes a data block for a script, which HTML and browsers do not (testShown sees the console).
var misjudged = []string{"Property “paint-order” doesn't exist", "Property “vector-effect” doesn't exist",
	"Inline script violates Content Security Policy"}

// TestValid: the validator of the W3C (vnu) finds nothing.
func TestValid(t *testing.T) {
	java, err := exec.LookPath("java")
	if err != nil {
		t.Skip("needs java (apt-get install default-jre-headless)")
	}
	jar := tool(t, "vnu-jar", "26.9.27", "build/dist/vnu.jar")
	dir := t.TempDir()
	for name, m := range samples() {
		if name == "findings" || name == "hosts" || name == "ipv6" {
			continue // they have no other elements
		}
		if err := os.WriteFile(filepath.Join(dir, name+".html"), []byte(write(t, lang.English, m)), 0o600); err != nil {
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
		if slices.ContainsFunc(misjudged, func(s string) bool { return strings.Contains(m.Message, s) }) {
			continue
		}
		t.Errorf("%s:%d: %s: %s: %.200s", filepath.Base(m.URL), m.LastLine, m.Type, m.Message, m.Extract)
	}
}
