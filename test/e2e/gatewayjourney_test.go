package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferry/test/ferrytest/built"
)

// client is how somebody uses Kratos.
type client string

const (
	native client = "API"
	spa    client = "SPA"
	form   client = "form"
)

// journey is one client's way through one flow.
type journey struct {
	stack *stack
	kind  client
	route string // login, recovery, …
	http  *http.Client
	flow  flowJSON
}

// flowJSON is the part of a flow that people see.
type flowJSON struct {
	ID      string `json:"id"`
	State   string `json:"state"`
	Active  string `json:"active"`
	Session *struct {
		ID string `json:"id"`
	} `json:"session"`
	RedirectTo string `json:"redirect_browser_to"`
	Error      struct {
		Code int `json:"code"`
	} `json:"error"`
	UI struct {
		Action   string     `json:"action"`
		Messages []idJSON   `json:"messages"`
		Nodes    []nodeJSON `json:"nodes"`
	} `json:"ui"`
}

type idJSON struct {
	ID int `json:"id"`
}

type nodeJSON struct {
	Group      string   `json:"group"`
	Messages   []idJSON `json:"messages"`
	Attributes struct {
		Name  string `json:"name"`
		Type  string `json:"type"`
		Value any    `json:"value"`
	} `json:"attributes"`
}

