package auth0sim

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// maxAssertionLife is the furthest that an assertion's exp may be away.
	maxAssertionLife = 5 * time.Minute
)

// clientAuth is how a request says who the client is.
type clientAuth struct {
	clientID string
	methods  []string
	secrets  []string // the possible readings of the secret
	// assertion is a client assertion, of assertionType.
	assertion, assertionType string
	// conflict says that the header and the body name different clients.
	conflict bool
}

// String names the ways that the client tried.
func (a clientAuth) String() string {
	return strings.Join(a.methods, "+")
}

// readClientAuth collects credentials from the header and the body.
func readClientAuth(r *http.Request, params map[string]string) clientAuth {
	a := clientAuth{clientID: params["client_id"]}
	if id, secret, ok := r.BasicAuth(); ok {
		id = formDecoded(id)
		a.conflict = a.clientID != "" && a.clientID != id
		a.clientID = id
		a.methods = append(a.methods, AuthBasic)
		// RFC 6749 requires form encoding; many clients send both unencoded.
		a.secrets = []string{secret, formDecoded(secret)}
	}
	if secret, ok := params["client_secret"]; ok {
		a.methods = append(a.methods, AuthPost)
		a.secrets = []string{secret}
	}
	a.assertion, a.assertionType = params["client_assertion"], params["client_assertion_type"]
	if a.assertion != "" || a.assertionType != "" {
		a.methods = append(a.methods, AuthPrivateKey)
	}
	if len(a.methods) == 0 {
		a.methods = []string{AuthNone}
	}
	return a
}

func formDecoded(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}

// authenticate checks the client; a refusal comes back as ok = false.
func (s *Server) authenticate(app *application, a clientAuth) (refusal response, ok bool) {
	if len(a.methods) != 1 || a.conflict || !slices.Contains(app.AuthMethods, a.methods[0]) {
		return s.refuse(AnswerClientUnauthorized), false
	}
	switch a.methods[0] {
	case AuthNone:
		return response{}, true
	case AuthPrivateKey:
		if err := s.checkAssertion(app, a); err != nil {
			return s.refuse(AnswerInvalidClient, "reason", err.Error()), false
		}
		return response{}, true
	}
	for _, secret := range a.secrets {
		if subtle.ConstantTimeCompare([]byte(secret), []byte(app.ClientSecret)) == 1 {
			return response{}, true
		}
	}
	return s.refuse(AnswerClientUnauthorized), false
}

// checkAssertion holds a client assertion against RFC 7523 and Auth0's own
// rules: issuer and subject are the client, the audience is https://DOMAIN/
// with its slash, it expires within five minutes and is used once.
func (s *Server) checkAssertion(app *application, a clientAuth) error {
	if a.assertionType != assertionType {
		return errors.New("unknown client_assertion_type")
	}
	token, err := jwt.ParseSigned(a.assertion, []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.PS256})
	if err != nil {
		return errors.New("client_assertion is not a signed JWT")
	}
	var claims jwt.Claims
	if !slices.ContainsFunc(app.publicKeys, func(key any) bool { return token.Claims(key, &claims) == nil }) {
		return errors.New("client_assertion is not signed by a key of the client")
	}
	if claims.Issuer != app.ClientID || claims.Subject != app.ClientID {
		return errors.New("client_assertion iss and sub must be the client_id")
	}
	audiences := []string{"https://" + s.cfg.Domain + "/", s.cfg.Issuer}
	if len(claims.Audience) != 1 || !slices.Contains(audiences, claims.Audience[0]) {
		return fmt.Errorf("client_assertion aud must be %s", audiences[0])
	}
	now := s.Now()
	switch {
	case claims.Expiry == nil:
		return errors.New("client_assertion exp is missing")
	case !now.Before(claims.Expiry.Time()):
		return errors.New("client_assertion has expired")
	case claims.Expiry.Time().Sub(now) > maxAssertionLife:
		return errors.New("client_assertion exp is more than 5 minutes away")
	case claims.NotBefore != nil && now.Before(claims.NotBefore.Time()):
		return errors.New("client_assertion is not valid yet")
	case claims.ID == "":
		return errors.New("client_assertion jti is missing")
	case !s.tokens.useAssertion(app.ClientID, claims.ID, claims.Expiry.Time(), now):
		return errors.New("client_assertion jti was used before")
	}
	return nil
}

// assertionLog remembers assertions until they expire.
type assertionLog struct {
	mu   sync.Mutex
	used map[string]time.Time
}

// use notes an assertion; false means that it was used already.
func (l *assertionLog) use(key string, expiry, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for old, until := range l.used {
		if !now.Before(until) {
			delete(l.used, old)
		}
	}
	if _, ok := l.used[key]; ok {
		return false
	}
	l.used[key] = expiry
	return true
}
