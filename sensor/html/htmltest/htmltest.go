// Package htmltest opens pages in Chromium for tests, and keeps what must not happen in them.
package htmltest

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Start starts Chromium for a test, which is skipped where there is none.
func Start(t testing.TB) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("needs chromium (apt-get install chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("hide-scrollbars", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	return ctx
}

// Tab is a tab of a browser.
type Tab struct {
	ctx     context.Context
	mu      sync.Mutex
	console []string
	loaded  []string
}

// NewTab opens a tab of a browser.
func NewTab(browser context.Context, t testing.TB) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	b := &Tab{ctx: ctx}
	err := chromedp.Listen(ctx, func(e any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := e.(type) {
		case *runtime.EventConsoleAPICalled:
			b.console = append(b.console, fmt.Sprint("console ", e.Type))
		case *runtime.EventExceptionThrown:
			text := e.ExceptionDetails.Text
			if x := e.ExceptionDetails.Exception; x != nil {
				text += " " + x.Description
			}
			b.console = append(b.console, text)
		case *cdplog.EventEntryAdded:
			b.console = append(b.console, e.Entry.Text)
		case *network.EventRequestWillBeSent:
			b.loaded = append(b.loaded, e.Request.URL)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	Call(t, b, network.Enable, network.EnableParams{})
	return b
}

// Console are the texts in the console so far, and the errors.
func (b *Tab) Console() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.console)
}

// Loaded are the addresses of the requests so far.
func (b *Tab) Loaded() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.loaded)
}

// Run runs an action in a tab, for a minute at most.
func Run[T any](t testing.TB, b *Tab, a chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Call runs a command of the DevTools protocol in a tab.
func Call[P, R any](t testing.TB, b *Tab, command cdp.Command[P, R], params P) {
	t.Helper()
	Run(t, b, func(ctx context.Context, target *chromedp.Target) (R, error) {
		return cdp.Call(ctx, target, command, params)
	})
}
