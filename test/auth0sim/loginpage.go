package auth0sim

import (
	"bytes"
	"html/template"
	"net/http"
	"net/url"
)

// loginPage is Universal Login: an identifier with a password or a code, or the login at a
// provider, whose own pages are not simulated.
const loginPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<title>Log in at Auth0 (simulator)</title>
<style>
body { font: 16px/1.5 sans-serif; max-width: 26rem; margin: 3rem auto; padding: 0 1rem; color: #222 }
label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit }
input, button { padding: .4rem; margin: .2rem 0 .8rem }
[role=alert] { color: #a00 }
</style>
<main>
<h1>{{if .Factor}}Enter your one-time code{{else}}Log in at Auth0{{end}}</h1>
<p>The simulator stands in for Auth0 here.</p>
{{with .Fault}}<p role="alert">{{.}}</p>{{end}}
<form method="post">
<input type="hidden" name="state" value="{{.State}}">
{{if .Factor}}<label>One-time code<input name="code" autocomplete="one-time-code"></label>{{else}}
<input name="connection" type="hidden" value="{{.Connection}}">
<label>E-mail address or username<input name="username" value="{{.Hint}}" autocomplete="username"></label>
<label>Password<input name="password" type="password" autocomplete="current-password"></label>{{end}}
<button type="submit">Continue</button>
</form>
</main>
</html>
`

// loginForm fills the login page.
type loginForm struct {
	Fault, State, Connection, Hint string
	Factor                         bool
}

func (f loginForm) respond(status int) response {
	var text bytes.Buffer
	form, err := template.New("login").Parse(loginPage)
	if err == nil {
		err = form.Execute(&text, f)
	}
	if err != nil {
		return plainResponse(http.StatusInternalServerError, "text/plain; charset=utf-8", "the login page is broken")
	}
	resp := plainResponse(status, "text/html; charset=utf-8", text.String())
	resp.header.Set("Cache-Control", "no-store")
	if resp.outcome = outcomeOK; f.Fault != "" {
		resp.outcome = "login_page"
	}
	return resp
}

// page shows an error.
func page(status int, text string) response {
	resp := plainResponse(status, "text/plain; charset=utf-8", text)
	resp.outcome = "error_page"
	return resp
}

// loginStep is the page of the login, and the form that it posts.
func (s *Server) loginStep(x *exchange) response {
	form, one, ok := s.step(x)
	if !ok {
		return page(http.StatusBadRequest, "Invalid state")
	}
	query := one.query
	shown := loginForm{State: form.Get("state"), Connection: query.Get("connection"), Hint: query.Get("login_hint")}
	if x.req.Method != http.MethodPost {
		return shown.respond(http.StatusOK)
	}
	a := &attempt{x: x, app: one.app, ip: x.remoteIP, req: &tokenRequest{params: map[string]string{
		"grant_type": GrantPasswordRealm, "realm": form.Get("connection"), "username": form.Get("username"), "password": form.Get("password"),
	}}}
	conn, found := s.dir.realm(form.Get("connection"))
	if !found || conn.Disabled || !one.app.allows(conn) {
		shown.Fault = "the connection is not enabled"
		return shown.respond(http.StatusBadRequest)
	}
	a.conn = conn
	if login, ok := s.dir.find(conn, form.Get("username")); ok {
		a.login = login
	}
	if conn.Strategy != StrategyDatabase && conn.Strategy != StrategyEmail && conn.Strategy != StrategySMS {
		if a.login == nil {
			return s.over(form, one).back("access_denied", "the provider does not know the user")
		}
		return s.passed(a, form, one) // the provider has checked the login
	}
	a.limits = a.limitKeys()
	if name := s.overLimits(a); name != "" {
		return shown.refused(s.refuse(name))
	}
	if a.login == nil || !a.login.matches(form.Get("password")) {
		s.limits.failed(a, s.Settings())
		return shown.refused(s.wrongPassword(conn))
	}
	s.limits.succeeded(a)
	if a.login.account.user.PasswordLeaked {
		return shown.refused(s.refuse(AnswerPasswordLeaked))
	}
	return s.passed(a, form, one)
}

// refused shows the page again, with the status and the text of a refusal.
func (f loginForm) refused(refusal response) response {
	f.Fault = refusal.outcome
	status := http.StatusBadRequest
	if refusal.status == http.StatusTooManyRequests {
		status = refusal.status
	}
	resp := f.respond(status)
	resp.outcome = refusal.outcome
	return resp
}

// passed goes on after the first step: to the second factor, or back to the application.
func (s *Server) passed(a *attempt, form url.Values, one *authorization) response {
	user := a.login.account.user
	if user.enrolled() && !a.app.MFAExempt && !user.Blocked && user.Deny == nil {
		one.userID, one.wantsFactor = user.ID, true
		return redirectTo(PathFactor + "?state=" + url.QueryEscape(form.Get("state")))
	}
	return s.logIn(s.over(form, one), user)
}

// factorStep is the page of the second factor, and the form that it posts.
func (s *Server) factorStep(x *exchange) response {
	form, one, ok := s.step(x)
	if !ok || !one.wantsFactor {
		return page(http.StatusBadRequest, "Invalid state")
	}
	shown := loginForm{State: form.Get("state"), Factor: true}
	switch {
	case x.req.Method != http.MethodPost:
		return shown.respond(http.StatusOK)
	case form.Get("code") != OneTimeCode:
		shown.Fault = "the code is not valid"
		return shown.respond(http.StatusBadRequest)
	}
	user, ok := s.User(one.userID)
	if !ok {
		return page(http.StatusBadRequest, "Invalid state")
	}
	return s.logIn(s.over(form, one), user)
}

// step reads a request of the login pages, and the authorization in progress that it belongs
// to.
func (s *Server) step(x *exchange) (form url.Values, one *authorization, ok bool) {
	form = x.req.URL.Query()
	if x.req.Method == http.MethodPost {
		posted, err := url.ParseQuery(string(x.body))
		if err != nil || posted.Get("state") != form.Get("state") {
			return form, nil, false
		}
		form = posted
	}
	s.authorizations.mu.Lock()
	defer s.authorizations.mu.Unlock()
	one, ok = s.authorizations.pending[form.Get("state")]
	return form, one, ok && s.Now().Before(one.expires)
}

// over ends the login in progress.
func (s *Server) over(form url.Values, one *authorization) *authorization {
	s.authorizations.take(s.authorizations.pending, form.Get("state"), s.Now())
	return one
}
