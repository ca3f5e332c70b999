package kratostest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// LoginProvider logs in at an OIDC provider, as a browser does. Each of pages answers one page
// of the provider, which is told apart from others by its path or the parameter state.
func (k *Kratos) LoginProvider(ctx context.Context, provider string, pages ...url.Values) (Login, error) {
	login, err := k.loginProvider(ctx, provider, pages)
	if err != nil {
		return Login{}, fmt.Errorf("login at the provider %s: %w", provider, err)
	}
	return login, nil
}

func (k *Kratos) loginProvider(ctx context.Context, provider string, pages []url.Values) (Login, error) {
	p, err := k.newBrowser(nil)
	if err != nil {
		return Login{}, err
	}
	f, err := p.openForm(ctx)
	if err != nil {
		return Login{}, err
	}
	at, err := url.Parse(p.kratos.reached(f.UI.Action))
	if err != nil {
		return Login{}, err
	}
	// To the provider, through its pages, and back to Kratos.
	next := func(form url.Values) error {
		got, err := p.visit(ctx, at, form)
		if err == nil {
			at, err = at.Parse(got.location)
		}
		return err
	}
	if err := next(url.Values{"method": {"oidc"}, "provider": {provider}, "csrf_token": {f.csrfToken()}}); err != nil {
		return Login{}, err
	}
	if err := next(nil); err != nil {
		return Login{}, err
	}
	for _, page := range pages {
		page.Set("state", at.Query().Get("state"))
		if err := next(page); err != nil {
			return Login{}, err
		}
	}
	for range maxRedirects {
		callback := strings.HasSuffix(at.Path, "/self-service/methods/oidc/callback/"+provider)
		got, err := p.visit(ctx, at, nil)
		if err != nil {
			return Login{}, err
		}
		if callback {
			return p.followProvider(ctx, got)
		}
		if at, err = at.Parse(got.location); err != nil {
			return Login{}, err
		}
	}
	return Login{}, fmt.Errorf("more than %d redirects, the last one to %s", maxRedirects, at.Path)
}

// followProvider reads what Kratos shows after a login at a provider: also the page of a
// registration.
func (p person) followProvider(ctx context.Context, got answer) (Login, error) {
	s := Social{person: p}
	login, err := s.read(ctx, got)
	login.Token = p.hasSession()
	return login, err
}

// visit opens a page, or posts a form to it. The answer must be a redirect.
func (p person) visit(ctx context.Context, at *url.URL, form url.Values) (answer, error) {
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	request, err := p.request(ctx, method, at.String(), "text/html", form.Encode())
	if err != nil {
		return answer{}, err
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	got, _, err := p.timed(request)
	if err == nil && got.location == "" {
		err = fmt.Errorf("%s %s: status %d without a redirect: %s", method, at.Path, got.status, got.body)
	}
	return got, err
}
