//go:build browser

package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"ferry/test/await"
)

// stepLimit bounds each step in the browser.
const stepLimit = time.Minute

// screenshots names the directory for a picture of each page. Empty: none are taken.
const screenshots = "FERRY_SCREENSHOTS"

// chromium is a running Chromium.
type chromium struct {
	ctx      context.Context //nolint:containedctx // chromedp knows the browser by it
	pages    string          // directory for the pictures; empty: none
	pictures int
}

// startChromium starts Chromium. When the test ends, it is stopped, and the test fails if it
// leaves processes or its profile behind.
func startChromium(t *testing.T) *chromium {
	t.Helper()
	profile := t.TempDir()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.UserDataDir(profile), chromedp.Env("HOME="+profile, "TMPDIR="+profile),
		chromedp.WindowSize(900, 700), chromedp.WSURLReadTimeout(stepLimit))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to run as root with it
	}
	allocator, cancel := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, cancelBrowser := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("stop Chromium: %v", err)
		}
		cancelBrowser()
		cancel()
		chromedp.FromContext(ctx).Allocator.Wait()
		if !await.True(func() bool { return len(processes(t, profile)) == 0 }) {
			t.Errorf("Chromium left processes: %q", processes(t, profile))
		}
		if err := os.RemoveAll(profile); err != nil {
			t.Errorf("Chromium's profile: %v", err)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	c := &chromium{ctx: ctx, pages: os.Getenv(screenshots)}
	if c.pages == "" {
		return c
	}
	if err := os.MkdirAll(c.pages, 0o750); err != nil {
		t.Fatal(err)
	}
	return c
}

// processes returns the command lines of the processes that use the profile.
func processes(t *testing.T, profile string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(text), profile) {
			found = append(found, string(text))
		}
	}
	return found
}

// step is something that a person does, or waits for.
type step = chromedp.Action[chromedp.Void]

// visitor is a person at a browser with cookies of its own.
type visitor struct {
	t        *testing.T
	chromium *chromium
	ctx      context.Context //nolint:containedctx // chromedp knows the tab by it
}

func (c *chromium) visitor(t *testing.T) *visitor {
	t.Helper()
	ctx, cancel := chromedp.NewContext(c.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	return &visitor{t: t, chromium: c, ctx: ctx}
}

// do runs actions of one step, and shows the page if they fail.
func (v *visitor) do(what string, steps ...step) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, stepLimit)
	defer cancel()
	err := chromedp.Do(ctx, steps...)
	if err == nil {
		return
	}
	ctx, cancel = context.WithTimeout(v.ctx, stepLimit)
	defer cancel()
	where, unknown := chromedp.Run(ctx, chromedp.Location())
	page, unread := chromedp.Run(ctx, chromedp.OuterHTML(chromedp.CSS("html")))
	v.t.Fatalf("%s: %v\nat %s: %v\n%s", what, err, where, errors.Join(unknown, unread), page)
}

// open opens an address and waits for a page.
func (v *visitor) open(address, page string) {
	v.t.Helper()
	v.do("open "+address, chromedp.Navigate(address), see(page))
}

// fill replaces the text of a field.
func fill(field, text string) step {
	selector := chromedp.CSS(fmt.Sprintf("input[name=%q]", field))
	return chromedp.Steps(chromedp.WaitVisible(selector), chromedp.Clear(selector), chromedp.SendKeys(selector, text))
}

// press clicks what the selector finds.
func press(selector string) step { return chromedp.Click(chromedp.CSS(selector)) }

// see waits until the page has what the selector finds.
func see(selector string) step { return chromedp.WaitVisible(chromedp.CSS(selector)) }

// text returns the text of what the selector finds.
func (v *visitor) text(selector string) string {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, stepLimit)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(selector)))
	if err != nil {
		v.t.Fatalf("read %s: %v", selector, err)
	}
	return strings.TrimSpace(text)
}

// picture writes a picture of the page, if pictures are wanted.
func (v *visitor) picture(name string) {
	v.t.Helper()
	if v.chromium.pages == "" {
		return
	}
	v.chromium.pictures++
	ctx, cancel := context.WithTimeout(v.ctx, stepLimit)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		v.t.Fatalf("picture of %s: %v", name, err)
	}
	file := filepath.Join(v.chromium.pages, fmt.Sprintf("%02d-%s.png", v.chromium.pictures, name))
	if err := os.WriteFile(file, png, 0o600); err != nil {
		v.t.Fatal(err)
	}
}
