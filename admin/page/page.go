// Package page serves the page on the admin listener: where the migration stands, what is
// wrong, what comes next, and a form that changes the mode.
//
//	GET  /                   the page
//	GET  /page/style.css, script.js, icon.svg
//	GET  /page/events        server-sent events: the page has changed
//	POST /page/mode          changes the mode; always with the key
//
// Everything is made on the server and works without JavaScript; the script only fetches the
// page again when an event says that it has changed. The page has counts and names of
// connections, and nothing about a user.
//
// Who may read it: a browser on this machine, if the listener is at a loopback address and the
// request was made for one; everyone else with the key, by HTTP Basic or as a bearer token.
// Without a key there is no other way. See access.
package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"ferry/audit"
	"ferry/mode"
	"ferry/secret"
)

// modes reads and changes the mode.
type modes interface {
	Status() mode.Status
	Set(change mode.Change) (mode.Status, error)
}

// Options configure the page. Version, Modes, Facts, Log and Now are required.
type Options struct {
	// Version is ferry's version.
	Version string
	// Loopback says that the listener is at a loopback address.
	Loopback bool
	// Key is the admin key. Without it, only a browser on this machine sees the page, and no
	// one can change the mode there.
	Key   secret.String
	Modes modes
	// Facts returns what the page shows.
	Facts func(ctx context.Context) Facts
	// Audit takes an audit record of each request with a wrong key; nil: there are none. It must
	// not block.
	Audit func(audit.Record)
	Log   *zap.Logger
	Now   func() time.Time
}

// Page is the handler. It is safe for concurrent use.
type Page struct {
	opts      Options
	templates *template.Template
	mux       *http.ServeMux
	viewers   chan struct{} // has an element for each viewer of the events
	closed    chan struct{}
	close     sync.Once

	mu      sync.Mutex
	current rendered
}

// rendered is the page as everyone sees it for a moment.
type rendered struct {
	at     time.Time
	body   view
	digest string // of what viewers should see at once when it changes
}

//go:embed page.gohtml style.css script.js icon.svg
var files embed.FS

// renderedFor is how long one rendering is used. It limits what many viewers cost.
const renderedFor = time.Second

// New makes the page.
func New(opts Options) (*Page, error) {
	if opts.Version == "" || opts.Modes == nil || opts.Facts == nil || opts.Log == nil || opts.Now == nil {
		return nil, errors.New("page: version, modes, facts, log and clock are required")
	}
	templates, err := template.ParseFS(files, "page.gohtml")
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	p := &Page{
		opts: opts, templates: templates, mux: http.NewServeMux(),
		viewers: make(chan struct{}, maxViewers), closed: make(chan struct{}),
	}
	p.mux.HandleFunc("GET /{$}", p.reading(p.show))
	p.mux.HandleFunc("GET /page/events", p.reading(p.events))
	p.mux.HandleFunc("POST /page/mode", p.changeMode)
	for name, media := range map[string]string{"style.css": "text/css", "script.js": "text/javascript", "icon.svg": "image/svg+xml"} {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("page: %w", err)
		}
		p.mux.HandleFunc("GET /page/"+name, p.reading(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media+"; charset=utf-8")
			_, _ = w.Write(text)
		}))
	}
	return p, nil
}

// Close ends the events of all viewers, and those that follow. The server calls it when it
// shuts down.
func (p *Page) Close() { p.close.Do(func() { close(p.closed) }) }

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	// no-referrer would make browsers hide the origin of the form.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	p.mux.ServeHTTP(w, r)
}

// show answers with the page.
func (p *Page) show(w http.ResponseWriter, r *http.Request) {
	now, err := p.render(r.Context())
	if err != nil {
		p.failed(w, err)
		return
	}
	p.write(w, http.StatusOK, "page", now.body)
}

// write answers with a template.
func (p *Page) write(w http.ResponseWriter, status int, name string, data any) {
	text, err := p.execute(name, data)
	if err != nil {
		p.failed(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// execute runs a template.
func (p *Page) execute(name string, data any) ([]byte, error) {
	var text bytes.Buffer
	if err := p.templates.ExecuteTemplate(&text, name, data); err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	return text.Bytes(), nil
}

func (p *Page) failed(w http.ResponseWriter, err error) {
	p.opts.Log.Error("page", zap.Error(err))
	http.Error(w, "the page cannot be shown; ferry's log says why", http.StatusInternalServerError)
}

// render returns the page of this moment.
func (p *Page) render(ctx context.Context) (rendered, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.opts.Now()
	if age := now.Sub(p.current.at); p.current.digest != "" && age >= 0 && age < renderedFor {
		return p.current, nil
	}
	// A viewer who leaves must not spoil what the others see.
	body := p.view(p.opts.Facts(context.WithoutCancel(ctx)), now)
	text, err := p.execute("main", body)
	if err != nil {
		return rendered{}, err
	}
	sum := sha256.Sum256(text)
	body.Digest = hex.EncodeToString(sum[:8])
	p.current = rendered{now, body, body.Digest}
	return p.current, nil
}
