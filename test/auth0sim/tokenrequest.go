package auth0sim

import (
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// tokenRequest is a read token request.
type tokenRequest struct {
	params map[string]string
	// err is the first error of the request.
	err  error
	auth clientAuth
}

func (t *tokenRequest) param(name string) string { return t.params[name] }

// parseTokenRequest reads as much as it can, so that even a refused request
// can be counted.
func parseTokenRequest(r *http.Request, body []byte) *tokenRequest {
	t := &tokenRequest{params: map[string]string{}}
	if r.URL.RawQuery != "" {
		t.err = errors.New("parameters belong into the body, not into the URL")
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil:
		t.fail(errors.New("unreadable content type"))
	case mediaType == "application/x-www-form-urlencoded":
		t.fail(t.readForm(body))
	default:
		t.fail(fmt.Errorf("content type %s is not supported", mediaType))
	}
	t.auth = readClientAuth(r, t.params)
	return t
}

// fail keeps the first error.
func (t *tokenRequest) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

func (t *tokenRequest) readForm(body []byte) error {
	values, err := url.ParseQuery(string(body))
	for name, list := range values {
		t.params[name] = list[0]
	}
	if err != nil {
		return errors.New("unreadable form") // the cause may quote the password
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(values[name]) > 1 {
			return fmt.Errorf("parameter %s is repeated", name)
		}
	}
	return nil
}

// identifyToken reads the request, finds whom it is about and notes it in the
// journal.
func (s *Server) identifyToken(x *exchange) *tokenRequest {
	t := parseTokenRequest(x.req, x.body)
	entry := &Request{
		At: s.Now(), Method: x.req.Method, Path: x.req.URL.Path,
		ContentType: x.req.Header.Get("Content-Type"),
		GrantType:   t.param("grant_type"), Realm: t.param("realm"), Username: t.param("username"),
		Scope: t.param("scope"), Audience: t.audience(),
		ClientID: t.auth.clientID, ClientAuth: t.auth.String(),
		Header: redactHeader(x.req.Header), ForwardedFor: x.req.Header.Get(forwardedForHeader),
	}
	for name := range t.params {
		entry.Parameters = append(entry.Parameters, name)
	}
	slices.Sort(entry.Parameters)
	if password, ok := t.params["password"]; ok && password != "" {
		entry.PasswordSHA256 = hashPassword(password)
	}
	x.identifiers = append(x.identifiers, entry.Username)
	if token := t.param("refresh_token"); token != "" {
		entry.RefreshTokenSHA256 = hashPassword(token)
		if family, ok := s.refresh.family(token); ok {
			entry.UserID = family.userID
			x.identifiers = append(x.identifiers, entry.UserID)
		}
	}
	if login, ok := s.login(t); ok {
		entry.UserID = login.account.user.ID
		x.identifiers = append(x.identifiers, entry.UserID)
	}
	x.entry = entry
	s.journal.arrive(entry)
	return t
}

// login finds the login that a request is about, if there is one.
func (s *Server) login(t *tokenRequest) (*credential, bool) {
	connection, ok := s.dir.realm(t.realm())
	if !ok {
		return nil, false
	}
	return s.dir.find(connection, t.param("username"))
}

// realm is the realm that the request names; empty is the default directory.
// The plain password grant has none.
func (t *tokenRequest) realm() string {
	if t.param("grant_type") == GrantPasswordRealm {
		return t.param("realm")
	}
	return ""
}

// audience is the audience of the tokens, also called resource.
func (t *tokenRequest) audience() string {
	return orElse(t.param("audience"), t.param("resource"))
}

// redactHeader copies the header without credentials.
func redactHeader(header http.Header) http.Header {
	copied := header.Clone()
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		for i, value := range copied[name] {
			scheme, _, _ := strings.Cut(value, " ")
			copied[name][i] = scheme + " [redacted]"
		}
	}
	return copied
}
