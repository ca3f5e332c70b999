//go:build browser

package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"ferry/wiring"
)

//go:embed page.html
var pageText string

// ui is a self-service UI that renders Kratos' flows as HTML forms. Forms are posted to the
// address that Kratos names, never to the UI.
type ui struct {
	*httptest.Server

	users  string // where users reach Kratos
	client *http.Client
	page   *template.Template
}

// startUI starts the UI. users is where users reach Kratos.
func startUI(t *testing.T, users string) *ui {
	t.Helper()
	transport := &http.Transport{}
	u := &ui{users: users, client: &http.Client{Transport: transport, Timeout: time.Minute}, page: template.Must(template.New("page").Parse(pageText))}
	mux := http.NewServeMux()
	for _, kind := range []string{"login", "recovery", "settings"} {
		mux.HandleFunc("GET /"+kind, func(w http.ResponseWriter, r *http.Request) { u.flow(w, r, kind) })
	}
	mux.HandleFunc("GET /error", u.fault)
	mux.HandleFunc("GET /outage", func(w http.ResponseWriter, _ *http.Request) {
		u.show(w, view{Name: "outage", Title: "Please try again in a few minutes"})
	})
	mux.HandleFunc("GET /{$}", u.home)
	u.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		u.Close()
		transport.CloseIdleConnections()
	})
	return u
}

// configure sets the addresses of the UI in Kratos' configuration.
func (u *ui) configure(config map[string]any) {
	selfservice := config["selfservice"].(map[string]any)
	selfservice["default_browser_return_url"] = u.URL + "/"
	selfservice["allowed_return_urls"] = []any{u.URL + "/"}
	flows := selfservice["flows"].(map[string]any)
	for _, kind := range []string{"login", "recovery", "settings", "error"} {
		flows[kind].(map[string]any)["ui_url"] = u.URL + "/" + kind
	}
}

// view is what a page shows.
type view struct {
	Name, Title string
	Messages    []message
	Forms       []form
	Action      string
	Email       string
	Methods     []string // by which the user has logged in
	Logout      string
}

type message struct {
	ID   int64  `json:"id"`
	Text string `json:"text"`
	Type string `json:"type"`
}

// form is the nodes of one method.
type form struct {
	Group  string
	Action string
	Hidden []node
	Nodes  []node
}

type node struct {
	Group      string `json:"group"`
	Type       string `json:"type"`
	Attributes struct {
		Name     string `json:"name"`
		Type     string `json:"type"`
		Value    any    `json:"value"`
		Required bool   `json:"required"`
		Complete string `json:"autocomplete"`
	} `json:"attributes"`
	Messages []message `json:"messages"`
	Meta     struct {
		Label *message `json:"label"`
	} `json:"meta"`
}

// Label is the text beside the field or on the button.
func (n node) Label() string {
	if n.Meta.Label == nil {
		return n.Attributes.Name
	}
	return n.Meta.Label.Text
}

// IsButton reports whether the node submits the form.
func (n node) IsButton() bool { return n.Attributes.Type == "submit" }

type flow struct {
	UI struct {
		Action   string    `json:"action"`
		Nodes    []node    `json:"nodes"`
		Messages []message `json:"messages"`
	} `json:"ui"`
}

// forms returns a form for each method. The default group belongs to all of them; only its
// hidden fields are in the forms of providers, which need no identifier.
func (f flow) forms() []form {
	var forms []form
	at := map[string]int{}
	for _, n := range f.UI.Nodes {
		if _, ok := at[n.Group]; ok || n.Group == "default" || n.Type != "input" {
			continue
		}
		at[n.Group] = len(forms)
		forms = append(forms, form{Group: n.Group, Action: f.UI.Action})
	}
	for i := range forms {
		one := &forms[i]
		for _, n := range f.UI.Nodes {
			hidden := n.Attributes.Type == "hidden"
			switch {
			case n.Type != "input", n.Group != "default" && n.Group != one.Group:
			case hidden:
				one.Hidden = append(one.Hidden, n)
			case n.Group == one.Group, one.Group != "oidc":
				one.Nodes = append(one.Nodes, n)
			}
		}
	}
	return forms
}

// flow is the page of a flow. Without one it begins one.
func (u *ui) flow(w http.ResponseWriter, r *http.Request, kind string) {
	id := r.URL.Query().Get("flow")
	if id == "" {
		http.Redirect(w, r, u.users+"/self-service/"+kind+"/browser", http.StatusSeeOther)
		return
	}
	var f flow
	if err := u.read(r, "/self-service/"+kind+"/flows?"+url.Values{"id": {id}}.Encode(), &f); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	titles := map[string]string{"login": "Log in", "recovery": "Recover your account", "settings": "Your account"}
	u.show(w, view{Name: kind, Title: titles[kind], Messages: f.UI.Messages, Forms: f.forms()})
}

// fault is the page of an error of Kratos.
func (u *ui) fault(w http.ResponseWriter, r *http.Request) {
	var of struct {
		Error struct{ Reason, Message string } `json:"error"`
	}
	if err := u.read(r, "/self-service/errors?"+url.Values{"id": {r.URL.Query().Get("id")}}.Encode(), &of); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	u.show(w, view{Name: "error", Title: "Something went wrong", Messages: []message{{Text: of.Error.Message + " " + of.Error.Reason, Type: "error"}}})
}

// home shows whose session it is.
func (u *ui) home(w http.ResponseWriter, r *http.Request) {
	var session struct {
		Identity struct {
			Traits struct{ Email string }
		}
		Methods []struct{ Method, Provider string } `json:"authentication_methods"`
	}
	if err := u.read(r, "/sessions/whoami", &session); err != nil {
		u.show(w, view{Name: "stranger", Title: "You are not logged in"})
		return
	}
	var out struct {
		URL string `json:"logout_url"`
	}
	if err := u.read(r, "/self-service/logout/browser", &out); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	shown := view{Name: "home", Title: "Welcome", Email: session.Identity.Traits.Email, Logout: out.URL}
	for _, m := range session.Methods {
		name := m.Method
		if m.Provider == provider {
			name = wiring.DefaultLabel
		}
		shown.Methods = append(shown.Methods, name)
	}
	u.show(w, shown)
}

// read asks Kratos with the user's cookies.
func (u *ui) read(r *http.Request, path string, into any) error {
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.users+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Cookie", r.Header.Get("Cookie"))
	req.Header.Set("Accept", "application/json")
	resp, err := u.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s: %w", path, resp.Status, text, err)
	}
	return json.Unmarshal(text, into)
}

func (u *ui) show(w http.ResponseWriter, v view) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := u.page.Execute(w, v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
