package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"spamsensor/sensor/html/htmltest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// onLoopback passes connections of the loopback on to a unix socket, and returns the URL.
func onLoopback(t *testing.T, socket string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("unix", socket)
			if err != nil {
				c.Close()
				continue
			}
			go func() { io.Copy(s, c); s.Close() }()
			go func() { io.Copy(c, s); c.Close() }()
		}
	}()
	return "http://" + l.Addr().String()
}

// browserTab is a tab of Chromium.
type browserTab struct {
	*htmltest.Tab
	t *testing.T
}

// do runs an action.
func do[T any](b *browserTab, a chromedp.Action[T]) T {
	b.t.Helper()
	return htmltest.Run(b.t, b.Tab, a)
}

// is reports whether an expression of JavaScript is true.
func (b *browserTab) is(expression string) bool {
	b.t.Helper()
	return do(b, chromedp.Evaluate[bool]("!!("+expression+")"))
}

// within waits until an expression is true.
func (b *browserTab) within(limit time.Duration, expression string) {
	b.t.Helper()
	for began := time.Now(); !b.is(expression); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > limit {
			text := do(b, chromedp.Evaluate[string]("location.pathname + ' ' + document.activeElement.outerHTML.slice(0, 200) + document.body.innerText.slice(0, 600)"))
			b.t.Fatalf("not within %v: %s; the page is %s", limit, expression, text)
		}
	}
}

func (b *browserTab) press(keys string) {
	b.t.Helper()
	do(b, chromedp.KeyEvent(keys))
}

// shot keeps a picture of the page.
func (b *browserTab) shot(file string) {
	b.t.Helper()
	if err := os.WriteFile(file, do(b, chromedp.FullScreenshot(100)), 0o600); err != nil {
		b.t.Error(err)
	}
}

