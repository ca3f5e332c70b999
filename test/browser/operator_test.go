//go:build browser

package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/admin/page"
	"ferry/mode"
	"ferry/secret"
	"ferry/test/pagetest"
)

const adminKey = "admin-key-0123456789-0123456789-01234567"

// operator is the page on the admin listener, in a situation.
type operator struct {
	*httptest.Server

	page  *page.Page
	modes *mode.Switch

	mu        sync.Mutex
	situation pagetest.Situation
	now       time.Time
}

// startOperator starts the page.
func startOperator(t *testing.T, s pagetest.Situation) *operator {
	t.Helper()
	o := &operator{situation: s, now: pagetest.Now()}
	clock := func() time.Time {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.now
	}
	var err error
	o.modes, err = mode.New(mode.Options{Mode: "on", Cohort: "all", Log: zap.NewNop(), Metrics: prometheus.NewRegistry(), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	if s.Mode != "on" {
		if _, err := o.modes.Set(mode.Change{Mode: s.Mode, Who: "kim"}); err != nil {
			t.Fatal(err)
		}
	}
	o.page, err = page.New(page.Options{
		Version: "v1.2.3", Loopback: true, Key: secret.New(adminKey), Modes: o.modes, Log: zap.NewNop(), Now: clock,
		Facts: func(context.Context) page.Facts {
			o.mu.Lock()
			defer o.mu.Unlock()
			return o.situation.Facts
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Server = httptest.NewUnstartedServer(o.page)
	o.Config.RegisterOnShutdown(o.page.Close)
	o.Start()
	t.Cleanup(func() {
		o.page.Close()
		o.Close()
	})
	return o
}

// become changes the situation, a moment later.
func (o *operator) become(s pagetest.Situation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.situation, o.now = s, o.now.Add(2*time.Second)
}

// appearance is how a browser shows the page.
type appearance struct {
	name   string
	width  int64
	scheme string
}

func appearances() []appearance {
	return []appearance{{"wide-light", 1280, "light"}, {"wide-dark", 1280, "dark"}, {"narrow-light", 360, "light"}, {"narrow-dark", 360, "dark"}}
}

// as shows pages in an appearance.
func (v *visitor) as(a appearance) {
	v.t.Helper()
	v.do("be "+a.name, chromedp.EmulateViewport(a.width, 800), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: a.scheme}}})
		return err
	}))
}

// evaluate runs JavaScript in the page.
func evaluate[T any](v *visitor, what, script string, opts ...chromedp.EvaluateOption) T {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, stepLimit)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, opts...))
	if err != nil {
		v.t.Fatalf("%s: %v", what, err)
	}
	return value
}

// faults collects what the browser complains about: violations of the content security policy,
// errors of scripts, files that are missing.
type faults struct {
	mu  sync.Mutex
	all []string
}

func (v *visitor) faults() *faults {
	v.t.Helper()
	var f faults
	add := func(text string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.all = append(f.all, text)
	}
	err := chromedp.Listen(v.ctx, func(event any) {
		switch e := event.(type) {
		case *log.EventEntryAdded:
			add(fmt.Sprint(e.Entry.Level, " ", e.Entry.Source, " ", e.Entry.Text, " ", e.Entry.URL))
		case *runtime.EventExceptionThrown:
			add(e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			add("console." + string(e.Type))
		}
	})
	if err != nil {
		v.t.Fatal(err)
	}
	v.do("log", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, log.Enable, struct{}{})
		return err
	}))
	return &f
}

func (f *faults) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.all
	f.all = nil
	return all
}

// axe is the program that checks accessibility.
func axe(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatalf("run `make browser`, which installs axe-core: %v", err)
	}
	return string(text)
}

// accessible checks the page by axe-core: WCAG 2.2 A and AA with its contrasts, and best practices
// such as the order of headings and landmarks.
func (v *visitor) accessible(name, axe string) {
	v.t.Helper()
	type violation struct {
		ID    string `json:"id"`
		Help  string `json:"help"`
		Nodes []struct {
			HTML    string `json:"html"`
			Summary string `json:"failureSummary"`
		} `json:"nodes"`
	}
	evaluate[bool](v, "load axe", axe+"; true")
	text := evaluate[string](v, "run axe", `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations", "passes"]})
		.then(function (r) { return JSON.stringify({violations: r.violations, contrasts: r.passes.filter(function (p) { return p.id === "color-contrast"; }).length}); })`, chromedp.EvalAwaitPromise)
	var report struct {
		Violations []violation `json:"violations"`
		Contrasts  int         `json:"contrasts"`
	}
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		v.t.Fatal(err)
	}
	if report.Contrasts != 1 {
		v.t.Errorf("%s: contrasts were not checked", name)
	}
	for _, one := range report.Violations {
		for _, node := range one.Nodes {
			v.t.Errorf("%s: %s: %s\n%s\n%s", name, one.ID, one.Help, node.HTML, node.Summary)
		}
	}
}

// wholePicture writes a picture of the whole page, if pictures are wanted.
func (v *visitor) wholePicture(name string) {
	v.t.Helper()
	if v.chromium.pages == "" {
		return
	}
	ctx, cancel := context.WithTimeout(v.ctx, stepLimit)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		v.t.Fatalf("picture of %s: %v", name, err)
	}
	if err := os.WriteFile(filepath.Join(v.chromium.pages, name+".png"), png, 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// TestOperatorPage: in every situation and appearance the page is accessible, fits the screen
// down to 320 pixels, and breaks nothing of its content security policy.
func TestOperatorPage(t *testing.T) {
	program := axe(t)
	v := startChromium(t).visitor(t)
	faults := v.faults()
	for _, s := range pagetest.All() {
		o := startOperator(t, s)
		for _, a := range appearances() {
			name := "operator-" + s.Name + "-" + a.name
			v.as(a)
			v.open(o.URL+"/", "#live.is-live")
			v.wholePicture(name)
			v.accessible(name, program)
			if all := faults.take(); len(all) > 0 {
				t.Errorf("%s: the browser complains: %q", name, all)
			}
		}
		for _, width := range []int64{320, 360, 500, 768, 1280, 1920} {
			v.as(appearance{"narrowest", width, "light"})
			wide := evaluate[string](v, "what is too wide", `Array.from(document.querySelectorAll("body *")).filter(function (e) {
				return e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5 && !e.closest(".scroll, .hidden, svg"); })
				.map(function (e) { return e.tagName + "." + e.className + " " + e.textContent.slice(0, 40); }).join("\n")`)
			if has := evaluate[int](v, "width", "document.documentElement.scrollWidth"); has > int(width) || wide != "" {
				t.Errorf("%s: the page is %d wide on a screen of %d: %s", s.Name, has, width, wide)
			}
			broken := evaluate[string](v, "which numbers are broken", `Array.from(document.querySelectorAll(".tile .value")).filter(function (e) {
				return !e.textContent.includes(" ") && e.offsetHeight > 1.5 * parseFloat(getComputedStyle(e).lineHeight); })
				.map(function (e) { return e.textContent; }).join("\n")`)
			if broken != "" {
				t.Errorf("%s: on a screen of %d, a line ends within %s", s.Name, width, broken)
			}
		}
		if lang := evaluate[string](v, "language", "document.documentElement.lang"); lang != "en" {
			t.Errorf("the language is %q", lang)
		}
	}
}