// begin begins a flow.
func (s *stack) begin(t *testing.T, kind client, route string) *journey {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	j := &journey{stack: s, kind: kind, route: route, http: &http.Client{
		Jar: jar, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	path := "/self-service/" + route + "/browser"
	if kind == native {
		j.http.Jar, path = nil, "/self-service/"+route+"/api"
	}
	status, header, body := j.send(t, http.MethodGet, s.kratos.UsersURL()+path, "")
	if kind == form {
		if status != http.StatusSeeOther {
			t.Fatalf("begin: %d %s", status, body)
		}
		j.fetch(t, header.Get("Location"))
		return j
	}
	j.decode(t, body)
	if status != http.StatusOK || j.flow.UI.Action == "" {
		t.Fatalf("begin: %d %s", status, body)
	}
	return j
}

func (j *journey) decode(t *testing.T, body string) {
	t.Helper()
	j.flow = flowJSON{}
	if err := json.Unmarshal([]byte(body), &j.flow); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
}

// fetch reads the flow to which a browser was sent.
func (j *journey) fetch(t *testing.T, location string) {
	t.Helper()
	at, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	kind := j.kind
	j.kind = spa
	_, _, body := j.send(t, http.MethodGet, j.stack.kratos.UsersURL()+"/self-service/"+j.route+"/flows?id="+at.Query().Get("flow"), "")
	j.kind = kind
	j.decode(t, body)
}

// send sends a request of this client.
func (j *journey) send(t *testing.T, method, address, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	if j.kind == form {
		req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := j.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// submit submits fields, and returns in one line what the user sees: nothing of it depends
// on who the user is.
func (j *journey) submit(t *testing.T, fields map[string]string) string {
	t.Helper()
	values, object := url.Values{}, map[string]any{}
	for _, node := range j.flow.UI.Nodes {
		if node.Attributes.Name == "csrf_token" {
			fields["csrf_token"], _ = node.Attributes.Value.(string)
		}
	}
	for name, value := range fields {
		values.Set(name, value)
		if trait, is := strings.CutPrefix(name, "traits."); is {
			object["traits"] = map[string]any{trait: value}
			continue
		}
		object[name] = value
	}
	body, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	if j.kind == form {
		body = []byte(values.Encode())
	}
	action := j.flow.UI.Action
	status, header, text := j.send(t, http.MethodPost, action, string(body))
	if status == http.StatusSeeOther || status == http.StatusFound {
		return j.redirected(t, status, header.Get("Location"))
	}
	j.decode(t, text)
	if j.flow.UI.Action == "" {
		j.flow.UI.Action = action
	}
	return fmt.Sprintf("%d %s", status, j.flow.screen())
}

// redirected describes where a browser was sent.
func (j *journey) redirected(t *testing.T, status int, location string) string {
	t.Helper()
	at, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	if at.Query().Get("flow") == "" {
		return fmt.Sprintf("%d %s", status, at.Path)
	}
	j.fetch(t, location)
	return fmt.Sprintf("%d %s %s", status, at.Path, j.flow.screen())
}

// screen describes a flow.
func (f flowJSON) screen() string {
	var words []string
	if f.Session != nil {
		words = append(words, "session")
	}
	if f.RedirectTo != "" {
		to, _, _ := strings.Cut(f.RedirectTo, "?")
		words = append(words, "to "+to[strings.LastIndex(to, "/"):])
	}
	if f.Error.Code != 0 {
		words = append(words, fmt.Sprintf("error %d", f.Error.Code))
	}
	words = append(words, "state="+f.State, "active="+f.Active)
	for _, message := range f.UI.Messages {
		words = append(words, fmt.Sprint(message.ID))
	}
	var nodes []string
	for _, node := range f.UI.Nodes {
		text := node.Group + "." + node.Attributes.Name + ":" + node.Attributes.Type
		for _, message := range node.Messages {
			text += fmt.Sprintf("!%d", message.ID)
		}
		nodes = append(nodes, text)
	}
	return strings.Join(append(words, nodes...), " ")
}

// mails returns the templates of the mail to an address, oldest first, and the last body.
func (s *stack) mails(t *testing.T, address string) (templates []string, last string) {
	t.Helper()
	var all []struct {
		Template string `json:"template_type"`
		Body     string `json:"body"`
	}
	s.readAdmin(t, "/admin/courier/messages?recipient="+url.QueryEscape(address), &all)
	for _, mail := range slices.Backward(all) {
		templates, last = append(templates, mail.Template), mail.Body
	}
	return templates, last
}

// readAdmin reads from Kratos' admin API.
func (s *stack) readAdmin(t *testing.T, path string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.kratos.AdminURL()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
}

// identityOf returns the id of the identity with the identifier; empty if there is none.
func (s *stack) identityOf(t *testing.T, identifier string) string {
	t.Helper()
	var found []struct {
		ID string `json:"id"`
	}
	s.readAdmin(t, "/admin/identities?credentials_identifier="+url.QueryEscape(identifier), &found)
	switch len(found) {
	case 0:
		return ""
	case 1:
		return found[0].ID
	}
	t.Fatalf("%d identities", len(found))
	return ""
}

// imports imports users as an operator would.
func (s *stack) imports(t *testing.T, people ...*unknown) {
	t.Helper()
	command := exec.CommandContext(t.Context(), built.Ferry(t), "import", "--users", usersFile(t, people), "--results", filepath.Join(t.TempDir(), "results.ndjson"))
	command.Env = []string{
		"FERRY_HOOK_KEYS=" + hookKey, "FERRY_AUTH0_DOMAIN=" + s.sim.Domain(), "FERRY_AUTH0_CLIENT_ID=" + clientID, "FERRY_AUTH0_CLIENT_SECRET=" + clientSecret,
		"FERRY_AUTH0_REALMS=" + users + "," + legacy, "FERRY_KRATOS_ADMIN_URL=" + s.kratos.AdminURL(), "FERRY_KRATOS_PUBLIC_URL=" + s.kratos.PublicURL(),
	}
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
}

// usersFile writes a users file.
func usersFile(t *testing.T, people []*unknown) string {
	t.Helper()
	var lines strings.Builder
	for _, u := range people {
		provider, id, _ := strings.Cut(u.subject, "|")
		line, err := json.Marshal(map[string]any{
			"user_id": u.subject, "email": u.email, "email_verified": u.verified, "blocked": false, "multifactor": []string{}, "last_password_reset": nil,
			"identities": []any{map[string]any{"provider": provider, "user_id": id, "connection": users, "isSocial": false}},
		})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	file := filepath.Join(t.TempDir(), "users.ndjson")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