// TestPageInBrowser: a bot begins while somebody looks, and the page of a real sensor shows it within two seconds of the finding.
// What the person does stays; the keyboard alone leads from the sentence to the proof; nothing is loaded from elsewhere, and a
// sensor that ends is told.
func TestPageInBrowser(t *testing.T) {
	b := &browserTab{htmltest.NewTab(htmltest.Start(t), t), t}
	ns := veth(t)
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	control, web := filepath.Join(dir, "control.sock"), filepath.Join(dir, "web.sock")
	sensor := launch(t, nil, exec.Command("ip", "netns", "exec", ns, name, "run", "-i", "v1", "--set", "control.socket="+control))
	launch(t, nil, exec.Command(name, "serve", "--socket", control, "--listen", "unix:"+web))
	url := onLoopback(t, web)
	client := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", web) }}}
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if r, err := client.Get("http://localhost/-/ready"); err == nil {
			r.Body.Close()
			if r.StatusCode == 200 {
				break
			}
		}
		if time.Since(began) > 20*time.Second {
			t.Fatal("the sensor does not begin")
		}
	}
	do(b, chromedp.Navigate(url+"/?lang=en"))
	b.within(5*time.Second, `document.querySelector('#live')?.className === 'on'`)
	if b.is(`document.querySelector('a[data-finding]')`) {
		t.Fatal("a finding before there is any")
	}
	go replay(t, ns, "testdata/bot.pcap")
	found := time.Time{}
	for began := time.Now(); found.IsZero(); time.Sleep(10 * time.Millisecond) {
		if r, err := client.Get("http://localhost/api/v1/findings"); err == nil {
			text, _ := io.ReadAll(r.Body)
			r.Body.Close()
			if strings.Contains(string(text), `"class":"spambot"`) {
				found = time.Now()
			}
		}
		if time.Since(began) > 20*time.Second {
			t.Fatal("the sensor finds nothing")
		}
	}
	b.within(2*time.Second, `document.querySelector('h1').textContent.includes('192.168.77.66')`)
	b.within(2*time.Second, `document.querySelector('a[data-finding]')?.textContent === '192.168.77.66'`)
	t.Logf("on the page %v after the finding", time.Since(found).Round(time.Millisecond))
	if !b.is(`document.title.includes('192.168.77.66')`) {
		t.Error("the title of the page is the old one")
	}

	t.Run("what a person does stays", func(t *testing.T) {
		b.t = t
		b.within(3*time.Second, `document.querySelector('.why details')`)
		time.Sleep(2 * time.Second) // the counts of the bot have come
		b.is(`document.querySelector('.why details').open = true`)
		b.is(`document.querySelector('a[data-finding]').focus(), scrollTo(0, 100), window.top1 = document.activeElement.getBoundingClientRect().top, document.querySelector('article.card').mine = true`)
		replay(t, ns, "testdata/bot.pcap")
		b.within(5*time.Second, `document.querySelector('article.card').mine !== true`)
		if !b.is(`document.activeElement === document.querySelector('a[data-finding]')`) {
			t.Errorf("the focus is on %s", do(b, chromedp.Evaluate[string](`document.activeElement.outerHTML.slice(0, 300)`)))
		}
		if !b.is(`document.querySelector('.why details').open`) {
			t.Error("the details are closed")
		}
		if !b.is(`scrollY > 50 && Math.abs(document.activeElement.getBoundingClientRect().top - top1) < 2`) {
			t.Error("the page has moved")
		}
		b.is(`getSelection().selectAllChildren(document.querySelector('.do')), document.querySelector('article.card').mine = true`)
		replay(t, ns, "testdata/bot.pcap")
		time.Sleep(3 * time.Second)
		if !b.is(`!getSelection().isCollapsed && document.querySelector('article.card').mine`) {
			t.Error("the selection is gone")
		}
		b.is(`getSelection().removeAllRanges(), true`)
		b.within(2*time.Second, `document.querySelector('article.card').mine !== true`)
		b.is(`document.activeElement.blur(), scrollTo(0, 0), true`)
	})
	t.Run("keyboard", func(t *testing.T) {
		b.t = t
		b.press("/")
		b.within(time.Second, `document.activeElement.name === 'q'`)
		b.press("10.9")
		b.within(time.Second, `document.activeElement.value.endsWith('10.9')`)
		b.is(`document.activeElement.blur(), true`)
		b.press("j")
		b.within(time.Second, `document.activeElement.matches('a[data-finding]')`)
		b.press("\r")
		b.within(3*time.Second, `location.pathname.startsWith('/finding/spambot-192.168.77.66-') && document.querySelector('#live')?.className === 'on'`)
		b.press("e")
		b.within(time.Second, `document.activeElement?.closest('#proof') && document.activeElement.textContent.includes('zen.spamhaus.org')`)
		b.press("?")
		b.within(time.Second, `document.querySelector('#help')?.open`)
		b.press("\x1b")
		b.within(time.Second, `!document.querySelector('#help')?.open`)
		b.press("x")
		b.within(3*time.Second, `location.pathname === '/host/192.168.77.66' && document.querySelector('#live')?.className === 'on'`)
		if !b.is(`location.search === '?lang=en'`) {
			t.Error("the language is lost on the way")
		}
	})
	t.Run("sizes", func(t *testing.T) {
		b.t = t
		finding := do(b, chromedp.Evaluate[string](`document.querySelector('a[data-finding]').pathname`))
		for _, path := range []string{"/", finding, "/host/192.168.77.66", "/servers", "/mirror", "/settings", "/none"} {
			for _, lang := range []string{"en", "fr"} {
				do(b, chromedp.Navigate(url+path+"?lang="+lang))
				for _, width := range []int64{390, 1280} {
					do(b, chromedp.EmulateViewport(width, 900))
					if !b.is(`document.documentElement.scrollWidth <= innerWidth`) {
						t.Errorf("%s %s: wider than %d", path, lang, width)
					}
					if flag.Lookup("test.artifacts").Value.String() == "true" { // for a person to look at
						b.shot(filepath.Join(t.ArtifactDir(), fmt.Sprintf("%.5s-%s-%d.png", strings.ReplaceAll(path, "/", "_"), lang, width)))
					}
				}
			}
		}
	})
	t.Run("accessible", func(t *testing.T) {
		b.t = t
		do(b, chromedp.Navigate(url+"/"))
		finding := do(b, chromedp.Evaluate[string](`document.querySelector('a[data-finding]').pathname`))
		for _, path := range []string{"/", finding, "/host/192.168.77.66", "/servers", "/mirror", "/settings"} {
			do(b, chromedp.Navigate(url+path))
			for _, fault := range htmltest.Inaccessible(t, b.Tab) {
				t.Errorf("%s: %s", path, fault)
			}
		}
	})
	t.Run("dead sensor", func(t *testing.T) {
		b.t = t
		do(b, chromedp.Navigate(url+"/?lang=fr"))
		b.within(5*time.Second, `document.querySelector('#live')?.className === 'on'`)
		sensor.Process.Signal(syscall.SIGTERM)
		b.within(5*time.Second, `document.querySelector('.dead')?.textContent.includes('La sonde ne répond plus depuis')`)
		if !b.is(`document.querySelector('a[data-finding]')?.textContent === '192.168.77.66'`) {
			t.Error("what was known is gone")
		}
	})
	console, loaded := b.Console(), b.Loaded()
	for _, line := range console {
		if !strings.Contains(line, "404") { // of /none
			t.Errorf("console: %s", line)
		}
	}
	for _, address := range loaded {
		if !strings.HasPrefix(address, url+"/") {
			t.Errorf("the page loads %s", address)
		}
	}
	if len(loaded) < 10 {
		t.Errorf("the test saw only %d requests", len(loaded))
	}
}
