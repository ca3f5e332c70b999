package kratostest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// SeesExists is what a user sees who signs up with an identifier that Kratos has.
const SeesExists = "exists already"

// SeesLink is what a user sees whose social login belongs to nobody, but whose address to
// an identity: Kratos asks for another login first, and links the two.
const SeesLink = "link it"

const (
	existsAlready = 4000007
	linkIt        = 1010016
)

// SignUp is a registration.
type SignUp struct {
	Traits   map[string]string
	Password string
	// Mailbox receives a code, with which the user signs up instead of a password.
	Mailbox *Mailbox
	// TwoSteps submits the traits first, and with the password afterwards.
	TwoSteps bool
	// Browser submits as a page's script does, with cookies; otherwise as an app.
	Browser bool
}

// SignUp signs up.
func (k *Kratos) SignUp(ctx context.Context, s SignUp) (Login, error) {
	ctx, cancel := context.WithTimeout(ctx, codeLimit)
	defer cancel()
	p, path := person{kratos: k, http: k.http}, "/self-service/registration/api"
	if s.Browser {
		var err error
		if p, err = k.newBrowser(nil); err != nil {
			return Login{}, err
		}
		path = "/self-service/registration/browser"
	}
	login, err := p.signUp(ctx, path, s)
	if err != nil {
		return login, fmt.Errorf("sign up: %w", err)
	}
	if s.Browser {
		login.Token = p.hasSession()
	}
	return login, nil
}

func (p person) signUp(ctx context.Context, path string, s SignUp) (Login, error) {
	f, err := p.initFlow(ctx, path)
	if err != nil {
		return Login{}, err
	}
	fields := map[string]string{}
	for name, value := range s.Traits {
		fields["traits."+name] = value
	}
	with := func(more map[string]string) map[string]string {
		all := maps.Clone(fields)
		maps.Copy(all, more)
		return all
	}
	if s.TwoSteps {
		if _, err := p.submit(ctx, f, http.StatusBadRequest, with(map[string]string{"method": "profile"})); err != nil {
			return Login{}, err
		}
	}
	last := with(map[string]string{"method": "password", "password": s.Password})
	if s.Mailbox != nil {
		if _, err := p.submit(ctx, f, http.StatusBadRequest, with(map[string]string{"method": "code"})); err != nil {
			return Login{}, err
		}
		code, err := s.Mailbox.Code(ctx, s.Traits["email"])
		if err != nil {
			return Login{}, err
		}
		last = with(map[string]string{"method": "code", "code": code})
	}
	got, err := p.submitAny(ctx, f, last)
	if err != nil {
		return Login{}, err
	}
	return readLogin(got)
}

// submitAny submits fields to a flow and returns the answer, whatever its status.
func (p person) submitAny(ctx context.Context, f flow, fields map[string]string) (answer, error) {
	if token := f.csrfToken(); token != "" {
		fields["csrf_token"] = token
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return answer{}, err
	}
	request, err := p.request(ctx, http.MethodPost, p.kratos.reached(f.UI.Action), "application/json", string(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	return send(p.http, request)
}

// maxRedirects bounds a social login.
const maxRedirects = 8

// Social is a user's browser, in which one login at a provider may follow another.
type Social struct {
	person person
	// shown is the login page that the last answer led to.
	shown flow
}

// NewSocial returns a browser without cookies.
func (k *Kratos) NewSocial() (*Social, error) {
	p, err := k.newBrowser(nil)
	return &Social{person: p}, err
}

// Login logs in at an OIDC provider of Kratos, and follows the redirects.
func (s *Social) Login(ctx context.Context, provider string) (Login, error) {
	f, err := s.person.openForm(ctx)
	if err != nil {
		return Login{}, err
	}
	return s.submit(ctx, f, url.Values{"method": {"oidc"}, "provider": {provider}})
}

// Password submits a password on the page that the last login led to.
func (s *Social) Password(ctx context.Context, identifier, password string) (Login, error) {
	if s.shown.ID == "" {
		return Login{}, errors.New("the last login led to no page")
	}
	return s.submit(ctx, s.shown, url.Values{"method": {"password"}, "identifier": {identifier}, "password": {password}})
}

func (s *Social) submit(ctx context.Context, f flow, form url.Values) (Login, error) {
	form.Set("csrf_token", f.csrfToken())
	p := s.person
	request, err := p.request(ctx, http.MethodPost, p.kratos.reached(f.UI.Action), "text/html", form.Encode())
	if err != nil {
		return Login{}, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got, err := send(p.http, request)
	for range maxRedirects {
		if err != nil || got.location == "" || isPage(got.location) {
			break
		}
		if request, err = p.request(ctx, http.MethodGet, got.location, "text/html", ""); err == nil {
			got, err = send(p.http, request)
		}
	}
	if err != nil {
		return Login{}, err
	}
	return s.read(ctx, got)
}

// isPage reports whether an address is a page of the user interface, as kratos.yml.example has
// them. Nothing listens there.
func isPage(location string) bool { return strings.HasPrefix(location, "http://127.0.0.1:4455/") }

// read reads what the page shows that the answer leads to.
func (s *Social) read(ctx context.Context, got answer) (Login, error) {
	s.shown = flow{}
	target, err := url.Parse(got.location)
	if err != nil {
		return Login{}, err
	}
	kind, id := strings.Trim(target.Path, "/"), target.Query().Get("flow")
	if id == "" || s.person.hasSession() {
		return s.person.follow(ctx, got)
	}
	f, err := s.person.fetchFlow(ctx, kind, id)
	if kind == "login" {
		s.shown = f
	}
	return Login{Status: got.status, Messages: f.messages()}, err
}

// sees names the messages of a registration.
func (l Login) sees() string {
	switch {
	case slices.Contains(l.Messages, existsAlready):
		return SeesExists
	case slices.Contains(l.Messages, linkIt):
		return SeesLink
	}
	return ""
}
