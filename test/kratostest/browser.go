package kratostest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
)

// sessionCookie is Kratos' default name of the session cookie.
const sessionCookie = "ory_kratos_session"

// LoginBrowser logs in as a browser without JavaScript does: a form with CSRF token and
// cookies, answered by redirects. Instead of loading the pages that they lead to, it reads
// from Kratos what they would show. After an error, only Duration may be set.
func (k *Kratos) LoginBrowser(ctx context.Context, identifier, password string, edits ...RequestEdit) (Login, error) {
	login, err := k.loginBrowser(ctx, identifier, password, edits)
	if err != nil {
		return login, fmt.Errorf("login in a browser: %w", err)
	}
	return login, nil
}

// LoginSPA logs in as a page's script does: cookies and CSRF token, but JSON.
func (k *Kratos) LoginSPA(ctx context.Context, identifier, password string, edits ...RequestEdit) (Login, error) {
	login, err := k.loginSPA(ctx, identifier, password, edits)
	if err != nil {
		return login, fmt.Errorf("login in a page: %w", err)
	}
	return login, nil
}

func (k *Kratos) loginSPA(ctx context.Context, identifier, password string, edits []RequestEdit) (Login, error) {
	p, err := k.newBrowser(edits)
	if err != nil {
		return Login{}, err
	}
	f, err := p.initFlow(ctx, "/self-service/login/browser")
	if err != nil {
		return Login{}, err
	}
	got, took, err := p.submitJSON(ctx, f, identifier, password)
	if err != nil {
		return Login{Duration: took}, err
	}
	login, err := readLogin(got)
	login.Duration = took
	login.Token = p.hasSession()
	return login, err
}

func (k *Kratos) loginBrowser(ctx context.Context, identifier, password string, edits []RequestEdit) (Login, error) {
	p, err := k.newBrowser(edits)
	if err != nil {
		return Login{}, err
	}
	f, err := p.openForm(ctx)
	if err != nil {
		return Login{}, err
	}
	form := url.Values{
		"method":     {"password"},
		"identifier": {identifier},
		"password":   {password},
		"csrf_token": {f.csrfToken()},
	}
	request, err := p.request(ctx, http.MethodPost, p.kratos.reached(f.UI.Action), "text/html", form.Encode())
	if err != nil {
		return Login{}, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got, took, err := p.timed(request)
	if err != nil {
		return Login{Duration: took}, err
	}
	login, err := p.follow(ctx, got)
	login.Duration = took
	return login, err
}

// newBrowser returns a browser without cookies.
func (k *Kratos) newBrowser(edits []RequestEdit) (person, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return person{}, fmt.Errorf("cookies: %w", err)
	}
	browser := *k.http
	browser.Jar = jar
	return person{kratos: k, http: &browser, edits: edits}, nil
}

func (p person) hasSession() bool {
	public, err := url.Parse(p.kratos.usersURL)
	if err != nil {
		return false
	}
	for _, cookie := range p.http.Jar.Cookies(public) {
		if cookie.Name == sessionCookie && cookie.Value != "" {
			return true
		}
	}
	return false
}

// openForm begins a flow, follows the redirect and reads the flow as the login page does.
func (p person) openForm(ctx context.Context) (flow, error) {
	request, err := p.request(ctx, http.MethodGet, p.kratos.usersURL+"/self-service/login/browser", "text/html", "")
	if err != nil {
		return flow{}, err
	}
	got, err := send(p.http, request)
	if err != nil {
		return flow{}, fmt.Errorf("begin: %w", err)
	}
	id, err := locationValue(got, "flow")
	if err != nil {
		return flow{}, err
	}
	if id == "" {
		return flow{}, fmt.Errorf("begin: status %d, sent to %q", got.status, got.location)
	}
	return p.fetchFlow(ctx, "login", id)
}

// fetchFlow reads a flow of a kind, as its page does.
func (p person) fetchFlow(ctx context.Context, kind, id string) (flow, error) {
	status, body, err := p.kratos.get(ctx, p.http, p.kratos.usersURL+"/self-service/"+kind+"/flows", url.Values{"id": {id}})
	if err != nil {
		return flow{}, fmt.Errorf("%s page: %w", kind, err)
	}
	return decodeFlow(answer{status: status, body: body})
}

// follow reads what the page shows that the answer redirects to: the form again (?flow=), the
// error page (?id=), or the page after the login.
func (p person) follow(ctx context.Context, got answer) (Login, error) {
	login := Login{Status: got.status, Token: p.hasSession()}
	flowID, err := locationValue(got, "flow")
	if err != nil {
		return login, err
	}
	errorID, err := locationValue(got, "id")
	if err != nil {
		return login, err
	}
	switch {
	case login.Token:
		err = p.readSession(ctx, &login)
	case flowID != "":
		var f flow
		f, err = p.fetchFlow(ctx, "login", flowID)
		login.Messages = f.messages()
	case errorID != "":
		err = p.readError(ctx, errorID, &login)
	}
	return login, err
}

func (p person) readError(ctx context.Context, id string, login *Login) error {
	var page struct {
		Error errorValue `json:"error"`
	}
	if err := p.read(ctx, "/self-service/errors", url.Values{"id": {id}}, &page); err != nil {
		return fmt.Errorf("error page: %w", err)
	}
	login.setError(page.Error)
	return nil
}

func (p person) readSession(ctx context.Context, login *Login) error {
	var session struct {
		ID       string `json:"id"`
		Identity struct {
			ID string `json:"id"`
		} `json:"identity"`
	}
	if err := p.read(ctx, "/sessions/whoami", nil, &session); err != nil {
		return fmt.Errorf("whoami: %w", err)
	}
	login.SessionID, login.IdentityID = session.ID, session.Identity.ID
	return nil
}

func (p person) read(ctx context.Context, path string, query url.Values, into any) error {
	status, body, err := p.kratos.get(ctx, p.http, p.kratos.usersURL+path, query)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("status %d: %s", status, body)
	}
	return json.Unmarshal(body, into)
}

// locationValue returns a query value of the URL that an answer redirects to.
func locationValue(got answer, name string) (string, error) {
	if got.location == "" {
		return "", nil
	}
	target, err := url.Parse(got.location)
	if err != nil {
		return "", fmt.Errorf("redirected to %q: %w", got.location, err)
	}
	return target.Query().Get(name), nil
}
