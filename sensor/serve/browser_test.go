package serve

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"spamsensor/sensor/html/htmltest"
	"spamsensor/sensor/report"
	"spamsensor/sensor/status"
)

// richModel is a model with everything that a page can show.
func richModel() *report.Model {
	m := newModel(5, 60)
	usual := 120.0
	server := report.Server{IP: netip.MustParseAddr("10.1.0.25"), Declared: true, First: begin, Sent: 3000, Counted: 3000, Received: 12000, Recipients: 4000,
		Sessions: 2500, Bytes: 1e8, Failed: 12, Deferred: 40, AuthOK: 12, AuthFailed: 3, Usual: &usual,
		FailedAt: []report.Cause{{Name: "a recipient", N: 12}}, FailedWhy: []report.Cause{{Name: "spam", N: 10}},
		Queue: report.Queue{Estimate: 4, Destinations: 2, Oldest: 3600e9}, Relay: report.Relay{Denied: 7, DeniedLast: begin, Strangers: 3, Known: true}}
	for i := range 20 {
		server.Hours = append(server.Hours, report.ServerHour{At: begin + report.Time(i)*3600e9, N: float64(100 + i*i%40), Known: i > 4, Usual: 120, Z: float64(i%5) - 2})
	}
	m.Servers = []report.Server{server}
	m.Hosts[10].Hours = m.Findings[0].Hours
	m.Limits = report.Limits{Encrypted: 12345, Gaps: 7}
	m.Hints = []string{"If 10.1.0.9 is a mail server of yours: --mail-server 10.1.0.9"}
	m.Withdrawn = []report.Withdrawn{{}}
	m.Unused = []string{"ignore[0]"}
	m.Site = report.Site{PublicIP: "203.0.113.77", Quoted: 3, Blocklists: []report.Blocklist{{Name: "zen.spamhaus.org", Count: 5, First: begin, Last: begin + 5e9}}}
	m.Headline.More = []string{"Your public address seems to be 203.0.113.77 (quoted by 3 servers).", "Receiving servers named the blocklist zen.spamhaus.org."}
	for i := range m.Findings {
		f := &m.Findings[i]
		for h := range 20 {
			f.Hours = append(f.Hours, report.Hour{At: begin + report.Time(h)*3600e9, N: uint32(h * 7 % 13)})
		}
		f.Periods = []report.Period{{First: begin, Last: begin + 60e9}}
	}
	return m
}

// sensors are sensors in different states.
func sensors() map[string]*fake {
	list := map[string]*fake{}
	for name, m := range map[string]*report.Model{"findings": richModel(), "quiet": newModel(0, 0), "many": newModel(500, 4500), "trouble": newModel(1, 3)} {
		f := newFake()
		f.model.Store(m)
		list[name] = f
	}
	list["trouble"].state.Health = []status.Health{{Text: "no packet came for 61 s", Hint: "check the mirror port"}, {Text: "one direction only is mirrored",
		Hint: "mirror both directions"}, {Text: "the disk is full"}}
	return list
}

// paths are the pages of a sensor with findings.
var paths = []string{"/", "/finding/run%2F10.1.0.0", "/host/10.1.0.0", "/host/10.1.0.20", "/servers", "/mirror", "/settings", "/host/192.0.2.1", "/finding/none"}

// TestPagesInBrowser looks at each page in Chromium, in each size and colour: nothing overlaps or is cut, axe-core finds nothing, and what is wrong
// and how the mail servers are is seen without scrolling. With -artifacts it keeps its screenshots.
func TestPagesInBrowser(t *testing.T) {
	root, artifacts := htmltest.Start(t), t.ArtifactDir()
	for name, f := range sensors() {
		socket, stop := listenFake(t, f)
		url, _ := start(t, Config{Socket: socket})
		b := htmltest.NewTab(root, t)
		look := func(width int64, scheme string) {
			htmltest.Run(t, b, chromedp.EmulateViewport(width, 800))
			htmltest.Call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		}
		faults := func(path string, width int64, scheme string) {
			look(width, scheme)
			for _, fault := range htmltest.Run(t, b, chromedp.Evaluate[[]string](htmltest.Faults)) {
				t.Errorf("%s %s, %d %s: %s", name, path, width, scheme, fault)
			}
			if flag.Lookup("test.artifacts").Value.String() != "true" {
				return
			}
			file := fmt.Sprintf("%s%s.%d.%s.png", name, strings.NewReplacer("/", "_", "?", "_", "%2F", "_").Replace(path), width, scheme)
			if err := os.WriteFile(filepath.Join(artifacts, file), htmltest.Run(t, b, chromedp.FullScreenshot(100)), 0o600); err != nil {
				t.Error(err)
			}
		}
		for i, path := range paths {
			if name != "findings" && i > 0 && (name != "trouble" || path != "/mirror") {
				continue // the same as with findings
			}
			for _, tag := range []string{"en", "fr"} {
				path := path + "?lang=" + tag
				htmltest.Run(t, b, chromedp.Navigate(url+path))
				for _, width := range []int64{390, 1280, 1920} {
					faults(path, width, "light")
				}
				faults(path, 1280, "dark")
				htmltest.Run(t, b, chromedp.Evaluate[int](htmltest.Unfold))
				for _, scheme := range []string{"light", "dark"} {
					look(1280, scheme)
					for _, fault := range htmltest.Inaccessible(t, b) {
						t.Errorf("%s %s, %s: %s", name, path, scheme, fault)
					}
				}
				if path != "/?lang="+tag {
					continue
				}
				for selector, there := range map[string]bool{"h1": true, ".headline .servers li": name == "findings"} {
					bottom := htmltest.Run(t, b, chromedp.Evaluate[float64](fmt.Sprintf(
						"Math.max(0, ...[...document.querySelectorAll('%s')].map(e => e.getBoundingClientRect().bottom))", selector)))
					if bottom > 800 || there != (bottom > 0) {
						t.Errorf("%s %s: %s ends at %g", name, path, selector, bottom)
					}
				}
			}
		}
		if name == "findings" {
			htmltest.Run(t, b, chromedp.Navigate(url+"/?lang=en"))
			stop()
			for began := time.Now(); !htmltest.Run(t, b, chromedp.Evaluate[bool]("!!document.querySelector('.dead')")); time.Sleep(50 * time.Millisecond) {
				if time.Since(began) > 10*time.Second {
					t.Fatal("a sensor that has ended is not told")
				}
			}
			for _, scheme := range []string{"light", "dark"} {
				faults("/?dead", 1280, scheme)
				for _, fault := range htmltest.Inaccessible(t, b) {
					t.Errorf("dead, %s: %s", scheme, fault)
				}
			}
		}
	}
}

// TestPagesValid: the validator of the W3C (vnu) finds nothing in any page.
func TestPagesValid(t *testing.T) {
	pages := map[string]string{}
	for name, f := range sensors() {
		socket, _ := listenFake(t, f)
		url, _ := start(t, Config{Socket: socket})
		for _, path := range append(paths, "/?q=10.1&sort=attempts&range=7d") {
			for _, tag := range []string{"en", "fr"} {
				separator := "?"
				if strings.Contains(path, "?") {
					separator = "&"
				}
				_, pages[name+strings.NewReplacer("/", "_", "?", "_", "%2F", "_").Replace(path)+"."+tag] = get(t, url+path+separator+"lang="+tag)
			}
		}
	}
	htmltest.Valid(t, pages)
	for name, page := range pages {
		if n := strings.Count(page, "<h1"); n != 1 || strings.Contains(page, "\ufffd") {
			t.Errorf("%s has %d main headings, or a character that is none", name, n)
		}
	}
}
