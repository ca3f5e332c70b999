package page

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"ferry/mode"
)

const (
	maxFormBytes = 4 << 10
	maxWho       = 100
)

// changeMode changes the mode, for a request that has the page's own form and the key.
func (p *Page) changeMode(w http.ResponseWriter, r *http.Request) {
	if !sameOrigin(r) {
		p.write(w, http.StatusForbidden, "refused", refusal{"The mode was not changed", []string{
			"This form did not come from ferry's page. Open the page, and change the mode there.",
		}})
		return
	}
	if p.opts.Key.Empty() {
		p.write(w, http.StatusForbidden, "refused", refusal{"The mode was not changed", []string{"Changing the mode needs a key: set FERRY_ADMIN_KEY and restart ferry."}})
		return
	}
	if !p.hasKey(r) {
		p.ask(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	if err := r.ParseForm(); err != nil || len(r.PostForm["mode"]) != 1 {
		p.write(w, http.StatusBadRequest, "refused", refusal{"The mode was not changed", []string{"The form has no mode."}})
		return
	}
	if _, err := p.opts.Modes.Set(mode.Change{Mode: r.PostForm.Get("mode"), Who: who(r), From: r.RemoteAddr}); err != nil {
		p.write(w, http.StatusBadRequest, "refused", refusal{"The mode was not changed", []string{err.Error()}})
		return
	}
	p.forget()
	http.Redirect(w, r, "/#mode", http.StatusSeeOther)
}

// forget has the next viewer see what is new.
func (p *Page) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = rendered{}
}

// who is the name that the browser sent with the key.
func who(r *http.Request) string {
	name, _, _ := r.BasicAuth()
	name = strings.ToValidUTF8(strings.TrimSpace(name), "")
	name = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, name)
	for len(name) > maxWho {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}
