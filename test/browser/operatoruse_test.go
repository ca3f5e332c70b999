//go:build browser

package browser

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"ferry/mode"
	"ferry/test/await"
	"ferry/test/pagetest"
)

// awaitText waits until what the selector finds has a text.
func (v *visitor) awaitText(selector, want string) {
	v.t.Helper()
	text := ""
	if !await.True(func() bool {
		text = evaluate[string](v, "read "+selector, "(document.querySelector('"+selector+"') || {textContent: ''}).textContent")
		return strings.Contains(text, want)
	}) {
		v.t.Fatalf("%s is %q, not %q", selector, text, want)
	}
}

// TestOperatorLive: the page follows what happens without being loaded again, keeps what its
// viewer has opened, focused and begun to fill in, and says when ferry no longer answers.
func TestOperatorLive(t *testing.T) {
	o := startOperator(t, pagetest.Middle())
	v := startChromium(t).visitor(t)
	v.open(o.URL+"/", "#live.is-live")
	v.do("open a table and choose a mode", press("#table-days summary"), press("#mode-off"),
		chromedp.Focus(chromedp.CSS("#next pre")))
	evaluate[bool](v, "mark the document", "window.stayed = true")
	o.become(pagetest.TenMillion())
	v.awaitText("h1", "4,228,838 users are still waiting")
	v.awaitText("#tile-waiting .value", "4,228,838")
	for what, holds := range map[string]string{
		"the page was loaded again":   "window.stayed === true",
		"the table was closed":        "document.getElementById('table-days').open",
		"the focus was lost":          "document.activeElement.tagName === 'PRE' && document.activeElement.closest('#next') !== null",
		"the choice of mode was lost": "document.getElementById('mode-off').checked",
		"the title is of before":      "document.title.includes('4,228,838')",
		"the digest is of before":     "document.body.dataset.digest.length === 16",
		"an element is there twice":   "new Set(Array.from(document.querySelectorAll('[id]'), function (e) { return e.id; })).size === document.querySelectorAll('[id]').length",
	} {
		if !evaluate[bool](v, what, holds) {
			t.Error(what)
		}
	}
	o.page.Close()
	o.CloseClientConnections()
	o.Config.SetKeepAlivesEnabled(false)
	if err := o.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	v.awaitText("#live-state", "Not live")
}

// TestOperatorKeyboard: the key Tab reaches everything that can be used, in the order of the
// page, and shows where it is.
func TestOperatorKeyboard(t *testing.T) {
	o := startOperator(t, pagetest.Middle())
	v := startChromium(t).visitor(t)
	v.open(o.URL+"/", "#live.is-live")
	const usable = `Array.from(document.querySelectorAll("a[href], summary, button, input, [tabindex='0']")).filter(function (e) {
		return e.checkVisibility() && (e.type !== "radio" || e.checked); })`
	want := evaluate[int](v, "count what can be used", usable+".length")
	for i := range want {
		v.do("press Tab", chromedp.KeyEvent(kb.Tab))
		at := evaluate[int](v, "what has the focus", usable+".indexOf(document.activeElement)")
		shown := evaluate[bool](v, "what is shown", `(function () { const s = getComputedStyle(document.activeElement), r = document.activeElement.getBoundingClientRect();
			return s.outlineStyle === "solid" && parseFloat(s.outlineWidth) >= 2 && r.top >= 0 && r.bottom <= innerHeight + r.height; })()`)
		if at != i || !shown {
			t.Fatalf("after %d times Tab the focus is at %d of %d, shown: %v: %s", i+1, at, want, shown, evaluate[string](v, "what", "document.activeElement.outerHTML.slice(0, 200)"))
		}
	}
	v.do("skip to the content", chromedp.Navigate(o.URL+"/"), see("#live.is-live"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	if at := evaluate[string](v, "focus", "document.activeElement.id"); at != "main" {
		t.Errorf("the first link leads to %q", at)
	}
}

// answerKey answers the browser's question for a key, as a person with a name does, or cancels
// it while the person does not know the key.
func (v *visitor) answerKey(name, key string, knows *atomic.Bool) {
	v.t.Helper()
	err := chromedp.Listen(v.ctx, func(event any) {
		switch e := event.(type) {
		case *fetch.EventAuthRequired:
			answer := &fetch.AuthChallengeResponse{Response: fetch.AuthChallengeResponseResponseCancelAuth}
			if knows.Load() {
				answer = &fetch.AuthChallengeResponse{Response: fetch.AuthChallengeResponseResponseProvideCredentials, Username: name, Password: key}
			}
			go v.fetched(func(ctx context.Context) error {
				_, err := chromedp.Call(ctx, fetch.ContinueWithAuth, fetch.ContinueWithAuthParams{RequestID: e.RequestID, AuthChallengeResponse: answer})
				return err
			})
		case *fetch.EventRequestPaused:
			go v.fetched(func(ctx context.Context) error {
				_, err := chromedp.Call(ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: e.RequestID})
				return err
			})
		}
	})
	if err != nil {
		v.t.Fatal(err)
	}
	v.do("ask for the key", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, fetch.Enable, fetch.EnableParams{HandleAuthRequests: new(true)})
		return err
	}))
}

// fetched continues a request of the browser; the browser may have ended meanwhile.
func (v *visitor) fetched(call func(context.Context) error) {
	if err := call(v.ctx); err != nil && !errors.Is(err, context.Canceled) {
		v.t.Logf("continue a request: %v", err)
	}
}

// TestOperatorWithoutScript: without JavaScript the page has everything, and its form changes
// the mode once the browser was given the key.
func TestOperatorWithoutScript(t *testing.T) {
	o := startOperator(t, pagetest.Middle())
	v := startChromium(t).visitor(t)
	var knows atomic.Bool
	v.answerKey("kim", adminKey, &knows)
	v.do("switch JavaScript off", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	v.open(o.URL+"/", "#mode form")
	v.wholePicture("operator-without-script")
	for selector, want := range map[string]string{
		"#live-state": "Not live", "h1": "3,588 users are still waiting", "#problems": "Nothing", "#next": "ferry status --stragglers", "#chart-progress": "7 January 2027",
	} {
		if text := v.text(selector); !strings.Contains(text, want) {
			t.Errorf("%s is %q, not %q", selector, text, want)
		}
	}
	v.do("switch off without the key", press("#mode-off"), press("#mode button"))
	v.awaitText("h1", "The admin key is missing or wrong")
	if o.modes.Mode() != mode.On {
		t.Fatalf("without the key the mode is %s", o.modes.Mode())
	}
	knows.Store(true)
	v.open(o.URL+"/", "#mode form")
	v.do("switch off with the key", press("#mode-off"), press("#mode button"), see("#problems.is-bad"))
	if o.modes.Mode() != mode.Off {
		t.Errorf("the mode is %s", o.modes.Mode())
	}
	if text := v.text("#mode"); !strings.Contains(text, "Changed by kim") {
		t.Errorf("the page does not say who changed the mode: %s", text)
	}
	v.wholePicture("operator-switched-off")
}
